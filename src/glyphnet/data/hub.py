"""Pictures in the rows of Parquet tables, as on the Hugging Face Hub: a column ``image`` of {bytes, path}.

pyarrow reads them a few rows or a group of rows at a time; the pictures are never written to disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..errors import BadFileError, DataError, MissingExtraError
from ..units import fault_of, listed
from .filetree import AnyFile, ArchivePath, FileTree, as_file, openable, read_file
from .layouts import part_word
from .listing import TRAIN, Content, ImageFiles, Picture, Unlabelled, class_order
from .pathtables import beside, finder_beside
from .tables import FILE_COLUMNS, label_column_of, parquet_damage, plain, sound

IMAGE, FILE_NAME = "image", "file_name"
NAMES = ("id", "name", FILE_NAME)
"""Columns that may say what a row is called, the first that is there does."""

# Rows are taken a few at a time, for one may hold a photograph of many megabytes, and a group of rows all of them.
_MOST_ROWS, _MOST_BYTES = 1024, 8 << 20
_PAGE_BYTES = 1 << 20  # read from the file at a time, for each column
_GROUPS_KEPT = 4  # groups of rows in memory: several threads decode, all near the same place


@dataclass(frozen=True)
class Table:
    """A Parquet table of pictures.

    Attributes:
        file: its file.
        count: how many rows it has.
        column: the column that the pictures are in.
        name: the column that says what a row is called; None where there is none.
    """

    file: AnyFile
    count: int
    column: str
    name: str | None

    @property
    def path(self) -> str:
        """What messages call the file."""
        return os.fspath(self.file)

    def place(self, row: int) -> str:
        """Where the picture of a row, counted from 0, lies."""
        return f"{self.path}#{row}"

    def pictures(self, start: int = 0) -> Iterator[Picture]:
        """The picture of each row from ``start``, a few rows at a time.

        Raises:
            DataError: the table is damaged.
        """
        row, damage, finder = start, parquet_damage(), finder_beside(self.path)
        try:
            for cells, names in _columns(self, start):
                for cell, name in zip(cells, names, strict=True):
                    place = self.place(row)
                    content, path = content_of(cell, place, partial(beside, finder, place=place))
                    called = path if name is None else str(name)
                    if name is not None and self.name != FILE_NAME and (fault := fault_of(str(name))):
                        reason = f"its {self.name} cannot be a name: {fault}"
                        called, content = place, BadFileError(place, reason, f"Mend it or leave {self.name} out.")
                    yield Picture(place if called is None else called, place, content)
                    row += 1
        except damage as error:
            raise DataError(
                f"{self.path}: cannot be read from row {row:,} on ({' '.join(str(error).split())}). Write it again."
            ) from error


def open_table(path: str | os.PathLike[str]) -> Table | BadFileError:
    """The Parquet table in a file, or why there are no pictures in it.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    parquet, source = _parquet(), as_file(path)
    try:
        with parquet.ParquetFile(openable(source)) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
    except FileNotFoundError:
        return BadFileError(path, "no such file", "Check the path.")
    except parquet_damage() as error:
        reason = " ".join(str(error).split())[:200]
        return BadFileError(path, f"cannot be read as Parquet ({reason})", "Write it again.")
    columns = {field.name: field.type for field in schema}
    wanted = _picture_column(columns)
    if wanted is None:
        found = ", ".join(repr(name) for name in columns) or "none"
        return BadFileError(
            path,
            f"no column holds pictures; the columns are {found}",
            f"Name the one with their bytes {IMAGE!r}, or the one with their files {FILE_NAME!r}.",
        )
    name = next((name for name in NAMES if name in columns and name != wanted), None)
    return Table(source, count, wanted, name)


def unlabelled_parquet(path: AnyFile) -> Unlabelled | BadFileError:
    """The pictures in a Parquet table, for prediction."""
    table = open_table(path)
    return table if isinstance(table, BadFileError) else Unlabelled(table.count, table.place, table.pictures)


