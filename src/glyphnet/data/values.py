"""One brightness scale for a whole data set: which value is black, which is white, the same for every image.

Pictures and arrays of 8 bits are brightness already. Values of any other kind (16-bit counts of a camera, floats, 0/1)
say nothing about brightness by themselves: one range is chosen from the values of the whole set, stored in the model
and applied wherever the model predicts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import BadFileError, DataError, SettingsError
from ..units import plural

UInt8Array = npt.NDArray[np.uint8]

NOT_NUMBERS = "holds values that are no numbers (NaN)"

ValueRange: TypeAlias = tuple[float, float]
"""(low, high): the values that become black (0) and white (255)."""

EIGHT_BITS: ValueRange = (0.0, 255.0)

NEARLY_BLACK = 16
"""8-bit images whose values all lie in 0..16 are 0/1 images, class indices or digits in 17 levels: they are scaled.

Nonzero values scaled from 0..n, n at most 16, are at least 255/16, so scaled images are never scaled again.
"""

WHITES = (1, 255, 1023, 4095, 16_383, 65_535)
"""The usual values of white: fractions, and 8, 10, 12, 14 and 16 bits."""

MOST_OUTSIDE = 0.5
"""Share of an image's values outside the range from which it cannot be on the model's scale."""

_TAIL = 0.01  # percent at either end that may be hot or dead pixels
_FAR = 3  # an end that lies farther out than this many times the range of the others is cut off
_SAMPLE = 1_000_000  # values that the percentiles are taken from
_PIECE = 1 << 20  # values scaled in one go

Page: TypeAlias = int | Literal["mean", "max"]
"""Which page of a file is read, from 1; or the mean or the maximum of all."""


@dataclass(frozen=True)
class Reading:
    """How the files of one data set, and those that a model classifies, are read.

    Attributes:
        value_range: the values that become black and white, for pictures of more than 8 bits. None, from models older
            than ranges: 16 bits by 65,535, floats by the range that each file seems to have.
        window: the range was set by the user: pictures of 8 bits are put on it too, and values may lie outside.
    """

    value_range: ValueRange | None = EIGHT_BITS
    page: Page = 1  # which page of a file of several
    window: bool = False
    strict: bool = True  # refuse pictures that cannot be on the scale: more than half of their values lie outside


STANDARD = Reading()
"""For a model of pictures of 8 bits."""


def check_page(value: Any) -> Page:
    """The page that the user asked for; raises SettingsError for any other value."""
    if value in ("mean", "max") or (type(value) is int and value >= 1):
        return value  # type: ignore[no-any-return]
    raise SettingsError(f"page (={value!r}) must be a number from 1 up, mean or max.")


def check_range(value: Any) -> ValueRange | None:
    """The range that the user asked for, or None; raises SettingsError unless it is (low, high), low below high."""
    if value is None:
        return None
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError):
        low = high = 0.0
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise SettingsError(f"value_range (={value!r}) must be (low, high), two numbers, low below high.")
    return low, high


def range_in_words(value_range: ValueRange) -> str:
    """``"0:4095"``, as ``--range`` takes it."""
    return ":".join(f"{end:.6g}" for end in value_range)


@dataclass
class ValueSurvey:
    """The values of a data set, or of a sample of it."""

    low: float = np.inf
    high: float = -np.inf
    is_whole: bool = True  # whether all are whole numbers
    is_wide: bool = False  # whether any have more than 8 bits (uint16, int32, float, …)
    _samples: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def add(self, values: npt.NDArray[Any], of: int = 1) -> None:
        """Look at the values of an image, or of a piece of an array, one of about ``of`` in all."""
        if not values.size:
            return
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        self.is_wide = self.is_wide or values.dtype not in (np.uint8, np.bool_)
        if self.is_whole and values.dtype.kind == "f":
            self.is_whole = bool((values == np.rint(values)).all())
        flat = values.reshape(-1)
        # An odd step: one that divides the rows' lengths would sample a few columns of the images.
        step = max(1, flat.size // max(1, _SAMPLE // of)) | 1
        self._samples.append(flat[::step].astype(np.float64))

    def merge(self, other: ValueSurvey) -> None:
        """Add the values of another survey."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.is_whole, self.is_wide = self.is_whole and other.is_whole, self.is_wide or other.is_wide
        self._samples.extend(other._samples)

    def choose(self) -> ValueRange:
        """The range for the whole set.

        All values lie in it, except for a few far out (at most 1 in 10,000 at either end): hot and dead pixels. Where
        the values use more than half of one of the usual scales (fractions, 8, 10, 12, 14, 16 bits), it is that scale.
        """
        low, high = self._ends()
        if self.low >= 0:
            for white in WHITES:
                if white / 2 < high <= white and low <= white / 4:
                    return 0.0, float(white)
            low = 0.0 if low <= high / 16 else low
        return (low, high) if low < high else (low, low + 1.0)

    def _ends(self) -> ValueRange:
        values = np.concatenate(self._samples) if self._samples else np.zeros(1)
        low, high = np.percentile(values, [_TAIL, 100 - _TAIL])
        span = high - low
        if span <= 0:
            return self.low, self.high
        return (
            float(low) if low - self.low > _FAR * span else self.low,
            float(high) if self.high - high > _FAR * span else self.high,
        )


