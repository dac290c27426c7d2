"""Lists the images of a table (CSV, Parquet) with the columns ``file_name``, ``label``, maybe ``split``."""

from __future__ import annotations

import csv
import difflib
import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError, MissingExtraError
from .listing import PART_NAMES, TRAIN, BadFile, ImageFiles, check_classes, class_order, look_alikes

COLUMNS = ("file_name", "label")
SPLIT_COLUMN = "split"


class _Row(NamedTuple):
    """One line of a table; ``where`` is what a person finds it by."""

    where: str
    file_name: str | None
    label: str | None
    split: str | None


@dataclass
class _Files:
    seen: dict[str, str] = field(default_factory=dict)  # file name: where it stood
    rows: list[tuple[str, str, int]] = field(default_factory=list)  # name, label, part
    bad: list[BadFile] = field(default_factory=list)


def read_table(path: Path) -> ImageFiles:
    """The image files that a table lists; file names are relative to the table's folder.

    Every label is taken as text. A column ``split`` with train, val (valid, validation) and test divides the
    data.

    Raises:
        DataError: the table cannot be read, a column is missing, a row is incomplete, listed twice or leads
            outside the table's folder, or the labels are of no use; the message has the line.
        MissingExtraError: a Parquet table without pyarrow.
    """
    files = _Files()
    for row in READERS[path.suffix.lower()](path):
        _add(files, row, path)
    if not files.rows:
        raise DataError(f"{path}: no row of the table names an image that is there. Fill it, or check the file names.")
    files.rows.sort()
    classes = class_order(label for _, label, _ in files.rows)
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[label] for _, label, _ in files.rows], dtype=np.int64)
    parts = np.array([part for _, _, part in files.rows], dtype=np.int8)
    check_classes(classes, labels, parts, str(path))
    names = tuple(name for name, _, _ in files.rows)
    return ImageFiles(path.parent, names, labels, classes, parts, tuple(files.bad), tuple(look_alikes(classes)))


def _add(files: _Files, row: _Row, table: Path) -> None:
    if not row.file_name or not row.label:
        missing = "file name" if not row.file_name else "label"
        raise DataError(f"{table}: {row.where} has no {missing}. Fill it in, or remove the row.")
    name = posixpath.normpath(row.file_name)
    if name.startswith(("/", "../")) or name in (".", "..") or "\0" in name:
        # A table is often somebody else's: it must not be able to name any file of this machine.
        raise DataError(
            f"{table}: {row.where} names {row.file_name!r}, outside the table's folder. "
            "Put the images beside or below the table."
        )
    if name in files.seen:
        raise DataError(
            f"{table}: {row.where} lists {row.file_name!r} again, after {files.seen[name]}. Remove one of them."
        )
    files.seen[name] = row.where
    part = TRAIN if row.split is None else PART_NAMES.get(row.split.strip().lower())
    if part is None:
        raise DataError(
            f"{table}: {row.where} has the split {row.split!r}; known are {', '.join(PART_NAMES)}. Correct it."
        )
    fault = _fault(table.parent / name)
    if fault:
        files.bad.append(BadFile(name, f"{fault}; named in {table.name}, {row.where}"))
    else:
        files.rows.append((name, row.label, part))


def _fault(path: Path) -> str:
    try:
        return "" if stat.S_ISREG(os.stat(path).st_mode) else "not a regular file"
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _read_csv(path: Path) -> Iterator[_Row]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:  # spreadsheets put a mark before UTF-8
            head = file.readline()
            file.seek(0)
            # Spreadsheets write semicolons where the comma is the decimal mark.
            delimiter = max(",;\t", key=head.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            columns = next(reader, [])
            places = _places([name.strip() for name in columns], path)
            line = reader.line_num + 1
            for cells in reader:
                if cells:  # blank lines are none
                    picked = [cells[i].strip() if i is not None and i < len(cells) else None for i in places]
                    yield _Row(
                        f"line {line}",
                        picked[0],
                        picked[1],
                        (picked[2] or "") if places[2] is not None else None,
                    )
                line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}: {error.reason}). Save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is not sound CSV ({error}). Correct it.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error


def _read_parquet(path: Path) -> Iterator[_Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Reading Parquet tables", "parquet") from error
    try:
        with parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            picked = [names[i] for i in _places(names, path) if i is not None]
            row = 0
            for batch in file.iter_batches(columns=picked):
                columns = [batch.column(name).to_pylist() for name in picked]
                for cells in zip(*columns, strict=True):
                    row += 1
                    texts = [None if cell is None else str(cell) for cell in cells]
                    split = (texts[2] or "") if len(texts) > 2 else None
                    yield _Row(f"row {row}", texts[0], texts[1], split)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: cannot be read as Parquet ({' '.join(str(error).split())}). Write it again."
        ) from error


def _places(names: Sequence[str], path: Path) -> tuple[int, int, int | None]:
    """Where file_name, label and split stand among the columns."""
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        near = [difflib.get_close_matches(name, names, n=1) for name in missing]
        hints = [f" (did you mean {match[0]!r}?)" if match else "" for match in near]
        wanted = " and ".join(f"'{name}'{hint}" for name, hint in zip(missing, hints, strict=True))
        found = ", ".join(repr(name) for name in names) or "none"
        raise DataError(f"{path}: there is no column {wanted}; the columns are {found}. Rename or add it.")
    split = names.index(SPLIT_COLUMN) if SPLIT_COLUMN in names else None
    return names.index(COLUMNS[0]), names.index(COLUMNS[1]), split


READERS: dict[str, Callable[[Path], Iterator[_Row]]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
}
TABLE_NAMES = ("metadata.csv", "metadata.tsv", "metadata.parquet")
