"""The evaluation's files: evaluation.json and predictions.csv."""

import csv
import json

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
