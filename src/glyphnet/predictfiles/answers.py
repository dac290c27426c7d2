"""The answer for each picture, its columns and rows, and the files that hold them."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import numpy as np

from ..answers import NONE_OF_THESE, Float32Array, OneAnswer, Predictor, Reason
from ..conformal import check_level
from ..errors import BadFileError, MissingExtraError, SettingsError
from .predicting import Prediction

OF_CLASS = "probability_"  # before the name of a class: the column with its probability
REASON, SET = "reason", "set"  # columns: why an answer cannot be believed; the set of classes, where requested
ERROR = "error"  # the column, in files, with why a picture cannot be read


@dataclass(frozen=True)
class Asked:
    """What to answer about each picture; SettingsError where a value is impossible."""

    topk: int = 1  # how many of the likeliest classes to name
    reject: bool = False  # say "none of these" where there is a reason not to believe the answer
    probabilities: bool = False  # of every class
    sets: float | None = None  # add the set of classes that contains the true one with this probability

    def __post_init__(self) -> None:
        if self.topk < 1:
            raise SettingsError(f"topk (={self.topk}) must be 1 or more.")
        if self.sets is not None:
            check_level(self.sets)


class Answer(NamedTuple):
    """The answer for one picture; what was not requested is None."""

    file: str
    ranked: Sequence[tuple[str, float]]  # the likeliest labels with their probabilities; none if it cannot be read
    reason: Reason | None = None  # why the answer cannot be believed, whether it was rejected or not
    set: tuple[str, ...] | None = None  # see `Asked.sets`
    probabilities: Float32Array | None = None  # (K,)
    error: str | None = None  # why it cannot be read


class Answering:
    """Makes answers out of predictions; SettingsError if the model cannot reject, or give sets at this level."""

    def __init__(self, classifier: Predictor, asked: Asked) -> None:
        self._classes, self._asked, rules = classifier.classes, asked, classifier.rules
        if asked.reject:
            rules.check_rejection()
        self._conformal = None if asked.sets is None else rules.need_conformal()
        if self._conformal is not None and asked.sets is not None:
            self._conformal.limit(asked.sets)

    def __call__(self, prediction: Prediction) -> Answer:
        """The answer for one picture, or its error."""
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
        members = None
        if self._conformal is not None and self._asked.sets is not None:
            [labels] = self._conformal.labels(probabilities[np.newaxis], self._asked.sets)
            members = tuple(self._classes[label] for label in labels)
        return Answer(file, ranked, reason, members, probabilities if self._asked.probabilities else None)

    @property
    def columns(self) -> list[str]:
        """The columns of a table of answers, without `ERROR`."""
        sets = [] if self._asked.sets is None else [SET]
        return ["file", "label", "probability", REASON, *sets, *self.each_class]

    @property
    def each_class(self) -> list[str]:
        """The columns with the probability of every class, if these were requested."""
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


# The files that answers are written to, each in parts that are joined at the end

_GROUP_CELLS = 1 << 22  # in a group of rows of a Parquet file: so many are in memory at once
_GROUP_ROWS = 1 << 16


class About(NamedTuple):
    """What a file may say beside the answers: the model file as given, and how many pictures could not be read."""

    model: str
    unreadable: int


class Format(NamedTuple):
    """A kind of file."""

    write: Callable[[BinaryIO, Sequence[Answer], Answering], None]  # a part with some answers
    join: Callable[[BinaryIO, Sequence[Path], Answering, About], None]  # parts, never in memory together, to the file
    check: Callable[[], object] = lambda: None  # raises MissingExtraError where what it needs is not installed


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format for the suffix of a file; SettingsError if there is none, MissingExtraError without its library."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in FORMATS:
        raise SettingsError(f"{os.fspath(path)}: predictions are written as {', '.join(FORMATS)}: choose such a name.")
    FORMATS[suffix].check()
    return FORMATS[suffix]


@contextmanager
def _text(file: BinaryIO) -> Iterator[TextIO]:
    """UTF-8; bytes of a name that are not valid come out as they were."""
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    yield text
    text.detach()  # writes the rest, and leaves the file open


def _write_csv(file: BinaryIO, answers: Sequence[Answer], answering: Answering) -> None:
    empty = [""] * (len(answering.columns) - 1)
    with _text(file) as text:
        writer = csv.writer(text, lineterminator="\n")
        for answer in answers:
            if answer.error is None:
                writer.writerows([*row, ""] for row in csv_rows(answer))
            else:
                writer.writerow([answer.file, *empty, answer.error])


def _join_csv(file: BinaryIO, parts: Sequence[Path], answering: Answering, about: About) -> None:
    with _text(file) as text:
        csv.writer(text, lineterminator="\n").writerow([*answering.columns, ERROR])
    for part in parts:
        file.write(part.read_bytes())


def _write_json(file: BinaryIO, answers: Sequence[Answer], answering: Answering) -> None:
    with _text(file) as text:
        for answer in answers:
            print(json.dumps(json_row(answer, answering.classes), ensure_ascii=False, allow_nan=False), file=text)


def _join_json(file: BinaryIO, parts: Sequence[Path], answering: Answering, about: About) -> None:
    file.write(f'{{"model": {json.dumps(about.model)}, "predictions": ['.encode())
    between = b"\n"
    for part in parts:
        for line in part.read_bytes().splitlines():
            file.write(between + line)
            between = b",\n"
    file.write(f'\n], "unreadable": {about.unreadable}}}\n'.encode())


def _write_parquet(file: BinaryIO, answers: Sequence[Answer], answering: Answering) -> None:
    from pyarrow import parquet

    parquet.write_table(arrow_table(answers, answering)[0], file)


def _join_parquet(file: BinaryIO, parts: Sequence[Path], answering: Answering, about: About) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = arrow_schema(answering)
    size = max(1, min(_GROUP_ROWS, _GROUP_CELLS // len(schema)))
    with parquet.ParquetWriter(file, schema) as writer:
        waiting = schema.empty_table()
        for part in parts:
            waiting = pa.concat_tables([waiting, parquet.ParquetFile(part).read()])
            while len(waiting) >= size:  # groups do not tell where a run was killed
                writer.write_table(waiting.slice(0, size).combine_chunks())
                waiting = waiting.slice(size)
        if len(waiting):
            writer.write_table(waiting.combine_chunks())


def _need_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Writing Parquet files", "parquet") from error


FORMATS = {
    ".parquet": Format(_write_parquet, _join_parquet, _need_pyarrow),
    ".csv": Format(_write_csv, _join_csv),
    ".json": Format(_write_json, _join_json),
}


# Answers as a table of Apache Arrow, which is what Parquet files and Ray take


def arrow_schema(answering: Answering) -> Any:
    """Names and types of the columns: `Answering.columns` and error."""
    import pyarrow as pa

    kinds = {"file": pa.string(), "label": pa.string(), REASON: pa.string(), SET: pa.list_(pa.string())}
    fields = [pa.field(name, kinds.get(name, pa.float32())) for name in answering.columns]
    return pa.schema([*fields, pa.field(ERROR, pa.string())])


def arrow_table(answers: Sequence[Answer], answering: Answering) -> tuple[Any, list[int]]:
    """The table (pyarrow.Table), a row a label, and which of the answers each row comes from."""
    import pyarrow as pa

    nothing: Sequence[tuple[str | None, float | None]] = [(None, None)]
    rows = [(number, *pair) for number, answer in enumerate(answers) for pair in answer.ranked or nothing]
    sources = [number for number, _, _ in rows]
    columns: list[Any] = [
        [_unicode(answers[number].file) for number in sources],
        [label for _, label, _ in rows],
        [probability for _, _, probability in rows],
        [answers[number].reason for number in sources],
        *([[answers[number].set for number in sources]] if SET in answering.columns else []),
        *_of_classes(answers, sources, answering),
        [answers[number].error for number in sources],
    ]
    schema = arrow_schema(answering)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema), sources


def _of_classes(answers: Sequence[Answer], sources: Sequence[int], answering: Answering) -> list[Any]:
    """The columns of the classes, if they were requested."""
    import pyarrow as pa

    if not answering.each_class or not sources:
        return [[] for _ in answering.each_class]
    none = np.zeros(len(answering.classes), dtype=np.float32)
    known = [answers[number].probabilities for number in sources]
    missing = np.array([values is None for values in known])
    table = np.stack([none if values is None else values for values in known], axis=1)
    return [pa.array(values, mask=missing) for values in table]


def _unicode(name: str) -> str:
    """A name as Arrow takes it: bytes that are not UTF-8 become \\x and their value."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
