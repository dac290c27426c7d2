"""The saliency maps of a report: which images get one, and the sheet of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..classifier import Classifier
from ..evaluation import Evaluation
from ..explain import saliency
from ..images import Batch
from .sheets import Sheet, Tiles, by_interest, lay_out

STEPS = 8  # of integrated gradients: more hardly change the picture
MOST_FLOPS = 1.2e10  # what all maps together may cost: a third of a second, never more for being measured
LEAST = 48  # images that get one whatever they cost
MOST_BYTES = 1_200_000  # of PNG
_LEVELS = 15  # shades on either side of zero
_SPREAD = 0.8  # exponent: below 1 it lifts what is faint beside the strongest pixel

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SaliencySheet:
    """Saliency maps, as grey tiles: 128 is zero, above speaks for the class that was named, below against it.

    Attributes:
        tiles: the picture.
        places: int64 (M,), for each image of the page its tile, or -1 where it has none.
    """

    tiles: Tiles
    places: Int64Array


def saliency_sheet(classifier: Classifier, evaluation: Evaluation, sheet: Sheet) -> SaliencySheet:
    """Maps of the images in ``sheet``: of all of them where that is cheap, else of those that tell the most.

    Each is of the class that was named, by integrated gradients, and scaled by its own strongest pixel.
    """
    height, width = evaluation.images.shape[1:3]
    rows = affordable(classifier, evaluation, sheet)
    seen = Batch.as_seen(np.asarray(evaluation.images[rows]))
    maps = shades(saliency(classifier, seen, evaluation.predictions[rows], steps=STEPS))
    tiles = lay_out(maps.reshape(-1, height, width, 1))
    while len(tiles.png) > MOST_BYTES and len(rows) > 1:
        rows = rows[: max(1, int(0.95 * len(rows) * MOST_BYTES / len(tiles.png)))]
        tiles = lay_out(maps[: len(rows)].reshape(-1, height, width, 1))
    places = np.full(len(sheet.rows), -1, dtype=np.int64)
    places[np.searchsorted(sheet.rows, rows)] = np.arange(len(rows))
    return SaliencySheet(tiles, places)


def affordable(classifier: Classifier, evaluation: Evaluation, sheet: Sheet) -> Int64Array:
    """The images that get a map, int64 (M,), the most telling first: as many as the FLOPs allow."""
    order = by_interest(evaluation)
    order = order[np.isin(order, sheet.rows)]
    cost = 3 * STEPS * max(1, classifier.summary().flops)  # a gradient takes about two more ways through the network
    return order[: max(LEAST, int(MOST_FLOPS // cost))]


def shades(maps: Float32Array) -> npt.NDArray[np.uint8]:
    """Signed maps (N, H, W) as grey values: 128 zero, 8 and 248 the strongest of each map; in few levels."""
    strongest = np.abs(maps).max(axis=(1, 2), keepdims=True)
    share = np.divide(maps, strongest, out=np.zeros_like(maps), where=strongest > 0)
    level = np.round(np.sign(share) * np.abs(share) ** _SPREAD * _LEVELS)
    return np.asarray(128 + level * (120 // _LEVELS), dtype=np.uint8)
