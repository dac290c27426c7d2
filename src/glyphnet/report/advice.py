"""What would help: the few things that the figures say, the weightiest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..evaluation import Evaluation
from ..units import digits_for, plural
from ..units import page_percent as percent
from .curves import CurveReading
from .data import DataView, ShownPart

MOST = 3
_SUSPICIOUS = 0.002  # share of training labels that look wrong, from which it is worth an hour
_FEW = 0.4  # of the median class's images
_PAIR = 0.12  # share of the mistakes that one pair of classes makes
_MISCALIBRATED = 0.03
_COUNTED = 500  # images below which the calibration error is mostly chance
_UNCERTAIN = 0.02  # width of the accuracy's interval


@dataclass(frozen=True)
class Advice:
    """A sentence, and the section of the page where it is seen."""

    sentence: str
    section: str


@dataclass(frozen=True, eq=False)
class Known:
    """All that advice may be drawn from."""

    evaluation: Evaluation
    reading: CurveReading
    view: DataView
    suspects: Sequence[ShownPart]

    @property
    def wrong(self) -> int:
        """Mistakes."""
        return int((~self.evaluation.correct).sum())


def advise(
    evaluation: Evaluation, reading: CurveReading, view: DataView, suspects: Sequence[ShownPart]
) -> tuple[Advice, ...]:
    """One to three pieces of advice, each drawn from a figure of the page and saying which."""
    known = Known(evaluation, reading, view, suspects)
    found = [advice for finder in _FINDERS if (advice := finder(known))]
    return tuple(found[:MOST]) or (_nothing(known),)


def _leak(known: Known) -> Advice | None:
    for leak in known.view.report.leaks:
        if leak.parts[1] != "validation" and (count := leak.exact.count + leak.near.count):
            first, second = leak.parts
            return Advice(
                f"{plural(count, 'image')} of the {second} part {'is' if count == 1 else 'are'} in the {first} part "
                f"too, or nearly: the figures here look better than they are until they are removed from {first}.",
                "data-view",
            )
    return None


def _training_labels(known: Known) -> Advice | None:
    for shown in known.suspects:
        if shown.part.name == "train" and shown.part.issues.probable >= max(3, _SUSPICIOUS * shown.part.issues.n):
            return Advice(
                f"{plural(shown.part.issues.probable, 'label')} of the {shown.part.issues.n:,} in the training part "
                "look wrong: go through them, save the decisions and train again with them.",
                "labels",
            )
    return None


def _learning(known: Known) -> Advice | None:
    if known.reading.verdict in ("over-fitting", "still improving"):
        return Advice(known.reading.sentence, "learning")
    return None


def _few_images(known: Known) -> Advice | None:
    """A class that has few training images and is found less often than the others."""
    if known.view.parts[0] != "Training":
        return None
    lines = {line.name: line.counts[0] for line in known.view.lines}
    usual = float(np.median(list(lines.values())))
    scores = known.evaluation.classification_report
    poor = [
        name
        for name, each in scores.items()
        if lines.get(name, usual) < _FEW * usual and each.support and each.recall.value < known.evaluation.accuracy
    ]
    if not poor:
        return None
    worst = min(poor, key=lambda name: scores[name].recall.value)
    return Advice(
        f"“{worst}” has {plural(lines[worst], 'training image')}, a usual class {usual:,.0f}, and only "
        f"{percent(scores[worst].recall.value)} of it is found: more images of it would help.",
        "data-view",
    )


def _weak_class(known: Known) -> Advice | None:
    """The class that is found surely less often than images are on the whole."""
    floor = known.evaluation.accuracy_interval.low
    scores = known.evaluation.classification_report
    weak = [name for name, each in scores.items() if each.recall.interval and each.recall.interval.high < floor]
    if not weak:
        return None
    worst = min(weak, key=lambda name: scores[name].recall.value)
    return Advice(
        f"“{worst}” is found least often: {percent(scores[worst].recall.value)} of its "
        f"{plural(scores[worst].support, 'image')}. Its mistakes are the first to look at.",
        "classes",
    )


def _pair(known: Known) -> Advice | None:
    """Two classes that are taken for each other."""
    both = known.evaluation.confusion_matrix + known.evaluation.confusion_matrix.T
    np.fill_diagonal(both, 0)
    a, b = np.unravel_index(int(both.argmax()), both.shape)
    count = int(both[a, b])
    if len(known.evaluation.classes) < 3 or count < 5 or count < _PAIR * known.wrong:
        return None
    names = known.evaluation.classes
    return Advice(
        f"“{names[a]}” and “{names[b]}” are taken for each other in {count:,} of the "
        f"{plural(known.wrong, 'mistake')}: more varied images of the two would help most, or one class for "
        "both if the difference does not matter.",
        "mistakes",
    )


def _judged_labels(known: Known) -> Advice | None:
    """Mistakes that may not be mistakes."""
    for shown in known.suspects:
        if shown.part.name == "test" and shown.part.issues.probable >= max(3, 0.1 * known.wrong):
            return Advice(
                f"{plural(shown.part.issues.probable, 'label')} of the test part look wrong: some of the "
                f"{plural(known.wrong, 'mistake')} may be the data's and not the model's.",
                "labels",
            )
    return None


def _calibration(known: Known) -> Advice | None:
    error = known.evaluation.calibration_error
    if error < _MISCALIBRATED or len(known.evaluation) < _COUNTED:
        return None
    return Advice(
        f"Its confidence is off by {100 * error:.1f} points on average: choose no threshold by it before it is "
        "calibrated on validation images of the same kind.",
        "confidence",
    )


def _uncertain(known: Known) -> Advice | None:
    interval, count = known.evaluation.accuracy_interval, len(known.evaluation)
    if interval.high - interval.low < _UNCERTAIN:
        return None
    digits = digits_for(count)
    return Advice(
        f"From {plural(count, 'image')} the accuracy is only known to lie between {percent(interval.low, digits)} and "
        f"{percent(interval.high, digits)}: four times as many to judge by would halve that.",
        "main",
    )


def _nothing(known: Known) -> Advice:
    if not known.wrong:
        return Advice(
            "Nothing that these images could show: it made no mistake. Harder images would tell more.", "main"
        )
    matrix = known.evaluation.confusion_matrix
    kinds = int((matrix > 0).sum()) - int((matrix.diagonal() > 0).sum())
    return Advice(
        f"Nothing stands out: the {plural(known.wrong, 'mistake')} are of {plural(kinds, 'kind')}, and no class and "
        "no pair of classes makes most of them. Longer training, augmentation or a larger network may still give a "
        "little.",
        "mistakes",
    )


_FINDERS: tuple[Callable[[Known], Advice | None], ...] = (
    _leak, _training_labels, _learning, _few_images, _weak_class, _pair, _judged_labels, _calibration, _uncertain,
)  # fmt: skip
