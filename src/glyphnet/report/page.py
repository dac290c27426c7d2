"""Writing the page: data, template, style and scripts into one file that asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from .._version import __version__
from ..evaluation import Evaluation
from ..files import atomic_write
from . import wording
from .curves import History, read_curves
from .payload import payload
from .scale import scale_around
from .sprites import make_sheet

if TYPE_CHECKING:
    from ..classifier import Classifier

# Each may use those before it.
SCRIPTS = (
    "elements", "data", "theme", "chart", "curves", "reliability",
    "viewer", "gallery", "matrix", "classes", "main",
)  # fmt: skip


def write_report(
    path: str | os.PathLike[str],
    evaluation: Evaluation,
    *,
    classifier: Classifier | None = None,
    history: History | None = None,
    best_epoch: int | None = None,
    recipe: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    command: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the report of an evaluation: one HTML file, complete in itself, all or nothing.

    Args:
        path: the file to write.
        evaluation: what is reported.
        classifier: whose answers they are; its network, temperature and threshold are told.
        history: the training's rows, for the learning curves.
        best_epoch: the epoch whose weights were kept; found in the history if it is not given.
        recipe: how it was trained, as plain values; the classifier's own if it is not given.
        notes: sentences about the data that a reader must know.
        command: the command line that makes this again.
        provenance: versions, seed, hardware, time, fingerprints: plain values, may be nested.

    Raises:
        OSError: the file cannot be written.
    """
    history = history or ()
    reading = read_curves(history, best_epoch)
    sheet = make_sheet(evaluation)
    if recipe is None and classifier is not None:
        recipe = classifier.recipe
    text = _environment().get_template("page.html").render(
        evaluation=evaluation,
        digits=wording.digits_for(len(evaluation)),
        scale=scale_around(evaluation.accuracy_interval),
        class_scale=scale_around(*_recalls_and_precisions(evaluation)),
        headline=wording.headline(evaluation),
        mistakes=wording.mistakes(evaluation),
        calibration=wording.calibration(evaluation),
        reading=reading,
        has_curves=len(history) > 1,
        has_lr=any(row.get("lr") is not None for row in history),
        notes=notes,
        command=command,
        making=_tables({"Model": _model(classifier), "Recipe": recipe, "Where and when": provenance}),
        sheet=base64.b64encode(sheet.png).decode(),
        shown=len(sheet.rows),
        version=__version__,
        data=payload(evaluation, sheet, history, reading.best_epoch),
        style=_read("page.css"),
        script=script(),
        hash_of=_hash,
    )  # fmt: skip
    with atomic_write(path) as file:
        # A name that is no valid Unicode has lone surrogates: they become character references.
        file.write(text.encode("utf-8", "xmlcharrefreplace"))


def script() -> str:
    """All scripts of the page as one."""
    parts = "\n".join(_read(f"js/{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as rows of dotted name and text: ``{"a": {"b": 0.1}}`` → ("a.b", "0.1")."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
            yield name, ", ".join(map(str, value))
        elif value not in (None, ""):
            yield name, str(value)


def _tables(parts: Mapping[str, Mapping[str, Any] | None]) -> dict[str, list[tuple[str, str]]]:
    """The rows of each part, of those that have any."""
    return {title: rows for title, values in parts.items() if (rows := list(flat(values or {})))}


def _model(classifier: Classifier | None) -> dict[str, Any]:
    if classifier is None:
        return {}
    height, width, channels = classifier.input_shape
    weights = sum(parameter.numel() for parameter in classifier.network.parameters())
    return {
        "network": classifier.spec.model_dump(mode="json"),
        "parameters": f"{weights:,}",
        "image": f"{height} × {width}, {'grey' if channels == 1 else 'colour'}",
        "temperature": f"{classifier.temperature:.3g}",
        "threshold": "none" if classifier.threshold is None else f"{classifier.threshold:.4g}",
    }


def _recalls_and_precisions(evaluation: Evaluation) -> list[Any]:
    scores = evaluation.classification_report.values()
    figures = [figure for each in scores for figure in (each.precision, each.recall)]
    return [figure.interval for figure in figures if figure.interval is not None]


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = wording.percent
    return environment


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """A source of the content security policy: this very text, and no other, may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
