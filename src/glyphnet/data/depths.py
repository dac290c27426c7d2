"""How the values of the pictures in one data set are stored: in 8 bits, as larger whole numbers, as floats.

Pictures of 8 bits are brightness as they are; all others share one scale. Where some of these use a small part of it
only, they come out nearly black, and a model learns how pictures were saved rather than what they show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import DataError
from .values import EIGHT_BITS, NEARLY_BLACK, WHITES, Reading, ValueRange, range_in_words

EIGHT = "8"
"""The depth of pictures of 8 bits a channel."""

_FAR = 3  # bits between the greatest values of two kinds of picture from which they are not on one scale
_MOST_SMALL = 8  # bits below which pictures of whole numbers are dark, rather than saved with fewer bits
_FEW = 0.05  # share of the pictures up to which dark ones are exceptions


def depth_of(values: Image.Image | npt.NDArray[Any]) -> str:
    """How the values of one picture are stored: `EIGHT`, or "whole" or "real" with the greatest: ``"whole 4071"``."""
    if isinstance(values, Image.Image) or values.dtype in (np.uint8, np.bool_) or values.dtype.kind not in "iuf":
        return EIGHT
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    high = max(abs(float(finite.min())), abs(float(finite.max()))) if finite.size else 0.0
    return f"{'real' if values.dtype.kind == 'f' else 'whole'} {high:.9g}"


class _Kind(NamedTuple):
    """Pictures stored alike, whose greatest values need the same number of bits.

    Attributes:
        is_real: whether they are floats.
        bits: that number; 0 for fractions and for pictures that are all 0.
        pictures: how many there are.
        high: the greatest value in any of them.
        name: the first of them.
    """

    is_real: bool
    bits: int
    pictures: int
    high: float
    name: str

    def plus(self, other: _Kind) -> _Kind:
        return self._replace(pictures=self.pictures + other.pictures, high=max(self.high, other.high))


@dataclass
class Depths:
    """How many pictures are stored in each of the ways.

    Attributes:
        eight: pictures of 8 bits, the first of which is ``eight_name``.
        wide: the others.
    """

    eight: int = 0
    eight_name: str = ""
    wide: dict[tuple[bool, int], _Kind] = field(default_factory=dict)

    def add(self, depth: str, name: str) -> None:
        """Count the picture called ``name``; ``depth`` is what `depth_of` gives."""
        if depth == EIGHT:
            self.eight += 1
            self.eight_name = self.eight_name or name
        else:
            kind, high = depth.split()
            bits = 0 if kind == "real" and float(high) <= 1 else int(float(high)).bit_length()
            self._count(_Kind(kind == "real", bits, 1, float(high), name))

    def merge(self, other: Depths) -> None:
        """Add what was counted elsewhere."""
        self.eight += other.eight
        self.eight_name = self.eight_name or other.eight_name
        for kind in other.wide.values():
            self._count(kind)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"eight": self.eight, "eight_name": self.eight_name, "wide": [list(k) for k in self.wide.values()]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Depths:
        """From what `to_dict` gave."""
        made = cls(values["eight"], values["eight_name"])
        for kind in values["wide"]:
            made._count(_Kind(*kind))
        return made

    def check(self, where: str, reading: Reading) -> None:
        """Refuse pictures that ``reading``, chosen from the data, does not put on one scale.

        Raises:
            DataError: there are 8 bits beside values whose white is not known, or some use a small part of the scale.
        """
        value_range = reading.value_range or EIGHT_BITS
        scale = range_in_words(value_range)
        every = f"--range {scale} makes these values black and white in all of them"
        if self.eight and self.wide:
            wide = _together(self.wide.values())
            is_fractions = wide.is_real and wide.high <= 1 and value_range[1] > NEARLY_BLACK
            late = value_range[1] <= EIGHT_BITS[1] and (wide.high > EIGHT_BITS[1] or is_fractions)  # none in the sample
            if late or value_range[1] not in WHITES:
                eight = f"  {_such_as(self.eight, 'of 8 bits, up to 255', self.eight_name)}"
                every = "--range LOW:HIGH makes these values black and white in all of them" if late else every
                raise DataError(
                    f"{where}: two depths of pictures, and no scale for both is known:\n{eight}\n  {_listed(wide)}\n"
                    f"  Save all alike, or give each kind apart. {every}; --range 0:255 those of 8 bits."
                )
        low, high = self._apart(value_range)
        if (
            low
            and high
            and (low.is_real != high.is_real or low.pictures > max(1, _FEW * (low.pictures + high.pictures)))
        ):
            raise DataError(
                f"{where}: the pictures are not on one scale:\n  {_listed(low)}\n  {_listed(high)}\n"
                f"  On {scale} the first would be nearly black. Save all alike, or give each kind apart. {every}."
            )

    def sentences(self, reading: Reading) -> list[str]:
        """What is to be said of the depths of pictures that a model is trained on."""
        value_range = reading.value_range
        if value_range is None or not self.wide:
            return self._dark_eight(reading)
        if reading.window:
            return [*self._dark_eight(reading), *self._dark_wide(value_range)]
        said = []
        kinds = [_together(kinds) for real in (False, True) if (kinds := self._of(real))]
        if self.eight:
            said.append(f"{pictures_in_words(self.eight)} of 8 bits (255 is white)")
        if self.eight or len(kinds) > 1:
            said += [
                f"{pictures_in_words(kind.pictures)} of {_values(kind)} ({value_range[1]:g} is white)" for kind in kinds
            ]
            said = [f"Not all pictures are stored alike: {', '.join(said)}."]
        return [*said, *self._dark_wide(value_range)]

    def predicted_sentences(self, reading: Reading) -> list[str]:
        """What is to be said of pictures whose depth is not that of a model's scale."""
        value_range = reading.value_range
        if value_range is None or reading.window:
            return self._dark_eight(reading)
        scale = range_in_words(value_range)
        said = []
        if self.eight and value_range[1] > NEARLY_BLACK and value_range != EIGHT_BITS:
            said.append(
                f"{pictures_in_words(self.eight)} of 8 bits, for a model trained on the scale {scale}: 255 is taken as "
                "white."
            )
        if value_range == EIGHT_BITS and (wide := [kind for kind in self.wide.values() if kind.bits > 12]):
            every = _together(wide)
            said.append(
                f"{pictures_in_words(every.pictures)} of {_values(every)}, for a model trained on 8 bits: 65535 is "
                "taken as white."
            )
        return [*said, *self._dark_wide(value_range)]

    def _dark_eight(self, reading: Reading) -> list[str]:
        """Of pictures of 8 bits on a scale that the user set."""
        if not self.eight or not reading.window or reading.value_range is None:
            return []
        low, high = reading.value_range
        share = (EIGHT_BITS[1] - low) / (high - low)
        if share > 0.5**_FAR:
            return []
        return [
            f"{pictures_in_words(self.eight)} of 8 bits, whose values end at 255, on the scale "
            f"{range_in_words(reading.value_range)}, as asked for: nearly black."
        ]

    def _dark_wide(self, value_range: ValueRange) -> list[str]:
        low, _ = self._apart(value_range)
        if low is None:
            return []
        return [
            f"{pictures_in_words(low.pictures)} of {_values(low)}, on the scale {range_in_words(value_range)}: nearly "
            f"black, such as {low.name}. If they were saved with fewer bits than the others, save all alike."
        ]

    def _apart(self, value_range: ValueRange) -> tuple[_Kind | None, _Kind | None]:
        """The pictures that use a small part of the scale, and the others; None, None where all are alike.

        Single values far out do not count: greatest values are cut at the scale's end.
        """
        top = int(max(1.0, value_range[1])).bit_length()
        kinds = sorted((kind for kind in self.wide.values() if kind.high > 0), key=lambda kind: kind.bits)
        lows = [kind for kind in kinds if kind.bits + _FAR <= top]
        highs = kinds[len(lows) :]
        while lows and highs and min(top, highs[0].bits) - lows[-1].bits < _FAR:
            highs.insert(0, lows.pop())
        if not lows or not highs:
            return None, None
        low = _together(lows)
        is_dark = low.bits < _MOST_SMALL and not (low.is_real and low.bits == 0)
        return (None, None) if is_dark else (low, _together(highs))

    def _of(self, is_real: bool) -> list[_Kind]:
        return [kind for kind in self.wide.values() if kind.is_real == is_real]

    def _count(self, kind: _Kind) -> None:
        key = kind.is_real, kind.bits
        self.wide[key] = self.wide[key].plus(kind) if key in self.wide else kind


def _together(kinds: Iterable[_Kind]) -> _Kind:
    """All of them as one; it is called real, and has a name, as the one with most bits."""
    first, *others = sorted(kinds, key=lambda kind: -kind.bits)
    for kind in others:
        first = first.plus(kind)
    return first


def _values(kind: _Kind) -> str:
    return f"{'floats' if kind.is_real else 'whole numbers'} up to {kind.high:.6g}"


def _listed(kind: _Kind) -> str:
    return _such_as(kind.pictures, f"of {_values(kind)}", kind.name)


def _such_as(count: int, what: str, name: str) -> str:
    return f"{count:,} {what}: {name}{' …' if count > 1 else ''}"


def pictures_in_words(count: int) -> str:
    """ "1 picture", "1,200 pictures"."""
    return "1 picture" if count == 1 else f"{count:,} pictures"
