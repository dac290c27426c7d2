"""The methods that can be compared: one table row each.

A new method is one row: how it is called, who made it, how it is made for data of a given size. Settings are the
library's own defaults unless the row says otherwise; none was chosen by looking at test images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import SettingsError
from ..settings import suggestion
from .contestants import Contestant, EstimatorContestant


@dataclass(frozen=True)
class Circumstances:
    """What a method may know before it sees the data.

    Attributes:
        images: how many there are to learn from.
        seed: of all that is random.
        threads: how many it may use.
        device: where a network is trained.
    """

    images: int
    seed: int
    threads: int
    device: str


@dataclass(frozen=True)
class Method:
    """A way to classify images.

    Attributes:
        title: what it is called in tables.
        maker: whose it is.
        settings: how it is set, in a line.
        make: from the circumstances to something that can be fitted; an absent library is an ImportError.
        extra: the extra of GlyphNet that brings the library; empty where it is always there.
        probabilistic: whether its probabilities are meant as such; else only their order counts.
    """

    title: str
    maker: str
    settings: str
    make: Callable[[Circumstances], Contestant]
    extra: str = ""
    probabilistic: bool = True


def choose(names: Sequence[str] | None) -> dict[str, Method]:
    """The methods of these names, in the order of the names; None chooses the usual ones.

    Raises:
        SettingsError: an unknown name, a name twice, or none.
    """
    chosen = list(DEFAULT_METHODS if names is None else names)
    unknown = [name for name in chosen if name not in METHODS]
    if unknown:
        raise SettingsError("; ".join(f'unknown method "{name}"{suggestion(name, METHODS)}' for name in unknown))
    if twice := next((name for name in chosen if chosen.count(name) > 1), None):
        raise SettingsError(f'the method "{twice}" is named twice: name each once.')
    if not chosen:
        raise SettingsError(f"no method is named: choose among {', '.join(METHODS)}.")
    return {name: METHODS[name] for name in chosen}


def _preset(name: str) -> Callable[[Circumstances], Contestant]:
    def make(given: Circumstances) -> Contestant:
        from .presets import PresetContestant  # loads torch

        return PresetContestant(name, given.seed, given.device)

    return make


def _kmeans(given: Circumstances) -> Contestant:
    from .clusters import NamedClusters

    return EstimatorContestant(NamedClusters(random_state=given.seed))


def _logistic(given: Circumstances) -> Contestant:
    from sklearn.linear_model import LogisticRegression

    return EstimatorContestant(LogisticRegression(max_iter=200, random_state=given.seed))


def _neighbours(given: Circumstances) -> Contestant:
    from sklearn.neighbors import KNeighborsClassifier

    return EstimatorContestant(KNeighborsClassifier(n_jobs=given.threads))


def _svm(given: Circumstances) -> Contestant:
    from sklearn.svm import SVC

    # break_ties: the class named is then the one with the greatest decision value.
    return EstimatorContestant(SVC(C=10, cache_size=1000, break_ties=True, random_state=given.seed))


def _forest(given: Circumstances) -> Contestant:
    from sklearn.ensemble import RandomForestClassifier

    return EstimatorContestant(RandomForestClassifier(n_jobs=given.threads, random_state=given.seed))


def _xgboost(given: Circumstances) -> Contestant:
    from xgboost import XGBClassifier

    return EstimatorContestant(XGBClassifier(n_jobs=given.threads, random_state=given.seed))


def _mlp(given: Circumstances) -> Contestant:
    from sklearn.neural_network import MLPClassifier

    many = given.images > 10_000  # where scikit-learn's boosting stops early by itself
    return EstimatorContestant(MLPClassifier(early_stopping=many, random_state=given.seed))


_OURS, _SKLEARN = "GlyphNet", "scikit-learn"

METHODS: dict[str, Method] = {
    "fast": Method("GlyphNet fast", _OURS, "our preset fast: the first answer, in seconds", _preset("fast")),
    "balanced": Method(
        "GlyphNet balanced", _OURS, "our preset balanced: about a minute for 60,000 images", _preset("balanced")
    ),
    "best": Method("GlyphNet best", _OURS, "our preset best: as good as it gets", _preset("best")),
    "kmeans": Method(
        "K-means", _SKLEARN, "10 clusters a class, each named by the majority of its images", _kmeans
    ),
    "logistic": Method(
        "logistic regression", _SKLEARN, "L2, C=1, L-BFGS, at most 200 iterations", _logistic
    ),
    "knn": Method("nearest neighbours", _SKLEARN, "5 neighbours, Euclidean distance, by majority", _neighbours),
    "svm": Method(
        "SVM (RBF)", _SKLEARN, 'C=10, gamma="scale"; decision values, no probabilities', _svm, probabilistic=False
    ),
    "forest": Method("random forest", _SKLEARN, "100 trees, fully grown", _forest),
    "xgboost": Method(
        "XGBoost", "XGBoost", "100 rounds, depth 6, learning rate 0.3, histograms", _xgboost, extra="compare"
    ),
    "mlp": Method(
        "MLP", _SKLEARN, "one layer of 100 ReLU, Adam, at most 200 epochs; early stopping above 10,000 images", _mlp
    ),
}  # fmt: skip
"""Name → method."""

DEFAULT_METHODS = tuple(name for name in METHODS if name != "best")
"""Those that are compared unless others are named: all but the slowest."""
