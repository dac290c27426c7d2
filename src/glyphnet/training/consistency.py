"""Learning from unlabelled pictures: their batches, and the step that learns from both kinds.

After FixMatch (Sohn et al., 2020, https://arxiv.org/abs/2001.07685), with averaged weights that answer, and with the
alignment of ReMixMatch (Berthelot et al., 2019, https://arxiv.org/abs/1911.09785).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..augment import Augmenter
from ..errors import SettingsError
from ..seeding import derived_seed
from .examples import Batches, Examples, balanced_order, batch_count, epoch_order
from .losses import CrossEntropy
from .optimizers import Muon
from .presets import preset
from .recipe import Recipe, Unlabelled
from .schedules import OneCycle
from .state import Answers, TrainingState
from .steps import AutogradStep

SLOWEST = 0.01
"""How much the newest step counts, at least, in the moving average of the answers."""


def steps_an_epoch(recipe: Recipe, labelled: int, unlabelled: int) -> int:
    """Steps of an epoch: a pass over the larger of the two sets."""
    assert recipe.unlabelled is not None
    size = recipe.batch_size
    return max(batch_count(labelled, size), -(-unlabelled // (size * recipe.unlabelled.ratio)))


def paired_batches(recipe: Recipe, labels: Tensor, unlabelled: int, epoch: int) -> list[Tensor]:
    """The index of each step of an epoch, int64 (batch_size · (1 + ratio),): labelled images, then unlabelled ones.

    Each set is repeated in new orders until it is long enough, so all steps are alike. What is drawn depends on seed
    and epoch alone.

    Args:
        labels: of the labelled images, int64 (N,).
        unlabelled: how many unlabelled images there are; their indices count from N on.
    """
    assert recipe.unlabelled is not None
    count, size = len(labels), recipe.batch_size
    steps = steps_an_epoch(recipe, count, unlabelled)

    def repeated(purpose: str, images: int, wanted: int) -> Tensor:
        rounds = range(-(-wanted // images))
        seeds = [derived_seed(recipe.seed, f"{purpose} {number}", epoch) for number in rounds]
        if purpose == "labelled" and recipe.sampler == "balanced":
            orders = [balanced_order(labels.cpu(), seed, epoch) for seed in seeds]
        else:
            orders = [epoch_order(images, seed, epoch) for seed in seeds]
        return torch.cat(orders)[:wanted].view(steps, -1)

    first = repeated("labelled", count, steps * size)
    second = repeated("unlabelled", unlabelled, steps * size * recipe.unlabelled.ratio) + count
    return list(torch.cat((first, second), dim=1).to(labels.device))


class ConsistencyStep:
    """A step on labelled and unlabelled images; see `paired_batches` for its index.

    The labels of ``unlabelled`` are never read.
    """

    def __init__(self, state: TrainingState, batches: Batches, unlabelled: Examples, dtype: torch.dtype) -> None:
        settings = state.recipe.unlabelled
        assert settings is not None
        self._state, self._batches, self._unlabelled, self._dtype = state, batches, unlabelled, dtype
        self._settings: Unlabelled = settings
        self._autograd = AutogradStep(state, batches, dtype)
        self._weak, self._strong = Augmenter(settings.weak), Augmenter(settings.strong)
        assert state.shares is not None
        counts = torch.bincount(batches.examples.labels, minlength=len(state.shares)).float() + 1
        self._wanted = counts / counts.sum()

    def __call__(self, index: Tensor) -> None:
        """Run the step: a look at the unlabelled images by the averaged weights, then a step of the network."""
        state, size = self._state, self._state.recipe.batch_size
        x, labels, targets, weights = self._batches(index[:size])
        preprocessing = state.preprocessing
        images = preprocessing.to_float(self._unlabelled.gather(index[size:] - len(self._batches.examples)))
        pseudo, sure = self.pseudo_labels(preprocessing.normalise(self._weak(images)))
        strong = preprocessing.normalise(self._strong(images))
        with torch.autocast(x.device.type, self._dtype, enabled=self._dtype != torch.float32):
            logits = state.network(torch.cat((x, strong)))
        answers = Answers(logits[:size].float(), labels, targets, weights)
        losses = state.metrics.losses(answers)
        learned = state.recipe.loss.per_image(logits[size:].float(), pseudo) * sure
        self._autograd.clear_gradients()
        self._autograd.with_penalty(losses.mean() + self._settings.weight * learned.mean()).backward()
        state.optimizer.step()
        state.metrics.add(state.metrics.counts(losses, answers.right))

    @torch.no_grad()
    def pseudo_labels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the averaged network answers to inputs: int64 (n,), and 1 where it is sure, else 0: float32 (n,)."""
        state, shares = self._state, self._state.shares
        assert shares is not None
        network = state.eval_model()
        was_training = network.training
        network.eval()
        with torch.autocast(x.device.type, self._dtype, enabled=self._dtype != torch.float32):
            probabilities = network(x).float().softmax(1)
        network.train(was_training)
        if self._settings.align:
            shares.lerp_(probabilities.mean(0), max(SLOWEST, 1 / (1 + state.total_steps)))
            aligned = probabilities * (self._wanted / shares.clamp(min=1e-6))
            probabilities = aligned / aligned.sum(1, keepdim=True)
        confidence, pseudo = probabilities.max(1)
        return pseudo, (confidence >= self._settings.threshold).float()


