"""Which images of an evaluation its report holds, and the sheets of them and of their saliency maps."""

from __future__ import annotations

import base64
import io
import math
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..classifier import Classifier
from ..evaluation import Evaluation
from ..evaluation.embedding import by_turns
from ..explain import saliency
from ..images import Batch

MOST_BYTES = 8_000_000  # of PNG; base64 makes 10.7 MB of it: 10,000 grey images of 28×28 always fit
MOST_PIXELS = 16_000_000  # a phone decodes it to 64 MB
MOST_IMAGES = 20_000  # each costs the page about 100 bytes besides its pixels
_LEAST_SURE = 200
_SAMPLE = 256

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sheet:
    """The images that the page holds."""

    tiles: Tiles
    rows: Int64Array  # (M,), ascending: which images of the evaluation the tiles are


def make_sheet(evaluation: Evaluation, *, also: npt.ArrayLike | None = None, most_bytes: int = MOST_BYTES) -> Sheet:
    """The sheet of all images, or of those that tell the most where all would be too much for one page.

    Then every mistake comes first, the worst before the others, then the least sure, then the rows ``also``, int (M,),
    which something else on the page shows, then the surest of every class in turn.
    """
    height, width = evaluation.images.shape[1:3]
    wanted = min(len(evaluation), MOST_IMAGES, max(1, MOST_PIXELS // (height * width)))
    order = by_interest(evaluation, also)
    if wanted * evaluation.images[0].size > most_bytes:  # raw pixels fit: so does their PNG
        size = len(_tiles(evaluation, np.sort(order[: min(_SAMPLE, wanted)])).png) / min(_SAMPLE, wanted)
        wanted = min(wanted, max(1, int(1.1 * most_bytes / size)))
    while True:
        rows = np.sort(order[:wanted])
        tiles = _tiles(evaluation, rows)
        if len(tiles.png) <= most_bytes or wanted == 1:
            return Sheet(tiles, rows)
        wanted = max(1, int(0.95 * wanted * most_bytes / len(tiles.png)))


def by_interest(evaluation: Evaluation, also: npt.ArrayLike | None = None) -> Int64Array:
    """All images, int64 (N,), in the order in which they are worth showing: see `make_sheet`."""
    losses = evaluation.top_losses(len(evaluation))
    unsure = evaluation.least_sure(_LEAST_SURE)
    chosen = np.asarray([] if also is None else also, dtype=np.int64)
    surest = np.argsort(-evaluation.confidence, kind="stable")
    in_turn = surest[by_turns(evaluation.labels[surest])]
    order = np.concatenate([losses[~evaluation.correct[losses]], unsure, chosen, in_turn])
    _, first = np.unique(order, return_index=True)
    return order[np.sort(first)].astype(np.int64)


def _tiles(evaluation: Evaluation, rows: Int64Array) -> Tiles:
    return lay_out(np.asarray(evaluation.images[rows]))


# Images of one size as one PNG: tiles row by row, cut out again by the page

MOST_SIDE = 16_000  # pixels: browsers decode no picture with a side of more than 16,384


@dataclass(frozen=True, eq=False)
class Tiles:
    """``count`` tiles of one size in a PNG, row by row from the top left; ``height`` and ``width`` are a tile's."""

    png: bytes
    count: int
    columns: int
    height: int
    width: int

    @property
    def layout(self) -> dict[str, int]:
        """What the page needs to cut them out again."""
        return {"count": self.count, "columns": self.columns, "height": self.height, "width": self.width}


def lay_out(images: npt.NDArray[np.uint8]) -> Tiles:
    """The picture of uint8 images (N, H, W, C), C 1 or 3, N at least 1; about square."""
    count, height, width, channels = images.shape
    columns = max(1, min(count, round(math.sqrt(count * height / width)), MOST_SIDE // width))
    lines = math.ceil(count / columns)
    tiles = np.zeros((lines * columns, height, width, channels), dtype=np.uint8)
    tiles[:count] = images
    tiles = tiles.reshape(lines, columns, height, width, channels).swapaxes(1, 2)
    pixels = tiles.reshape(lines * height, columns * width, channels)
    file = io.BytesIO()
    # Run lengths alone: a third of the time of a search for repeated strings, which save nothing in small images.
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(file, "PNG", compress_type=zlib.Z_RLE)
    return Tiles(file.getvalue(), count, columns, height, width)


def base64_of(values: npt.NDArray[np.generic], dtype: str) -> str:
    """The values as numbers of ``dtype`` ("<u2": uint16, lowest byte first), as base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()


# The saliency maps: which images get one, and the sheet of them

STEPS = 8  # of integrated gradients: more hardly change the picture
MOST_FLOPS = 1.2e10  # what all maps together may cost: a third of a second, never more for being measured
LEAST = 48  # images that get one whatever they cost
MOST_SALIENCY_BYTES = 1_200_000  # of PNG
_LEVELS = 15  # shades on either side of zero
_SPREAD = 0.8  # exponent: below 1 it lifts what is faint beside the strongest pixel


@dataclass(frozen=True, eq=False)
class SaliencySheet:
    """Saliency maps, as grey tiles: 128 is zero, above speaks for the class that was named, below against it."""

    tiles: Tiles
    places: Int64Array  # (M,), for each image of the page its tile, or -1 where it has none


def saliency_sheet(classifier: Classifier, evaluation: Evaluation, sheet: Sheet) -> SaliencySheet:
    """Maps of the images in ``sheet``: of all of them where that is cheap, else of those that tell the most.

    Each is of the class that was named, by integrated gradients, and scaled by its own strongest pixel.
    """
    height, width = evaluation.images.shape[1:3]
    rows = affordable(classifier, evaluation, sheet)
    seen = Batch.as_seen(np.asarray(evaluation.images[rows]))
    maps = shades(saliency(classifier, seen, evaluation.predictions[rows], steps=STEPS))
    tiles = lay_out(maps.reshape(-1, height, width, 1))
    while len(tiles.png) > MOST_SALIENCY_BYTES and len(rows) > 1:
        rows = rows[: max(1, int(0.95 * len(rows) * MOST_SALIENCY_BYTES / len(tiles.png)))]
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
