"""Several processes at one study: real ones, that wait for each other where the test needs them to."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from glyphnet.studies.tuning import SearchCallback, SearchProgress, Trial, Tuning
from glyphnet.studies.tuning.study import Peers

from ... import forking
from ...processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("little_ink")]

WORKER = """
import sys, time, warnings
from pathlib import Path
import glyphnet
warnings.simplefilter("error")
from glyphnet.training import Recipe
from glyphnet.studies.tuning import SearchCallback

marks, name, other, trials = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])

class Meet(SearchCallback):
    "Says that it is at a trial, and stays there until the other is at one, or for ever if there is none such."
    def trial_began(self, progress):
        (marks / name).touch()
        while not (marks / other).exists():
            time.sleep(0.01)

recipe = Recipe.parse({"network": {"kind": "linear"}, "optimizer": {"name": "adamw", "lr": 0.01}, "epochs": 3,
                       "batch_size": 64})
whole = glyphnet.load("digits")  # as in conftest.py
digits = glyphnet.Splits("digits", whole.train.subset(slice(700)), whole.validation, whole.test.subset(slice(150)))
found = glyphnet.tune(digits, search={"optimizer.lr": "1e-3..0.1:log"}, recipe=recipe, trials=trials, device="cpu",
                      storage=marks / "study.db", callbacks=[Meet()])
print(found.ending, found.test is not None)
"""


def start(marks: Path, name: str, other: str, trials: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WORKER, str(marks), name, other, str(trials)]
    return forking.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def states(file: Path) -> Counter[str]:
    with closing(sqlite3.connect(file)) as connection:
        return Counter(state for (state,) in connection.execute("SELECT state FROM trials"))


def test_two_processes_share_the_trials_and_the_last_one_trains_the_winner(tmp_path: Path) -> None:
    workers = [start(tmp_path, "a", "b", 6), start(tmp_path, "b", "a", 6)]
    ended = [worker.communicate(timeout=250) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ended
    assert [errors for _, errors in ended] == ["", ""]
    said = sorted(words.split()[-1] for words, _ in ended)
    assert said[-1] == "True", f"nobody trained the winner: {ended}"
    counts = states(tmp_path / "study.db")
    assert counts["COMPLETE"] + counts["PRUNED"] == 6 == counts.total(), "no trial too many, none lost"
    with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
        query = "SELECT DISTINCT value_json FROM trial_user_attributes WHERE key = 'worker'"
        assert len(connection.execute(query).fetchall()) == 2, "both took part"
        query = "SELECT count(DISTINCT number), max(number) FROM trials"
        assert connection.execute(query).fetchone() == (6, 5)
    assert not (tmp_path / ".study.db.workers").exists(), "nobody is at work any more"


def test_a_killed_process_leaves_a_trial_that_is_in_nobodys_way(tune: Callable[..., Tuning], tmp_path: Path) -> None:
    killed = start(tmp_path, "a", "nobody", 3)
    try:
        wait_for((tmp_path / "a").exists)
        assert states(tmp_path / "study.db") == {"RUNNING": 1}
        os.kill(killed.pid, signal.SIGKILL)
    finally:
        killed.kill()
        killed.communicate()
    found = tune(trials=3, storage=tmp_path / "study.db")
    assert [trial.ending for trial in found.trials] == ["abandoned", "finished", "finished", "finished"]
    assert found.ending == "trials"
    assert found.test is not None, "the dead trial is not waited for"
    assert states(tmp_path / "study.db") == {"COMPLETE": 3, "FAIL": 1}


def test_who_ends_while_another_is_at_a_trial_leaves_the_winner_to_it(
    tune: Callable[..., Tuning], tmp_path: Path
) -> None:
    """The other one is this very process, inside of its last trial; the trial runs, and its worker is alive."""
    endings: list[str] = []

    class EndWithin(SearchCallback):
        def trial_began(self, progress: SearchProgress) -> None:
            if progress.number == 2:
                endings.append(tune(trials=3, storage=tmp_path / "study.db").ending)

    found = tune(trials=3, storage=tmp_path / "study.db", callbacks=[EndWithin()])
    assert endings == ["shared"]
    assert found.ending == "trials"
    assert found.test is not None


def test_a_worker_is_alive_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    with Peers(tmp_path / "study.db") as one, Peers(tmp_path / "study.db") as other:
        assert one.is_alive(other.token)
        assert other.is_alive(one.token)
        assert not one.is_alive("4711-00000000")
        assert not one.is_alive("../study.db")
    with Peers(tmp_path / "study.db") as later:
        assert not later.is_alive(one.token)


def test_the_best_so_far_is_told_across_processes(tune: Callable[..., Tuning], tmp_path: Path) -> None:
    class Remember(SearchCallback):
        best: Trial | None = None

        def trial_began(self, progress: SearchProgress) -> None:
            self.best = progress.best
            assert progress.ended == 1

    tune(trials=1, storage=tmp_path / "study.db")
    remember = Remember()
    tune(trials=2, storage=tmp_path / "study.db", callbacks=[remember])
    assert remember.best is not None
    assert remember.best.number == 0