def range_sentence(
    value_range: ValueRange, asked: Reading | None, outside: int = 0, of: str = "", whose: str = "all images alike"
) -> str:
    """What became black and white, and how many values lie outside, in a sentence.

    Args:
        asked: the reading of the user or of a model; None: the range was chosen from the data.
        outside: values outside the range.
        of: where they are, such as " in 3 pictures".
        whose: the images that have this range.
    """
    low, high = range_in_words(value_range).split(":")
    chosen = "chosen from the data: pass --range LOW:HIGH to override"
    if asked is not None:
        chosen = "as asked for" if asked.window else "as the model was trained"
    lost = f" {plural(outside, 'value')}{of} outside became black or white." if outside else ""
    return f"Brightness, for {whose}: {low} is black, {high} is white ({chosen}).{lost}"


def choose_for_8_bits(high: float) -> ValueRange | None:
    """The range of 8-bit images whose greatest value is ``high``; None takes them as they are."""
    return (0.0, float(high)) if 0 < high <= NEARLY_BLACK else None


def scaled_to_8_bits(values: npt.NDArray[Any], value_range: ValueRange) -> tuple[UInt8Array, int]:
    """Values of any numeric type as brightness, uint8 of the same shape, and how many lie outside the range.

    Those outside become black or white. NaN is a DataError.
    """
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255), 0
    low, high = value_range
    result, outside = np.empty(values.shape, np.uint8), 0
    for start, piece in pieces(values):
        wide = piece.astype(np.float64)
        if not np.isfinite(wide.sum()) and np.isnan(wide).any():
            raise DataError("Values that are no numbers (NaN) have no brightness. Replace them before saving.")
        outside += int(np.count_nonzero((wide < low) | (wide > high)))
        with np.errstate(over="ignore"):
            result[start : start + len(piece)] = np.rint(np.clip((wide - low) * (255 / (high - low)), 0, 255))
    return result, outside


