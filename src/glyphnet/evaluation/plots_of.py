"""The ``plot_*`` methods of an Evaluation: each hands its arrays to `glyphnet.plots`.

All take ``ax``, the Matplotlib axes to draw into, and return them; without it a new pyplot figure is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .evaluation import Evaluation
    from .intervals import Figure


def plot_confusion_matrix(
    evaluation: Evaluation, *, normalize: Literal["true", "pred", "all"] | None = None, ax: Axes | None = None
) -> Axes:
    """The confusion matrix; ``normalize`` as for ``sklearn.metrics.confusion_matrix``."""
    from ..plots import confusion_matrix as draw

    return draw(evaluation.confusion_matrix, evaluation.classes, normalize=normalize, ax=ax)


def plot_most_confused(evaluation: Evaluation, n: int = 10, *, ax: Axes | None = None) -> Axes:
    """The ``n`` most frequent kinds of mistake as bars."""
    from ..plots import confused_pairs as draw

    names, confused = evaluation.classes, evaluation.most_confused(n)
    pairs = [(names[each.true], names[each.predicted]) for each in confused]
    return draw(pairs, [each.count for each in confused], ax=ax)


def plot_classes(
    evaluation: Evaluation, figure: Literal["recall", "precision", "f1"] = "recall", *, ax: Axes | None = None
) -> Axes:
    """One figure of every class with its 95 % interval, the worst class at the top."""
    from ..plots import class_figures as draw

    found: list[Figure] = [getattr(scores, figure) for scores in evaluation.classification_report.values()]
    values = [each.value if each.n else np.nan for each in found]
    name = {"f1": "F1"}.get(figure, figure)
    return draw(values, [_ends(each) for each in found], evaluation.classes, name=name, ax=ax)


def plot_reliability(evaluation: Evaluation, *, ax: Axes | None = None) -> Axes:
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

    if evaluation.temperature == 1:
        return draw(evaluation, "this model", "first", ax)
    ax = draw(evaluation.uncalibrated, "before scaling", "second", ax)
    return draw(evaluation, "after scaling", "first", ax)


def plot_coverage(evaluation: Evaluation, *, ax: Axes | None = None) -> Axes:
    """Accuracy against coverage, and where the classifier's threshold lies on it."""
    from ..plots import coverage as draw

    curve, rejection = evaluation.coverage, evaluation.rejection
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


def plot_confidence(evaluation: Evaluation, *, ax: Axes | None = None) -> Axes:
    """How sure the right and the wrong answers are."""
    from ..plots import confidence_histogram as draw

    return draw(evaluation.confidence, evaluation.correct, threshold=evaluation.threshold, ax=ax)


def plot_top_losses(evaluation: Evaluation, n: int = 20, *, ax: Axes | None = None) -> Axes:
    """The ``n`` images with the greatest loss, each with its true (t) and its predicted (p) class."""
    from ..plots import gallery as draw
    from ..plots.style import short

    rows, names = evaluation.top_losses(n), [short(name, 10) for name in evaluation.classes]
    between = "  " if max(map(len, names)) <= 3 else "\n"
    titles = [f"t: {names[evaluation.labels[row]]}{between}p: {names[evaluation.predictions[row]]}" for row in rows]
    return draw(evaluation.images[rows], titles, wrong=~evaluation.correct[rows], ax=ax)


def _ends(figure: Figure) -> tuple[float, float]:
    interval = figure.interval
    return (np.nan, np.nan) if interval is None else (interval.low, interval.high)
