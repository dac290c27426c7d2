"""One trial: a contestant fitted in a process of its own, which is killed when its budget is spent."""

from __future__ import annotations

import contextlib
import pickle
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..childprocess import Child, Message
from ..files import new_file, temporary_folder
from .contestants import Contestant
from .worker import JOB, PROBABILITIES

TICK = 0.1  # seconds between two looks at the clock
_MAIN = "glyphnet.comparison.worker:main"

Status = Literal["finished", "out of time", "failed", "missing"]
Ticking = Callable[[str, float], None]
"""Told now and then the phase ("starting", "fitting", "predicting") and how many seconds it has taken."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a trial.

    Attributes:
        status: "finished", "out of time", "failed", or "missing" where the library is not installed.
        reason: why it did not finish, in words without a full stop; empty if it did.
        probabilities: float (N, K) for the test images, or None.
        fit_seconds: of wall time; None if it was not fitted.
        predict_seconds: for all test images together; None if it did not finish.
        size: of the saved model, in bytes; None if it did not finish.
        notes: what the library warned of.
    """

    status: Status
    reason: str = ""
    probabilities: npt.NDArray[np.floating] | None = None
    fit_seconds: float | None = None
    predict_seconds: float | None = None
    size: int | None = None
    notes: tuple[str, ...] = ()


def run_trial(contestant: Contestant, data: Path, *, budget: float, threads: int, ticking: Ticking) -> Outcome:
    """Fit a contestant and let it answer on the test images, in a fresh interpreter.

    Args:
        contestant: can be pickled.
        data: the folder that `hand_over` has filled.
        budget: seconds for the fit, and as many again for the answers; starting up does not count.
        threads: how many the process may use.
        ticking: see `Ticking`.
    """
    with temporary_folder(data) as trial:
        with new_file(trial / JOB) as file:
            pickle.dump(contestant, file)
        messages: queue.Queue[Message] = queue.Queue()
        log = trial / "log.txt"
        with Child(_MAIN, [str(data), str(trial)], threads=threads, log=log, heard=messages.put) as child:
            last = _follow(messages, budget, ticking)
            if last["phase"] == "gone":
                return Outcome("failed", child.how_it_ended())
        return _outcome(last, trial, budget)


def _follow(messages: queue.Queue[Message], budget: float, ticking: Ticking) -> Message:
    """The worker's last message, or its last phase with ``"late": True`` when the budget of that is spent."""
    message: Message = {"phase": "starting"}
    began = time.monotonic()
    while True:
        elapsed = time.monotonic() - began
        ticking(message["phase"], elapsed)
        if message["phase"] != "starting" and elapsed >= budget:
            return {**message, "late": True}
        with contextlib.suppress(queue.Empty):
            message, began = messages.get(timeout=TICK), time.monotonic()
            if message["phase"] not in ("fitting", "predicting"):
                return message


def _outcome(last: Message, trial: Path, budget: float) -> Outcome:
    if last.get("late"):
        took = last.get("fit_seconds")
        doing = "" if took is None else " predicting"
        return Outcome("out of time", f"did not finish{doing} in {budget:g} s", fit_seconds=took)
    if last["phase"] == "failed":
        return Outcome("failed", last["reason"])
    return Outcome(
        status="finished",
        probabilities=np.load(trial / PROBABILITIES),
        fit_seconds=last["fit_seconds"],
        predict_seconds=last["predict_seconds"],
        size=last["bytes"],
        notes=tuple(last["notes"]),
    )
