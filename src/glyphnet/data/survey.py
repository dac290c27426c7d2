"""Chooses the size and colour of all pictures of a data set, from the data and the user's wish.

The largest size that fits is seldom the best. Strokes of a line drawing that are thin at 96 pixels teach a network less
than the same shapes at 28, which also train many times faster. What must stay of a drawing is the shape: which parts
touch, what they enclose. Of any other image it is the brightness: what is lost when it is made small and large again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import SettingsError
from .dataset import evenly_spaced, size_in_words
from .decode import ImageShape

LARGEST_SIDE = 96  # what the networks here are made for
LARGEST_OWN = 224  # what pretrained networks are made for
LARGEST_ASKED = 1024
COLORS = {"auto": None, "grey": 1, "rgb": 3}

SAMPLE = 1000  # meets a class of one image in a hundred; small images are read in less than a second

SIDES = (28, 40, 56, 72, 96)
"""Longer sides that are tried; sources of at most `SMALL` stay as they are."""

SMALL = 48
LOOKED_AT = 64  # pictures that are measured: shares are then known to about 5 %

ENOUGH_SHAPES = 0.9  # share of the drawings, of those that keep their shape at the largest side
ENOUGH_BRIGHTNESS = 0.998  # share of the variance; the fine detail of photographs holds little of it
_LARGEST_LOOKED_AT = 256  # longer sides are reduced to this first
_SPECK = 0.0005  # share of the picture below which a part of a drawing is dirt
_TWO_LEVELS = 0.9  # share of the pixels that are ink or paper in a drawing
_MOST_INK = 0.35


@dataclass(frozen=True)
class ShapeWish:
    """What the user asked for.

    Attributes:
        size: (height, width), or None.
        color: one of `COLORS`.
        own_size: keep the pictures' own size, up to `LARGEST_OWN`.
    """

    size: tuple[int, int] | None = None
    color: str = "auto"
    own_size: bool = False

    @classmethod
    def parse(cls, size: int | Sequence[int] | str | None, color: str) -> ShapeWish:
        """Check the arguments of `glyphnet.data.load`; SettingsError names both where they are wrong."""
        wrong = []
        own_size, size = size == "own", None if size == "own" else size
        pair = size if isinstance(size, (tuple, list)) else (size, size)
        right = len(pair) == 2 and all(type(side) is int and 1 <= side <= LARGEST_ASKED for side in pair)
        if size is not None and not right:
            wrong.append(f'size (={size!r}) must be a side from 1 to {LARGEST_ASKED} pixels, or two, or "own"')
        if color not in COLORS:
            wrong.append(f"color (={color!r}) must be one of {', '.join(COLORS)}")
        if wrong:
            raise SettingsError("; ".join(wrong) + ".")
        return cls((pair[0], pair[1]) if size is not None else None, color, own_size)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be chosen from the data."""
        return self.size is not None and self.color != "auto"

    @property
    def source(self) -> str:
        """Where size and colour come from, in words for a note."""
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

    One size up to 48×48 is kept. The median height and width of larger pictures (a few odd pictures do not move them)
    shrink together to the smallest longer side at which the content stays, at most 96; without ``details`` to 96, or to
    224 where their own size is wished for. Each side is rounded to a multiple of 4, so that the networks can halve it
    twice. One coloured picture makes the data RGB: grey pictures lose nothing by it.
    """
    channels = COLORS[wish.color] or (3 if any_colored else 1)
    if wish.size is not None:
        return (*wish.size, channels), ""
    most, details = (LARGEST_OWN, ()) if wish.own_size else (LARGEST_SIDE, details)
    table = np.array(list(sizes), dtype=np.int64)
    middle = np.median(table, axis=0)
    largest = min(most, round(middle.max()))
    side, why = choose_side(details, largest) if details and middle.max() > SMALL else (largest, "")
    if (table == table[0]).all() and side == largest == table.max():
        return (int(table[0, 0]), int(table[0, 1]), channels), ""
    middle *= min(1.0, side / middle.max())
    height, width = np.clip(np.rint(middle / 4) * 4, 4, most).astype(int).tolist()
    if side == largest:
        return (height, width, channels), ""
    times = (largest / side) ** 2
    return (height, width, channels), (
        f"At {size_in_words(height, width)} {why}; --size {largest} is the largest, and takes about {times:.0f} times "
        "as long."
    )


def is_colored(picture: Image.Image) -> bool:
    """Whether more than one pixel in a hundred of a PIL image (L or RGB) is coloured.

    Channels that differ by up to 24 of 255 are the noise of JPEG and of scanners.
    """
    if picture.mode != "RGB":
        return False
    factor = max(1, min(picture.size) // 64)  # a large picture is judged on its averages
    pixels = np.asarray(picture.reduce(factor) if factor > 1 else picture)
    red, green, blue = np.moveaxis(pixels, 2, 0)
    low = np.minimum(np.minimum(red, green), blue)
    high = np.maximum(np.maximum(red, green), blue)
    return bool(np.count_nonzero(high - low > 24) > 0.01 * low.size)


def shape_in_words(shape: ImageShape) -> str:
    """ "28×28 grey", or "24×32 (height × width) RGB": height first, as ``--size`` reads it."""
    return f"{size_in_words(shape[0], shape[1])} {'grey' if shape[2] == 1 else 'RGB'}"


def sample_rows(count: int) -> list[int]:
    """At most `SAMPLE` rows of ``count``, evenly spread."""
    rows: list[int] = evenly_spaced(count, SAMPLE).tolist()
    return rows


# How large images must be to keep their content


@dataclass(frozen=True)
class Detail:
    """What stays of one picture at each of `SIDES`.

    Attributes:
        kept: 1 where a drawing keeps its shape, else 0; the share of the variance that another picture keeps.
    """

    is_drawing: bool  # whether it has two levels only
    kept: tuple[float, ...]
    stroke: float = 0.0  # mean width of a drawing's strokes, as a share of the longer side


def measure_detail(picture: Image.Image) -> Detail:
    """Measure one picture of mode L or RGB."""
    grey = picture.convert("L")
    if max(grey.size) > _LARGEST_LOOKED_AT:
        grey = grey.resize(_reduced(grey.size, _LARGEST_LOOKED_AT), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.float64)
    ink = _ink_of(values)
    if ink is None:
        return Detail(False, tuple(_brightness_kept(grey, values, side) for side in SIDES))
    drawn = ink >= 0.5
    shape = _shape_of(drawn)
    kept = tuple(float(_shape_of(_small(ink, side)) == shape) for side in SIDES)
    outline = np.count_nonzero(drawn[1:] != drawn[:-1]) + np.count_nonzero(drawn[:, 1:] != drawn[:, :-1])
    width = 8 / np.pi * float(np.count_nonzero(drawn)) / max(1.0, float(outline))  # twice the area over the outline
    return Detail(True, kept, width / max(grey.size))


def choose_side(details: Sequence[Detail], longest: int) -> tuple[int, str]:
    """The smallest of `SIDES` at which enough stays, else ``longest``; and why, in words."""
    drawings = [each for each in details if each.is_drawing]
    are_drawings = 2 * len(drawings) > len(details)
    counted = drawings if are_drawings else [each for each in details if not each.is_drawing]
    by_side = zip(SIDES, zip(*(each.kept for each in counted), strict=True), strict=True)
    kept = {side: float(np.mean(shares)) for side, shares in by_side if side <= longest}
    enough = ENOUGH_SHAPES * max(kept.values()) if are_drawings else ENOUGH_BRIGHTNESS
    side = next((side for side, share in kept.items() if share >= enough), longest)
    if side == longest:
        return longest, "smaller, detail would be lost"
    share = f"{100 * kept[side]:.3g} %"
    if are_drawings:
        width = float(np.mean([each.stroke for each in counted])) * side
        return side, f"the shapes of {share} of the drawings stay, with strokes {width:.1f} pixels wide"
    return side, f"{share} of the variance stays"


def _ink_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """How much ink each pixel has, 0 to 1; None where the picture is not a drawing of two levels."""
    low, high = np.percentile(values, [1, 99]) if np.ptp(values) else (0.0, 0.0)
    low, high = (values.min(), values.max()) if high - low < 24 else (low, high)
    if high - low < 24:
        return None
    level = (values - low) / (high - low)
    if np.mean((level < 0.25) | (level > 0.75)) < _TWO_LEVELS:
        return None
    ink = level if np.median(level) < 0.5 else 1 - level
    return np.clip(ink, 0, 1) if np.mean(ink > 0.5) <= _MOST_INK else None


def _reduced(size: tuple[int, int], side: int) -> tuple[int, int]:
    """A picture's (width, height) at a longer side of at most ``side``."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _small(ink: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.bool_]:
    """Where the ink is when the picture is made small: a pixel that is partly covered counts, as a thin stroke does."""
    picture = Image.fromarray((ink * 255).astype(np.uint8))
    small = np.asarray(picture.resize(_reduced(picture.size, side), Image.Resampling.BOX), np.float64)
    peak = np.percentile(small[small > 0], 75) if (small > 0).any() else 1.0
    return small >= 0.5 * peak


def _shape_of(ink: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """How many parts of ink there are, and how many parts of what they leave."""
    from scipy.ndimage import label

    least = max(1, int(_SPECK * ink.size))
    labelled = label(ink, np.ones((3, 3), dtype=int))[0], label(~np.pad(ink, 1))[0]
    parts, left = (int(np.count_nonzero(np.bincount(each.ravel())[1:] >= least)) for each in labelled)
    return parts, left


def _brightness_kept(grey: Image.Image, values: npt.NDArray[np.float64], side: int) -> float:
    """The share of the variance that stays when a picture is made small and large again."""
    variance = float(values.var())
    if side >= max(grey.size) or not variance:
        return 1.0
    small = grey.resize(_reduced(grey.size, side), Image.Resampling.BICUBIC)
    again = small.resize(grey.size, Image.Resampling.BICUBIC)
    return 1.0 - float(np.mean((np.asarray(again, np.float64) - values) ** 2)) / variance
