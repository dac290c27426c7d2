"""Several processes train as one: the same learning curve, the same stops, the same checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed import HashStore

from glyphnet.data import Splits
from glyphnet.errors import DeviceError, SettingsError, TrainingError
from glyphnet.runs import Run, resume, train
from glyphnet.training import HistoryRow, Moment, Recipe, TrainingState, Watcher, distributed
from glyphnet.training.places import ALONE, Place, check_parts, device_at, place_from_environment

# 200 images in 5 batches of 40 or in 6 of 33 and 34, which no number of processes shares evenly.
MLP = Recipe.parse(
    {
        "network": {"kind": "mlp", "hidden": [32]}, "optimizer": {"name": "sgd", "lr": 0.2}, "batch_size": 35,
        "loss": {"name": "cross_entropy", "class_weight": "balanced"}, "l2": 1e-3, "epochs": 3, "precision": "fp32",
        "schedule": "one-cycle",
    }
)  # fmt: skip
CNN = Recipe.parse(
    {
        "network": {"kind": "cnn", "stem": 8, "channels": [16], "dense": [32], "stem_stride": 1, "batch_norm": True},
        "optimizer": {"name": "sgd", "lr": 0.1, "nesterov": True}, "batch_size": 35, "epochs": 12, "ema": 0.9,
        "precision": "fp32", "early_stopping": {"patience": 2, "min_delta": 0.05},
    }
)  # fmt: skip


def assert_same_curve(one: Run, other: Run, tolerance: float) -> None:
    assert len(one.history) == len(other.history)
    for row, same in zip(one.history, other.history, strict=True):
        for key in ("loss", "accuracy", "val_loss", "val_accuracy", "lr"):
            assert row[key] == pytest.approx(same[key], abs=tolerance), (key, row["epoch"])
    assert (one.ending, one.best_epoch) == (other.ending, other.best_epoch)
    assert one.classifier is not None
    assert other.classifier is not None
    weights = other.classifier.network.state_dict()
    for name, tensor in one.classifier.network.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=0.0, atol=tolerance, msg=name)


class StopAt(Watcher):
    """Stops at the first chance after so many steps."""

    def __init__(self, step: int) -> None:
        self._step = step

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        return state.total_steps >= self._step

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        return state.total_steps >= self._step


def test_two_processes_learn_what_one_learns_and_each_goes_on_with_the_others(few: Splits, tmp_path: Path) -> None:
    alone = train(few, recipe=MLP, device="cpu")
    stopped = train(few, recipe=MLP, device="cpu", processes=2, out=tmp_path, watchers=[StopAt(3)])
    assert stopped.ending == "stopped"
    stopped = resume(tmp_path, splits=few, device="cpu", watchers=[StopAt(9)])
    assert (stopped.ending, stopped.best_epoch) == ("stopped", 1)
    finished = resume(tmp_path, splits=few, device="cpu", processes=2)
    assert_same_curve(alone, finished, 1e-5)


def test_four_processes_learn_what_one_learns_batch_norm_and_all(few: Splits) -> None:
    alone, four = (train(few, recipe=CNN, device="cpu", processes=number) for number in (1, 4))
    assert alone.ending == "early_stopping"
    assert_same_curve(alone, four, 1e-4)


def test_a_full_batch_is_shared_too(few: Splits) -> None:
    often = few.train.subset(np.arange(5000) % len(few.train))  # more than go through the network at once
    few = Splits("few, often", often, few.validation, few.test)
    recipe = MLP.override({"optimizer": "lbfgs", "schedule": "constant", "epochs": 5})
    alone, two = (train(few, recipe=recipe, device="cpu", processes=number) for number in (1, 2))
    assert_same_curve(alone, two, 1e-3)


def test_a_process_that_fails_is_named_with_its_reason(few: Splits, tmp_path: Path) -> None:
    data = tmp_path / "few.npz"
    np.savez(data, images=few.train.images, labels=few.train.labels)

    def vanish(sentence: str) -> None:
        """Only the first process has read the data when it says what they are."""
        data.unlink(missing_ok=True)

    said = r"^process 2 of 2 has failed \(.*few\.npz.*\), and the others have stopped\. Go on with --resume"
    with pytest.raises(TrainingError, match=said):
        train(data, recipe=MLP, device="cpu", processes=2, said=vanish)
    assert children() == set()


def children() -> set[int]:
    """The processes that this one has started and that still run, but for Python's own keeper of resources."""
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    lines = {int(each): Path(f"/proc/{each}/cmdline").read_text() for each in found}
    return {each for each, line in lines.items() if "resource_tracker" not in line and "spawn" in line}


def test_what_cannot_be_shared_is_told_before_anything_starts(few: Splits, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="40 processes cannot share batches of 33 images: each needs one at least"):
        train(few, recipe=MLP, device="cpu", processes=40, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(SettingsError, match="processes is 0: it must be 1 at least"):
        check_parts(0, 200, MLP)
    check_parts(40, 200, MLP.override({"optimizer": "lbfgs", "schedule": "constant"}))  # all 200 in one batch
    with pytest.raises(DeviceError, match='"meta" cannot train here'):
        device_at("meta", Place(0, 2, 0, 2))
    assert device_at("cpu", Place(1, 2, 1, 2)).type == "cpu"


def test_of_torchruns_processes_one_tells_what_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them in one process, over a real store: the first fails to read its data, the second waits for it."""
    assert distributed.may_tell()  # without torchrun
    monkeypatch.setattr(distributed._Here, "board", HashStore())
    monkeypatch.setattr(distributed._Here, "place", Place(0, 2, 0, 2))
    with pytest.raises(ZeroDivisionError), distributed.first_in_turn():
        raise ZeroDivisionError
    assert distributed.may_tell()
    monkeypatch.setattr(distributed._Here, "place", Place(1, 2, 1, 2))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with (
        pytest.raises(distributed.PeerLostError, match="the first process could not begin"),
        distributed.first_in_turn(),
    ):
        pytest.fail("it must not begin either")
    assert not distributed.may_tell()


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
    assert place_from_environment() == Place(1, 4, 1, 2)
    with pytest.raises(SettingsError, match="torchrun has started 4 processes, and processes=2 asks for others"):
        train(processes=2)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=said):
        place_from_environment()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert place_from_environment() == ALONE
