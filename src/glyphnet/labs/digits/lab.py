"""The lab: what it asks, what it tells."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...evaluation.intervals import bootstrap_mean
from ..lab import Findings, Lab, Numbers, Progress, Section, Table
from ..wording import percent
from . import pictures
from .questions import QUESTIONS, method
from .settings import Digits, DigitsSettings, read_digits
from .spread import METHODS, compare
from .stopping import STOPS, StoppingCourse, course, ignored, stop_on_split, stop_row, three_stops
from .valley import NEAR, PAIR, walk_all

_ITERATIONS = {False: [*range(1, 30), *range(30, 300, 5)], True: list(range(10, 300, 20))}
_STOPS = {False: [20, 40, 60, 80, 100, 120, 160], True: [40, 80, 120]}
"""Where the course is looked at, and where a network may be stopped: quick or not."""


def investigate(settings: DigitsSettings, progress: Progress) -> Findings:
    """The known experiment, and those that show what it did not."""
    digits = read_digits()
    points, splits = _ITERATIONS[settings.quick], settings.splits
    total = len(points) + splits + len(METHODS) * splits
    known = three_stops(digits)
    numbers: dict[str, Any] = {
        "known": known,
        "ignored": ignored(digits, known[0]["iterations"]),
    }
    seen = course(digits, 0, points, lambda done: progress(done, total, "stopping at every iteration"))
    numbers["course"] = _course(seen)
    stops = []
    for split in range(splits):
        progress(len(points) + split, total, "stopping by validation")
        stops.append(stop_on_split(digits, split, _STOPS[settings.quick]))
    numbers["stopping"] = _stopping(stops)
    before = len(points) + splits
    numbers["methods"] = compare(
        digits, splits, settings.quick, lambda done, what: progress(before + done, total, what)
    )
    valley, paths, numbers["valley"] = walk_all(digits)
    progress(total, total, "done")
    sections = (
        _known(digits, numbers),
        _ignored(numbers),
        _iterations(seen, numbers),
        _worth(numbers),
        _spread(numbers),
        Section(
            _valley_title(numbers), _valley_text(numbers),
            (pictures.valley_picture(valley, paths, numbers["valley"]), _valley_table(numbers)),
        ),
    )  # fmt: skip
    return Findings(_lead(numbers), sections, numbers)


def _course(seen: StoppingCourse) -> dict[str, Any]:
    best = seen.best
    return {
        "iterations": seen.iterations.tolist(),
        "loss": seen.loss.tolist(),
        "train_accuracy": seen.train.tolist(),
        "validation_accuracy": seen.validation.tolist(),
        "converged_at": int(seen.iterations[-1]),
        "best_at": int(seen.iterations[best]),
        "best_validation": float(seen.validation[best]),
        "last_validation": float(seen.validation[-1]),
    }


def _stopping(stops: list[dict[str, Any]]) -> dict[str, Any]:
    gains = np.array([row["stopped"] - row["converged"] for row in stops])
    interval = bootstrap_mean(gains)
    return {
        "splits": stops,
        "gain": float(gains.mean()),
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "better": int((gains > 0).sum()),
        "worse": int((gains < 0).sum()),
    }


def _lead(numbers: Numbers) -> str:
    accuracies = sorted({row["accuracy"] for row in numbers["known"]})
    said = " or ".join(percent(each, 2) for each in accuracies)
    mlp, best = method(numbers, "mlp"), max(numbers["methods"], key=lambda row: row["mean"])
    return (
        f"Stopped at {', '.join(f'{stop:,}' for stop in STOPS)} iterations, the known network scores {said}: it had "
        f"converged after {numbers['known'][0]['iterations']}. Over {len(mlp['accuracies'])} splits its mean is "
        f"{percent(mlp['mean'], 1)}, and that of the best method here ({best['name']}) {percent(best['mean'], 1)}."
    )


def _known(digits: Digits, numbers: dict[str, Any]) -> Section:
    rows = numbers["known"]
    same = len({row["accuracy"] for row in rows}) == 1
    title = (
        f"Three stopping points, one result: it converged after {rows[0]['iterations']} iterations" if same
        else "Three stopping points"
    )  # fmt: skip
    text = (
        f"{len(digits.labels):,} digits of 8×8 pixels, three quarters to learn from. A network with one hidden layer "
        "of 16 units, scikit-learn's `MLPClassifier`, is trained by L-BFGS, which looks at all images in each "
        "iteration and judges the curvature of the loss from its last few steps.",
        "The experiment was meant to show early stopping, with `max_iter` 300, 500 and 1,000. But a limit that is "
        "never reached stops nothing.",
    )
    table = Table(("max_iter", "Iterations made", "Right", "Test accuracy"), tuple(map(stop_row, rows)))
    return Section(title, text, (pictures.images_picture(digits), table))


def _ignored(numbers: dict[str, Any]) -> Section:
    found = numbers["ignored"]
    values = ", ".join(f"{value:g}" for value in found["values"])
    nothing = found["largest_difference"] == 0
    title = f"{found['setting']} {'was ignored' if nothing else 'had an effect'}"
    text = [
        f"The experiment also set `{found['setting']}=0.1`. L-BFGS finds the length of each step by a line search and "
        f"has no use for a rate. With {values} the largest difference between any two weights is "
        f"{found['largest_difference']:g}. No warning was given.",
    ]
    if found["ours_says"]:
        text.append(f"Our own classifier, asked for the same, says: “{found['ours_says']}”")
    return Section(title, tuple(text))


def _iterations(seen: StoppingCourse, numbers: dict[str, Any]) -> Section:
    found = numbers["course"]
    fell = found["best_validation"] > found["last_validation"]
    title = (
        f"Validation is best at iteration {found['best_at']}, the loss falls on until {found['converged_at']}" if fell
        else f"Validation is as good at the end, iteration {found['converged_at']}, as anywhere"
    )  # fmt: skip
    text = (
        "To see what stopping would have done, a fifth of the training images is held out as validation and the same "
        "network is stopped after ever more iterations. The test images choose nothing.",
        f"At iteration {found['best_at']} it gets {percent(found['best_validation'], 1)} of the validation images "
        f"right, at the end {percent(found['last_validation'], 1)}. The training loss goes down all the while: a "
        "lower loss on the images learnt is not more images right among those held out.",
    )
    return Section(title, text, (pictures.course_picture(seen),))


def _worth(numbers: dict[str, Any]) -> Section:
    found = numbers["stopping"]
    count = len(found["splits"])
    title = f"Stopping by validation: {100 * found['gain']:+.1f} points of test accuracy, mean of {count} splits"
    between = ""
    if found["low"] is not None:
        between = f" (95 % interval {100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
    text = (
        "One split may be lucky. So on each split the stop with the best validation accuracy is chosen, the network is "
        "trained for so long on all its training images, and only then tested, beside the one that ran until it "
        "converged.",
        f"Stopping was better on {found['better']} of {count} splits and worse on {found['worse']}; the mean change is "
        f"{100 * found['gain']:+.1f} points{between}. {_verdict(found)} A stop is chosen by a few validation images, "
        "and may be owed to their luck.",
    )
    return Section(title, text, (pictures.stopping_picture(found["splits"]),))


def _verdict(found: dict[str, Any]) -> str:
    """What the interval of the mean change allows to say."""
    if found["low"] is None or found["low"] <= 0 <= found["high"]:
        return "So many splits cannot tell it from no change."
    return "Here it helps." if found["low"] > 0 else "Here it does harm: this network is better left to converge."


def _spread(numbers: dict[str, Any]) -> Section:
    mlp, best = method(numbers, "mlp"), max(numbers["methods"], key=lambda row: row["mean"])
    rows = tuple(
        (
            row["name"],
            percent(row["mean"], 2),
            f"{100 * row['spread']:.2f}",
            f"{percent(row['lowest'], 1)} to {percent(row['highest'], 1)}",
        )
        for row in numbers["methods"]
    )
    known = numbers["known"][0]["accuracy"]
    text = (
        f"On the known split the network scores {percent(known, 2)}. On {len(mlp['accuracies'])} splits it scores from "
        f"{percent(mlp['lowest'], 1)} to {percent(mlp['highest'], 1)}, with a mean of {percent(mlp['mean'], 2)}: "
        + (
            "the known figure lies below the mean, by an unlucky split."
            if known < mlp["mean"]
            else "about the known figure."
        ),
        "The others learn from the same images of the same splits. Standardised: each pixel brought to mean 0 and "
        "spread 1 first. Ours: `GlyphClassifier` with 16 units, which standardises too and stops when the loss no "
        "longer gains. SVM: scikit-learn's, as it comes. The CNN looks for the same small patterns everywhere, and "
        "sees each image moved by up to a pixel, another way each time.",
    )
    table = Table(("Method", "Mean", "Spread (points)", "Lowest to highest"), rows)
    return Section(
        f"The split moves the result by {100 * (mlp['highest'] - mlp['lowest']):.0f} points, the method by "
        f"{100 * (best['mean'] - mlp['mean']):.0f}",
        text, (pictures.spread_picture(numbers["methods"]), table),
    )  # fmt: skip


def _valley_title(numbers: Numbers) -> str:
    there = [row for row in numbers["valley"]["ways"] if row["arrived"] is not None]
    if not there:
        return "What optimise means: four ways down one valley"
    first = min(there, key=lambda row: row["arrived"])
    return f"What optimise means: {first['name']} is down in {first['arrived']} steps"


def _valley_text(numbers: Numbers) -> tuple[str, ...]:
    valley = numbers["valley"]
    return (
        "To learn is to walk downhill. A network's loss has thousands of directions; this one has two. Logistic "
        f"regression tells {PAIR[0]} from {PAIR[1]} by two features, the ink of the image and the ink of its upper "
        f"half. They go together, so the loss is a valley: {valley['across'] / valley['along']:.0f} times as steep "
        "across as along.",
        "Gradient descent steps straight downhill, which is mostly across: it swings from side to side. SGD does the "
        "same with 16 images a step; it is cheap, and never quite still. Adam gives each weight a step of its own "
        "and keeps some of its speed. L-BFGS judges the curvature from its last steps and heads along the valley.",
        f"Arrived means: all but {percent(NEAR, 1)} of the way down is done. The optimizers are those that "
        "every training here uses.",
    )


def _valley_table(numbers: Numbers) -> Table:
    rows = tuple(
        (
            row["name"],
            "–" if row["arrived"] is None else f"{row['arrived']}",
            "–" if row["images"] is None else f"{row['images']:,}",
            f"{row['left_at_the_end']:.1e}",
        )
        for row in numbers["valley"]["ways"]
    )
    return Table(
        ("Optimizer", "Steps", "Images looked at", "Left at the end"), rows,
        "Until it has arrived; and the share of the way that is left after the last step",
    )  # fmt: skip


LAB = Lab(
    "digits",
    "Small digits, and when to stop",
    DigitsSettings,
    investigate,
    QUESTIONS,
)
