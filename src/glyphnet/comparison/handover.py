"""Handing splits to child processes: arrays as files, which every child maps into memory instead of copying."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..data.dataset import ImageDataset, Splits


def hand_over(splits: Splits, folder: Path) -> None:
    """Write the splits into a folder, without the files' names, which no method may learn from."""
    (folder / "data.json").write_text(json.dumps({"name": splits.name, "classes": splits.classes}), encoding="utf-8")
    for part, dataset in splits:
        np.save(folder / f"{part}-images.npy", dataset.images)
        np.save(folder / f"{part}-labels.npy", dataset.labels)


def take_over(folder: Path) -> Splits:
    """The splits that `hand_over` wrote; their images are read-only memory maps."""
    described = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    classes = tuple(described["classes"])
    train, validation, test = (_part(folder, part, classes) for part in ("train", "validation", "test"))
    return Splits(described["name"], train, validation, test)


def without_test(splits: Splits) -> Splits:
    """What a method is fitted on: its test part is empty."""
    return Splits(splits.name, splits.train, splits.validation, splits.test.subset([False] * len(splits.test)))


def _part(folder: Path, part: str, classes: tuple[str, ...]) -> ImageDataset:
    labels = np.load(folder / f"{part}-labels.npy")
    images = np.load(folder / f"{part}-images.npy", mmap_mode="r" if len(labels) else None)  # no map of 0 bytes
    return ImageDataset(images, labels, classes, [str(row) for row in range(len(labels))])
