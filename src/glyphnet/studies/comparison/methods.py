"""The methods that can be compared: one table row each, and the estimators behind them.

Settings are the library's own defaults unless the row says otherwise; none was chosen by looking at test images. An
estimator is made in the parent process and pickled to a child, which loads only the libraries that it needs.
"""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from ...data.dataset import Splits, UInt8Array, shared_splits
from ...errors import SettingsError
from ...files import new_file
from ...locks import temporary_folder
from ...processes import Message, talk_with_parent
from ...settings import suggestion
from ...units import reason

if TYPE_CHECKING:
    from ...classifier import Classifier

FloatArray = npt.NDArray[np.floating]
Float32Array = npt.NDArray[np.float32]


# Estimators


class Estimator(Protocol):
    """One method in a comparison, fitted once."""

    def fit(self, splits: Splits) -> None:
        """Learn from the training part, and use the validation part in the method's own way; no other is given."""

    def predict_proba(self, images: UInt8Array, /) -> FloatArray:
        """Probabilities (N, K) of uint8 images (N, H, W, C)."""

    def size(self) -> int:
        """The size of the saved model in bytes."""


@dataclass(eq=False)
class RowEstimator:
    """An estimator with scikit-learn's interface, on pixels scaled to [0, 1], one row per image.

    It learns from the training and the validation images together: its settings are fixed, so it chooses nothing by
    validation, while our presets choose their best epoch by it. All methods see the same labels.
    """

    estimator: Any  # with ``fit``, and ``predict_proba`` or ``decision_function``, whose softmax is taken
    _present: npt.NDArray[np.int64] | None = None
    _classes: int = 0

    def fit(self, splits: Splits) -> None:
        """See `Estimator`."""
        images = np.concatenate([splits.train.images, splits.validation.images])
        labels = np.concatenate([splits.train.labels, splits.validation.labels])
        # Some estimators refuse a gap in the labels, which a class without training images leaves.
        self._present, encoded = np.unique(labels, return_inverse=True)
        self._classes = len(splits.classes)
        self.estimator.fit(rows_of(images), encoded)

    def predict_proba(self, images: UInt8Array, /) -> FloatArray:
        """See `Estimator`."""
        rows = rows_of(images)
        if hasattr(self.estimator, "predict_proba"):
            found = self.estimator.predict_proba(rows)
        else:
            from scipy.special import softmax

            decisions = self.estimator.decision_function(rows)
            # For two classes scikit-learn gives one value, in favour of the second.
            found = softmax(np.stack([-decisions, decisions], 1) if decisions.ndim == 1 else decisions, axis=1)
        probabilities = np.zeros((len(images), self._classes), dtype=found.dtype)
        probabilities[:, self._present] = found
        return probabilities

    def size(self) -> int:
        """The length of the pickled estimator, without holding the pickle in memory."""
        counter = _Counter()
        pickle.Pickler(counter, protocol=pickle.HIGHEST_PROTOCOL).dump(self.estimator)
        return counter.length


@dataclass(eq=False)
class PresetEstimator:
    """One of our presets, trained as `glyphnet.train` trains it, without a run folder."""

    preset: str
    seed: int
    device: str
    _classifier: Classifier | None = None

    def fit(self, splits: Splits) -> None:
        """See `Estimator`."""
        from ...runs import train

        self._classifier = train(splits, preset=self.preset, changes={"seed": self.seed}, device=self.device).classifier

    def predict_proba(self, images: UInt8Array, /) -> Float32Array:
        """See `Estimator`. The pixels are taken as they are: all methods answer on the same ones."""
        assert self._classifier is not None
        return self._classifier.predict_proba(images, as_is=True)

    def size(self) -> int:
        """The length of the model file."""
        assert self._classifier is not None
        with temporary_folder() as folder:
            path = folder / "model.safetensors"
            self._classifier.save(path)
            return path.stat().st_size


