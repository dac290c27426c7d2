"""The one way from pictures to answers, for any number of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from itertools import islice
from typing import NamedTuple, TypeAlias

from ..answers import OneAnswer
from ..data.ink import InkSpec, Normalized
from ..data.traits import TraitCounts
from ..errors import BadFileError
from ..images import Batch, default_batch_size, normalizing_spec
from ..predictor import Predictor
from .decoding import Decoded, Decoding, decode_ahead
from .pictures import OnBadFile, Picture, pictures_in

LIGHT_FLOPS = 4_000_000
"""A network that takes fewer for a picture is quicker, on one thread, than a small picture is decoded."""

OnRemade: TypeAlias = Callable[[InkSpec], None]


class Prediction(NamedTuple):
    """What came of one picture.

    Attributes:
        file: see `Picture`.
        place: see `Picture`.
        outcome: the answer, or why there is none.
    """

    file: str
    place: str
    outcome: OneAnswer | BadFileError


class FilePrediction(NamedTuple):
    """The answer for one picture that could be read.

    Attributes:
        file: what it is called: see `Picture`.
        answer: probabilities, score and reason.
    """

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

    Pictures are decoded by several threads while the network computes; a few batches are in memory. A batch is so
    many pictures, sound or not: whoever goes on after a batch gets the same values, to the last bit, as whoever did
    not stop.

    Args:
        classifier: what answers.
        pictures: see `pictures_in`.
        as_is: only resize pictures; do not make them like the training images.
        on_remade: called, once, when a picture was made like the training images by more than that.
        traits: counts what was done to pictures beside decoding: pages that were not read, turns, conversions.
        batch_size: pictures at once; None chooses by the size of the classifier's images.
    """
    as_told = True if as_is else None  # what the model was found to do best
    ink = normalizing_spec(classifier, as_told)
    decoding = Decoding(classifier, as_told, tell_remade=on_remade is not None)
    decoded = decode_ahead(pictures, decoding)
    size = batch_size or default_batch_size(classifier.input_shape)
    sharing = _Sharing(classifier)
    while batch := list(islice(decoded, size)):
        if traits is not None:
            for each in batch:
                traits.add(each.traits, each.pages, each.outside)
                if not isinstance(each.pixels, BadFileError):
                    traits.depths.add(each.depth, each.file)
        if on_remade and decoding.tell_remade and ink and any(each.remade for each in batch):
            decoding.tell_remade = False
            on_remade(ink)
        with sharing.processor() if len(batch) == size else nullcontext():
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
    """Classify files, all files in folders, and the rows of Parquet tables: see `predictions` and `pictures_in`.

    Args:
        classifier: what answers.
        paths: files, folders and tables; their order is kept.
        on_bad_file: called with the error of each file, folder or row that cannot be read; the rest go on.
        as_is: see `predictions`.
        on_remade: see `predictions`.
        ignored, only: see `pictures_in`.
        traits: see `predictions`.
    """
    pictures = pictures_in(paths, image_shape=classifier.input_shape, ignored=ignored, only=only)
    for batch in predictions(classifier, pictures, as_is=as_is, on_remade=on_remade, traits=traits):
        for file, _, outcome in batch:
            if isinstance(outcome, BadFileError):
                on_bad_file(outcome)
            else:
                yield FilePrediction(file, outcome)


class _Sharing:
    """The processor, shared between a network and the threads that decode.

    Threads of torch that wait for work keep their cores busy: beside a light network decoding took twice as long.
    """

    def __init__(self, classifier: Predictor) -> None:
        self._classifier = classifier

    @cached_property
    def _is_light(self) -> bool:
        from ..classifier import Classifier

        return isinstance(self._classifier, Classifier) and self._classifier.summary().flops < LIGHT_FLOPS

    def processor(self) -> AbstractContextManager[None]:
        """What to compute a batch in. It does not depend on what came before, so no value does."""
        if "torch" not in sys.modules or not self._is_light:  # an .onnx is run without it
            return nullcontext()
        from ..training.device import using_threads

        return using_threads(1)


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
