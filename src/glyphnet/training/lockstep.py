"""Several trainings that differ in their seed alone, step by step as one batched computation.

Each training goes through its own loop, with its own order, random numbers, history and watchers; only the steps that
the loops ask for are done together. Beside the loops, ten steps of the smallest networks then take hardly longer than
one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DivergedError
from ..nn import InputShape, build
from ..nn.batched import OwnRandom, batched, can_be_batched, part, together
from .batches import Batch
from .fit import Fitting
from .handwritten import Gradients
from .muon import Together
from .progress import Watcher
from .recipe import Recipe
from .state import TrainingState
from .step import dtype_of, flops_a_step
from .updates import quick_update


def can_go_in_lockstep(recipe: Recipe, input_shape: InputShape, classes: int, device: torch.device) -> bool:
    """Whether such trainings can be done together: fully connected networks on the processor, batch by batch."""
    with torch.device("meta"):
        network = build(recipe.network, input_shape, classes)
    flops = flops_a_step(recipe, input_shape, classes, recipe.batch_size)
    is_float32 = dtype_of(recipe, device, flops) == torch.float32
    return device.type == "cpu" and is_float32 and not recipe.optimizer.full_batch and can_be_batched(network)


def run_in_lockstep(fittings: Sequence[Fitting], watchers: Sequence[Sequence[Watcher]]) -> None:
    """Run trainings to their ends, as `Fitting.run` would each, to within rounding.

    A training that diverges is left where it was last written down: to go on with it alone shows what is wrong.
    Those that are not at the same step of the same epoch go in turn.

    Args:
        fittings: with recipes that differ in the seed alone, on the same examples, for which `can_go_in_lockstep` is
            true. Of no use afterwards but for their states.
        watchers: of each.
    """
    by_position: dict[tuple[int, int], list[_Running]] = {}
    for fitting, watching in zip(fittings, watchers, strict=True):
        position = (fitting.state.epoch, fitting.state.step)
        by_position.setdefault(position, []).append(_Running(fitting, watching))
    for running in by_position.values():
        with running[0].fitting.arithmetic():
            _run(running)


class _Running:
    """A training, and the steps that it asks for.

    Attributes:
        own_random: gives a context in which torch's random numbers are this training's, where it draws any.
    """

    def __init__(self, fitting: Fitting, watchers: Sequence[Watcher]) -> None:
        self.fitting, self._steps = fitting, fitting.steps(watchers=watchers)
        self.own_random: OwnRandom = fitting.state.own_random if _draws(fitting.state) else nullcontext

    def next(self) -> Tensor | None:
        """The indices of its next batch, or None if it has come to an end."""
        with self.own_random():
            try:
                return next(self._steps)
            except (StopIteration, DivergedError):
                return None

    def batch(self, index: Tensor) -> Batch:
        """The batch itself."""
        with self.own_random():
            return self.fitting.batches(index)


def _draws(state: TrainingState) -> bool:
    return state.augmenter.changes_batches or any(isinstance(layer, nn.Dropout) for layer in state.network.children())


def _run(running: list[_Running]) -> None:
    step: BatchedStep | None = None
    while running:
        asked = [(each, index) for each in running if (index := each.next()) is not None]
        if step is None or len(asked) < len(running):
            running = [each for each, _ in asked]
            step = BatchedStep(running) if running else None
        if step is not None:
            step([index for _, index in asked])


class BatchedStep:
    """A step of each of several trainings, done as one.

    What the trainings hold, weights and moments, is from here on a part of what this holds: each is complete whenever
    one looks at it, or writes it down.

    Args:
        running: all at the same step.
    """

    def __init__(self, running: Sequence[_Running]) -> None:
        self._running, self._states = running, [each.fitting.state for each in running]
        recipe, self._augments = self._states[0].recipe, self._states[0].augmenter.changes_batches
        network = batched([state.network for state in self._states], [each.own_random for each in running])
        self._loss, self._optimizer = recipe.loss, recipe.optimizer.build(network)
        self._gradients = Gradients(network, recipe, len(running))
        self._update = quick_update(self._optimizer)
        self._are_parts = False
        for slots, own in self._slots():
            for name, first in own[0].items():
                slots[name] = together([each[name] for each in own]) if _is_each(first) else deepcopy(first)

    def __call__(self, indices: Sequence[Tensor]) -> None:
        """Do the step on the examples at ``indices``, int64 (n,) of each training."""
        for group, own in zip(self._optimizer.param_groups, self._states[0].optimizer.param_groups, strict=True):
            group["lr"] = own["lr"]
        with torch.no_grad():
            answers = self._gradients.of(self._batch(indices), self._loss)
            self._update()
        if not self._are_parts:  # now the optimizer has all that it will ever have
            self._give_parts()
        for state, its_answers in zip(self._states, answers.divided(len(self._states)), strict=True):
            state.tally.count_later(its_answers)

    def _batch(self, indices: Sequence[Tensor]) -> Batch:
        """The batches of all, one after another."""
        if not self._augments:
            return self._running[0].batch(torch.cat(list(indices)))
        parts = [each.batch(index) for each, index in zip(self._running, indices, strict=True)]
        x, labels, targets, weights = zip(*parts, strict=True)
        return Batch(
            torch.cat(x), torch.cat(labels), torch.cat(targets), None if weights[0] is None else torch.cat(weights)
        )

    def _give_parts(self) -> None:
        """Make each training's optimizer keep parts of what this one keeps."""
        self._are_parts = True
        for slots, own in self._slots():
            for name, whole in slots.items():
                for number, each in enumerate(own):
                    each[name] = part(whole, number, len(own)) if _is_each(whole) else whole

    def _slots(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """What the optimizer keeps of each parameter, and what the trainings' optimizers keep of theirs."""
        optimizers = [self._optimizer, *(state.optimizer for state in self._states)]
        for whole, *own in zip(*map(_parts_of, optimizers), strict=True):
            for groups in zip(*(each.param_groups for each in (whole, *own)), strict=True):
                for parameter, *parameters in zip(*(group["params"] for group in groups), strict=True):
                    yield whole.state[parameter], [o.state[p] for o, p in zip(own, parameters, strict=True)]


def _parts_of(optimizer: torch.optim.Optimizer) -> Sequence[torch.optim.Optimizer]:
    return optimizer.parts if isinstance(optimizer, Together) else (optimizer,)


def _is_each(slot: object) -> bool:
    """Whether an optimizer keeps it for each weight; else it is the same for all, like the number of steps."""
    return isinstance(slot, Tensor) and slot.ndim > 0
