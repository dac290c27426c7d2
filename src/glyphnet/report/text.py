"""Numbers and sentences as the report words them."""

from __future__ import annotations

import numpy as np

from ..answers import REASONS
from ..conformal import percentage
from ..evaluation import Evaluation, Figure
from ..units import THIN, digits_for, plural
from ..units import page_percent as percent


def headline(evaluation: Evaluation) -> str:
    """How good it is and how sure that is, in one or two sentences."""
    count, right = len(evaluation), int(evaluation.correct.sum())
    interval, digits = evaluation.accuracy_interval, digits_for(count)
    if evaluation.headline == "balanced_accuracy":
        largest = evaluation.classes[int(np.bincount(evaluation.labels).argmax())]
        guessed = round(evaluation.majority_share * count)
        return (
            f"It named {right:,} of {plural(count, 'image')} rightly, and always answering “{largest}” would name "
            f"{guessed:,}. So the balanced accuracy counts here: the mean over the classes of the share that is found."
        )
    return (
        f"It named {right:,} of {plural(count, 'image')} rightly{_rate(count, count - right)}. "
        f"On new images of the same kind expect between {percent(interval.low, digits)} and "
        f"{percent(interval.high, digits)}."
    )


def _rate(count: int, wrong: int) -> str:
    if not wrong:
        return ", with no mistake"
    every = count / wrong
    return f": about one mistake in {every:,.0f} images" if every >= 3 else f", with {plural(wrong, 'mistake')}"


def calibration(evaluation: Evaluation) -> str:
    """Whether its confidence can be believed."""
    claimed, reached = float(evaluation.confidence.mean()), evaluation.accuracy
    error = evaluation.calibration_error
    facts = (
        f"On average it claims {percent(claimed)} and reaches {percent(reached)}; "
        f"the expected calibration error is {100 * error:.1f} points."
    )
    if error < 0.02:
        return f"Its confidence can be believed. {facts}"
    gap = claimed - reached
    if abs(gap) < error / 2:
        return f"Its confidence is off, here too high and there too low. {facts}"
    return f"It is too {'sure of itself' if gap > 0 else 'modest'}. {facts}"


def temperature(evaluation: Evaluation) -> str:
    """What temperature scaling did, or "" where the probabilities are the network's own."""
    value = evaluation.temperature
    if value == 1.0:
        return ""
    before, after = evaluation.uncalibrated.calibration_error, evaluation.calibration_error
    return (
        f"The network itself was too {'sure' if value > 1 else 'modest'} on the validation images, so its logits are "
        f"divided by a temperature of {value:.3g}. Here the calibration error is {100 * before:.1f} points without "
        f"it and {100 * after:.1f} points with it."
    )


def rejection(evaluation: Evaluation) -> str:
    """What the classifier's rules for rejection give on these images."""
    found, digits = evaluation.rejection, digits_for(len(evaluation))
    if found is None:
        return "This model cannot reject: there were no validation images to choose thresholds on."
    why = " and ".join(f"{plural(count, 'image')} ({REASONS[reason]})" for reason, count in found.reasons.items())
    rejected = f"It rejects {why}." if why else "It rejects no image here."
    if not found.accuracy.n:
        return f"{rejected} That is all of them."
    return (
        f"{rejected} It answers {_with_interval(found.coverage, digits)} of the images and names "
        f"{_with_interval(found.accuracy, digits)} of those rightly; answering all, "
        f"{percent(evaluation.accuracy, digits)}."
    )


def sets(evaluation: Evaluation) -> list[dict[str, str]]:
    """The rows of the table of sets: level, coverage, size, single, and the intervals of two of them."""
    digits = digits_for(len(evaluation))
    return [
        {
            "level": f"{percentage(each.level)}{THIN}%",
            "coverage": percent(each.coverage.value, digits),
            "coverage_spread": _range(each.coverage, digits, 100),
            "size": f"{each.size.value:.3f}",
            "size_spread": _range(each.size, 3),
            "single": percent(each.single.value),
        }
        for each in evaluation.sets
    ]


def _range(figure: Figure, digits: int, scale: float = 1.0) -> str:
    """A figure's interval: "98.4–98.9"; "" where there is none."""
    interval = figure.interval
    return f"{scale * interval.low:.{digits}f}–{scale * interval.high:.{digits}f}" if interval else ""


def _with_interval(figure: Figure, digits: int) -> str:
    """0.987 → "98.7 % (98.4–98.9)"."""
    value, spread = percent(figure.value, digits), _range(figure, digits, 100)
    return f"{value} ({spread})" if spread else value


def mistakes(evaluation: Evaluation) -> str:
    """Where most of the mistakes are."""
    wrong = int((~evaluation.correct).sum())
    if not wrong:
        return "There is no mistake among these images."
    worst = evaluation.most_confused(1)[0]
    return (
        f"{plural(wrong, 'mistake')}. The most frequent: {plural(worst.count, 'image')} of "
        f"“{evaluation.classes[worst.true]}” taken for “{evaluation.classes[worst.predicted]}”."
    )
