"""Evaluate a classifier on a set of images, once, exactly as it predicts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..data import Finding, ImageDataset, Splits, load, look_over
from ..data.corrections import apply_decisions
from ..data.groups import parse_group_by
from ..data.inspect import ABOUT_LEARNING, IMBALANCE
from ..data.settings import DataSettings
from ..errors import DataError, SettingsError
from ..images import Batch, Reader, seen
from ..progress import Progress
from ..units import interval_text, listed, percent
from .evaluation import Evaluation, Part
from .intervals import Interval

if TYPE_CHECKING:
    from ..classifier import Classifier

_AT_ONCE = 4096  # images: a memory map is never read whole, and progress can be shown


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
    classifier: Predicts,
    dataset: ImageDataset,
    *,
    data: str = "",
    part: Part = "",
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate the classifier on every image of the data set.

    The classifier reads the pictures as it does for prediction: where it normalises, it gets the original pictures of
    the data set, not those that were resized to load them. ``images`` of the evaluation are what it saw. The data's
    classes are matched to the classifier's by name.

    Args:
        classifier: a ``glyphnet.Classifier``, or anything with its ``classes`` and ``predict_proba``.
        dataset: the labelled images, of the classifier's size.
        data: what to call them in reports ("mnist, test part").
        part: which part of the data they are.
        progress: called with images done, images in all, and "evaluating".

    Raises:
        DataError: there are no images, or a class that the classifier does not know.
        BadFileError: an original picture is no longer there.
    """
    if not len(dataset):
        raise DataError("There is no image to evaluate on: the data set is empty.")
    dataset.refuse_unlabelled("evaluation")
    labels = labels_in(dataset, tuple(classifier.classes))
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
        part=part,
    )


