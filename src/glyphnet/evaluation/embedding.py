"""The embedding: what the last hidden layer makes of each image, laid out in two dimensions to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .tsne import squared_distances, tsne

if TYPE_CHECKING:
    from .evaluation import Evaluation

MOST = 600  # images: t-SNE of them takes a third of a second
NEIGHBOURS = 10
_DIRECTIONS = 50  # principal components that t-SNE works on, as its authors recommend
_PERPLEXITY = 30.0  # as scikit-learn's
_LEAST = 10  # images below which t-SNE has nothing to arrange

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Images as points in the plane.

    Attributes:
        rows: int64 (M,), ascending: which images of the evaluation.
        pca: float64 (M, 2): the two principal components; zeros where there is no second one.
        explained: the share of the features' variance in each of the two.
        tsne: float64 (M, 2), or None for fewer than 10 images, which give nothing to arrange.
        neighbours: int64 (M, n): places (not rows) of the nearest images by the features themselves, without
            the image itself; n is 10, or fewer where there are not that many others.
    """

    rows: Int64Array
    pca: Float64Array
    explained: tuple[float, float]
    tsne: Float64Array | None
    neighbours: Int64Array


def embedding_sample(evaluation: Evaluation, *, most: int = MOST, seed: int = 0) -> Int64Array:
    """The images to embed: int64 (M,), ascending.

    All, where there are at most ``most``. Otherwise half of the places at most go to mistakes, the worst
    first, and the others to images drawn at random, about as many of each class.
    """
    if len(evaluation) <= most:
        return np.arange(len(evaluation), dtype=np.int64)
    losses = evaluation.top_losses(len(evaluation))
    wrong = losses[~evaluation.correct[losses]][: most // 2]
    shuffled = np.random.default_rng(seed).permutation(len(evaluation))
    shuffled = shuffled[~np.isin(shuffled, wrong)]
    drawn = shuffled[by_turns(evaluation.labels[shuffled])][: most - len(wrong)]
    return np.sort(np.concatenate([wrong, drawn])).astype(np.int64)


def by_turns(labels: npt.NDArray[np.integer]) -> Int64Array:
    """The order, int64 (N,), in which every class has its turn: the first of each, the second of each, …"""
    place = np.empty(len(labels), dtype=np.int64)  # of each image among those of its class
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        place[mine] = np.arange(len(mine))
    return np.argsort(place, kind="stable")


def embed(features: npt.NDArray[np.floating], rows: Int64Array) -> Embedding | None:
    """Lay features out in the plane, by PCA (Pearson, 1901) and by t-SNE; alike on every run.

    Args:
        features: finite float (M, F), such as ``Classifier.features`` gives.
        rows: int64 (M,): which images they are of.

    Returns:
        None where all images have the same features: there is nothing to see.
    """
    from threadpoolctl import threadpool_limits

    points: Float64Array = np.asarray(features, dtype=np.float64)
    if len(points) < 2 or not np.ptp(points, axis=0).max(initial=0.0) > 0:
        return None
    # One thread: for so few images two gain nothing, and the sums that they share out would make another picture of
    # every number of threads.
    with threadpool_limits(1):
        components, explained = principal_components(points, _DIRECTIONS)
        pca = np.pad(components[:, :2], ((0, 0), (0, max(0, 2 - components.shape[1]))))
        start = pca / np.std(pca[:, 0]) * 1e-4  # the large distances then mean more than from chance
        near = min(_PERPLEXITY, (len(points) - 1) / 3)
        return Embedding(
            rows=rows,
            pca=pca,
            explained=(float(explained[0]), float(explained[1]) if len(explained) > 1 else 0.0),
            tsne=tsne(components, perplexity=near, start=start) if len(points) >= _LEAST else None,
            neighbours=_nearest(points),
        )


def principal_components(points: Float64Array, most: int) -> tuple[Float64Array, Float64Array]:
    """Coordinates of ``points`` (N, F), not all alike, along the directions of most variance.

    Returns:
        float64 (N, n), the widest direction first, each with its largest coordinate positive, and each direction's
        share of the variance, (n,). n is ``most``, N or F, whichever is least.
    """
    centred = points - points.mean(axis=0)
    count, features = centred.shape
    # The same from either matrix of products: the smaller one is taken.
    products = centred.T @ centred if features <= count else centred @ centred.T
    values, vectors = np.linalg.eigh(products)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    used = min(most, len(values))
    vectors = vectors[:, :used]
    components = centred @ vectors if features <= count else vectors * np.sqrt(values[:used])
    largest = components[np.abs(components).argmax(axis=0), np.arange(used)]
    return components * np.where(largest < 0, -1.0, 1.0), values[:used] / values.sum()


def _nearest(features: Float64Array) -> Int64Array:
    """The nearest others of each of ``features`` (M, F), the nearest first: int64 (M, n)."""
    distances = squared_distances(features)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(features) - 1)].astype(np.int64)
