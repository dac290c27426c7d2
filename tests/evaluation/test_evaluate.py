"""The verb: classes are matched by name, images go in parts, wrong data are refused."""

from dataclasses import dataclass

import numpy as np
import pytest

from glyphnet.data.dataset import ImageDataset
from glyphnet.errors import DataError
from glyphnet.evaluation import evaluate


@dataclass
class ByBrightness:
    """A classifier that tells dark from grey from bright, and remembers how many images it was given."""

    classes = ("dark", "grey", "bright")

    def __post_init__(self):
        self.given = []

    def predict_proba(self, images):
        self.given.append(len(images))
        return np.eye(3, dtype=np.float32)[images[:, 0, 0, 0] // 100]


def dataset(values, names):
    images = np.array([{"dark": 10, "grey": 120, "bright": 210, "red": 0}[value] for value in values], np.uint8)
    labels = np.array([names.index(value) for value in values], dtype=np.int64)
    return ImageDataset(images[:, None, None, None], labels, tuple(names), [f"{value}.png" for value in values])


def test_the_evaluation_holds_the_answers_and_the_data():
    data = dataset(["dark", "bright", "grey"], ["dark", "grey", "bright"])
    judged = evaluate(ByBrightness(), data, data="lamps")
    assert judged.accuracy == 1.0
    assert judged.names == ["dark.png", "bright.png", "grey.png"]
    assert judged.data == "lamps"
    assert judged.images is data.images


def test_temperature_and_threshold_are_the_classifiers_where_it_has_them():
    data = dataset(["dark"], ["dark", "grey", "bright"])
    plain, scaled = ByBrightness(), ByBrightness()
    scaled.temperature, scaled.threshold = 1.7, 0.9
    assert [(judged.temperature, judged.threshold) for judged in (evaluate(plain, data), evaluate(scaled, data))] == [
        (1.0, None),
        (1.7, 0.9),
    ]


def test_classes_in_another_order_or_missing_are_matched_by_name():
    judged = evaluate(ByBrightness(), dataset(["bright", "dark", "bright"], ["bright", "dark"]))
    assert judged.classes == ("dark", "grey", "bright")
    assert judged.labels.tolist() == [2, 0, 2]
    assert judged.accuracy == 1.0


def test_a_class_that_the_classifier_does_not_know_is_refused():
    with pytest.raises(DataError, match=r"does not know 'red': it knows 'dark', 'grey', 'bright'\. Evaluate it"):
        evaluate(ByBrightness(), dataset(["dark", "red"], ["dark", "red"]))


def test_an_unknown_class_without_images_harms_nothing():
    assert evaluate(ByBrightness(), dataset(["dark"], ["red", "dark"])).labels.tolist() == [0]


def test_no_images_are_refused():
    with pytest.raises(DataError, match="There is no image to evaluate on: the data set is empty"):
        evaluate(ByBrightness(), dataset([], ["dark", "grey", "bright"]))


def test_images_go_in_parts_and_progress_is_told():
    classifier, told = ByBrightness(), []
    data = dataset(["dark", "grey"] * 2500, ["dark", "grey", "bright"])
    judged = evaluate(classifier, data, progress=lambda *heard: told.append(heard))
    assert classifier.given == [4096, 904]
    assert told == [(4096, 5000, "evaluating"), (5000, 5000, "evaluating")]
    assert judged.accuracy == 1.0
    assert judged.probabilities.dtype == np.float32
