"""Learning-rate schedules: pure functions of time, so a resumed training finds the same rate at the same step.

To add one: a class here with a ``name`` and ``factor``, and its name in ``SCHEDULES``.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from ..plugins import Table
from ..settings import OneOf, Settings, by_tag, not_a

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Schedule(Settings):
    """What every schedule has."""

    name: str

    def factor(self, done: float, epoch: int) -> float:
        """What multiplies the learning rate when a share ``done`` of the training is over, in ``epoch`` (from 0)."""
        raise NotImplementedError


class Constant(Schedule):
    """The same rate from the first step to the last."""

    name: Literal["constant"] = "constant"

    def factor(self, done: float, epoch: int) -> float:
        """Always 1."""
        return 1.0


class StepDecay(Schedule):
    """The rate is multiplied by ``gamma`` after every ``every`` epochs.

    Attributes:
        every: epochs between two decays.
        gamma: what each multiplies the rate by.
    """

    name: Literal["step"] = "step"
    every: Annotated[int, Field(ge=1)] = 10
    gamma: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1

    def factor(self, done: float, epoch: int) -> float:
        """``gamma`` to the number of decays so far."""
        return float(self.gamma ** (epoch // self.every))


class Cosine(Schedule):
    """A linear warm-up, then half a cosine down to ``final`` (Loshchilov and Hutter, 2017, without restarts).

    Attributes:
        warmup: share of the training over which the rate rises from 0.
        final: the factor at the end.
    """

    name: Literal["cosine"] = "cosine"
    warmup: Share = 0.0
    final: Share = 0.0

    def factor(self, done: float, epoch: int) -> float:
        """Rises to 1 at ``warmup``, falls to ``final`` at the end."""
        if done < self.warmup:
            return done / self.warmup
        fall = (done - self.warmup) / max(1.0 - self.warmup, 1e-12)
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * fall))


class OneCycle(Schedule):
    """One cycle: linearly up to the full rate, linearly down to nearly nothing (Smith and Topin, 2018).

    Attributes:
        warmup: share of the training at which the rate is highest.
        start: the factor at the beginning.
        final: the factor at the end.
    """

    name: Literal["one-cycle"] = "one-cycle"
    warmup: Share = 0.25
    start: Share = 0.0
    final: Share = 0.0

    def factor(self, done: float, epoch: int) -> float:
        """A triangle with its top at ``warmup``."""
        if done < self.warmup:
            return self.start + (1.0 - self.start) * done / self.warmup
        return 1.0 + (self.final - 1.0) * (done - self.warmup) / max(1.0 - self.warmup, 1e-12)


class InverseTime(Schedule):
    """The rate in epoch t (from 0) is divided by 1 + ``decay``·t.

    Attributes:
        decay: how fast.
    """

    name: Literal["inverse-time"] = "inverse-time"
    decay: Annotated[float, Field(ge=0.0)] = 1e-3

    def factor(self, done: float, epoch: int) -> float:
        """1 / (1 + decay·epoch)."""
        return 1.0 / (1.0 + self.decay * epoch)


SCHEDULES: Table[type[Schedule]] = Table(
    "schedules", by_tag(Constant, StepDecay, Cosine, OneCycle, InverseTime), not_a(Schedule)
)
"""Each by its name in a recipe."""

AnySchedule = Annotated[Schedule, OneOf(SCHEDULES)]
"""The type of a field of a recipe."""
