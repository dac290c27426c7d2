"""t-SNE of a few hundred points: the exact one, in NumPy.

Importing scikit-learn's takes longer than all of this, and its trees pay only for far more points than a picture shows.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_EXAGGERATED = 100  # iterations in which the affinities count twelvefold, so that clusters form
_ITERATIONS = 350  # more lower the divergence by less than a hundredth
_EXAGGERATION = 12.0
_TINY = 1e-12


def tsne(points: Float64Array, *, perplexity: float, start: Float64Array) -> Float64Array:
    """Points laid out in the plane so that near ones stay near: float64 (N, 2).

    Source: van der Maaten and Hinton (2008), "Visualizing data using t-SNE"; the step size of Belkina et al. (2019),
    https://doi.org/10.1038/s41467-019-13055-y. Time and memory grow with N².

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
    both: Float32Array = ((shares + shares.T) / (2 * count)).astype(np.float32)
    return both


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
    distances: Float64Array = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0.0)
    return distances
