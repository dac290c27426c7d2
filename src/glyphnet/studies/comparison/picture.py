"""A comparison as a picture: accuracy with its interval against the time of the fit."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from ...files import atomic_write, atomic_write_text, make_folder
from ...plots.style import BLUE, INK, LINE, RED, SOFT
from ...units import plural
from .comparing import JSON_FILE, PICTURE_FILE, Comparison, Row

_SIZE = (8.4, 5.6)  # inches
_DPI = 150
_LINE = 130  # characters of the small print on one line
_REACH = (9, 14, 20, 28, 38, 50, 64)  # points from a dot to its label, the nearest that is free
_LEADER = 9  # points; beyond them a line leads to the label
# Right, left, above, below and between: where a label stands, in units of the reach, and how it is aligned.
_PLACES = (
    (1, 0, "left", "center"),
    (-1, 0, "right", "center"),
    (0.8, 0.8, "left", "bottom"),
    (0.8, -0.8, "left", "top"),
    (-0.8, 0.8, "right", "bottom"),
    (-0.8, -0.8, "right", "top"),
    (0, 1, "center", "bottom"),
    (0, -1, "center", "top"),
)


@dataclass(frozen=True)
class _Dot:
    row: Row
    seconds: float
    accuracy: float  # per cent, as are low and high
    low: float
    high: float

    @property
    def ours(self) -> bool:
        return self.row.method.maker == "GlyphNet"


def write_comparison(comparison: Comparison, folder: str | os.PathLike[str]) -> None:
    """Write comparison.json and comparison.png, each all or nothing, into a folder, which is created if needed.

    Raises:
        OSError: the folder cannot be written.
    """
    target = Path(folder)
    make_folder(target)
    text = json.dumps(comparison.to_dict(), ensure_ascii=False, allow_nan=False, indent=2)
    atomic_write_text(target / JSON_FILE, text + "\n")
    with atomic_write(target / PICTURE_FILE) as file:
        picture(comparison).savefig(file, format="png", metadata={"Software": "GlyphNet"})


def picture(comparison: Comparison) -> Figure:
    """Draw accuracy, with Wilson's 95 % interval, against fit time on a logarithmic axis.

    Returns:
        A matplotlib figure that belongs to no window; ``figure.savefig(path)`` writes it.
    """
    figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.095, 0.2, 0.875, 0.66))
    dots = list(_dots(comparison.finished))
    _frame(axes, dots)
    for ours, color, marker, label in (  # the shape distinguishes them, too
        (True, BLUE, "o", "GlyphNet"),
        (False, RED, "D", "other methods"),
    ):
        group = [dot for dot in dots if dot.ours is ours]
        if group:
            _draw(axes, group, color, marker, label)
    if len({dot.ours for dot in dots}) == 2:
        axes.legend(loc="lower right", frameon=False, fontsize=9, labelcolor=INK)
    figure.text(0.03, 0.945, f"{comparison.data}: accuracy against time", color=INK, fontsize=13, weight="bold")
    figure.text(0.03, 0.893, _subtitle(comparison), color=SOFT, fontsize=9)
    figure.text(0.03, 0.03, _footnote(comparison), color=SOFT, fontsize=8, linespacing=1.4)
    figure.draw_without_rendering()
    _label(axes, dots, canvas.get_renderer())  # type: ignore[no-untyped-call]
    return figure


def _dots(rows: Sequence[Row]) -> Iterator[_Dot]:
    for row in rows:
        assert row.evaluation is not None
        interval = row.evaluation.accuracy_interval
        yield _Dot(
            row=row,
            seconds=max(row.fit_seconds or 0.0, 1e-4),
            accuracy=100 * row.evaluation.accuracy,
            low=100 * interval.low,
            high=100 * interval.high,
        )


def _frame(axes: Axes, dots: Sequence[_Dot]) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("time to fit (logarithmic)", color=SOFT, fontsize=9)
    axes.set_ylabel("accuracy on test images, %", color=SOFT, fontsize=9)
    axes.xaxis.set_major_locator(LogLocator(base=10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if dots:
        times = [dot.seconds for dot in dots]
        # A factor of 36 at least: two ticks then, also where there is one dot alone.
        axes.set_xlim(min(min(times) / 2.5, max(times) / 6), max(max(times) * 4, min(times) * 6))
        low, high = min(dot.low for dot in dots), max(dot.high for dot in dots)
        margin = 0.08 * max(high - low, 0.2)
        axes.set_ylim(max(low - margin, -1.0), high + margin)
    else:
        axes.text(0.5, 0.5, "No method finished.", ha="center", color=SOFT, transform=axes.transAxes)
    axes.grid(color=LINE, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=SOFT, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LINE)


def _draw(axes: Axes, dots: Sequence[_Dot], color: str, marker: str, label: str) -> None:
    accuracies = [dot.accuracy for dot in dots]
    below = [max(0.0, dot.accuracy - dot.low) for dot in dots]
    above = [max(0.0, dot.high - dot.accuracy) for dot in dots]
    axes.errorbar(
        [dot.seconds for dot in dots],
        accuracies,
        yerr=[below, above],
        fmt=marker,
        color=color,
        markersize=7 if marker == "o" else 6,
        elinewidth=1.6,
        capsize=3,
        label=label,
        zorder=4 if marker == "o" else 3,
    )


def _label(axes: Axes, dots: Sequence[_Dot], renderer: RendererAgg) -> None:
    """Put each method's name beside its dot, where it covers no other name, dot or interval."""
    taken = [_on_screen(axes, dot) for dot in dots]
    legend = axes.get_legend()
    if legend is not None:
        taken.append(legend.get_window_extent(renderer))
    for dot in sorted(dots, key=lambda dot: -dot.accuracy):
        taken.append(_place(axes, dot, taken, renderer))


