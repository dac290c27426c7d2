"""Which classes are taken for which: the confusion matrix, and its most frequent mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from .style import COOL, HEAT, INK, RED, SOFT, axes_or_new, literal, name_ticks, room_of, short, tint, whole_axis

Normalize = Literal["true", "pred", "all"]

_OVER = {"true": 1, "pred": 0, "all": None}  # the axis whose sums a cell is a share of
_SMALLEST = 5.0  # points: smaller numbers are left out


def confusion_matrix(
    matrix: npt.ArrayLike, classes: Sequence[str], *, normalize: Normalize | None = None, ax: Axes | None = None
) -> Axes:
    """The confusion matrix as scikit-learn's `ConfusionMatrixDisplay`, in the colours of the report.

    The diagonal is blue, mistakes are orange and the darker the more there are, on a scale of their own: beside what
    is right the few that are wrong would not be seen. Numbers that there is no room for are left out.

    Args:
        matrix: int (K, K): images of class (row) that were predicted as class (column).
        classes: the K class names.
        normalize: as for ``sklearn.metrics.confusion_matrix``: shares of the "true" class, of the class predicted
            ("pred"), of "all"; None for counts.
        ax: axes to draw into, or None.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    counts = np.asarray(matrix)
    side = float(np.clip(1.5 + 0.45 * len(counts), 3.5, 10))
    ax = axes_or_new(ax, side, side)
    ax.grid(False)
    values = counts if normalize is None else _share(counts, _OVER[normalize])
    texts = _written(counts, values, normalize is not None)
    pitch = min(room_of(ax)) / len(counts)
    size = min(10.0, 0.75 * pitch, pitch / (0.65 * max(len(str(text)) for text in texts.flat)))
    right = np.eye(len(counts), dtype=bool)
    display = ConfusionMatrixDisplay(np.where(right, 0, values)).plot(
        ax=ax,
        include_values=size >= _SMALLEST,
        colorbar=False,
        cmap=tint(HEAT, 0.7),
        im_kw={"norm": PowerNorm(0.75, vmin=0, vmax=max(np.where(right, 0, values).max(), 1e-9))},
        text_kw={"color": INK, "fontsize": size},
    )
    display.im_.set_data(np.ma.masked_where(right, values))
    found = np.ma.masked_where(~right, _share(counts, 1))
    ax.imshow(found, cmap=tint(COOL, 0.45), vmin=0, vmax=1, interpolation="nearest")
    if display.text_ is not None:
        for drawn, text in zip(display.text_.flat, texts.flat, strict=True):
            drawn.set_text(text)
    width, height = room_of(ax)
    longest = max(len(short(name)) for name in classes)
    name_ticks(ax.xaxis, classes, width, rotated=5.5 * longest > pitch)
    name_ticks(ax.yaxis, classes, height)
    ax.set(xlabel="Predicted", ylabel="True")
    return ax


def confused_pairs(pairs: Sequence[tuple[str, str]], counts: Sequence[int], *, ax: Axes | None = None) -> Axes:
    """The kinds of mistake as bars, in the order given.

    Args:
        pairs: M times the name of the true class and that of the predicted one.
        counts: how often each happened.
        ax: axes to draw into, or None.
    """
    ax = axes_or_new(ax, 5.5, 1.2 + 0.27 * len(pairs))
    ax.grid(False, axis="y")
    places = np.arange(len(pairs))
    bars = ax.barh(places, counts, height=0.65, color=RED, alpha=0.8)
    ax.bar_label(bars, padding=3, color=INK, fontsize=9)
    ax.set_yticks(places, labels=[f"{short(true)} → {short(guess)}" for true, guess in pairs])
    literal(ax.get_yticklabels())
    ax.set_ylim(len(pairs) - 0.4, -0.6)
    whole_axis(ax.xaxis)
    ax.margins(x=0.1)
    ax.set(xlabel="Images, true → predicted")
    if not pairs:
        ax.text(0.5, 0.5, "no mistakes", transform=ax.transAxes, ha="center", va="center", color=SOFT)
    return ax


def _share(counts: npt.NDArray[np.integer], over: int | None) -> npt.NDArray[np.float64]:
    """Each count as a share of the sum over an axis; 0 where that has no image, as in scikit-learn."""
    sums = np.broadcast_to(counts.sum(axis=over, keepdims=True), counts.shape)
    share: npt.NDArray[np.float64] = np.divide(counts, sums, out=np.zeros(counts.shape), where=sums > 0)
    return share


def _percent(share: float) -> str:
    """Whole per cents; what is not quite all or nothing is never rounded to it."""
    if 0.995 <= share < 1:
        return ">99"
    return "<1" if share < 0.005 else f"{100 * share:.0f}"


def _written(
    counts: npt.NDArray[np.integer], values: npt.NDArray[np.number], normalized: bool
) -> npt.NDArray[np.object_]:
    """What stands in each cell: counts, or per cents of what is not 0; nothing where there is no image."""
    texts = np.empty(counts.shape, dtype=object)
    for place, count in np.ndenumerate(counts):
        if normalized:
            texts[place] = _percent(float(values[place])) if count else ""
        else:
            texts[place] = f"{count:,}" if count or place[0] == place[1] else ""
    return texts
