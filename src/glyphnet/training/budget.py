"""A training that fits a time: how many passes it has room for is measured, not guessed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..nn import summary
from .callbacks import Callback, StepInfo
from .examples import Examples
from .fit import Fitting, validate
from .recipe import Recipe
from .state import HistoryRow, TrainingState

PLANNED = 0.92
"""Share of the time that is planned for: a machine is not equally quick all the time."""

TRIED = 0.02
"""Share of the time in which each recipe is tried; two steps at least, after two that warm up."""

ENOUGH = 0.8
"""Share of a recipe's own passes from which on it is taken, and not a smaller recipe with all the passes that fit.

With half of its passes `balanced` was seen to be no better than `fast` in as much time or less (benchmarks/passes.py).
"""

HOPELESS = 0.5
"""A recipe is not even tried if this share of the passes that it needs would not fit, by its FLOPs."""

MOST = 8
"""How many times its own passes a recipe is given at most: so many still gained half a point on clothes, nothing on
digits."""


@dataclass(frozen=True)
class Plan:
    """What fits.

    Attributes:
        index: which of the candidates.
        recipe: it, with its number of epochs.
        seconds: how long its training is expected to take.
    """

    index: int
    recipe: Recipe
    seconds: float


def within(
    seconds: float,
    candidates: Sequence[Recipe],
    train: Examples,
    validation: Examples | None,
    *,
    classes: int,
    device: str = "auto",
) -> Plan:
    """The first of ``candidates`` that has room for enough passes, or the last one, with as many as there is room for.

    Each that has a chance is tried for a few steps; what it learns there is forgotten.

    Args:
        seconds: for training and validation, those tries included.
        candidates: recipes, the best but slowest first; their epochs say how many passes do them good.
        train, validation, classes, device: as for `fit`.
    """
    began = time.perf_counter()

    def plan(recipe: Recipe) -> Plan:
        an_epoch = seconds_an_epoch(recipe, train, validation, TRIED * seconds, classes=classes, device=device)
        room = (PLANNED * seconds - (time.perf_counter() - began)) / an_epoch
        epochs = max(1, min(int(room), MOST * recipe.epochs))
        return Plan(candidates.index(recipe), recipe.override({"epochs": epochs}), epochs * an_epoch)

    def flops(recipe: Recipe) -> int:
        return summary(recipe.network, train.input_shape, classes).flops

    *slower, quickest = candidates
    surest = plan(quickest)
    a_flop = surest.seconds / surest.recipe.epochs / flops(quickest)
    for recipe in slower:
        # Small networks do fewer FLOPs a second than large ones: only what is far from fitting is not tried.
        if HOPELESS * ENOUGH * recipe.epochs * flops(recipe) * a_flop < seconds:
            tried = plan(recipe)
            if tried.recipe.epochs >= ENOUGH * recipe.epochs:
                return tried
    return surest


def seconds_an_epoch(
    recipe: Recipe, train: Examples, validation: Examples | None, most: float, *, classes: int, device: str = "auto"
) -> float:
    """How long an epoch of ``recipe`` takes here and now, measured in ``most`` seconds or in a few steps."""
    fitting, clock = Fitting(recipe, train, None, classes, device), _Clock(most)
    fitting.run(callbacks=[clock], epochs=1)
    judging = 0.0
    if validation is not None and len(validation):
        part = Examples(validation.inputs[:1000], validation.labels[:1000]).on(fitting.state.device)
        began = time.perf_counter()
        validate(fitting.state.eval_model(), fitting.state.preprocessing, part, recipe)
        judging = (time.perf_counter() - began) * len(validation) / len(part)
    return clock.seconds_an_epoch + judging


class _Clock(Callback):
    """Times the steps, without the first two, and stops after ``most`` seconds."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._began = time.perf_counter()
        self.seconds_an_epoch = 0.0

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Stop when the time is over and two steps were timed."""
        state.totals[0].item()  # waits for the device
        now = time.perf_counter()
        if info.step <= 2 < info.steps:
            self._began = now
            return False
        timed = info.step - (2 if info.steps > 2 else 0)
        self.seconds_an_epoch = (now - self._began) * info.steps / timed
        return timed >= 2 and now - self._began >= self._most

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """What an epoch took, if it was over so soon that not even two steps came after the warm-up."""
        self.seconds_an_epoch = self.seconds_an_epoch or float(row["seconds"] or 0.0)
        return True
