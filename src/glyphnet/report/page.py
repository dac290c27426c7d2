"""Writing the page: data, template, style and scripts into one file that asks the network for nothing."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment

from .._version import __version__
from ..data import Finding, Splits, look_over
from ..data.dataset import size_in_words
from ..evaluation import Evaluation
from ..evaluation.embedding import embedding_sample
from ..evaluation.evaluate import findings_of
from ..files import atomic_write
from ..pages.bundle import bundle, environment, hash_of, read
from ..units import digits_for, page_percent
from . import text
from .advice import advise
from .curves import History, read_curves, scale_around
from .data import view_data
from .embedding import project
from .labels import SuspectPart, show_parts
from .payload import payload
from .saliency import saliency_sheet
from .sheets import Tiles, make_sheet

if TYPE_CHECKING:
    from ..classifier import Classifier

SECTIONS = {
    "imbalance": "data-view", "imbalance_judged": "classes", "blank": "data-view", "few_levels": "data-view",
    "few_images": "data-view", "overfitting": "learning", "loss_jump": "learning", "near_chance": "mistakes",
    "learning_rate_high": "learning", "learning_rate_low": "learning",
}  # fmt: skip
"""Where the page shows more on a finding, by its code."""

STYLES = (
    "page.css",
    "css/headline.css",
    "css/viewer.css",
    "css/confidence.css",
    "css/labels.css",
    "css/data.css",
    "css/embedding.css",
)


def write_report(
    path: str | os.PathLike[str],
    evaluation: Evaluation,
    *,
    classifier: Classifier | None = None,
    history: History | None = None,
    best_epoch: int | None = None,
    recipe: Mapping[str, Any] | None = None,
    splits: Splits | None = None,
    suspects: Sequence[SuspectPart] = (),
    findings: Sequence[Finding] = (),
    command: str = "",
    model: str = "MODEL",
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the report of an evaluation: one HTML file, complete in itself, all or nothing.

    Args:
        path: the file to write.
        evaluation: what is reported.
        classifier: whose answers they are: its network, temperature and threshold are told, and what it looked at
            and how it arranges the images are shown. None leaves that out.
        history: the training's rows, for the learning curves.
        best_epoch: the epoch whose weights were kept; found in the history if it is not given.
        recipe: how it was trained, as plain values; the classifier's own if it is not given.
        splits: all the data, where they are known; the judged images alone are shown otherwise.
        suspects: labels that look wrong, part by part; the parts that were looked through, be it in vain.
        findings: what a reader of the figures must know; those of the answers and of ``splits`` are added.
        command: the command line that makes this again.
        model: what to call the model file in commands.
        provenance: versions, seed, hardware, time, fingerprints: plain values, may be nested.

    Raises:
        OSError: the file cannot be written.
    """
    history = history or ()
    reading = read_curves(history, best_epoch)
    view, shown = view_data(evaluation, splits), show_parts(suspects)
    pictures = _pictures(evaluation, classifier)
    sheets = {**pictures.pop("sheets"), "data": view.tiles, **{each.sheet: each.tiles for each in shown if each.tiles}}
    if recipe is None and classifier is not None:
        recipe = classifier.recipe
    html = _environment().get_template("page.html").render(
        evaluation=evaluation,
        **_figures(evaluation),
        **pictures,
        reading=reading,
        has_curves=len(history) > 1,
        has_lr=any(row.get("lr") is not None for row in history),
        advice=advise(evaluation, reading, view, shown),
        view=view,
        suspects=shown,
        training_checked=any(each.name == "train" for each in suspects),
        findings=[(each.sentence, SECTIONS.get(each.code)) for each in _all(findings, evaluation, splits)],
        command=command,
        model=model,
        making=_tables({"Model": _model(classifier), "Recipe": recipe, "Where and when": provenance}),
        sheets=sheets,
        version=__version__,
        data=payload(
            evaluation, sheets=sheets, history=history, best_epoch=reading.best_epoch, suspects=shown, **pictures
        ),
        style=style(),
        script=bundle("report/js/main.js"),
        hash_of=hash_of,
    )  # fmt: skip
    with atomic_write(path, follow=True) as file:
        # A name that is no valid Unicode has lone surrogates: they become character references.
        file.write(html.encode("utf-8", "xmlcharrefreplace"))


def _all(findings: Sequence[Finding], evaluation: Evaluation, splits: Splits | None) -> list[Finding]:
    """The findings, and those of the answers and of the data that are not among them."""
    others = (*findings_of(evaluation), *(look_over(splits).findings if splits is not None else ()))
    codes = {each.code for each in findings}
    return [*findings, *(each for each in others if each.code not in codes)]


def _pictures(evaluation: Evaluation, classifier: Classifier | None) -> dict[str, Any]:
    """The images of the page, what the classifier looked at in them, and how it arranges them."""
    if classifier is None:
        sheet = make_sheet(evaluation)
        return {"sheets": {"images": sheet.tiles}, "sheet": sheet, "saliency": None, "projection": None}
    sample = embedding_sample(evaluation)
    sheet = make_sheet(evaluation, also=sample)
    saliency = saliency_sheet(classifier, evaluation, sheet)
    sheets: dict[str, Tiles] = {"images": sheet.tiles, "saliency": saliency.tiles}
    projection = project(classifier, evaluation, sheet, sample)
    return {"sheets": sheets, "sheet": sheet, "saliency": saliency, "projection": projection}


def _figures(evaluation: Evaluation) -> dict[str, Any]:
    """What the sections on figures say of them."""
    great = evaluation.figures[evaluation.headline]
    return {
        "digits": digits_for(len(evaluation)),
        "great": great,
        "scale": scale_around(great.interval or evaluation.accuracy_interval),
        "class_scale": scale_around(*_recalls_and_precisions(evaluation)),
        "headline": text.headline(evaluation),
        "mistakes": text.mistakes(evaluation),
        "calibration": text.calibration(evaluation),
        "temperature": text.temperature(evaluation),
        "rejection": text.rejection(evaluation),
        "sets": text.sets(evaluation),
    }


def style() -> str:
    """All style sheets of the page as one."""
    return "\n".join(map(read, ("pages/house.css", *(f"report/{name}" for name in STYLES))))


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
        "image": f"{size_in_words(height, width)}, {'grey' if channels == 1 else 'colour'}",
        "temperature": f"{classifier.temperature:.3g}",
        "threshold of the confidence": _number(classifier.threshold),
        "threshold of the foreign score": _number(classifier.foreign_threshold),
        "prototypes": "none" if classifier.prototypes is None else str(len(classifier.prototypes.directions)),
    }


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _recalls_and_precisions(evaluation: Evaluation) -> list[Any]:
    scores = evaluation.classification_report.values()
    figures = [figure for each in scores for figure in (each.precision, each.recall)]
    return [figure.interval for figure in figures if figure.interval is not None]


@cache
def _environment() -> Environment:
    """The page's templates; in a process that writes several reports they are compiled once."""
    templates = environment("report")
    templates.filters["percent"] = page_percent
    templates.filters["zip"] = lambda *columns: zip(*columns, strict=True)
    templates.filters["base64"] = lambda content: base64.b64encode(content).decode()
    return templates
