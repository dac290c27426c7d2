"""What went wrong in a training: its symptoms, the likely cause, and what to try.

Nothing here chooses anything: the training is over, and its figures are only read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..classifier import Classifier
from ..data import Finding, ImageDataset, Splits
from ..evaluation import Evaluation, evaluate, wilson
from ..evaluation.findings import findings_of
from ..explain import DeadUnits, dead_units
from ..training import HistoryRow

SAMPLE = 2000  # training images that are judged again
JUMP = 100  # times its best value: such a loss has gone wrong
GAP = 0.10  # training accuracy above validation accuracy, with 95 % confidence
DEAD = 0.25  # of a layer's units
_HIGH = 0.1  # of the loss of guessing: below it a loss is small, however much smaller it was
_LEARNT = 0.98  # of the loss of guessing: a training loss above it has learnt next to nothing


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the findings on a training are drawn from.

    Attributes:
        classes: how many.
        history: a row an epoch.
        train: correct answers and images of a sample of the training part.
        held_out: correct answers and images of the validation part; of the judged one where there is none.
        held_out_name: "validation" or "held-out".
        dead: the ReLU layers and their dead units.
    """

    classes: int
    history: Sequence[HistoryRow]
    train: tuple[int, int]
    held_out: tuple[int, int]
    held_out_name: str
    dead: Sequence[DeadUnits]

    @property
    def gap(self) -> tuple[float, float, float]:
        """Training accuracy less held-out accuracy, and its 95 % interval (Newcombe, 1998, method 10)."""
        (right, n), (other_right, m) = self.train, self.held_out
        a, b = right / n, other_right / m
        of_a, of_b = wilson(right, n), wilson(other_right, m)
        low = a - b - math.hypot(a - of_a.low, of_b.high - b)
        high = a - b + math.hypot(of_a.high - a, b - of_b.low)
        return a - b, low, high

    @property
    def last_loss(self) -> float:
        """The training loss of the last epoch; NaN where there is none."""
        return _known(self.history[-1]["loss"]) if self.history else math.nan


def diagnose(
    classifier: Classifier, evaluation: Evaluation, splits: Splits, history: Sequence[HistoryRow], best_epoch: int
) -> tuple[Finding, ...]:
    """What the judged images and the training itself say against the figures.

    Args:
        classifier: what was trained.
        evaluation: its answers on the judged images.
        splits: the data.
        history: a row an epoch.
        best_epoch: whose weights were kept.
    """
    answers = findings_of(evaluation)
    if not len(splits.train) or not history:
        return answers
    evidence = _evidence(classifier, evaluation, splits, history, best_epoch)
    chance = any(each.code == "near_chance" for each in answers)
    found = [_with_cause(each, evidence) if each.code == "near_chance" else each for each in answers]
    found += [each for each in (_loss_jump(evidence), _dead(evidence)) if each is not None]
    if not chance and (overfitting := _overfitting(evidence)) is not None:
        found.append(overfitting)
    return tuple(found)


def _evidence(
    classifier: Classifier, evaluation: Evaluation, splits: Splits, history: Sequence[HistoryRow], best_epoch: int
) -> Evidence:
    sample = _sample(splits.train)
    again = evaluate(classifier, sample)
    kept = next((row for row in history if row["epoch"] == best_epoch), history[-1])
    judged, name = (int(evaluation.correct.sum()), len(evaluation)), "held-out"
    if len(splits.validation) and kept["val_accuracy"] is not None:
        count = len(splits.validation)
        judged, name = (round(kept["val_accuracy"] * count), count), "validation"
    return Evidence(
        len(splits.classes), history, (int(again.correct.sum()), len(again)), judged, name,
        dead_units(classifier, np.asarray(sample.images)),
    )  # fmt: skip


def _sample(train: ImageDataset) -> ImageDataset:
    rows = np.unique(np.linspace(0, len(train) - 1, min(SAMPLE, len(train))).astype(int))
    return train.subset(rows)


