"""A comparison as a picture: accuracy with its interval, and the time of the fit, a line for each method."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ...files import atomic_write, atomic_write_json, make_folder
from ...plots.style import BLUE, INK, LINE, RED, SOFT, dress, literal, percent_axis
from ...units import plural
from .comparing import JSON_FILE, PICTURE_FILE, Comparison

_DPI = 150
_LINE = 130  # characters of the small print on one line


def write_comparison(comparison: Comparison, folder: str | os.PathLike[str]) -> None:
    """Write comparison.json and comparison.png, each all or nothing, into a folder, which is created if needed."""
    target = Path(folder)
    make_folder(target)
    atomic_write_json(target / JSON_FILE, comparison.to_dict())
    with atomic_write(target / PICTURE_FILE) as file:
        picture(comparison).savefig(file, format="png", metadata={"Software": "GlyphNet"})


def picture(comparison: Comparison) -> Figure:
    """Draw each method's accuracy with Wilson's 95 % interval, and its fit time on a logarithmic axis, best on top.

    Returns:
        A matplotlib figure that belongs to no window; ``figure.savefig(path)`` writes it.
    """
    height = 2.2 + 0.34 * max(len(comparison.finished), 3)
    figure = Figure(figsize=(8.4, height), dpi=_DPI, facecolor="white")
    figure.set_layout_engine("constrained", rect=(0.02, 0.65 / height, 0.96, 1 - 1.4 / height))
    accuracies, times = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _draw(comparison, dress(accuracies), dress(times))
    top = 1 - 0.3 / height
    figure.text(0.03, top, f"{comparison.data}: accuracy and time", color=INK, fontsize=13, weight="bold", va="center")
    figure.text(0.03, top - 0.3 / height, _subtitle(comparison), color=SOFT, fontsize=9, va="center")
    figure.text(0.03, 0.15 / height, _footnote(comparison), color=SOFT, fontsize=8, linespacing=1.4)
    return figure


def _draw(comparison: Comparison, accuracies: Axes, times: Axes) -> None:
    rows = comparison.finished[::-1]
    # The shape distinguishes them, too.
    for ours, colour, marker, label in ((True, BLUE, "o", "GlyphNet"), (False, RED, "D", "other methods")):
        group = [at for at, row in enumerate(rows) if (row.method.maker == "GlyphNet") is ours]
        evaluations = [evaluation for at in group if (evaluation := rows[at].evaluation) is not None]
        if not group:
            continue
        values = [each.accuracy for each in evaluations]
        below = [max(0.0, each.accuracy - each.accuracy_interval.low) for each in evaluations]
        above = [max(0.0, each.accuracy_interval.high - each.accuracy) for each in evaluations]
        accuracies.errorbar(
            values, group, xerr=[below, above], fmt=marker, color=colour, markersize=6, elinewidth=1.6, capsize=3,
            label=label,
        )  # fmt: skip
        times.plot([max(rows[at].fit_seconds or 0.0, 1e-4) for at in group], group, marker, color=colour, markersize=6)
    accuracies.set_yticks(range(len(rows)), labels=[row.method.title for row in rows])
    literal(accuracies.get_yticklabels())
    accuracies.set_ylim(-0.6, max(len(rows), 1) - 0.4)
    percent_axis(accuracies.xaxis)
    accuracies.locator_params(axis="x", nbins=5)
    accuracies.set_xlabel("accuracy on test images")
    times.set(xscale="log", xlabel="time to fit (logarithmic)")
    times.xaxis.set_major_locator(LogLocator(base=10))
    times.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g} s" if value >= 1 else f"{1000 * value:g} ms")
    )
    times.xaxis.set_minor_formatter(NullFormatter())
    times.tick_params(which="minor", color=LINE)
    if not rows:
        accuracies.text(0.5, 0.5, "No method finished.", ha="center", color=SOFT, transform=accuracies.transAxes)
        return
    seconds = [max(row.fit_seconds or 0.0, 1e-4) for row in rows]
    # A factor of 36 at least: two ticks then, also where there is one dot alone.
    times.set_xlim(min(min(seconds) / 2.5, max(seconds) / 6), max(max(seconds) * 2.5, min(seconds) * 6))
    if len(accuracies.get_legend_handles_labels()[1]) == 2:
        accuracies.legend(loc="best", frameon=False, fontsize=9, labelcolor=INK).set_in_layout(False)


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
