"""Two models on the same images: which images, how they are matched, what is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import glyphnet
from glyphnet.classifier import Classifier
from glyphnet.data import load
from glyphnet.errors import DataError
from glyphnet.evaluation.evaluate import held_out
from glyphnet.modelfile import Provenance
from glyphnet.nn import Preprocessing, build, parse_network
from glyphnet.studies.comparison.models import Difference

DIGITS = tuple("0123456789")


def model(seed: int = 0, division_seed: int | None = None, *, side: int = 8, **fractions: float) -> Classifier:
    """A network that has learned nothing; with a division it says that it was trained on digits so divided."""
    spec = parse_network("linear")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(spec, (side, side, 1), 10)
    parts: dict[str, object] = {}
    if division_seed is not None:
        division = {"seed": division_seed, "validation_fraction": 0.1, "test_fraction": 0.2, **fractions}
        train = load("digits", size=side, **division).train  # type: ignore[arg-type]
        parts = {"recipe": {"data": {"source": "digits", **division}},
                 "provenance": Provenance(data="digits", fingerprint=train.fingerprint)}  # fmt: skip
    return Classifier(network, spec, (side, side, 1), DIGITS, Preprocessing(mean=(0.5,), std=(0.3,)), **parts)  # type: ignore[arg-type]


def test_the_held_out_images_judge_both(tmp_path: Path) -> None:
    first, second = model(0, 4), model(1, 4)
    first.save(tmp_path / "a.safetensors")
    second.save(tmp_path / "b.safetensors")
    found = glyphnet.compare_models(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "digits")
    test = load("digits", seed=4).test
    assert list(found.evaluation_a.names) == list(test.names)
    right = [np.array(each.predict_labels(test.images)) == test.labels for each in (first, second)]
    pair = found.paired
    assert (pair.only_a, pair.only_b) == (int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()))
    assert str(tmp_path / "a.safetensors") in found.verdict
    assert found.evaluation_a.data == "digits, test part"


def test_only_images_that_neither_was_trained_on_judge() -> None:
    first, second = model(0, 1), model(1, 2)
    found = glyphnet.compare_models(first, second)
    common = set(held_out(first).dataset.names) & set(held_out(second).dataset.names)
    assert 0 < len(common) < 200
    assert set(found.evaluation_a.names) == common
    assert list(found.evaluation_a.names) == list(found.evaluation_b.names)
    assert np.array_equal(found.evaluation_a.images, found.evaluation_b.images)
    assert found.warnings[-1] == (
        f"{len(common)} images judge: of {len(held_out(first).dataset)} for A and {len(held_out(second).dataset)} "
        "for B, those that are there for both."
    )


def test_each_model_sees_the_images_in_its_own_size() -> None:
    found = glyphnet.compare_models(model(0, 4), model(1, 4, side=12))
    assert found.evaluation_a.images.shape[1:] == (8, 8, 1)
    assert found.evaluation_b.images.shape[1:] == (12, 12, 1)
    assert list(found.evaluation_a.names) == list(found.evaluation_b.names)


def test_no_common_image_is_an_error_that_names_both() -> None:
    first, second = model(0, 2, test_fraction=0.01), model(1, 4, test_fraction=0.01)
    assert not set(held_out(first).dataset.names) & set(held_out(second).dataset.names), "or the test tests nothing"
    with pytest.raises(DataError) as caught:
        glyphnet.compare_models(first, second)
    assert str(caught.value) == (
        "A is to be judged by digits, test part and B by digits, test part, and these have no image in common. "
        "Compare them on data that neither was trained on."
    )


def test_a_warning_for_one_model_bears_its_name() -> None:
    """B says nothing of its training: for it these are data without a test part."""
    found = glyphnet.compare_models(model(0, 4), model(1))
    assert len(found.evaluation_a) == 359
    assert found.warnings[0].startswith("B: These data have no test part, and all their images were judged.")


def test_the_differing_images_are_told_and_written(tmp_path: Path) -> None:
    found = glyphnet.compare_models(model(0, 4), model(1, 4))
    first, second = found.evaluation_a, found.evaluation_b
    rows = np.flatnonzero(first.predictions != second.predictions)
    assert [each.file for each in found.differences] == [first.names[row] for row in rows]
    assert found.differences[0] == Difference(
        first.names[rows[0]],
        DIGITS[first.labels[rows[0]]],
        DIGITS[first.predictions[rows[0]]],
        DIGITS[second.predictions[rows[0]]],
    )
    rights = [each.right for each in found.differences]
    assert rights.count("a") == found.paired.only_a
    assert rights.count("b") == found.paired.only_b
    assert set(rights) == {"a", "b", "neither"}
    found.write(tmp_path / "out")
    with (tmp_path / "out" / "differences.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [(row["file"], row["right"]) for row in written] == [(each.file, each.right) for each in found.differences]
    told = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert told["differences"] == written
    assert told["verdict"] == found.verdict


def test_a_model_cannot_be_told_apart_from_itself() -> None:
    found = glyphnet.compare_models(model(0, 4), model(0, 4))
    assert found.differences == ()
    assert found.paired.p_value == 1.0
    assert found.verdict.startswith("A and B cannot be told apart on 359 images: ")
