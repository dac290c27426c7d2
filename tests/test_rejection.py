"""A trained model says when it does not know: with and without training images that look like noise and blanks."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from glyphnet.answers import NONE_OF_THESE
from glyphnet.classifier import Classifier, load_model
from glyphnet.cli import app
from glyphnet.data import load
from glyphnet.images import Batch
from glyphnet.progress import Reporter
from glyphnet.runs import Run, train


@pytest.fixture(scope="module")
def digits() -> Run:
    return train("digits", preset="fast", changes={"epochs": 10})


@pytest.fixture(scope="module")
def with_empty_and_texture(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """The digits, and two more classes: empty sheets of every level, and noise."""
    known = load("digits").train
    images = np.concatenate([known.images, blanks(200, seed=1), noise(200, seed=1)])
    labels = np.concatenate([known.labels, np.repeat([10, 11], 200)])
    path = tmp_path_factory.mktemp("data") / "more.npz"
    np.savez(path, images=images, labels=labels)
    classifier = train(path, preset="fast", changes={"epochs": 10}).classifier
    assert classifier is not None
    return classifier


def blanks(count: int, seed: int = 0) -> np.ndarray:
    levels = np.random.default_rng(seed).integers(0, 256, count)
    return np.broadcast_to(levels[:, None, None, None], (count, 8, 8, 1)).astype(np.uint8)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def seen(images: np.ndarray) -> Batch:
    """As the network sees them, however the model reads pictures."""
    return Batch.as_seen(images)


def test_blanks_and_noise_are_rejected(digits: Run) -> None:
    classifier = digits.classifier
    assert classifier is not None
    for images in (blanks(50), noise(50)):
        assert classifier.answer(seen(images)).reasons.count("unlike_training") >= 49
        assert classifier.predict(seen(images), reject=True).count(NONE_OF_THESE) >= 49
        assert NONE_OF_THESE not in classifier.predict(seen(images))


def test_unless_the_training_images_look_like_them(with_empty_and_texture: Classifier) -> None:
    for images, name in ((blanks(50), "10"), (noise(50), "11")):
        answers = with_empty_and_texture.answer(seen(images))
        assert answers.reasons.count(None) >= 46, Counter(answers.reasons)
        assert answers.names().count(name) >= 46


def test_good_images_are_kept_and_both_thresholds_are_real(digits: Run) -> None:
    classifier, evaluation = digits.classifier, digits.evaluation
    assert classifier is not None
    assert evaluation is not None
    assert evaluation.rejection is not None
    assert evaluation.rejection.coverage.value > 0.95
    assert 0 < classifier.threshold < 1
    assert classifier.foreign_threshold > 0
    assert [each.level for each in evaluation.sets] == [0.9, 0.95, 0.99]
    assert all(each.coverage.interval.high >= each.level for each in evaluation.sets)
    facts = evaluation.to_dict()
    assert facts["rejection"]["reasons"] == evaluation.rejection.reasons
    assert facts["sets"][1]["size"]["value"] >= 1


def test_the_model_file_keeps_all_of_it_to_the_bit(digits: Run, tmp_path: Path) -> None:
    classifier = digits.classifier
    assert classifier is not None
    classifier.save(tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    images = np.concatenate([digits.splits.test.images[:40], noise(5)])
    own, again = classifier.answer(seen(images)), loaded.answer(seen(images))
    np.testing.assert_array_equal(own.foreign, again.foreign)
    np.testing.assert_array_equal(own.probabilities, loaded.predict_proba(seen(images)))
    assert (own.reasons, own.sets(0.9)) == (again.reasons, again.sets(0.9))
    assert loaded.rules == classifier.rules
    assert loaded.lacking == ""


def test_a_model_without_them_predicts_as_before_and_says_what_it_lacks(digits: Run, tmp_path: Path) -> None:
    assert digits.classifier is not None
    old = replace(digits.classifier, prototypes=None, foreign_threshold=None, conformal=None, threshold=0.0)
    old.save(tmp_path / "old.safetensors")
    Image.fromarray(digits.splits.test.images[0, ..., 0]).save(tmp_path / "a.png")
    result = CliRunner().invoke(
        app, ["predict", str(tmp_path / "old.safetensors"), str(tmp_path / "a.png"), "--reject"]
    )
    assert result.exit_code == 0
    [line] = [line for line in result.stderr.splitlines() if "This model has" in line]
    assert "no score for pictures unlike its training images and no calibration for sets" in line
    assert "With --reject it rejects nothing." in line
    images = digits.splits.test.images[:20]
    loaded = load_model(tmp_path / "old.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(images), digits.classifier.predict_proba(images))


def test_the_command_line_shows_reasons_and_sets(digits: Run, tmp_path: Path) -> None:
    classifier = digits.classifier
    assert classifier is not None
    classifier.save(tmp_path / "m.safetensors")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, pixels in enumerate([*digits.splits.test.images[:3], *noise(2)]):
        Image.fromarray(pixels[..., 0]).save(folder / f"{number}.png")
    files = sorted(map(str, folder.iterdir()))
    command = ["predict", str(tmp_path / "m.safetensors"), str(folder), "--sets", "95", "--reject", "--as-is"]
    rows = [line.split(",", 4) for line in CliRunner().invoke(app, command).stdout.splitlines()]
    answers = classifier.answer(files, as_is=True)
    assert rows[0] == ["file", "label", "probability", "reason", "set"]
    assert [row[1] for row in rows[1:]] == answers.names(reject=True)
    assert [row[3] or None for row in rows[1:]] == answers.reasons
    assert rows[1][4] == '"[""' + '"", ""'.join(answers.sets(0.95)[0]) + '""]"'
    refused = CliRunner().invoke(app, [*command[:3], "--sets", "99.99"])
    assert refused.exit_code == 1
    assert "need at least 9,999 validation images" in refused.stderr
    shutil.rmtree(folder)


def test_a_precision_that_validation_cannot_show_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    changes = {"epochs": 3, "network": "mlp", "answer_precision": 0.9999}
    train("digits", changes=changes, reporter=Reporter(said.append))
    [line] = [line for line in said if line.startswith("answer_precision 0.9999:")]
    assert "95 % interval" in line
