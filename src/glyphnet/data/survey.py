"""Chooses the size and colour that all pictures of a data set get, from the data and the user's wish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import SettingsError
from .dataset import size_in_words
from .decode import ImageShape
from .detail import SMALL, Detail, choose_side

LARGEST_SIDE = 96  # what the networks here are made for
LARGEST_ASKED = 1024
COLORS = {"auto": None, "grey": 1, "rgb": 3}

# Enough to meet a class of one image in a hundred, and small ones are read in less than a second.
SAMPLE = 1000


@dataclass(frozen=True)
class ShapeWish:
    """What the user asked for: ``size`` (height, width) or None, ``color`` "auto", "grey" or "rgb"."""

    size: tuple[int, int] | None = None
    color: str = "auto"

    @classmethod
    def parse(cls, size: int | Sequence[int] | None, color: str) -> ShapeWish:
        """Check a wish as `glyphnet.data.load` takes it.

        Raises:
            SettingsError: the size is no integer from 1 to 1024 or pair of them, or the colour is unknown.
        """
        wrong = []
        pair = size if isinstance(size, (tuple, list)) else (size, size)
        right = len(pair) == 2 and all(type(side) is int and 1 <= side <= LARGEST_ASKED for side in pair)
        if size is not None and not right:
            wrong.append(f"size (={size!r}) must be a side from 1 to {LARGEST_ASKED} pixels, or (height, width)")
        if color not in COLORS:
            wrong.append(f"color (={color!r}) must be one of {', '.join(COLORS)}")
        if wrong:
            raise SettingsError("; ".join(wrong) + ".")
        return cls((pair[0], pair[1]) if size is not None else None, color)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be chosen from the data."""
        return self.size is not None and self.color != "auto"

    @property
    def source(self) -> str:
        """Who chose, in words for a note."""
        if self.is_complete:
            return "as asked for"
        if self.size is not None:
            return "colour chosen from the data: pass --color to override"
        if self.color != "auto":
            return "size chosen from the data: pass --size to override"
        return "chosen from the data: pass --size and --color to override"


def choose_shape(
    sizes: Iterable[tuple[int, int]], any_colored: bool, wish: ShapeWish, details: Sequence[Detail] = ()
) -> tuple[ImageShape, str]:
    """Height, width and channels for pictures of these ``sizes`` (height, width), and a note on the size or "".

    One size up to 48×48 is kept. Of larger pictures the median height and width are taken (a few odd pictures do not
    move them) and shrunk together to the smallest longer side at which the content stays, at most 96: see `detail`.
    Without ``details`` that is 96. Each side is rounded to a multiple of 4, so that the networks can halve them twice.
    One coloured picture makes the data RGB: grey pictures lose nothing by it.
    """
    channels = COLORS[wish.color] or (3 if any_colored else 1)
    if wish.size is not None:
        return (*wish.size, channels), ""
    size, note = _choose_size(sizes, details)
    return (*size, channels), note


def _choose_size(sizes: Iterable[tuple[int, int]], details: Sequence[Detail]) -> tuple[tuple[int, int], str]:
    table = np.array(list(sizes), dtype=np.int64)
    middle = np.median(table, axis=0)
    largest = min(LARGEST_SIDE, round(middle.max()))
    side, why = choose_side(details, largest) if details and middle.max() > SMALL else (largest, "")
    if (table == table[0]).all() and side == largest == table.max():
        return (int(table[0, 0]), int(table[0, 1])), ""
    middle *= min(1.0, side / middle.max())
    height, width = np.clip(np.rint(middle / 4) * 4, 4, LARGEST_SIDE).astype(int).tolist()
    if side == largest:
        return (height, width), ""
    times = (largest / side) ** 2
    return (height, width), (
        f"At {size_in_words(height, width)} {why}; --size {largest} is the largest, and takes about {times:.0f} times "
        "as long."
    )


def is_colored(picture: Image.Image) -> bool:
    """Whether more than one pixel in a hundred of a PIL image (L or RGB) is clearly not grey.

    Nearly grey is a difference of up to 24 of 255 between channels: the noise of JPEG and of scanners.
    """
    if picture.mode != "RGB":
        return False
    factor = max(1, min(picture.size) // 64)  # a large picture is judged on its averages
    pixels = np.asarray(picture.reduce(factor) if factor > 1 else picture)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    low = np.minimum(np.minimum(red, green), blue)
    high = np.maximum(np.maximum(red, green), blue)
    return bool(np.count_nonzero(high - low > 24) > 0.01 * low.size)


def shape_in_words(shape: ImageShape) -> str:
    """ "28×28 grey", or "24×32 (height × width) RGB": height first, as ``--size`` reads it."""
    return f"{size_in_words(shape[0], shape[1])} {'grey' if shape[2] == 1 else 'RGB'}"


def sample_rows(count: int) -> list[int]:
    """At most `SAMPLE` rows of ``count``, evenly spread."""
    spread = np.linspace(0, count - 1, min(count, SAMPLE))
    return [int(row) for row in np.unique(spread.round())]
