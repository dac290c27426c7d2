"""What is told of each picture, and the columns and rows that it becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..answers import NONE_OF_THESE, Float32Array, OneAnswer, Predictor, Reason
from ..conformal import check_level
from ..errors import BadFileError, SettingsError
from .predicting import Prediction

OF_CLASS = "probability_"
"""Before the name of a class: the column with its probability."""

REASON, SET = "reason", "set"
"""The columns with why an answer cannot be believed, and with the set of classes, where it was asked for."""

ERROR = "error"
"""The column, in files, with why a picture cannot be read."""


@dataclass(frozen=True)
class Asked:
    """What is asked about each picture.

    Attributes:
        topk: how many of the likeliest classes to name.
        reject: say "none of these" where there is a reason not to believe the answer.
        probabilities: tell the probability of every class too.
        sets: tell the set of classes that contains the true one with this probability too; None: no sets.

    Raises:
        SettingsError: ``topk`` is less than 1, or ``sets`` does not lie between 0 and 1.
    """

    topk: int = 1
    reject: bool = False
    probabilities: bool = False
    sets: float | None = None

    def __post_init__(self) -> None:
        if self.topk < 1:
            raise SettingsError(f"topk (={self.topk}) must be 1 or more.")
        if self.sets is not None:
            check_level(self.sets)


class Answer(NamedTuple):
    """What is told of one picture.

    Attributes:
        file: what it is called.
        ranked: its likeliest labels with their probabilities, the first first; none where it cannot be read.
        reason: why the answer cannot be believed, whether it was rejected or not; None where it can be.
        set: the classes that contain the true one with the probability that was asked for; None where it was not.
        probabilities: float32 (K,), where they were asked for.
        error: why it cannot be read.
    """

    file: str
    ranked: Sequence[tuple[str, float]]
    reason: Reason | None = None
    set: tuple[str, ...] | None = None
    probabilities: Float32Array | None = None
    error: str | None = None


class Answering:
    """Makes answers out of predictions.

    Args:
        classifier: whose classes they are.
        asked: what to tell.

    Raises:
        SettingsError: rejection is asked for and the model cannot reject; likewise for sets at their level.
    """

    def __init__(self, classifier: Predictor, asked: Asked) -> None:
        self._classes, self._asked, rules = classifier.classes, asked, classifier.rules
        if asked.reject:
            rules.check_rejection()
        self._conformal = None if asked.sets is None else rules.need_conformal()
        if self._conformal is not None and asked.sets is not None:
            self._conformal.limit(asked.sets)

    def __call__(self, prediction: Prediction) -> Answer:
        """The answer for one picture, an error where it cannot be read."""
        file, _, outcome = prediction
        return Answer(file, (), error=outcome.reason) if isinstance(outcome, BadFileError) else self.of(file, outcome)

    def of(self, file: str, answer: OneAnswer) -> Answer:
        """The answer for one picture that could be read."""
        probabilities, _, reason = answer
        topk = self._asked.topk
        order = [probabilities.argmax()] if topk == 1 else (-probabilities).argsort(kind="stable")[:topk]
        ranked = [(self._classes[label], float(probabilities[label])) for label in order]
        if self._asked.reject and reason is not None:
            ranked = [(NONE_OF_THESE, ranked[0][1])]
        return Answer(
            file, ranked, reason, self._set(probabilities), probabilities if self._asked.probabilities else None
        )

    def _set(self, probabilities: Float32Array) -> tuple[str, ...] | None:
        if self._conformal is None or self._asked.sets is None:
            return None
        [labels] = self._conformal.labels(probabilities[np.newaxis], self._asked.sets)
        return tuple(self._classes[label] for label in labels)

    @property
    def columns(self) -> list[str]:
        """The columns of a table of answers, without that of errors."""
        sets = [] if self._asked.sets is None else [SET]
        return ["file", "label", "probability", REASON, *sets, *self.each_class]

    @property
    def each_class(self) -> list[str]:
        """Those with the probability of every class, if these were asked for."""
        return [f"{OF_CLASS}{name}" for name in self._classes] if self._asked.probabilities else []

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in label order."""
        return self._classes


def csv_rows(answer: Answer) -> Iterator[list[str]]:
    """The lines of a table for one answer, a line a label: the values of `Answering.columns`. A set is a JSON list."""
    each = [] if answer.probabilities is None else [f"{value:.6f}" for value in answer.probabilities.tolist()]
    sets = [] if answer.set is None else [json.dumps(answer.set, ensure_ascii=False)]
    for label, probability in answer.ranked:
        yield [answer.file, label, f"{probability:.6f}", answer.reason or "", *sets, *each]


def json_row(answer: Answer, classes: Sequence[str]) -> dict[str, object]:
    """One answer in types that JSON knows."""
    if answer.error is not None:
        return {"file": answer.file, "error": answer.error}
    row: dict[str, object] = {"file": answer.file, **_labelled(*answer.ranked[0]), REASON: answer.reason}
    if answer.set is not None:
        row[SET] = list(answer.set)
    if len(answer.ranked) > 1:
        row["top"] = [_labelled(*pair) for pair in answer.ranked]
    if answer.probabilities is not None:
        values = (round(value, 6) for value in answer.probabilities.tolist())
        row["probabilities"] = dict(zip(classes, values, strict=True))
    return row


def _labelled(label: str, probability: float) -> dict[str, object]:
    return {"label": label, "probability": round(probability, 6)}
