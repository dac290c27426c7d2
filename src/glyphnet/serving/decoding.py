"""From what a client sent to the pixels that the model sees; whatever may take long where it can be stopped."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from PIL import Image

from ..answers import Predictor
from ..data import decode
from ..data.decode import UNMARKED_FORMATS, ImageShape, header_size
from ..data.guard import MEMORY, ask, check_inside, picture_workers, plain_size
from ..data.ink import InkSpec, Normalized
from ..data.values import Reading
from ..errors import BadFileError
from ..images import Batch, Opened, normalized, normalized_together, normalizing_spec, open_image
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
MOST_AT_ONCE, BYTES_AT_ONCE = 8, 1 << 20
"""Of such pictures that one process is given together, where several wait."""


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
        self._cores = cores
        self._waiting: deque[tuple[_Asked, asyncio.Future[Normalized]]] = deque()
        self._asking = 0
        self._pool = ThreadPoolExecutor(cores, thread_name_prefix="glyphnet-decode")
        self._askers = ThreadPoolExecutor(2 * limits.decoders, thread_name_prefix="glyphnet-decoder")
        self._workers = picture_workers(__name__, limits.decoders, busy=1)
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
        small = [row for row, size in enumerate(sizes) if size <= SMALL_PIXELS]
        large = [row for row, size in enumerate(sizes) if size > SMALL_PIXELS]
        work: list[asyncio.Future[Any]] = []
        for row in large:
            decode = self._plain if sizes[row] <= PLAIN_PIXELS else self._in_fork
            work.append(decode(pictures[row], row + 1, as_is))
        if small:
            work.append(self._in_thread(self._small, [(pictures[row], row + 1) for row in small], as_is))
        done = await _together(work)
        images = done if not small else [*done[:-1], *done[-1]]
        made = dict(zip([*large, *small], images, strict=True))
        return Batch.of([made[row] for row in range(len(pictures))])

    def wait(self, seconds: float) -> None:
        """Wait until the processes can decode."""
        for workers in (self._workers, self._plain_workers):
            workers.wait(seconds)

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

    def _plain(self, picture: Picture, number: int, as_is: bool | None) -> asyncio.Future[Normalized]:
        """Decode in a process that stays, together with what waits: several at once cost less."""
        made: asyncio.Future[Normalized] = asyncio.get_running_loop().create_future()
        end = time.monotonic() + self._limits.answer_seconds
        self._waiting.append((_Asked(picture, number, as_is, end), made))
        self._ask_plain()
        return made

    def _ask_plain(self) -> None:
        """Divide what waits among the processes, if one is free."""
        while self._waiting and self._asking < self._cores:
            several: list[tuple[_Asked, asyncio.Future[Normalized]]] = []
            size = 0
            for _ in range(min(MOST_AT_ONCE, -(-len(self._waiting) // self._cores))):
                size += len(self._waiting[0][0].picture.content)
                if several and size > BYTES_AT_ONCE:
                    break
                several.append(self._waiting.popleft())
            several = [(asked, made) for asked, made in several if not made.done()]  # some clients have gone
            if several:
                self._asking += 1
                ask = self._in_thread(self._ask, self._plain_workers, [asked for asked, _ in several])
                ask.add_done_callback(partial(self._hand_over, [made for _, made in several]))

    def _hand_over(self, waiting: list[asyncio.Future[Normalized]], done: asyncio.Future[list[_Answer]]) -> None:
        self._asking -= 1
        if done.cancelled():  # the service has ended
            return
        failed = done.exception()
        for made, image in zip(waiting, [failed] * len(waiting) if failed else done.result(), strict=True):
            if made.done():
                continue
            if isinstance(image, BaseException):
                made.set_exception(image)
            else:
                made.set_result(image)
        self._ask_plain()

    def _in_fork(self, picture: Picture, number: int, as_is: bool | None) -> asyncio.Future[Normalized]:
        """Decode where it can be stopped."""
        asked = _Asked(picture, number, as_is, time.monotonic() + self._limits.decode_seconds)

        def ask() -> Normalized:
            [image] = self._ask(self._workers, [asked])
            if isinstance(image, APIError):
                raise image
            return image

        return asyncio.get_running_loop().run_in_executor(self._askers, ask)

    def _ask(self, workers: Workers, several: list[_Asked]) -> list[_Answer]:
        """What a worker makes of each of some pictures."""
        is_plain = workers is self._plain_workers
        request = {
            "reader": self._reader,
            "pictures": [[len(picture.content), picture.suffix, as_is] for picture, _, as_is, _ in several],
            "most_pixels": None if is_plain else self._limits.picture_pixels,  # of plain ones they are known
            "name": "image",
        }
        content = (
            several[0].picture.content if len(several) == 1 else b"".join(each.picture.content for each in several)
        )
        seconds = self._limits.answer_seconds if is_plain else self._limits.decode_seconds
        try:
            answer, body = ask(workers, request, content, min(each.end for each in several), seconds)
        except BadFileError as error:
            if len(several) > 1:  # one of them is at fault, and the others must not suffer
                return [image for each in several for image in self._ask(workers, [each])]
            return [_bad_image(error, several[0].number)]
        made: list[_Answer] = []
        images = iter(np.frombuffer(body, np.uint8).reshape(-1, *self._predictor.input_shape))
        for told, asked in zip(answer["pictures"], several, strict=True):
            if "too_many_pixels" in told:
                made.append(self._too_many_pixels(asked.number))
            elif "bad" in told:
                made.append(_bad_image(BadFileError("image", *told["bad"]), asked.number))
            else:
                made.append(Normalized(next(images), told["reason"], next(images) if told["has_given"] else None))
        return made


class _Asked(NamedTuple):
    """A picture for a worker: its number in the request, from 1, and when it has to be done."""

    picture: Picture
    number: int
    as_is: bool | None
    end: float


_Answer: TypeAlias = "Normalized | APIError"


async def _together(work: list[asyncio.Future[Any]]) -> list[Any]:
    """All results, or the first error once nothing is under way any more."""
    if len(work) == 1:
        return [await work[0]]
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
    """In a worker: load what decoding and finding drawings need, and silence warnings once, not for each picture."""
    decode.prepare_worker()
    decode.pillow_is_quiet.__enter__()
    import_module("scipy.ndimage")


def answer_parent(request: Mapping[str, Any], pictures: bytes) -> tuple[dict[str, Any], bytes]:
    """In a worker: what `images.read_image` gives for each of some pictures; the bytes are those of all images."""
    told: list[dict[str, Any]] = []
    images: list[bytes] = []
    start = 0
    for size, suffix, as_is in request["pictures"]:
        picture = pictures[start : start + size]
        start += size
        told.append(_told(request, picture, f"image{suffix}", as_is, images))
    return {"pictures": told}, b"".join(images)


def _told(
    request: Mapping[str, Any], picture: bytes, name: str, as_is: bool | None, images: list[bytes]
) -> dict[str, Any]:
    """The answer for one picture, whose images are appended."""
    try:
        if request["most_pixels"] is not None:
            width, height = header_size(picture, name)
            if width * height > request["most_pixels"]:
                return {"too_many_pixels": True}
        reader = _reader(request["reader"])
        seen = normalized(decode.see_bytes(picture, name, reader.reading, here=True).image, reader, as_is)
    except BadFileError as error:
        return {"bad": [error.reason, error.remedy]}
    except MemoryError:
        reason = f"needs more than {MEMORY // 10**6} MB of memory to decode"
        return {"bad": [reason, "Send it smaller, or as JPEG."]}
    images += [image.tobytes() for image in (seen.pixels, seen.given) if image is not None]
    return {"reason": seen.reason, "has_given": seen.given is not None}


@functools.cache
def _reader(packed: str) -> _Reader:
    shape, ink, (limits, *others), normalize = json.loads(packed)
    reading = Reading(tuple(limits) if limits else None, *others)
    return _Reader(tuple(shape), None if ink is None else InkSpec.model_validate(ink), reading, normalize)
