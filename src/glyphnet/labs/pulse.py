"""The lab of the pulse: networks of one input learn a square pulse, every width from every start at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from pydantic import Field
from scipy.special import expit

from ..plots.style import BLUE, COOL, HEAT, INK, RED, SOFT
from ..progress import Progress
from . import points
from .drawing import TEXT, hidden_space, legend_above, sheet, solved_picture
from .lab import Columns, Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .points import SOLVED, Float64Array, Points, WidthSettings, solved_of, units_of

STEEPNESS = (1, 3, 10, 40)
"""Weights of the two sigmoids that are subtracted by hand."""

_REACH, _POINTS = 3.0, 61


class PulseSettings(WidthSettings):
    """Settings of the lab; ``seeds`` is the number of starts of each width: 50, or 10 if quick."""

    hidden: tuple[int, ...] = Field(
        (1, 2, 3, 5, 10), min_length=1, max_length=8, description="Numbers of hidden units."
    )
    lr: float = Field(0.3, gt=0, le=100, description="Learning rate.")
    half_width: float = Field(
        1.0, gt=0.1, lt=2.9, description="The pulse is 1 from minus this to this, out of -3 to 3."
    )


@dataclass(frozen=True, eq=False)
class Result(points.Result):
    """Adds the root mean square difference between each network's output and the pulse, float64 (B,)."""

    error: Float64Array

    def best(self, width: int) -> int:
        """The start of a width with the smallest error."""
        own = self.of(width)
        return int(own[self.error[own].argmin()])

    def worst(self, width: int) -> int:
        """The start of a width with the largest error."""
        own = self.of(width)
        return int(own[self.error[own].argmax()])


def train(settings: PulseSettings, progress: Progress) -> Result:
    """Train every width from every start."""
    inputs = np.linspace(-_REACH, _REACH, _POINTS)[:, np.newaxis]
    labels = (np.abs(inputs[:, 0]) < settings.half_width).astype(np.float64)
    nets = points.begin(settings.hidden, settings.repetitions(full=50, quick=10), inputs=1)
    log = points.learn(
        nets, inputs, labels, lr=settings.lr, epochs=settings.epochs,
        progress=lambda epoch: progress(epoch, settings.epochs, f"{len(nets)} networks at once"),
    )  # fmt: skip
    outputs = expit(log.nets.logits(inputs))
    error = np.sqrt(((outputs - labels[:, np.newaxis]) ** 2).mean(axis=0))
    pulse = Points("pulse", inputs, labels, "A square pulse.", ("outside", "inside"))
    return Result(pulse, log, log.nets.accuracy(inputs, labels), error)


def by_hand(settings: PulseSettings, steepness: float, inputs: Float64Array) -> Float64Array:
    """One sigmoid that rises at the pulse's left edge, less one that rises at its right edge."""
    rising, falling = (expit(steepness * (inputs + edge)) for edge in (settings.half_width, -settings.half_width))
    return np.asarray(rising - falling)


def measure(settings: PulseSettings, result: Result) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    inputs, labels = result.points.inputs[:, 0], result.points.labels
    inside = float(labels.mean())
    hand = [np.sqrt(((by_hand(settings, each, inputs) - labels) ** 2).mean()) for each in STEEPNESS]
    return {
        "points": len(labels),
        "inside": int(labels.sum()),
        "error_of_a_constant": float(np.sqrt(inside * (1 - inside))),
        "lr": settings.lr,
        "epochs": settings.epochs,
        "networks": len(result.log.nets),
        "solved_from": SOLVED,
        "by_hand": [{"steepness": steep, "error": float(error)} for steep, error in zip(STEEPNESS, hand, strict=True)],
        "widths": [_width(result, width) for width in settings.hidden],
    }


def _width(result: Result, width: int) -> dict[str, Any]:
    own = result.of(width)
    best = result.log.nets.take([result.best(width)])
    return {
        **result.solved(width),
        "error": points.lowest_median_highest(result.error[own]),
        "best_accuracy": float(result.accuracy[own].max()),
        "best_start": {
            "inward": best.inward[0, :width, 0].tolist(),
            "biases": best.inward[1, :width, 0].tolist(),
            "outward": best.outward[:width, 0].tolist(),
            "bias": float(best.outward[-1, 0]),
        },
    }


