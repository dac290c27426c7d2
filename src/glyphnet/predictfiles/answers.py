"""What is told of each picture, and the columns and rows that it becomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .._answers import NONE_OF_THESE
from ..errors import BadFileError, SettingsError
from ..onnxmodel import Float32Array
from ..predictor import Predictor
from .predicting import Prediction

OF_CLASS = "probability_"
"""Before the name of a class: the column with its probability."""

ERROR = "error"
"""The column, in files, with why a picture cannot be read."""


@dataclass(frozen=True)
class Asked:
    """What is asked about each picture.

    Attributes:
        topk: how many of the likeliest classes to name.
        reject: say "none of these" where the model is less sure than its threshold.
        probabilities: tell the probability of every class too.

    Raises:
        SettingsError: ``topk`` is less than 1.
    """

    topk: int = 1
    reject: bool = False
    probabilities: bool = False

    def __post_init__(self) -> None:
        if self.topk < 1:
            raise SettingsError(f"topk (={self.topk}) must be 1 or more.")


class Answer(NamedTuple):
    """What is told of one picture.

    Attributes:
        file: what it is called.
        ranked: its likeliest labels with their probabilities, the first first; none where it cannot be read.
        probabilities: float32 (K,), where they were asked for.
        error: why it cannot be read.
    """

    file: str
    ranked: Sequence[tuple[str, float]]
    probabilities: Float32Array | None = None
    error: str | None = None


class Answering:
    """Makes answers out of predictions.

    Args:
        classifier: whose classes they are.
        asked: what to tell.

    Raises:
        SettingsError: rejection is asked for and the model has no threshold.
    """

    def __init__(self, classifier: Predictor, asked: Asked) -> None:
        self._classes, self._asked = classifier.classes, asked
        self._threshold = classifier.need_threshold() if asked.reject else 0.0

    def __call__(self, prediction: Prediction) -> Answer:
        """The answer for one picture, an error where it cannot be read."""
        file, _, outcome = prediction
        return Answer(file, (), error=outcome.reason) if isinstance(outcome, BadFileError) else self.of(file, outcome)

    def of(self, file: str, probabilities: Float32Array) -> Answer:
        """The answer for one picture that has probabilities, float32 (K,)."""
        topk = self._asked.topk
        order = [probabilities.argmax()] if topk == 1 else (-probabilities).argsort(kind="stable")[:topk]
        ranked = [(self._classes[label], float(probabilities[label])) for label in order]
        if ranked[0][1] < self._threshold:
            ranked = [(NONE_OF_THESE, ranked[0][1])]
        return Answer(file, ranked, probabilities if self._asked.probabilities else None)

    @property
    def columns(self) -> list[str]:
        """The columns of a table of answers, without that of errors."""
        return ["file", "label", "probability", *self.each_class]

    @property
    def each_class(self) -> list[str]:
        """Those with the probability of every class, if these were asked for."""
        return [f"{OF_CLASS}{name}" for name in self._classes] if self._asked.probabilities else []

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in label order."""
        return self._classes


def csv_rows(answer: Answer) -> Iterator[list[str]]:
    """The lines of a table for one answer, a line a label: file, label, probability, that of each class if asked."""
    each = [] if answer.probabilities is None else [f"{value:.6f}" for value in answer.probabilities.tolist()]
    for label, probability in answer.ranked:
        yield [answer.file, label, f"{probability:.6f}", *each]


def json_row(answer: Answer, classes: Sequence[str]) -> dict[str, object]:
    """One answer in types that JSON knows."""
    if answer.error is not None:
        return {"file": answer.file, "error": answer.error}
    row: dict[str, object] = {"file": answer.file, **_labelled(*answer.ranked[0])}
    if len(answer.ranked) > 1:
        row["top"] = [_labelled(*pair) for pair in answer.ranked]
    if answer.probabilities is not None:
        values = (round(value, 6) for value in answer.probabilities.tolist())
        row["probabilities"] = dict(zip(classes, values, strict=True))
    return row


def _labelled(label: str, probability: float) -> dict[str, object]:
    return {"label": label, "probability": round(probability, 6)}