def _picture_column(columns: dict[str, Any]) -> str | None:
    """``image``, else the only column that can hold the bytes of pictures, else one of paths."""
    if IMAGE in columns and (_holds_bytes(columns[IMAGE]) or _holds_text(columns[IMAGE])):
        return IMAGE
    fitting = [name for name, kind in columns.items() if _holds_bytes(kind)]
    if len(fitting) == 1:
        return fitting[0]
    names = {plain(name): name for name, kind in columns.items() if _holds_text(kind)}
    return next((names[name] for name in FILE_COLUMNS if name in names), None)


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_bytes(kind.field(place).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _holds_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _columns(table: Table, start: int) -> Iterator[tuple[list[Any], list[Any]]]:
    """The cells of some rows, and what the rows are called, from row ``start`` to the end."""
    # Without a buffer of its own, pyarrow would read the pictures of a whole group of rows at once.
    with closing(_parquet().ParquetFile(openable(table.file), pre_buffer=False, buffer_size=_PAGE_BYTES)) as file:
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        first = 0
        while first < len(groups) and start >= groups[first].num_rows:
            start -= groups[first].num_rows
            first += 1
        size = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1.0)
        wanted = [table.column] if table.name is None else [table.column, table.name]
        for batch in file.iter_batches(
            batch_size=int(max(1, min(_MOST_ROWS, _MOST_BYTES // max(size, 1)))),
            row_groups=list(range(first, len(groups))),
            columns=wanted,
        ):
            sound(batch)
            passed = min(start, len(batch))
            start -= passed
            rest = batch.slice(passed)
            names = [None] * len(rest) if table.name is None else rest.column(table.name).to_pylist()
            yield rest.column(table.column).to_pylist(), names


def content_of(cell: Any, place: str, file_of: Callable[[str], Content]) -> tuple[Content, str | None]:
    """What there is of a picture, and the path that its cell tells, if it does.

    Args:
        cell: bytes, a path, or a dict of ``bytes`` and ``path``, as on the Hugging Face Hub.
        place: where it lies.
        file_of: from a path in a cell to that of a file.
    """
    content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if content is None:
        content = path  # the custom of the Hub for pictures that lie in files
    if isinstance(content, str) and content:
        return file_of(content), content
    if content is None or content == "":
        return BadFileError(place, "has no picture", "Fill it in, or remove the row."), path
    return content, path


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Reading Parquet tables", "parquet") from error
    return parquet


# Training


def hub_tables(tree: FileTree) -> list[tuple[str, int | None]]:
    """The Parquet tables of a folder that hold pictures, each with the part that its name or its folder says.

    Raises:
        DataError: one cannot be read.
        MissingExtraError: pyarrow is not installed.
    """
    names = [name for name in tree.names if name.lower().endswith(".parquet")]
    return [(name, _part_of(name)) for name in names if is_hub_table(tree.file(name))]


def is_hub_table(path: AnyFile) -> bool:
    """Whether a Parquet table holds pictures, not only their names.

    Raises:
        DataError: it cannot be read.
        MissingExtraError: pyarrow is not installed.
    """
    parquet = _parquet()
    try:
        with parquet.ParquetFile(openable(path)) as file:
            schema = file.schema_arrow
    except parquet_damage() as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: cannot be read as Parquet ({reason}). Write it again.") from error
    return any(_holds_bytes(field.type) for field in schema)


def _part_of(name: str) -> int | None:
    """``data/train-00000-of-00002.parquet``, ``train/0000.parquet``: the part by the name, else by a folder."""
    folders, base = posixpath.split(name.removesuffix(".parquet"))
    words = [base.partition("-")[0], base, *reversed(folders.split("/"))]
    return next((part for word in words if (part := part_word(word)) is not None), None)


def read_hub(tree: FileTree, tables: Sequence[tuple[str, int | None]], label_column: str | None = None) -> ImageFiles:
    """The labelled pictures in Parquet tables.

    Args:
        tree: the folder or archive that the tables' names start from.
        tables: (name, part); None for data that come undivided.
        label_column: the column with the class; None recognises it.

    Raises:
        DataError: there is no column of labels, a label is missing, or some names say a part and some do not.
        MissingExtraError: pyarrow is not installed.
    """
    root = tree.root
    unknown = [name for name, part in tables if part is None]
    if unknown and len(unknown) < len(tables):
        raise DataError(f"{root}: {listed(unknown, 2)} name no part (train, validation, test), and others do. Rename.")
    names: list[str] = []
    texts: list[str] = []
    parts: list[int] = []
    groups: dict[str, _Groups] = {}
    chosen, order = "", None
    for name, part in tables:
        labels, title, known = _labels(tree.file(name), label_column)
        order = order or known
        groups[name] = _Groups(tree.file(name))
        names += [f"{name}#{row}" for row in range(len(labels))]
        texts += labels
        parts += [TRAIN if part is None else part] * len(labels)
        chosen = f"column {groups[name].table.column!r} holds the pictures, {title!r} the class"
    classes = order or class_order(texts)
    number = {name: index for index, name in enumerate(classes)}
    state = "".join(groups[name].state for name in groups)

    def read(name: str) -> bytes:
        table, _, row = name.rpartition("#")
        return groups[table].content(int(row))

    what = f"{len(tables)} Parquet tables" if len(tables) > 1 else tables[0][0]
    return ImageFiles(
        root, names, np.array([number[text] for text in texts], dtype=np.int64), classes,
        np.array(parts, dtype=np.int8), notes=(f"{what}: {chosen}.",), read=read, state=state,
        label_column=label_column,
    )  # fmt: skip


def _labels(path: AnyFile, asked: str | None) -> tuple[list[str], str, tuple[str, ...] | None]:
    """The label of each row, the column's name, and the class names in order where the file says them."""
    parquet = _parquet()
    try:
        with parquet.ParquetFile(openable(path)) as file:
            schema = file.schema_arrow
            column = label_column_of(schema.names, asked, str(path))
            if column is None:
                found = listed(list(schema.names), 6)
                raise DataError(
                    f"{path}: no column has the class; the columns are {found}. Call it label, or name it by "
                    "--label-column."
                )
            title = schema.names[column]
            values = sound(file.read(columns=[title])).column(title).to_pylist()
    except parquet_damage() as error:
        raise DataError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:200]}).") from error
    missing = next((row for row, value in enumerate(values) if value is None or value == ""), None)
    if missing is not None:
        raise DataError(f"{path}: row {missing + 1} has no label. Fill it in, or remove the row.")
    known = _class_names(schema.metadata or {}, title)
    if known is None:
        return [str(value) for value in values], title, None
    wrong = next((value for value in values if not isinstance(value, int) or not 0 <= value < len(known)), None)
    if wrong is not None:
        remedy = "Hugging Face writes -1 where a label is not known" if wrong == -1 else "Correct it"
        raise DataError(f"{path}: the label {wrong!r} has none of the {len(known)} class names in the file. {remedy}.")
    return [known[value] for value in values], title, known


