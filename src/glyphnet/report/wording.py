"""Numbers and sentences as the report words them."""

from __future__ import annotations

from ..evaluation import Evaluation

THIN = "\u202f"  # a narrow space that never breaks: between a number and its unit


def percent(share: float, digits: int = 1) -> str:
    """0.9873 → "98.7 %". What is not quite 100 % or 0 % is never rounded to it."""
    rounded = round(100 * share, digits)
    nearest = 10**-digits
    if rounded == 100 and share < 1:
        return f">{100 - nearest:.{digits}f}{THIN}%"
    if rounded == 0 and share > 0:
        return f"<{nearest:.{digits}f}{THIN}%"
    return f"{rounded:.{digits}f}{THIN}%"


def digits_for(count: int) -> int:
    """How many digits behind the point a percentage of ``count`` images deserves."""
    return 2 if count >= 5000 else 1


def plural(count: int, one: str, many: str | None = None) -> str:
    """1 → "1 image", 1200 → "1,200 images"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def headline(evaluation: Evaluation) -> str:
    """How good it is and how sure that is, in one or two sentences."""
    count, right = len(evaluation), int(evaluation.correct.sum())
    interval, digits = evaluation.accuracy_interval, digits_for(count)
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
