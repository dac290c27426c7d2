"""Trainings are processes of their own: followed, killed, stopped, resumed, judged, compared, given away."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import glyphnet
from glyphnet.classifier import load_model
from glyphnet.locks import FileLock
from glyphnet.runs import RunFolder
from glyphnet.studio import runfiles, trainer
from glyphnet.studio.trainerprocess import TrainerProcess
from glyphnet.training import Callback, HistoryRow, TrainingState
from glyphnet.training.presets import PRESETS

from .conftest import Client, studio

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked_children")]


def half(side: str, seed: int) -> bytes:
    """A noisy picture that is bright on one side."""
    pixels = np.random.default_rng(seed).integers(0, 120, (12, 12))
    pixels[:, slice(0, 6) if side == "left" else slice(6, 12)] += 120
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Iterator[Client]:
    """A studio with two classes and a finished training."""
    with studio(tmp_path_factory.mktemp("trained") / "folder") as client:
        for side in ("left", "right"):
            client.post("api/classes", {"name": side})
            files = [("blob", half(side, seed + 1000 * (side == "left"))) for seed in range(60)]
            assert len(client.add(f"?class={side}", *files).json["added"]) == 60
        with client.events() as next_of:
            job = client.post("api/train", {"preset": "fast", "epochs": 3}).json
            assert (job["kind"], job["run"], job["status"], job["id"]) == ("train", "fast-1", "running", "train-fast-1")
            heard = next_of("epoch")
            assert heard["run"] == "fast-1"
            assert heard["epochs"] == 3
        assert client.run("fast-1")["status"] == "done", (client.root / "runs/fast-1/train.log").read_text()
        yield client


def test_the_presets_are_those_of_the_verb() -> None:
    assert tuple(PRESETS) == runfiles.PRESETS


def test_a_training_is_running_before_its_process_is(trained: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that looks in between must not take it for one that was stopped."""
    seen, begin = [], TrainerProcess.begin

    def looked(self: TrainerProcess, root: Path, name: str, request: dict[str, Any]) -> bool:
        seen.extend(run["status"] for run in trained.state()["runs"] if run["name"] == name)
        return begin(self, root, name, request)

    monkeypatch.setattr(TrainerProcess, "begin", looked)
    name = trained.post("api/train", {"preset": "fast", "epochs": 1}).json["run"]
    assert seen == ["running"]
    assert trained.run(name)["status"] == "done"
    assert trained.post(f"api/runs/{name}/delete").status == 200


def test_a_finished_training_shows_accuracy_epochs_and_report(trained: Client) -> None:
    [run] = trained.state()["runs"]
    assert run["accuracy"]["n"] == 24
    assert run["accuracy"]["low"] <= run["accuracy"]["value"] <= run["accuracy"]["high"]
    assert (run["preset"], run["report"], run["version"]) == ("fast", True, trained.state()["version"]["hash"])
    epochs = trained.get("api/runs/fast-1/epochs").json
    assert [each["epoch"] for each in epochs] == [1, 2, 3]
    last = epochs[-1]
    assert np.array(last["confusion"]).sum() > 0
    assert last["classes"] == ["left", "right"]
    count, height, width, channels = last["filters"]["shape"]
    assert count * height * width * channels > 0
    assert last["filters"]["png"].startswith("data:image/png;base64,")
    assert {each["id"] for each in last["mistakes"]} <= {*trained.ids("left"), *trained.ids("right")}
    report = trained.get("api/runs/fast-1/report")
    assert report.headers["content-type"].startswith("text/html")
    policy = report.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "frame-ancestors 'self'" in policy


