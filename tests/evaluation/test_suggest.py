"""What to label next: unsure and unlike each other, from arrays, files and the command line."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import glyphnet
from glyphnet.data import Splits
from glyphnet.errors import SettingsError
from glyphnet.evaluation.suggest import choose

from .. import forking


@pytest.fixture(scope="module")
def digits() -> Splits:
    return glyphnet.load("digits")


@pytest.fixture(scope="module")
def classifier(digits: Splits) -> glyphnet.Classifier:
    """Trained on 60 digits, so that it is unsure of many."""
    few = Splits("digits", digits.train.subset(slice(60)), digits.validation, digits.test)
    found = glyphnet.train(few, preset="fast", changes={"epochs": 20}).classifier
    assert found is not None
    return found


def test_the_least_certain_come_first() -> None:
    margins = np.array([0.9, 0.1, 0.5, 0.0], dtype=np.float32)
    apart = np.eye(4, dtype=np.float32)
    assert choose(margins, apart, 3).tolist() == [3, 1, 2]
    assert choose(margins, apart, 9).tolist() == [3, 1, 2, 0]


def test_pictures_that_raise_the_same_doubt_are_asked_for_once() -> None:
    margins = np.array([0.0, 0.01, 0.02, 0.4, 0.6], dtype=np.float32)
    features = np.array([[1, 0, 0], [1, 0.01, 0], [1, 0, 0.01], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    assert choose(margins, features, 3).tolist() == [0, 3, 4]
    assert set(choose(margins, features, 5).tolist()) == set(range(5))


def test_each_choice_is_the_best_given_those_before_it() -> None:
    generator = np.random.default_rng(5)
    margins = generator.random(200, dtype=np.float32)
    features = generator.normal(size=(200, 8)).astype(np.float32)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    chosen = choose(margins, features, 20).tolist()
    for place, row in enumerate(chosen):
        before = unit[chosen[:place]]
        apart = np.minimum(1, (1 - unit @ before.T).min(axis=1)) if place else np.ones(200)
        worth = (1 - margins) * apart
        worth[chosen[:place]] = -1
        assert worth[row] == pytest.approx(worth.max(), rel=1e-3)


def test_no_picture_and_no_count_are_told() -> None:
    assert choose(np.empty(0, np.float32), np.empty((0, 3), np.float32), 5).tolist() == []
    with pytest.raises(SettingsError, match="count is 0: it must be 1 at least"):
        choose(np.zeros(3, np.float32), np.eye(3, dtype=np.float32), 0)


def test_what_is_suggested_is_wrong_more_often_than_the_rest(classifier: glyphnet.Classifier, digits: Splits) -> None:
    pool = digits.train.subset(slice(60, None))
    suggested = glyphnet.suggest(classifier, pool.images, 60)
    rows = [each.row for each in suggested]
    assert len(set(rows)) == 60
    answers = classifier.predict_labels(pool.images)
    wrong = answers != pool.labels
    assert wrong[rows].mean() > 2 * wrong.mean()
    first = suggested[0]
    assert first.label == classifier.classes[answers[first.row]]
    assert 0 <= first.margin <= first.probability <= 1


def test_files_become_a_table_that_train_reads_once_labels_are_filled_in(
    classifier: glyphnet.Classifier, digits: Splits, tmp_path: Path
) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    labels = {}
    for row in range(60, 160):
        name = f"{row}.png"
        Image.fromarray(digits.train.images[row, :, :, 0]).save(pool / name)
        labels[name] = digits.train.classes[digits.train.labels[row]]
    (pool / "bad.png").write_bytes(b"no picture")
    classifier.save(tmp_path / "m.safetensors")
    out = tmp_path / "pool" / "next.csv"
    command = [sys.executable, "-m", "glyphnet", "suggest", tmp_path / "m.safetensors", pool, "--count", "40"]
    ran = forking.run([*command, "--out", out, "--json"], capture_output=True, text=True)
    assert ran.returncode == 1, ran.stderr
    assert "bad.png" in ran.stderr
    told = json.loads(ran.stdout)
    assert (told["pool"], told["unreadable"], len(told["suggestions"])) == (100, 1, 40)
    assert forking.run([*command, "--out", out], capture_output=True).returncode == 1  # not replaced unasked
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["file"] for row in rows] == [each["file"] for each in told["suggestions"]]
    assert {row["label"] for row in rows} == {""}
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "label": labels[os.path.basename(row["file"])]} for row in rows)
    splits = glyphnet.load(out)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 40
