"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from .style import BLUE, INK, RED, dress, legend, percent_axis, whole_axis

# The curves of each panel: column of history.csv, name, colour, line.
_PANELS = {
    "loss": (("loss", "training", BLUE, "-"), ("val_loss", "validation", RED, "--")),
    "accuracy": (("accuracy", "training", BLUE, "-"), ("val_accuracy", "validation", RED, "--")),
    "lr": (("lr", "", BLUE, "-"),),
}
_TITLES = {"loss": "Loss", "accuracy": "Accuracy", "lr": "Learning rate"}


def learning_curves(
    history: Sequence[Mapping[str, float | int | None]],
    *,
    best_epoch: int | None = None,
    panels: Sequence[str] = ("loss", "accuracy"),
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Loss, accuracy or learning rate over the epochs, training solid, validation dashed.

    Args:
        history: a row an epoch with the columns of history.csv; what was not measured is None or NaN.
        best_epoch: marked in every panel; or None.
        panels: of "loss", "accuracy" and "lr", those to draw.
        axes: one for each panel, or None for a new figure.

    Raises:
        ValueError: there is no such panel, or there are not as many axes as panels.
    """
    unknown = [panel for panel in panels if panel not in _PANELS]
    if unknown or not panels:
        raise ValueError(f"panels (={tuple(panels)}) must be some of {', '.join(map(repr, _PANELS))}.")
    if axes is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(4.2 * len(panels) + 0.6, 3.4), layout="constrained")
        axes = list(figure.subplots(1, len(panels), squeeze=False)[0])
    if len(axes) != len(panels):
        raise ValueError(f"{len(axes)} axes were given for {len(panels)} panels: there must be as many.")
    for ax, panel in zip(axes, panels, strict=True):
        _draw(dress(ax), panel, history, best_epoch)
    return tuple(axes)


def _draw(ax: Axes, panel: str, history: Sequence[Mapping[str, float | int | None]], best_epoch: int | None) -> None:
    epochs = _column(history, "epoch")
    for key, name, colour, line in _PANELS[panel]:
        values = _column(history, key)
        if np.isfinite(values).any():
            dot = "o" if np.isfinite(values).sum() == 1 else None  # one epoch makes no line
            ax.plot(epochs, values, color=colour, linestyle=line, linewidth=1.8, marker=dot, label=name or None)
    if best_epoch is not None:
        label = "best epoch" if panel != "lr" else None
        ax.axvline(best_epoch, color=INK, linestyle=":", linewidth=1.2, label=label)
    if panel == "accuracy":
        percent_axis(ax.yaxis)
    whole_axis(ax.xaxis)
    ax.set(xlabel="Epoch", title=_TITLES[panel])
    legend(ax)


def _column(history: Sequence[Mapping[str, float | int | None]], key: str) -> npt.NDArray[np.float64]:
    values = [row.get(key) for row in history]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
