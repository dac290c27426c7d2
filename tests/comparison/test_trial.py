"""A trial in a child process: the budget, every way to fail, and that nothing of it is left."""

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

from glyphnet.comparison.contestants import EstimatorContestant
from glyphnet.comparison.handover import hand_over
from glyphnet.comparison.trial import Outcome, run_trial
from glyphnet.data import Splits

Stubborn = Callable[..., Any]
Trial = Callable[..., Outcome]


@pytest.fixture
def trial(small: Splits, tmp_path: Path) -> Iterator[Trial]:
    """Run an estimator on the small data; afterwards nothing may be left of it."""
    folder = tmp_path / "data"
    folder.mkdir()
    hand_over(small, folder)
    before = sorted(folder.iterdir())

    def run(estimator: object, budget: float = 30.0, phases: list[tuple[str, float]] | None = None) -> Outcome:
        def ticking(phase: str, elapsed: float) -> None:
            if phases is not None:
                phases.append((phase, elapsed))

        return run_trial(EstimatorContestant(estimator), folder, budget=budget, threads=1, ticking=ticking)

    yield run
    assert sorted(folder.iterdir()) == before, "the trial's own folder is removed"


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_phases_are_told_and_the_answers_come_back(trial: Trial, stubborn: Stubborn, small: Splits) -> None:
    phases: list[tuple[str, float]] = []
    outcome = trial(stubborn(), phases=phases)
    assert (outcome.status, outcome.reason, outcome.notes) == ("finished", "", ())
    assert outcome.probabilities is not None
    assert outcome.probabilities.shape == (len(small.test), 3)
    assert outcome.fit_seconds is not None
    assert outcome.predict_seconds is not None
    assert 0 < outcome.fit_seconds < 5
    assert 0 < outcome.predict_seconds < 5
    assert phases[0][0] == "starting"


def test_an_endless_fit_is_killed_when_its_budget_is_spent(trial: Trial) -> None:
    endless = MLPClassifier(max_iter=10**9, tol=0.0, n_iter_no_change=10**9)
    phases: list[tuple[str, float]] = []
    began = time.monotonic()
    outcome = trial(endless, budget=0.5, phases=phases)
    starting = max(elapsed for phase, elapsed in phases if phase == "starting")
    assert (outcome.status, outcome.reason) == ("out of time", "did not finish in 0.5 s")
    assert outcome.fit_seconds is None
    assert max(elapsed for phase, elapsed in phases if phase == "fitting") >= 0.5
    assert time.monotonic() - began < starting + 10


def test_the_process_of_a_killed_fit_is_gone(trial: Trial, stubborn: Stubborn, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    began = time.monotonic()
    assert trial(stubborn("sleep", mark=str(mark)), budget=0.2).status == "out of time"
    assert time.monotonic() - began < 30, "it was not waited for: it would sleep for 60"
    assert not alive(int(mark.read_text())), "the child was killed and buried"


def test_answers_have_a_budget_of_their_own(trial: Trial, stubborn: Stubborn) -> None:
    outcome = trial(stubborn("sleep", at="predict"), budget=0.3)
    assert (outcome.status, outcome.reason) == ("out of time", "did not finish predicting in 0.3 s")
    assert outcome.fit_seconds is not None, "the fit came to its end"


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("die", "was killed by the system, most likely because memory ran out"),
        ("leave", "ended with status 3: no more"),
        ("memory", "not enough memory"),
        ("error", "ValueError: 'first\\nsecond' is not in list"),
    ],
)
def test_what_fails_is_told(trial: Trial, stubborn: Stubborn, deed: str, reason: str) -> None:
    outcome = trial(stubborn(deed))
    assert (outcome.status, outcome.reason, outcome.probabilities) == ("failed", reason, None)


def test_a_crash_of_a_library_is_told_by_its_signal(trial: Trial, stubborn: Stubborn) -> None:
    outcome = trial(stubborn("crash"))
    assert outcome.status == "failed"
    assert outcome.reason.startswith("crashed (SIGSEGV)")


def test_what_a_library_prints_is_no_message_and_what_it_warns_of_is_kept(trial: Trial, stubborn: Stubborn) -> None:
    outcome = trial(stubborn("print"))
    assert outcome.status == "finished"
    assert np.allclose(outcome.probabilities, 1 / 3)
    assert trial(stubborn("warn")).notes == ("UserWarning: rather",)


def test_no_method_is_fitted_with_a_look_at_test_images(small: Splits, stubborn: Stubborn, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    hand_over(small, folder)
    peeker = sys.modules[stubborn.__module__].Peeker()  # type: ignore[attr-defined]
    outcome = run_trial(peeker, folder, budget=30.0, threads=1, ticking=lambda *_: None)
    assert outcome.notes == ("UserWarning: 60 train, 15 validation, 0 test",)


def test_a_child_ends_with_its_parent_even_if_that_is_killed(stubborn: Stubborn, small: Splits, tmp_path: Path) -> None:
    """SIGKILL leaves the parent no chance to clean up."""
    folder, mark = tmp_path / "data", tmp_path / "pid"
    folder.mkdir()
    hand_over(small, folder)
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(tmp_path / "modules")!r})
from stubborn_estimator import Stubborn
from glyphnet.comparison.contestants import EstimatorContestant
from glyphnet.comparison.trial import run_trial
run_trial(EstimatorContestant(Stubborn("sleep", mark={str(mark)!r})), Path({str(folder)!r}), budget=50, threads=1,
          ticking=lambda *_: None)
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
