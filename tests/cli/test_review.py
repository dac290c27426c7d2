"""From doubtful labels to corrected ones by the real command line."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from glyphnet.cli import app
from glyphnet.data import load
from glyphnet.data.corrections import COLUMNS
from glyphnet.training.presets import PRESETS, fast

pytestmark = pytest.mark.usefixtures("little_ink")

WRONG = {20: 5, 200: 3, 500: 1}
"""Rows of the training part of digits → what is added to their label."""


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "cache"))
    # Four networks instead of twelve, and those not for long: the errors are plain.
    monkeypatch.setattr("glyphnet.runs.review.REPEATS", 1)
    monkeypatch.setitem(PRESETS, "fast", lambda *data: fast(*data).override({"epochs": 8}))
    monkeypatch.chdir(tmp_path)


def glyphnet(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """Digits with three wrong labels, as an .npz file."""
    splits = load("digits")
    train, test = splits.train.subset(slice(0, 700)), splits.test.subset(slice(0, 120))
    labels = train.labels.copy()
    for row, step in WRONG.items():
        labels[row] = (labels[row] + step) % 10
    path = tmp_path / "noisy digits.npz"
    np.savez(path, x_train=train.images, y_train=labels, x_test=test.images, y_test=test.labels)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def decide(path: Path, decisions: dict[str, str]) -> None:
    """Fill in the column, as a person does in an editor."""
    lines = [{**row, "decision": decisions.get(row["file"], "")} for row in rows(path)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)


@pytest.mark.slow
def test_planted_errors_are_found_decided_on_and_corrected(noisy: Path, tmp_path: Path) -> None:
    before = load("digits").train.labels
    table = tmp_path / "my labels.csv"
    done = glyphnet("data", noisy, "--review", table)
    assert done.exit_code == 0, done.stderr
    found = rows(table)
    assert list(found[0]) == list(COLUMNS)
    assert not any(row["decision"] for row in found)
    learnt = [row for row in found if row["part"] != "test"]
    planted = {f"train/{row:05d}": str(before[row]) for row in WRONG}
    assert planted.items() <= {row["file"]: row["suggested"] for row in learnt}.items()
    assert sum(float(row["score"]) >= 0.4 for row in learnt) <= 8  # probably wrong; others fill the list
    assert done.stdout.startswith(f"noisy digits: {len(found)} doubtful labels, ")
    assert f"Written to {table}, the surest first." in done.stdout
    assert f"  glyphnet train '{noisy}' --labels '{table}'" in done.stdout
    assert ("is not honest" in done.stdout) == any(row["part"] == "test" for row in found)

    names = list(planted)
    decide(table, {names[0]: "relabel", names[1]: planted[names[1]], names[2]: "drop"})
    again = glyphnet("data", noisy, "--review", table)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == (
        f"glyphnet: {table}: holds 3 decisions already. Name another file, or replace it with --overwrite.\n"
    )
    run = tmp_path / "run"
    words = ["--preset", "fast", "--set", "epochs=3", "--out", run, "--json"]
    done = glyphnet("train", noisy, *words, "--labels", table)
    assert done.exit_code == 0, done.stderr
    assert f"Labels corrected as {table} says; train: " in done.stderr
    told = next(line for line in done.stderr.splitlines() if line.startswith("Labels corrected"))
    assert sum(map(int, re.findall(r"(\d+) relabelled", told))) == 2
    assert sum(map(int, re.findall(r"(\d+) left out", told))) == 1
    figures = json.loads(done.stdout)["evaluation"]["accuracy"]

    resumed = glyphnet("train", "--resume", run, "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert json.loads(resumed.stdout)["evaluation"]["accuracy"] == figures
    judged = glyphnet("evaluate", run / "model.safetensors", noisy, "--json")
    assert json.loads(judged.stdout)["accuracy"] == figures
    assert json.loads(judged.stdout)["data"] == "noisy digits, test part"


def test_a_model_without_test_part_is_judged_by_its_own_division(noisy: Path, tmp_path: Path) -> None:
    with np.load(noisy) as arrays:
        np.savez(tmp_path / "all.npz", images=arrays["x_train"], labels=arrays["y_train"])
    kept = load(tmp_path / "all.npz").train
    table = tmp_path / "labels.csv"
    table.write_text(f"file,given,suggested,decision\n{kept.names[0]},{kept.classes[kept.labels[0]]},0,drop\n")
    run = tmp_path / "run"
    words = ["--preset", "fast", "--set", "epochs=1", "--out", run, "--labels", "labels.csv"]
    assert glyphnet("train", "all.npz", *words).exit_code == 0
    judged = json.loads(glyphnet("evaluate", run / "model.safetensors", "all.npz", "--json").stdout)
    assert judged["data"] == "all, test part"
    table.unlink()
    lost = glyphnet("evaluate", run / "model.safetensors", "all.npz")
    assert (
        "The model was trained with the decisions on labels in labels.csv, which is not there any more" in lost.stderr
    )


def test_json_and_overwrite(tmp_path: Path) -> None:
    few, noisy = load("digits").train.subset(slice(0, 60)), tmp_path / "few.npz"
    np.savez(noisy, images=few.images, labels=few.labels)
    table = tmp_path / "t.csv"
    table.write_text(f"{','.join(COLUMNS)}\ntrain,x,1,2,1,keep\n")
    done = glyphnet("data", noisy, "--review", table, "--overwrite", "--json")
    value = json.loads(done.stdout)
    assert value["file"] == str(table)
    assert list(value["parts"]) == ["train", "validation", "test"]
    files = [each["file"] for part in value["parts"].values() for each in part["suspects"]]
    assert files == [row["file"] for row in rows(table)]
    refused = glyphnet("data", noisy, "--overwrite")
    assert refused.exit_code == 2
    assert "--overwrite goes with --out or --review" in refused.stderr


@pytest.mark.slow
def test_training_checks_labels_too(tmp_path: Path) -> None:
    digits, few, run = load("digits"), tmp_path / "few.npz", tmp_path / "run"
    np.savez(few, x_train=digits.train.images[:150], y_train=digits.train.labels[:150],
             x_test=digits.test.images[:50], y_test=digits.test.labels[:50])  # fmt: skip
    words = ["--preset", "fast", "--set", "epochs=1", "--out", run]
    done = glyphnet("train", few, *words, "--check-labels")
    assert done.exit_code == 0, done.stderr
    assert f"Written to {run / 'suspects.csv'}, the surest first." in done.stdout
    page = (run / "report.html").read_text(encoding="utf-8")
    shown = json.loads(re.search(r'id="data">(.*?)</script>', page, flags=re.DOTALL)[1])["labels"]["parts"]
    assert [part["part"] for part in shown] == ["train", "validation", "test"]
    for part in shown:
        assert part["files"] == [row["file"] for row in rows(run / "suspects.csv") if row["part"] == part["part"]]
    assert "--check-labels" not in page
    decide(run / "suspects.csv", {rows(run / "suspects.csv")[0]["file"]: "drop"})
    again = glyphnet("train", "--resume", run, "--check-labels")
    assert again.exit_code == 1
    assert again.stderr.startswith(f"glyphnet: {run / 'suspects.csv'}: holds 1 decision already.")
