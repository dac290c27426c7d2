"""The embedding: what the last hidden layer makes of each image, laid out in two dimensions to be looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .evaluation import Evaluation

MOST = 600  # images: t-SNE of them takes a third of a second
NEIGHBOURS = 10
_DIRECTIONS = 50  # principal components that t-SNE works on, as its authors recommend
_PERPLEXITY = 30.0  # as scikit-learn's
_LEAST = 10  # images below which t-SNE has nothing to arrange
_EXAGGERATED = 100  # iterations in which the affinities count twelvefold, so that clusters form
_ITERATIONS = 350  # more lower the divergence by less than a hundredth
_EXAGGERATION = 12.0
_TINY = 1e-12

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Images as points in the plane."""

    rows: Int64Array  # (M,), ascending: which images of the evaluation
    pca: Float64Array  # float64 (M, 2): the two principal components; zeros where there is no second one
    explained: tuple[float, float]  # the share of the features' variance in each of the two
    tsne: Float64Array | None  # float64 (M, 2), or None for fewer than 10 images
    neighbours: Int64Array  # (M, n), n at most 10: places (not rows) of the nearest other images by the features


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
    """Lay features, finite float (M, F), out in the plane, by PCA (Pearson, 1901) and by t-SNE; alike on every run.

    None where all images have the same features: there is nothing to see.
    """
    from threadpoolctl import threadpool_limits

    points: Float64Array = np.asarray(features, dtype=np.float64)
    if len(points) < 2 or not np.ptp(points, axis=0).max(initial=0.0) > 0:
        return None
    # One thread: for so few images two gain nothing, and the sums that they share out would make another picture of
    # every number of threads.
    with threadpool_limits(1, user_api="blas"):
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

    Float64 (N, n), the widest direction first, each with its largest coordinate positive, and each direction's share of
    the variance, (n,). n is ``most``, N or F, whichever is least.
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


# t-SNE of a few hundred points: the exact one, in NumPy


def tsne(points: Float64Array, *, perplexity: float, start: Float64Array) -> Float64Array:
    """Points laid out in the plane so that near ones stay near: float64 (N, 2).

    Importing scikit-learn's takes longer than all of this. Time and memory grow with N². Source: van der Maaten and
    Hinton (2008), "Visualizing data using t-SNE"; the step size of Belkina et al. (2019),
    https://doi.org/10.1038/s41467-019-13055-y.

    Args:
        points: finite float64 (N, D), not all alike.
        perplexity: about how many neighbours count as near; above 0 and below N.
        start: float64 (N, 2): where the points begin, small beside 1.
    """
    wanted = affinities(points, perplexity)
    exaggerated = wanted * np.float32(_EXAGGERATION)
    places = start.astype(np.float32)
    change, gains = np.zeros_like(places), np.ones_like(places)
    step = max(len(points) / (4 * _EXAGGERATION), 50.0)
    near, pull = np.empty_like(wanted), np.empty_like(wanted)
    for iteration in range(_ITERATIONS):
        early = iteration < _EXAGGERATED
        nearness(places, out=near)
        np.multiply(near, -1 / near.sum(), out=pull)
        pull += exaggerated if early else wanted
        pull *= near
        slope = 4 * (pull.sum(axis=1)[:, None] * places - pull @ places)
        gains = np.maximum(np.where(change * slope < 0, gains + 0.2, gains * 0.8), 0.01)
        change = (0.5 if early else 0.8) * change - step * gains * slope
        places = places + change.astype(np.float32)
    return places.astype(np.float64)


def affinities(points: Float64Array, perplexity: float) -> Float32Array:
    """How near each two of ``points`` (N, D) are: float32 (N, N), symmetric, 0 on the diagonal, with the sum 1.

    Each point's neighbours have Gaussian weights, as wide as gives the perplexity.
    """
    count = len(points)
    distances = squared_distances(points)
    np.fill_diagonal(distances, np.inf)
    distances -= distances.min(axis=1, keepdims=True)
    finite = np.where(np.isfinite(distances), distances, 0.0)
    low, high = np.zeros(count), np.full(count, np.inf)
    sharpness = 1 / np.maximum(finite.mean(axis=1), _TINY)
    for _ in range(50):  # bisection: the entropy falls as the sharpness rises
        weights = np.exp(-distances * sharpness[:, None])
        total = weights.sum(axis=1)
        surplus = np.log(total) + sharpness * (finite * weights).sum(axis=1) / total - math.log(perplexity)
        if np.abs(surplus).max() < 1e-5:
            break
        low, high = np.where(surplus > 0, sharpness, low), np.where(surplus > 0, high, sharpness)
        sharpness = np.where(np.isinf(high), 2 * sharpness, (low + high) / 2)
    shares = weights / total[:, None]
    return np.asarray(((shares + shares.T) / (2 * count)).astype(np.float32))


def nearness(places: Float32Array, out: Float32Array) -> None:
    """Student's t of each two of ``places`` (N, 2), 1 / (1 + d²), into ``out`` (N, N); 0 on the diagonal."""
    squares = (places * places).sum(axis=1, keepdims=True)
    ones = np.ones_like(squares)
    # 1 + d² as one product: (-2y, |y|², 1) · (y', 1, |y'|² + 1). Rounding must not make it less than 1.
    np.matmul(np.hstack([-2 * places, squares, ones]), np.hstack([places, ones, squares + 1]).T, out=out)
    np.maximum(out, 1, out=out)
    np.reciprocal(out, out=out)
    np.fill_diagonal(out, 0)


def squared_distances(points: Float64Array) -> Float64Array:
    """Between each two of ``points`` (N, D): float64 (N, N)."""
    squares = (points * points).sum(axis=1)
    return np.asarray(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0.0))
