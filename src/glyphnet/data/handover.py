"""Handing splits to child processes: arrays as files, which every child maps into memory instead of copying.

How the original pictures are read is pickled, for it is code: the folder must be one that only this user can write to.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import new_file
from .dataset import BadFile, ImageDataset, Originals, Splits
from .values import Reading


def hand_over(splits: Splits, folder: Path) -> None:
    """Write the splits into a folder, which must be there.

    Raises:
        DataError: the original pictures lie where another process cannot read them.
    """
    described = {
        "name": splits.name,
        "classes": splits.classes,
        "notes": splits.notes,
        "warnings": splits.warnings,
        "reading": asdict(splits.reading),
        "group_by": splits.group_by,
        "bad_files": [list(bad) for bad in splits.bad_files],
        "names": {part: list(dataset.names) for part, dataset in splits},
    }
    with new_file(folder / "data.json") as file:
        file.write(json.dumps(described).encode())
    for part, dataset in splits:
        for name in ("images", "labels", "groups"):
            array = getattr(dataset, name)
            if array is not None:
                with new_file(folder / f"{part}-{name}.npy") as file:
                    np.save(file, array)
        if dataset.originals is not None:
            with new_file(folder / f"{part}-originals.pickle") as file:
                file.write(_pickled(dataset.originals, splits.name))


def _pickled(originals: Originals, name: str) -> bytes:
    try:
        return pickle.dumps(originals)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise DataError(
            f"{name}: its pictures cannot be read by several processes at once, because they were loaded in this one. "
            "Give the path of the data instead of loaded splits, or train one after another: at_once=1."
        ) from error


def take_over(folder: Path) -> Splits:
    """The splits that `hand_over` wrote; their images are read-only memory maps."""
    told = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    parts = {part: _part(folder, part, tuple(told["classes"]), names) for part, names in told["names"].items()}
    reading = {
        **told["reading"],
        "value_range": told["reading"]["value_range"] and tuple(told["reading"]["value_range"]),
    }
    notes, warnings = tuple(told["notes"]), tuple(told["warnings"])
    datasets = parts["train"], parts["validation"], parts["test"]
    return Splits(
        told["name"],
        *datasets,
        notes=notes,
        warnings=warnings,
        reading=Reading(**reading),
        group_by=told["group_by"],
        bad_files=tuple(BadFile(*bad) for bad in told["bad_files"]),
    )


def _part(folder: Path, part: str, classes: tuple[str, ...], names: list[str]) -> ImageDataset:
    labels = np.load(folder / f"{part}-labels.npy")
    images = np.load(folder / f"{part}-images.npy", mmap_mode="r" if len(labels) else None)  # no map of 0 bytes
    groups = folder / f"{part}-groups.npy"
    originals = folder / f"{part}-originals.pickle"
    return ImageDataset(
        images,
        labels,
        classes,
        names,
        originals=pickle.loads(originals.read_bytes()) if originals.exists() else None,
        groups=np.load(groups) if groups.exists() else None,
    )
