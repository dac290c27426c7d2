"""Let a classifier answer on a set of images, once, exactly as it answers when it predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..data.dataset import ImageDataset
from ..errors import DataError
from ..images import Batch, Reader, seen
from .evaluation import Evaluation

_AT_ONCE = 4096  # images: a memory map is never read whole, and progress can be told

Progress = Callable[[int, int, str], None]


class Predicts(Protocol):
    """What ``evaluate`` needs of a classifier; ``glyphnet.Classifier`` has it.

    Where it has `Classifier.answer` too, its rules for rejection and its sets are judged with the probabilities.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names, in the order of the probabilities."""

    def predict_proba(self, images: Any, /) -> npt.NDArray[np.floating]:
        """Probabilities (N, K) of uint8 images (N, H, W, C); of a `Batch` of them where it is a `Reader`."""


def evaluate(
    classifier: Predicts, dataset: ImageDataset, *, data: str = "", progress: Progress | None = None
) -> Evaluation:
    """Let the classifier answer on every image of the data set.

    The classifier reads the pictures as it does for prediction: where it makes pictures like its training images, it
    gets the original pictures of the data set, not those that were resized to load them. ``images`` of the evaluation
    are what it saw.

    The data's classes are matched to the classifier's by name: a folder that lacks some of them, or has
    them in another order, is judged rightly.

    Args:
        classifier: a ``glyphnet.Classifier``, or anything with its ``classes`` and ``predict_proba``.
        dataset: the labelled images, of the classifier's size.
        data: what to call them in reports ("mnist, test part").
        progress: called with images done, images in all, and "evaluating".

    Raises:
        DataError: there are no images, or a class that the classifier does not know.
        BadFileError: an original picture is no longer there.
    """
    if not len(dataset):
        raise DataError("There is no image to evaluate on: the data set is empty.")
    labels = _labels_as_the_classifier_counts(dataset, tuple(classifier.classes))
    given = seen(dataset, classifier, progress=progress) if isinstance(classifier, Reader) else None
    images = dataset.images if given is None else given.pixels
    answer, rules = getattr(classifier, "answer", None), getattr(classifier, "rules", None)
    parts: list[npt.NDArray[np.floating]] = []
    scores: list[npt.NDArray[np.floating]] = []
    reasons: list[str | None] = []
    for start in range(0, len(dataset), _AT_ONCE):
        pixels = images[start : start + _AT_ONCE]
        if given is None or answer is None:
            parts.append(np.asarray(classifier.predict_proba(pixels if given is None else Batch.as_seen(pixels))))
        else:
            answers = answer(given.part(start, _AT_ONCE))
            parts.append(answers.probabilities)
            reasons += answers.reasons
            scores += [] if answers.foreign is None else [answers.foreign]
        if progress is not None:
            progress(min(start + _AT_ONCE, len(dataset)), len(dataset), "evaluating")
    return Evaluation(
        labels=labels,
        probabilities=np.concatenate(parts),
        classes=tuple(classifier.classes),
        names=dataset.names,
        images=images,
        data=data,
        temperature=getattr(classifier, "temperature", 1.0),
        threshold=getattr(classifier, "threshold", None),
        foreign=np.concatenate(scores) if scores else None,
        reasons=reasons if rules is not None and rules.rejects else None,
        conformal=getattr(classifier, "conformal", None),
    )


def _labels_as_the_classifier_counts(dataset: ImageDataset, known: tuple[str, ...]) -> npt.NDArray[np.int64]:
    if dataset.classes == known:
        return dataset.labels
    # Only classes that have images matter: a name without any cannot be judged wrongly.
    used = [name for name, count in zip(dataset.classes, dataset.counts, strict=True) if count]
    unknown = [name for name in used if name not in known]
    if unknown:
        raise DataError(
            f"The classifier does not know {_listed(unknown)}: it knows {_listed(known)}. "
            "Evaluate it on data with the classes that it was trained on."
        )
    places = np.array([known.index(name) if name in known else -1 for name in dataset.classes], dtype=np.int64)
    return places[dataset.labels]


def _listed(names: list[str] | tuple[str, ...], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
