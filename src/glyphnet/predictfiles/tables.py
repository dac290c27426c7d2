"""Pictures in the rows of Parquet tables: their bytes, or the names of their files.

Tables of the Hugging Face Hub are such: a column ``image`` of structures with ``bytes`` and ``path``.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import BadFileError, DataError, MissingExtraError
from .pictures import Content, Picture

IMAGE, FILE_NAME = "image", "file_name"
NAMES = ("id", "name", FILE_NAME)
"""Columns that may say what a row is called, the first that is there does."""

# Rows are taken a few at a time, for one may hold a photograph of many megabytes, and a group of rows all of them.
_MOST_ROWS, _MOST_BYTES = 1024, 8 << 20
_PAGE_BYTES = 1 << 20  # read from the file at a time, for each column


@dataclass(frozen=True)
class Table:
    """A Parquet table of pictures.

    Attributes:
        path: its file.
        count: how many rows it has.
        column: the column that the pictures are in.
        name: the column that says what a row is called; None where there is none.
    """

    path: str
    count: int
    column: str
    name: str | None

    def place(self, row: int) -> str:
        """Where the picture of a row, counted from 0, lies."""
        return f"{self.path}#{row}"

    def pictures(self, start: int = 0) -> Iterator[Picture]:
        """The picture of each row from ``start``, a few rows at a time.

        Raises:
            DataError: the table is damaged.
        """
        row, damage = start, _damage()
        try:
            for cells, names in _columns(self, start):
                for cell, name in zip(cells, names, strict=True):
                    place = self.place(row)
                    content, path = content_of(cell, place, partial(_beside, self.path, place=place))
                    called = path if name is None else name
                    yield Picture(place if called is None else str(called), place, content)
                    row += 1
        except damage as error:
            raise DataError(
                f"{self.path}: cannot be read from row {row:,} on ({' '.join(str(error).split())}). Write it again."
            ) from error


def open_table(path: str) -> Table | BadFileError:
    """The Parquet table in a file, or why there are no pictures in it.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    parquet = _parquet()
    try:
        with parquet.ParquetFile(path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
    except FileNotFoundError:
        return BadFileError(path, "no such file", "Check the path.")
    except _damage() as error:
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
    return Table(path, count, wanted, name)


def _picture_column(columns: dict[str, Any]) -> str | None:
    """``image``, else the only column that can hold the bytes of pictures, else ``file_name``."""
    if IMAGE in columns and (_holds_bytes(columns[IMAGE]) or _holds_text(columns[IMAGE])):
        return IMAGE
    fitting = [name for name, kind in columns.items() if _holds_bytes(kind)]
    if len(fitting) == 1:
        return fitting[0]
    return FILE_NAME if FILE_NAME in columns and _holds_text(columns[FILE_NAME]) else None


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
    with closing(_parquet().ParquetFile(table.path, pre_buffer=False, buffer_size=_PAGE_BYTES)) as file:
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


def _beside(table: str, name: str, place: str) -> Content:
    """The file that a row names; a table is often somebody else's, and must not lead to any file of this machine."""
    inside = posixpath.normpath(name)
    if inside.startswith(("/", "../")) or inside in (".", "..") or "\0" in inside:
        remedy = "Put the images beside or below the table."
        return BadFileError(place, f"names {name!r}, outside the table's folder", remedy)
    return os.path.join(os.path.dirname(table), inside)


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Reading Parquet tables", "parquet") from error
    return parquet


def _damage() -> tuple[type[Exception], ...]:
    """What pyarrow raises of a file that it cannot read."""
    import pyarrow

    return (pyarrow.ArrowException, OSError)
