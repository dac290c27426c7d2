"""How several trainings are done: as one computation, side by side, or one after another."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..augment import Augmenter
from ..data import Splits
from ..nn import summary
from ..nn.products import uses_onednn
from ..training import Recipe, choose_device
from ..training.examples import batch_count
from ..training.lockstep import can_go_in_lockstep
from ..training.step import flops_a_step

START_SECONDS = 4.0
"""What a process takes more than this one until its first step and its first report: imports."""

_REPORT_SECONDS = 0.5  # of a small one,
_REPORT_SECONDS_AN_IMAGE = 2e-4  # and more for each image in it
_STEP_SECONDS = 1e-4  # of a step of the smallest networks, on any machine of today
_FLOPS_A_SECOND = 6e10  # of one core, forward and backward, in convolutions and products

BATCHED_FLOPS = 7e6
"""Forward work of one network's step up to which one batched computation was 1.6 to 2.7 times as quick, on one core."""

BATCHED_FLOPS_BESIDE_ONEDNN = 2e6
"""The same where oneDNN does the products of each network alone, and MKL, at half its speed, those of all at once."""

_BATCHED_GAIN = 2.0
_SIDE_BY_SIDE_GAIN = 0.8  # of each process: two were seen to be 1.5 to 1.75 times as quick as one


class Way(NamedTuple):
    """How several trainings are done.

    Attributes:
        at_once: how many side by side, each in a process; 1 for one after another in this one.
        batched: whether they learn as one batched computation in this process; what is left to do side by side, or one
            after another, is to judge each and to write its report.
    """

    at_once: int
    batched: bool = False

    def __str__(self) -> str:
        """As a sentence goes on after the number of trainings."""
        if self.batched:
            return "as one batched computation"
        return f"{self.at_once} side by side" if self.at_once > 1 else "one after another"


def choose_way(recipe: Recipe, splits: Splits, seeds: int, device: str, *, reports: bool) -> Way:
    """The quickest way, told from the work and the cores, not from the clock: the same command does the same always.

    On a GPU, which one training can fill, one after another. On a processor side by side, one for each core: a core
    that computes a step alone waits for no other; but one after another where all that would be saved is less than what
    the processes take to start. Networks so small that to call a product takes as long as to do it learn as one, unless
    there are so many cores that even these are quicker side by side.
    """
    cores = min(seeds, torch.get_num_threads()) if choose_device(device).type == "cpu" else 1
    training = expected_seconds(recipe, splits, reports=False)
    reporting = reports * _report_seconds(splits)

    def processes(seconds_each: float) -> int:
        saved = seconds_each * (seeds - -(-seeds // cores))
        return cores if saved > START_SECONDS else 1

    at_once = processes(training + reporting)
    if not _suits_a_batch(recipe, splits, device):
        return Way(at_once)
    seconds = seeds * training / max(1.0, at_once * _SIDE_BY_SIDE_GAIN) + START_SECONDS * (at_once > 1)
    is_quicker = seeds * training / _BATCHED_GAIN < seconds
    return Way(processes(reporting), batched=True) if is_quicker else Way(at_once)


def _suits_a_batch(recipe: Recipe, splits: Splits, device: str) -> bool:
    """Whether one batched computation is possible, and clearly quicker than one training after another."""
    shape, classes = splits.image_shape, len(splits.classes)
    flops = flops_a_step(recipe, shape, classes, len(splits.train))
    most = BATCHED_FLOPS_BESIDE_ONEDNN if uses_onednn() else BATCHED_FLOPS
    is_small = flops <= most and not Augmenter(recipe.augment).warps
    return is_small and can_go_in_lockstep(recipe, shape, classes, choose_device(device))


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
    return training + reports * _report_seconds(splits)


def _report_seconds(splits: Splits) -> float:
    """Roughly how long a report takes."""
    return _REPORT_SECONDS + _REPORT_SECONDS_AN_IMAGE * len(splits.test)
