"""The lab's pictures, each with what it shows in words."""

from __future__ import annotations

from typing import Any

from ...plots.style import BLUE, RED
from ..lab import Picture
from ..points import drawing
from ..sheet import TEXT, sheet
from ..wording import percent
from .experiment import GROWTH, SOLVED, Trained

_COLUMNS = 4  # more would be too narrow to see


def points_picture(trained: Trained) -> Picture:
    """The data."""
    points = trained.points
    figure, axes = sheet(height=3.8)
    ax = axes[0, 0]
    drawing.scatter(ax, points.inputs, points, size=44)
    ax.set(xlabel="x1", ylabel="x2")
    ax.margins(0.15)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=TEXT)
    about = points.about.rstrip(".")
    return Picture(
        "points", figure,
        alt=f"{len(points)} points of two classes. {about}.",
        caption=f"{len(points)} points. {about}.",
    )  # fmt: skip


def shares_picture(trained: Trained, numbers: dict[str, Any]) -> Picture:
    """How many starts of each width solve it."""
    figure, axes = sheet(height=3.4)
    rows = numbers["widths"]
    drawing.shares(axes[0, 0], [str(row["hidden"]) for row in rows], rows)
    axes[0, 0].set(xlabel="hidden units", ylabel="starts that solve it")
    told = "; ".join(f"{row['hidden']}: {row['solved']} of {row['starts']}" for row in rows)
    return Picture(
        "solved", figure,
        alt=f"Bars: starts that solve it by number of hidden units. {told}.",
        caption=f"A start has solved it when at least {percent(SOLVED)} of the points are right after the last epoch. "
        "The whisker is Wilson's 95 % interval: what the share may be in truth, after so many starts.",
    )  # fmt: skip


def curves_picture(trained: Trained, solved: int | None, stuck: int | None) -> Picture:
    """Loss and accuracy by epoch of a start that solves it and of one that does not."""
    shown = [(name, net) for name, net in (("solves it", solved), ("is stuck", stuck)) if net is not None]
    figure, axes = sheet(1, len(shown), height=3.3, sharey=True)
    said = []
    for ax, (name, net) in zip(axes[0], shown, strict=True):
        loss, accuracy = trained.course.loss[:, net], trained.course.accuracy[:, net]
        right = drawing.twin_curves(ax, loss.tolist(), accuracy.tolist())
        width = int(trained.nets.widths[net])
        ax.set(xlabel="epoch", title=f"{width} unit{'s' * (width > 1)}, start {trained.nets.seeds[net]}: {name}")
        if ax is axes[0, 0]:
            ax.set_ylabel("total loss", color=RED, fontsize=TEXT)
        if ax is axes[0, -1]:
            right.set_ylabel("accuracy", color=BLUE, fontsize=TEXT)
        said.append(
            f"one start {name}: loss {loss[0]:.0f} to {loss[-1]:.1f}, accuracy {percent(trained.accuracy[net])}"
        )
    return Picture(
        "curves", figure,
        alt=f"Loss and accuracy by epoch; {'; '.join(said)}.",
        caption="Solid: the losses of an epoch's steps added up, left scale. Dashed: the share of points that were "
        "right when their turn came, right scale.",
    )  # fmt: skip


def regions_picture(trained: Trained, numbers: dict[str, Any]) -> Picture:
    """Decision regions, the best start of each width above, a stuck one below."""
    rows = numbers["widths"][:_COLUMNS]
    mixed = any(row["solved"] and row["stuck"] for row in rows)
    figure, axes = sheet(1 + mixed, len(rows), height=2.7 + 2.3 * mixed, sharex=True, sharey=True)
    said = []
    for column, row in enumerate(rows):
        width = row["hidden"]
        nets = [("best", trained.best(width))]
        if mixed and row["solved"] and (stuck := trained.stuck(width)) is not None:
            nets.append(("stuck", stuck))
        for ax, (kind, net) in zip(axes[:, column], nets, strict=False):
            drawing.regions(ax, trained.nets.take([net]), trained.points)
            accuracy = trained.accuracy[net]
            name = f"{width} unit{'s' * (width > 1)}" if kind == "best" else "stuck"
            ax.set_title(f"{name}: {percent(accuracy)}", fontsize=TEXT)
            said.append(f"{kind} with {width}: {percent(accuracy)} right")
        for ax in axes[len(nets) :, column]:
            ax.set_axis_off()
            axes[len(nets) - 1, column].tick_params(labelbottom=True)
    return Picture(
        "regions", figure,
        alt=f"Decision regions; {'; '.join(said)}.",
        caption="Background: what the network says of every place. Solid line: its boundary. Dashed: where each "
        "hidden unit "
        "is at one half." + (" Below, where there is one: a start of the same width that is stuck." if mixed else ""),
    )  # fmt: skip


def hidden_picture(trained: Trained) -> Picture | None:
    """Where two hidden units put the points, for a start that solves it and one that does not; None without width 2."""
    if not len(trained.of(2)):
        return None
    best, stuck = trained.best(2), trained.stuck(2)
    shown = [("best start", best)] + ([("a stuck one", stuck)] if stuck not in (None, best) else [])
    figure, axes = sheet(1, len(shown), height=3.95, sharey=True)
    for ax, (name, net) in zip(axes[0], shown, strict=True):
        drawing.hidden_space(ax, trained.nets.take([net]), trained.points)
        ax.set_title(f"{name}: {percent(trained.accuracy[net])}", fontsize=TEXT)
    axes[0, 0].set_ylabel("what unit 2 answers")
    said = "; ".join(f"{name}: {percent(trained.accuracy[net])} on the right side" for name, net in shown)
    return Picture(
        "hidden-space", figure,
        alt=f"The points as two hidden units see them, and the output's straight line between them; {said}.",
        caption="Each point where the two hidden units put it. The line is all that the output unit can draw.",
    )  # fmt: skip


def growth_picture(trained: Trained, numbers: dict[str, Any]) -> Picture:
    """Boundaries of ever wider networks."""
    figure, axes = sheet(2, 3, height=4.9, sharex=True, sharey=True)
    for place, (ax, row) in enumerate(zip(axes.flat, numbers["growing"], strict=True)):
        width = row["hidden"]
        drawing.regions(ax, trained.growing.take([place]), trained.grown_on, units=width <= 4, size=12)
        ax.set_title(f"{width} unit{'s' * (width > 1)}: {percent(row['accuracy'])}", fontsize=TEXT)
    told = "; ".join(f"{row['hidden']}: {percent(row['accuracy'])}" for row in numbers["growing"])
    assert len(GROWTH) == axes.size
    return Picture(
        "growth", figure,
        alt=f"Boundaries on {trained.grown_on.name} for more and more hidden units, with the share right: {told}.",
        caption="Dashed: the line of each hidden unit. The boundary is put together from them, its corners rounded.",
    )  # fmt: skip
