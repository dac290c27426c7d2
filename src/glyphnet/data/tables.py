"""Tables (CSV, JSON lines, Parquet): their cells, and which column means what.

The `csv` module reads them rather than pandas: a class called ``NA`` or ``007`` stays what it is.
"""

from __future__ import annotations

import csv
import io
import json
import os
import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import DataError, MissingExtraError
from ..units import listed
from .filetree import PICTURE_SUFFIXES, AnyFile, FileTree, openable, read_file
from .gzipped import gunzipped
from .layouts import part_word

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet")
"""Names of tables that list the pictures beside them, as the Hugging Face Hub has them."""

TEXT_SUFFIXES = (".csv", ".tsv", ".jsonl", ".txt", ".dat", ".csv.gz", ".tsv.gz")
MAX_TEXT = 2 << 30  # bytes, unpacked

# What columns are called, without case and punctuation; the first of them that is there is meant.
FILE_COLUMNS = (
    "filename", "file", "filepath", "path", "imagepath", "imagename", "imagefile", "image", "img", "imgname", "imgpath",
    "picture", "filenames", "images", "imageid", "fname", "name", "id", "uuid",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "class", "target", "category", "classname", "labelname", "labels", "y", "classid", "labelid", "categoryid",
    "classlabel", "species", "breed", "diagnosis", "dx", "emotion", "digit", "character",
)  # fmt: skip
_SPLIT_COLUMNS = ("split", "subset", "set", "part", "partition", "phase", "usage", "fold")

Rows = TypeVar("Rows")


