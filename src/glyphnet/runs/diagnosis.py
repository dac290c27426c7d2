"""What went wrong in a training: its symptoms, the likely cause, and what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from ..classifier import Classifier
from ..data import Finding, ImageDataset
from ..evaluation import Evaluation, evaluate, wilson
from ..evaluation.evaluate import findings_of, near_chance
from ..explain import DeadUnits, dead_units
from ..images import Batch
from ..nn.modules import summands
from ..training import HistoryRow, Recipe, initial_network
from .run import Run

SAMPLE = 2000  # training images that are judged again
JUMP = 100  # times its best value: such a loss has gone wrong
GAP = 0.10  # training accuracy above validation accuracy, with 95 % confidence
DEAD = 0.25  # of a layer's units
MOVED = 0.02  # of a layer's weights, as vectors: less has left them where they began
_HIGH = 0.1  # of the loss of guessing: below it a loss is small, however much smaller it was
_LEARNT = 0.98  # of the loss of guessing: a loss above it shows that next to nothing was learnt
_ABOVE = 0.4  # above the loss of guessing: no epoch but the first has such a training loss at a sound learning rate


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the findings on a training are drawn from."""

    classes: int
    guess: float  # the training loss of a network that knows nothing
    history: Sequence[HistoryRow]
    train: tuple[int, int]  # correct answers and images of a sample of the training part
    train_accuracy: float  # balanced, on that sample
    learnt: bool  # whether that is clearly better than guessing
    held_out: tuple[int, int]  # correct answers and images of the validation part; of the judged one if it is empty
    held_out_name: str  # "validation" or "held-out"
    dead: Sequence[DeadUnits]  # of the ReLU layers
    moved: Mapping[str, float]  # by layer: distance of its weights from the initial ones, in lengths of these

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


def diagnose(run: Run) -> tuple[Finding, ...]:
    """The findings that limit the figures of a run with an evaluation: of its answers and of its training."""
    assert run.evaluation is not None
    answers = findings_of(run.evaluation)
    if not len(run.splits.train) or not run.history:
        return answers
    evidence = _evidence(run, run.evaluation)
    found = [_with_cause(each, evidence) if each.code == "near_chance" else each for each in answers]
    chance = any(each.code == "near_chance" for each in answers)
    if not chance and not evidence.learnt:
        found.append(_with_cause(_not_learnt(evidence), evidence))
    found += [each for each in (_rate(evidence), _dead(evidence)) if each is not None]
    if not chance and (overfitting := _overfitting(evidence)) is not None:
        found.append(overfitting)
    return tuple(found)


def _evidence(run: Run, evaluation: Evaluation) -> Evidence:
    recipe, splits, history, classifier = run.recipe, run.splits, run.history, run.classifier
    assert classifier is not None
    sample, classes = _sample(splits.train), len(splits.classes)
    again = evaluate(classifier, sample)
    kept = next((row for row in history if row["epoch"] == run.best_epoch), history[-1])
    judged, name = (int(evaluation.correct.sum()), len(evaluation)), "held-out"
    if len(splits.validation) and kept["val_accuracy"] is not None:
        count = len(splits.validation)
        judged, name = (round(kept["val_accuracy"] * count), count), "validation"
    # Over a backbone the first epoch fits the last layer by another loss, and units may know other pictures than these.
    on_backbone = recipe.backbone is not None
    dead = () if on_backbone else dead_units(classifier, Batch.as_seen(again.images))
    return Evidence(
        classes, _loss_of_guessing(recipe, classes), history[1:] if on_backbone else history,
        (int(again.correct.sum()), len(again)), again.balanced_accuracy, not near_chance(again),
        judged, name, dead,
        _moved(classifier, initial_network(recipe, splits.image_shape, classes)),
    )  # fmt: skip


def _loss_of_guessing(recipe: Recipe, classes: int) -> float:
    """The loss of a network whose outputs are all 0, at the largest class weight."""
    loss = recipe.loss
    guess = classes * math.log(2) if loss.name == "binary_cross_entropy" else math.log(max(classes, 2))
    return guess * (max(1.0, *loss.class_weight) if isinstance(loss.class_weight, tuple) else 1.0)


def _moved(classifier: Classifier, initial: nn.Module) -> dict[str, float]:
    """How far each layer's weights are from the initial ones; of networks that are averaged, the first one's."""
    before = {name: weight.detach() for name, weight in initial.named_parameters()}
    members = summands(classifier.network)
    if len(members) > 1:
        before.pop("head.weight")  # in the average it is divided by their number
    return {
        name.removesuffix(".weight"): float((after.detach() - before[name]).norm() / before[name].norm())
        for name, after in members[0].named_parameters()
        if after.ndim >= 2 and name in before and bool(before[name].any())
    }


