"""The lab of small digits: when the known network converges, and what a stop and a split change."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..evaluation.intervals import bootstrap_mean
from ..plots.style import BLUE, COOL, HEAT, INK, LINE, RED, SOFT, percent_axis
from ..progress import Progress
from . import digits_experiment as experiment
from .digits_experiment import METHODS, NEAR, PAIR, START, STOPS, Digits, Float64Array, StoppingCurve, Valley
from .drawing import TEXT, panel, sheet
from .lab import Columns, Findings, Lab, LabSettings, Numbers, Picture, Question, Section, Table, percent

_ITERATIONS = {False: [*range(1, 30), *range(30, 300, 5)], True: list(range(10, 300, 20))}
_STOPS = {False: [20, 40, 60, 80, 100, 120, 160], True: [40, 80, 120]}
"""Where the course is looked at, and where a network may be stopped: quick or not."""
_WAYS = ((INK, "-"), (SOFT, "-"), (RED, "-"), (BLUE, "-"))


def investigate(settings: LabSettings, progress: Progress) -> Findings:
    """Run the published experiment and its extensions, and write the findings."""
    digits = experiment.read_digits()
    points, splits = _ITERATIONS[settings.quick], settings.repetitions(full=20, quick=2)
    total = len(points) + splits + len(METHODS) * splits
    known = experiment.three_stops(digits)
    numbers: dict[str, Any] = {"known": known, "ignored": experiment.ignored(digits, known[0]["iterations"])}
    seen = experiment.stopping_curve(
        digits, 0, points, lambda done: progress(done, total, "stopping at every iteration")
    )
    numbers["course"] = _course(seen)
    stops = []
    for split in range(splits):
        progress(len(points) + split, total, "stopping by validation")
        stops.append(experiment.stop_on_split(digits, split, _STOPS[settings.quick]))
    numbers["stopping"] = _stopping(stops)
    before = len(points) + splits
    numbers["methods"] = experiment.compare(
        digits, splits, settings.quick, lambda done, what: progress(before + done, total, what)
    )
    valley, paths, numbers["valley"] = experiment.walk_all(digits)
    progress(total, total, "done")
    sections = (
        _known(digits, numbers),
        _ignored(numbers),
        _iterations(seen, numbers),
        _worth(numbers),
        _spread(numbers),
        _valley(valley, paths, numbers),
    )
    return Findings(_lead(numbers), sections, numbers)


def _course(seen: StoppingCurve) -> dict[str, Any]:
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
    scores = " or ".join(percent(each, 2) for each in accuracies)
    mlp, best = method(numbers, "mlp"), max(numbers["methods"], key=lambda row: row["mean"])
    return (
        f"Stopped at {', '.join(f'{stop:,}' for stop in STOPS)} iterations, the known network scores {scores}: it had "
        f"converged after {numbers['known'][0]['iterations']}. Over {len(mlp['accuracies'])} splits its mean is "
        f"{percent(mlp['mean'], 1)}, and that of the best method here ({best['name']}) {percent(best['mean'], 1)}."
    )


def _known(digits: Digits, numbers: Numbers) -> Section:
    rows = numbers["known"]
    same = len({row["accuracy"] for row in rows}) == 1
    title = (
        f"Three stopping points, one result: it converged after {rows[0]['iterations']} iterations" if same
        else "Three stopping points"
    )  # fmt: skip
    text = (
        f"{len(digits.labels):,} digits of 8×8 pixels, three quarters for training. A network with one hidden layer "
        "of 16 units, scikit-learn's `MLPClassifier`, is trained by L-BFGS, which uses all images in each iteration "
        "and estimates the curvature of the loss from its last steps.",
        "The experiment was meant to show early stopping with `max_iter` 300, 500 and 1,000. But a limit that is "
        "never reached stops nothing.",
    )
    columns: Columns = {
        "max_iter": "{max_iter:,}",
        "Iterations made": "{iterations}",
        "Right": "{right} of {images}",
        "Test accuracy": lambda row: percent(row["accuracy"], 2),
    }
    figure, ax = panel(3.7)
    firsts = [np.flatnonzero(digits.labels == digit)[:5] for digit in range(10)]
    gap = ((0, 0), (1, 1), (1, 1))
    wall = np.block([list(np.pad(digits.images[first, :, :, 0], gap)) for first in zip(*firsts, strict=True)])
    ax.imshow(wall, cmap="gray_r", interpolation="nearest")
    ax.set_axis_off()
    picture = Picture(
        "images", figure,
        alt="Five images of each digit, eight by eight pixels: coarse, but a person can read them.",
        caption=f"Some of the {len(digits.labels):,} images, 8×8 pixels of 17 shades.",
    )  # fmt: skip
    return Section(title, text, (picture, Table.of(rows, columns)))


def _ignored(numbers: Numbers) -> Section:
    found = numbers["ignored"]
    values = ", ".join(f"{value:g}" for value in found["values"])
    nothing = found["largest_difference"] == 0
    title = f"{found['setting']} {'was ignored' if nothing else 'had an effect'}"
    text = [
        f"The experiment also set `{found['setting']}=0.1`. L-BFGS finds the length of each step by a line search and "
        f"has no use for a rate. With {values} the largest difference between any two weights is "
        f"{found['largest_difference']:g}. No warning was given."
    ]
    if found["ours_says"]:
        text.append(f"Our classifier warns: “{found['ours_says']}”")
    return Section(title, text)


def _iterations(seen: StoppingCurve, numbers: Numbers) -> Section:
    found = numbers["course"]
    fell = found["best_validation"] > found["last_validation"]
    title = (
        f"Validation is best at iteration {found['best_at']}, the loss falls on until {found['converged_at']}" if fell
        else f"Validation is as good at the end, iteration {found['converged_at']}, as anywhere"
    )  # fmt: skip
    text = (
        "To see what stopping would do, a fifth of the training images is held out for validation, and the same "
        "network is stopped after different numbers of iterations. The test images choose nothing.",
        f"At iteration {found['best_at']} validation accuracy is {percent(found['best_validation'], 1)}, at the end "
        f"{percent(found['last_validation'], 1)}. The training loss falls throughout: a lower training loss does not "
        "mean a higher validation accuracy.",
    )
    figure, axes = sheet(1, 2, height=3.4)
    loss, accuracy = axes[0]
    loss.semilogy(seen.iterations, seen.loss, color=BLUE, linewidth=2)
    loss.set(title="training loss", xlabel="iteration of L-BFGS")
    accuracy.plot(seen.iterations, seen.train, color=BLUE, linewidth=2, label="training")
    accuracy.plot(seen.iterations, seen.validation, color=RED, linewidth=2, linestyle="--", label="validation")
    best, end = seen.best, int(seen.iterations[-1])
    accuracy.plot(seen.iterations[best], seen.validation[best], "o", color=INK, markersize=7, label="best")
    accuracy.set(title="accuracy", xlabel="iteration of L-BFGS", ylim=(0.7, 1.01))
    accuracy.legend(frameon=False, fontsize=TEXT - 1, loc="lower right")
    percent_axis(accuracy.yaxis)
    picture = Picture(
        "iterations", figure,
        alt=f"By iteration: the training loss falls to {seen.loss[-1]:.1e} at iteration {end}, where it converges; "
        f"the validation accuracy is highest, {percent(seen.validation[best], 1)}, at iteration "
        f"{seen.iterations[best]} and {percent(seen.validation[-1], 1)} at the end.",
        caption="The loss, left, on a scale of powers of ten. Validation: a fifth of the training images, held out. "
        "The accuracy axis begins at 70 %.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _worth(numbers: Numbers) -> Section:
    found = numbers["stopping"]
    count = len(found["splits"])
    title = f"Stopping by validation: {100 * found['gain']:+.1f} points of test accuracy, mean of {count} splits"
    between = ""
    if found["low"] is not None:
        between = f" (95 % interval {100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
    text = (
        "One split may be lucky. So on each split the stop with the best validation accuracy is chosen, the network "
        "is trained for that long on all its training images, and then tested, beside one that ran until it "
        "converged.",
        f"Stopping was better on {found['better']} of {count} splits and worse on {found['worse']}; the mean change "
        f"is {100 * found['gain']:+.1f} points{between}. {_verdict(found)} A stop is chosen by few validation images "
        "and may be chance.",
    )
    return Section(title, text, (_stopping_picture(found["splits"]),))


def _verdict(found: dict[str, Any]) -> str:
    """What the interval of the mean change allows to say."""
    if found["low"] is None or found["low"] <= 0 <= found["high"]:
        return "These splits cannot tell it from no change."
    return "Here it helps." if found["low"] > 0 else "Here it harms: let this network converge."


def _spread(numbers: Numbers) -> Section:
    mlp, best = method(numbers, "mlp"), max(numbers["methods"], key=lambda row: row["mean"])
    known = numbers["known"][0]["accuracy"]
    text = (
        f"On the published split the network scores {percent(known, 2)}. On {len(mlp['accuracies'])} splits it scores "
        f"from {percent(mlp['lowest'], 1)} to {percent(mlp['highest'], 1)}, with a mean of {percent(mlp['mean'], 2)}: "
        + ("the published figure is below the mean, by an unlucky split." if known < mlp["mean"]
           else "about the published figure."),
        "The others use the same splits. Standardised: each pixel scaled to mean 0 and standard deviation 1. Ours: "
        "`GlyphClassifier` with 16 units, which standardises too and stops when the loss no longer falls. SVM: "
        "scikit-learn's defaults. The CNN detects the same patterns everywhere, and is trained with shifts by a pixel.",
    )  # fmt: skip
    columns: Columns = {
        "Method": "{name}",
        "Mean": lambda row: percent(row["mean"], 2),
        "Spread (points)": lambda row: f"{100 * row['spread']:.2f}",
        "Lowest to highest": lambda row: f"{percent(row['lowest'], 1)} to {percent(row['highest'], 1)}",
    }
    title = (
        f"The split moves the result by {100 * (mlp['highest'] - mlp['lowest']):.0f} points, the method by "
        f"{100 * (best['mean'] - mlp['mean']):.0f}"
    )
    return Section(title, text, (_spread_picture(numbers["methods"]), Table.of(numbers["methods"], columns)))


def _valley(found: Valley, paths: list[Float64Array], numbers: Numbers) -> Section:
    valley = numbers["valley"]
    there = [row for row in valley["ways"] if row["arrived"] is not None]
    title = "Optimizers: four paths down one valley"
    if there:
        first = min(there, key=lambda row: row["arrived"])
        title = f"Optimizers: {first['name']} arrives in {first['arrived']} steps"
    text = (
        "Training moves downhill on the loss. This one has two weights, so it can be drawn: logistic regression "
        f"separates {PAIR[0]} from {PAIR[1]} by the ink of the image and the ink of its upper half. These correlate, "
        f"so the loss is a valley, {valley['across'] / valley['along']:.0f} times as steep across as along.",
        "Gradient descent steps straight downhill, mostly across: it oscillates. SGD does the same with 16 images per "
        "step: cheap, but noisy. Adam has a step size per weight and momentum. L-BFGS estimates the curvature and "
        "follows the valley.",
        f"Arrived means that all but {percent(NEAR, 1)} of the descent is done, by the optimizers that trainings use.",
    )
    return Section(title, text, (_valley_picture(found, paths, valley), _valley_table(numbers)))


def _valley_table(numbers: Numbers) -> Table:
    columns: Columns = {
        "Optimizer": "{name}",
        "Steps": lambda row: "–" if row["arrived"] is None else str(row["arrived"]),
        "Images looked at": lambda row: "–" if row["images"] is None else f"{row['images']:,}",
        "Left at the end": "{left_at_the_end:.1e}",
    }
    caption = "Until it has arrived; and the share of the way that is left after the last step"
    return Table.of(numbers["valley"]["ways"], columns, caption)


def method(numbers: Numbers, key: str) -> dict[str, Any]:
    """The row of a method."""
    row: dict[str, Any] = next(row for row in numbers["methods"] if row["method"] == key)
    return row


def _why_same(numbers: Numbers) -> str:
    facts = "; ".join(
        f"max_iter {row['max_iter']:,}: {row['iterations']} iterations, {row['right']} of {row['images']} right"
        for row in numbers["known"]
    )
    return f"{facts}. L-BFGS ended when it had converged: a larger limit changes nothing."


def _when(numbers: Numbers) -> str:
    found, gain = numbers["course"], numbers["stopping"]
    return (
        f"By validation at iteration {found['best_at']} of {found['converged_at']}: "
        f"{percent(found['best_validation'], 1)} there, {percent(found['last_validation'], 1)} at the end. But that is "
        f"one split. On {len(gain['splits'])}, chosen so, stopping changed the test accuracy by "
        f"{100 * gain['gain']:+.1f} points in the mean: better on {gain['better']}, worse on {gain['worse']}."
    )


def _one_split(numbers: Numbers) -> str:
    mlp, svm, cnn = (method(numbers, key) for key in ("mlp", "svm", "cnn"))
    wins = sum(b > a for a, b in zip(mlp["accuracies"], svm["accuracies"], strict=True))
    return (
        f"The network's accuracy ranges from {percent(mlp['lowest'], 1)} to {percent(mlp['highest'], 1)} by the split "
        "alone: a difference of that size on one split says nothing. On the same splits "
        f"the SVM ({percent(svm['mean'], 1)} in the mean) was better on {wins} of {len(mlp['accuracies'])}, and the "
        f"CNN has a mean of {percent(cnn['mean'], 1)}."
    )


def _stopping_picture(stops: list[dict[str, Any]]) -> Picture:
    figure, ax = panel()
    ordered = sorted(stops, key=lambda row: row["converged"])
    for place, row in enumerate(ordered):
        ax.plot([place, place], [row["converged"], row["stopped"]], color=LINE, linewidth=3, zorder=1)
    places = range(len(ordered))
    ax.plot(places, [row["converged"] for row in ordered], "s", color=RED, markersize=7, label="converged")
    ax.plot(places, [row["stopped"] for row in ordered], "o", color=BLUE, markersize=7, label="stopped by validation")
    ax.set(xlabel="split, ordered", ylabel="test accuracy", xticks=[])
    percent_axis(ax.yaxis)
    ax.legend(frameon=False, fontsize=TEXT - 1, loc="best")
    better = sum(row["stopped"] > row["converged"] for row in stops)
    return Picture(
        "stopping", figure,
        alt=f"Test accuracy on {len(stops)} splits, stopped where validation was best and converged: stopping is "
        f"better on {better} of them.",
        caption="A line a split: the same images and the same beginning, stopped or not.",
    )  # fmt: skip


def _spread_picture(rows: list[dict[str, Any]]) -> Picture:
    figure, ax = panel()
    for place, row in enumerate(rows):
        scores = np.array(row["accuracies"])
        beside = np.linspace(-0.22, 0.22, len(scores)) if len(scores) > 1 else np.zeros(1)
        ax.plot(scores, place + beside, "o", color=COOL, markersize=5, alpha=0.8)
        ax.plot([row["mean"]] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=2)
    ax.set_yticks(range(len(rows)), labels=[row["name"] for row in rows])
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.set(xlabel="test accuracy")
    percent_axis(ax.xaxis)
    facts = "; ".join(f"{row['name']}: mean {percent(row['mean'], 1)}" for row in rows)
    return Picture(
        "spread", figure,
        alt=f"Test accuracy of {len(rows)} methods on {len(rows[0]['accuracies'])} splits. {facts}.",
        caption="A dot a split, a bar at the mean.",
    )  # fmt: skip


def _valley_picture(valley: Valley, paths: list[Float64Array], numbers: Numbers) -> Picture:
    figure, axes = sheet(2, 2, height=6.0, sharex=True, sharey=True)
    low, high = np.array([-5.0, -3.0]), np.array([5.0, 7.0])
    across, up = (np.linspace(low[axis], high[axis], 120) for axis in range(2))
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    loss = valley.loss(grid)
    levels = loss.min() + (loss.max() - loss.min()) * np.linspace(0.02, 1, 12) ** 2.5
    facts: list[str] = []
    for ax, path, row, (colour, line) in zip(axes.flat, paths, numbers["ways"], _WAYS, strict=True):
        ax.grid(False)
        ax.contour(across, up, loss, levels=levels, colors=[COOL], linewidths=0.8, alpha=0.7)
        ax.plot(*path.T, color=colour, linestyle=line, linewidth=1.3, marker=".", markersize=5)
        ax.plot(*START, "o", color=HEAT, markersize=8, zorder=3)
        ax.plot(*valley.lowest, "*", color=INK, markersize=12, zorder=3)
        facts.append(f"{row['name']}: " + ("not there" if row["arrived"] is None else f"{row['arrived']} steps"))
        ax.set_title(facts[-1], fontsize=TEXT)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    for ax in axes[1]:
        ax.set_xlabel("weight of the ink")
    for ax in axes[:, 0]:
        ax.set_ylabel("weight of the upper half")
    return Picture(
        "valley", figure,
        alt="Contour lines of a long narrow valley, and the paths of four optimizers from the same place. "
        f"{'; '.join(facts)}.",
        caption=f"Disc: the start. Star: the lowest place. A dot a step, {numbers['steps']} at most.",
    )  # fmt: skip


LAB = Lab(
    "digits",
    "Small digits, and when to stop",
    LabSettings,
    investigate,
    (
        Question("Why do max_iter 300, 500 and 1,000 give the same network?", _why_same),
        Question("When should this network have been stopped, and what would that have been worth?", _when),
        Question("One split, two methods, one point apart: which is better?", _one_split),
    ),
)
