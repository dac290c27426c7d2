"""The evaluation's files: evaluation.json and predictions.csv."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from glyphnet.evaluation import Evaluation

CLASSES = ("čtyři", 'a "quoted", name', "=SUM(1)")
NAMES = ["á/ž.png", "two\nlines.png", "plain.png", "\udcff-bytes.png"]


@pytest.fixture
def judged():
    return Evaluation(
        labels=np.array([0, 1, 2, 2]),
        probabilities=np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7], [0.2, 0.2, 0.6]]),
        classes=CLASSES,
        names=NAMES,
        images=np.zeros((4, 2, 2, 1), dtype=np.uint8),
        data="three odd classes",
    )


def test_predictions_keep_every_name_exactly(judged, tmp_path):
    path = tmp_path / "predictions.csv"
    judged.write_predictions_csv(path)
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["file", "true", "predicted", "probability", "correct"],
        [NAMES[0], CLASSES[0], CLASSES[0], "0.700000", "1"],
        [NAMES[1], CLASSES[1], CLASSES[0], "0.500000", "0"],
        [NAMES[2], CLASSES[2], CLASSES[2], "0.700000", "1"],
        [NAMES[3], CLASSES[2], CLASSES[2], "0.600000", "1"],
    ]


def test_the_dictionary_is_plain_json_with_n_and_intervals(judged):
    found = json.loads(json.dumps(judged.to_dict(), allow_nan=False))
    assert (found["data"], found["n"], found["classes"]) == ("three odd classes", 4, list(CLASSES))
    assert found["accuracy"] == {"value": 0.75, "n": 4, "low": 0.300642, "high": 0.954413, "level": 0.95}
    assert found["confusion_matrix"] == [[1, 0, 0], [1, 0, 0], [0, 0, 2]]
    assert found["most_confused"] == [{"true": CLASSES[1], "predicted": CLASSES[0], "count": 1, "share": 1.0}]
    assert found["per_class"][CLASSES[1]]["precision"] == {"value": 0.0, "n": 0}
    assert found["per_class"][CLASSES[2]]["support"] == 2
    assert sum(each["count"] for each in found["calibration"]["bins"]) == 4
    assert set(found["calibration"]["bins"][0]["interval"]) == {"low", "high", "level"}


def test_calibration_is_told_before_and_after_scaling(judged):
    scaled = replace(judged, temperature=2.0)
    found = json.loads(json.dumps(scaled.to_dict(), allow_nan=False))["calibration"]
    before = found["uncalibrated"]
    assert found["temperature"] == 2.0
    assert found["expected_calibration_error"] == pytest.approx(scaled.calibration_error, abs=1e-6)
    assert before["expected_calibration_error"] == pytest.approx(scaled.uncalibrated.calibration_error, abs=1e-6)
    assert before["log_loss"] == pytest.approx(scaled.uncalibrated.log_loss, abs=1e-6)
    assert found["log_loss"] != before["log_loss"]
    assert before["bins"][-1]["confidence"] > found["bins"][-1]["confidence"]  # T above 1 makes it less sure


def test_rejection_is_told_or_null(judged):
    assert judged.to_dict()["rejection"] is None
    found = json.loads(json.dumps(replace(judged, threshold=0.55).to_dict(), allow_nan=False))["rejection"]
    assert found["reasons"] == {"low_confidence": 1}
    assert found["coverage"] == {"value": 0.75, "n": 4, "low": 0.300642, "high": 0.954413, "level": 0.95}
    assert (found["accuracy"]["value"], found["accuracy"]["n"]) == (1.0, 3)
    none = replace(judged, threshold=1.0).to_dict()["rejection"]
    assert none["accuracy"] == {"value": 0.0, "n": 0}
