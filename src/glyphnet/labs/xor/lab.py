"""The lab: what it asks, what it tells."""

from __future__ import annotations

import math
from typing import Any

from ..lab import Findings, Lab, Numbers, Picture, Progress, Question, Section, Table
from ..wording import percent
from . import pictures
from .experiment import SOLVED, Trained, XorSettings, measure, train

_SURE = 0.99


def investigate(settings: XorSettings, progress: Progress) -> Findings:
    """Train every width from every start; tell what came of it."""
    trained = train(settings, progress)
    numbers = measure(settings, trained)
    sections = [_data(trained), _shares(trained, numbers), _curves(trained, numbers), _regions(trained, numbers)]
    if hidden := pictures.hidden_picture(trained):
        sections.append(_hidden(numbers, hidden))
    sections.append(_growth(trained, numbers))
    return Findings(_lead(numbers), tuple(sections), numbers)


def _lead(numbers: Numbers) -> str:
    first, last = numbers["widths"][0], numbers["widths"][-1]
    told = f"With {_units(first)} {_of(first)} starts solve it"
    if last is not first:
        told += f", with {_units(last)} {_of(last)}"
    return (
        f"{told}. {numbers['networks']} networks learnt {numbers['data']} side by side, {numbers['epochs']:,} epochs "
        "each, one point a step: what a width can do shows over many starts, not in one."
    )


def _data(trained: Trained) -> Section:
    points = trained.points
    text = [
        "A unit weighs its inputs, adds a bias and bends the sum: to one side of a straight line it says nearly 1, "
        "to the other nearly 0. One unit, one line."
    ]
    if points.name == "xor":
        text.append(
            "Exclusive or is the smallest task for which that is not enough: one input or the other, but not both. "
            "Lay a ruler anywhere on the picture. At best three corners are on their right side."
        )
    text.append(
        "The networks here have two inputs, a few hidden units, and one output unit, each with a sigmoid. They learn "
        "by stochastic gradient descent, from one point a step."
    )
    title = "Can a straight line part them?" if points.name != "xor" else "No straight line parts opposite corners"
    return Section(title, tuple(text), (pictures.points_picture(trained),))


def _shares(trained: Trained, numbers: dict[str, Any]) -> Section:
    rows = tuple(
        (
            f"{row['hidden']}",
            f"{row['parameters']}",
            _of(row),
            f"{percent(row['low'])} to {percent(row['high'])}",
            f"{percent(row['mean_accuracy'], 1)}",
            f"{row['last_loss']['median']:.2f}",
        )
        for row in numbers["widths"]
    )
    table = Table(("Hidden units", "Weights", "Solved", "95 % interval", "Mean accuracy", "Median loss"), rows)
    text = (
        "Every network of a row has the same shape, the same points and the same settings. Only the weights that it "
        "began with and the order of the points differ. So one run tells little: it may be one that solves it, or "
        "one that does not.",
        f"To have solved it means: at least {percent(SOLVED)} of the points right after the last epoch.",
    )
    told = ", ".join(f"{_of(row)} with {row['hidden']}" for row in numbers["widths"])
    return Section(f"Starts that solve it: {told}", text, (pictures.shares_picture(trained, numbers), table))


def _curves(trained: Trained, numbers: dict[str, Any]) -> Section:
    mixed = [row for row in numbers["widths"] if row["solved"] and row["stuck"]]
    if mixed:
        width = mixed[0]["hidden"]
        solved: int | None = trained.best(width)
        stuck = trained.stuck(width)
        title = f"The same {_units(mixed[0])}: one start gets there, another stays on a plateau"
    else:
        solvers = [row["hidden"] for row in numbers["widths"] if row["solved"]]
        losers = [row["hidden"] for row in numbers["widths"] if row["stuck"]]
        solved = trained.best(solvers[0]) if solvers else None
        stuck = trained.stuck(losers[-1]) if losers else None
        title = "What learning looks like, epoch by epoch"
    stuck_rows = [row for row in numbers["widths"] if row["stuck"]]
    freed, still = sum(row["freed_by_as_long_again"] for row in stuck_rows), sum(row["stuck"] for row in stuck_rows)
    text = [
        "The loss does not fall evenly. It lies flat while the hidden units still answer alike, then drops when they "
        "have found different lines. Where they settle on lines that do not help each other, it stays high: some "
        "points pull one way, others back, and the pulls cancel."
    ]
    if still:
        text.append(
            f"Was it only too slow? The {still} networks that had not solved it learnt for {numbers['epochs']:,} "
            f"epochs more: {freed} of them got there."
        )
    return Section(title, tuple(text), (pictures.curves_picture(trained, solved, stuck),))