# The page


_FINE = np.linspace(-3, 3, 601)[:, np.newaxis]
_UNITS = (BLUE, RED, COOL, HEAT, SOFT)


def investigate(settings: PulseSettings, progress: Progress) -> Findings:
    """Run the experiment and write its findings."""
    result = train(settings, progress)
    numbers = measure(settings, result)
    sections = [_by_hand(settings, numbers), _fits(result, numbers), _parts(result, numbers)]
    if hidden := _hidden_picture(result, numbers):
        text = (
            "Two hidden units map each x to a point in a square. The x axis becomes a bent path, and the output "
            "unit's straight line cuts off the bend. With a single unit the outputs keep the order of x, and one cut "
            "leaves only two pieces.",
        )
        sections.append(Section("The hidden units bend the axis, the output cuts off the bend", text, (hidden,)))
    sections.append(_shares(numbers))
    return Findings(_lead(numbers), tuple(sections), numbers)


def _lead(numbers: Numbers) -> str:
    first, others = numbers["widths"][0], numbers["widths"][1:]
    facts = (
        f"With {units_of(first)} the best of {first['starts']} starts misses the pulse by "
        f"{first['error']['lowest']:.3f}"
    )
    if others:
        facts += f", with {units_of(others[0])} by {others[0]['error']['lowest']:.3f}"
    return (
        f"{facts} (root mean square; a constant output misses by {numbers['error_of_a_constant']:.3f}). A pulse is the "
        "difference of two steps."
    )


def _by_hand(settings: PulseSettings, numbers: Numbers) -> Section:
    text = (
        "The task has one input. The target is 1 inside an interval and 0 outside: a square pulse.",
        "A logistic unit is a soft step that only rises or only falls, so one unit cannot make a pulse. The "
        "difference of two steps that rise at different positions can. The larger the weight of x, the steeper the "
        "steps and the squarer the pulse.",
    )
    columns: Columns = {"Steepness": "{steepness}", "Error": "{error:.3f}"}
    table = Table.of(numbers["by_hand"], columns, "Root mean square error of the difference of two steps")
    figure, axes = sheet(1, 2, height=3.3, sharey=True)
    left, right = axes[0]
    x = _FINE[:, 0]
    steep = 3
    left.plot(x, expit(steep * (x + settings.half_width)), color=BLUE, linewidth=2, label="first step")
    left.plot(x, expit(steep * (x - settings.half_width)), color=RED, linewidth=2, linestyle="--", label="second step")
    left.set(title="two steps, shifted", xlabel="x")
    left.legend(frameon=False, fontsize=TEXT - 2, loc="upper left")
    for shade, each in zip(np.linspace(0.25, 1, len(STEEPNESS)), STEEPNESS, strict=True):
        right.plot(x, by_hand(settings, each, x), color=BLUE, alpha=shade, linewidth=2, label=f"{each}")
    right.set(title="first less second", xlabel="x", ylim=(-0.05, 1.3))
    right.legend(title="steepness", frameon=False, fontsize=TEXT - 2, ncols=len(STEEPNESS), loc="upper center",
                 handlelength=1.0, columnspacing=0.9)  # fmt: skip
    first, last = numbers["by_hand"][0], numbers["by_hand"][-1]
    picture = Picture(
        "by-hand", figure,
        alt="Left, two sigmoids that rise one after the other. Right, the first less the second: a bump, which "
        f"becomes a square pulse as they get steeper; the error falls from {first['error']:.2f} to "
        f"{last['error']:.2f}.",
        caption="Nothing is learnt here. The steepness is the weight of x.",
    )  # fmt: skip
    return Section("A pulse is the difference of two steps", text, (picture, table))


def _fits(result: Result, numbers: Numbers) -> Section:
    enough = next((row for row in numbers["widths"] if row["solved"]), None)
    title = (
        f"Learnt from points: {units_of(enough)} find it" if enough
        else "Learnt from points: none of these widths finds it"
    )  # fmt: skip
    text = [
        f"Gradient descent trains {numbers['networks']} networks of one input, a few hidden sigmoids and one output "
        f"sigmoid on {numbers['points']} points, of which {numbers['inside']} lie inside."
    ]
    alone = next((row for row in numbers["widths"] if row["hidden"] == 1), None)
    if alone:
        text.append(
            f"With one hidden unit the whole network only rises or only falls. Its best start gets "
            f"{percent(alone['best_accuracy'])} of the points right, with an error of {alone['error']['lowest']:.3f}."
        )
    rows = numbers["widths"]
    columns = min(3, len(rows))
    figure, axes = sheet(-(-len(rows) // columns), columns, height=0.6 + 2.3 * -(-len(rows) // columns), sharey=True)
    for ax, row in zip(axes.flat, rows, strict=False):
        _target(ax, result)
        for net, colour, style in ((result.worst(row["hidden"]), RED, "--"), (result.best(row["hidden"]), BLUE, "-")):
            outputs = expit(result.log.nets.take([net]).logits(_FINE))[:, 0]
            ax.plot(_FINE[:, 0], outputs, color=colour, linestyle=style, linewidth=2)
        ax.set_title(f"{units_of(row)}: {row['error']['lowest']:.3f}", fontsize=TEXT)
    for ax in axes.flat[len(rows) :]:
        ax.set_axis_off()
    facts = "; ".join(f"{units_of(row)}: error {row['error']['lowest']:.3f}" for row in rows)
    picture = Picture(
        "fits", figure,
        alt=f"The pulse and what networks of each width make of it. Best starts: {facts}.",
        caption="Grey: the pulse. Solid blue: the best start of the width, with its error (root mean square) in the "
        "title. Dashed: the worst start.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _parts(result: Result, numbers: Numbers) -> Section:
    text = (
        "Read each column from top to bottom. The hidden units are soft steps at different positions. Each is "
        "multiplied by its weight; a negative weight flips the step. The sum is positive inside the pulse and "
        "negative outside, and the last sigmoid turns that into nearly 1 and nearly 0.",
    )
    rows = numbers["widths"][:3]
    figure, axes = sheet(3, len(rows), height=6.4, sharex=True)
    for column, row in zip(axes.T, rows, strict=True):
        net = result.log.nets.take([result.best(row["hidden"])])
        units = net.hidden(_FINE)[:, : row["hidden"], 0]
        logits = net.logits(_FINE)[:, 0]
        for number, (unit, weight) in enumerate(zip(units.T, net.outward[: row["hidden"], 0], strict=True)):
            colour = _UNITS[number % len(_UNITS)]
            column[0].plot(_FINE[:, 0], unit, color=colour, linewidth=1.8)
            column[1].plot(_FINE[:, 0], weight * unit, color=colour, linewidth=1.2, linestyle="--")
        column[1].plot(_FINE[:, 0], logits, color=INK, linewidth=2)
        column[1].axhline(0, color=SOFT, linewidth=0.8)
        _target(column[2], result)
        column[2].plot(_FINE[:, 0], expit(logits), color=INK, linewidth=2)
        column[0].set_title(units_of(row), fontsize=TEXT)
        column[0].set_ylim(-0.05, 1.05)
        column[2].set_xlabel("x", fontsize=TEXT)
    for ax, name in zip(axes[:, 0], ("each unit", "weighted sum", "the fit"), strict=True):
        ax.set_ylabel(name, fontsize=TEXT)
    picture = Picture(
        "parts", figure,
        alt="From top to bottom: what each hidden unit answers, the units times their weights and their sum, and the "
        f"sigmoid of the sum, for {', '.join(units_of(row) for row in rows)}. Errors: "
        f"{', '.join(format(row['error']['lowest'], '.3f') for row in rows)}.",
        caption="Top: the hidden units. Middle: each times its weight (dashed), and the sum with the bias (solid). "
        "Bottom: the sigmoid of the sum, over the pulse in grey.",
    )  # fmt: skip
    return Section("What each hidden unit adds", text, (picture,))


def _shares(numbers: Numbers) -> Section:
    columns: Columns = {
        "Hidden units": "{hidden}",
        "Found": solved_of,
        "95 % interval": lambda row: f"{percent(row['low'])} to {percent(row['high'])}",
        "Best error": "{error[lowest]:.3f}",
        "Median": "{error[median]:.3f}",
        "Worst": "{error[highest]:.3f}",
    }
    table = Table.of(numbers["widths"], columns)
    text = (
        f"Found means: at least {percent(SOLVED)} of the points on the right side of one half after "
        f"{numbers['epochs']:,} epochs.",
        "More units than needed hardly improve the best fit. They improve the worst start: among many steps some lie "
        "at the right positions from the beginning.",
    )
    facts = ", ".join(f"{solved_of(row)} with {row['hidden']}" for row in numbers["widths"])
    picture = solved_picture(numbers, 3.2, "find the pulse", "Whiskers: Wilson's 95 % interval.")
    return Section(f"Starts that find it: {facts}", text, (picture, table))


def _why_not_one(numbers: Numbers) -> str:
    narrow = numbers["widths"][0]
    share = max(numbers["inside"], numbers["points"] - numbers["inside"]) / numbers["points"]
    return (
        f"The more frequent answer is right for {percent(share)} of the points. A network of one hidden unit only "
        f"rises or only falls with x, so it cannot be right on both sides and inside. Here {units_of(narrow)} got at "
        f"best {percent(narrow['best_accuracy'])} right, with an error of {narrow['error']['lowest']:.3f} against "
        f"{numbers['error_of_a_constant']:.3f} of a constant."
    )


def _signs(numbers: Numbers) -> str:
    row = next((row for row in numbers["widths"] if row["hidden"] >= 2), numbers["widths"][0])
    best = row["best_start"]
    units = list(zip(best["inward"], best["biases"], best["outward"], strict=True))
    parts = [f"{weight:+.1f} · σ({inward:+.1f} x {bias:+.1f})" for inward, bias, weight in units]
    edges = [f"x = {-bias / inward:+.2f}" for inward, bias, _ in units if inward]
    return (
        f"The best start with {units_of(row)} says σ({' '.join(parts)} {best['bias']:+.1f}). The steps "
        f"lie at {' and '.join(edges)}. A falling step is 1 less a rising one, so weights of one sign on a rising and "
        "a falling step do the same as subtracting two rising ones; the bias takes up the 1."
    )


def _more(numbers: Numbers) -> str:
    facts = "; ".join(
        f"{units_of(row)}: best {row['error']['lowest']:.3f}, worst {row['error']['highest']:.3f}, "
        f"{solved_of(row)} starts"
        for row in numbers["widths"]
    )
    return f"{facts}. More units improve the worst start more than the best."


def _hidden_picture(result: Result, numbers: Numbers) -> Picture | None:
    """The line of x bent into the square of two units' answers; None without width 2."""
    if not len(result.of(2)):
        return None
    row = next(row for row in numbers["widths"] if row["hidden"] == 2)
    shown = [("best start", result.best(2))]
    if row["stuck"]:
        shown.append(("worst start", result.worst(2)))
    figure, axes = sheet(1, len(shown), height=3.7)
    for ax, (name, number) in zip(axes[0], shown, strict=True):
        net = result.log.nets.take([number])
        path: Float64Array = net.hidden(_FINE)[:, :2, 0]
        ax.plot(*path.T, color=SOFT, linewidth=1)
        hidden_space(ax, net, result.points)
        ax.set_title(f"{name}: error {result.error[number]:.3f}", fontsize=TEXT)
    axes[0, 0].set_ylabel("what unit 2 answers", fontsize=TEXT)
    legend_above(axes[0, 0])
    return Picture(
        "hidden-space", figure,
        alt="The points of the x axis where two hidden units put them: a bent path, of which the output's straight "
        "line cuts off the part inside the pulse; "
        f"{'; '.join(f'{name}: error {result.error[net]:.3f}' for name, net in shown)}.",
        caption="The grey path is the x axis, bent. The solid line is the output unit's.",
    )  # fmt: skip


def _target(ax: Axes, result: Result) -> None:
    """The pulse as grey ground."""
    ax.fill_between(result.points.inputs[:, 0], result.points.labels, step="mid", color=SOFT, alpha=0.22, linewidth=0)
    ax.set_ylim(-0.05, 1.12)


LAB = Lab(
    "pulse",
    "A square pulse out of soft steps",
    PulseSettings,
    investigate,
    (
        Question("Why can a network with one hidden unit never make a pulse?", _why_not_one),
        Question("Read the weights of the best start with two units: where is the subtraction?", _signs),
        Question("If two units are enough, what are more of them good for?", _more),
    ),
)
