"""The lab of XOR: every width from every start, all in one batched computation, and what became of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pydantic import Field, model_validator

from ..plots.style import BLUE, RED
from ..progress import Progress
from ..units import plural
from . import points
from .drawing import TEXT, hidden_space, legend_above, panel, regions, scatter, sheet, solved_bars, twin_curves
from .lab import Findings, Lab, Numbers, percent
from .points import SOLVED, Float64Array, Nets, Points, WidthSettings

GROWTH = (1, 2, 3, 4, 8, 32)
"""Widths of the networks whose boundaries are shown growing."""

_SURE = 0.99
_COLUMNS = 4  # of networks; more would be too narrow to see
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
        "about": f"{result.points.about.rstrip('.')}.",
        "points": len(result.points),
        "lr": settings.lr,
        "epochs": settings.epochs,
        "steps": settings.epochs * len(result.points),
        "networks": len(result.log.nets),
        "solved_from": SOLVED,
        "widths": [_width(result, width) for width in settings.hidden],
        "curves": [_net(result, name, net) for name, net in _solver_and_loser(result, settings.hidden).items()],
        "regions": [
            _net(result, name, net)
            for width in settings.hidden[:_COLUMNS]
            for name, net in _best_and_stuck(result, width).items()
        ],
        "hidden_space": [_net(result, name, net) for name, net in _best_and_stuck(result, 2).items()],
        "growing": [
            {"hidden": width, "data": result.grown_on.name, "accuracy": float(accuracy)}
            for width, accuracy in zip(GROWTH, growing, strict=True)
        ],
    }


def _net(result: Result, name: str, net: int) -> dict[str, Any]:
    """A single network that a figure shows."""
    return {
        "name": name,
        "net": net,
        "hidden": int(result.log.nets.widths[net]),
        "accuracy": float(result.accuracy[net]),
        "first_loss": float(result.log.loss[0, net]),
        "last_loss": float(result.log.loss[-1, net]),
    }


def _solver_and_loser(result: Result, widths: Sequence[int]) -> dict[str, int]:
    """A start that solves it and one that is stuck, of the same width if there is one."""
    solvers = [width for width in widths if result.solved(width)["solved"]]
    losers = [width for width in widths if result.solved(width)["stuck"]]
    mixed = [width for width in solvers if width in losers]
    found = {"solves it": result.best((mixed or solvers)[0])} if solvers else {}
    stuck = result.stuck((mixed or losers[::-1])[0]) if losers else None
    return found if stuck is None else {**found, "is stuck": stuck}


def _best_and_stuck(result: Result, width: int) -> dict[str, int]:
    """The best start of a width, if any has it; where that solves it, also one that does not, if there is one."""
    if not len(result.of(width)):
        return {}
    best, stuck = result.best(width), result.stuck(width)
    return {"best": best} if stuck is None or result.accuracy[best] < SOLVED else {"best": best, "stuck": stuck}


def _width(result: Result, width: int) -> dict[str, Any]:
    own = result.of(width)
    accuracy, loss = result.accuracy[own], result.log.loss[:, own]
    endings = Counter(round(float(each), 4) for each in accuracy)
    solved = result.solved(width)
    share = solved["share"]
    return {
        **solved,
        "tries": max(1, math.ceil(math.log(1 - _SURE) / math.log(1 - share))) if 0 < share < 1 else None,
        "parameters": width * (result.points.inputs.shape[1] + 2) + 1,
        "mean_accuracy": float(accuracy.mean()),
        "endings": [{"accuracy": each, "starts": count} for each, count in sorted(endings.items())],
        "first_loss": float(loss[0].mean()),
        "last_loss": points.lowest_median_highest(loss[-1]),
        "freed_by_as_long_again": int((result.longer.get(width, np.empty(0)) >= SOLVED).sum()),
    }


# The figures of the page


def investigate(settings: XorSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = train(settings, progress)
    numbers = measure(settings, result)
    figures = {
        "points": _points(result.points),
        "solved": solved_bars(numbers, 3.4, "solve it"),
        "curves": _curves(result, numbers["curves"]),
        "regions": _regions(result, numbers["regions"]),
        "growth": _growth(result, numbers["growing"]),
    }
    if numbers["hidden_space"]:
        figures["hidden-space"] = _hidden_space(result, numbers["hidden_space"])
    return Findings(numbers, figures)


def _points(data: Points) -> Figure:
    figure, ax = panel(3.8)
    scatter(ax, data.inputs, data, size=44)
    ax.set(xlabel="x1", ylabel="x2")
    ax.margins(0.15)
    legend_above(ax)
    return figure


def _curves(result: Result, nets: Sequence[Numbers]) -> Figure:
    figure, axes = sheet(1, len(nets), height=3.3, sharey=True)
    for ax, row in zip(axes[0], nets, strict=True):
        loss, accuracy = result.log.loss[:, row["net"]], result.log.accuracy[:, row["net"]]
        right = twin_curves(ax, loss.tolist(), accuracy.tolist())
        title = f"{plural(row['hidden'], 'unit')}, start {result.log.nets.seeds[row['net']]}: {row['name']}"
        ax.set(xlabel="epoch", title=title)
        if ax is axes[0, 0]:
            ax.set_ylabel("total loss", color=RED, fontsize=TEXT)
        if ax is axes[0, -1]:
            right.set_ylabel("accuracy", color=BLUE, fontsize=TEXT)
    return figure


def _regions(result: Result, nets: Sequence[Numbers]) -> Figure:
    columns = [[each for each in nets if each["hidden"] == width] for width in dict.fromkeys(n["hidden"] for n in nets)]
    mixed = any(len(column) > 1 for column in columns)
    figure, axes = sheet(1 + mixed, len(columns), height=2.7 + 2.3 * mixed, sharex=True, sharey=True)
    for cells, column in zip(axes.T, columns, strict=True):
        for ax, row in zip(cells, column, strict=False):
            regions(ax, result.log.nets.take([row["net"]]), result.points)
            name = plural(row["hidden"], "unit") if row["name"] == "best" else row["name"]
            ax.set_title(f"{name}: {percent(row['accuracy'])}", fontsize=TEXT)
        for ax in cells[len(column) :]:
            ax.set_axis_off()
            cells[len(column) - 1].tick_params(labelbottom=True)
    return figure


def _hidden_space(result: Result, nets: Sequence[Numbers]) -> Figure:
    figure, axes = sheet(1, len(nets), height=3.95, sharey=True)
    for ax, row in zip(axes[0], nets, strict=True):
        hidden_space(ax, result.log.nets.take([row["net"]]), result.points)
        ax.set_title(f"{row['name']}: {percent(row['accuracy'])}", fontsize=TEXT)
    axes[0, 0].set_ylabel("what unit 2 answers")
    return figure


def _growth(result: Result, rows: Sequence[Numbers]) -> Figure:
    figure, axes = sheet(2, 3, height=4.9, sharex=True, sharey=True)
    for place, (ax, row) in enumerate(zip(axes.flat, rows, strict=True)):
        regions(ax, result.growing.take([place]), result.grown_on, units=row["hidden"] <= 4, size=12)
        ax.set_title(f"{plural(row['hidden'], 'unit')}: {percent(row['accuracy'])}", fontsize=TEXT)
    return figure


LAB = Lab("xor", "How many hidden units does it take?", XorSettings, investigate)