def _regions(trained: Trained, numbers: dict[str, Any]) -> Section:
    able = [row for row in numbers["widths"] if row["solved"]]
    title = (
        f"{_units(able[0]).capitalize()} draw enough lines to part them" if able and able[0]["hidden"] > 1
        else "Each unit adds a line" if able
        else "No width tried here parts them"
    )  # fmt: skip
    text = (
        "Each dashed line is where one hidden unit is undecided. The output unit weighs the hidden units' answers; "
        "where its sum is 0 lies the boundary, the solid line. Two lines can enclose a band, three a triangle.",
    )
    return Section(title, text, (pictures.regions_picture(trained, numbers),))


def _hidden(numbers: dict[str, Any], picture: Picture) -> Section:
    two = next(row for row in numbers["widths"] if row["hidden"] == 2)
    title = (
        "Two units move the points until one line is enough" if two["solved"]
        else "Two units cannot move the points so that one line is enough"
    )  # fmt: skip
    text: tuple[str, ...] = (
        "The output unit never sees the points. It sees two numbers for each: what the hidden units answer. In that "
        "new square it can draw one straight line and nothing else. To learn is to find hidden units after which a "
        "straight line is enough.",
    )
    if two["solved"] and two["stuck"]:
        text = (
            *text,
            "In the stuck network points of both classes lie on one another, or on the wrong side: no line helps.",
        )
    return Section(title, text, (picture,))


def _growth(trained: Trained, numbers: dict[str, Any]) -> Section:
    rows = numbers["growing"]
    enough = next((row for row in rows if row["accuracy"] >= SOLVED), None)
    title = (
        f"The boundary grows with the width: on {trained.grown_on.name} {_units(enough)} are enough" if enough
        else f"The boundary grows with the width: on {trained.grown_on.name} none of these is enough yet"
    )  # fmt: skip
    text = (
        "More units, more lines to build the boundary from: a line, a band, a triangle, then a shape ever rounder. "
        "Beyond what the points need, more units change little here; they make it easier to find, from any start.",
    )
    return Section(title, text, (pictures.growth_picture(trained, numbers),))


def _tries(numbers: Numbers) -> str:
    """How many starts one should try."""
    parts = []
    for row in numbers["widths"]:
        share = row["solved"] / row["starts"]
        if share <= 0:
            parts.append(
                f"with {_units(row)} none of {row['starts']} solved it: no number of tries is known to be enough"
            )
        elif share >= 1:
            parts.append(f"with {_units(row)} all {row['starts']} solved it: one is enough")
        else:
            tries = max(1, math.ceil(math.log(1 - _SURE) / math.log(1 - share)))
            parts.append(
                f"with {_units(row)} {_of(row)} solved it, and {tries} tries all fail with probability "
                f"{1 - share:.2f}^{tries} = {(1 - share) ** tries:.4f}"
            )
    return "; ".join(parts).capitalize() + "."


def _stuck(numbers: Numbers) -> str:
    """Whether a stuck start is only slow."""
    rows = [row for row in numbers["widths"] if row["stuck"]]
    if not rows:
        return f"No start was stuck after {numbers['epochs']:,} epochs."
    told = "; ".join(
        f"with {_units(row)} {row['freed_by_as_long_again']} of {row['stuck']} that had not solved it" for row in rows
    )
    return (
        f"As many epochs again ({numbers['epochs']:,}) brought home {told}. For those that remain waiting has not "
        "helped; another start may, or more units."
    )


def _price(numbers: Numbers) -> str:
    """What more hidden units cost and bring."""
    parts = [
        f"{_units(row)}: {row['parameters']} weights, {_of(row)} starts, mean accuracy "
        f"{percent(row['mean_accuracy'], 1)}"
        for row in numbers["widths"]
    ]
    return "; ".join(parts).capitalize() + ". Set the few weights more against the starts that are lost with fewer."


def _units(row: Numbers) -> str:
    return f"{row['hidden']} unit{'s' if row['hidden'] > 1 else ''}"


def _of(row: Numbers) -> str:
    return f"{row['solved']} of {row['starts']}"


LAB = Lab(
    "xor",
    "How many hidden units does it take?",
    XorSettings,
    investigate,
    (
        Question("How many starts would you try, to be 99 % sure that one of them solves it?", _tries),
        Question("Is a stuck start only slow: would it get there if it learnt longer?", _stuck),
        Question("What does each hidden unit more cost in weights, and what does it bring?", _price),
    ),
)
