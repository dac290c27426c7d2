"""A fit in a child process: the budget, every way to fail, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from glyphnet.data import Splits
from glyphnet.studies.comparison.comparing import Fit, fit_in_child, share
from glyphnet.studies.comparison.methods import RowEstimator

Stubborn = Callable[..., Any]
FitIt = Callable[..., Fit]


@pytest.fixture
def fit(small: Splits, tmp_path: Path) -> Iterator[FitIt]:
    """Run an estimator on the small data; afterwards nothing may be left of it."""
    folder = tmp_path / "data"
    folder.mkdir()
    share(small, folder)
    before = sorted(folder.iterdir())

    def run(estimator: object, budget: float = 30.0, phases: list[tuple[str, float]] | None = None) -> Fit:
        def on_tick(phase: str, elapsed: float) -> None:
            if phases is not None:
                phases.append((phase, elapsed))

        return fit_in_child(RowEstimator(estimator), folder, budget=budget, threads=1, on_tick=on_tick)

    yield run
    assert sorted(folder.iterdir()) == before, "the fit's own folder is removed"


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_phases_are_told_and_the_answers_come_back(fit: FitIt, stubborn: Stubborn, small: Splits) -> None:
    phases: list[tuple[str, float]] = []
    found = fit(stubborn(), phases=phases)
    assert (found.status, found.reason, found.notes) == ("finished", "", ())
    assert found.probabilities is not None
    assert found.probabilities.shape == (len(small.test), 3)
    assert found.fit_seconds is not None
    assert found.predict_seconds is not None
    assert 0 < found.fit_seconds < 5
    assert 0 < found.predict_seconds < 5
    assert phases[0][0] == "starting"


def test_an_endless_fit_is_killed_when_its_budget_is_spent(fit: FitIt) -> None:
    endless = MLPClassifier(max_iter=10**9, tol=0.0, n_iter_no_change=10**9)
    phases: list[tuple[str, float]] = []
    began = time.monotonic()
    found = fit(endless, budget=0.5, phases=phases)
    starting = max(elapsed for phase, elapsed in phases if phase == "starting")
    assert (found.status, found.reason) == ("out of time", "did not finish in 0.5 s")
    assert found.fit_seconds is None
    assert max(elapsed for phase, elapsed in phases if phase == "fitting") >= 0.5
    assert time.monotonic() - began < starting + 10


def test_the_process_of_a_killed_fit_is_gone(fit: FitIt, stubborn: Stubborn, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    began = time.monotonic()
    assert fit(stubborn("sleep", mark=str(mark)), budget=0.2).status == "out of time"
    assert time.monotonic() - began < 30, "it was not waited for: it would sleep for 60"
    assert not alive(int(mark.read_text())), "the child was killed and buried"


def test_answers_have_a_budget_of_their_own(fit: FitIt, stubborn: Stubborn) -> None:
    found = fit(stubborn("sleep", at="predict"), budget=0.3)
    assert (found.status, found.reason) == ("out of time", "did not finish predicting in 0.3 s")
    assert found.fit_seconds is not None, "the fit came to its end"


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("die", "was killed by the system, most likely because memory ran out"),
        ("leave", "ended with status 3: no more"),
        ("memory", "not enough memory"),
        ("error", "ValueError: 'first\\nsecond' is not in list"),
    ],
)
def test_what_fails_is_told(fit: FitIt, stubborn: Stubborn, deed: str, reason: str) -> None:
    found = fit(stubborn(deed))
    assert (found.status, found.reason, found.probabilities) == ("failed", reason, None)


def test_a_crash_of_a_library_is_told_by_its_signal(fit: FitIt, stubborn: Stubborn) -> None:
    found = fit(stubborn("crash"))
    assert found.status == "failed"
    assert found.reason.startswith("crashed (SIGSEGV)")


def test_what_a_library_prints_is_no_message_and_what_it_warns_of_is_kept(fit: FitIt, stubborn: Stubborn) -> None:
    found = fit(stubborn("print"))
    assert found.status == "finished"
    assert np.allclose(found.probabilities, 1 / 3)
    assert fit(stubborn("warn")).notes == ("UserWarning: rather",)


def test_no_method_is_fitted_with_a_look_at_test_images(small: Splits, stubborn: Stubborn, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    share(small, folder)
    peeker = sys.modules[stubborn.__module__].Peeker()  # type: ignore[attr-defined]
    found = fit_in_child(peeker, folder, budget=30.0, threads=1, on_tick=lambda *_: None)
    assert found.notes == ("UserWarning: 60 train, 15 validation, 0 test",)


def test_a_child_ends_with_its_parent_even_if_that_is_killed(stubborn: Stubborn, small: Splits, tmp_path: Path) -> None:
    """SIGKILL leaves the parent no chance to clean up."""
    folder, mark = tmp_path / "data", tmp_path / "pid"
    folder.mkdir()
    share(small, folder)
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(tmp_path / "modules")!r})
from stubborn_estimator import Stubborn
from glyphnet.studies.comparison.comparing import fit_in_child
from glyphnet.studies.comparison.methods import RowEstimator
fit_in_child(RowEstimator(Stubborn("sleep", mark={str(mark)!r})), Path({str(folder)!r}), budget=50, threads=1,
          on_tick=lambda *_: None)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        try:
            _wait(lambda: mark.exists() and bool(mark.read_text()))
            child = int(mark.read_text())
            assert alive(child)
        finally:
            parent.send_signal(signal.SIGKILL)
    _wait(lambda: not alive(child) or _is_zombie(child), 20.0)  # it would sleep for 60


def _is_zombie(process: int) -> bool:
    """Dead, but nobody has buried it: in a container there may be nobody who does."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _wait(done: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"it did not happen within {seconds:g} s"
        time.sleep(0.05)
