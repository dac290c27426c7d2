"""How many trainings run at the same time: side by side in processes, or one after another."""

from __future__ import annotations

import torch

from ..data import Splits
from ..nn import summary
from ..training import Recipe, choose_device
from ..training.arithmetic import Arithmetic
from ..training.collective import Place
from ..training.device import usable_cores
from ..training.examples import batch_count

START_SECONDS = 4.0
"""What a child process takes longer than this process until its first step and its first report: imports."""

_REPORT_SECONDS = 0.5  # of a small report,
_REPORT_SECONDS_AN_IMAGE = 2e-4  # and more for each image in it
_STEP_SECONDS = 1e-4  # of a step of the smallest networks, on any machine of today
_FLOPS_A_SECOND = 6e10  # of one core, forward and backward, in convolutions and products


def choose_at_once(recipe: Recipe, splits: Splits, seeds: int, device: str, *, reports: bool) -> int:
    """How many trainings to run at the same time, each in its own process; 1 for one after another in this one.

    Decided from the work and the cores, not from the clock: the same command always does the same. On a GPU, which
    one training can fill, one after another. On a processor side by side, one for each core, unless that saves less
    time than the processes take to start.

    Raises:
        SettingsError: the network does not go with the images.
    """
    seconds_each = expected_seconds(recipe, splits, reports=reports)
    cores = min(seeds, torch.get_num_threads(), usable_cores()) if choose_device(device).type == "cpu" else 1
    saved = seconds_each * (seeds - -(-seeds // cores))
    return cores if saved > START_SECONDS else 1


def choose_arithmetic(recipe: Recipe, splits: Splits, at_once: int, device: str, threads: int | None) -> Arithmetic:
    """How each of them computes: as one training with this share of the cores does.

    Raises:
        DeviceError, SettingsError: as `Arithmetic.choose`.
    """
    place = Place(local_size=at_once)
    return Arithmetic.choose(recipe, splits.image_shape, len(splits.classes), len(splits.train), device, place, threads)


def expected_seconds(recipe: Recipe, splits: Splits, *, reports: bool) -> float:
    """Roughly how long one training, and its report if it has one, take on one core, if no early stop ends it.

    Raises:
        SettingsError: the network does not go with the images.
    """
    images = len(splits.train)
    flops = 3 * summary(recipe.network, splits.image_shape, len(splits.classes)).flops  # backward: twice the forward
    steps = 1 if recipe.optimizer.full_batch else batch_count(images, recipe.batch_size)
    training = recipe.epochs * (steps * _STEP_SECONDS + images * flops / _FLOPS_A_SECOND)
    return training + reports * (_REPORT_SECONDS + _REPORT_SECONDS_AN_IMAGE * len(splits.test))


def in_words(at_once: int) -> str:
    """How the trainings run, to follow their number: ``"2 side by side"`` or ``"one after another"``."""
    return f"{at_once} side by side" if at_once > 1 else "one after another"
