"""The data as a report shows them: how many, what they look like, what is there twice, which labels look wrong."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..data import ImageDataset, Splits, look_over
from ..data.dataset import evenly_spaced, size_in_words
from ..data.inspect import DataReport
from ..evaluation import Evaluation, LabelIssues
from ..units import plural
from .sheets import Tiles, lay_out

MOST_CLASSES = 60  # with a line of their own
MOST_TILES = 400
MOST_BYTES = 400_000  # of PNG
EXAMPLES = 10  # a class, where there are few classes
_AVERAGED = 1000  # images of a class that its mean image is made of: all 6,000 of MNIST change it by one level of grey
_PARTS = {"train": "Training", "validation": "Validation", "test": "Test"}

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassLine:
    """One class: its images in each part, and where its mean image and examples are on the sheet."""

    name: str
    counts: tuple[int, ...]
    mean: int | None
    examples: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class DataView:
    """What the section on the data shows."""

    size: str  # of the images, in words
    parts: tuple[str, ...]
    totals: tuple[int, ...]  # images of each part
    lines: tuple[ClassLine, ...]  # one per class, as many as have room
    left_out: int  # classes that have no line
    most: int  # images of the largest class in the first part: the full length of a bar
    facts: tuple[str, ...]  # sentences: how the data were read, what is there twice
    report: DataReport
    tiles: Tiles  # mean images and examples


def view_data(evaluation: Evaluation, splits: Splits | None) -> DataView:
    """The view of all parts, or, where only the judged images are known, of these."""
    if splits is None:
        return _view(_only(evaluation), judged_only=True)
    if splits not in _views:
        _views[splits] = _view(splits, judged_only=False)
    return _views[splits]


_views: WeakKeyDictionary[Splits, DataView] = WeakKeyDictionary()
"""Of data that are still in use: each of several seeds reports the same."""


def _view(splits: Splits, *, judged_only: bool) -> DataView:
    parts = [(name, part) for name, part in splits if len(part)]
    report = look_over(splits)
    first = parts[0][1]
    tiles, means, examples = _pictures(first)
    lines = tuple(
        ClassLine(
            name=name,
            counts=tuple(int(part.counts[label]) for _, part in parts),
            mean=means.get(label),
            examples=examples.get(label, ()),
        )
        for label, name in enumerate(splits.classes[:MOST_CLASSES])
    )
    height, width, channels = splits.image_shape
    return DataView(
        size=f"{size_in_words(height, width)} pixels, {'grey' if channels == 1 else 'colour'}",
        parts=("Judged",) if judged_only else tuple(_PARTS[name] for name, _ in parts),
        totals=tuple(len(part) for _, part in parts),
        lines=lines,
        left_out=len(splits.classes) - len(lines),
        most=max(1, int(first.counts.max())),
        facts=(*splits.notes, *_facts(report)),
        report=report,
        tiles=tiles,
    )


def _only(evaluation: Evaluation) -> Splits:
    """The judged images as splits with nothing else in them."""
    labels = evaluation.labels.astype(np.int64)
    judged = ImageDataset(np.asarray(evaluation.images), labels, evaluation.classes, evaluation.names)
    none = judged.subset(np.zeros(len(judged), dtype=np.bool_))
    return Splits(evaluation.data, none, none, judged)


def _facts(report: DataReport) -> Iterator[str]:
    """What is there twice, and what was not looked for."""
    if "copies" not in report.not_checked:
        exact, near = report.exact_duplicates.count, report.near_duplicates.count
        copies = f"{plural(exact, 'image')} {'is an exact copy' if exact == 1 else 'are exact copies'} of another"
        alike = f"{plural(near, 'pair')} of images {'shows' if near == 1 else 'show'} the same picture, changed"
        shared = "" if report.leaks or len(report.counts) < 2 else "; none of them in two parts"
        found = " and ".join([copies] * bool(exact) + [alike] * bool(near))
        yield f"{found}{shared}." if found else "No image is there twice."
    if report.not_checked:
        yield f"Not looked for here: {', '.join(report.not_checked)}. glyphnet data DATA does it."


def _pictures(part: ImageDataset) -> tuple[Tiles, dict[int, int], dict[int, tuple[int, ...]]]:
    """The sheet, and by label the places of the mean image and of the examples on it."""
    labels = [int(label) for label in np.flatnonzero(part.counts)[:MOST_CLASSES]]
    wanted = max(0, min(EXAMPLES, MOST_TILES // len(labels) - 1))
    means = _means(part, labels)
    while True:
        chosen = {label: _examples(part, label, wanted) for label in labels}
        rows = np.concatenate(list(chosen.values())).astype(np.int64)
        tiles = lay_out(np.concatenate([means, np.asarray(part.images[rows])]))
        if len(tiles.png) <= MOST_BYTES or wanted == 0:
            break
        wanted -= 1
    ends = len(labels) + np.cumsum([len(rows) for rows in chosen.values()])
    places = {
        label: tuple(range(int(end) - len(chosen[label]), int(end))) for label, end in zip(labels, ends, strict=True)
    }
    return tiles, {label: place for place, label in enumerate(labels)}, places


def _examples(part: ImageDataset, label: int, count: int) -> Int64Array:
    mine = np.flatnonzero(part.labels == label)
    return np.sort(np.random.default_rng(label).permutation(mine)[:count]).astype(np.int64)


def _means(part: ImageDataset, labels: list[int]) -> npt.NDArray[np.uint8]:
    """The mean image of each class: uint8 (K, H, W, C); of a class with a great many images, of some evenly spaced."""
    means = np.empty((len(labels), *part.image_shape), dtype=np.uint8)
    for place, label in enumerate(labels):
        mine = np.flatnonzero(part.labels == label)
        some = mine[evenly_spaced(len(mine), _AVERAGED)]
        means[place] = np.round(part.images[some].mean(axis=0, dtype=np.float32))
    return means


# Suspected label errors: images, given and suggested labels, and a decision for each

MOST_SHOWN = 150  # images a part: more are no work for one sitting
MOST_LABEL_BYTES = 200_000  # of PNG a part

TITLES = {"train": "Training part", "validation": "Validation part", "test": "Test part", "all": "All images"}


@dataclass(frozen=True, eq=False)
class SuspectPart:
    """One part of the data, and which of its labels look wrong, the surest first."""

    name: str  # "train", "validation", "test", or "all" where the data are not divided
    dataset: ImageDataset  # the issues count its images and its classes
    issues: LabelIssues

    @property
    def title(self) -> str:
        """As the page calls the part."""
        return TITLES.get(self.name, self.name)


@dataclass(frozen=True, eq=False)
class ShownPart:
    """What of a part is on the page: the first of its suspects and their images."""

    part: SuspectPart
    tiles: Tiles | None

    @property
    def sheet(self) -> str:
        """The name of its sheet of images."""
        return f"labels-{self.part.name}"

    @property
    def total(self) -> int:
        """All suspects, on the page or not."""
        return len(self.part.issues.indices)

    @property
    def shown(self) -> int:
        """Those on the page."""
        return self.tiles.count if self.tiles else 0

    def payload(self) -> dict[str, Any]:
        """What the page's script draws."""
        issues, shown = self.part.issues, self.shown
        return {
            "part": self.part.name,
            "sheet": self.sheet,
            "files": [self.part.dataset.names[row] for row in issues.indices[:shown]],
            "given": issues.given[:shown].tolist(),
            "suggested": issues.suggested[:shown].tolist(),
            "scores": [round(score, 4) for score in issues.scores[:shown].tolist()],
        }


def show_parts(parts: Sequence[SuspectPart]) -> tuple[ShownPart, ...]:
    """The sheets of all parts, each of the first suspects that fit."""
    return tuple(ShownPart(part, _tiles(part)) for part in parts)


def key_of(parts: Sequence[ShownPart]) -> str:
    """What a browser keeps the decisions under: other suspects give another key."""
    digest = hashlib.sha256()
    for shown in parts:
        digest.update(repr((shown.part.dataset.classes, shown.payload())).encode("utf-8", "surrogatepass"))
    return f"glyphnet-labels-{base64.urlsafe_b64encode(digest.digest()[:12]).decode()}"


def _tiles(part: SuspectPart) -> Tiles | None:
    rows = part.issues.indices[:MOST_SHOWN]
    if not len(rows):
        return None
    while True:
        tiles = lay_out(np.asarray(part.dataset.images[rows]))
        if len(tiles.png) <= MOST_LABEL_BYTES or len(rows) == 1:
            return tiles
        rows = rows[: max(1, int(0.95 * len(rows) * MOST_LABEL_BYTES / len(tiles.png)))]