class NamedClusters:
    """K-means (Lloyd 1982; k-means++ of Arthur and Vassilvitskii 2007) as a classifier.

    The labels play no part in finding the clusters. The probabilities of an image are the shares of the classes among
    the training images of its cluster, so the most likely class is the cluster's majority.
    """

    def __init__(self, clusters_per_class: int = 10, random_state: int | None = None) -> None:
        self.clusters_per_class = clusters_per_class
        self.random_state = random_state

    def fit(self, X: FloatArray, y: npt.NDArray[np.int64]) -> Self:  # noqa: N803  # scikit-learn's name
        """Find clusters among the rows of ``X`` (N, D) and count the labels ``y`` (N,) in each."""
        from sklearn.cluster import KMeans

        classes, labels = np.unique(y, return_inverse=True)
        count = min(self.clusters_per_class * len(classes), len(X))
        self.clusters_ = KMeans(count, random_state=self.random_state)
        cells = self.clusters_.fit_predict(X).astype(np.int64) * len(classes) + labels
        counts = np.bincount(cells, minlength=count * len(classes)).reshape(count, -1)
        # A cluster may stay empty where rows are alike: it answers with the shares of all.
        counts = np.where(counts.any(axis=1, keepdims=True), counts, counts.sum(axis=0))
        self.shares_ = counts / counts.sum(axis=1, keepdims=True)
        return self

    def predict_proba(self, X: FloatArray) -> npt.NDArray[np.float64]:  # noqa: N803
        """Probabilities (N, K) for the rows of ``X`` (N, D)."""
        shares: npt.NDArray[np.float64] = self.shares_[self.clusters_.predict(X)]
        return shares


def rows_of(images: UInt8Array) -> Float32Array:
    """Images uint8 (N, H, W, C) as rows of pixels in [0, 1]: float32 (N, H·W·C)."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


class _Counter:
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        self.length = 0

    def write(self, content: bytes | memoryview | pickle.PickleBuffer) -> int:
        length = memoryview(content).nbytes
        self.length += length
        return length


# The table


@dataclass(frozen=True)
class FitContext:
    """What a method may know before it sees the data."""

    images: int  # to learn from
    seed: int
    threads: int
    device: str  # where a network is trained


@dataclass(frozen=True)
class Method:
    """A way to classify images."""

    title: str  # its name in tables
    maker: str  # the library it comes from
    settings: str  # in one line
    make: Callable[[FitContext], Estimator]  # an absent library is an ImportError
    extra: str = ""  # the extra of GlyphNet that brings the library; empty where it is always there
    probabilistic: bool = True  # whether its probabilities are meant as such; else only their order counts


def choose(names: Sequence[str] | None) -> dict[str, Method]:
    """The methods of these names, in their order; None for `DEFAULT_METHODS`. SettingsError names what is wrong."""
    chosen = list(DEFAULT_METHODS if names is None else names)
    unknown = [name for name in chosen if name not in METHODS]
    if unknown:
        raise SettingsError("; ".join(f'unknown method "{name}"{suggestion(name, METHODS)}' for name in unknown))
    if twice := next((name for name in chosen if chosen.count(name) > 1), None):
        raise SettingsError(f'the method "{twice}" is named twice: name each once.')
    if not chosen:
        raise SettingsError(f"no method is named: choose among {', '.join(METHODS)}.")
    return {name: METHODS[name] for name in chosen}


def _preset(name: str) -> Callable[[FitContext], Estimator]:
    return lambda given: PresetEstimator(name, given.seed, given.device)


def _imported(path: str, settings: Callable[[FitContext], dict[str, object]]) -> Callable[[FitContext], Estimator]:
    """How to make an estimator with scikit-learn's interface, whose library is imported only then."""

    def make(given: FitContext) -> Estimator:
        module, _, name = path.rpartition(".")
        return RowEstimator(getattr(import_module(module), name)(**settings(given)))

    return make


def _seeded(given: FitContext) -> dict[str, object]:
    return {"n_jobs": given.threads, "random_state": given.seed}


_OURS, _SKLEARN = "GlyphNet", "scikit-learn"

