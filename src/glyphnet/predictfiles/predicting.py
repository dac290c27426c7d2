"""From pictures to answers, for any number of them: the one path that all prediction of files takes."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import chain, islice
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from ..answers import OneAnswer, Predictor
from ..data.dataset import UInt8Array
from ..data.decode import fit_image, read_bytes, see_bytes
from ..data.ink import InkSpec, NoDrawing, Normalized
from ..data.traits import EIGHT, TraitCounts, Traits, depth_of
from ..data.values import on_scale
from ..errors import BadFileError
from ..images import Batch, Opened, Reader, normalized, normalized_together, normalizing_spec, open_image
from ..processes import map_in_order
from ..settings import default_batch_size
from .pictures import OnBadFile, Picture, pictures_in

LIGHT_FLOPS = 4_000_000  # of a picture: such a network is quicker, on one thread, than a small picture is decoded

OnRemade: TypeAlias = Callable[[InkSpec], None]


class Prediction(NamedTuple):
    """The answer for one `Picture`, or why there is none."""

    file: str
    place: str
    outcome: OneAnswer | BadFileError


class FilePrediction(NamedTuple):
    """The probabilities, score and reason of one `Picture` that could be read."""

    file: str
    answer: OneAnswer


def predictions(
    classifier: Predictor,
    pictures: Iterable[Picture],
    *,
    as_is: bool = False,
    on_remade: OnRemade | None = None,
    traits: TraitCounts | None = None,
    batch_size: int | None = None,
) -> Iterator[list[Prediction]]:
    """Classify pictures, however many there are: batch by batch, in order, one prediction for each.

    Several threads decode while the network computes; a few batches are in memory. A batch has a fixed number of
    pictures, readable or not: a run that resumes after a batch gets the same bits as one that was not stopped.

    Args:
        as_is: only resize pictures; do not make them like the training images.
        on_remade: called once, when a picture was made like the training images by more than that.
        traits: counts what was done to pictures beside decoding: pages that were not read, turns, conversions.
        batch_size: None chooses by the size of the classifier's images.
    """
    only_resize = True if as_is else None  # None: what the model was found to do best
    ink = normalizing_spec(classifier, only_resize)
    decoding = Decoding(classifier, only_resize, find_remade=on_remade is not None)
    decoded = decode_ahead(pictures, decoding)
    size = batch_size or default_batch_size(classifier.input_shape)
    threads: Callable[[], AbstractContextManager[None]] | None = None
    while batch := list(islice(decoded, size)):
        if traits is not None:
            for each in batch:
                traits.add(each.traits, each.pages, each.outside)
                if not isinstance(each.pixels, BadFileError):
                    traits.depths.add(each.depth, each.file)
        if on_remade and decoding.find_remade and ink and any(each.remade for each in batch):
            decoding.find_remade = False
            on_remade(ink)
        if threads is None and len(batch) == size:  # summing up a network takes a while
            threads = _threads(classifier)
        with threads() if threads is not None and len(batch) == size else nullcontext():
            predicted = _classified(classifier, batch)
        yield predicted


def predict_files(
    classifier: Predictor,
    paths: Iterable[str],
    on_bad_file: OnBadFile,
    *,
    as_is: bool = False,
    on_remade: OnRemade | None = None,
    ignored: Counter[str] | None = None,
    only: str | None = None,
    traits: TraitCounts | None = None,
) -> Iterator[FilePrediction]:
    """Classify files, all files in folders, and the rows of tables, in order: see `predictions` and `pictures_in`.

    ``on_bad_file`` is called with the error of each file, folder or row that cannot be read; the others are answered.
    """
    pictures = pictures_in(paths, image_shape=classifier.input_shape, ignored=ignored, only=only)
    for batch in predictions(classifier, pictures, as_is=as_is, on_remade=on_remade, traits=traits):
        for file, _, outcome in batch:
            if isinstance(outcome, BadFileError):
                on_bad_file(outcome)
            else:
                yield FilePrediction(file, outcome)


def _threads(classifier: Predictor) -> Callable[[], AbstractContextManager[None]]:
    """What to compute a batch in: one thread for a light network, which leaves the processor to those that decode.

    Threads of torch that wait for work keep their cores busy: beside a light network decoding took twice as long.
    """
    if "torch" in sys.modules:  # an .onnx is run without it
        from ..classifier import Classifier
        from ..training.device import using_threads

        if isinstance(classifier, Classifier) and classifier.summary().flops < LIGHT_FLOPS:
            return partial(using_threads, 1)
    return nullcontext


def _classified(classifier: Predictor, batch: list[Decoded]) -> list[Prediction]:
    sound = [
        Normalized(each.pixels, each.reason, each.given) for each in batch if not isinstance(each.pixels, BadFileError)
    ]
    # One batch: the classifier must not divide it, for sums over a batch of another size may end in other bits.
    answers = iter(classifier.answer(Batch.of(sound), batch_size=len(sound)) if sound else ())
    return [
        Prediction(each.file, each.place, each.pixels if isinstance(each.pixels, BadFileError) else next(answers))
        for each in batch
    ]


# From pictures to pixels, several at a time and ahead of the network, in order

BLOCK_PICTURES = 64
BLOCK_BYTES = 4 << 20  # of undecoded pictures out of tables


class Decoded(NamedTuple):
    """A `Picture` that is ready for the network; its file's content is not kept."""

    file: str
    place: str
    pixels: UInt8Array | BadFileError  # (H, W, C), or why there are none
    reason: NoDrawing | None = None  # see `data.ink.Normalized`, as for given
    given: UInt8Array | None = None
    remade: bool = False  # made like the training images by more than its size and colour
    traits: Traits = Traits(0)  # see `data.traits.Seen`, as for the rest
    pages: int = 1
    outside: int = 0
    depth: str = EIGHT


