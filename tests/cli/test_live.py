"""The live displays: bars on a terminal, lines every few seconds elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from glyphnet.bars import Bars, progress
from glyphnet.live import ComparisonDisplay, SearchDisplay, SeedsDisplay, TrainingDisplay
from glyphnet.studies.comparison.comparing import FitProgress, Row
from glyphnet.studies.comparison.methods import METHODS
from glyphnet.studies.seeds import SeedProgress
from glyphnet.studies.tuning import SearchProgress, Trial
from glyphnet.studies.tuning.results import Outcome
from glyphnet.training import StepInfo

ROW: Any = {"epoch": 2, "loss": 0.25, "accuracy": 0.9, "val_accuracy": 0.875}
STATE: Any = SimpleNamespace(history=[ROW], recipe=SimpleNamespace(epochs=9))


class Stderr(io.StringIO):
    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def isatty(self) -> bool:
        return self.where == "terminal"


@pytest.fixture(params=["terminal", "file"])
def open_stderr(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Stderr]:
    """Call it in the test, after pytest has set up its own, to redirect standard error."""

    def opened() -> Stderr:
        stderr = Stderr(request.param)
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setenv("TERM", "xterm")
        return stderr

    return opened


def test_a_training(open_stderr: Callable[[], Stderr]) -> None:
    stderr = open_stderr()
    with TrainingDisplay() as display:
        display.after_step(StepInfo(3, 9, 1, 10, 1234.0), STATE)
        display.after_epoch(ROW, STATE)
        if stderr.where == "file":
            assert stderr.getvalue() == "", "nothing within the first second"
            display.first_line_after(0.0)
            display.after_epoch(ROW, STATE)
            assert stderr.getvalue() == "epoch 2 of 9: loss 0.2500, validation accuracy 87.50 %, 1,234 images/s\n"
        display.after_epoch({**ROW, "epoch": 9, "val_accuracy": None}, STATE)
        last = "epoch 9 of 9: loss 0.2500, training accuracy 90.00 %, 1,234 images/s\n"
        assert stderr.getvalue().endswith(last) == (stderr.where == "file"), "the last epoch is always reported"
    if stderr.where == "terminal":
        for text in ("epoch 3 of 9", "loss 0.2500, validation 87.50 %", "1,234 images/s"):
            assert text in stderr.getvalue()


def test_several_seeds(open_stderr: Callable[[], Stderr]) -> None:
    stderr = open_stderr()
    run: Any = SimpleNamespace(seed=4)
    with SeedsDisplay() as display:
        display.began([3, 4], 2)
        display.running(SeedProgress(3, 1, 6, 0.1, None))
        display.first_line_after(0.0)
        display.running(SeedProgress(4, 2, 6, 0.3, 0.75))
        display.finished(run)
        display.running(SeedProgress(3, 2, 6, 0.3, 0.5))
    text = stderr.getvalue()
    assert text.startswith("2 trainings, 2 side by side.\n")
    assert "(1 of 2)." in text
    if stderr.where == "file":
        assert "0 of 2 finished; seed 3 in epoch 1 of 6; seed 4 in epoch 2 of 6, validation 75.00 %\n" in text
        assert len(text.splitlines()) == 3, "no line within ten seconds of another"
    else:
        assert "validation 75.00 %" in text


def test_a_search(open_stderr: Callable[[], Stderr]) -> None:
    stderr = open_stderr()
    best = Trial(0, {"optimizer.lr": 0.01}, Outcome("finished", correct=90, log_loss=0.3), 100)
    worse = Trial(1, {"optimizer.lr": 0.1}, Outcome("diverged", "The loss became NaN."), 100)
    with SearchDisplay() as display:
        display.trial_began(SearchProgress(0, 0, 2, 0.0, None, None))
        display.trial_ended(best, best)
        display.trial_began(SearchProgress(1, 1, 2, 1.0, None, best))
        display.after_step(StepInfo(1, 2, 1, 2, 10.0), STATE)
        display.trial_ended(worse, best)
    text = stderr.getvalue()
    assert "trial 0: 90.00 % (82.6–94.5) (optimizer.lr=0.01), the best so far." in text
    assert "diverged" not in text, "a worse trial is not reported so soon"
    assert ("trial 1, 1 of 2 done" in text and "best 90.00 % (82.6–94.5), trial 0" in text) == (
        stderr.where == "terminal"
    )


def test_a_comparison(open_stderr: Callable[[], Stderr]) -> None:
    stderr = open_stderr()
    with ComparisonDisplay() as display:
        display.running(FitProgress("SVM", 1, 2, "starting", 0.0, 60.0))
        display.first_line_after(0.0)
        display.running(FitProgress("SVM", 1, 2, "starting", 20.0, 60.0))
        assert "SVM" not in stderr.getvalue() or stderr.where == "terminal", "starting has no limit, so no line"
        display._drawn.clear()
        display.running(FitProgress("SVM", 1, 2, "fitting", 12.0, 60.0))
        display.finished(Row("svm", METHODS["svm"], "failed", "it broke"))
    assert "SVM (1 of 2), fitting" in stderr.getvalue()
    assert "12 of 60 s" in stderr.getvalue()
    assert "SVM (RBF): it broke." in stderr.getvalue()


def test_the_progress_of_a_task(open_stderr: Callable[[], Stderr]) -> None:
    stderr = open_stderr()
    with progress() as report:
        report(1, 10, "reading images\x1b[2J")
    assert ("reading images" in stderr.getvalue()) == (stderr.where == "terminal"), "quick work says nothing in a file"
    assert "\x1b[2J" not in stderr.getvalue(), "what the user wrote cannot control the terminal"


def test_a_line_is_said_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Stderr("file")
    monkeypatch.setattr(sys, "stderr", stderr)
    bars = Bars(every=10.0)
    for text, ago in (("a", 9.0), ("b", 10.5), ("c", 0.0)):
        bars.first_line_after(10.0 - ago)
        bars.line(text)
    bars.line("d", now=True)
    assert stderr.getvalue() == "b\nd\n"
