"""Suspected label errors as a report shows them: images, given and suggested labels, and a decision for each."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import ImageDataset
from ..evaluation.labels import LabelIssues
from .sheets import Tiles, lay_out

MOST_SHOWN = 150  # images a part: more are no work for one sitting
MOST_BYTES = 200_000  # of PNG a part

TITLES = {"train": "Training part", "validation": "Validation part", "test": "Test part", "all": "All images"}


@dataclass(frozen=True, eq=False)
class SuspectPart:
    """One part of the data, and which of its labels look wrong.

    Attributes:
        name: "train", "validation", "test", or "all" where the data are not divided.
        dataset: the part; the issues count its images and its classes.
        issues: what was found, the surest first.
    """

    name: str
    dataset: ImageDataset
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
        if len(tiles.png) <= MOST_BYTES or len(rows) == 1:
            return tiles
        rows = rows[: max(1, int(0.95 * len(rows) * MOST_BYTES / len(tiles.png)))]