METHODS: dict[str, Method] = {
    "fast": Method("GlyphNet fast", _OURS, "our preset fast: the first answer, in seconds", _preset("fast")),
    "balanced": Method(
        "GlyphNet balanced", _OURS, "our preset balanced: about a minute for 60,000 images", _preset("balanced")
    ),
    "best": Method("GlyphNet best", _OURS, "our preset best: as good as it gets", _preset("best")),
    "kmeans": Method(
        "K-means", _SKLEARN, "10 clusters a class, each named by the majority of its images",
        lambda given: RowEstimator(NamedClusters(random_state=given.seed)),
    ),
    "logistic": Method(
        "logistic regression", _SKLEARN, "L2, C=1, L-BFGS, at most 200 iterations",
        _imported(
            "sklearn.linear_model.LogisticRegression", lambda given: {"max_iter": 200, "random_state": given.seed}
        ),
    ),
    "knn": Method(
        "nearest neighbours", _SKLEARN, "5 neighbours, Euclidean distance, by majority",
        _imported("sklearn.neighbors.KNeighborsClassifier", lambda given: {"n_jobs": given.threads}),
    ),
    "svm": Method(  # with break_ties the predicted class is the one with the greatest decision value
        "SVM (RBF)", _SKLEARN, 'C=10, gamma="scale"; decision values, no probabilities',
        _imported(
            "sklearn.svm.SVC",
            lambda given: {"C": 10, "cache_size": 1000, "break_ties": True, "random_state": given.seed},
        ),
        probabilistic=False,
    ),
    "forest": Method(
        "random forest", _SKLEARN, "100 trees, fully grown",
        _imported("sklearn.ensemble.RandomForestClassifier", _seeded),
    ),
    "xgboost": Method(
        "XGBoost", "XGBoost", "100 rounds, depth 6, learning rate 0.3, histograms",
        _imported("xgboost.XGBClassifier", _seeded), extra="compare",
    ),
    "mlp": Method(  # from 10,000 images on scikit-learn's boosting stops early by itself
        "MLP", _SKLEARN, "one layer of 100 ReLU, Adam, at most 200 epochs; early stopping above 10,000 images",
        _imported(
            "sklearn.neural_network.MLPClassifier",
            lambda given: {"early_stopping": given.images > 10_000, "random_state": given.seed},
        ),
    ),
}  # fmt: skip
"""Name → method."""

DEFAULT_METHODS = tuple(name for name in METHODS if name != "best")
"""The methods compared unless others are named: all but the slowest."""


# The child process of one fit, which reports its progress

JOB, PROBABILITIES = "job.pickle", "probabilities.npy"
_WARM_UP = 8  # training images to answer on before the clock starts: a first call loads and lays out what it needs
_IGNORED = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)  # they do not concern the figures

Tell = Callable[[Message], None]


def main(data: str, job: str) -> None:
    """Run the job in the folder ``job`` on the splits in the folder ``data``."""
    tell = talk_with_parent()
    try:
        _run(Path(data), Path(job), tell)
    except Exception as error:
        tell({"phase": "failed", "reason": reason(error)})


def _run(data: Path, job: Path, tell: Tell) -> None:
    estimator: Estimator = pickle.loads((job / JOB).read_bytes())
    splits = shared_splits(data)
    no_test = splits.test.subset([False] * len(splits.test))
    tell({"phase": "fitting"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.perf_counter()
        estimator.fit(Splits(splits.name, splits.train, splits.validation, no_test))
        fit_seconds = time.perf_counter() - began
        estimator.predict_proba(splits.train.images[:_WARM_UP])
        tell({"phase": "predicting", "fit_seconds": fit_seconds})
        began = time.perf_counter()
        probabilities = estimator.predict_proba(splits.test.images)
        predict_seconds = time.perf_counter() - began
    with new_file(job / PROBABILITIES) as file:
        np.save(file, probabilities)
    tell(
        {
            "phase": "finished",
            "fit_seconds": fit_seconds,
            "predict_seconds": predict_seconds,
            "bytes": estimator.size(),
            "notes": _notes(caught),
        }
    )


def _notes(caught: list[warnings.WarningMessage]) -> list[str]:
    """The libraries' warnings, each once."""
    lines = [
        f"{each.category.__name__}: {str(each.message).strip().splitlines()[0].strip()}"
        for each in caught
        if not issubclass(each.category, _IGNORED) and str(each.message).strip()
    ]
    return list(dict.fromkeys(lines))