def labels_in(dataset: ImageDataset, known: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """The labels, int64 (N,), counted in the classes of a classifier; DataError for a class that it does not know."""
    if dataset.classes == known:
        return dataset.labels
    # Only classes that have images matter: a name without any cannot be judged wrongly.
    used = [name for name, count in zip(dataset.classes, dataset.counts, strict=True) if count]
    unknown = [name for name in used if name not in known]
    if unknown:
        raise DataError(
            f"The classifier does not know {listed(unknown)}: it knows {listed(known)}. "
            "Evaluate it on data with the classes that it was trained on."
        )
    places = np.array([known.index(name) if name in known else -1 for name in dataset.classes], dtype=np.int64)
    return places[dataset.labels]


# Held-out images: those that the classifier was not trained on

_DIVISION = ("validation_fraction", "test_fraction", "seed", "group_by")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images to judge a classifier by."""

    dataset: ImageDataset
    data: str  # what they are called ("mnist, test part")
    part: Part
    notes: tuple[str, ...]  # on how they were read
    findings: tuple[Finding, ...]  # what a reader of the figures must know

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences of the findings."""
        return tuple(finding.sentence for finding in self.findings)


def held_out(
    classifier: Classifier,
    data: str | os.PathLike[str] | DataSettings = "digits",
    *,
    progress: Progress | None = None,
) -> HeldOut:
    """Load the images of ``data`` on which the classifier may be judged, in its size and colour.

    Data that it was trained on, known by their fingerprint, are divided as in its training, and the test
    part is taken. Of other data the test part is taken if they have one of their own, and else all images.

    Args:
        classifier: whose recipe says how its data were divided.
        data: a name or a path, as for `glyphnet.load`, or settings, of which ``on_bad_file``, ``layout`` and ``only``
            count. Where they are not set and the model was trained on this source, those of its training count. All
            else comes from the model.
        progress: called as ``progress(done, total, what)`` while data are read.

    Raises:
        DataError: the data cannot be used, or hold no image.
    """
    height, width, channels = classifier.input_shape
    settings = data if isinstance(data, DataSettings) else DataSettings(source=os.fspath(data))
    told = classifier.recipe.get("data") or {}
    how: dict[str, Any] = {"size": (height, width), "color": "grey" if channels == 1 else "rgb"}
    if told.get("source") == settings.source:  # what the user did not set is as in training
        given, folders = settings.model_fields_set, {"layout", "only"}
        wanted = {"on_bad_file", "label_column"} - given | (folders if given.isdisjoint(folders) else set())
        how |= {name: told[name] for name in wanted if name in told}
    settings = settings.with_values(how)

    def read(division: Mapping[str, Any]) -> Splits:
        divided = settings.with_values({"labels": None, **division})
        return load(divided, to_train=False, reading=classifier.reading, progress=progress)

    division = {"group_by": "none", **{name: told[name] for name in _DIVISION if name in told}}
    try:
        splits = _with_decisions(read(division), told.get("labels"))
        if splits.train.fingerprint == classifier.provenance.fingerprint:
            return held_out_in_training(splits)
    except (DataError, SettingsError):
        if division["group_by"] == "none":
            raise
        # Other data need not have the column, or the names, by which the training's pictures were grouped.
    # Nothing is to be drawn from these: either they have a test part, or they are one.
    splits = read({"validation_fraction": 0.0, "test_fraction": 0.0, "group_by": "none"})
    findings = [each for each in look_over(splits).findings if each.code not in ABOUT_LEARNING]
    groups = division["group_by"] if parse_group_by(division["group_by"]).kind == "file" else None
    for code, what, table in (
        ("decisions_missing", "decisions on labels", told.get("labels")),
        ("groups_missing", "groups", groups),
    ):
        if table and not os.path.isfile(os.path.expanduser(table)):
            sentence = (
                f"The model was trained with the {what} in {table}, which is not there any more: whether it has "
                "learnt from these images is not known."
            )
            findings.append(Finding(code, sentence))
    if len(splits.test):
        return HeldOut(splits.test, f"{splits.name}, test part", "test", splits.notes, tuple(findings))
    sentence = (
        "These data have no test part, and all their images were judged. "
        "If the model was trained on some of them, the figures are too good."
    )
    findings.append(Finding("no_test_part", sentence))
    return HeldOut(splits.train, f"{splits.name}, all images", "all", splits.notes, tuple(findings))


def _with_decisions(splits: Splits, table: str | None) -> Splits:
    """The splits with the decisions on labels of the training, where they fit: of other data they need not."""
    try:
        return splits if table is None else apply_decisions(splits, table)
    except DataError:
        return splits


def held_out_in_training(splits: Splits) -> HeldOut:
    """The images held out of the data that a classifier was trained on.

    The test part if there is one; else the validation part; else, with a warning, the training part.
    """
    findings, name = look_over(splits).findings, splits.name
    if len(splits.test):
        return HeldOut(splits.test, f"{name}, test part", "test", splits.notes, findings)
    if len(splits.validation):
        sentence = "The training held out no test part: on its validation part the figures are a little too good."
        findings = (*findings, Finding("judged_on_validation", sentence))
        return HeldOut(splits.validation, f"{name}, validation part", "validation", splits.notes, findings)
    sentence = "The model was trained on all these images: the figures say nothing about new ones."
    findings = (*findings, Finding("judged_on_training", sentence))
    return HeldOut(splits.train, f"{name}, training part", "train", splits.notes, findings)


def part_of(judged: Mapping[str, Any], data: str) -> Part:
    """The part by which something was judged, from what a file holds on it; older files only have a name, ``data``."""
    endings: dict[str, Part] = {
        "training part": "train", "validation part": "validation", "test part": "test", "all images": "all",
    }  # fmt: skip
    part: Part = judged["part"] if "part" in judged else endings.get(data.rpartition(", ")[2], "")
    return part


def accuracy_sentence(evaluation: Evaluation) -> str:
    """The accuracy with its interval and the count behind it, without a full stop.

    Where classes are so unequal that balanced accuracy is the headline, it comes first.
    """
    accuracy = _in_words(evaluation.accuracy, evaluation.accuracy_interval)
    if evaluation.headline == "accuracy":
        return f"Accuracy on {evaluation.data}: {accuracy}, {len(evaluation):,} images"
    balanced = evaluation.figures["balanced_accuracy"]
    largest = evaluation.classes[int(np.bincount(evaluation.labels).argmax())]
    return (
        f"Balanced accuracy on {evaluation.data}: {_in_words(balanced.value, balanced.interval)}, "
        f"{len(evaluation):,} images; accuracy {accuracy}, where always answering {largest!r} gives "
        f"{100 * evaluation.majority_share:.2f} %"
    )


def _in_words(share: float, interval: Interval | None) -> str:
    spread = "" if interval is None else f" ({interval_text(interval)})"
    return f"{percent(share, 2)}{spread}"


# Findings: unbalanced classes, and answers no better than guesses

_LITTLE = 0.15  # of the way from guessing to no mistake


def findings_of(evaluation: Evaluation) -> tuple[Finding, ...]:
    """What a reader of the accuracy must know: see `_unequal_classes` and `_no_better_than_guessing`."""
    found = (_no_better_than_guessing(evaluation), _unequal_classes(evaluation))
    return tuple(each for each in found if each is not None)


def near_chance(evaluation: Evaluation) -> bool:
    """Whether the answers are guesses, or little better.

    Either the 95 % interval of the balanced accuracy reaches down to that of a guess, one over the classes judged; or
    the balanced accuracy is below three times that, and has come less than `_LITTLE` of the way from there to 100 %.
    """
    occurring = len(np.unique(evaluation.labels))
    if occurring < 2:
        return False
    figure, chance = evaluation.figures["balanced_accuracy"], 1 / occurring
    low = figure.value if figure.interval is None else figure.interval.low
    return low <= chance or figure.value < min(3 * chance, chance + _LITTLE * (1 - chance))


def _no_better_than_guessing(evaluation: Evaluation) -> Finding | None:
    if not near_chance(evaluation):
        return None
    figure, occurring = evaluation.figures["balanced_accuracy"], len(np.unique(evaluation.labels))
    interval, chance = figure.interval, 1 / occurring
    spread = "" if interval is None else f" ({interval_text(interval, 1)})"
    better = "Little" if interval is not None and interval.low > chance else "No"
    return Finding(
        "near_chance",
        f"{better} better than guessing: balanced accuracy {percent(figure.value)}{spread} on "
        f"{evaluation.data or 'these images'}, where guessing one of {occurring:,} classes gives {percent(chance)}.",
        {
            "balanced_accuracy": figure.value,
            "low": None if interval is None else interval.low,
            "high": None if interval is None else interval.high,
            "chance": chance,
            "n": len(evaluation),
        },
    )


def _unequal_classes(evaluation: Evaluation) -> Finding | None:
    """Accuracy beside that of always answering the largest class, where one class has many times another's images."""
    counts = np.bincount(evaluation.labels, minlength=len(evaluation.classes))
    there = counts[counts > 0]
    if len(there) < 2 or there.max() < IMBALANCE * there.min():
        return None
    largest, share = evaluation.classes[int(counts.argmax())], evaluation.majority_share
    interval = evaluation.accuracy_interval
    verdict = "" if interval.low > share else " It is not surely better than that."
    return Finding(
        "imbalance_judged",
        f"The judged classes are unbalanced: the model's accuracy is {percent(evaluation.accuracy, 2)} "
        f"({interval_text(interval)}), always answering {largest!r} gives {percent(share, 2)}."
        f"{verdict} Its balanced accuracy, the mean over the classes, is {percent(evaluation.balanced_accuracy, 2)}.",
        {
            "accuracy": evaluation.accuracy,
            "majority_share": share,
            "balanced_accuracy": evaluation.balanced_accuracy,
            "largest": int(there.max()),
            "smallest": int(there.min()),
        },
    )
