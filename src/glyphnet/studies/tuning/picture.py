"""The pictures of a tuning: how the best came about, what mattered, and each setting against the accuracy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...files import atomic_write, atomic_write_csv, atomic_write_json, atomic_write_text, make_folder
from ...plots.style import BLUE, INK, LINE, RED, SOFT, dress, literal, percent_axis, short, whole_axis
from ...units import percent
from .results import WRITTEN, Trial, Tuning, importance_to_dict, trials_table
from .space import Choice, Dimension, Range

_DPI = 150
_ACROSS = 3  # slices beside each other
_MOST_TICKS = 8  # of a stepped range, each with its value
_AIR = 0.03  # at both ends of a range, as a share of it
_SPREADS = 3.0  # how far below the middle of the finished trials the axis reaches, in distances from there to the best

Float64Array = npt.NDArray[np.float64]


def write_tuning(tuning: Tuning, folder: str | os.PathLike[str]) -> None:
    """Write trials.csv, importance.json, best.yaml and the pictures into a folder, each all or nothing."""
    target = Path(folder)
    make_folder(target)
    trials_file, importance_file, recipe_file, *_ = WRITTEN
    atomic_write_csv(target / trials_file, trials_table(tuning))
    atomic_write_json(target / importance_file, importance_to_dict(tuning))
    if tuning.recipe is not None:
        atomic_write_text(target / recipe_file, tuning.recipe.to_yaml())
    for name, figure in pictures(tuning).items():
        with atomic_write(target / f"{name}.png") as file:
            figure.savefig(file, format="png", metadata={"Software": "GlyphNet"})


def pictures(tuning: Tuning) -> dict[str, Figure]:
    """What can be drawn of these trials, by name; the figures belong to no window."""
    drawn = {"history": _history(tuning), "slices": _slices(tuning)} if tuning.ranked else {}
    return {**drawn, "importance": _importance(tuning)} if tuning.importances else drawn


def _history(tuning: Tuning) -> Figure:
    """The accuracy of every trial, and of the best so far."""
    figure = Figure(figsize=(7.2, 4.0), dpi=_DPI, layout="constrained")
    ax = figure.subplots()
    finished = [trial for trial in tuning.trials if trial.ending == "finished"]
    pruned = [trial for trial in tuning.trials if trial.ending == "pruned" and trial.accuracy is not None]
    dress(ax)
    _limit(ax, finished)
    clipped = _dots(ax, [each.number for each in pruned], _accuracies(pruned), "pruned", SOFT, "x")
    clipped |= _dots(ax, [each.number for each in finished], _accuracies(finished), "finished", BLUE, "o")
    if clipped:
        ax.plot([], [], "v", color=SOFT, markersize=6, label="lower than drawn")
    led = _best_so_far(finished)
    numbers = [*(trial.number for trial in finished), tuning.trials[-1].number]
    ax.step(numbers, [*led, led[-1]], where="post", color=RED, linewidth=1.8, label="best so far")
    if tuning.base_trial is not None:
        ax.axhline(tuning.base_trial.accuracy or 0.0, color=INK, linestyle=":", linewidth=1.2, label="unchanged recipe")
    whole_axis(ax.xaxis)
    ax.set(xlabel="Trial", ylabel="Accuracy, validation images")
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=5, frameon=False, labelcolor=INK, fontsize=9,
        handletextpad=0.4, columnspacing=1.1, handlelength=1.4, borderaxespad=0.2,
    )  # fmt: skip
    _title(figure, tuning, "accuracy, trial by trial")
    return figure


def _importance(tuning: Tuning) -> Figure:
    """A bar a setting, the most important at the top."""
    figure = Figure(figsize=(7.2, 1.5 + 0.36 * len(tuning.importances)), dpi=_DPI, layout="constrained")
    ax = figure.subplots()
    dress(ax)
    names, shares = zip(*reversed([*tuning.importances.items()]), strict=True)
    ax.barh(range(len(names)), shares, color=BLUE, height=0.6)
    for place, share in enumerate(shares):
        ax.annotate(
            percent(share, 0), (share, place), xytext=(4, 0), textcoords="offset points", va="center",
            color=INK, fontsize=9,
        )  # fmt: skip
    ax.set_yticks(range(len(names)), labels=[short(name, 40) for name in names])
    literal(ax.get_yticklabels())
    ax.grid(False, axis="y")
    ax.set_xlim(0, max(shares) * 1.15)
    percent_axis(ax.xaxis)
    ax.set(xlabel="Share of what distinguished the best trials")
    _title(figure, tuning, f"what mattered ({len(tuning.ranked)} finished trials)")
    return figure


def _slice(tuning: Tuning, dimension: Dimension, ax: Axes) -> None:
    """The accuracy of every trial against one setting; the winner is ringed."""
    dress(ax)
    finished = [each for each in tuning.ranked if dimension.name in each.settings]
    _limit(ax, tuning.ranked)
    _dots(ax, _places(dimension, finished), _accuracies(finished), "finished", BLUE, "o")
    if tuning.best is not None and dimension.name in tuning.best.settings:
        place, high = _places(dimension, [tuning.best]), _accuracies([tuning.best])
        ax.plot(
            place, high, "o", markersize=11, markerfacecolor="none", markeredgecolor=RED, markeredgewidth=1.8,
            clip_on=False,
        )  # fmt: skip
    if isinstance(dimension, Choice):
        ax.set_xticks(range(len(dimension.options)), labels=[short(option, 14) for option in dimension.options])
        ax.set_xlim(-0.5, len(dimension.options) - 0.5)
        literal(ax.get_xticklabels())
    else:
        _scale(ax, dimension)
    ax.set_xlabel(dimension.name)
    literal([ax.xaxis.label])


def _scale(ax: Axes, dimension: Range) -> None:
    """The whole range, with a little air at both ends."""
    ends = np.array([dimension.low, dimension.high], dtype=np.float64)
    if dimension.log:
        ax.set_xscale("log")
        ax.tick_params(which="minor", color=LINE)
        ends = np.log(ends)
    elif dimension.step is not None and (ends[1] - ends[0]) / dimension.step < _MOST_TICKS:
        ax.set_xticks(np.arange(ends[0], ends[1] + dimension.step / 2, dimension.step))
    elif dimension.whole:
        whole_axis(ax.xaxis)
    air = _AIR * (ends[1] - ends[0])
    ends += np.array([-air, air])
    ax.set_xlim(*(np.exp(ends) if dimension.log else ends))


def _slices(tuning: Tuning) -> Figure:
    dimensions = tuning.space.dimensions
    across = min(_ACROSS, len(dimensions))
    down = -(-len(dimensions) // across)
    figure = Figure(figsize=(max(5.0, 1.0 + 3.0 * across), 1.0 + 2.5 * down), dpi=_DPI, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharey=True)
    for place, ax in enumerate(axes.flat):
        if place < len(dimensions):
            _slice(tuning, dimensions[place], ax)
        else:
            ax.set_visible(False)
    for row in axes:
        row[0].set_ylabel("Accuracy, validation")
    _title(figure, tuning, "each setting against the accuracy")
    figure.supxlabel(
        "ringed: the winner; arrows at the foot: lower than drawn", color=SOFT, fontsize=9, x=0.02, ha="left"
    )
    return figure


def _title(figure: Figure, tuning: Tuning, what: str) -> None:
    title = figure.suptitle(f"{short(tuning.data, 30)}: {what}", color=INK, fontsize=12, x=0.02, ha="left")
    literal([title])


def _dots(
    ax: Axes, places: Sequence[float] | Float64Array, values: Float64Array, label: str, colour: str, marker: str
) -> bool:
    """A marker a trial; what lies below the axis is shown as an arrow on its edge. Returns whether anything does."""
    if not len(values):
        return False
    x, floor = np.asarray(places, dtype=np.float64), ax.get_ylim()[0]
    inside = values >= floor
    ax.plot(x[inside], values[inside], marker, color=colour, markersize=5.5, alpha=0.8, label=label, linestyle="none")
    if inside.all():
        return False  # nothing, drawn beyond the axes, would still take up room there
    ax.plot(
        x[~inside], np.full((~inside).sum(), floor), "v", color=colour, markersize=6, linestyle="none",
        clip_on=False, zorder=3,
    )  # fmt: skip
    return True


def _limit(ax: Axes, finished: Sequence[Trial]) -> None:
    """Limit the axis to the good trials; one ruined trial would squeeze them together."""
    values = _accuracies(finished)
    best, middle = float(values.max()), float(np.median(values))
    spread = max(best - middle, 1.0 / finished[0].images)
    lowest = max(float(values.min()), middle - _SPREADS * spread, 0.0)
    margin = 0.08 * (best - lowest or 0.01)
    ax.set_ylim(lowest - margin, best + margin)
    percent_axis(ax.yaxis)


def _accuracies(trials: Sequence[Trial]) -> Float64Array:
    return np.array([trial.accuracy for trial in trials], dtype=np.float64)


def _best_so_far(finished: Sequence[Trial]) -> list[float]:
    """The accuracy of the trial that led after each of these."""
    led, found = -1.0, []
    accuracy = 0.0
    for trial in finished:
        if trial.score > led:
            led, accuracy = trial.score, trial.accuracy or 0.0
        found.append(accuracy)
    return found


def _places(dimension: Dimension, trials: Sequence[Trial]) -> list[float]:
    """Where the trials stand along a setting's axis."""
    values = [trial.settings[dimension.name] for trial in trials]
    if isinstance(dimension, Choice):
        return [float(dimension.options.index(str(value))) for value in values]
    return [float(value) for value in values]
