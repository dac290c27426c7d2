"""An Evaluation as notebooks show it: a small piece of HTML, complete in itself, with no script."""

from __future__ import annotations

import base64
import io
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from jinja2 import Template

    from .evaluation import Evaluation
    from .intervals import Figure

_MOST_CLASSES = 20  # of a matrix that is still a table to read; of more, the most confused pairs are listed
_MOST_IMAGES = 12
_IN_NATS = ("log_loss",)  # all other figures are shares
_NAMES = {"macro_f1": "Macro F1"}


def repr_html(evaluation: Evaluation) -> str:
    """The figures with their intervals, the confusion matrix or the most confused pairs, and the worst mistakes.

    Names of classes and files are text, whatever they hold. Colours are mixed from the notebook's own.
    """
    rejection = evaluation.rejection
    text = _template().render(
        evaluation=evaluation,
        figures=[_written(name, figure) for name, figure in evaluation.figures.items()],
        rejected=[_written(name, getattr(rejection, name)) for name in ("coverage", "accuracy")] if rejection else [],
        matrix=_shaded(evaluation.confusion_matrix) if len(evaluation.classes) <= _MOST_CLASSES else None,
        pairs=evaluation.most_confused(),
        worst=[_image(evaluation, row) for row in evaluation.top_losses(_MOST_IMAGES) if not evaluation.correct[row]],
    )
    return text.encode("utf-8", "replace").decode()  # a file name that is no valid Unicode has lone surrogates


def _written(name: str, figure: Figure) -> dict[str, str]:
    write = _nats if name in _IN_NATS else _percent
    interval = figure.interval
    return {
        "name": _NAMES.get(name, name.replace("_", " ").capitalize()),
        "value": write(figure.value) if figure.n else "–",
        "interval": "–" if interval is None else f"{write(interval.low)} to {write(interval.high)}",
        "n": f"{figure.n:,}",
    }


def _nats(value: float) -> str:
    return f"{value:.4f}"


def _percent(share: float) -> str:
    """Two digits; what is not quite 100 % or 0 % is never rounded to it."""
    if 0.99995 <= share < 1:
        return ">99.99\u202f%"
    return "<0.01\u202f%" if 0 < share < 0.00005 else f"{100 * share:.2f}\u202f%"


def _shaded(matrix: npt.NDArray[np.int64]) -> list[list[tuple[int, int]]]:
    """Each cell's count and how strongly it is coloured, 0 to 100: mistakes by the most frequent, hits by their row."""
    right = np.eye(len(matrix), dtype=bool)
    most = max(1, int(np.where(right, 0, matrix).max()))
    rows = np.maximum(1, matrix.sum(axis=1, keepdims=True))
    strength = np.where(right, 45 * matrix / rows, 70 * (matrix / most) ** 0.75).round().astype(np.int64)
    return [list(zip(*both, strict=True)) for both in zip(matrix.tolist(), strength.tolist(), strict=True)]


def _image(evaluation: Evaluation, row: int) -> dict[str, Any]:
    from PIL import Image

    pixels = evaluation.images[row]
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return {
        "png": base64.b64encode(file.getvalue()).decode(),
        "true": evaluation.classes[evaluation.labels[row]],
        "predicted": evaluation.classes[evaluation.predictions[row]],
        "confidence": f"{100 * evaluation.confidence[row]:.1f}\u202f%",
        "file": evaluation.names[row],
    }


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath("notebook.html").read_text(encoding="utf-8"))