def _place(axes: Axes, dot: _Dot, taken: Sequence[Bbox], renderer: RendererAgg) -> Bbox:
    """Write a name at the nearest free place; where there is none, at the last one tried."""
    inside = axes.get_window_extent(renderer)
    for reach in _REACH:
        for right, up, across, along in _PLACES:
            name = _write(axes, dot, (right * reach, up * reach), across, along, leader=reach > _LEADER)
            box = _letters(name, renderer)
            free = not any(box.padded(2.0).overlaps(other) for other in taken)
            if free and inside.containsx(box.x0) and inside.containsx(box.x1) and inside.containsy(box.y1):
                return box
            name.remove()
    return _letters(_write(axes, dot, (9.0, 0.0), "left", "center", leader=False), renderer)


def _write(axes: Axes, dot: _Dot, offset: tuple[float, float], across: str, along: str, *, leader: bool) -> Annotation:
    line = {"arrowstyle": "-", "color": SOFT, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 5} if leader else None
    return axes.annotate(
        dot.row.method.title,
        (dot.seconds, dot.accuracy),
        xytext=offset,
        textcoords="offset points",
        ha=across,
        va=along,
        fontsize=9.5,
        color=INK,
        arrowprops=line,
        zorder=5,
    )


def _letters(name: Annotation, renderer: RendererAgg) -> Bbox:
    """Where the letters are, without the line that leads to them."""
    name.update_positions(renderer)
    return Text.get_window_extent(name, renderer)


def _on_screen(axes: Axes, dot: _Dot) -> Bbox:
    """The dot with its interval, in pixels."""
    (x, low), (_, high) = axes.transData.transform([(dot.seconds, dot.low), (dot.seconds, dot.high)])
    half = 6 * _DPI / 72
    middle = axes.transData.transform((dot.seconds, dot.accuracy))[1]
    return Bbox.from_extents(x - half, min(low, middle - half), x + half, max(high, middle + half))


def _tick(value: float) -> str:
    """``100 ms``, ``1 s``, ``1000 s``: powers of ten without digits behind the point."""
    return f"{value:g} s" if value >= 1 else f"{1000 * value:g} ms"


def _subtitle(comparison: Comparison) -> str:
    threads = plural(comparison.threads, "thread")
    return f"{comparison.counts['test']:,} test images, 95 % intervals (Wilson); one fit each, up to {threads}"


def _footnote(comparison: Comparison) -> str:
    unfinished: dict[str, list[str]] = {}
    for row in comparison.rows:
        if row.evaluation is None:
            reason = "not installed" if row.status == "missing" else row.reason
            unfinished.setdefault(reason, []).append(row.method.title)
    said = "; ".join(f"{', '.join(titles)} ({reason})" for reason, titles in unfinished.items())
    lines = textwrap.wrap(f"Not shown: {said}.", _LINE, max_lines=2, placeholder=" …") if said else []
    return "\n".join([*lines, str(comparison.provenance.get("hardware", ""))])
