"""What the studio's own engine computes beside its network, in a page without a server: it agrees with Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from glyphnet.evaluation.calibration import choose_thresholds, expected_calibration_error, reliability
from glyphnet.nn.prototypes import fit_prototypes
from glyphnet.nn.scoring import texture

from ..javascript import run_module

IMPORTS = """
import { texture } from "./pages/js/foreign.js";
import { calibrationError, perClass, reliability } from "./pages/js/studio/figures.js";
import { bankOf, thresholdsOf } from "./pages/js/studio/unlike.js";
"""
ASKED = """{
  banks: given.banks.map(({ rows, contrast, roughness, labels }) => {
    const bank = bankOf({ rows: rows.map((row) => Float32Array.from(row)), contrast, roughness }, labels);
    return bank && { ...bank, directions: [...bank.directions], weights: [...bank.weights] };
  }),
  textures: given.pictures.map((picture) => texture(Float32Array.from(picture), [9, 7, 3], 1e-5)),
  thresholds: given.held.map(({ confidence, scores }) => thresholdsOf(confidence, scores)),
  bins: reliability(given.sure, given.right),
  error: calibrationError(reliability(given.sure, given.right)),
  each: perClass(given.confusion),
}"""


def bank_input(classes: int, each: int, features: int, seed: int) -> dict[str, Any]:
    """Features around a centre of each class, some of them without any."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    rows = generator.normal(size=(classes, features))[labels] + 0.4 * generator.normal(size=(len(labels), features))
    rows[:: 2 * each] = 0
    return {
        "rows": rows.astype(np.float32), "contrast": generator.uniform(0.1, 0.4, len(labels)).astype(np.float32),
        "roughness": generator.uniform(0.2, 0.9, len(labels)).astype(np.float32), "labels": labels,
    }  # fmt: skip


BANKS = [bank_input(*sizes) for sizes in ((3, 20, 8, 0), (10, 8, 64, 1), (50, 3, 16, 2), (2, 300, 6, 3))]
HELD = [
    {"confidence": generator.uniform(0.3, 1, count), "scores": generator.uniform(0, 2, count)}
    for count, generator in (
        (7, np.random.default_rng(1)),
        (99, np.random.default_rng(2)),
        (460, np.random.default_rng(3)),
    )
]
GENERATOR = np.random.default_rng(4)
SURE = np.append(GENERATOR.uniform(0.1, 1, 200), [1.0, 0.2, 1 / 3])
RIGHT = GENERATOR.uniform(size=len(SURE)) < SURE
PICTURES = GENERATOR.uniform(size=(4, 9, 7, 3)).astype(np.float32)
LABELS, ANSWERS = (
    GENERATOR.integers(0, 4, 60),
    np.where(GENERATOR.uniform(size=60) < 0.6, 1, GENERATOR.integers(0, 3, 60)),
)


@pytest.fixture(scope="module")
def told() -> Any:
    confusion = np.bincount(4 * LABELS + ANSWERS, minlength=16).reshape(4, 4)
    given = {
        "banks": [{name: np.asarray(value).tolist() for name, value in each.items()} for each in BANKS],
        "pictures": PICTURES.reshape(4, -1).tolist(), "sure": SURE.tolist(), "right": RIGHT.tolist(),
        "held": [{name: value.tolist() for name, value in each.items()} for each in HELD],
        "confusion": confusion.tolist(),
    }  # fmt: skip
    return run_module(IMPORTS, ASKED, given)


@pytest.mark.parametrize("number", range(len(BANKS)))
def test_the_bank_of_none_of_these_is_that_of_python(told: Any, number: int) -> None:
    given, found = BANKS[number], told["banks"][number]
    compared = np.column_stack([given["rows"], given["contrast"], given["roughness"]]).astype(np.float32)
    bank = fit_prototypes(compared, given["labels"])
    assert bank is not None
    directions = np.reshape(found["directions"], (-1, bank.features))
    assert directions.shape == bank.directions.shape
    assert found["contrast"] == pytest.approx(bank.contrast, rel=1e-6)
    assert found["roughness"] == pytest.approx(bank.roughness, rel=1e-6)
    assert found["twice"] == bank.twice
    if number < len(BANKS) - 1:  # each picture is a prototype
        assert np.abs(directions - bank.directions).max() <= 1
        np.testing.assert_allclose(
            found["weights"], bank.weights, rtol=2e-3
        )  # of distances that are rounding themselves
    else:  # the first centres are other ones: clusters as tight
        rows = given["rows"][given["rows"].any(axis=1)]
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        own, theirs = ((1 - (rows @ each.T).max(axis=1)).mean() for each in (unit, bank.unit))
        assert own == pytest.approx(theirs, rel=0.15)
        assert np.median(found["weights"]) == pytest.approx(np.median(bank.weights), rel=0.2)


def test_contrast_and_roughness_are_those_of_python(told: Any) -> None:
    wanted = texture(torch.from_numpy(PICTURES.transpose(0, 3, 1, 2).copy())).numpy()
    found = [[each["contrast"], each["roughness"]] for each in told["textures"]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("number", range(len(HELD)))
def test_the_thresholds_are_those_of_python(told: Any, number: int) -> None:
    confidence, scores = HELD[number]["confidence"], HELD[number]["scores"]
    probabilities = np.column_stack([confidence, 1 - confidence])
    probabilities[:, 1] = np.minimum(probabilities[:, 1], confidence)
    wanted = choose_thresholds(probabilities, np.zeros(len(confidence), dtype=int), scores)
    found = told["thresholds"][number]
    assert found["foreign"] == pytest.approx(wanted.foreign, rel=1e-12)
    assert found["confidence"] == pytest.approx(wanted.confidence, rel=1e-12)


def test_the_figures_of_the_report_are_those_of_python(told: Any) -> None:
    bins = reliability(SURE, RIGHT)
    assert [(each["count"], each["low"]) for each in told["bins"]] == [
        (each.count, pytest.approx(each.low)) for each in bins
    ]
    assert [each["accuracy"] for each in told["bins"]] == pytest.approx([each.accuracy for each in bins])
    assert told["error"] == pytest.approx(expected_calibration_error(bins), rel=1e-12)
    wanted = precision_recall_fscore_support(LABELS, ANSWERS, labels=range(4), zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "count"), wanted, strict=True):
        assert [each[name] or 0 for each in told["each"]] == pytest.approx(values.tolist()), name
