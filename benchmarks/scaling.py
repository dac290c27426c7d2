"""Measures time and peak memory of training and prediction as images, pixels, classes and the batch grow.

    python benchmarks/scaling.py [--axes images side classes batch] [--most 1000000] [--rounds 1] [--record]

One axis grows and the rest stays: see AXES. Each point is a process of its own that trains for one epoch with the
network and the optimizer of the preset "fast", after a training of two steps that is not counted, and then predicts the
same images. They are random bytes in a file that is mapped, not read; it lies in the disk's cache.

Memory is the process' own (anonymous) at its peak, PyTorch itself included; beside it stands what was resident, which
counts the pages of the file that are in memory, too. The exponent is the slope of a straight line through the
logarithms of all points, and between the two largest: 1 is linear, 0 is no growth.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _results import arguments_parser, publish
from _turns import script
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from glyphnet.plots.style import BLUE, RED, SOFT, dress, legend

PICTURE = Path(__file__).with_suffix(".png")
CHUNK = 10_000  # images written at one time
MEGABYTE = 1e6


@dataclass(frozen=True)
class Point:
    """The size of a training: images, pixels along a side, classes, images a step."""

    images: int = 20_000
    side: int = 28
    classes: int = 10
    batch: int = 256


@dataclass(frozen=True)
class Axis:
    """What grows, from where to where, what it costs in proportion to, and the rest."""

    title: str
    values: tuple[int, ...]
    power: int = 1  # of the value, to which work is proportional
    base: Point = Point()


AXES = {
    "images": Axis("images", (1_000, 10_000, 100_000, 1_000_000)),
    "side": Axis("pixels of an image", (8, 16, 28, 56, 112, 224), power=2, base=Point(images=4_000)),
    "classes": Axis("classes", (10, 30, 100, 300, 1_000)),
    "batch": Axis("images a step", (16, 64, 256, 1_024, 4_096)),
}


@dataclass(frozen=True)
class Row:
    """What a point took: seconds, and bytes at the peak."""

    size: int
    point: Point
    train: float
    predict: float
    own: float
    resident: float


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES), metavar="AXIS")
    parser.add_argument("--most", type=int, default=1_000_000, help="leave out points of more images")
    parser.add_argument("--rounds", type=int, default=1, help="times that each axis is gone along; medians count")
    arguments = parser.parse_args()
    found: dict[str, list[Row]] = {}
    lines = []
    for name in arguments.axes:
        found[name] = measure(name, arguments.most, arguments.rounds)
        lines += [*table(AXES[name], found[name]), ""]
    publish("scaling", lines[:-1], recorded=arguments.record)
    if arguments.record:
        picture(found).savefig(PICTURE)


def measure(name: str, most: int, rounds: int) -> list[Row]:
    axis = AXES[name]
    points = {value**axis.power: replace(axis.base, **{name: value}) for value in axis.values}
    if name == "images":
        points = {size: point for size, point in points.items() if point.images <= most}
    else:
        points = {size: replace(point, images=min(point.images, most)) for size, point in points.items()}
    with tempfile.TemporaryDirectory() as scratch:
        answers: dict[int, list[dict[str, float]]] = {size: [] for size in points}
        for _ in range(rounds):
            for size, point in points.items():
                answers[size].append(run(point, Path(scratch)))
                print(f"  {axis.title} {size:,}: {answers[size][-1]}", file=sys.stderr, flush=True)
    return [
        Row(size, points[size], **{key: statistics.median(each[key] for each in told) for key in told[0]})
        for size, told in answers.items()
    ]


def run(point: Point, folder: Path) -> dict[str, float]:
    """One point, in a process of its own."""
    path = folder / f"{point.images}-{point.side}.npy"
    if not path.exists():
        for old in folder.iterdir():  # a million images take most of a gigabyte
            old.unlink()
        write_images(path, point)
    command = [sys.executable, script("_scaling_point.py"), str(path)]
    command += ["--classes", str(point.classes), "--batch", str(point.batch)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def write_images(path: Path, point: Point) -> None:
    generator = np.random.default_rng(0)
    shape = (point.images, point.side, point.side, 1)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    for start in range(0, point.images, CHUNK):
        part = images[start : start + CHUNK]
        part[:] = generator.integers(256, size=part.shape, dtype=np.uint8)
    images.flush()


def table(axis: Axis, rows: list[Row]) -> list[str]:
    first = rows[0].point
    rest = {
        "images": f"{first.images:,} images",
        "side": f"{first.side}×{first.side}",
        "classes": f"{first.classes} classes",
    }
    rest["batch"] = f"batch {first.batch}"
    fixed = ", ".join(text for name, text in rest.items() if AXES[name] is not axis)
    lines = [
        f"| {axis.title} ({fixed}) | an epoch, s | images/s | prediction, s | memory of its own, MB | resident, MB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.size:,} | {row.train:.3f} | {row.point.images / row.train:,.0f} | {row.predict:.3f} "
        f"| {row.own / MEGABYTE:,.0f} | {row.resident / MEGABYTE:,.0f} |"
        for row in rows
    ]
    if len(rows) < 2:
        return lines
    told = [
        f"{what} {exponent(rows, key):.2f} ({exponent(rows[-2:], key):.2f})"
        for what, key in (("training time", "train"), ("prediction time", "predict"), ("memory", "own"))
    ]
    grown = rows[-1].own - rows[0].own
    return [
        *lines,
        "",
        f"Exponent over all points (over the last two): {', '.join(told)}. "
        f"Memory from least to most: {grown / MEGABYTE:+,.0f} MB.",
    ]


def exponent(rows: list[Row], key: str) -> float:
    """The slope of the logarithm of a figure over that of the size."""
    sizes = np.log([row.size for row in rows])
    return float(np.polyfit(sizes, np.log([getattr(row, key) for row in rows]), 1)[0])


def picture(found: dict[str, list[Row]]) -> Figure:
    """Time above and memory below, a column an axis."""
    figure = Figure(figsize=(3.6 * len(found), 5.6), dpi=130, layout="constrained")
    panels = figure.subplots(2, len(found), squeeze=False)
    for column, (name, rows) in enumerate(found.items()):
        times, memory = panels[:, column]
        sizes = [row.size for row in rows]
        for ax in (times, memory):
            dress(ax).set(xscale="log", xlabel=AXES[name].title)
        times.set_yscale("log")
        times.plot(sizes, [row.train for row in rows], "o-", color=BLUE, label="training, an epoch")
        times.plot(sizes, [row.predict for row in rows], "D--", color=RED, markersize=5, label="prediction")
        memory.plot(sizes, [row.own / MEGABYTE for row in rows], "o-", color=BLUE, label="its own")
        memory.plot(sizes, [row.resident / MEGABYTE for row in rows], "D--", color=RED, markersize=5, label="resident")
        _proportional(times, rows, name)
        memory.set_ylim(0, 1.5 * max(row.resident for row in rows) / MEGABYTE)
        times.set_ylim(min(row.predict for row in rows) / 3, max(row.train for row in rows) * 12)
        for axis in (times.xaxis, times.yaxis, memory.xaxis, memory.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        for ax in (times, memory):
            ax.minorticks_off()
        times.set_title(f"Time against {AXES[name].title}", fontsize=10, loc="left")
        memory.set_title(f"Peak memory against {AXES[name].title}", fontsize=10, loc="left")
        times.set_ylabel("seconds")
        memory.set_ylabel("megabytes")
        legend(times)
        legend(memory, "upper left")
    return figure


def _proportional(ax: Axes, rows: list[Row], name: str) -> None:
    """A dotted line through the last point: where time in proportion to the size would be."""
    if name in ("images", "side"):
        sizes = np.array([row.size for row in rows], dtype=float)
        ax.plot(sizes, rows[-1].train * sizes / sizes[-1], ":", color=SOFT, linewidth=1.2, label="in proportion")


if __name__ == "__main__":
    main()
