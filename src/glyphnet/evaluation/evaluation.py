"""`Evaluation`: one classifier's answers on a set of images, and the figures derived from them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..answers import Rules
from ..conformal import Conformal
from ..errors import DataError
from ..filekinds import check_suffix
from ..files import atomic_write_csv
from ..notebook import picture, render
from ..units import page_percent
from . import calibration
from .calibration import CoverageCurve, Rejection, ReliabilityBin, Sets
from .confusions import ClassScores, Confusion, Tally, class_scores, confusion_matrix, most_confused, resample
from .intervals import Figure, Interval, bootstrap_mean, percentiles, plain, proportion, wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .labels import LabelIssues

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.floating]

_APART = 0.01  # accuracy and balanced accuracy that differ by more show unequal classes
SET_LEVELS = (0.9, 0.95, 0.99, 0.998)
"""Levels of sets that every evaluation shows, where the classifier supports them."""


Part: TypeAlias = Literal["train", "validation", "test", "all", ""]
"""A part of a data set; "all" of data without parts, "" where that is not known."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One classifier's answers on one set of labelled images.

    Attributes:
        labels: int64 (N,), the true classes, each in [0, K).
        probabilities: float (N, K), after temperature scaling; rows sum to one.
        classes: the K class names, in label order.
        names: N strings: where each image came from.
        images: uint8 (N, H, W, C), may be a memory map; they are only shown, never predicted again.
        data: what the images are called ("mnist, test part").
        part: which part of the data they are.
        temperature: the logits were divided by it before softmax; 1.0 where that is not known.
        threshold: an answer of less confidence is rejected; None for no threshold.
        foreign: float (N,), how unlike the training images each image is; None where that is not known.
        reasons: N: why the classifier's own rules reject an image, or None; None for no rules.
        conformal: the classifier's calibration of sets, or None.

    Raises:
        DataError: the parts do not fit together, or there is no image; the message says which.
    """

    labels: Int64Array
    probabilities: FloatArray
    classes: tuple[str, ...]
    names: Sequence[str] = field(repr=False)
    images: npt.NDArray[np.uint8] = field(repr=False)
    data: str = ""
    temperature: float = 1.0
    threshold: float | None = None
    foreign: FloatArray | None = field(default=None, repr=False)
    reasons: Sequence[str | None] | None = field(default=None, repr=False)
    conformal: Conformal | None = field(default=None, repr=False)
    part: Part = ""

    def __post_init__(self) -> None:
        count, wanted = len(self.labels), (len(self.labels), len(self.classes))
        if not count:
            raise DataError("There is no image to evaluate on.")
        if self.probabilities.shape != wanted or self.probabilities.dtype.kind != "f":
            raise DataError(
                f"probabilities must be float of shape {wanted}, images by classes, "
                f"not {self.probabilities.dtype} of shape {self.probabilities.shape}."
            )
        if not np.isfinite(self.probabilities).all():
            raise DataError("The probabilities hold NaN or infinity: the model's weights went wrong. Train it again.")
        if len(self.names) != count or len(self.images) != count:
            raise DataError(
                f"{count} labels were given with {len(self.names)} names and {len(self.images)} images: "
                "there must be as many of each."
            )
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise DataError(
                f"labels run from {self.labels.min()} to {self.labels.max()}, but must lie in "
                f"[0, {len(self.classes)}), for there are {len(self.classes)} classes."
            )
        if not 0 < self.temperature < np.inf:
            raise DataError(f"temperature (={self.temperature}) must be above 0 and finite.")
        if self.reasons is not None and len(self.reasons) != count:
            raise DataError(f"{count} labels were given with {len(self.reasons)} reasons: there must be as many.")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise DataError(f"threshold (={self.threshold}) must lie in [0, 1], or be None.")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def predictions(self) -> Int64Array:
        """The most probable class of each image: int64 (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1).astype(np.int64))

    @cached_property
    def confidence(self) -> FloatArray:
        """The probability of the predicted class: float (N,)."""
        return np.asarray(self.probabilities.max(axis=1))

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which images were named rightly: bool (N,)."""
        return np.asarray(self.predictions == self.labels)

    @cached_property
    def losses(self) -> Float64Array:
        """The log loss of each image in nats: float64 (N,); clipped as scikit-learn does it."""
        smallest = np.finfo(self.probabilities.dtype).eps
        own = self.probabilities[np.arange(len(self)), self.labels]
        return -np.log(np.clip(own, smallest, 1 - smallest).astype(np.float64))

    # Figures

    @property
    def accuracy(self) -> float:
        """The share of images named rightly."""
        return float(self.correct.mean())

    @property
    def accuracy_interval(self) -> Interval:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(int(self.correct.sum()), len(self))

    @cached_property
    def balanced_accuracy(self) -> float:
        """The mean recall over the classes that occur (``sklearn.metrics.balanced_accuracy_score``)."""
        return float(self._tally.balanced_accuracy)

    @cached_property
    def macro_f1(self) -> float:
        """The mean F1 over the classes that occur or are predicted (``sklearn.metrics.f1_score``)."""
        return float(self._tally.macro_f1)

    @property
    def majority_share(self) -> float:
        """The accuracy of always answering the most frequent of these images' classes."""
        return float(np.bincount(self.labels).max() / len(self))

    @property
    def headline(self) -> str:
        """The figure that says how good the classifier is: "accuracy" or "balanced_accuracy".

        Accuracy, unless the two differ by more than a point: then a large class hides how the small ones fare.
        """
        return "balanced_accuracy" if abs(self.accuracy - self.balanced_accuracy) > _APART else "accuracy"

    @property
    def log_loss(self) -> float:
        """The mean log loss in nats (``sklearn.metrics.log_loss``)."""
        return float(self.losses.mean())

    def top_k_accuracy(self, k: int) -> float:
        """The share of images whose class is among the ``k`` most probable (``sklearn.metrics.top_k_accuracy_score``).

        Of equal probabilities with ``k`` of 1, that of `predictions` counts. ``k`` below 1 is a ValueError.
        """
        return self._top_k_hits(k) / len(self)

    def _top_k_hits(self, k: int) -> int:
        if k < 1:
            raise ValueError(f"k (={k}) must be at least 1.")
        if k == 1:
            return int(self.correct.sum())
        if k >= len(self.classes):
            return len(self)
        # Of equal probabilities the later class counts as the more probable, as in scikit-learn.
        likeliest = np.argsort(self.probabilities, axis=1, kind="stable")[:, -k:]
        return int((likeliest == self.labels[:, np.newaxis]).any(axis=1).sum())

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """Every figure of the whole with its 95 % interval, by name.

        Wilson's for proportions (``accuracy``, ``top_2``, ``top_3``, ``top_5``, those below K), a seeded
        bootstrap for ``balanced_accuracy``, ``macro_f1`` and ``log_loss``.
        """
        count, drawn = len(self), self._resampled
        found = {
            "accuracy": proportion(int(self.correct.sum()), count),
            "balanced_accuracy": Figure(self.balanced_accuracy, percentiles(drawn.balanced_accuracy), count),
            "macro_f1": Figure(self.macro_f1, percentiles(drawn.macro_f1), count),
            "log_loss": Figure(self.log_loss, bootstrap_mean(self.losses), count),
        }
        for k in (k for k in (2, 3, 5) if k < len(self.classes)):
            found[f"top_{k}"] = proportion(self._top_k_hits(k), count)
        return found

    # Classes and confusions

    @cached_property
    def confusion_matrix(self) -> Int64Array:
        """int64 (K, K): images of class (row) that were predicted as class (column)."""
        return confusion_matrix(self.labels, self.predictions, len(self.classes))

    @cached_property
    def _tally(self) -> Tally:
        return Tally.of(self.confusion_matrix)

    @cached_property
    def _resampled(self) -> Tally:
        return resample(self.confusion_matrix)

    @cached_property
    def classification_report(self) -> dict[str, ClassScores]:
        """Precision, recall, F1 and support of each class by its name (``sklearn.metrics``' figures)."""
        return dict(zip(self.classes, class_scores(self._tally, self._resampled), strict=True))

    def most_confused(self, n: int = 10) -> tuple[Confusion, ...]:
        """The ``n`` kinds of mistake that happened most often, the most frequent first."""
        return most_confused(self.confusion_matrix, n)

    # Single images

    def top_losses(self, n: int = 10) -> Int64Array:
        """The ``n`` images with the greatest loss, the greatest first: int64 indices."""
        return np.argsort(-self.losses, kind="stable")[:n].astype(np.int64)

    def least_sure(self, n: int = 10) -> Int64Array:
        """The ``n`` images of least confidence, the least first: int64 indices."""
        return np.argsort(self.confidence, kind="stable")[:n].astype(np.int64)

    # Calibration

    @cached_property
    def reliability(self) -> tuple[ReliabilityBin, ...]:
        """The reliability diagram in 15 bins of equal width; empty ones are left out."""
        return calibration.reliability(self.confidence, self.correct)

    @cached_property
    def calibration_error(self) -> float:
        """The expected calibration error over those 15 bins: 0.02 is two points too sure, or too unsure."""
        return calibration.expected_calibration_error(self.reliability)

    @cached_property
    def uncalibrated(self) -> Evaluation:
        """The same answers as they were before temperature scaling, to see what it did; without rules and sets."""
        before = calibration.undo_temperature(self.probabilities, self.temperature)
        return replace(
            self, probabilities=before, temperature=1.0, threshold=None, foreign=None, reasons=None, conformal=None
        )

    # Rejection

    @cached_property
    def coverage(self) -> CoverageCurve:
        """Accuracy against coverage: what every threshold on the confidence would give on these images."""
        return calibration.coverage_curve(self.confidence, self.correct)

    @cached_property
    def rejection(self) -> Rejection | None:
        """What the classifier's own rules give on these images; None where it has none."""
        if self.reasons is not None:
            return calibration.reject(self.correct, self.reasons)
        if self.threshold is None:
            return None
        unsure = self.confidence < self.threshold
        return calibration.reject(self.correct, ["low_confidence" if each else None for each in unsure])

    @cached_property
    def sets(self) -> tuple[Sets, ...]:
        """What sets of classes give on these images at `SET_LEVELS`, as far as the classifier supports them."""
        if self.conformal is None:
            return ()
        levels = [level for level in SET_LEVELS if level <= self.conformal.highest_level]
        return tuple(self.sets_at(level) for level in levels)

    def sets_at(self, level: float) -> Sets:
        """What sets at a level give on these images; SettingsError if the classifier gives none."""
        inside = Rules(conformal=self.conformal).need_conformal().sets(self.probabilities, level)
        return calibration.judge_sets(inside, self.labels, level)

    # Labels

    def label_issues(self) -> LabelIssues:
        """The images whose labels are suspected to be wrong, the surest first: see `find_label_issues`.

        The probabilities must be of images that the classifier was not trained on.
        """
        from .labels import SHORT, find_label_issues

        return find_label_issues(self.labels, self.probabilities, at_least=SHORT)

    # Pictures: all take ``ax``, the Matplotlib axes to draw into, and return them; None makes a new pyplot figure.

    def plot_confusion_matrix(
        self, *, normalize: Literal["true", "pred", "all"] | None = None, ax: Axes | None = None
    ) -> Axes:
        """The confusion matrix; ``normalize`` as for ``sklearn.metrics.confusion_matrix``."""
        from ..plots import confusion_matrix as draw

        return draw(self.confusion_matrix, self.classes, normalize=normalize, ax=ax)

    def plot_most_confused(self, n: int = 10, *, ax: Axes | None = None) -> Axes:
        """The ``n`` most frequent kinds of mistake as bars."""
        from ..plots import confused_pairs as draw

        names, confused = self.classes, self.most_confused(n)
        pairs = [(names[each.true], names[each.predicted]) for each in confused]
        return draw(pairs, [each.count for each in confused], ax=ax)

    def plot_classes(self, figure: Literal["recall", "precision", "f1"] = "recall", *, ax: Axes | None = None) -> Axes:
        """One figure of every class with its 95 % interval, the worst class at the top."""
        from ..plots import class_figures as draw

        found: list[Figure] = [getattr(scores, figure) for scores in self.classification_report.values()]
        values = [each.value if each.n else np.nan for each in found]
        name = {"f1": "F1"}.get(figure, figure)
        return draw(values, [_ends(each) for each in found], self.classes, name=name, ax=ax)

    def plot_reliability(self, *, ax: Axes | None = None) -> Axes:
        """The reliability diagram, and the one before temperature scaling where there was any."""
        from ..plots import reliability

        def draw(judged: Evaluation, name: str, series: Literal["first", "second"], ax: Axes | None) -> Axes:
            bins = judged.reliability
            return reliability(
                [each.confidence for each in bins],
                [each.accuracy for each in bins],
                intervals=[(each.interval.low, each.interval.high) for each in bins],
                name=f"{name}: error {100 * judged.calibration_error:.1f} points",
                series=series,
                ax=ax,
            )

        if self.temperature == 1:
            return draw(self, "this model", "first", ax)
        ax = draw(self.uncalibrated, "before scaling", "second", ax)
        return draw(self, "after scaling", "first", ax)

    def plot_coverage(self, *, ax: Axes | None = None) -> Axes:
        """Accuracy against coverage, and where the classifier's threshold lies on it."""
        from ..plots import coverage as draw

        curve, rejection = self.coverage, self.rejection
        if rejection is None or not rejection.accuracy.n:
            return draw(curve.coverage, curve.accuracy, ax=ax)
        return draw(
            curve.coverage,
            curve.accuracy,
            chosen=(rejection.coverage.value, rejection.accuracy.value),
            intervals=(_ends(rejection.coverage), _ends(rejection.accuracy)),
            name="with rejection",
            ax=ax,
        )

    def plot_confidence(self, *, ax: Axes | None = None) -> Axes:
        """How sure the right and the wrong answers are."""
        from ..plots import confidence_histogram as draw

        return draw(self.confidence, self.correct, threshold=self.threshold, ax=ax)

    def plot_top_losses(self, n: int = 20, *, ax: Axes | None = None) -> Axes:
        """The ``n`` images with the greatest loss, each with its true (t) and its predicted (p) class."""
        from ..plots import gallery as draw
        from ..plots.style import short

        rows, names = self.top_losses(n), [short(name, 10) for name in self.classes]
        between = "  " if max(map(len, names)) <= 3 else "\n"
        titles = [f"t: {names[self.labels[row]]}{between}p: {names[self.predictions[row]]}" for row in rows]
        return draw(self.images[rows], titles, wrong=~self.correct[rows], ax=ax)

    def _repr_html_(self) -> str:
        """The figures with their intervals, the confusion matrix or the most confused pairs, and the worst mistakes.

        Names of classes and files are text, whatever they hold. Colours are mixed from the notebook's own.
        """
        rejection = self.rejection
        rejected = [("coverage", rejection.coverage), ("accuracy", rejection.accuracy)] if rejection else []
        return render(
            "evaluation",
            evaluation=self,
            figures=[_written(name, figure) for name, figure in self.figures.items()],
            rejected=[_written(name, figure) for name, figure in rejected],
            matrix=_shaded(self.confusion_matrix) if len(self.classes) <= _MOST_CLASSES else None,
            pairs=self.most_confused(),
            worst=[_image(self, row) for row in self.top_losses(_MOST_IMAGES) if not self.correct[row]],
        )

    # Files

    def to_dict(self) -> dict[str, object]:
        """Every figure with its interval and n, in types that JSON knows."""
        names = self.classes
        return {
            "data": self.data,
            "n": len(self),
            "part": self.part,
            "classes": list(names),
            "headline": self.headline,
            "majority_share": plain(self.majority_share),
            **{name: plain(figure) for name, figure in self.figures.items()},
            "calibration": {
                "temperature": self.temperature,
                **_calibration(self),
                "uncalibrated": _calibration(self.uncalibrated),
            },
            "rejection": plain(self.rejection),
            "sets": plain(self.sets),
            "per_class": {name: plain(scores) for name, scores in self.classification_report.items()},
            "confusion_matrix": self.confusion_matrix.tolist(),
            "most_confused": [
                {**plain(pair), "true": names[pair.true], "predicted": names[pair.predicted]}
                for pair in self.most_confused()
            ],
        }

    def write_predictions_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line an image: file, true, predicted, probability, correct (1 or 0)."""
        check_suffix(path, (".csv",))
        columns = (self.names, self.labels, self.predictions, self.confidence.tolist(), self.correct)
        rows = (
            (name, self.classes[label], self.classes[guess], f"{confidence:.6f}", int(right))
            for name, label, guess, confidence, right in zip(*columns, strict=True)
        )
        atomic_write_csv(path, (COLUMNS, *rows), line_end="\r\n")


# Files: evaluation.json and predictions.csv

COLUMNS = ("file", "true", "predicted", "probability", "correct")


def _calibration(evaluation: Evaluation) -> dict[str, object]:
    return {
        "expected_calibration_error": plain(evaluation.calibration_error),
        "log_loss": plain(evaluation.log_loss),
        "bins": plain(evaluation.reliability),
    }


# Notebooks: a self-contained piece of HTML without scripts

_MOST_CLASSES = 20  # of a matrix that is still a table to read; of more, the most confused pairs are listed
_MOST_IMAGES = 12
_NAMES = {"macro_f1": "Macro F1"}


def _written(name: str, figure: Figure) -> dict[str, str]:
    def write(value: float) -> str:
        return f"{value:.4f}" if name == "log_loss" else page_percent(value, 2)  # in nats; all others are shares

    interval = figure.interval
    return {
        "name": _NAMES.get(name, name.replace("_", " ").capitalize()),
        "value": write(figure.value) if figure.n else "–",
        "interval": "–" if interval is None else f"{write(interval.low)} to {write(interval.high)}",
        "n": f"{figure.n:,}",
    }


def _shaded(matrix: npt.NDArray[np.int64]) -> list[list[tuple[int, int]]]:
    """Each cell's count and how strongly it is coloured, 0 to 100: mistakes by the most frequent, hits by their row."""
    right = np.eye(len(matrix), dtype=bool)
    most = max(1, int(np.where(right, 0, matrix).max()))
    rows = np.maximum(1, matrix.sum(axis=1, keepdims=True))
    strength = np.where(right, 45 * matrix / rows, 70 * (matrix / most) ** 0.75).round().astype(np.int64)
    return [list(zip(*both, strict=True)) for both in zip(matrix.tolist(), strength.tolist(), strict=True)]


def _image(evaluation: Evaluation, row: int) -> dict[str, Any]:
    return {
        "png": picture(evaluation.images[row]),
        "true": evaluation.classes[evaluation.labels[row]],
        "predicted": evaluation.classes[evaluation.predictions[row]],
        "confidence": page_percent(evaluation.confidence[row]),
        "file": evaluation.names[row],
    }


def _ends(figure: Figure) -> tuple[float, float]:
    interval = figure.interval
    return (np.nan, np.nan) if interval is None else (interval.low, interval.high)
