"""How many trainings side by side, and whether processes are worth their start."""

from __future__ import annotations

import torch

from ..data import Splits
from ..nn import summary
from ..training import Recipe, choose_device
from ..training.examples import batch_count

START_SECONDS = 4.0
"""What a process takes more than this one until its first step and its first report: imports."""

_REPORT_SECONDS = 0.5  # of a small one,
_REPORT_SECONDS_AN_IMAGE = 2e-4  # and more for each image in it
_STEP_SECONDS = 1e-4  # of a step of the smallest networks, on any machine of today
_FLOPS_A_SECOND = 6e10  # of one core, forward and backward, in convolutions and products


def choose_at_once(recipe: Recipe, splits: Splits, seeds: int, device: str, *, reports: bool) -> int:
    """How many of so many trainings are best side by side: 1 means one after another in this process.

    On a GPU, which one training can fill, 1. On a processor one for each core: a core that computes a step alone waits
    for no other. But 1 where all that would be saved is less than what the processes take to start. That is told from
    the work, not from the clock: the same command does the same everywhere and every time.
    """
    cores = torch.get_num_threads()
    at_once = min(seeds, cores)
    if choose_device(device).type != "cpu" or at_once < 2:
        return 1
    rounds = -(-seeds // at_once)
    saved = expected_seconds(recipe, splits, reports=reports) * (seeds - rounds)
    return at_once if saved > START_SECONDS else 1


def threads_each(at_once: int) -> int:
    """How many threads each of them computes with."""
    return max(1, torch.get_num_threads() // at_once)


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
