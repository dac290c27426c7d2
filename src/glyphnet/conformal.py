"""Sets of classes that contain the true class with a chosen probability: split conformal prediction.

Each class of an image has a score, 0 for the likeliest. Calibration images, which the network did not learn from, show
how large the score of the true class is: at the level 95 % the set of a new image has all classes whose score is at
most the ⌈0.95·(n + 1)⌉-th smallest of theirs. If new and calibration images are exchangeable, the set has the true
class with a probability of at least 95 %, averaged over images (Vovk et al. 2005; Lei et al. 2018). The likeliest class
is in every set: none is empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .errors import SettingsError

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Score = Literal["probability", "ratio", "mass"]

_KEPT = 512  # of the largest calibration scores, and as many of the others: more would only fill the model file
_DIGITS = 7  # of a score, rounded up
_LEVELS = (0.9, 0.95, 0.99)  # for which the sizes of sets are compared


def _probability(ranked: Float64Array) -> Float64Array:
    """1 − p (Sadinle et al. 2019), but 0 for the likeliest class."""
    scores = 1 - ranked
    scores[:, 0] = 0
    return scores


def _ratio(ranked: Float64Array) -> Float64Array:
    """How far p lies below that of the likeliest class, as a share of it."""
    return 1 - ranked / np.maximum(ranked[:, :1], np.finfo(np.float64).tiny)


def _mass(ranked: Float64Array) -> Float64Array:
    """The sum of the probabilities of all likelier classes (Romano et al. 2020, not randomised)."""
    return np.concatenate([np.zeros_like(ranked[:, :1]), np.cumsum(ranked, axis=1)[:, :-1]], axis=1)


SCORES: dict[Score, Callable[[Float64Array], Float64Array]] = {
    "probability": _probability,
    "ratio": _ratio,
    "mass": _mass,
}
"""Name of a score → from probabilities, the largest of each row first, to scores: both float64 (N, K). They never fall
along a row."""


def class_scores(probabilities: npt.NDArray[np.floating], score: Score) -> tuple[Float64Array, npt.NDArray[np.int64]]:
    """The scores of all classes, float64 (N, K), in the order of their probability, and that order, int64 (N, K)."""
    order = np.argsort(-probabilities, axis=1, kind="stable").astype(np.int64)
    ranked = np.take_along_axis(probabilities, order, axis=1).astype(np.float64)
    return SCORES[score](ranked), order


def true_scores(probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], score: Score) -> Float64Array:
    """The score of each image's true class: float64 (N,)."""
    scores, order = class_scores(probabilities, score)
    found: Float64Array = scores[order == labels[:, None]]
    return found


