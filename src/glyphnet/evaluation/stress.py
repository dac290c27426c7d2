"""How much of its accuracy a classifier keeps on corrupted images, within a given time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import ImageDataset
from ..data.dataset import evenly_spaced
from ..errors import DataError
from ..progress import Progress
from ..units import listed, percent, plural
from .corruptions import CORRUPTIONS, corrupt
from .evaluate import labels_in
from .intervals import Figure, plain, proportion

if TYPE_CHECKING:
    from ..classifier import Classifier

SECONDS = 50.0
"""How long a stress test takes, about; an image more or less is not worth more."""

FIRST = (20, 200)
"""Images that are tried first, and say how many there is time for: the more only if the fewer took a tenth of the time
at most, so that a slow model takes no longer. The fewer are the least that is judged by."""

MUCH_LOST = 0.02
"""Share of the images lost to a corruption from which an augmentation is named."""


@dataclass(frozen=True)
class Stress:
    """The accuracy on corrupted images.

    Attributes:
        n: images that were corrupted, of ``of``, evenly spread.
        clean: accuracy on them as they are.
        corrupted: accuracy by corruption.
        augmented: strengths of the augmentations that the model was trained with, by name.
        seconds: that it took.
    """

    n: int
    of: int
    clean: Figure
    corrupted: dict[str, Figure]
    augmented: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def mean(self) -> float:
        """The mean of all corruptions."""
        return float(np.mean([figure.value for figure in self.corrupted.values()]))

    @property
    def advice(self) -> str:
        """Which augmentation is likely to help against what costs most; "" where nothing costs much."""
        lost = {name: float(self.clean.value - figure.value) for name, figure in self.corrupted.items()}
        worst = sorted((name for name in lost if lost[name] > MUCH_LOST), key=lost.__getitem__, reverse=True)
        if not worst:
            return ""
        gain: dict[str, float] = {}
        for name in worst:
            for place, augmentation in enumerate(CORRUPTIONS[name].helps):
                gain[augmentation] = gain.get(augmentation, 0.0) + lost[name] / (1 + place)
        best = max(gain, key=gain.__getitem__)
        against = [name for name in worst if best in CORRUPTIONS[name].helps]
        strength = self.augmented.get(best, 0.0)
        how = f"more {best} than {strength:g}" if strength else f"the augmentation {best}"
        return (
            f"Most is lost to {listed(worst[:3])}. Likely to help against {listed(against[:4])}: {how} "
            f"(--set augment.{best}=…), or --preset robust."
        )

    def lines(self) -> list[str]:
        """A line for each corruption, with its interval, the worst first, then the mean and the advice."""
        whole = plural(self.of, "image") if self.n == self.of else f"{self.n:,} of {self.of:,} images, to fit the time"
        lines = [f"Corrupted: {percent(self.mean)} on average over {len(self.corrupted)} kinds ({whole})"]
        for name, figure in sorted(self.corrupted.items(), key=lambda each: each[1].value):
            low, high = (percent(end) for end in ends(figure))
            lines.append(f"  {name:<14} {percent(figure.value)} ({low} to {high})")
        return [*lines, *([self.advice] if self.advice else [])]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "n": self.n,
            "of": self.of,
            "seconds": round(self.seconds, 1),
            "clean": plain(self.clean),
            "mean": self.mean,
            "corrupted": {name: plain(figure) for name, figure in self.corrupted.items()},
            "advice": self.advice,
        }


def ends(figure: Figure) -> tuple[float, float]:
    """Of its interval; the whole range where that is unknown."""
    return (0.0, 1.0) if figure.interval is None else (figure.interval.low, figure.interval.high)


def stress(
    classifier: Classifier, dataset: ImageDataset, *, seconds: float = SECONDS, seed: int = 0,
    progress: Progress | None = None,
) -> Stress:  # fmt: skip
    """The accuracy on images of the data set with each of `CORRUPTIONS`, in about ``seconds``.

    The classifier reads a corrupted image as it reads any picture. Where there is no time for all images, as many as
    fit are taken, evenly spread. As many of the same images with the same seed give the same figures.

    Args:
        dataset: labelled images of the classifier's size.
        progress: called with kinds done, kinds in all, and "corrupting".

    Raises:
        DataError: there are no images, or a class that the classifier does not know.
    """
    began = time.perf_counter()
    if not len(dataset):
        raise DataError("There is no image to corrupt: the data set is empty.")
    dataset.refuse_unlabelled("a stress test")
    labels = labels_in(dataset, classifier.classes)
    dataset = replace(dataset, originals=None, labels=labels, classes=classifier.classes)
    for count in FIRST:
        tried = time.perf_counter()
        some = dataset.subset(evenly_spaced(len(dataset), count))
        for name in CORRUPTIONS:
            _right(classifier, some, name, seed)
        an_image = (time.perf_counter() - tried) / len(some)
        if time.perf_counter() - began > seconds / 10:
            break
    most = max(FIRST[0], int((seconds - (time.perf_counter() - began)) / an_image))
    chosen = dataset.subset(evenly_spaced(len(dataset), most))
    right: dict[str, int] = {}
    for name in ("", *CORRUPTIONS):
        right[name] = _right(classifier, chosen, name, seed)
        if progress is not None:
            progress(len(right), 1 + len(CORRUPTIONS), "corrupting")
    n = len(chosen)
    return Stress(
        n=n,
        of=len(dataset),
        clean=proportion(right.pop(""), n),
        corrupted={name: proportion(count, n) for name, count in right.items()},
        augmented={
            name: float(each) for name, each in ((classifier.recipe or {}).get("augment") or {}).items() if each
        },
        seconds=time.perf_counter() - began,
    )


def _right(classifier: Classifier, dataset: ImageDataset, name: str, seed: int) -> int:
    """Right answers to the images with this corruption; "" for none."""
    images = corrupt(dataset.images, name, seed) if name else dataset.images
    return int((classifier.predict_labels(images) == dataset.labels).sum())