def _sample(train: ImageDataset) -> ImageDataset:
    rows = np.unique(np.linspace(0, len(train) - 1, min(SAMPLE, len(train))).astype(int))
    return train.subset(rows)


def _not_learnt(evidence: Evidence) -> Finding:
    """The finding that not even the training images were learnt, whatever the held-out ones say."""
    return Finding(
        "near_chance",
        f"It has hardly learnt its own training images: balanced accuracy {100 * evidence.train_accuracy:.1f} % on "
        f"{evidence.train[1]:,} of them, where guessing gives {100 / evidence.classes:.1f} %.",
        {"chance": 1 / evidence.classes},
    )


def _with_cause(finding: Finding, evidence: Evidence) -> Finding:
    """The finding that the answers are guesses, with why that may be."""
    right, count = evidence.train
    train, guess, loss = right / count, evidence.guess, evidence.last_loss
    if _rate(evidence) is not None:
        cause = ""  # it has its own finding, which names the cause
    elif evidence.learnt:
        cause = (
            f" Likely cause: it learnt {100 * train:.0f} % of the training images by heart, and nothing of that holds "
            "for others: the labels may not belong to the images, or there are too few images. Look at some images "
            "beside their labels in the report's section Data."
        )
    elif not evidence.history:
        cause = (
            " Likely cause: only the last layer was fitted, and the backbone's features do not tell these classes "
            f"apart ({100 * train:.0f} % of the training images right). Look at some images beside their labels in the "
            "report's section Data. If they are right, try another backbone, or none."
        )
    elif not max(loss, _known(evidence.history[-1]["val_loss"])) < _LEARNT * guess:
        cause = (
            f" Likely cause: the labels do not belong to the images, for {100 * train:.0f} % of the training images "
            f"are right and the loss ended at {loss:.3g}, where guessing gives {guess:.3g}. Look at some images beside "
            "their labels in the report's section Data. If they are right, try another optimizer.lr or more epochs."
        )
    else:
        cause = (
            f" Likely cause: it learnt too briefly ({len(evidence.history):,} epochs; {100 * train:.0f} % of the "
            "training images right). Try more epochs or another preset; then look at images beside their labels."
        )
    numbers = {**finding.numbers, "training_accuracy": train, "training_loss": None if math.isnan(loss) else loss}
    return replace(finding, sentence=f"{finding.sentence}{cause}", numbers=numbers)


def _rate(evidence: Evidence) -> Finding | None:
    """What speaks against the learning rate."""
    return _loss_jump(evidence) or _rate_too_high(evidence) or _rate_too_low(evidence)


def _rate_too_high(evidence: Evidence) -> Finding | None:
    """The finding that steps were so large that the loss rose above that of knowing nothing."""
    rows = [
        row
        for number, row in enumerate(evidence.history)
        # the first epoch has the initial weights' loss
        if _known(row["loss"]) > evidence.guess + (_ABOVE if number else 2 * _ABOVE)
    ]
    if not rows:
        return None
    worst = max(rows, key=lambda row: _known(row["loss"]))
    epoch, loss = int(_known(worst["epoch"])), _known(worst["loss"])
    return Finding(
        "learning_rate_high",
        f"The training loss was {loss:.3g} in epoch {epoch}, above the {evidence.guess:.3g} of a network that knows "
        "nothing. Likely cause: the learning rate is too high; the accuracy may be far below what these images allow. "
        "Try a tenth of optimizer.lr.",
        {"epoch": epoch, "loss": loss, "guess": evidence.guess, "last": evidence.last_loss},
    )


def _rate_too_low(evidence: Evidence) -> Finding | None:
    """The finding that layers still have the random weights that they began with."""
    still = {name: moved for name, moved in evidence.moved.items() if moved < MOVED}
    if not still:
        return None
    names = sorted(still, key=still.__getitem__)
    others = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return Finding(
        "learning_rate_low",
        f"{len(names):,} of {len(evidence.moved):,} layers ({names[0]}{others}) still have the random weights they "
        f"began with, to within {100 * max(still.values()):.2g} %: all that was learnt is in the others. Likely "
        "cause: the learning rate is too low, or the epochs are too few. Try ten times optimizer.lr, or a preset's.",
        {"layers": len(names), "of": len(evidence.moved), "moved": max(still.values())},
    )


def _jump(evidence: Evidence) -> tuple[str, int, float, float] | None:
    """Which loss rose above a hundred times its best, in which epoch, to what, and the best before; or None."""
    guess = evidence.guess
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
