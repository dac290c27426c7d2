"""Several processes train as one: the same learning curve, the same stops, the same checkpoints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from torch.distributed import HashStore

from glyphnet.data import Splits
from glyphnet.errors import DataError, DeviceError, SettingsError, TrainingError
from glyphnet.progress import Reporter
from glyphnet.runs import resume, train
from glyphnet.training import collective
from glyphnet.training import launch as module_of_launch
from glyphnet.training.collective import BEAT, SILENCE, Collective, PeerLostError
from glyphnet.training.device import Place
from glyphnet.training.fit import check_parts
from glyphnet.training.launch import launch

from .. import forking

sys.path.append(str(Path(__file__).parent))
import in_group  # the processes import it, too
from in_group import MLP, RECIPES, SAME_AS_ALONE

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked_children")]


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, np.ndarray]]:
    splits = in_group.few_digits()
    return {name: in_group.figures(in_group.fitting(name, splits)) for name in SAME_AS_ALONE}


def test_several_learn_what_one_learns_and_resume_to_the_same_bits(
    alone: dict[str, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    launch(3, f"import in_group\nin_group.main({str(tmp_path)!r})")
    for name in RECIPES:
        with np.load(tmp_path / f"{name}.npz") as found:
            for key in ("curve", "weights", "best"):
                np.testing.assert_array_equal(found[f"whole-{key}"], found[f"resumed-{key}"], err_msg=name)
                if name in SAME_AS_ALONE:
                    tolerance = 1e-3 if name == "lbfgs" else 1e-4
                    np.testing.assert_allclose(found[f"whole-{key}"], alone[name][key], atol=tolerance, err_msg=name)


def test_a_run_of_two_processes_from_python_resumes_with_one(few: Splits, tmp_path: Path) -> None:
    stopped = train(few, recipe=MLP, device="cpu", processes=2, out=tmp_path, callbacks=[in_group.StopAt(8)])
    assert (stopped.ending, stopped.best_epoch, len(stopped.history)) == ("stopped", 1, 1)
    assert stopped.splits is few
    assert stopped.classifier is not None
    finished = resume(tmp_path, splits=few, device="cpu", report=False)
    whole = train(few, recipe=MLP, device="cpu")
    for row, same in zip(finished.history, whole.history, strict=True):
        assert row["val_loss"] == pytest.approx(same["val_loss"], abs=1e-5)


def test_a_process_that_fails_says_why(few: Splits) -> None:
    with pytest.raises(DataError, match="this picture is bad"):
        train(few, recipe=MLP, device="cpu", processes=2, callbacks=[in_group.Fail()])


def test_what_listens_must_reach_the_other_process(few: Splits) -> None:
    with pytest.raises(SettingsError, match="give functions and classes that a module defines"):
        train(few, recipe=MLP, device="cpu", processes=2, reporter=Reporter(lambda sentence: None))


SILENT = """
import sys
from torch.distributed import HashStore
from glyphnet.training import collective
collective.BEAT, collective.SILENCE = 0.05, 3
store = HashStore()
store.set("beat/1", "7 " + sys.argv[1])
collective.Pulse(collective.Place(0, 2, 0, 2), store).start()
__import__("threading").Event().wait()
"""


@contextmanager
def stopped_process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        yield process
        process.kill()


def was_continued(process: subprocess.Popen[bytes]) -> bool:
    return os.waitpid(process.pid, os.WCONTINUED | os.WNOHANG)[0] != 0


def test_a_process_that_gives_no_sign_of_life_ends_all() -> None:
    """One that is stopped (SIGSTOP) is continued, and so ends at once."""
    assert SILENCE * BEAT <= 15, "of the 60 s that all may take, 30 are the launcher's"
    with stopped_process() as stopped:
        words = ["-c", SILENT, str(stopped.pid)]
        run = forking.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)
        assert was_continued(stopped)
    assert run.returncode == 1
    assert run.stderr.startswith("glyphnet: process 2 of 2 has given no sign of life for")
    assert "Resume with --resume" in run.stderr


STOPS = """
import os, signal
if os.environ["RANK"] == "1":
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_process_that_is_stopped_when_they_no_longer_train_together_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it but the launcher: it judges and writes, or has just begun."""
    assert module_of_launch.SILENCE * module_of_launch.BEAT <= 30, "all are to end within 60 s"
    monkeypatch.setattr(module_of_launch, "SILENCE", 4)
    with pytest.raises(TrainingError, match="process 2 of 3 has given no sign of life.*Resume with --resume"):
        launch(3, STOPS)


def test_the_number_of_a_silent_process_on_another_machine_is_another_s(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ended(BaseException):
        pass

    def end(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(collective, "BEAT", 0.05)
    monkeypatch.setattr(collective, "SILENCE", 3)
    monkeypatch.setattr(os, "_exit", end)
    store = HashStore()
    with stopped_process() as stopped:
        store.set("beat/1", f"7 {stopped.pid}")
        with pytest.raises(Ended, match="1"):
            collective.Pulse(Place(0, 2, 0, 1), store).run()
        assert not was_continued(stopped)
    assert capsys.readouterr().err.startswith("glyphnet: process 2 of 2 has given no sign of life for")


def test_what_cannot_be_shared_is_told_before_anything_starts(few: Splits, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="40 processes cannot share batches of 33 images: each needs one at least"):
        train(few, recipe=MLP, device="cpu", processes=40, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(SettingsError, match="processes is 0: it must be 1 at least"):
        check_parts(0, 200, MLP)
    check_parts(40, 200, MLP.override({"optimizer": "lbfgs", "schedule": "constant"}))  # all 200 in one batch
    with pytest.raises(DeviceError, match='"meta" cannot train here'):
        Place(0, 2, 0, 2).device("meta")
    assert Place(1, 2, 1, 2).device("cpu").type == "cpu"


def test_of_several_processes_one_tells_what_stops_all() -> None:
    """Two of them in one process, over a real store: the first fails to read its data, the second waits for it."""
    store = HashStore()
    first, second = (Collective(Place(rank, 2, rank, 2), store) for rank in range(2))
    with pytest.raises(ZeroDivisionError), first.first_in_turn():
        raise ZeroDivisionError
    assert first.may_report()
    with pytest.raises(PeerLostError, match="the first process could not begin"), second.first_in_turn():
        pytest.fail("it must not begin either")
    assert not second.may_report()


TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"MASTER_PORT": ""}, "but the environment has no MASTER_PORT. Start them with torchrun"),
        ({"RANK": "-1", "MASTER_ADDR": ""}, "has RANK=-1, no MASTER_ADDR."),
        ({"RANK": "4"}, "has RANK=4, WORLD_SIZE=4, LOCAL_RANK=1"),
        ({"WORLD_SIZE": "two"}, "has WORLD_SIZE=two."),
    ],
)
def test_an_environment_that_is_torchruns_in_part(
    changes: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**TORCHRUN, "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    assert Place.from_environment() == Place(1, 4, 1, 2)
    with pytest.raises(SettingsError, match="torchrun has started 4 processes, and processes=2 asks for others"):
        train(processes=2)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=said):
        Place.from_environment()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert Place.from_environment() == Place()
