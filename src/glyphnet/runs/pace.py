"""How long an epoch of a recipe takes here and now: measured in a few steps, which are forgotten."""

from __future__ import annotations

import time

from ..data import Splits
from ..training import Callback, Examples, StepInfo
from ..training.fit import Fitting, validate
from ..training.state import HistoryRow, TrainingState


def seconds_an_epoch(fitting: Fitting, splits: Splits, most: float) -> float:
    """Seconds an epoch of a training takes, its validation included, measured in ``most`` seconds or in a few steps.

    Over a backbone it is an epoch that trains all weights, not the first one.

    Args:
        fitting: a training before its first step, which cannot be used afterwards.
    """
    clock, validation = _Clock(most), fitting.validation
    fitting.validation = None
    if fitting.recipe.backbone is not None:
        fitting.state.epoch = 1
    fitting.run(callbacks=[clock], epochs=1)
    judging = 0.0
    if validation is not None:
        part = Examples(validation.inputs[:1000], validation.labels[:1000]).on(fitting.state.device)
        began = time.perf_counter()
        validate(fitting.state.eval_model(), fitting.state.preprocessing, part, fitting.recipe)
        judging = (time.perf_counter() - began) * len(splits.validation) / len(part)
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
        """Time the whole epoch if it had fewer than two steps after the warm-up."""
        self.seconds_an_epoch = self.seconds_an_epoch or float(row["seconds"] or 0.0)
        return True
