"""The embedding: what the last hidden layer makes of each image, laid out in two dimensions to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .evaluation import Evaluation

MOST = 1000  # images: t-SNE of them takes a second and a half
NEIGHBOURS = 10
_DIRECTIONS = 50  # principal components that t-SNE works on, as its authors recommend
_PERPLEXITY = 30.0
_ITERATIONS = 500  # more moves the picture a little and takes longer
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


def embed(features: npt.NDArray[np.floating], rows: Int64Array, *, seed: int = 0) -> Embedding | None:
    """Lay features out in the plane, by PCA and by t-SNE (scikit-learn's).

    Sources: Pearson (1901); van der Maaten and Hinton (2008), "Visualizing data using t-SNE".

    Args:
        features: finite float (M, F), such as ``Classifier.features`` gives.
        rows: int64 (M,): which images they are of.
        seed: of t-SNE and of the solver of PCA.

    Returns:
        None where all images have the same features: there is nothing to see.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    features = np.asarray(features, dtype=np.float64)
    if len(features) < 2 or not np.ptp(features, axis=0).max(initial=0.0) > 0:
        return None
    directions = min(_DIRECTIONS, *features.shape)
    pca = PCA(directions, svd_solver="full", random_state=seed)
    components = pca.fit_transform(features)
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(features) - 1)).fit(features)
    explained = (*pca.explained_variance_ratio_[:2].tolist(), 0.0)
    return Embedding(
        rows=rows,
        pca=np.pad(components[:, :2], ((0, 0), (0, max(0, 2 - directions)))),
        explained=(float(explained[0]), float(explained[1])),
        tsne=_tsne(components, seed) if len(features) >= _LEAST else None,
        neighbours=nearest.kneighbors(return_distance=False).astype(np.int64),
    )


def _tsne(components: Float64Array, seed: int) -> Float64Array:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    # From the principal components: alike on every run, and the large distances mean more than from chance.
    # The scale is that of t-SNE's own start by PCA.
    start = np.pad(components[:, :2], ((0, 0), (0, max(0, 2 - components.shape[1]))))
    start = start / np.std(start[:, 0]) * 1e-4
    arrange = TSNE(
        2,
        perplexity=min(_PERPLEXITY, (len(components) - 1) / 3),
        init=start.astype(np.float32),
        max_iter=_ITERATIONS,
        random_state=seed,
    )
    # One thread: of so few images two take as long, on a busy machine ten times as long, and the sums that they
    # share out would make another picture of every number of threads.
    with threadpool_limits(1):
        return np.asarray(arrange.fit_transform(components), dtype=np.float64)
