"""Answers as a table of Apache Arrow, which is what Parquet files and Ray take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .answers import ERROR, REASON, SET, Answer, Answering


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
