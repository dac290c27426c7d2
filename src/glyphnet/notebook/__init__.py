"""How the nouns show themselves in notebooks: pieces of HTML, complete in themselves, without scripts.

A noun hands over plain values, and a template of this folder writes them. Colours are mixed from the notebook's own, so
that the pieces suit light and dark ones. Names of classes and files are text, whatever they hold.
"""

from __future__ import annotations

import base64
import io
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from ..templates import environment
from ..units import page_percent

if TYPE_CHECKING:  # NumPy and the rest are loaded when something is drawn: the command line needs `is_open` alone
    import numpy as np
    import numpy.typing as npt
    from jinja2 import Environment

    UInt8Array: TypeAlias = npt.NDArray[np.uint8]

History: TypeAlias = Sequence[Mapping[str, float | None]]

MOST_PIXELS = 32
"""Pixels of the longer side of a small picture: larger ones are reduced."""


def render(name: str, **values: Any) -> str:
    """What the template ``name`` makes of the values."""
    text = _templates().get_template(f"{name}.html").render(**values)
    return text.encode("utf-8", "replace").decode()  # a file name that is no valid Unicode has lone surrogates


@cache
def _templates() -> Environment:
    templates = environment("notebook")
    templates.filters |= {"number": lambda value: f"{value:,}"}
    return templates


def picture(pixels: UInt8Array) -> str:
    """An image, uint8 (H, W, C), as the source of an ``<img>``."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def strip(images: UInt8Array) -> str:
    """Images, uint8 (N, H, W, C), side by side as one source, large ones reduced."""
    import numpy as np

    step = math.ceil(max(images.shape[1:3]) / MOST_PIXELS)
    small = _reduced(_reduced(images, step, axis=1), step, axis=2)
    gap = np.full((*small.shape[:2], max(1, small.shape[2] // 12), small.shape[3]), 128, np.uint8)
    return picture(np.concatenate([each for pair in zip(gap, small, strict=True) for each in pair][1:], axis=1))


def _reduced(images: UInt8Array, step: int, axis: int) -> UInt8Array:
    """The mean of every ``step`` rows or columns."""
    import numpy as np

    starts = np.arange(0, images.shape[axis], step)
    sums = np.add.reduceat(images, starts, axis=axis, dtype=np.uint32)
    counts = np.diff([*starts, images.shape[axis]]).reshape([-1 if each == axis else 1 for each in range(4)])
    return (sums // counts).astype(np.uint8)


def is_open() -> bool:
    """Whether this process runs the code of a notebook."""
    found = sys.modules.get("IPython")  # a notebook has loaded it, and nobody else needs it
    shell = found.get_ipython() if found is not None else None
    return shell is not None and hasattr(shell, "kernel")


# Learning curves as small drawings

_WIDTH, _HEIGHT = 240, 110


def curves(history: History, best_epoch: int | None = None) -> str:
    """Loss and accuracy of training (dashed) and validation, an epoch after the other."""
    loss = _chart("loss", history, "loss", "val_loss", low=0.0, high=None, best=best_epoch)
    accuracy = _chart("accuracy", history, "accuracy", "val_accuracy", low=None, high=1.0, best=best_epoch)
    return render("curves", charts=[loss, accuracy], epochs=len(history), width=_WIDTH, height=_HEIGHT)


def _chart(
    name: str, history: History, train: str, validation: str, *, low: float | None, high: float | None, best: int | None
) -> dict[str, Any]:
    """One chart: its lines as points, and its ends as text; a given end of the scale stays, the other is measured."""
    lines = {key: [_finite(row.get(key)) for row in history] for key in (train, validation)}
    known = [value for line in lines.values() for value in line if value is not None]
    if not known:
        return {"name": name, "lines": [], "low": "", "high": "", "best": None}
    low, high = min(known) if low is None else low, max(known) if high is None else high
    room = max(high - low, 1e-9)

    def place(number: int, value: float) -> tuple[float, float]:
        across = number / (len(history) - 1) if len(history) > 1 else 0.5
        return round(across * _WIDTH, 1), round((high - value) / room * _HEIGHT, 1)

    drawn = []
    for key, title in ((train, "training"), (validation, "validation")):
        points = [place(number, value) for number, value in enumerate(lines[key]) if value is not None]
        if points:
            drawn.append({"title": title, "points": points, "last": _number(name, _last(lines[key]))})
    at = None if best is None or not 1 <= best <= len(history) else place(best - 1, low)[0]
    return {"name": name, "lines": drawn, "low": _number(name, low), "high": _number(name, high), "best": at}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _last(values: Iterable[float | None]) -> float:
    return [value for value in values if value is not None][-1]


def _number(name: str, value: float) -> str:
    return page_percent(value) if name == "accuracy" else f"{value:.3g}"