class Conformal(BaseModel):
    """The calibration scores, compact enough for the header of a model file.

    Attributes:
        score: which score, a name in `SCORES`.
        images: n, the calibration images.
        ranks: places in the sorted list of calibration scores, counted from 1, rising; the last is n.
        values: the scores at these places. Between two places the next larger score counts: sets become a little too
            large, never too small.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    score: Score
    images: Annotated[int, Field(ge=1)]
    ranks: Annotated[tuple[int, ...], Field(strict=False, min_length=1, max_length=2 * _KEPT + 1)]
    values: Annotated[
        tuple[Annotated[float, Field(ge=0, le=1 + 1e-6, allow_inf_nan=False)], ...], Field(strict=False, min_length=1)
    ]

    @model_validator(mode="after")
    def _lists_fit(self) -> Conformal:
        if len(self.ranks) != len(self.values):
            raise ValueError(f"{len(self.ranks)} ranks have {len(self.values)} values")
        rising = all(a < b for a, b in zip((0, *self.ranks), self.ranks, strict=False))
        if not rising or self.ranks[-1] != self.images or list(self.values) != sorted(self.values):
            raise ValueError("its ranks do not rise to the number of images, or its values fall")
        return self

    @classmethod
    def calibrate(
        cls, probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], score: Score
    ) -> Conformal:
        """From calibration images: probabilities (N, K) and labels int64 (N,), N ≥ 1."""
        scores = np.sort(true_scores(probabilities, labels, score))
        count, zeros = len(scores), int((scores <= 0).sum())
        rest = np.arange(zeros + 1, count + 1)
        spread = rest[:-_KEPT]
        some = spread[np.linspace(0, len(spread) - 1, min(_KEPT, len(spread))).round().astype(np.int64)]
        ranks = np.unique(np.concatenate([[zeros] if zeros else [], some, rest[-_KEPT:]]).astype(np.int64))
        values = np.ceil(scores[ranks - 1] * 10**_DIGITS) / 10**_DIGITS
        return cls(score=score, images=count, ranks=tuple(ranks.tolist()), values=tuple(values.tolist()))

    @property
    def highest_level(self) -> float:
        """The highest level that so many images support: n / (n + 1)."""
        return self.images / (self.images + 1)

    def limit(self, level: float) -> float:
        """The largest score of a class that is in the sets of this level.

        Raises:
            SettingsError: the level is not between 0 and 1, or there are too few calibration images for it.
        """
        check_level(level)
        rank = math.ceil((self.images + 1) * level - 1e-9)
        if rank > self.images:
            needed = math.ceil(level / (1 - level) - 1e-9)
            raise SettingsError(
                f"Sets at {percentage(level)} % need at least {needed:,} validation images, and this model was "
                f"calibrated on {self.images:,}. Its highest level is {_rounded_down(self.highest_level)} %: ask for "
                "that or less, or train with a larger validation part."
            )
        return self.values[int(np.searchsorted(self.ranks, rank))]

    def sets(self, probabilities: npt.NDArray[np.floating], level: float) -> BoolArray:
        """Which classes are in the set of each image: bool (N, K) for probabilities (N, K); see `limit` for errors."""
        order, sizes = self._sizes(probabilities, level)
        inside = np.zeros(probabilities.shape, dtype=bool)
        np.put_along_axis(inside, order, np.arange(order.shape[1]) < sizes[:, None], axis=1)
        return inside

    def labels(self, probabilities: npt.NDArray[np.floating], level: float) -> list[list[int]]:
        """The labels in the set of each image, the likeliest first; see `sets`."""
        order, sizes = self._sizes(probabilities, level)
        return [row[:size].tolist() for row, size in zip(order, sizes, strict=True)]

    def _sizes(
        self, probabilities: npt.NDArray[np.floating], level: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The labels of each image, the likeliest first, (N, K), and how many of them are in its set, (N,)."""
        limit = self.limit(level)
        scores, order = class_scores(probabilities, self.score)
        return order, np.maximum(1, (scores <= limit).sum(axis=1))  # scores never fall along a row


def check_level(level: float) -> float:
    """The level; raises SettingsError unless it lies between 0 and 1."""
    if not 0 < level < 1:
        raise SettingsError(f"level (={level}) must lie above 0 and below 1: 0.95 for 95 %.")
    return level


def percentage(level: float) -> str:
    """0.95 → "95", 0.998 → "99.8"."""
    return f"{100 * level:.10g}"


def _rounded_down(level: float) -> str:
    """The level in percent with as few digits as tell it from 100, rounded down: 0.99983 → "99.98"."""
    digits = max(0, math.ceil(-math.log10(1 - level)) - 1)
    return f"{math.floor(100 * level * 10**digits) / 10**digits:.10g}"


def choose_score(probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> Score:
    """The score whose sets are smallest on calibration images: probabilities (N, K), labels (N,).

    One half calibrates and the other is answered, then the other way round, for the levels in `_LEVELS` that so many
    images support. The guarantee of the chosen score changes only by a term of the order of 1/√n (Yang and Kuchibhotla
    2024).
    """
    halves = np.random.default_rng(0).permutation(len(labels)) % 2 == 0
    sizes = dict.fromkeys(SCORES, 0.0)
    for name in SCORES:
        for own in (halves, ~halves):
            if not own.any():
                continue
            calibrated = Conformal.calibrate(probabilities[own], labels[own], name)
            for level in _LEVELS:
                if level <= calibrated.highest_level:
                    sizes[name] += calibrated.sets(probabilities[~own], level).sum()
    return min(sizes, key=lambda name: sizes[name])
