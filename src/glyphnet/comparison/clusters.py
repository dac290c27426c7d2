"""K-means as a classifier: clusters that are found without labels, each named by the majority of its images."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans

FloatArray = npt.NDArray[np.floating]


class NamedClusters(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """K-means (Lloyd 1982; k-means++ of Arthur and Vassilvitskii 2007) with labels given to the clusters afterwards.

    The labels have no part in finding the clusters. The probabilities of an image are the shares of the classes
    among the training images of its cluster, so that the likeliest class is the cluster's majority.

    Args:
        clusters_per_class: how many clusters are looked for, a class.
        random_state: the seed of the first centres.
    """

    def __init__(self, clusters_per_class: int = 10, random_state: int | None = None) -> None:
        self.clusters_per_class = clusters_per_class
        self.random_state = random_state

    def fit(self, X: FloatArray, y: npt.NDArray[np.int64]) -> Self:  # noqa: N803  # scikit-learn's name
        """Find clusters among the rows of ``X`` (N, D) and count the labels ``y`` (N,) in each."""
        self.classes_, labels = np.unique(y, return_inverse=True)
        count = min(self.clusters_per_class * len(self.classes_), len(X))
        self.clusters_ = KMeans(count, random_state=self.random_state)
        cells = self.clusters_.fit_predict(X).astype(np.int64) * len(self.classes_) + labels
        counts = np.bincount(cells, minlength=count * len(self.classes_)).reshape(count, -1)
        # A cluster may be left empty where rows are alike: it answers with the shares of all.
        counts = np.where(counts.any(axis=1, keepdims=True), counts, counts.sum(axis=0))
        self.shares_ = counts / counts.sum(axis=1, keepdims=True)
        return self

    def predict_proba(self, X: FloatArray) -> npt.NDArray[np.float64]:  # noqa: N803
        """Probabilities (N, K) for the rows of ``X`` (N, D)."""
        shares: npt.NDArray[np.float64] = self.shares_[self.clusters_.predict(X)]
        return shares

    def predict(self, X: FloatArray) -> npt.NDArray[np.generic]:  # noqa: N803
        """The majority class of each row's cluster (N,)."""
        labels: npt.NDArray[np.generic] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels
