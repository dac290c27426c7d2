"""The lab of the pulse: networks of one input learn a square pulse, every width from every start at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field
from scipy.special import expit

from ..plots.style import BLUE, COOL, HEAT, INK, RED, SOFT
from ..progress import Progress
from ..units import plural
from . import points
from .drawing import TEXT, hidden_space, legend_above, sheet, solved_bars
from .lab import Findings, Lab, Numbers
from .points import SOLVED, Float64Array, Points, WidthSettings

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
        "two_units": {name: float(result.error[net]) for name, net in _of_two_units(result).items()},
    }


def _of_two_units(result: Result) -> dict[str, int]:
    """The best start with two units and, if some are stuck, the worst; nothing if there is no such width."""
    if not len(result.of(2)):
        return {}
    best = {"best start": result.best(2)}
    return {**best, "worst start": result.worst(2)} if result.solved(2)["stuck"] else best


def _width(result: Result, width: int) -> dict[str, Any]:
    own = result.of(width)
    best = result.log.nets.take([result.best(width)])
    return {
        **result.solved(width),
        "error": points.lowest_median_highest(result.error[own]),
        "best_accuracy": float(result.accuracy[own].max()),
        "best_start": {
            "units": [
                {"inward": float(inward), "bias": float(bias), "outward": float(outward)}
                for (inward, bias), outward in zip(best.inward[:, :width, 0].T, best.outward[:width, 0], strict=True)
            ],
            "bias": float(best.outward[-1, 0]),
        },
    }


# The figures of the page


_FINE = np.linspace(-3, 3, 601)[:, np.newaxis]
_UNITS = (BLUE, RED, COOL, HEAT, SOFT)


def investigate(settings: PulseSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = train(settings, progress)
    numbers = measure(settings, result)
    figures = {
        "by-hand": _by_hand(settings),
        "fits": _fits(result, numbers["widths"]),
        "parts": _parts(result, numbers["widths"][:3]),
        "solved": solved_bars(numbers, 3.2, "find the pulse"),
    }
    if nets := _of_two_units(result):
        figures["hidden-space"] = _hidden_space(result, nets)
    return Findings(numbers, figures)


def _by_hand(settings: PulseSettings) -> Figure:
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
    return figure


def _fits(result: Result, rows: Sequence[Numbers]) -> Figure:
    columns = min(3, len(rows))
    figure, axes = sheet(-(-len(rows) // columns), columns, height=0.6 + 2.3 * -(-len(rows) // columns), sharey=True)
    for ax, row in zip(axes.flat, rows, strict=False):
        _target(ax, result)
        for net, colour, style in ((result.worst(row["hidden"]), RED, "--"), (result.best(row["hidden"]), BLUE, "-")):
            outputs = expit(result.log.nets.take([net]).logits(_FINE))[:, 0]
            ax.plot(_FINE[:, 0], outputs, color=colour, linestyle=style, linewidth=2)
        ax.set_title(f"{plural(row['hidden'], 'unit')}: {row['error']['lowest']:.3f}", fontsize=TEXT)
    for ax in axes.flat[len(rows) :]:
        ax.set_axis_off()
    return figure


def _parts(result: Result, rows: Sequence[Numbers]) -> Figure:
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
        column[0].set_title(plural(row["hidden"], "unit"), fontsize=TEXT)
        column[0].set_ylim(-0.05, 1.05)
        column[2].set_xlabel("x", fontsize=TEXT)
    for ax, name in zip(axes[:, 0], ("each unit", "weighted sum", "the fit"), strict=True):
        ax.set_ylabel(name, fontsize=TEXT)
    return figure


def _hidden_space(result: Result, nets: dict[str, int]) -> Figure:
    """The line of x bent into the square of two units' answers."""
    figure, axes = sheet(1, len(nets), height=3.7)
    for ax, (name, number) in zip(axes[0], nets.items(), strict=True):
        net = result.log.nets.take([number])
        path: Float64Array = net.hidden(_FINE)[:, :2, 0]
        ax.plot(*path.T, color=SOFT, linewidth=1)
        hidden_space(ax, net, result.points)
        ax.set_title(f"{name}: error {result.error[number]:.3f}", fontsize=TEXT)
    axes[0, 0].set_ylabel("what unit 2 answers", fontsize=TEXT)
    legend_above(axes[0, 0])
    return figure


def _target(ax: Axes, result: Result) -> None:
    """The pulse as grey ground."""
    ax.fill_between(result.points.inputs[:, 0], result.points.labels, step="mid", color=SOFT, alpha=0.22, linewidth=0)
    ax.set_ylim(-0.05, 1.12)


LAB = Lab("pulse", "A square pulse out of soft steps", PulseSettings, investigate)
