"""What was noted of pictures while they were read, counted and in sentences: pages, turns, conversions, bit depths.

Pictures of 8 bits are brightness as they are; all others share one scale. Where some of these use only a small part of
it they come out nearly black, and a model learns how pictures were saved rather than what they show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import DataError
from ..units import plural
from .values import EIGHT_BITS, NEARLY_BLACK, WHITES, Page, Reading, ValueRange, range_in_words, range_sentence

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
    """Pictures stored alike, whose greatest values need the same number of bits."""

    is_real: bool  # whether they are floats
    bits: int  # 0 for fractions and for pictures that are all 0
    pictures: int
    high: float  # the greatest value in any of them
    name: str  # the first of them

    def __str__(self) -> str:
        return f"{'floats' if self.is_real else 'whole numbers'} up to {self.high:.6g}"

    @property
    def counted(self) -> str:
        return f"{plural(self.pictures, 'picture')} of {self}"


@dataclass
class Depths:
    """How many pictures are stored in each depth."""

    eight: int = 0  # pictures of 8 bits
    eight_name: str = ""  # the first of them
    wide: dict[tuple[bool, int], _Kind] = field(default_factory=dict)  # the others

    def add(self, depth: str, name: str) -> None:
        """Count the picture called ``name``; ``depth`` is what `depth_of` returned."""
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
        return {**vars(self), "wide": [list(kind) for kind in self.wide.values()]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Depths:
        """From what `to_dict` returned."""
        kinds = [_Kind(*kind) for kind in values["wide"]]
        return cls(values["eight"], values["eight_name"], {(kind.is_real, kind.bits): kind for kind in kinds})

    def check(self, where: str, reading: Reading) -> None:
        """Refuse pictures that ``reading``, chosen from the data, does not put on one scale.

        There are 8 bits beside values whose white is not known, or some use a small part of the scale: a DataError.
        """
        value_range = reading.value_range or EIGHT_BITS
        scale = range_in_words(value_range)
        effect = "makes these values black and white in all of them"
        if self.eight and self.wide:
            wide = _together(self.wide.values())
            is_fractions = wide.is_real and wide.high <= 1 and value_range[1] > NEARLY_BLACK
            late = value_range[1] <= EIGHT_BITS[1] and (wide.high > EIGHT_BITS[1] or is_fractions)  # none in the sample
            if late or value_range[1] not in WHITES:
                eight = _listed(self.eight, "8 bits, up to 255", self.eight_name)
                raise DataError(
                    f"{where}: two depths of pictures, and no scale for both is known:\n"
                    f"  {eight}\n  {_listed(wide.pictures, wide, wide.name)}\n"
                    f"  Save all alike, or give each kind apart. --range {'LOW:HIGH' if late else scale} {effect}; "
                    "--range 0:255 those of 8 bits."
                )
        apart = self._apart(value_range)
        if apart is None:
            return
        low, high = apart
        if low.is_real != high.is_real or low.pictures > max(1, _FEW * (low.pictures + high.pictures)):
            raise DataError(
                f"{where}: the pictures are not on one scale:\n"
                f"  {_listed(low.pictures, low, low.name)}\n  {_listed(high.pictures, high, high.name)}\n"
                f"  On {scale} the first would be nearly black. Save all alike, or give each kind apart. "
                f"--range {scale} {effect}."
            )

    def sentences(self, reading: Reading) -> list[str]:
        """What the user should know about the depths of pictures that a model is trained on."""
        value_range = reading.value_range
        if value_range is None or not self.wide or reading.window:
            return [*self._dark_eight(reading), *(self._dark_wide(value_range) if value_range else ())]
        kinds = [
            _together(kinds)
            for real in (False, True)
            if (kinds := [kind for kind in self.wide.values() if kind.is_real == real])
        ]
        said = [f"{plural(self.eight, 'picture')} of 8 bits (255 is white)"] if self.eight else []
        said += [f"{kind.counted} ({value_range[1]:g} is white)" for kind in kinds]
        mixed = [f"Not all pictures are stored alike: {', '.join(said)}."] if len(said) > 1 else []
        return [*mixed, *self._dark_wide(value_range)]

    def predicted_sentences(self, reading: Reading) -> list[str]:
        """What the user should know about pictures whose depth is not that of a model's scale."""
        value_range = reading.value_range
        if value_range is None or reading.window:
            return self._dark_eight(reading)
        said = []
        if self.eight and value_range[1] > NEARLY_BLACK and value_range != EIGHT_BITS:
            said.append(
                f"{plural(self.eight, 'picture')} of 8 bits, for a model trained on the scale "
                f"{range_in_words(value_range)}: 255 is taken as white."
            )
        if value_range == EIGHT_BITS and (wide := [kind for kind in self.wide.values() if kind.bits > 12]):
            said.append(f"{_together(wide).counted}, for a model trained on 8 bits: 65535 is taken as white.")
        return [*said, *self._dark_wide(value_range)]

    def _dark_eight(self, reading: Reading) -> list[str]:
        """Of pictures of 8 bits on a scale that the user set."""
        if not self.eight or not reading.window or reading.value_range is None:
            return []
        low, high = reading.value_range
        if (EIGHT_BITS[1] - low) / (high - low) > 0.5**_FAR:
            return []
        return [
            f"{plural(self.eight, 'picture')} of 8 bits, whose values end at 255, on the scale "
            f"{range_in_words(reading.value_range)}, as asked for: nearly black."
        ]

    def _dark_wide(self, value_range: ValueRange) -> list[str]:
        if (apart := self._apart(value_range)) is None:
            return []
        low, _ = apart
        return [
            f"{low.counted}, on the scale {range_in_words(value_range)}: nearly black, such as {low.name}. If they "
            "were saved with fewer bits than the others, save all alike."
        ]

    def _apart(self, value_range: ValueRange) -> tuple[_Kind, _Kind] | None:
        """The pictures that use a small part of the scale, and the others; None where all are alike.

        Single values far out do not count: greatest values are cut at the scale's end.
        """
        top = int(max(1.0, value_range[1])).bit_length()
        kinds = sorted((kind for kind in self.wide.values() if kind.high > 0), key=lambda kind: kind.bits)
        lows = [kind for kind in kinds if kind.bits + _FAR <= top]
        highs = kinds[len(lows) :]
        while lows and highs and min(top, highs[0].bits) - lows[-1].bits < _FAR:
            highs.insert(0, lows.pop())
        if not lows or not highs:
            return None
        low = _together(lows)
        is_dark = low.bits < _MOST_SMALL and not (low.is_real and low.bits == 0)
        return None if is_dark else (low, _together(highs))

    def _count(self, kind: _Kind) -> None:
        key = kind.is_real, kind.bits
        known = self.wide.get(key)
        self.wide[key] = kind if known is None else _together([known, kind])


