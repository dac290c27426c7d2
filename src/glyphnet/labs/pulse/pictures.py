"""The lab's pictures, each with what it shows in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.special import expit

from ...plots.style import BLUE, COOL, HEAT, INK, RED, SOFT
from ..lab import Picture
from ..points import drawing
from ..points.nets import Float64Array
from ..points.sets import Points
from ..sheet import TEXT, sheet
from .experiment import STEEPNESS, PulseSettings, Trained, by_hand

_FINE = np.linspace(-3, 3, 601)[:, np.newaxis]
_UNITS = (BLUE, RED, COOL, HEAT, SOFT)


def by_hand_picture(settings: PulseSettings, trained: Trained, numbers: dict[str, Any]) -> Picture:
    """Two steps, and their difference, for steeper and steeper sigmoids."""
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
    return Picture(
        "by-hand", figure,
        alt="Left, two sigmoids that rise one after the other. Right, the first less the second: a bump, which "
        f"becomes a square pulse as they get steeper; the error falls from {first['error']:.2f} to "
        f"{last['error']:.2f}.",
        caption="Nothing is learnt here. The steepness is the weight of x.",
    )  # fmt: skip


def fits_picture(trained: Trained, numbers: dict[str, Any]) -> Picture:
    """The best fit of every width."""
    rows = numbers["widths"]
    columns = min(3, len(rows))
    figure, axes = sheet(-(-len(rows) // columns), columns, height=0.6 + 2.3 * -(-len(rows) // columns), sharey=True)
    for ax, row in zip(axes.flat, rows, strict=False):
        _target(ax, trained)
        for net, colour, style in ((trained.worst(row["hidden"]), RED, "--"), (trained.best(row["hidden"]), BLUE, "-")):
            said = expit(trained.nets.take([net]).logits(_FINE))[:, 0]
            ax.plot(_FINE[:, 0], said, color=colour, linestyle=style, linewidth=2)
        ax.set_title(f"{_units(row['hidden'])}: {row['error']['lowest']:.3f}", fontsize=TEXT)
    for ax in axes.flat[len(rows) :]:
        ax.set_axis_off()
    told = "; ".join(f"{_units(row['hidden'])}: error {row['error']['lowest']:.3f}" for row in rows)
    return Picture(
        "fits", figure,
        alt=f"The pulse and what networks of each width make of it. Best starts: {told}.",
        caption="Grey: the pulse. Solid blue: the best start of the width, with its error (root mean square) in the "
        "title. Dashed: the worst start.",
    )  # fmt: skip


def parts_picture(trained: Trained, numbers: dict[str, Any]) -> Picture:
    """Each hidden unit's activation, their weighted sum, the fit: the best start of the first three widths."""
    rows = numbers["widths"][:3]
    figure, axes = sheet(3, len(rows), height=6.4, sharex=True)
    for column, row in zip(axes.T, rows, strict=True):
        net = trained.nets.take([trained.best(row["hidden"])])
        units = net.hidden(_FINE)[:, : row["hidden"], 0]
        logits = net.logits(_FINE)[:, 0]
        for number, (unit, weight) in enumerate(zip(units.T, net.outward[: row["hidden"], 0], strict=True)):
            column[0].plot(_FINE[:, 0], unit, color=_UNITS[number % len(_UNITS)], linewidth=1.8)
            column[1].plot(
                _FINE[:, 0], weight * unit, color=_UNITS[number % len(_UNITS)], linewidth=1.2, linestyle="--"
            )
        column[1].plot(_FINE[:, 0], logits, color=INK, linewidth=2)
        column[1].axhline(0, color=SOFT, linewidth=0.8)
        _target(column[2], trained)
        column[2].plot(_FINE[:, 0], expit(logits), color=INK, linewidth=2)
        column[0].set_title(_units(row["hidden"]), fontsize=TEXT)
        column[0].set_ylim(-0.05, 1.05)
        column[2].set_xlabel("x", fontsize=TEXT)
    for ax, name in zip(axes[:, 0], ("each unit", "weighted sum", "the fit"), strict=True):
        ax.set_ylabel(name, fontsize=TEXT)
    return Picture(
        "parts", figure,
        alt="From top to bottom: what each hidden unit answers, the units times their weights and their sum, and the "
        f"sigmoid of the sum, for {', '.join(_units(row['hidden']) for row in rows)}. Errors: "
        f"{', '.join(format(row['error']['lowest'], '.3f') for row in rows)}.",
        caption="Top: the hidden units. Middle: each times its weight (dashed), and the sum with the bias (solid). "
        "Bottom: the sigmoid of the sum, over the pulse in grey.",
    )  # fmt: skip


def solved_picture(numbers: dict[str, Any]) -> Picture:
    """How many starts of each width find the pulse."""
    figure, axes = sheet(height=3.2)
    rows = numbers["widths"]
    drawing.shares(axes[0, 0], [str(row["hidden"]) for row in rows], rows)
    axes[0, 0].set(xlabel="hidden units", ylabel="starts that find the pulse")
    told = "; ".join(f"{row['hidden']}: {row['solved']} of {row['starts']}" for row in rows)
    return Picture(
        "solved", figure,
        alt=f"Bars: starts that find the pulse by number of hidden units. {told}.",
        caption="Whiskers: Wilson's 95 % interval.",
    )  # fmt: skip


def hidden_picture(trained: Trained, numbers: dict[str, Any]) -> Picture | None:
    """The line of x bent into the square of two units' answers; None without width 2."""
    if not len(trained.of(2)):
        return None
    row = next(row for row in numbers["widths"] if row["hidden"] == 2)
    shown = [("best start", trained.best(2))]
    if row["stuck"]:
        shown.append(("worst start", trained.worst(2)))
    figure, axes = sheet(1, len(shown), height=3.7)
    points = Points("pulse", trained.inputs, trained.labels, "", ("outside", "inside"))
    for ax, (name, number) in zip(axes[0], shown, strict=True):
        net = trained.nets.take([number])
        path: Float64Array = net.hidden(_FINE)[:, :2, 0]
        ax.plot(*path.T, color=SOFT, linewidth=1)
        drawing.hidden_space(ax, net, points)
        ax.set_title(f"{name}: error {trained.error[number]:.3f}", fontsize=TEXT)
    axes[0, 0].set_ylabel("what unit 2 answers", fontsize=TEXT)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=TEXT
    )
    return Picture(
        "hidden-space", figure,
        alt="The points of the x axis where two hidden units put them: a bent path, of which the output's straight "
        "line cuts off the part inside the pulse; "
        f"{'; '.join(f'{name}: error {trained.error[net]:.3f}' for name, net in shown)}.",
        caption="The grey path is the x axis, bent. The solid line is the output unit's.",
    )  # fmt: skip


def _target(ax: Axes, trained: Trained) -> None:
    """The pulse as grey ground."""
    ax.fill_between(trained.inputs[:, 0], trained.labels, step="mid", color=SOFT, alpha=0.22, linewidth=0)
    ax.set_ylim(-0.05, 1.12)


def _units(count: int) -> str:
    return f"{count} unit{'s' if count > 1 else ''}"
