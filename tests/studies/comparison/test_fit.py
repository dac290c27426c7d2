"""A fit in a child process: the budget, every way to fail, and that nothing of it is left."""

from __future__ import annotations

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
from glyphnet.studies.comparison import comparing
from glyphnet.studies.comparison.comparing import Fit, OnTick, fit_in_child, share
from glyphnet.studies.comparison.methods import RowEstimator

from ...processes import alive, wait_for

Stubborn = Callable[..., Any]
FitIt = Callable[..., Fit]

pytestmark = pytest.mark.usefixtures("forked_children")


@pytest.fixture
def fit(small: Splits, tmp_path: Path) -> Iterator[FitIt]:
    """Run an estimator on the small data; afterwards nothing may be left of it."""
    folder = tmp_path / "data"
    folder.mkdir()
    share(small, folder)
    before = sorted(folder.iterdir())

    def run(estimator: object, budget: float = 30.0, on_tick: OnTick = lambda phase, elapsed: None) -> Fit:
        return fit_in_child(RowEstimator(estimator), folder, budget=budget, threads=1, on_tick=on_tick)

    yield run
    assert sorted(folder.iterdir()) == before, "the fit's own folder is removed"


def test_the_phases_are_told_and_the_answers_come_back(fit: FitIt, stubborn: Stubborn, small: Splits) -> None:
    phases: list[tuple[str, float]] = []
    found = fit(stubborn(), on_tick=lambda *tick: phases.append(tick))
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
    found = fit(endless, budget=0.5, on_tick=lambda *tick: phases.append(tick))
    starting = max(elapsed for phase, elapsed in phases if phase == "starting")
    assert (found.status, found.reason) == ("out of time", "did not finish in 0.5 s")
    assert found.fit_seconds is None
    assert max(elapsed for phase, elapsed in phases if phase == "fitting") >= 0.5
    assert time.monotonic() - began < starting + 10


class Clock:
    """Stands in for the module `time` of the fit: it stands still but for what it is put forward."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(comparing, "time", clock)
    return clock


def test_the_process_of_a_killed_fit_is_gone(fit: FitIt, stubborn: Stubborn, clock: Clock, tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    def on_tick(phase: str, elapsed: float) -> None:
        if phase == "fitting" and mark.exists() and mark.read_text():
            clock.now = 31.0

    began = time.monotonic()
    assert fit(stubborn("sleep", mark=str(mark)), on_tick=on_tick).status == "out of time"
    assert time.monotonic() - began < 30, "it was not waited for: it would sleep for 60"
    assert not Path(f"/proc/{mark.read_text()}").exists(), "the child was killed and buried"


def test_answers_have_a_budget_of_their_own(fit: FitIt, stubborn: Stubborn, clock: Clock) -> None:
    def on_tick(phase: str, elapsed: float) -> None:
        clock.now += {"fitting": 0.001, "predicting": 10.0}.get(phase, 0.0)

    found = fit(stubborn("sleep", at="predict"), on_tick=on_tick)
    assert (found.status, found.reason) == ("out of time", "did not finish predicting in 30 s")
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
            wait_for(lambda: mark.exists() and mark.read_text(), parent)
            child = int(mark.read_text())
            assert alive(child)
        finally:
            parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not alive(child), seconds=20)  # it would sleep for 60