def _together(kinds: Iterable[_Kind]) -> _Kind:
    """All of them as one; it is called real, and has a name, as the one with most bits."""
    several = sorted(kinds, key=lambda kind: -kind.bits)
    pictures = sum(kind.pictures for kind in several)
    return several[0]._replace(pictures=pictures, high=max(kind.high for kind in several))


def _listed(count: int, what: object, name: str) -> str:
    return f"{count:,} of {what}: {name}{' …' if count > 1 else ''}"


# What was done to pictures


class Traits(Flag):
    """What was done to a picture besides decoding."""

    PAGES = auto()
    FRAMES = auto()
    ROTATED = auto()
    PALETTE = auto()
    CMYK = auto()
    ON_WHITE = auto()
    ON_BLACK = auto()
    WIDE_COLOUR = auto()


_SENTENCES = {
    Traits.ROTATED: "{} turned upright, as EXIF says.",
    Traits.PALETTE: "{} with a palette: read as its colours, not as its numbers.",
    Traits.CMYK: "{} in CMYK: converted to RGB.",
    Traits.ON_WHITE: "{} with transparent parts: laid on white.",
    Traits.ON_BLACK: "{} with transparent parts, drawn in one light colour: laid on black.",
    Traits.WIDE_COLOUR: "{} with 16 bits a colour: the upper 8 are read.",
}