def test_the_model_is_tried_and_given_away(trained: Client, tmp_path: Path) -> None:
    found = trained.ask("POST", "api/runs/fast-1/predict", half("left", 7), Content_Type="image/png").json
    assert [each["label"] for each in found["answers"]] in (["left", "right"], ["right", "left"])
    assert abs(sum(each["probability"] for each in found["answers"]) - 1) < 1e-4
    assert found["seen"].startswith("data:image/png")
    assert found["saliency"].startswith("data:image/png")
    assert trained.ask("POST", "api/runs/fast-1/predict", b"no picture").status == 422
    for format, suffix in (("model", "safetensors"), ("html", "html"), ("onnx", "onnx"), ("card", "json")):
        answer = trained.get(f"api/runs/fast-1/export?format={format}")
        assert answer.status == 200, answer.body
        assert f'attachment; filename="fast-1.{suffix}"' in answer.headers["content-disposition"]
        (tmp_path / f"model.{suffix}").write_bytes(answer.body)
    assert load_model(tmp_path / "model.safetensors").classes == ("left", "right")
    assert b"<html" in (tmp_path / "model.html").read_bytes()
    assert trained.get("api/runs/fast-1/export?format=exe").status == 422


def test_a_mistake_is_found_again_after_it_was_corrected(trained: Client) -> None:
    """A picture whose label is planted wrong is a mistake of the next run, and keeps being found after a move."""
    wrong = trained.ids("left")[:6]
    trained.post("api/move", {"ids": wrong, "class": "right"})
    assert trained.state()["changed"]
    trained.post("api/train", {"preset": "fast", "epochs": 30, "name": "planted"})
    assert trained.run("planted")["status"] == "done"
    versions = trained.get("api/versions").json
    assert [(each["added"], each["removed"], each["moved"]) for each in versions] == [(120, 0, 0), (0, 0, 6)]
    assert [run["name"] for run in versions[1]["runs"]] == ["planted"]
    mistakes = trained.get("api/runs/planted/mistakes").json["mistakes"]
    for each in mistakes:
        assert each["id"].partition("/")[0] == each["label"]
    trained.post("api/undo")
    moved = trained.get("api/runs/planted/mistakes").json
    assert len(moved["mistakes"]) == len(mistakes)
    assert moved["gone"] == 0
    assert {each["id"] for each in moved["mistakes"]} <= {*trained.ids("left"), *trained.ids("right")}
    compared = trained.get("api/compare?a=fast-1&b=planted").json
    assert 0 < compared["n"] <= 24
    assert 0 < compared["p"] <= 1
    assert "planted" in compared["sentence"]
    assert trained.get("api/compare?a=fast-1&b=none").status == 404


def test_suggestions_come_from_the_newest_model_and_count_what_chance_would_need(trained: Client) -> None:
    files = [("blob", half("left" if seed % 2 else "right", 5000 + seed)) for seed in range(12)]
    trained.add("?tray=1", *files)
    found = trained.get("api/suggest?count=4").json
    assert found["model"] in ("fast-1", "planted")
    assert len({each["id"] for each in found["suggestions"]}) == 4
    first = found["suggestions"][0]
    assert first["label"] in ("left", "right")
    other = {"left": "right", "right": "left"}[first["label"]]
    trained.post("api/decide", {"id": first["id"], "label": other})
    random = trained.get("api/suggest?count=1").json["random"]
    assert random["labels"] == 1
    assert random["equal"] >= 1
    assert f",{first['label']},0." in (trained.root / "labels.csv").read_text()
    for _ in range(2):
        trained.post("api/undo")


def test_a_training_that_cannot_begin_says_why(tmp_path: Path) -> None:
    with studio(tmp_path) as client:
        client.fill("alone", [1, 2, 3, 4])
        client.post("api/train", {"preset": "fast"})
        run = client.run("fast-1")
        assert run["status"] == "failed"
        assert "'alone'" in run["error"]
        assert client.post("api/train", {"preset": "fastest"}).status == 422
        assert client.post("api/train", {"preset": "fast", "seconds": -1}).status == 422
        assert client.post("api/train", {"preset": "fast", "epochs": 1.5}).status == 422
        assert client.post("api/train", {"preset": "fast", "name": "fast-1"}).status == 409
        assert client.post("api/jobs/train-fast-1/cancel").status == 409


