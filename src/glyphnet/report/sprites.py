"""The images of a report as one PNG: a sheet of tiles, cut out again by the page."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..evaluation import Evaluation

MOST_BYTES = 8_000_000  # of PNG; base64 makes 10.7 MB of it: 10,000 grey images of 28×28 always fit
MOST_PIXELS = 16_000_000  # a phone decodes it to 64 MB
MOST_IMAGES = 20_000  # each costs the page about 100 bytes besides its pixels
_LEAST_SURE = 200
_SAMPLE = 256

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sheet:
    """Tiles of one size, row by row from the top left.

    Attributes:
        png: the picture.
        rows: int64 (M,), ascending: which images of the evaluation the tiles are.
        columns: tiles a row.
        height: of a tile in pixels.
        width: of a tile in pixels.
    """

    png: bytes
    rows: Int64Array
    columns: int
    height: int
    width: int


def make_sheet(evaluation: Evaluation, *, most_bytes: int = MOST_BYTES) -> Sheet:
    """The sheet of all images, or of those that tell the most where all would be too much for one page.

    Then every mistake comes first, the worst before the others, then the least sure, then the surest of
    every class in turn.
    """
    height, width = evaluation.images.shape[1:3]
    wanted = min(len(evaluation), MOST_IMAGES, max(1, MOST_PIXELS // (height * width)))
    order = by_interest(evaluation)
    if wanted * evaluation.images[0].size > most_bytes:  # raw pixels fit: so does their PNG
        size = len(_png(evaluation, np.sort(order[: min(_SAMPLE, wanted)]))[0]) / min(_SAMPLE, wanted)
        wanted = min(wanted, max(1, int(1.1 * most_bytes / size)))
    while True:
        rows = np.sort(order[:wanted])
        png, columns = _png(evaluation, rows)
        if len(png) <= most_bytes or wanted == 1:
            return Sheet(png, rows, columns, height, width)
        wanted = max(1, int(0.95 * wanted * most_bytes / len(png)))


def by_interest(evaluation: Evaluation) -> Int64Array:
    """All images, int64 (N,), in the order in which they are worth showing: see `make_sheet`."""
    losses = evaluation.top_losses(len(evaluation))
    unsure = evaluation.least_sure(_LEAST_SURE)
    surest = np.argsort(-evaluation.confidence, kind="stable")
    labels = evaluation.labels[surest]
    place = np.empty(len(surest), dtype=np.int64)  # of each image among those of its class
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        place[mine] = np.arange(len(mine))
    in_turn = surest[np.argsort(place, kind="stable")]
    order = np.concatenate([losses[~evaluation.correct[losses]], unsure, in_turn])
    _, first = np.unique(order, return_index=True)
    return order[np.sort(first)].astype(np.int64)


def _png(evaluation: Evaluation, rows: Int64Array) -> tuple[bytes, int]:
    height, width, channels = evaluation.images.shape[1:]
    # As square as it goes: browsers decode no picture with a side of more than 16,384 pixels.
    columns = max(1, min(len(rows), round(math.sqrt(len(rows) * height / width))))
    lines = math.ceil(len(rows) / columns)
    tiles = np.zeros((lines * columns, height, width, channels), dtype=np.uint8)
    tiles[: len(rows)] = evaluation.images[rows]
    tiles = tiles.reshape(lines, columns, height, width, channels).swapaxes(1, 2)
    pixels = tiles.reshape(lines * height, columns * width, channels)
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(file, "PNG", compress_level=6)
    return file.getvalue(), columns
