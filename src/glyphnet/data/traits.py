"""What is to be said of pictures that were read: pages that were not, turns, conversions; each once, with a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Any, NamedTuple

from PIL import Image

from .depths import EIGHT, Depths, pictures_in_words
from .values import EIGHT_BITS, Page, Reading, range_in_words, range_sentence


class Traits(Flag):
    """What was done to a picture on the way from its file, beside decoding."""

    PAGES = auto()
    FRAMES = auto()
    ROTATED = auto()
    PALETTE = auto()
    CMYK = auto()
    ON_WHITE = auto()
    ON_BLACK = auto()
    WIDE_COLOUR = auto()


class Seen(NamedTuple):
    """A decoded picture and what is to be said of it.

    Attributes:
        image: PIL image of mode L or RGB, at its own size.
        traits: see `Traits`.
        pages: pages or frames in the file.
        outside: values outside the range, of all pixels; they became black or white.
        depth: see `depths.depth_of`.
    """

    image: Image.Image
    traits: Traits = Traits(0)
    pages: int = 1
    outside: int = 0
    depth: str = EIGHT


_SENTENCES = {
    Traits.ROTATED: "{} turned upright, as EXIF says.",
    Traits.PALETTE: "{} with a palette: read as its colours, not as its numbers.",
    Traits.CMYK: "{} in CMYK: converted to RGB.",
    Traits.ON_WHITE: "{} with transparent parts: laid on white.",
    Traits.ON_BLACK: "{} with transparent parts, drawn in one light colour: laid on black.",
    Traits.WIDE_COLOUR: "{} with 16 bits a colour: the upper 8 are read.",
}


@dataclass
class TraitCounts:
    """How many of the pictures read so far have each of the traits.

    Attributes:
        counts: pictures by the name of a trait.
        fewest_pages, most_pages: pages of the files of several that have fewest and most; 0 without any.
        outside: values outside the range, in ``outside_in`` pictures.
        depths: how the values of the pictures are stored.
    """

    counts: Counter[str] = field(default_factory=Counter)
    fewest_pages: int = 0
    most_pages: int = 0
    outside: int = 0
    outside_in: int = 0
    depths: Depths = field(default_factory=Depths)

    def add(self, traits: Traits, pages: int = 1, outside: int = 0) -> None:
        """Count a picture; see `Seen`. Its depth is counted by `depths`."""
        if traits:
            self.counts.update(trait.name or "" for trait in traits)
            if pages > 1:
                self._pages_between(pages, pages)
        if outside:
            self.outside += outside
            self.outside_in += 1

    def merge(self, other: TraitCounts) -> None:
        """Add what was counted elsewhere."""
        self.counts.update(other.counts)
        self.depths.merge(other.depths)
        if other.most_pages:
            self._pages_between(other.fewest_pages, other.most_pages)
        self.outside += other.outside
        self.outside_in += other.outside_in

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {"counts": dict(self.counts), "depths": self.depths.to_dict(), **numbers}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TraitCounts:
        """From what `to_dict` gave."""
        depths = Depths.from_dict(values["depths"])
        return cls(Counter(values["counts"]), depths=depths, **{name: values[name] for name in _NUMBERS})

    def sentences(self, page: Page) -> list[str]:
        """A sentence for each trait that was met, for the user; ``page`` is the one that was read."""
        said = [
            self._pages(trait, page, one)
            for trait, one in ((Traits.PAGES, "page"), (Traits.FRAMES, "frame"))
            if self.counts[trait.name or ""]
        ]
        for trait, text in _SENTENCES.items():
            if count := self.counts[trait.name or ""]:
                said.append(text.format(pictures_in_words(count)))
        return said

    def predicted_sentences(self, reading: Reading) -> list[str]:
        """What is to be said of pictures that a model with this ``reading`` has classified."""
        said = []
        if self.outside and reading.value_range is not None:
            scale = range_in_words(reading.value_range)
            said.append(
                f"{self.outside:,} values in {pictures_in_words(self.outside_in)} lie outside {scale}, the scale that "
                "the model was trained on: they became black or white."
            )
        return [*said, *self.depths.predicted_sentences(reading), *self.sentences(reading.page)]

    def range_sentence(self, reading: Reading, asked: Reading | None) -> str | None:
        """What became black and white, and how many values lie outside; None for plain pictures of 8 bits."""
        value_range = reading.value_range
        if value_range is None or (value_range == EIGHT_BITS and not reading.window and not self.outside):
            return None
        whose, wide = "all images alike", sum(kind.pictures for kind in self.depths.wide.values())
        if self.depths.eight and wide and not reading.window:  # those of 8 bits keep their own white
            whose = f"the {pictures_in_words(wide)} that {'is' if wide == 1 else 'are'} not of 8 bits"
        return range_sentence(value_range, asked, self.outside, f" in {pictures_in_words(self.outside_in)}", whose)

    def _pages_between(self, fewest: int, most: int) -> None:
        self.fewest_pages = min(self.fewest_pages, fewest) if self.most_pages else fewest
        self.most_pages = max(self.most_pages, most)

    def _pages(self, trait: Traits, page: Page, one: str) -> str:
        count = self.counts[trait.name or ""]
        what = f"{one} {page} is read" if isinstance(page, int) else f"their {page} is read"
        alike = self.fewest_pages == self.most_pages
        most = f"{self.most_pages}" if alike else f"{self.fewest_pages} to {self.most_pages}"
        files = "1 file has" if count == 1 else f"{count:,} files have"
        return f"{files} {most} {one}s: {what}. Choose by --page N, mean or max."


_NUMBERS = ("fewest_pages", "most_pages", "outside", "outside_in")
