"""From what a client sent to the pixels that the model sees; whatever may take long where it can be stopped."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from ..data import decode
from ..data.decode import UNMARKED_FORMATS, ImageShape, header_size
from ..data.guard import MEMORY, ask, check_inside, picture_workers, plain_size
from ..data.ink import InkSpec, Normalized
from ..data.values import Reading
from ..errors import BadFileError
from ..images import Batch, Opened, normalized_together, normalizing_spec, open_image, read_image
from ..predictor import Predictor
from ..processes import Workers
from .api import APIError
from .limits import Limits

if TYPE_CHECKING:  # a worker needs no web framework
    from .bodies import Contents, Picture

_Made = TypeVar("_Made")

SMALL_PIXELS, SMALL_BYTES = 128 * 128, 16 << 10
"""A plain picture up to these is decoded at once: sooner than another thread would have begun."""
PLAIN_PIXELS = 1 << 20
"""A plain picture up to this is decoded in a process that serves many: finding the drawing in it holds the interpreter,
so threads would wait for each other. Others are decoded in a fork that can be ended."""


class Decoder:
    """Decodes pictures for one model.

    Args:
        predictor: whose size and colours, and manner of making pictures like its training images, count.
        limits: pixels of a picture, known from its header before a pixel is decoded, and the time for those that are
            not plain (see `data.guard`).
        cores: plain pictures that are decoded at the same time.
    """

    def __init__(self, predictor: Predictor, limits: Limits, cores: int) -> None:
        self._predictor = predictor
        self._limits = limits
        self._pool = ThreadPoolExecutor(cores, thread_name_prefix="glyphnet-decode")
        self._askers = ThreadPoolExecutor(2 * limits.decoders, thread_name_prefix="glyphnet-decoder")
        self._workers = picture_workers(__name__, limits.decoders)
        self._workers.start()
        self._plain_workers = picture_workers(__name__, cores, forks=False)
        self._plain_workers.start()
        self._reader = _packed_reader(predictor)
        Image.init()

    async def images(self, pictures: Contents, as_is: bool | None = None) -> Batch | Opened:
        """The pictures as the model sees them; ``as_is``: see `image_batches`.

        Returns:
            One small picture only decoded if it is still to be normalised: together with those of other requests that
            takes a fraction of the time.

        Raises:
            APIError: bad_image, too_many_pixels or too_much_work, naming the picture by its number, from 1.
        """
        is_normalized = normalizing_spec(self._predictor, as_is) is not None
        if isinstance(pictures, np.ndarray):
            if not is_normalized:
                return Batch.as_seen(pictures)
            return await self._in_thread(normalized_together, pictures, self._predictor, as_is)
        sizes = [self._size(picture, number) for number, picture in enumerate(pictures, 1)]
        if len(pictures) == 1 and sizes[0] <= SMALL_PIXELS and len(pictures[0].content) <= SMALL_BYTES:
            opened = self._open(pictures[0], 1)
            return opened if is_normalized and as_is is None else normalized_together([opened], self._predictor, as_is)
        made: list[Normalized | None] = [None] * len(pictures)
        small = [row for row, size in enumerate(sizes) if size <= SMALL_PIXELS]
        large = [row for row, size in enumerate(sizes) if size > SMALL_PIXELS]
        work: list[asyncio.Future[Any]] = [self._in_worker(pictures[row], row + 1, sizes[row], as_is) for row in large]
        if small:
            work.append(self._in_thread(self._small, [(pictures[row], row + 1) for row in small], as_is))
        done = await _together(work)
        for row, image in zip([*large, *small], [*done[: len(large)], *(done[-1] if small else [])], strict=True):
            made[row] = image
        return Batch.of([image for image in made if image is not None])

    def close(self) -> None:
        """End the threads and the processes."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._askers.shutdown(wait=False, cancel_futures=True)
        self._workers.close()
        self._plain_workers.close()

    def _size(self, picture: Picture, number: int) -> float:
        """Pixels of a plain picture; infinite for all others."""
        if picture.suffix in UNMARKED_FORMATS:
            return float("inf")
        try:
            check_inside(picture.content, "image", self._limits.picture_pixels)
        except BadFileError as error:
            raise _bad_image(error, number) from None
        size = plain_size(picture.content)
        if size is None:
            return float("inf")
        pixels = size.width * size.height
        if pixels > self._limits.picture_pixels:
            raise self._too_many_pixels(number)
        return pixels

    def _too_many_pixels(self, number: int) -> APIError:
        limit = self._limits.picture_pixels
        return APIError(
            "too_many_pixels", f"Image {number} has more pixels than the limit of {limit:,}.", "Send it smaller."
        )

    def _open(self, picture: Picture, number: int) -> Opened:
        try:
            return open_image(picture.content, self._predictor)
        except BadFileError as error:
            raise _bad_image(error, number) from None

    def _small(self, pictures: list[tuple[Picture, int]], as_is: bool | None) -> list[Normalized]:
        opened = (self._open(picture, number) for picture, number in pictures)
        return normalized_together(opened, self._predictor, as_is).singly()

    def _in_thread(self, work: Callable[..., _Made], *given: Any) -> asyncio.Future[_Made]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *given)

    def _in_worker(self, picture: Picture, number: int, size: float, as_is: bool | None) -> asyncio.Future[Normalized]:
        if size <= PLAIN_PIXELS:
            workers, askers, seconds = self._plain_workers, self._pool, self._limits.answer_seconds
        else:
            workers, askers, seconds = self._workers, self._askers, self._limits.decode_seconds
        ask = partial(self._ask, workers, picture, number, as_is, time.monotonic() + seconds, seconds)
        return asyncio.get_running_loop().run_in_executor(askers, ask)

    def _ask(
        self, workers: Workers, picture: Picture, number: int, as_is: bool | None, end: float, seconds: float
    ) -> Normalized:
        request = {
            "reader": self._reader,
            "as_is": as_is,
            "name": f"image{picture.suffix}",
            "most_pixels": self._limits.picture_pixels,
        }
        try:
            answer, body = ask(workers, request, picture.content, end, seconds)
        except BadFileError as error:
            raise _bad_image(error, number) from None
        if "too_many_pixels" in answer:
            raise self._too_many_pixels(number)
        return _unpacked(answer, body)


