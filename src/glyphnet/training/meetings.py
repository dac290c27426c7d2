"""When the processes of one training look at one another, between steps."""

from __future__ import annotations

import time

import torch

from .distributed import rank, sum_of_all, world_size
from .state import TrainingState

EVERY = 0.2
"""Seconds between two meetings of several processes, about: each costs two small messages."""


class Meetings:
    """The meetings of one epoch: there the totals are added up, the watchers are told, and a stop is agreed on.

    One process alone meets itself after every step, which costs nothing. Several meet after the first step, then
    several times a second, and after the last step: all after the same ones, whatever their clocks say.

    Args:
        state: at the beginning of the epoch, or where it is gone on with.
    """

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._known = state.totals.clone() if world_size() > 1 else state.totals
        self._step, self._next, self._met = state.step, state.step + 1, time.perf_counter()

    def due(self, steps: int) -> bool:
        """Whether there is one after the step just done, of ``steps``."""
        return world_size() == 1 or self._state.step in (self._next, steps)

    def add_up(self) -> None:
        """Make the totals those of all processes."""
        if world_size() > 1:
            if self._known.is_cuda:
                # On processors, where one that is gone is noticed, before this one waits for its GPU.
                sum_of_all(torch.zeros(1))
            self._known += sum_of_all(self._state.totals - self._known)
            self._state.totals.copy_(self._known)

    def agree(self, asked: bool) -> bool:
        """Whether any process asks to stop; settles when the next meeting is, by the first one's clock."""
        if world_size() == 1:
            return asked
        now, step = time.perf_counter(), self._state.step
        done = step - self._step
        # Not much further than it was: the first steps of a network say little of the others.
        ahead = max(1, min(4 * done, int(EVERY * done / max(now - self._met, 1e-9))))
        answers = sum_of_all(torch.tensor([float(asked), float(ahead) if rank() == 0 else 0.0])).tolist()
        self._step, self._next, self._met = step, step + int(answers[1]), now
        return bool(answers[0])