def check_unlabelled(recipe: Recipe, train: Examples, unlabelled: Examples | None, processes: int) -> None:
    """Raise SettingsError unless a recipe's unlabelled images are there, and can be learned from."""
    if recipe.unlabelled is None:
        return
    if unlabelled is None or not len(unlabelled):
        raise SettingsError(
            "unlabelled: there are no unlabelled images here. Give some, or set unlabelled to null to learn from the "
            "labelled ones alone."
        )
    if unlabelled.input_shape != train.input_shape or train.inputs.ndim != 4:
        raise SettingsError(
            f"unlabelled inputs are {unlabelled.input_shape}, labelled ones {train.input_shape}: both must be images "
            "of the same shape."
        )
    if processes > 1:
        raise SettingsError("unlabelled images are learned from by one process: leave out processes.")


# Presets

STEPS = {"fast": 800, "balanced": 2000, "best": 6000}
"""About how many steps a preset takes with unlabelled images; any other preset takes those of `balanced`."""

LABELLED = 64
"""Labelled images of a step."""

ALONE = 400
"""Steps of a training on the labelled images alone, about: a few of them are known by heart then."""


def semi_supervised(
    name: str, image_shape: tuple[int, int, int], labelled: int, unlabelled: int, classes: int
) -> Recipe:
    """The recipe of a preset for data with unlabelled images: the network of `fast`, for a step looks at many images.

    Args:
        name: of the preset; it decides the number of steps.
        image_shape: height, width, channels.
        labelled, unlabelled: number of training images.
        classes: number of classes.
    """
    recipe = preset(name, image_shape, labelled, classes)
    small = preset("fast", image_shape, labelled, classes).network
    moved = max(1, round(min(image_shape[:2]) / 14))
    settings = Unlabelled()
    settings = settings.model_copy(update={"strong": {**settings.strong, "shift": float(moved)}})
    steps = max(batch_count(labelled, LABELLED), -(-unlabelled // (LABELLED * settings.ratio)))
    return recipe.model_copy(
        update={
            "unlabelled": settings,
            "network": small,
            "optimizer": Muon(lr=0.02, weight_decay=0.01, adam_lr=0.01),
            "schedule": OneCycle(),
            "loss": CrossEntropy(),
            "augment": settings.strong,
            "epochs": max(1, round(STEPS.get(name, STEPS["balanced"]) / steps)),
            "batch_size": LABELLED,
            "ema": 0.99,
            "keep_best": False,
        }
    )


def labelled_alone(recipe: Recipe, labelled: int) -> Recipe:
    """The recipe without unlabelled images: the same network from ``labelled`` images, in about `ALONE` steps."""
    epochs = max(1, round(ALONE / batch_count(labelled, recipe.batch_size)))
    return recipe.model_copy(update={"unlabelled": None, "epochs": epochs})