def _class_names(metadata: dict[bytes, bytes], column: str) -> tuple[str, ...] | None:
    """The names of a ``ClassLabel`` of Hugging Face's datasets library, from the file's metadata."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None


class _Groups:
    """The pictures of a Parquet file by their rows; the groups of rows that were asked for last are in memory."""

    def __init__(self, path: AnyFile) -> None:
        table = open_table(path)
        if isinstance(table, BadFileError):
            raise table
        self.table = table
        self._path = path
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Any] = OrderedDict()
        with _parquet().ParquetFile(openable(path)) as file:
            sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        self._ends = np.cumsum(sizes)
        if isinstance(path, ArchivePath):
            state = path.state()
        else:
            status = path.stat()
            state = repr((str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
        self.state = hashlib.sha256(os.fsencode(state)).hexdigest()

    def content(self, row: int) -> bytes:
        """The encoded picture of a row.

        Raises:
            BadFileError: there is none.
        """
        group = int(np.searchsorted(self._ends, row, side="right"))
        start = int(self._ends[group - 1]) if group else 0
        place = self.table.place(row)
        finder = finder_beside(str(self._path))
        content, _ = content_of(self._group(group)[row - start].as_py(), place, partial(beside, finder, place=place))
        if isinstance(content, BadFileError):
            raise content
        if isinstance(content, str):
            return read_file(content)
        if not isinstance(content, bytes):
            raise BadFileError(place, "holds no encoded picture", "Save pictures as PNG or JPEG bytes.")
        return content

    def _group(self, number: int) -> Any:
        with self._lock:
            if number not in self._kept:
                try:
                    with _parquet().ParquetFile(openable(self._path)) as file:
                        column = sound(file.read_row_group(number, columns=[self.table.column])).column(0)
                except parquet_damage() as error:
                    reason = " ".join(str(error).split())[:200]
                    raise BadFileError(self._path, f"cannot be read ({reason})", "Write it again.") from error
                self._kept[number] = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
                while len(self._kept) > _GROUPS_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(number)
            return self._kept[number]
