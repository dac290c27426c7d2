"""From pictures to pixels, several at a time and ahead of the network, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..data.dataset import UInt8Array
from ..data.decode import fit_image, read_bytes, see_bytes
from ..data.depths import EIGHT, depth_of
from ..data.ink import NoDrawing
from ..data.traits import Traits
from ..data.values import on_scale
from ..errors import BadFileError
from ..images import Reader, normalizing_spec, read_image
from ..processes import map_in_order
from .pictures import Picture

BLOCK_PICTURES = 64
BLOCK_BYTES = 4 << 20  # of undecoded pictures out of tables


class Decoded(NamedTuple):
    """A picture that is ready for the network; its file's content is not kept.

    Attributes:
        file: see `Picture`.
        place: see `Picture`.
        pixels: uint8 (H, W, C), or why there are none.
        reason, given: see `data.ink.Normalized`.
        remade: whether it was made like the training images by more than its size and colour.
        traits, pages, outside, depth: see `data.traits.Seen`.
    """

    file: str
    place: str
    pixels: UInt8Array | BadFileError
    reason: NoDrawing | None = None
    given: UInt8Array | None = None
    remade: bool = False
    traits: Traits = Traits(0)
    pages: int = 1
    outside: int = 0
    depth: str = EIGHT


class Decoding:
    """How pictures become pixels like the training images.

    Args:
        model: how it reads pictures.
        as_is: see `image_batches`.
        tell_remade: find out which pictures were remade; it takes a part of the time, and is set off once one was.
    """

    def __init__(self, model: Reader, as_is: bool | None, *, tell_remade: bool) -> None:
        self._model, self._as_is = model, as_is
        self.tell_remade = tell_remade and normalizing_spec(model, as_is) is not None

    def __call__(self, block: Iterable[Picture]) -> list[Decoded]:
        """The pixels of some pictures.

        Raises:
            DataError: arrays that are no pictures.
        """
        return [self._decoded(picture) for picture in block]

    def _decoded(self, picture: Picture) -> Decoded:
        file, place, content = picture
        try:
            if isinstance(content, BadFileError):
                raise content
            reading = self._model.reading
            if isinstance(content, np.ndarray):
                depth = depth_of(content)
                if reading.window and reading.value_range is not None:  # the values of a file, as in training
                    content = on_scale(content, reading.value_range, window=True)
                return Decoded(file, place, *read_image(content, self._model, self._as_is), depth=depth)
            name = content if isinstance(content, str) else place
            seen = see_bytes(read_bytes(content) if isinstance(content, str) else content, name, reading)
            made = read_image(seen.image, self._model, self._as_is)
            remade = self.tell_remade and self._differs(seen.image, made.pixels)
            return Decoded(file, place, *made, remade, seen.traits, seen.pages, seen.outside, seen.depth)
        except BadFileError as error:
            return Decoded(file, place, error.with_traceback(None))

    def _differs(self, seen: Image.Image, pixels: UInt8Array) -> bool:
        """Whether there is more between a picture and its pixels than size and colour."""
        shape = self._model.input_shape
        if seen.mode == "L" and (seen.height, seen.width, 1) == shape:  # most are so, and this is quicker
            return seen.tobytes() != pixels.tobytes()
        return not np.array_equal(pixels, fit_image(seen, shape))


def decode_ahead(pictures: Iterable[Picture], decoding: Decoding) -> Iterator[Decoded]:
    """Every picture decoded, in order; a few blocks of them are decoded, or being so, ahead of the one asked for."""
    return chain.from_iterable(map_in_order(decoding, _blocks(pictures)))


def _blocks(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    block: list[Picture] = []
    size = 0
    for picture in pictures:
        block.append(picture)
        size += len(picture.content) if isinstance(picture.content, bytes) else 0
        if len(block) == BLOCK_PICTURES or size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block
