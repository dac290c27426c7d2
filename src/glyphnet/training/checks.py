"""What cannot work is told before training; what went wrong is told with what to try."""

from __future__ import annotations

import math

import torch

from ..errors import SettingsError, TrainingError
from .examples import Examples
from .recipe import Recipe
from .state import TrainingState


def check_together(recipe: Recipe, train: Examples, validation: Examples | None, classes: int) -> None:
    """Refuse what cannot work before anything is built."""
    if not len(train):
        raise TrainingError("there are no training examples.")
    monitored = recipe.early_stopping.monitor if recipe.early_stopping else ""
    if monitored.startswith("val_") and not (validation and len(validation)):
        raise SettingsError(
            f"early_stopping.monitor is {monitored}, but there are no validation examples. Set "
            "data.validation_fraction above 0, or early_stopping.monitor to loss."
        )
    weights = recipe.loss.class_weight
    if isinstance(weights, tuple) and len(weights) != classes:
        raise SettingsError(f"loss.class_weight has {len(weights)} weights for {classes} classes.")
    if recipe.augment and train.inputs.ndim != 4:
        raise SettingsError(
            f"augment.{next(iter(recipe.augment))} changes images, but the inputs are vectors of "
            f"{train.inputs.shape[1]} features. Leave augment empty."
        )


def is_sound(state: TrainingState, *, weights_too: bool) -> bool:
    """Whether the loss of the epoch now running is a number, and each weight: the last step's harm would only show in
    the next one's loss."""
    sound = math.isfinite(state.totals[0].item())
    if sound and weights_too:
        norms = torch._foreach_norm(list(state.network.parameters()))
        sound = math.isfinite(torch.stack(norms).sum().item())
    return sound


def how_it_diverged(state: TrainingState) -> str:
    """When the loss became no number, what is left, and what to try."""
    rate = max(float(group["lr"]) for group in state.optimizer.param_groups)
    kept = (
        f"the weights of epoch {state.best_epoch} are kept" if state.best_epoch else "no epoch was finished before it"
    )
    return (
        f"The loss became NaN or infinite in epoch {state.epoch + 1}, by step {state.step} (learning rate {rate:.3g}); "
        f"{kept}. {_likely_cause(state.recipe)}"
    )


def _likely_cause(recipe: Recipe) -> str:
    """What to try: the inputs are checked before training, so it is nearly always the step that is too long."""
    if recipe.optimizer.full_batch:
        return "Try a little l2, or another optimizer."
    advice = f"Most likely the learning rate is too high: try optimizer.lr={recipe.optimizer.lr / 10:.1g}"
    return advice + (", or precision=fp32." if recipe.precision == "bf16" else ".")
