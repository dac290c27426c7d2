"""From pictures to pixels, several at a time and ahead of the network, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..data.dataset import UInt8Array
from ..data.decode import ImageShape, fit_image, picture_from_bytes, read_picture
from ..data.ink import InkSpec, normalize_picture
from ..errors import BadFileError
from ..images import image_batches
from ..parallel import map_in_order
from .pictures import Picture

BLOCK_PICTURES = 64
BLOCK_BYTES = 4 << 20  # of undecoded pictures out of tables


class Decoded(NamedTuple):
    """A picture that is ready for the network; its file's content is not kept.

    Attributes:
        file: see `Picture`.
        place: see `Picture`.
        pixels: uint8 (H, W, C), or why there are none.
        remade: whether it was made like the training images by more than its size and colour.
    """

    file: str
    place: str
    pixels: UInt8Array | BadFileError
    remade: bool = False


class Decoding:
    """How pictures become pixels like the training images.

    Args:
        image_shape: (H, W, C) of these.
        ink: how they look; None only resizes pictures.
        tell_remade: find out which pictures were remade; it takes a part of the time, and is set off once one was.
    """

    def __init__(self, image_shape: ImageShape, ink: InkSpec | None, *, tell_remade: bool) -> None:
        self._shape, self._ink = image_shape, ink
        self.tell_remade = tell_remade and ink is not None

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
            if isinstance(content, np.ndarray):
                [pixels] = next(image_batches([content], self._shape, 1, self._ink)).pixels
                return Decoded(file, place, pixels)
            seen = read_picture(content) if isinstance(content, str) else picture_from_bytes(content, place)
            pixels = normalize_picture(seen, self._ink, self._shape).pixels
            return Decoded(file, place, pixels, self.tell_remade and self._differs(seen, pixels))
        except BadFileError as error:
            return Decoded(file, place, error.with_traceback(None))

    def _differs(self, seen: Image.Image, pixels: UInt8Array) -> bool:
        """Whether there is more between a picture and its pixels than size and colour."""
        if seen.mode == "L" and (seen.height, seen.width, 1) == self._shape:  # most are so, and this is quicker
            return seen.tobytes() != pixels.tobytes()
        return not np.array_equal(pixels, fit_image(seen, self._shape))


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
