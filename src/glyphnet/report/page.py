"""Writing the page: data, template, style and scripts into one file that asks the network for nothing."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment

from .._version import __version__
from ..data import Finding, Splits, look_over
from ..data.dataset import size_in_words
from ..evaluation import Evaluation
from ..evaluation.embedding import embedding_sample
from ..evaluation.evaluate import findings_of
from ..filekinds import check_suffix
from ..files import atomic_write
from ..pages.bundle import bundle, hash_of, script_json
from ..templates import environment, read
from ..units import digits_for, page_percent
from . import text
from .advice import advise
from .curves import History, read_curves, scale_around, validation_leads
from .data import ShownPart, SuspectPart, key_of, show_parts, view_data
from .embedding import Projection, project
from .sheets import SaliencySheet, Sheet, Tiles, base64_of, make_sheet, saliency_sheet

if TYPE_CHECKING:
    from ..classifier import Classifier

SECTIONS = {
    "imbalance": "data-view", "imbalance_judged": "classes", "blank": "data-view", "few_levels": "data-view",
    "few_images": "data-view", "overfitting": "learning", "loss_jump": "learning", "near_chance": "mistakes",
    "learning_rate_high": "learning", "learning_rate_low": "learning",
}  # fmt: skip
"""Where the page shows more on a finding, by its code."""

FEWEST_EPOCHS = 2  # of a curve: two points make a straight line, which says nothing
MOST_BARS = 10  # classes shown for an image, the most probable ones
CURVES = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr")

STYLES = (
    "page.css", "css/headline.css", "css/viewer.css", "css/confidence.css", "css/labels.css", "css/data.css",
    "css/embedding.css",
)  # fmt: skip


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
        classifier: adds its network, temperature and thresholds, what it looked at and how it arranges the images.
        history: the training's rows, for the learning curves.
        best_epoch: the epoch whose weights were kept; found in the history if it is not given.
        recipe: how it was trained, as plain values; the classifier's own if it is not given.
        splits: all the data; without them only the judged images are shown.
        suspects: each part whose labels were checked, with those that look wrong.
        findings: what a reader of the figures must know; those of the answers and of ``splits`` are added.
        command: the command line that makes this again.
        model: what to call the model file in commands.
        provenance: versions, seed, hardware, time, fingerprints: plain values, may be nested.

    Raises:
        OutputError: the name says that it is no web page.
        OSError: the file cannot be written.
    """
    check_suffix(path, (".html",))
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
        validation_leads=validation_leads(history),
        has_curves=len(history) > 1,
        draws_curves=len(history) > FEWEST_EPOCHS,
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
        data=_payload(
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
    rows = sample[np.isin(sample, sheet.rows)]
    features = classifier.features(np.asarray(evaluation.images[rows]), as_is=True)
    with ThreadPoolExecutor(1) as beside:  # NumPy arranges the images while PyTorch makes the maps
        projected = beside.submit(project, features, evaluation, sheet, rows)
        saliency = saliency_sheet(classifier, evaluation, sheet)
        projection = projected.result()
    sheets: dict[str, Tiles] = {"images": sheet.tiles, "saliency": saliency.tiles}
    return {"sheets": sheets, "sheet": sheet, "saliency": saliency, "projection": projection}


def _figures(evaluation: Evaluation) -> dict[str, Any]:
    """What the sections on figures say of them."""
    great = evaluation.figures[evaluation.headline]
    scores = evaluation.classification_report.values()
    of_classes = [figure.interval for each in scores for figure in (each.precision, each.recall) if figure.interval]
    worded = (text.headline, text.mistakes, text.calibration, text.temperature, text.rejection, text.sets)
    return {
        "digits": digits_for(len(evaluation)),
        "great": great,
        "scale": scale_around(great.interval or evaluation.accuracy_interval),
        "class_scale": scale_around(*of_classes),
        **{each.__name__: each(evaluation) for each in worded},
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


@cache
def _environment() -> Environment:
    """The page's templates; in a process that writes several reports they are compiled once."""
    templates = environment("report")
    templates.filters["percent"] = page_percent
    templates.filters["zip"] = lambda *columns: zip(*columns, strict=True)
    templates.filters["base64"] = lambda content: base64.b64encode(content).decode()
    return templates


# The data that the scripts of the page draw


def _payload(
    evaluation: Evaluation, sheet: Sheet, sheets: Mapping[str, Tiles], history: History, best_epoch: int | None,
    saliency: SaliencySheet | None, projection: Projection | None, suspects: Sequence[ShownPart],
) -> str:  # fmt: skip
    """Everything the page's scripts need, as JSON.

    Arrays over the images of the sheet are base64 of little-endian uint16 (classes; probabilities times
    65,535), int32 (places on other sheets, -1 for none) and float32 (confidence and loss, which order the
    images).
    """
    scaled = evaluation.temperature != 1
    before = [asdict(each) for each in evaluation.uncalibrated.reliability] if scaled else None
    return script_json(
        {
            "classes": list(evaluation.classes),
            "matrix": evaluation.confusion_matrix.tolist(),
            "sheets": {name: tiles.layout for name, tiles in sheets.items()},
            "images": _images(evaluation, sheet),
            "saliency": saliency and {"tiles": base64_of(saliency.places, "<i4"), "count": saliency.tiles.count},
            "history": {key: [_finite(row.get(key)) for row in history] for key in CURVES},
            "bestEpoch": best_epoch,
            "reliability": [asdict(each) for each in evaluation.reliability],
            "reliabilityBefore": before,
            "coverage": _coverage(evaluation),
            "embedding": projection and projection.payload,
            "labels": {"key": key_of(suspects), "parts": [each.payload() for each in suspects]},
        }
    )


def _images(evaluation: Evaluation, sheet: Sheet) -> dict[str, object]:
    rows = sheet.rows
    probabilities = evaluation.probabilities[rows]
    bars = min(MOST_BARS, len(evaluation.classes))
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :bars]
    return {
        "all": len(evaluation),
        "count": len(rows),
        "bars": bars,
        "names": [evaluation.names[row] for row in rows],
        "labels": base64_of(evaluation.labels[rows], "<u2"),
        "predictions": base64_of(evaluation.predictions[rows], "<u2"),
        "confidence": base64_of(evaluation.confidence[rows], "<f4"),
        "loss": base64_of(evaluation.losses[rows], "<f4"),
        "topClasses": base64_of(top, "<u2"),
        "topProbabilities": base64_of(np.round(np.take_along_axis(probabilities, top, axis=1) * 65535), "<u2"),
    }


def _coverage(evaluation: Evaluation) -> dict[str, Any]:
    curve, rejection = evaluation.coverage, evaluation.rejection
    marked = rejection is not None and rejection.accuracy.n > 0
    return {
        "thresholds": np.round(curve.thresholds, 5).tolist(),
        "coverage": np.round(curve.coverage, 5).tolist(),
        "accuracy": np.round(curve.accuracy, 5).tolist(),
        "mark": (rejection.coverage.value, rejection.accuracy.value) if rejection is not None and marked else None,
    }


def _finite(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None