def pieces(values: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """The array, which may be a memory map, in pieces of bounded size along its first axis, and where each begins."""
    step = max(1, _PIECE // max(1, int(np.prod(values.shape[1:]))))
    for start in range(0, len(values), step):
        yield start, np.asarray(values[start : start + step])


def on_scale(values: npt.NDArray[Any], value_range: ValueRange, *, window: bool = False) -> UInt8Array:
    """An array to classify, of any numeric type, as brightness on the model's scale: uint8.

    uint8 arrays are brightness already, 0 black to 255 white, except where the model's range is at most 0..16 and all
    values lie in it. True is white. With ``window`` all arrays hold values on that scale, and any may lie outside.

    Raises:
        DataError: the values cannot be on that scale: more than half lie outside, or they are fractions up to 1 and
            the scale is another.
    """
    if values.dtype.kind not in "buif":
        raise DataError(f"Images must hold numbers, not {values.dtype}.")
    if values.dtype == np.uint8 and not window:
        raw = value_range[1] <= NEARLY_BLACK and values.size and values.max() <= value_range[1]
        return scaled_to_8_bits(values, value_range)[0] if raw else values
    if window or not values.size:
        return scaled_to_8_bits(values, value_range)[0]
    low, high, scale = float(values.min()), float(values.max()), range_in_words(value_range)
    if _are_fractions(values, low, high, value_range):
        raise DataError(
            f"The values lie in 0..{high:.3g}, and the model's scale is {scale}. If 1 is white, give "
            f"images * {value_range[1]:g}."
        )
    scaled, outside = scaled_to_8_bits(values, value_range)
    if outside > MOST_OUTSIDE * values.size:
        raise DataError(
            f"{outside:,} of {values.size:,} values lie outside {scale}, the scale that the model was trained on: "
            f"they run from {low:.6g} to {high:.6g}. Give values on that scale, or uint8 from 0 black to 255 white."
        )
    return scaled


def _are_fractions(values: npt.NDArray[Any], low: float, high: float, value_range: ValueRange) -> bool:
    """Whether values from ``low`` to ``high`` are fractions of white, and the scale is another."""
    return values.dtype.kind == "f" and low >= 0 and 0 < high <= 1 and value_range[1] > NEARLY_BLACK


# The values of one picture


def brightness_of(values: npt.NDArray[Any], name: str | os.PathLike[str], reading: Reading) -> tuple[UInt8Array, int]:
    """The values of a picture called ``name``, of any type, as brightness; and how many lie outside the range.

    Values without a brightness on the scale are a BadFileError.
    """
    value_range = reading.value_range
    if value_range is None:
        return _by_file(values, name), 0
    if values.dtype.kind == "f" and np.isnan(values.min()):
        raise BadFileError(name, NOT_NUMBERS, "Replace such values before saving.")
    if reading.strict and not reading.window:
        value_range = _checked_range(values, value_range, name)
    return scaled_to_8_bits(values, value_range)


def _checked_range(values: npt.NDArray[Any], value_range: ValueRange, name: str | os.PathLike[str]) -> ValueRange:
    """The range to read a picture by, for a model trained on ``value_range``."""
    low, high = float(values.min()), float(values.max())
    if value_range == EIGHT_BITS and low >= 0 and 4096 <= high <= 65_535:
        return 0.0, 65_535.0  # 16 bits, for a model of 8: white is white
    outside = sum(np.count_nonzero((part < value_range[0]) | (part > value_range[1])) for _, part in pieces(values))
    most = 0 if value_range == EIGHT_BITS else MOST_OUTSIDE * values.size
    if _are_fractions(values, low, high, value_range) or outside > most:
        reason = f"values from {low:g} to {high:g}; the model was trained on the scale {range_in_words(value_range)}"
        raise BadFileError(name, reason, "Save it on that scale, or with 8 bits a pixel.")
    return value_range


def _by_file(values: npt.NDArray[np.generic], name: str | os.PathLike[str]) -> UInt8Array:
    """Grey values of 16 or 32 bits as brightness, for models older than ranges."""
    low, high = float(values.min()), float(values.max())
    # Float images are fractions, 8-bit or 16-bit values. Pillow holds 16-bit grey in integers of 16 or 32 bits.
    scales = (1, 255, 65_535) if values.dtype.kind == "f" else (65_535,)
    white = next((scale for scale in scales if low >= 0 and high <= scale), None)
    if white is None:  # also for NaN: no comparison with it holds
        reason = f"values from {low:g} to {high:g}, for which no brightness is agreed"
        raise BadFileError(name, reason, "Save it with 8 or 16 bits a pixel.")
    return scaled_to_8_bits(values, (0.0, float(white)))[0]
