"""The lab's pictures, each with what it shows in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...plots.style import BLUE, COOL, HEAT, INK, LINE, RED, SOFT, percent_axis
from ..lab import Picture
from ..sheet import TEXT, sheet
from ..wording import percent
from .settings import Digits, Float64Array
from .stopping import StoppingCourse
from .valley import START, Valley

_WAYS = ((INK, "-"), (SOFT, "-"), (RED, "-"), (BLUE, "-"))


def images_picture(digits: Digits) -> Picture:
    """Five of each class."""
    figure, axes = sheet(1, 1, height=3.7)
    ax = axes[0, 0]
    columns = [np.flatnonzero(digits.labels == digit)[:5] for digit in range(10)]
    gap = ((0, 0), (1, 1), (1, 1))
    wall = np.block([list(np.pad(digits.images[column, :, :, 0], gap)) for column in zip(*columns, strict=True)])
    ax.imshow(wall, cmap="gray_r", interpolation="nearest")
    ax.set_axis_off()
    return Picture(
        "images", figure,
        alt="Five images of each digit, eight by eight pixels: coarse, but a person can read them.",
        caption=f"Some of the {len(digits.labels):,} images, 8×8 pixels of 17 shades.",
    )  # fmt: skip


def course_picture(course: StoppingCourse) -> Picture:
    """Loss, and accuracies, by iteration."""
    figure, axes = sheet(1, 2, height=3.4)
    loss, accuracy = axes[0]
    loss.semilogy(course.iterations, course.loss, color=BLUE, linewidth=2)
    loss.set(title="training loss", xlabel="iteration of L-BFGS")
    accuracy.plot(course.iterations, course.train, color=BLUE, linewidth=2, label="training")
    accuracy.plot(course.iterations, course.validation, color=RED, linewidth=2, linestyle="--", label="validation")
    best, end = course.best, int(course.iterations[-1])
    accuracy.plot(course.iterations[best], course.validation[best], "o", color=INK, markersize=7, label="best")
    accuracy.set(title="accuracy", xlabel="iteration of L-BFGS", ylim=(0.7, 1.01))
    accuracy.legend(frameon=False, fontsize=TEXT - 1, loc="lower right")
    percent_axis(accuracy.yaxis)
    return Picture(
        "iterations", figure,
        alt=f"By iteration: the training loss falls to {course.loss[-1]:.1e} at iteration {end}, where it converges; "
        f"the validation accuracy is highest, {percent(course.validation[best], 1)}, at iteration "
        f"{course.iterations[best]} and {percent(course.validation[-1], 1)} at the end.",
        caption="The loss, left, on a scale of powers of ten. Validation: a fifth of the training images, held out. "
        "The accuracy axis begins at 70 %.",
    )  # fmt: skip


def stopping_picture(stops: list[dict[str, Any]]) -> Picture:
    """On each split: test accuracy when stopped, against converged."""
    figure, axes = sheet(height=3.6)
    ax = axes[0, 0]
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


def spread_picture(rows: list[dict[str, Any]]) -> Picture:
    """Every method on every split."""
    figure, axes = sheet(height=3.6)
    ax = axes[0, 0]
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
    told = "; ".join(f"{row['name']}: mean {percent(row['mean'], 1)}" for row in rows)
    return Picture(
        "spread", figure,
        alt=f"Test accuracy of {len(rows)} methods on {len(rows[0]['accuracies'])} splits. {told}.",
        caption="A dot a split, a bar at the mean.",
    )  # fmt: skip


def valley_picture(valley: Valley, paths: list[Float64Array], numbers: dict[str, Any]) -> Picture:
    """The four ways down, on the map."""
    figure, axes = sheet(2, 2, height=6.0, sharex=True, sharey=True)
    low, high = np.array([-5.0, -3.0]), np.array([5.0, 7.0])
    across, up = (np.linspace(low[axis], high[axis], 120) for axis in range(2))
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    loss = valley.loss(grid)
    levels = loss.min() + (loss.max() - loss.min()) * np.linspace(0.02, 1, 12) ** 2.5
    for ax, path, row, (colour, line) in zip(axes.flat, paths, numbers["ways"], _WAYS, strict=True):
        ax.grid(False)
        ax.contour(across, up, loss, levels=levels, colors=[COOL], linewidths=0.8, alpha=0.7)
        ax.plot(*path.T, color=colour, linestyle=line, linewidth=1.3, marker=".", markersize=5)
        ax.plot(*START, "o", color=HEAT, markersize=8, zorder=3)
        ax.plot(*valley.lowest, "*", color=INK, markersize=12, zorder=3)
        arrived = f"{row['arrived']} steps" if row["arrived"] is not None else "not there"
        ax.set_title(f"{row['name']}: {arrived}", fontsize=TEXT)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    for ax in axes[1]:
        ax.set_xlabel("weight of the ink")
    for ax in axes[:, 0]:
        ax.set_ylabel("weight of the upper half")
    told = "; ".join(
        f"{row['name']}: " + (f"{row['arrived']} steps" if row["arrived"] is not None else "not there")
        for row in numbers["ways"]
    )
    return Picture(
        "valley", figure,
        alt=f"Contour lines of a long narrow valley, and the paths of four optimizers from the same place. {told}.",
        caption=f"Disc: the start. Star: the lowest place. A dot a step, {numbers['steps']} at most.",
    )  # fmt: skip
