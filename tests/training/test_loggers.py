"""Logs of a training: what each kind holds is what was measured, and a log that fails ends no training."""

from __future__ import annotations

import csv
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import glyphnet
from glyphnet.cli import app
from glyphnet.data import ImageDataset, Splits
from glyphnet.errors import MissingExtraError, SettingsError, TrainingError
from glyphnet.runs import Run
from glyphnet.training import LOGGERS, Callback, Logger, LogTo, StepInfo
from glyphnet.training.state import TrainingState

pytestmark = pytest.mark.usefixtures("little_ink")

CHANGES = {"network": "linear", "augment": {}, "epochs": 3}


@pytest.fixture(scope="module")
def splits() -> Splits:
    """Bars that stand and bars that lie."""
    random = np.random.default_rng(5)
    parts = []
    for count in (60, 20, 20):
        images = random.integers(0, 60, (count, 8, 8, 1), dtype=np.uint8)
        labels = np.arange(count) % 2
        images[labels == 0, :, 3:5] = 250
        images[labels == 1, 3:5] = 250
        parts.append(ImageDataset(images, labels, ("stands", "lies"), [str(number) for number in range(count)]))
    return Splits("bars", *parts)


def train(splits: Splits, *callbacks: Callback, **more: Any) -> Run:
    return glyphnet.train(splits, preset="fast", changes=CHANGES, callbacks=callbacks, **more)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


class StopAfter(Callback):
    """Stops after the second epoch."""

    def after_epoch(self, row: Any, state: TrainingState) -> bool:
        return state.epoch == 2


def test_a_table_holds_the_history_and_the_result(splits: Splits, tmp_path: Path) -> None:
    run = train(splits, LogTo(f"csv:{tmp_path / 'a.csv'}"))
    *epochs, last = rows(tmp_path / "a.csv")
    assert [
        {key: float(row[key]) for key in each} for each, row in zip(run.history, epochs, strict=True)
    ] == run.history
    assert run.evaluation is not None
    interval = run.evaluation.accuracy_interval
    found = [float(last[f"test_{key}"]) for key in ("accuracy", "accuracy_low", "accuracy_high", "images")]
    assert found == [run.evaluation.accuracy, interval.low, interval.high, 20]


def test_json_lines_tell_what_happened_in_order(splits: Splits, tmp_path: Path) -> None:
    run = train(splits, LogTo("jsonl", tmp_path))
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event.pop("event") for event in events] == ["start", "epoch", "epoch", "epoch", "result", "end"]
    assert events[0]["recipe"] == run.recipe.model_dump(mode="json")
    assert events[1:4] == run.history
    assert events[4] == run.headline_figures()
    assert events[5] == {"ending": "finished"}


def test_a_resumed_training_logs_all_epochs_again(splits: Splits, tmp_path: Path) -> None:
    out = tmp_path / "run"
    stopped = train(splits, StopAfter(), LogTo("jsonl", out), out=out)
    assert stopped.ending == "stopped"
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[-1]) == {"event": "end", "ending": "stopped"}
    run = glyphnet.resume(out, splits=splits, callbacks=[LogTo("csv", out), LogTo("jsonl", out)])
    assert [int(float(row["epoch"])) for row in rows(out / "log.csv")[:-1]] == [1, 2, 3]
    assert len((out / "log.jsonl").read_text(encoding="utf-8").splitlines()) == 6
    assert len(run.history) == 3


@pytest.mark.filterwarnings("default")
def test_tensorboard_reads_every_figure(splits: Splits, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'glyphnet[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = LogTo("tensorboard", tmp_path)
    run = train(splits, log)
    train(splits, LogTo("tensorboard", tmp_path))  # again in the same place: what was there before is dropped
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    told = board.Scalars("accuracy/validation")
    assert [event.step for event in told] == [1, 2, 3]
    assert [event.value for event in told] == pytest.approx([row["val_accuracy"] for row in run.history])
    assert [event.value for event in board.Scalars("loss/train")] == pytest.approx([row["loss"] for row in run.history])
    assert [event.value for event in board.Scalars("result/test_images")] == [20]
    assert "recipe/text_summary" in board.Tags()["tensors"]


@pytest.mark.filterwarnings("default")
def test_mlflow_has_parameters_metrics_and_the_ending(splits: Splits, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'glyphnet[mlflow]'")
    run = train(splits, LogTo(f"mlflow:{tmp_path / 'ml runs'}", tmp_path / "night shift"))
    train(splits, StopAfter(), LogTo(f"mlflow:{tmp_path / 'ml runs'}", tmp_path / "b"))
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "ml runs").as_uri())
    number = client.get_experiment_by_name("glyphnet").experiment_id
    there = {each.info.run_name: each for each in client.search_runs([number])}
    assert {name: each.info.status for name, each in there.items()} == {"night shift": "FINISHED", "b": "KILLED"}
    told = there["night shift"].data
    assert told.params["optimizer.lr"] == str(run.recipe.optimizer.lr)
    assert told.params["network.kind"] == "linear"
    assert told.metrics["test_accuracy"] == run.headline_figures()["test_accuracy"]
    losses = client.get_metric_history(there["night shift"].info.run_id, "val_loss")
    assert [(each.step, each.value) for each in losses] == [(row["epoch"], row["val_loss"]) for row in run.history]