def _with_cause(finding: Finding, evidence: Evidence) -> Finding:
    """The finding that the answers are guesses, with why that may be."""
    right, count = evidence.train
    train, guess, loss = right / count, math.log(evidence.classes), evidence.last_loss
    if loss > JUMP * _HIGH * guess or _jump(evidence) is not None:
        cause = (
            f"Likely cause: the learning rate is too high, for the training loss ended at {loss:.3g}, where guessing "
            f"gives {guess:.3g}. Try a tenth of optimizer.lr."
        )
    elif wilson(right, count).low > 2 / evidence.classes or train > 0.9:
        cause = (
            f"Likely cause: it learnt {100 * train:.0f} % of the training images by heart, and nothing of that holds "
            "for others: the labels may not belong to the images, or there are too few images. Look at some images "
            "beside their labels in the report's section Data."
        )
    elif not loss < _LEARNT * guess:
        cause = (
            f"Likely cause: it did not begin to learn, for the training loss ended at {loss:.3g}, where guessing gives "
            f"{guess:.3g}: the learning rate is far too high or too low, or the labels do not belong to the images."
        )
    else:
        cause = (
            f"Likely cause: it learnt too briefly ({len(evidence.history):,} epochs; {100 * train:.0f} % of the "
            "training images right). Try more epochs or another preset; then look at images beside their labels."
        )
    numbers = {**finding.numbers, "training_accuracy": train, "training_loss": None if math.isnan(loss) else loss}
    return replace(finding, sentence=f"{finding.sentence} {cause}", numbers=numbers)


def _jump(evidence: Evidence) -> tuple[str, int, float, float] | None:
    """Which loss rose above a hundred times its best, in which epoch, to what, and the best before; or None."""
    guess = math.log(max(evidence.classes, 2))
    for name, key in (("training", "loss"), ("validation", "val_loss")):
        best = guess  # what no training at all would give
        for row in evidence.history:
            loss = _known(row[key])
            if loss > JUMP * best and loss > _HIGH * guess:
                return name, int(_known(row["epoch"])), loss, best
            best = min(best, loss) if loss > 0 else best
    return None


def _loss_jump(evidence: Evidence) -> Finding | None:
    if (found := _jump(evidence)) is None:
        return None
    name, epoch, loss, best = found
    return Finding(
        "loss_jump",
        f"The {name} loss was {loss:.3g} in epoch {epoch}, {loss / best:,.0f} times the best before it "
        f"({best:.3g}): the training came apart. Likely cause: the learning rate is too high. Try a "
        "tenth of optimizer.lr, or a schedule "
        "that warms up.",
        {"epoch": epoch, "loss": loss, "best": best},
    )


def _dead(evidence: Evidence) -> Finding | None:
    worst = max(evidence.dead, key=lambda each: each.share, default=None)
    if worst is None or worst.share < DEAD:
        return None
    return Finding(
        "dead_units",
        f"{len(worst.dead):,} of {worst.units:,} ReLU units of the layer {worst.layer} answer to none of "
        f"{worst.images:,} training images: they compute nothing and learn nothing any more. Likely cause: the "
        "learning rate was too high. Try a lower optimizer.lr, network.batch_norm=true or "
        "network.activation=leaky_relu.",
        {"layer": worst.layer, "dead": len(worst.dead), "units": worst.units, "images": worst.images},
    )


def _overfitting(evidence: Evidence) -> Finding | None:
    gap, low, high = evidence.gap
    if low <= GAP:
        return None
    (right, n), (other_right, m) = evidence.train, evidence.held_out
    return Finding(
        "overfitting",
        f"Over-fitting: {100 * right / n:.1f} % of {n:,} training images are right, but {100 * other_right / m:.1f} % "
        f"of {m:,} {evidence.held_out_name} images, {100 * gap:.0f} points fewer (95 % interval {100 * low:.0f} to "
        f"{100 * high:.0f}). More or more varied images help most; else augmentation, dropout, a smaller network or "
        "fewer epochs.",
        {"training": right / n, "held_out": other_right / m, "gap": gap, "low": low, "high": high},
    )


def _known(value: float | None) -> float:
    return math.nan if value is None else float(value)
