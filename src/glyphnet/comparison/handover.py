"""What the methods get of the splits: nothing that none may learn from."""

from __future__ import annotations

from pathlib import Path

from ..data import handover
from ..data.dataset import ImageDataset, Splits


def hand_over(splits: Splits, folder: Path) -> None:
    """Write the splits into a folder, without the files' names, which no method may learn from."""
    train, validation, test = (_without_names(dataset) for _, dataset in splits)
    handover.hand_over(Splits(splits.name, train, validation, test), folder)


def without_test(splits: Splits) -> Splits:
    """What a method is fitted on: its test part is empty."""
    return Splits(splits.name, splits.train, splits.validation, splits.test.subset([False] * len(splits.test)))


def _without_names(dataset: ImageDataset) -> ImageDataset:
    return ImageDataset(dataset.images, dataset.labels, dataset.classes, [str(row) for row in range(len(dataset))])
