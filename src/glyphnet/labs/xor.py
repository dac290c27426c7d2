"""The lab of XOR: every width from every start, all in one batched computation, and what became of each."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from ..plots.style import BLUE, RED
from ..progress import Progress
from ..units import plural
from . import points
from .drawing import TEXT, hidden_space, legend_above, panel, regions, scatter, sheet, solved_picture, twin_curves
from .lab import Columns, Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .points import SOLVED, Float64Array, Nets, Points, WidthSettings, solved_of, units_of

GROWTH = (1, 2, 3, 4, 8, 32)
"""Widths of the networks whose boundaries are shown growing."""

_GROWN_LR, _GROWN_EPOCHS = 0.3, 200  # enough for the circles that stand in for XOR there


class XorSettings(WidthSettings):
    """Settings of the lab; ``seeds`` means the same as ``starts``."""

    data: str = Field("xor", description="xor, moons, circles, spirals, pulse, or FILE.csv with x1, x2, label.")
    starts: int | None = Field(
        None, ge=1, le=2000, description="Networks of each width, each from other weights; 50, or 20 if quick."
    )
    noise: float | None = Field(None, ge=0, le=10, description="Spread of the points' noise; for xor 0.01.")

    @model_validator(mode="after")
    def _one_name(self) -> XorSettings:
        if self.starts is not None and self.seeds is not None and self.starts != self.seeds:
            raise ValueError(f"starts (={self.starts}) and seeds (={self.seeds}) mean the same here: give one of them")
        return self


@dataclass(frozen=True, eq=False)
class Result(points.Result):
    """Adds the accuracy of each width's unsolved networks after as many epochs again, float64 (stuck,), and one network
    of each of ``GROWTH``, trained on ``grown_on``."""

    longer: dict[int, Float64Array]
    growing: Nets
    grown_on: Points

    def best(self, width: int) -> int:
        """The best start of a width: most points right, then lowest loss."""
        own = self.of(width)
        return int(own[np.lexsort((self.log.loss[-1, own], -self.accuracy[own]))[0]])

    def stuck(self, width: int) -> int | None:
        """The first start of a width that has not solved it, or None."""
        own = self.of(width)
        missed = own[self.accuracy[own] < SOLVED]
        return int(missed[0]) if len(missed) else None


def train(settings: XorSettings, progress: Progress) -> Result:
    """Train everything that the page shows.

    Raises:
        SettingsError, BadFileError: see `make_points`.
    """
    data = points.make_points(settings.data, noise=settings.noise)
    grown_on, grown_lr, grown_epochs = data, settings.lr, settings.epochs
    if settings.data == "xor":  # four corners have no round boundary to grow into
        grown_on, grown_lr, grown_epochs = points.make_points("circles"), _GROWN_LR, _GROWN_EPOCHS
    total = 2 * settings.epochs + grown_epochs

    def tell(offset: int, what: str) -> Any:
        return lambda epoch: progress(offset + epoch, total, what)

    nets = points.begin(settings.hidden, settings.starts or settings.repetitions(full=50, quick=20))
    what = f"{len(nets)} networks at once"
    log = points.learn(nets, data.inputs, data.labels, lr=settings.lr, epochs=settings.epochs, progress=tell(0, what))
    accuracy = log.nets.accuracy(data.inputs, data.labels)
    longer = {}
    missed = np.flatnonzero(accuracy < SOLVED)
    if len(missed):
        on = points.learn(
            log.nets.take(missed), data.inputs, data.labels, lr=settings.lr, epochs=settings.epochs,
            first=settings.epochs, progress=tell(settings.epochs, "the stuck ones, as long again"),
        )  # fmt: skip
        after = on.nets.accuracy(data.inputs, data.labels)
        longer = {width: after[on.nets.widths == width] for width in settings.hidden}
    growing = points.learn(
        points.begin(GROWTH, 1), grown_on.inputs, grown_on.labels, lr=grown_lr, epochs=grown_epochs,
        progress=tell(2 * settings.epochs, "boundaries growing"),
    )  # fmt: skip
    return Result(data, log, accuracy, longer, growing.nets, grown_on)


def measure(settings: XorSettings, result: Result) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    growing = result.growing.accuracy(result.grown_on.inputs, result.grown_on.labels)
    return {
        "data": result.points.name,
        "points": len(result.points),
        "lr": settings.lr,
        "epochs": settings.epochs,
        "steps": settings.epochs * len(result.points),
        "networks": len(result.log.nets),
        "solved_from": SOLVED,
        "widths": [_width(result, width) for width in settings.hidden],
        "growing": [
            {"hidden": width, "data": result.grown_on.name, "accuracy": float(accuracy)}
            for width, accuracy in zip(GROWTH, growing, strict=True)
        ],
    }


def _width(result: Result, width: int) -> dict[str, Any]:
    own = result.of(width)
    accuracy, loss = result.accuracy[own], result.log.loss[:, own]
    endings = Counter(round(float(each), 4) for each in accuracy)
    return {
        **result.solved(width),
        "parameters": width * (result.points.inputs.shape[1] + 2) + 1,
        "mean_accuracy": float(accuracy.mean()),
        "endings": [{"accuracy": each, "starts": count} for each, count in sorted(endings.items())],
        "first_loss": float(loss[0].mean()),
        "last_loss": points.lowest_median_highest(loss[-1]),
        "freed_by_as_long_again": int((result.longer.get(width, np.empty(0)) >= SOLVED).sum()),
    }


# The page


_SURE = 0.99
_COLUMNS = 4  # more would be too narrow to see


def investigate(settings: XorSettings, progress: Progress) -> Findings:
    """Run the experiment and write its findings."""
    result = train(settings, progress)
    numbers = measure(settings, result)
    sections = [_data(result), _shares(numbers), _curves(result, numbers), _regions(result, numbers)]
    if hidden := hidden_picture(result):
        sections.append(_hidden(numbers, hidden))
    sections.append(_growth(result, numbers))
    return Findings(_lead(numbers), tuple(sections), numbers)


def _lead(numbers: Numbers) -> str:
    first, last = numbers["widths"][0], numbers["widths"][-1]
    facts = f"With {units_of(first)} {solved_of(first)} starts solve it"
    if last is not first:
        facts += f", with {units_of(last)} {solved_of(last)}"
    return (
        f"{facts}. {numbers['networks']} networks were trained on {numbers['data']} for {numbers['epochs']:,} epochs, "
        "one point per step: only many starts show what a width can do."
    )


def _data(result: Result) -> Section:
    data = result.points
    text = [
        "A unit weighs its inputs, adds a bias and applies a sigmoid: nearly 1 on one side of a straight line, nearly "
        "0 on the other. One unit, one line."
    ]
    if data.name == "xor":
        text.append(
            "Exclusive or (one input or the other, but not both) is the smallest task for which that is not enough: "
            "any line has at most three corners on the right side."
        )
    text.append(
        "The networks have two inputs, a few hidden units, and one output unit, all with sigmoids, trained by "
        "stochastic gradient descent with one point per step."
    )
    title = "Does one line separate them?" if data.name != "xor" else "No line separates opposite corners"
    figure, ax = panel(3.8)
    scatter(ax, data.inputs, data, size=44)
    ax.set(xlabel="x1", ylabel="x2")
    ax.margins(0.15)
    legend_above(ax)
    about = data.about.rstrip(".")
    picture = Picture("points", figure, f"{len(data)} points of two classes. {about}.", f"{len(data)} points. {about}.")
    return Section(title, text, (picture,))


def _shares(numbers: Numbers) -> Section:
    columns: Columns = {
        "Hidden units": "{hidden}",
        "Weights": "{parameters}",
        "Solved": solved_of,
        "95 % interval": lambda row: f"{percent(row['low'])} to {percent(row['high'])}",
        "Mean accuracy": lambda row: percent(row["mean_accuracy"], 1),
        "Median loss": "{last_loss[median]:.2f}",
    }
    table = Table.of(numbers["widths"], columns)
    text = (
        "Every network of a row has the same shape, points and settings; only initial weights and the order of the "
        "points differ. So a single run says little.",
        f"Solved means: at least {percent(SOLVED)} of the points right after the last epoch.",
    )
    facts = ", ".join(f"{solved_of(row)} with {row['hidden']}" for row in numbers["widths"])
    picture = solved_picture(
        numbers, 3.4, "solve it",
        f"A start has solved it when at least {percent(SOLVED)} of the points are right after the last epoch. The "
        "whisker is Wilson's 95 % interval: what the share may be in truth, after so many starts.",
    )  # fmt: skip
    return Section(f"Starts that solve it: {facts}", text, (picture, table))


def _curves(result: Result, numbers: Numbers) -> Section:
    mixed = [row for row in numbers["widths"] if row["solved"] and row["stuck"]]
    if mixed:
        width = mixed[0]["hidden"]
        solved: int | None = result.best(width)
        stuck = result.stuck(width)
        title = f"The same {units_of(mixed[0])}: one start solves it, another stays on a plateau"
    else:
        solvers = [row["hidden"] for row in numbers["widths"] if row["solved"]]
        losers = [row["hidden"] for row in numbers["widths"] if row["stuck"]]
        solved = result.best(solvers[0]) if solvers else None
        stuck = result.stuck(losers[-1]) if losers else None
        title = "What learning looks like, epoch by epoch"
    stuck_rows = [row for row in numbers["widths"] if row["stuck"]]
    freed, still = sum(row["freed_by_as_long_again"] for row in stuck_rows), sum(row["stuck"] for row in stuck_rows)
    text = [
        "The loss stays flat while the hidden units are alike, and drops when they have found different lines. If they "
        "settle on lines that do not complement each other, it stays high: the gradients of the points cancel."
    ]
    if still:
        text.append(
            f"The {still} networks that had not solved it were trained for another {numbers['epochs']:,} epochs: "
            f"{freed} of them then solved it."
        )
    return Section(title, text, (_curves_picture(result, solved, stuck),))


def _regions(result: Result, numbers: Numbers) -> Section:
    able = [row for row in numbers["widths"] if row["solved"]]
    title = (
        f"{units_of(able[0]).capitalize()} draw enough lines to separate them" if able and able[0]["hidden"] > 1
        else "Each unit adds a line" if able
        else "No width tried here separates them"
    )  # fmt: skip
    text = (
        "Each dashed line is where one hidden unit outputs one half. The output unit weighs the hidden units; its "
        "boundary is the solid line. Two lines can enclose a band, three a triangle.",
    )
    rows = numbers["widths"][:_COLUMNS]
    mixed = any(row["solved"] and row["stuck"] for row in rows)
    figure, axes = sheet(1 + mixed, len(rows), height=2.7 + 2.3 * mixed, sharex=True, sharey=True)
    phrases = []
    for column, row in enumerate(rows):
        width = row["hidden"]
        nets = [("best", result.best(width))]
        if mixed and row["solved"] and (stuck := result.stuck(width)) is not None:
            nets.append(("stuck", stuck))
        for ax, (kind, net) in zip(axes[:, column], nets, strict=False):
            regions(ax, result.log.nets.take([net]), result.points)
            accuracy = result.accuracy[net]
            name = f"{plural(width, 'unit')}" if kind == "best" else "stuck"
            ax.set_title(f"{name}: {percent(accuracy)}", fontsize=TEXT)
            phrases.append(f"{kind} with {width}: {percent(accuracy)} right")
        for ax in axes[len(nets) :, column]:
            ax.set_axis_off()
            axes[len(nets) - 1, column].tick_params(labelbottom=True)
    picture = Picture(
        "regions", figure,
        alt=f"Decision regions; {'; '.join(phrases)}.",
        caption="Background: the network's output. Solid line: its boundary. Dashed: where each hidden unit "
        "is at one half." + (" Below, where there is one: a start of the same width that is stuck." if mixed else ""),
    )  # fmt: skip
    return Section(title, text, (picture,))


def _hidden(numbers: Numbers, picture: Picture) -> Section:
    two = next(row for row in numbers["widths"] if row["hidden"] == 2)
    title = (
        "Two units transform the points so that one line is enough" if two["solved"]
        else "Two units cannot transform the points so that one line is enough"
    )  # fmt: skip
    text = [
        "The output unit sees two numbers for each point, the outputs of the hidden units, and can draw one straight "
        "line in that square. Training finds hidden units after which one line is enough."
    ]
    if two["solved"] and two["stuck"]:
        text.append("In the stuck network points of both classes coincide or lie on the wrong side: no line helps.")
    return Section(title, text, (picture,))


def _growth(result: Result, numbers: Numbers) -> Section:
    rows = numbers["growing"]
    enough = next((row for row in rows if row["accuracy"] >= SOLVED), None)
    title = (
        f"The boundary grows with the width: on {result.grown_on.name} {units_of(enough)} are enough" if enough
        else f"The boundary grows with the width: on {result.grown_on.name} none of these is enough yet"
    )  # fmt: skip
    text = (
        "More units give more lines to build the boundary from: a line, a band, a triangle, then rounder shapes. "
        "Beyond what the points need, more units change little; they make a solution easier to find from any start.",
    )
    figure, axes = sheet(2, 3, height=4.9, sharex=True, sharey=True)
    for place, (ax, row) in enumerate(zip(axes.flat, numbers["growing"], strict=True)):
        width = row["hidden"]
        regions(ax, result.growing.take([place]), result.grown_on, units=width <= 4, size=12)
        ax.set_title(f"{plural(width, 'unit')}: {percent(row['accuracy'])}", fontsize=TEXT)
    facts = "; ".join(f"{row['hidden']}: {percent(row['accuracy'])}" for row in numbers["growing"])
    assert len(GROWTH) == axes.size
    picture = Picture(
        "growth", figure,
        alt=f"Boundaries on {result.grown_on.name} for more and more hidden units, with the share right: {facts}.",
        caption="Dashed: the line of each hidden unit. The boundary is put together from them, its corners rounded.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _tries(numbers: Numbers) -> str:
    parts = []
    for row in numbers["widths"]:
        share = row["solved"] / row["starts"]
        if share <= 0:
            parts.append(
                f"with {units_of(row)} none of {row['starts']} solved it: no number of tries is known to suffice"
            )
        elif share >= 1:
            parts.append(f"with {units_of(row)} all {row['starts']} solved it: one suffices")
        else:
            tries = max(1, math.ceil(math.log(1 - _SURE) / math.log(1 - share)))
            parts.append(
                f"with {units_of(row)} {solved_of(row)} solved it, and {tries} tries all fail with probability "
                f"{1 - share:.2f}^{tries} = {(1 - share) ** tries:.4f}"
            )
    return "; ".join(parts).capitalize() + "."


def _stuck(numbers: Numbers) -> str:
    rows = [row for row in numbers["widths"] if row["stuck"]]
    if not rows:
        return f"No start was stuck after {numbers['epochs']:,} epochs."
    facts = "; ".join(
        f"with {units_of(row)} {row['freed_by_as_long_again']} of {row['stuck']} that had not solved it" for row in rows
    )
    return (
        f"After as many epochs again ({numbers['epochs']:,}), {facts} were solved. For the others another start or "
        "more units may help."
    )


def _price(numbers: Numbers) -> str:
    parts = [
        f"{units_of(row)}: {row['parameters']} weights, {solved_of(row)} starts, mean accuracy "
        f"{percent(row['mean_accuracy'], 1)}"
        for row in numbers["widths"]
    ]
    return "; ".join(parts).capitalize() + ". A few more weights avoid failed starts."


def _curves_picture(result: Result, solved: int | None, stuck: int | None) -> Picture:
    shown = [(name, net) for name, net in (("solves it", solved), ("is stuck", stuck)) if net is not None]
    figure, axes = sheet(1, len(shown), height=3.3, sharey=True)
    phrases = []
    for ax, (name, net) in zip(axes[0], shown, strict=True):
        loss, accuracy = result.log.loss[:, net], result.log.accuracy[:, net]
        right = twin_curves(ax, loss.tolist(), accuracy.tolist())
        width = int(result.log.nets.widths[net])
        ax.set(xlabel="epoch", title=f"{plural(width, 'unit')}, start {result.log.nets.seeds[net]}: {name}")
        if ax is axes[0, 0]:
            ax.set_ylabel("total loss", color=RED, fontsize=TEXT)
        if ax is axes[0, -1]:
            right.set_ylabel("accuracy", color=BLUE, fontsize=TEXT)
        phrases.append(
            f"one start {name}: loss {loss[0]:.0f} to {loss[-1]:.1f}, accuracy {percent(result.accuracy[net])}"
        )
    return Picture(
        "curves", figure,
        alt=f"Loss and accuracy by epoch; {'; '.join(phrases)}.",
        caption="Solid: the losses of an epoch's steps added up, left scale. Dashed: the share of points that were "
        "right when their turn came, right scale.",
    )  # fmt: skip


def hidden_picture(result: Result) -> Picture | None:
    """Where two hidden units put the points, for a start that solves it and one that does not; None without width 2."""
    if not len(result.of(2)):
        return None
    best, stuck = result.best(2), result.stuck(2)
    shown = [("best start", best)] + ([("a stuck one", stuck)] if stuck not in (None, best) else [])
    figure, axes = sheet(1, len(shown), height=3.95, sharey=True)
    for ax, (name, net) in zip(axes[0], shown, strict=True):
        hidden_space(ax, result.log.nets.take([net]), result.points)
        ax.set_title(f"{name}: {percent(result.accuracy[net])}", fontsize=TEXT)
    axes[0, 0].set_ylabel("what unit 2 answers")
    phrases = "; ".join(f"{name}: {percent(result.accuracy[net])} on the right side" for name, net in shown)
    return Picture(
        "hidden-space", figure,
        alt=f"The points as two hidden units see them, and the output's straight line between them; {phrases}.",
        caption="Each point where the two hidden units put it. The line is all that the output unit can draw.",
    )  # fmt: skip


LAB = Lab(
    "xor",
    "How many hidden units does it take?",
    XorSettings,
    investigate,
    (
        Question("How many starts would you try, to be 99 % sure that one of them solves it?", _tries),
        Question("Is a stuck start only slow: would longer training solve it?", _stuck),
        Question("What does one more hidden unit cost in weights, and what does it gain?", _price),
    ),
)
