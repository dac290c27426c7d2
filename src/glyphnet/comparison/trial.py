"""One trial: a contestant fitted in a process of its own, which is killed when its budget is spent."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from .contestants import Contestant
from .worker import JOB, PROBABILITIES

TICK = 0.1  # seconds between two looks at the clock
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_LOG = "log.txt"

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

    Not `multiprocessing`: that would run the user's own script again in the child, and need it to be guarded.

    Args:
        contestant: can be pickled.
        data: the folder that `hand_over` has filled.
        budget: seconds for the fit, and as many again for the answers; starting up does not count.
        threads: how many the process may use.
        ticking: see `Ticking`.
    """
    with tempfile.TemporaryDirectory(dir=data) as name:
        trial = Path(name)
        (trial / JOB).write_bytes(pickle.dumps(contestant))
        with _child(data, trial, threads) as (process, messages):
            last = _follow(messages, budget, ticking)
            if last["phase"] == "gone":
                return Outcome("failed", _how_it_ended(process.wait(), trial / _LOG))
        return _outcome(last, trial, budget)


@contextmanager
def _child(data: Path, trial: Path, threads: int) -> Iterator[tuple[subprocess.Popen[str], queue.Queue[Any]]]:
    """A running worker and its messages, of which the last is None; whatever happens, it is dead afterwards."""
    code = f"import sys; sys.path[:] = {sys.path!r}\nfrom glyphnet.comparison.worker import main\n"
    code += f"main({str(data)!r}, {str(trial)!r})"
    messages: queue.Queue[Any] = queue.Queue()
    with open(trial / _LOG, "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env={**os.environ, **dict.fromkeys(_THREADS, str(threads))},
            start_new_session=True,  # Ctrl-C is for us; and with the child we can kill what it has started
        )
    assert process.stdin is not None
    assert process.stdout is not None
    listener = threading.Thread(target=_listen, args=(process.stdout, messages), daemon=True)
    try:
        listener.start()
        yield process, messages
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of the dead
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        listener.join()
        process.stdin.close()
        process.stdout.close()


def _listen(lines: IO[str], messages: queue.Queue[Any]) -> None:
    for line in lines:
        messages.put(json.loads(line))
    messages.put({"phase": "gone"})


def _follow(messages: queue.Queue[Any], budget: float, ticking: Ticking) -> dict[str, Any]:
    """The worker's last message, or its last phase with ``"late": True`` when the budget of that is spent."""
    message: dict[str, Any] = {"phase": "starting"}
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


def _outcome(last: dict[str, Any], trial: Path, budget: float) -> Outcome:
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


def _how_it_ended(status: int, log: Path) -> str:
    if status == -signal.SIGKILL:
        return "was killed by the system, most likely because memory ran out"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = f": {lines[-1].strip()}" if lines else ""
    if status < 0:
        return f"crashed ({signal.Signals(-status).name}){said}"
    return f"ended with status {status}{said}"
