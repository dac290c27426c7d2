"""The lab: what it asks, what it tells."""

from __future__ import annotations

from typing import Any

from ..lab import Findings, Lab, Numbers, Progress, Question, Section, Table
from ..wording import percent
from . import pictures
from .experiment import SOLVED, PulseSettings, Trained, measure, train


def investigate(settings: PulseSettings, progress: Progress) -> Findings:
    """Train every width from every start on the pulse; tell what came of it."""
    trained = train(settings, progress)
    numbers = measure(settings, trained)
    sections = [_by_hand(settings, trained, numbers), _fits(trained, numbers), _parts(trained, numbers)]
    if hidden := pictures.hidden_picture(trained, numbers):
        text = (
            "Two hidden units turn each x into two numbers: a place in a square. The x axis becomes a bent path in "
            "it, and the output unit, which can only draw a straight line, has to cut off the bend. A single unit "
            "bends nothing: its answers lie on a line, in the same order as x, and one cut leaves only two pieces.",
        )
        sections.append(Section("The hidden units bend the axis, the output cuts off the bend", text, (hidden,)))
    sections.append(_shares(numbers))
    return Findings(_lead(numbers), tuple(sections), numbers)


def _lead(numbers: Numbers) -> str:
    first, others = numbers["widths"][0], numbers["widths"][1:]
    told = (
        f"With {_units(first)} the best of {first['starts']} starts misses the pulse by {first['error']['lowest']:.3f}"
    )
    if others:
        told += f", with {_units(others[0])} by {others[0]['error']['lowest']:.3f}"
    return (
        f"{told} (root mean square; answering always the same misses by {numbers['error_of_a_constant']:.3f}). "
        "A bump is one step up less another."
    )


def _by_hand(settings: PulseSettings, trained: Trained, numbers: dict[str, Any]) -> Section:
    text = (
        "The task has one input. Inside an interval the answer is 1, on either side of it 0: a square pulse.",
        "A logistic unit is a soft step. It rises or it falls, but never both, so no single one can make a pulse. "
        "Take two that rise at different places and subtract the second from the first: between them one is already "
        "up and the other not yet.",
        "The larger the weight of x, the steeper the step, and the squarer the pulse.",
    )
    rows = tuple((f"{row['steepness']}", f"{row['error']:.3f}") for row in numbers["by_hand"])
    table = Table(("Steepness", "Error"), rows, "Root mean square error of the difference of two steps")
    return Section(
        "A pulse is one step less another", text, (pictures.by_hand_picture(settings, trained, numbers), table)
    )


def _fits(trained: Trained, numbers: dict[str, Any]) -> Section:
    enough = _enough(numbers)
    title = (
        f"Learnt from points: {_units(enough)} find it" if enough
        else "Learnt from points: none of these widths finds it"
    )  # fmt: skip
    text: tuple[str, ...] = (
        f"Now gradient descent looks for the weights: {numbers['networks']} networks of one input, a few hidden "
        f"sigmoids and one output sigmoid, on {numbers['points']} points of which {numbers['inside']} lie inside.",
    )
    alone = next((row for row in numbers["widths"] if row["hidden"] == 1), None)
    if alone:
        text = (
            *text,
            f"With one hidden unit the whole network still only rises or falls. Its best start gets "
            f"{percent(alone['best_accuracy'])} of the points right, with an error of {alone['error']['lowest']:.3f}.",
        )
    return Section(title, text, (pictures.fits_picture(trained, numbers),))


def _parts(trained: Trained, numbers: dict[str, Any]) -> Section:
    text = (
        "Read each column from top to bottom. The hidden units are soft steps at places of their own. Each is "
        "multiplied by its weight; where one weight is negative its step is turned over. The sum is above 0 inside "
        "the pulse and below it outside, and the last sigmoid turns that into nearly 1 and nearly 0.",
    )
    return Section("What each hidden unit adds", text, (pictures.parts_picture(trained, numbers),))


def _shares(numbers: dict[str, Any]) -> Section:
    rows = tuple(
        (
            f"{row['hidden']}",
            f"{row['solved']} of {row['starts']}",
            f"{percent(row['low'])} to {percent(row['high'])}",
            f"{row['error']['lowest']:.3f}",
            f"{row['error']['median']:.3f}",
            f"{row['error']['highest']:.3f}",
        )
        for row in numbers["widths"]
    )
    table = Table(("Hidden units", "Found", "95 % interval", "Best error", "Median", "Worst"), rows)
    text = (
        f"To have found the pulse means: at least {percent(SOLVED)} of the points on the right side of one half after "
        f"{numbers['epochs']:,} epochs.",
        "More units than are needed hardly sharpen the best fit. Where the worst start gets better, what they buy is "
        "safety: among many steps some lie at the right places from the beginning.",
    )
    told = ", ".join(f"{row['solved']} of {row['starts']} with {row['hidden']}" for row in numbers["widths"])
    return Section(f"Starts that find it: {told}", text, (pictures.solved_picture(numbers), table))


def _why_not_one(numbers: Numbers) -> str:
    narrow = numbers["widths"][0]
    share = max(numbers["inside"], numbers["points"] - numbers["inside"]) / numbers["points"]
    return (
        f"Always the commoner answer is right for {percent(share)} of the points. A network of one hidden unit rises "
        "or falls with x, so it can be right on one side and inside, or outside alone: never on both sides and "
        f"inside. Here {_units(narrow)} got at best {percent(narrow['best_accuracy'])} right, with an error of "
        f"{narrow['error']['lowest']:.3f} against {numbers['error_of_a_constant']:.3f} of a constant."
    )


def _signs(numbers: Numbers) -> str:
    row = next((row for row in numbers["widths"] if row["hidden"] >= 2), numbers["widths"][0])
    parts = [
        f"{weight:+.1f} · σ({inward:+.1f} x {bias:+.1f})"
        for inward, bias, weight in zip(
            row["best_start"]["inward"], row["best_start"]["biases"], row["best_start"]["outward"], strict=True
        )
    ]
    edges = [
        f"x = {-bias / inward:+.2f}"
        for inward, bias in zip(row["best_start"]["inward"], row["best_start"]["biases"], strict=True)
        if inward
    ]
    return (
        f"The best start with {_units(row)} says σ({' '.join(parts)} {row['best_start']['bias']:+.1f}). The steps lie "
        f"at {' and '.join(edges)}. A falling step is 1 less a rising one, so weights of one sign on a rising and a "
        "falling step do the same as subtracting two rising ones; the bias takes up the 1."
    )


def _more(numbers: Numbers) -> str:
    told = "; ".join(
        f"{_units(row)}: best {row['error']['lowest']:.3f}, worst {row['error']['highest']:.3f}, "
        f"{row['solved']} of {row['starts']} starts"
        for row in numbers["widths"]
    )
    return f"{told}. Compare the column of the best with that of the worst: it is the worst that more units can mend."


def _enough(numbers: Numbers) -> Numbers | None:
    """The narrowest width of which some start found the pulse."""
    return next((row for row in numbers["widths"] if row["solved"]), None)


def _units(row: Numbers) -> str:
    return f"{row['hidden']} unit{'s' if row['hidden'] > 1 else ''}"


LAB = Lab(
    "pulse",
    "A square pulse out of soft steps",
    PulseSettings,
    investigate,
    (
        Question("Why can a network with one hidden unit not make a pulse, however long it learns?", _why_not_one),
        Question("Read the weights of the best start with two units: where is the subtraction?", _signs),
        Question("If two units are enough, what are more of them good for?", _more),
    ),
)
