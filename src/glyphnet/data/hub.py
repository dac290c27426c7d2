"""Pictures in the rows of Parquet tables, as on the Hugging Face Hub: a column ``image`` of {bytes, path}.

pyarrow reads them a few rows or a group of rows at a time; the pictures are never written to disk.
"""

from __future__ import annotations

import json
import os
import posixpath
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadFileError, DataError
from ..units import fault_of, listed
from .decode import read_bytes
from .filetree import AnyFile, FileTree, as_file, file_alone, state_of
from .layouts import part_word
from .listing import TRAIN, Content, ImageFiles, Picture, Unlabelled, image_files
from .tables import FILE_COLUMNS, Finder, label_column_of, parquet_file, plain, sound

IMAGE, FILE_NAME = "image", "file_name"
NAMES = ("id", "name", FILE_NAME)
"""Columns that may name the rows; the first one present counts."""

# Rows are taken a few at a time, for one may hold a photograph of many megabytes, and a group of rows all of them.
_MOST_ROWS, _MOST_BYTES = 1024, 8 << 20
_PAGE_BYTES = 1 << 20  # read from the file at a time, for each column
_GROUPS_KEPT = 4  # groups of rows in memory: several threads decode, all near the same place


class Table:
    """A Parquet table of pictures. Several threads may read it.

    Attributes:
        count: how many rows it has.
        column: the column that the pictures are in.
        name: the column with the names of the rows; None where there is none.

    A table that cannot be read or holds no pictures raises BadFileError; an absent pyarrow, MissingExtraError.
    """

    def __init__(self, file: AnyFile) -> None:
        self._file, self.path = file, os.fspath(file)
        with parquet_file(file) as parquet:
            self._schema = parquet.schema_arrow
            groups = [parquet.metadata.row_group(number) for number in range(parquet.num_row_groups)]
            sizes = [group.num_rows for group in groups]
            self._row_bytes = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1.0)
        self._ends = np.cumsum(sizes)
        self.count = sum(sizes)
        columns = {field.name: field.type for field in self._schema}
        self.column = _picture_column(columns, self.path)
        self.name = next((name for name in NAMES if name in columns and name != self.column), None)
        self._finder = Finder(file_alone(Path(self.path)))
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Any] = OrderedDict()

    def place(self, row: int) -> str:
        """Where the picture of a row, counted from 0, lies."""
        return f"{self.path}#{row}"

    def pictures(self, start: int = 0) -> Iterator[Picture]:
        """The picture of each row from ``start``, a few rows at a time; a damaged table raises BadFileError."""
        row = start
        try:
            for cell, name in self._cells(start):
                place = self.place(row)
                content, path = content_of(cell, place, partial(self._finder.content, place=place))
                called = path if name is None else str(name)
                if name is not None and self.name != FILE_NAME and (fault := fault_of(str(name))):
                    reason = f"its {self.name} cannot be a name: {fault}"
                    called, content = place, BadFileError(place, reason, f"Mend it or leave {self.name} out.")
                yield Picture(place if called is None else called, place, content)
                row += 1
        except BadFileError as error:
            reason = error.reason.removeprefix("cannot be read as Parquet ")
            raise BadFileError(self.path, f"cannot be read from row {row:,} on {reason}", error.remedy) from error

    def _cells(self, start: int) -> Iterator[tuple[Any, Any]]:
        """The cell of the picture and the name of each row from ``start``."""
        group = int(np.searchsorted(self._ends, start, side="right"))
        passed = start - self._start_of(group)
        wanted = [self.column] if self.name is None else [self.column, self.name]
        size = int(max(1, min(_MOST_ROWS, _MOST_BYTES // max(self._row_bytes, 1))))
        # Without a buffer of its own, pyarrow would read the pictures of a whole group of rows at once.
        with parquet_file(self._file, pre_buffer=False, buffer_size=_PAGE_BYTES) as file:
            groups = list(range(group, len(self._ends)))
            for batch in file.iter_batches(batch_size=size, row_groups=groups, columns=wanted):
                rest = sound(batch).slice(min(passed, len(batch)))
                passed -= len(batch) - len(rest)
                names = [None] * len(rest) if self.name is None else rest.column(self.name).to_pylist()
                yield from zip(rest.column(self.column).to_pylist(), names, strict=True)

    def _start_of(self, group: int) -> int:
        return int(self._ends[group - 1]) if group else 0

    def content(self, row: int) -> bytes:
        """The encoded picture of a row, else BadFileError; the groups of rows that were read last stay in memory."""
        group = int(np.searchsorted(self._ends, row, side="right"))
        cell = self._group(group)[row - self._start_of(group)].as_py()
        place = self.place(row)
        content, _ = content_of(cell, place, partial(self._finder.content, place=place))
        if isinstance(content, BadFileError):
            raise content
        if isinstance(content, str):
            return read_bytes(content)
        if not isinstance(content, bytes):
            raise BadFileError(place, "holds no encoded picture", "Save pictures as PNG or JPEG bytes.")
        return content

    def _group(self, number: int) -> Any:
        with self._lock:
            if number not in self._kept:
                with parquet_file(self._file) as file:
                    column = sound(file.read_row_group(number, columns=[self.column])).column(0)
                self._kept[number] = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
                while len(self._kept) > _GROUPS_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(number)
            return self._kept[number]

    def labels(self, asked: str | None) -> tuple[list[str], str, tuple[str, ...] | None]:
        """The label of each row, the column's name, and the class names in order where the file lists them.

        No column of labels, and a label that is missing or unknown, are a DataError.
        """
        titles = self._schema.names
        column = label_column_of(titles, asked, self.path)
        if column is None:
            raise DataError(
                f"{self.path}: no column has the class; the columns are {listed(list(titles), 6)}. Call it label, or "
                "name it by --label-column."
            )
        title = titles[column]
        with parquet_file(self._file) as file:
            values = sound(file.read(columns=[title])).column(title).to_pylist()
        missing = next((row for row, value in enumerate(values) if value is None or value == ""), None)
        if missing is not None:
            raise DataError(f"{self.path}: row {missing + 1} has no label. Fill it in, or remove the row.")
        known = _class_names(self._schema.metadata or {}, title)
        if known is None:
            return [str(value) for value in values], title, None
        wrong = next((value for value in values if not isinstance(value, int) or not 0 <= value < len(known)), None)
        if wrong is not None:
            remedy = "Hugging Face writes -1 where a label is not known" if wrong == -1 else "Correct it"
            raise DataError(
                f"{self.path}: the label {wrong!r} has none of the {len(known)} class names in the file. {remedy}."
            )
        return [known[value] for value in values], title, known


def unlabelled_parquet(path: str | AnyFile) -> Unlabelled | BadFileError:
    """The pictures in a Parquet table, for prediction."""
    try:
        table = Table(as_file(path))
    except BadFileError as error:
        return error
    return Unlabelled(table.count, table.place, table.pictures)


def _picture_column(columns: dict[str, Any], path: str) -> str:
    """``image``, else the only column of bytes, else one of paths."""
    if IMAGE in columns and (_holds_bytes(columns[IMAGE]) or _holds_text(columns[IMAGE])):
        return IMAGE
    fitting = [name for name, kind in columns.items() if _holds_bytes(kind)]
    if len(fitting) == 1:
        return fitting[0]
    names = {plain(name): name for name, kind in columns.items() if _holds_text(kind)}
    if (named := next((names[name] for name in FILE_COLUMNS if name in names), None)) is not None:
        return named
    raise BadFileError(
        path,
        f"no column holds pictures; the columns are {', '.join(map(repr, columns)) or 'none'}",
        f"Name the one with their bytes {IMAGE!r}, or the one with their files {FILE_NAME!r}.",
    )


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_bytes(kind.field(place).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _holds_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _class_names(metadata: dict[bytes, bytes], column: str) -> tuple[str, ...] | None:
    """The names of a ``ClassLabel`` of Hugging Face's datasets library, from the file's metadata."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None


def content_of(cell: Any, place: str, file_of: Callable[[str], Content]) -> tuple[Content, str | None]:
    """The content of the picture at ``place``, and the path that its cell has, if any.

    A cell is bytes, a path, or a dict of both, as on the Hugging Face Hub; ``file_of`` finds the file of a path.
    """
    content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if content is None:
        content = path  # the custom of the Hub for pictures that lie in files
    if isinstance(content, str) and content:
        return file_of(content), content
    if content is None or content == "":
        return BadFileError(place, "has no picture", "Fill it in, or remove the row."), path
    return content, path


# Training


def hub_tables(tree: FileTree) -> list[tuple[str, int | None]]:
    """The Parquet tables of a folder that hold pictures, each with the part that its name or its folder says."""
    names = [name for name in tree.names if name.lower().endswith(".parquet")]
    return [(name, _part_of(name)) for name in names if is_hub_table(tree.file(name))]


def is_hub_table(path: AnyFile) -> bool:
    """Whether a Parquet table holds pictures, not only their names; raises as `parquet_file` does."""
    with parquet_file(path) as file:
        return any(_holds_bytes(field.type) for field in file.schema_arrow)


def _part_of(name: str) -> int | None:
    """``data/train-00000-of-00002.parquet``, ``train/0000.parquet``: the part by the name, else by a folder."""
    folders, base = posixpath.split(name.removesuffix(".parquet"))
    words = [base.partition("-")[0], base, *reversed(folders.split("/"))]
    return next((part for word in words if (part := part_word(word)) is not None), None)


def read_hub(tree: FileTree, tables: Sequence[tuple[str, int | None]], label_column: str | None = None) -> ImageFiles:
    """The labelled pictures in Parquet tables, (name, part); a part is None where the data come undivided.

    It raises as `Table` does, and DataError where some names say a part and some do not.
    """
    unknown = [name for name, part in tables if part is None]
    if unknown and len(unknown) < len(tables):
        raise DataError(
            f"{tree.root}: {listed(unknown, 2)} name no part (train, validation, test), and others do. Rename."
        )
    rows: list[tuple[str, str, int]] = []
    read: dict[str, Table] = {}
    chosen, order = "", None
    for name, part in tables:
        table = read[name] = Table(tree.file(name))
        labels, title, known = table.labels(label_column)
        order = order or known
        rows += [(f"{name}#{row}", label, TRAIN if part is None else part) for row, label in enumerate(labels)]
        chosen = f"column {table.column!r} holds the pictures, {title!r} the class"

    def content(name: str) -> bytes:
        table, _, row = name.rpartition("#")
        return read[table].content(int(row))

    what = f"{len(tables)} Parquet tables" if len(tables) > 1 else tables[0][0]
    return image_files(
        tree.root, rows, order or (), notes=(f"{what}: {chosen}.",), read=content,
        state="".join(state_of(tree.file(name)) for name in read), label_column=label_column,
    )  # fmt: skip
