"""The embedding as a report shows it: points for the picture, a table for those who cannot see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..evaluation import Evaluation
from ..evaluation.embedding import Embedding, embed
from ..units import page_percent as percent
from ..units import plural
from .sheets import Sheet, base64_of

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Neighbourhood:
    """Of one class: its images in the embedding, and what the nearest images of these are."""

    name: str
    count: int
    own: float  # share of their neighbours that are of the same class
    other: str  # class that most other neighbours are of, or ""
    other_share: float  # share of their neighbours that are of that class


@dataclass(frozen=True, eq=False)
class Projection:
    """An embedding with the words to it."""

    embedding: Embedding
    sentence: str
    neighbourhoods: tuple[Neighbourhood, ...]
    payload: dict[str, Any]


def project(features: Float32Array, evaluation: Evaluation, sheet: Sheet, rows: Int64Array) -> Projection | None:
    """The embedding of the images at ``rows``, which have these ``features``; None where it would show nothing."""
    embedding = embed(features, rows)
    if embedding is None:
        return None
    around = neighbourhoods(evaluation, embedding)
    payload = {
        "places": base64_of(np.searchsorted(sheet.rows, rows), "<u2"),
        "pca": base64_of(_in_unit_square(embedding.pca), "<f4"),
        "tsne": None if embedding.tsne is None else base64_of(_in_unit_square(embedding.tsne), "<f4"),
    }
    return Projection(embedding, _sentence(evaluation, rows, around), around, payload)


def neighbourhoods(evaluation: Evaluation, embedding: Embedding) -> tuple[Neighbourhood, ...]:
    """Which classes lie beside which, by the features themselves and not by the picture; in label order."""
    labels = evaluation.labels[embedding.rows]
    beside = np.zeros((len(evaluation.classes),) * 2)
    np.add.at(beside, (np.repeat(labels, embedding.neighbours.shape[1]), labels[embedding.neighbours].ravel()), 1)
    found = []
    for label in np.unique(labels):
        shares = beside[label] / beside[label].sum()
        own = float(shares[label])
        shares[label] = 0
        other = int(shares.argmax())
        name = evaluation.classes[other] if shares[other] else ""
        count = int((labels == label).sum())
        found.append(Neighbourhood(evaluation.classes[label], count, own, name, float(shares[other])))
    return tuple(found)


def _sentence(evaluation: Evaluation, rows: Int64Array, around: tuple[Neighbourhood, ...]) -> str:
    wrong = int((~evaluation.correct[rows]).sum())
    told = plural(len(rows), "image")
    if len(rows) < len(evaluation):
        told = f"{told}: {plural(wrong, 'mistake')}, and others drawn at random, about as many of each class"
    loosest = min(around, key=lambda each: each.own)
    if not loosest.other:
        return f"{told}. Every image lies among its own class."
    return (
        f"{told}. Of the images nearest to a “{loosest.name}”, {percent(loosest.own, 0)} are “{loosest.name}” too and "
        f"{percent(loosest.other_share, 0)} are “{loosest.other}”: no class lies less apart from the others."
    )


def _in_unit_square(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The points moved and scaled into [0, 1]², both directions alike; y grows downwards, as on a screen."""
    low, high = points.min(axis=0), points.max(axis=0)
    wide = float((high - low).max()) or 1.0
    square: npt.NDArray[np.float64] = 0.5 + (points - (low + high) / 2) / wide
    return np.stack([square[:, 0], 1 - square[:, 1]], axis=1)