def test_a_run_names_no_version_that_it_did_not_read(tmp_path: Path) -> None:
    with studio(tmp_path) as client:
        for side in ("left", "right"):
            client.post("api/classes", {"name": side})
            client.add(f"?class={side}", *(("blob", half(side, seed + 50 * len(side))) for seed in range(20)))
        client.post("api/train", {"preset": "fast", "epochs": 1})
        client.add("?class=left", ("late.png", half("left", 999)))  # while the process starts
        run = client.run("fast-1")
        assert (run["status"], run["version"]) == ("done", None), run
        assert client.get("api/versions").json[0]["runs"] == []


def running(client: Client, name: str, after: int = 0) -> int:
    """Wait until epochs behind the given one are written down; the last one."""
    end = time.monotonic() + 120
    while True:
        epochs = client.get(f"api/runs/{name}/epochs").json
        if epochs and epochs[-1]["epoch"] > after:
            return epochs[-1]["epoch"]
        assert time.monotonic() < end, (client.root / "runs" / name / "train.log").read_text()
        time.sleep(0.1)


def test_a_training_outlives_the_server_and_is_resumed_after_a_kill_and_a_stop(trained: Client, tmp_path: Path) -> None:
    root = tmp_path / "folder"
    with studio(root) as client:
        for side in ("left", "right"):
            client.post("api/classes", {"name": side})
            client.add(f"?class={side}", *(("blob", half(side, seed)) for seed in range(40 * (side == "left"), 80)))
        client.post("api/train", {"preset": "balanced", "epochs": 100_000, "name": "long"})
        running(client, "long")
    with studio(root) as client:  # another server finds it
        assert [(run["name"], run["status"]) for run in client.state()["runs"]] == [("long", "running")]
        with client.events() as next_of:
            assert next_of("epoch")["run"] == "long"
        seen = running(client, "long")
        assert client.post("api/runs/long/resume").status == 409
        os.kill(int(FileLock(root / "runs/long/.lock").holder()), signal.SIGKILL)
        assert client.run("long")["status"] == "stopped"
        client.post("api/runs/long/resume")
        seen = running(client, "long", after=seen)
        client.post("api/jobs/train-long/cancel")
        assert client.run("long")["status"] == "stopped"
        epochs = [each["epoch"] for each in client.get("api/runs/long/epochs").json]
        assert epochs == list(range(1, len(epochs) + 1)), "an epoch is lost, or there twice"
        assert len(epochs) >= seen
        assert load_model(root / "runs/long/model.safetensors").classes == ("left", "right")


def test_of_a_given_time_the_epochs_are_those_of_the_network_that_is_kept(trained: Client) -> None:
    trained.post("api/train", {"name": "timed", "preset": "fast", "seconds": 2})
    assert trained.run("timed")["status"] == "done", (trained.root / "runs/timed/train.log").read_text()
    kept = (trained.root / "runs/timed/history.csv").read_text().splitlines()[1:]
    found = trained.get("api/runs/timed/epochs").json
    rows = found if isinstance(found, list) else found["epochs"]
    assert [row["epoch"] for row in rows] == list(range(1, 1 + len(kept)))


class Ends(Callback):
    """Ends a training after its second epoch, as one that has converged."""

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        return row["epoch"] == 2


def test_the_last_epoch_has_its_details_also_where_it_comes_early_on_a_busy_machine(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(trainer, "DETAIL_SHARE", -1.0)  # no time for details while it trains
    monkeypatch.setattr(trainer, "EPOCH_SECONDS", -1.0)
    folder = RunFolder(tmp_path / "run")
    writer = trainer.EpochWriter(folder, trainer.Told(tmp_path, folder.path))
    glyphnet.train("digits", preset="fast", out=folder.path, callbacks=[writer, Ends()], threads=1)
    written = [json.loads(path.read_bytes()) for path in sorted((folder.path / "epochs").glob("*.json"))]
    assert [len(each["rows"]) for each in written] == [1, 1]
    assert len(written[-1]["confusion"]) == 10