@dataclass(frozen=True)
class Cells:
    """A table as text.

    Attributes:
        columns: what they are called; "" for each where the table has no header.
        rows: (what a person finds the row by, its cells).
        notes: how it was read, where that is not obvious.
    """

    columns: tuple[str, ...]
    rows: list[tuple[str, list[str]]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """Which column means what.

    Attributes:
        file: the one that names files.
        label: the one with the class; None where ``one_hot`` or nothing tells it.
        one_hot: columns of zeros and ones, one a class.
        split: the one that names the part.
        unused: the names of all others.
    """

    file: int
    label: int | None
    one_hot: tuple[int, ...]
    split: int | None
    unused: tuple[str, ...]


def plain(name: str) -> str:
    """A column's name without case, spaces and punctuation: ``"File Name"`` → ``"filename"``."""
    return re.sub(r"[\W_]", "", name).casefold()


# Text


def read_text(content: bytes, where: str) -> tuple[str, str]:
    """A table's text, gunzipped and decoded, and a note on its encoding ("" for UTF-8).

    Raises:
        DataError: it is not text, or damaged gzip.
    """
    if content[:2] == b"\x1f\x8b":
        content = gunzipped(content, where, MAX_TEXT)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace"), "It was read as UTF-16."
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        if b"\0" in content[:4096]:
            raise DataError(f"{where}: not a table: it holds bytes that are no text.") from error
        return content.decode("cp1252", "replace"), "It is not UTF-8: it was read as Windows-1252 (Western European)."


def separator_of(head: str) -> str:
    """What stands between the cells of a first line: comma, semicolon, tab, bar; "" where there is one cell."""
    best = max(",;\t|", key=head.count)
    return best if best in head else ""


def csv_cells(content: bytes, where: str) -> Cells:
    """The cells of CSV, TSV or the like.

    Raises:
        DataError: it is not sound CSV; the message has the line.
    """
    text, note = read_text(content, where)
    delimiter = separator_of(text.lstrip().partition("\n")[0]) or ","
    csv.field_size_limit(1 << 20)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[str, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((f"line {line}", [cell.strip() for cell in cells]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{where}: line {reader.line_num} is not sound CSV ({error}). Correct it.") from error
    notes = (f"{posixpath.basename(where)}: {note}",) if note else ()
    if not rows:
        return Cells((), [], notes)
    if _is_header(rows[0][1]):
        return Cells(tuple(rows[0][1]), rows[1:], notes)
    return Cells(("",) * len(rows[0][1]), rows, notes)


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a first row names columns: a known name, or nothing that looks like a file of a picture."""
    known = {*FILE_COLUMNS, *LABEL_COLUMNS, *_SPLIT_COLUMNS}
    return any(plain(cell) in known for cell in cells) or not any(looks_like_picture(cell) for cell in cells)


def looks_like_picture(cell: str) -> bool:
    """Whether a cell ends as the names of picture files do."""
    return posixpath.splitext(cell)[1].lower() in PICTURE_SUFFIXES


def json_cells(content: bytes, where: str) -> Cells:
    """The cells of JSON lines: one object a row.

    Raises:
        DataError: a line is no JSON object.
    """
    text, _ = read_text(content, where)
    objects: list[tuple[str, dict[str, object]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                found = json.loads(line)
            except ValueError as error:
                raise DataError(f"{where}: line {number} is not JSON ({error}). Correct it.") from error
            if not isinstance(found, dict):
                raise DataError(f'{where}: line {number} is no JSON object. Write {{"file_name": …, "label": …}}.')
            objects.append((f"line {number}", found))
    columns = tuple(dict.fromkeys(name for _, each in objects for name in each))
    rows = [(place, ["" if each.get(c) is None else str(each[c]) for c in columns]) for place, each in objects]
    return Cells(columns, rows)


def parquet_damage() -> tuple[type[Exception], ...]:
    """What pyarrow raises of a file that it cannot read; it does not look by itself whether text is UTF-8."""
    import pyarrow

    return (pyarrow.ArrowException, OSError, UnicodeDecodeError)


def sound(rows: Rows) -> Rows:
    """A batch, table or column that pyarrow has read, checked whole: offsets within their buffers, text valid.

    Raises:
        pyarrow.ArrowException: it is damaged. Otherwise its values would be read from somewhere else.
    """
    rows.validate(full=True)  # type: ignore[attr-defined]
    return rows


def parquet_cells(path: AnyFile) -> Cells:
    """The cells of a Parquet table as text; columns that are no text or numbers are left out.

    Raises:
        DataError: it cannot be read.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        from pyarrow import parquet, types
    except ImportError as error:
        raise MissingExtraError("Reading Parquet tables", "parquet") from error
    try:
        with parquet.ParquetFile(openable(path)) as file:
            names = [field.name for field in file.schema_arrow if not types.is_nested(field.type)]
            rows: list[tuple[str, list[str]]] = []
            for batch in file.iter_batches(columns=names):
                columns = [sound(batch).column(name).to_pylist() for name in names]
                for cells in zip(*columns, strict=True):
                    rows.append((f"row {len(rows) + 1}", ["" if cell is None else str(cell) for cell in cells]))
    except parquet_damage() as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: cannot be read as Parquet ({reason}). Write it again.") from error
    return Cells(tuple(names), rows)


def cells_of(root: Path, name: str, tree: FileTree | None) -> Cells:
    """The cells of the table ``name`` below ``root``, or in the archive ``tree``."""
    if name.lower().endswith(".parquet"):
        return parquet_cells(root / name if tree is None else tree.file(name))
    content = tree.content(name) if tree is not None else read_file(root / name, MAX_TEXT)
    read = json_cells if name.lower().endswith(".jsonl") else csv_cells
    return read(content, f"{root / name}")


# Columns


def label_column_of(titles: Sequence[str], asked: str | None, where: str) -> int | None:
    """The column of labels, by its name or as asked for; None where none is called so.

    Raises:
        DataError: there is no column ``asked``, or several columns have labels and none is called as usual.
    """
    names = [plain(title) for title in titles]
    if asked is not None:
        if asked not in titles and names.count(plain(asked)) != 1:
            raise DataError(
                f"{where}: there is no column {asked!r}, as --label-column says; the columns are {listed(titles, 6)}."
            )
        return list(titles).index(asked) if asked in titles else names.index(plain(asked))
    found = next((names.index(name) for name in LABEL_COLUMNS if name in names), None)
    words = [re.split(r"[\W_]+", title.lower()) for title in titles]
    like = [title for title, parts in zip(titles, words, strict=True) if {*parts} & {"label", "class"}]
    if found is None and len(like) > 1:
        options = "".join(f"\n  --label-column {shlex.quote(title)}" for title in like[:4])
        raise DataError(f"{where}: {len(like)} columns may have the class. Choose one:{options}")
    return titles.index(like[0]) if found is None and like else found


def choose_columns(table: Cells, where: str, *, labelled: bool = True, label_column: str | None = None) -> Columns:
    """Which column names the files and which the class, by their names and, failing that, by what is in them.

    Raises:
        DataError: that cannot be told; the message has the columns.
    """
    sample = [cells for _, cells in table.rows[:50]]
    fitting = [c for c in range(len(table.columns)) if _share_of_files(sample, c) > 0.5]
    named = _named(table, FILE_COLUMNS)
    file = next((c for c in named if c in fitting), None)
    if file is None and len(fitting) == 1:
        file = fitting[0]
    if file is None and named:
        file = named[0]
    if file is None:
        refuse_decimal_commas(sample, where)
        raise DataError(f"{where}: no column names files. {columns_in_words(table)} Call the one with them file_name.")
    split = _split_column(table, {file})
    label = next((c for c in _named(table, LABEL_COLUMNS) if c not in (file, split)), None)
    if label_column is not None:
        label = label_column_of(table.columns, label_column, where)
    rest = [c for c in range(len(table.columns)) if c not in (file, split, label)]
    one_hot: tuple[int, ...] = ()
    if label is None and labelled:
        binary = tuple(c for c in rest if _is_binary(table, c))
        one_hot = binary if len(binary) > 1 else ()
        if not one_hot:
            label = rest[0] if len(rest) == 1 else label_column_of(table.columns, None, where)
        if not one_hot and label is None:
            raise DataError(
                f"{where}: no column has the class. {columns_in_words(table)} Call the one with it label, or name it "
                "by --label-column."
            )
    unused = tuple(table.columns[c] for c in rest if c != label and c not in one_hot)
    return Columns(file, label, one_hot, split, unused)


_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?|[+-]?\d+[\t;|][+-]?\d+", re.I)


def refuse_decimal_commas(rows: Sequence[Sequence[str]], where: str) -> None:
    """Refuse a table whose numbers have decimal commas, whether they were taken for one cell or for two.

    Raises:
        DataError: most cells are such numbers, or the halves of two.
    """
    cells = [cell.strip() for row in rows for cell in row]
    found = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    if 2 * len(found) > len(cells):
        base = posixpath.basename(where.replace(os.sep, "/"))
        raise DataError(
            f"{where}: numbers with decimal commas, such as {found[0] if ',' in found[0] else '0,5'}. Write points: "
            f"sed 's/,/./g' {shlex.quote(base)} > {shlex.quote('points-' + base)}, and give that."
        )


def _named(table: Cells, names: Sequence[str]) -> list[int]:
    """The columns that are called by one of ``names``, in the order of ``names``."""
    titles = [plain(title) for title in table.columns]
    return [column for name in names for column, title in enumerate(titles) if title == name]


def _share_of_files(rows: Sequence[Sequence[str]], column: int) -> float:
    cells = [row[column] for row in rows if column < len(row)]
    return sum(map(looks_like_picture, cells)) / len(cells) if cells else 0.0


def _split_column(table: Cells, taken: set[int]) -> int | None:
    """A column called ``split``; one of another fitting name if all its values are parts."""
    for name in _SPLIT_COLUMNS:
        for column, title in enumerate(table.columns):
            if plain(title) != name or column in taken:
                continue
            values = {cells[column] for _, cells in table.rows if column < len(cells)}
            if name == "split" or (values and all(part_word(value) is not None for value in values)):
                return column
    return None


NO_AND_YES = (("0", "1"), ("0.0", "1.0"), ("false", "true"), ("no", "yes"))


def _is_binary(table: Cells, column: int) -> bool:
    values = {cells[column] for _, cells in table.rows if column < len(cells)}
    return any({value.lower() for value in values} <= {no, yes} for no, yes in NO_AND_YES)


def columns_in_words(table: Cells) -> str:
    """What columns a table has."""
    if not table.columns:
        return "The table is empty."
    return f"The columns are {listed([name[:40] or '(no name)' for name in table.columns], 6)}."