class Seen(NamedTuple):
    """A decoded picture and what was noted of it."""

    image: Image.Image  # of mode L or RGB, at its own size
    traits: Traits = Traits(0)
    pages: int = 1  # pages or frames in the file
    outside: int = 0  # values outside the range, which became black or white
    depth: str = EIGHT  # see `depth_of`


@dataclass
class TraitCounts:
    """How many of the pictures read so far have each of the traits."""

    counts: Counter[str] = field(default_factory=Counter)  # pictures by the name of a trait
    fewest_pages: int = 0  # of the files of several pages
    most_pages: int = 0
    outside: int = 0  # values outside the range, in ``outside_in`` pictures
    outside_in: int = 0
    depths: Depths = field(default_factory=Depths)

    def add(self, traits: Traits, pages: int = 1, outside: int = 0) -> None:
        """Count a picture; see `Seen`. Its depth is counted by `depths`."""
        if traits:
            self.counts.update(trait.name or "" for trait in traits)
            if pages > 1:
                self._count_pages(pages, pages)
        if outside:
            self.outside += outside
            self.outside_in += 1

    def merge(self, other: TraitCounts) -> None:
        """Add what was counted elsewhere."""
        self.counts.update(other.counts)
        self.depths.merge(other.depths)
        if other.most_pages:
            self._count_pages(other.fewest_pages, other.most_pages)
        self.outside += other.outside
        self.outside_in += other.outside_in

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return vars(self) | {"counts": dict(self.counts), "depths": self.depths.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TraitCounts:
        """From what `to_dict` returned."""
        return cls(**{**values, "counts": Counter(values["counts"]), "depths": Depths.from_dict(values["depths"])})

    def sentences(self, page: Page) -> list[str]:
        """A sentence for each trait that occurred; ``page`` is the one that was read."""
        said = [
            self._pages(count, page, one)
            for trait, one in ((Traits.PAGES, "page"), (Traits.FRAMES, "frame"))
            if (count := self.counts[trait.name or ""])
        ]
        for trait, text in _SENTENCES.items():
            if count := self.counts[trait.name or ""]:
                said.append(text.format(plural(count, "picture")))
        return said

    def predicted_sentences(self, reading: Reading) -> list[str]:
        """What the user should know about pictures that a model with this ``reading`` has classified."""
        said = []
        if self.outside and reading.value_range is not None:
            said.append(
                f"{self.outside:,} values in {plural(self.outside_in, 'picture')} lie outside "
                f"{range_in_words(reading.value_range)}, the scale that the model was trained on: they became black or "
                "white."
            )
        return [*said, *self.depths.predicted_sentences(reading), *self.sentences(reading.page)]

    def range_sentence(self, reading: Reading, asked: Reading | None) -> str | None:
        """What became black and white, and how many values lie outside; None for plain pictures of 8 bits."""
        value_range = reading.value_range
        if value_range is None or (value_range == EIGHT_BITS and not reading.window and not self.outside):
            return None
        whose, wide = "all images alike", sum(kind.pictures for kind in self.depths.wide.values())
        if self.depths.eight and wide and not reading.window:  # those of 8 bits keep their own white
            whose = f"the {plural(wide, 'picture')} that {'is' if wide == 1 else 'are'} not of 8 bits"
        return range_sentence(value_range, asked, self.outside, f" in {plural(self.outside_in, 'picture')}", whose)

    def _count_pages(self, fewest: int, most: int) -> None:
        self.fewest_pages = min(self.fewest_pages or fewest, fewest)
        self.most_pages = max(self.most_pages, most)

    def _pages(self, files: int, page: Page, one: str) -> str:
        what = f"{one} {page} is read" if isinstance(page, int) else f"their {page} is read"
        alike = self.fewest_pages == self.most_pages
        most = f"{self.most_pages}" if alike else f"{self.fewest_pages} to {self.most_pages}"
        have = "file has" if files == 1 else "files have"
        return f"{files:,} {have} {most} {one}s: {what}. Choose by --page N, mean or max."