@pytest.mark.filterwarnings("default")
def test_wandb_keeps_a_run_offline(splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="W&B is not installed: pip install 'glyphnet[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    train(splits, LogTo("wandb:birds", tmp_path / "day"))
    [written] = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    content = written.read_bytes()
    for word in (b"val_accuracy", b"test_accuracy_low", b"birds", b"day", b"optimizer"):
        assert word in content


class Broken(Logger):
    """Fails in its second epoch."""

    seen: list[str]

    def epoch(self, row: Any) -> None:
        if row["epoch"] == 2:
            raise ConnectionError("the server is gone")


class Refusing(Logger):
    """Cannot begin."""

    def start(self, *_: Any) -> None:
        raise ValueError("no such server")


def test_a_log_that_fails_is_told_once_and_the_training_ends(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOGGERS, "broken", Broken)
    told: list[str] = []
    run = train(splits, LogTo("broken", say=told.append), LogTo("jsonl", tmp_path))
    assert run.ending == "finished"
    assert told == [
        "--log broken failed in epoch 2 (ConnectionError: the server is gone). The training goes on without it."
    ]
    assert len((tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()) == 6


def test_a_log_that_cannot_begin_ends_the_training_before_its_first_step(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOGGERS, "refusing", Refusing)

    class Steps(Callback):
        count = 0

        def after_step(self, info: StepInfo, state: TrainingState) -> bool:
            Steps.count += 1
            return False

    with pytest.raises(TrainingError, match=r"--log refusing: cannot begin \(ValueError: no such server\)"):
        train(splits, Steps(), LogTo("refusing"))
    assert Steps.count == 0


def test_a_training_that_fails_marks_its_log_as_failed(splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), LogTo("jsonl", tmp_path) as log:
        train(splits, log, FailsAtOnce())
    assert (tmp_path / "log.jsonl").read_text(encoding="utf-8").endswith('{"event": "end", "ending": "failed"}\n')


class FailsAtOnce(Callback):
    """Fails after the first epoch."""

    def after_epoch(self, row: Any, state: TrainingState) -> bool:
        raise ZeroDivisionError


def test_only_the_training_itself_is_logged(splits: Splits, tmp_path: Path) -> None:
    """--group-gap trains once more with the same callbacks."""
    log = LogTo("jsonl", tmp_path)
    train(splits, log)
    train(splits, log)
    assert len((tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()) == 6


def test_it_travels_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(LogTo("csv:a.csv"))).place == "a.csv"


def test_an_unknown_kind_and_an_absent_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match='unknown log "tensorbord"; did you mean "tensorboard"'):
        LogTo("tensorbord")
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("glyphnet.training.loggers.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "glyphnet\[wandb\]"'):
        LogTo("wandb")


def invoke(*words: object) -> Any:
    return CliRunner().invoke(app, ["train", "digits", "--preset", "fast", *map(str, words)])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, fewer_digits: None, tmp_path: Path) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    return lambda *words: invoke("--network", "linear", "--set", "epochs=2", "--set", "augment={}", *words)


def test_the_command_logs_into_the_run_folder_or_where_it_is_told(quick: Callable[..., Any]) -> None:
    done = quick("--out", "run", "--log", "csv", "--log", "jsonl:told.jsonl")
    assert done.exit_code == 0, done.stderr
    assert len(rows(Path("run/log.csv"))) == 3
    assert len(Path("told.jsonl").read_text(encoding="utf-8").splitlines()) == 5
    Path("mine.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    refused = quick("--out", "run2", "--log", "csv:mine.csv")
    assert refused.exit_code == 1
    assert "mine.csv: is there already" in refused.stderr
    assert Path("mine.csv").read_text(encoding="utf-8") == "a,b\n1,2\n"
    assert not Path("run2").exists()
    assert quick("--out", "run", "--log", "csv", "--overwrite").exit_code == 0
    Path("run3").mkdir()
    Path("run3/log.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert "GlyphNet did not write it" in quick("--out", "run3", "--log", "csv").stderr


def test_the_command_refuses_what_cannot_be_logged(quick: Callable[..., Any]) -> None:
    assert "no folder none" in quick("--log", "csv:none/a.csv").stderr
    assert "--log: for one training" in quick("--log", "csv", "--seeds", "2").stderr
    assert 'unknown log "cvs"' in quick("--log", "cvs").stderr