async def _together(work: list[asyncio.Future[Any]]) -> list[Any]:
    """All results, or the first error once nothing is under way any more."""
    try:
        return await asyncio.gather(*work)
    except BaseException:
        for each in work:
            each.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        raise


def _bad_image(error: BadFileError, number: int) -> APIError:
    reason = re.sub(r"<[^>]*>", "the file", error.reason)  # Pillow's word for bytes in memory is an address
    return APIError("bad_image", f"Image {number}: {reason}.", error.remedy)


# --- in the workers ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    """How a model reads pictures, without the model."""

    input_shape: ImageShape
    ink: InkSpec | None
    reading: Reading
    normalize: bool | None


def _packed_reader(model: Predictor) -> str:
    ink = None if model.ink is None else model.ink.model_dump(mode="json")
    return json.dumps([model.input_shape, ink, astuple(model.reading), model.normalize])


def prepare_worker() -> None:
    """In a worker: load what decoding and finding drawings need."""
    decode.prepare_worker()
    import_module("scipy.ndimage")


def answer_parent(request: Mapping[str, Any], picture: bytes) -> tuple[dict[str, Any], bytes]:
    """In a worker: what `read_image` gives for a picture, each array as its shape and a part of the bytes."""
    name = request["name"]
    try:
        width, height = header_size(picture, name)
        if width * height > request["most_pixels"]:
            return {"too_many_pixels": True}, b""
        seen = read_image(picture, _reader(request["reader"]), request["as_is"], name)
    except BadFileError as error:
        return {"bad": [error.reason, error.remedy]}, b""
    except MemoryError:
        reason = f"needs more than {MEMORY // 10**6} MB of memory to decode"
        return {"bad": [reason, "Send it smaller, or as JPEG."]}, b""
    parts = seen._asdict()
    arrays = {key: value for key, value in parts.items() if isinstance(value, np.ndarray)}
    shapes = {key: value.shape for key, value in arrays.items()}
    return {**parts, **shapes, "arrays": list(arrays)}, b"".join(value.tobytes() for value in arrays.values())


@functools.cache
def _reader(packed: str) -> _Reader:
    shape, ink, (limits, *others), normalize = json.loads(packed)
    reading = Reading(tuple(limits) if limits else None, *others)
    return _Reader(tuple(shape), None if ink is None else InkSpec.model_validate(ink), reading, normalize)


def _unpacked(answer: dict[str, Any], body: bytes) -> Normalized:
    start = 0
    for key in answer.pop("arrays"):
        end = start + int(np.prod(answer[key]))
        answer[key] = np.frombuffer(body[start:end], dtype=np.uint8).reshape(answer[key])
        start = end
    return Normalized(**answer)
