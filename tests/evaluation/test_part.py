"""Which part of the data was judged is a value, also where a file of an older version only names the images."""

from __future__ import annotations

import pytest

from glyphnet.data import ImageDataset, Splits, load
from glyphnet.evaluation.evaluate import held_out_in_training, part_of


@pytest.mark.parametrize(
    ("judged", "data", "part"),
    [
        ({}, "mnist, test part", "test"),
        ({}, "a, b, validation part", "validation"),
        ({}, "a, training part", "train"),
        ({}, "mine, all images", "all"),
        ({}, "mine, images held out of both trainings", ""),
        ({"part": "validation"}, "mine, test part", "validation"),
        ({"part": ""}, "mine, test part", ""),
    ],
)
def test_the_part_of_a_file(judged: dict[str, str], data: str, part: str) -> None:
    assert part_of(judged, data) == part


def test_the_held_out_part_is_named() -> None:
    splits = load("digits")
    none = splits.test.subset([False] * len(splits.test))

    def part(validation: ImageDataset, test: ImageDataset) -> str:
        return held_out_in_training(Splits("d", splits.train, validation, test)).part

    assert part(splits.validation, splits.test) == "test"
    assert part(splits.validation, none) == "validation"
    assert part(none, none) == "train"