_NONE = np.empty((0, 0, 0), dtype=np.uint8)  # pixels that are still to come


class Decoding:
    """How pictures become pixels like the training images.

    ``find_remade``: find out which pictures were remade; it takes time, and is switched off once one was.
    """

    def __init__(self, model: Reader, as_is: bool | None, *, find_remade: bool) -> None:
        self._model, self._as_is = model, as_is
        self._most_together = model.input_shape[0] * model.input_shape[1]
        self.find_remade = find_remade and normalizing_spec(model, as_is) is not None

    def __call__(self, block: Iterable[Picture]) -> list[Decoded]:
        """The pixels of some pictures; DataError for arrays that are not pictures."""
        made: list[Decoded] = []
        waiting: dict[int, Opened] = {}  # those of the model's size: they are normalised together
        for row, picture in enumerate(block):
            try:
                decoded, image = self._opened(picture)
                if _pixels_of(image) <= self._most_together:
                    waiting[row] = image
                else:  # it may be large, and is not kept
                    decoded = self._with_pixels(decoded, image, normalized(image, self._model, self._as_is))
            except BadFileError as error:
                decoded = Decoded(picture.file, picture.place, error.with_traceback(None))
            made.append(decoded)
        if waiting:
            together = normalized_together(waiting.values(), self._model, self._as_is).singly()
            for (row, image), one in zip(waiting.items(), together, strict=True):
                made[row] = self._with_pixels(made[row], image, one)
        return made

    def _opened(self, picture: Picture) -> tuple[Decoded, Opened]:
        """The picture without its pixels, and what they are made of."""
        file, place, content = picture
        if isinstance(content, BadFileError):
            raise content
        reading = self._model.reading
        if isinstance(content, np.ndarray):
            depth = depth_of(content)
            if reading.window and reading.value_range is not None:  # the values of a file, as in training
                content = on_scale(content, reading.value_range, window=True)
            return Decoded(file, place, _NONE, depth=depth), open_image(content, self._model)
        name = content if isinstance(content, str) else place
        seen = see_bytes(read_bytes(content) if isinstance(content, str) else content, name, reading)
        decoded = Decoded(file, place, _NONE, None, None, False, seen.traits, seen.pages, seen.outside, seen.depth)
        return decoded, open_image(seen.image, self._model)

    def _with_pixels(self, decoded: Decoded, image: Opened, made: Normalized) -> Decoded:
        remade = self.find_remade and isinstance(image, Image.Image) and self._differs(image, made.pixels)
        return decoded._replace(**made._asdict(), remade=remade)

    def _differs(self, seen: Image.Image, pixels: UInt8Array) -> bool:
        """Whether there is more between a picture and its pixels than size and colour."""
        shape = self._model.input_shape
        if seen.mode == "L" and (seen.height, seen.width, 1) == shape:  # most are so, and this is quicker
            return seen.tobytes() != pixels.tobytes()
        return not np.array_equal(pixels, fit_image(seen, shape))


def _pixels_of(image: Opened) -> int:
    return math.prod(image.shape[:2] if isinstance(image, np.ndarray) else image.size)


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
