"""A run that is to take so much time: which preset, and how many epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data import Splits
from ..errors import SettingsError
from ..training import PRESETS, Examples, Recipe
from ..training.budget import within
from .preparation import recipe_of


def check_time(seconds: float | None, changes: Mapping[str, Any], processes: int) -> None:
    """Raise SettingsError unless a training with these settings can be fitted to a time."""
    if seconds is None:
        return
    if not 0 < seconds < float("inf"):
        raise SettingsError(f"the time for the training is {seconds:g} s: it must be more than 0.")
    if "epochs" in changes:
        raise SettingsError("a time for the training and epochs exclude each other: give one of them.")
    if processes > 1:
        raise SettingsError("a time for the training is not for several processes: give epochs instead.")


def fit_into(
    seconds: float, recipe: Recipe, changes: Mapping[str, Any] | None, splits: Splits, device: str
) -> tuple[Recipe, str]:
    """The recipe to train for so long, and a sentence for the user.

    Args:
        recipe: the one that was asked for.
        changes: None to keep to ``recipe``; else any preset will do, with these changes.
        device: as for `fit`.
    """
    candidates = {"": recipe}
    if changes is not None:
        candidates = {f"preset {name}": recipe_of(name, splits, recipe.data, changes) for name in reversed(PRESETS)}
    train, validation = (Examples.of(part.images, part.labels) for part in (splits.train, splits.validation))
    plan = within(seconds, list(candidates.values()), train, validation, classes=len(splits.classes), device=device)
    name = list(candidates)[plan.index]
    epochs = f"{plan.recipe.epochs} epoch{'' if plan.recipe.epochs == 1 else 's'}"
    if plan.seconds > seconds:
        return plan.recipe, f"One epoch, though it takes about {plan.seconds:.0f} s."
    return plan.recipe, f"{name[:1].upper()}{name[1:]}{', ' if name else ''}{epochs}: about {plan.seconds:.0f} s."
