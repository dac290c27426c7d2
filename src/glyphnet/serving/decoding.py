"""From what a client sent to the pixels that the model sees; small pictures at once, large ones in a pool."""

from __future__ import annotations

import asyncio
import io
import re
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from ..data.dataset import UInt8Array
from ..data.decode import FORMATS
from ..data.ink import Normalized
from ..errors import BadFileError
from ..images import Batch, normalizing_spec, read_image
from ..predictor import Predictor
from .contents import Contents
from .refusals import Refusal

_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER = b"IHDR"
SMALL_PIXELS = 128 * 128
"""A PNG of so many pixels at most is decoded at once: sooner than another thread would have begun."""
SMALL_BYTES = 16 << 10


class Decoder:
    """Decodes pictures for one model.

    Args:
        predictor: whose size and colours, and manner of making pictures like its training images, count.
        most_pixels: of a picture; known from its header, before a pixel is decoded.
        threads: of the pool. Pillow decodes without holding up the interpreter, so the service goes on meanwhile.
    """

    def __init__(self, predictor: Predictor, most_pixels: int, threads: int) -> None:
        self._predictor = predictor
        self._most_pixels = most_pixels
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="glyphnet-decode")
        Image.init()
        self._formats = tuple(name for name in FORMATS if name in Image.OPEN)

    async def batch(self, pictures: Contents, as_is: bool | None = None) -> Batch:
        """The pictures as the model sees them; ``as_is``: see `image_batches`.

        Raises:
            Refusal: bad_image or too_many_pixels, naming the picture by its number, from 1.
        """
        if isinstance(pictures, np.ndarray):
            if normalizing_spec(self._predictor, as_is) is None:
                return Batch.as_seen(pictures)
        elif len(pictures) == 1 and _is_small(pictures[0]):
            return Batch.of([self._decode(pictures[0], 1, as_is)])
        loop = asyncio.get_running_loop()
        work = [
            loop.run_in_executor(self._pool, self._decode, picture, number, as_is)
            for number, picture in enumerate(pictures, 1)
        ]
        try:
            return Batch.of(await asyncio.gather(*work))
        except BaseException:
            for each in work:
                each.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            raise

    def close(self) -> None:
        """End the threads of the pool."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _decode(self, picture: bytes | UInt8Array, number: int, as_is: bool | None) -> Normalized:
        if isinstance(picture, bytes):
            self._check_size(picture, number)
        try:
            return read_image(picture, self._predictor, as_is)
        except BadFileError as error:
            reason = re.sub(r"<[^>]*>", "the file", error.reason)  # Pillow's word for bytes in memory is an address
            raise Refusal("bad_image", f"Image {number}: {reason}.", error.remedy) from None

    def _check_size(self, picture: bytes, number: int) -> None:
        if _is_small(picture):
            return
        try:
            with Image.open(io.BytesIO(picture), formats=self._formats) as image:
                width, height = image.size
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            width = height = self._most_pixels + 1
        except Exception:  # what is wrong with it is said where it is decoded
            return
        if width * height > self._most_pixels:
            raise Refusal(
                "too_many_pixels",
                f"Image {number} has more pixels than the limit of {self._most_pixels:,}.",
                "Send it smaller.",
            )


def _is_small(picture: bytes) -> bool:
    """Whether it is a PNG whose header says that it has few pixels."""
    if not picture.startswith(_PNG) or not 33 <= len(picture) <= SMALL_BYTES:
        return False
    if picture[12:16] != _HEADER or picture.count(_HEADER) != 1:  # a second one would say another size
        return False
    width, height = struct.unpack_from(">II", picture, 16)
    return bool(width * height <= SMALL_PIXELS)
