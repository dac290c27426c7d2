"""The files that answers are written to, each in parts that are put together at the end."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import numpy as np

from ..errors import MissingExtraError, SettingsError
from .answers import ERROR, REASON, SET, Answer, Answering, csv_rows, json_row

_GROUP_CELLS = 1 << 22  # in a group of rows of a Parquet file: so many are in memory at once
_GROUP_ROWS = 1 << 16


class About(NamedTuple):
    """What a file may tell beside the answers.

    Attributes:
        model: the model file, as it was given.
        unreadable: how many pictures could not be read.
    """

    model: str
    unreadable: int


class Format(NamedTuple):
    """A kind of file.

    Attributes:
        write: writes a part with some answers.
        join: writes the file out of its parts, which are never in memory together.
        check: raises MissingExtraError where what it needs is not installed.
    """

    write: Callable[[BinaryIO, Sequence[Answer], Answering], None]
    join: Callable[[BinaryIO, Sequence[Path], Answering, About], None]
    check: Callable[[], object] = lambda: None


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format that the name of a file asks for.

    Raises:
        SettingsError: none does.
        MissingExtraError: it needs what is not installed.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in FORMATS:
        raise SettingsError(f"{os.fspath(path)}: predictions are written as {', '.join(FORMATS)}: choose such a name.")
    FORMATS[suffix].check()
    return FORMATS[suffix]


@contextmanager
def _text(file: BinaryIO) -> Iterator[TextIO]:
    """UTF-8; what a name holds that is none comes out as the bytes that it was."""
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
    """The columns of the classes, if they were asked for."""
    import pyarrow as pa

    if not answering.each_class or not sources:
        return [[] for _ in answering.each_class]
    none = np.zeros(len(answering.classes), dtype=np.float32)
    known = [answers[number].probabilities for number in sources]
    missing = np.array([values is None for values in known])
    table = np.stack([none if values is None else values for values in known], axis=1)
    return [pa.array(values, mask=missing) for values in table]


def _unicode(name: str) -> str:
    """A name as Arrow takes it: bytes that are no UTF-8 become \\x and their value."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
