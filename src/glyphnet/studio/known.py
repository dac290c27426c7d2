"""Known data sets that are on this machine, as pictures for the studio's folder. Nothing is downloaded."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from ..data import ImageDataset, load
from ..data.dataset import evenly_spaced
from ..data.named import NAMED, is_here
from .adding import Added, Given, add_all
from .errors import StudioError
from .folder import Folder
from .jobs import Job
from .pictures import png_of

SETS = ("digits", "mnist", "fashion-mnist", "kmnist", "emnist-letters", "usps", "cifar-10", "svhn")
"""Sets of small pictures whose classes a person can tell."""

_TITLES = {"digits": "8×8 digits of Alpaydin and Kaynak, as scikit-learn includes them"}


@functools.cache
def known_sets() -> list[dict[str, Any]]:
    """The sets that are here: name, title, classes where they are known without reading, and counts likewise."""
    found = []
    for name in SETS:
        if name == "digits":
            splits = load(name)
            counts = np.sum([part.counts for _, part in splits], axis=0).tolist()
            found.append({"name": name, "title": _TITLES[name], "classes": list(splits.classes), "counts": counts})
        elif is_here(name):
            row = NAMED[name]
            found.append({"name": name, "title": row.title, "classes": list(row.classes), "counts": None})
    return found


def add_known(folder: Folder, name: str, per_class: int | None, tray: bool, job: Job) -> dict[str, Any]:
    """Write pictures of a known set into the folder: all, or some of each class, evenly spread.

    Raises:
        StudioError: the set is not here, or the disk is full.
    """
    if name not in [each["name"] for each in known_sets()]:
        raise StudioError(404, f"The data set {str(name)[:40]!r} is not on this machine. Choose one of the list.")
    splits = load(name, validation_fraction=0.0, test_fraction=0.0)
    data = splits.train
    rows = chosen_rows(data, per_class)
    found = Added()

    def given() -> Iterator[Given]:
        for row in rows.tolist():
            label = data.classes[data.labels[row]].replace("/", "-")  # a folder has this name
            yield Given(f"{name}-{row:05d}.png", lambda row=row: _png(data, row), None if tray else label, None)  # type: ignore[misc]

    def progress(done: int) -> bool:
        job.report(done, len(rows), f"adding {name}")
        return not job.stopping.is_set()

    result = add_all(folder, given(), create=not tray, found=found, progress=progress).to_dict()
    return {**result, "added": len(result["added"]), "same": len(result["same"])}


def chosen_rows(data: ImageDataset, per_class: int | None) -> Any:
    """Rows of a data set: all, or so many of each class, evenly spread."""
    if per_class is None:
        return np.arange(len(data))
    parts = [np.flatnonzero(data.labels == label) for label in range(len(data.classes))]
    return np.sort(np.concatenate([part[evenly_spaced(len(part), per_class)] for part in parts]))


def _png(data: ImageDataset, row: int) -> bytes:
    pixels = np.asarray(data.images[row])
    return png_of(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
