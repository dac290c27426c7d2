"""Tables (CSV, JSON lines, Parquet): their cells, which column means what, and the picture files that rows name.

The `csv` module reads them rather than pandas: a class called ``NA`` or ``007`` stays what it is.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import os
import posixpath
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..errors import BadFileError, DataError, MissingExtraError
from ..filekinds import looks_like_picture
from ..files import separator_of
from ..units import listed
from .assemble import Options
from .dataset import BadFile
from .filetree import AnyFile, FileTree, file_alone, folder_tree, gunzipped, openable
from .layouts import part_word
from .listing import TRAIN, ImageFiles, Unlabelled, image_files, unlabelled_rows

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet")
"""Names of tables that list the pictures beside them, as the Hugging Face Hub has them."""

TEXT_SUFFIXES = (".csv", ".tsv", ".jsonl", ".txt", ".dat", ".csv.gz", ".tsv.gz")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, ".parquet")
MAX_TEXT = 2 << 30  # bytes, unpacked

# Names of columns, without case and punctuation; the first one present counts.
FILE_COLUMNS = (
    "filename", "file", "filepath", "path", "imagepath", "imagename", "imagefile", "image", "img", "imgname", "imgpath",
    "picture", "filenames", "images", "imageid", "fname", "name", "id", "uuid",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "class", "target", "category", "classname", "labelname", "labels", "y", "classid", "labelid", "categoryid",
    "classlabel", "species", "breed", "diagnosis", "dx", "emotion", "digit", "character",
)  # fmt: skip
_NO_AND_YES = (("0", "1"), ("0.0", "1.0"), ("false", "true"), ("no", "yes"))
_SPLIT_COLUMNS = ("split", "subset", "set", "part", "partition", "phase", "usage", "fold")

_MANY = 64  # files of one folder

Rows = TypeVar("Rows")


@dataclass(frozen=True)
class Cells:
    """A table as text."""

    columns: tuple[str, ...]  # their names; "" for each where the table has no header
    rows: list[tuple[str, list[str]]]  # ("line 3", the cells)
    notes: tuple[str, ...] = ()  # how it was read, where that is not obvious

    def values(self, column: int) -> set[str]:
        """All different cells of a column."""
        return {cells[column] for _, cells in self.rows if column < len(cells)}

    def in_words(self) -> str:
        """The names of the columns, for messages."""
        if not self.columns:
            return "The table is empty."
        return f"The columns are {listed([name[:40] or '(no name)' for name in self.columns], 6)}."


@dataclass(frozen=True)
class Columns:
    """The meaning of a table's columns."""

    file: int  # the one that names files
    label: int | None  # the one with the class; None where ``one_hot`` or nothing says it
    one_hot: tuple[int, ...]  # columns of zeros and ones, one a class
    split: int | None  # the one that names the part
    unused: tuple[str, ...]  # the names of all others


def plain(name: str) -> str:
    """A column's name without case, spaces and punctuation: ``"File Name"`` → ``"filename"``."""
    return re.sub(r"[\W_]", "", name).casefold()


# Text


def read_text(content: bytes, where: str) -> tuple[str, str]:
    """A table's text, gunzipped and decoded, and a note on its encoding ("" for UTF-8); DataError if it is no text."""
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


def csv_cells(content: bytes, where: str) -> Cells:
    """The cells of CSV, TSV or the like; a line that is not sound is a DataError."""
    text, note = read_text(content, where)
    delimiter = separator_of(text.lstrip().partition("\n")[0]) or ","
    csv.field_size_limit(1 << 20)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, line = [], 1
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
    first, known = rows[0][1], {*FILE_COLUMNS, *LABEL_COLUMNS, *_SPLIT_COLUMNS}
    if any(plain(cell) in known for cell in first) or not any(looks_like_picture(cell) for cell in first):
        return Cells(tuple(first), rows[1:], notes)
    return Cells(("",) * len(first), rows, notes)


def json_cells(content: bytes, where: str) -> Cells:
    """The cells of JSON lines, one object a row; any other line is a DataError."""
    text, _ = read_text(content, where)
    objects: list[tuple[str, dict[str, object]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
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


@contextlib.contextmanager
def parquet_file(path: AnyFile, **options: Any) -> Iterator[Any]:
    """A Parquet file, open for reading.

    Damage, which may show only while rows are read, is a BadFileError; an absent pyarrow, a MissingExtraError.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Reading Parquet tables", "parquet") from error
    try:
        with parquet.ParquetFile(openable(path), **options) as file:
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:  # pyarrow does not check that text is UTF-8
        reason = " ".join(str(error).split())[:200]
        raise BadFileError(path, f"cannot be read as Parquet ({reason})", "Write it again.") from error


def sound(rows: Rows) -> Rows:
    """A batch, table or column that pyarrow has read, checked whole: offsets within their buffers, text valid.

    A damaged one raises ArrowException; else its values would be read from somewhere else.
    """
    rows.validate(full=True)  # type: ignore[attr-defined]
    return rows


def parquet_cells(path: AnyFile) -> Cells:
    """The cells of a Parquet table as text, without columns of lists and structures; raises as `parquet_file` does."""
    rows: list[tuple[str, list[str]]] = []
    with parquet_file(path) as file:
        from pyarrow import types

        names = [field.name for field in file.schema_arrow if not types.is_nested(field.type)]
        for batch in file.iter_batches(columns=names):
            columns = [sound(batch).column(name).to_pylist() for name in names]
            for cells in zip(*columns, strict=True):
                rows.append((f"row {len(rows) + 1}", ["" if cell is None else str(cell) for cell in cells]))
    return Cells(tuple(names), rows)


def cells_of(tree: FileTree, name: str) -> Cells:
    """The cells of a table in a folder or an archive."""
    if name.lower().endswith(".parquet"):
        return parquet_cells(tree.file(name))
    read = json_cells if name.lower().endswith(".jsonl") else csv_cells
    return read(tree.content(name, MAX_TEXT), f"{tree.root / name}")


# Columns


def label_column_of(titles: Sequence[str], asked: str | None, where: str) -> int | None:
    """The column ``asked``, else the column of labels by its name; None where none has such a name.

    No column ``asked``, and several that may have labels, are a DataError.
    """
    names = [plain(title) for title in titles]
    if asked is not None:
        if asked not in titles and names.count(plain(asked)) != 1:
            raise DataError(
                f"{where}: there is no column {asked!r}, as --label-column says; the columns are {listed(titles, 6)}."
            )
        return list(titles).index(asked) if asked in titles else names.index(plain(asked))
    found = next((names.index(name) for name in LABEL_COLUMNS if name in names), None)
    like = [title for title in titles if {*re.split(r"[\W_]+", title.lower())} & {"label", "class"}]
    if found is None and len(like) > 1:
        options = "".join(f"\n  --label-column {shlex.quote(title)}" for title in like[:4])
        raise DataError(f"{where}: {len(like)} columns may have the class. Choose one:{options}")
    return titles.index(like[0]) if found is None and like else found


def choose_columns(table: Cells, where: str, *, labelled: bool = True, label_column: str | None = None) -> Columns:
    """Which column names the files and which the class, by their names or, failing that, by what is in them.

    Where none or several may, it is a DataError.
    """
    sample = [cells for _, cells in table.rows[:50]]
    cells = {c: [row[c] for row in sample if c < len(row)] for c in range(len(table.columns))}
    fitting = [c for c, values in cells.items() if sum(map(looks_like_picture, values)) > 0.5 * len(values)]
    named = _named(table, FILE_COLUMNS)
    likely = [c for c in named if c in fitting] or (fitting if len(fitting) == 1 else named)
    file = next(iter(likely), None)
    if file is None:
        _refuse_decimal_commas(sample, where)
        raise DataError(f"{where}: no column names files. {table.in_words()} Call the one with them file_name.")
    split = _split_column(table, file)
    label = next((c for c in _named(table, LABEL_COLUMNS) if c not in (file, split)), None)
    if label_column is not None:
        label = label_column_of(table.columns, label_column, where)
    rest = [c for c in range(len(table.columns)) if c not in (file, split, label)]
    one_hot: tuple[int, ...] = ()
    if label is None and labelled:
        values = {c: {value.lower() for value in table.values(c)} for c in rest}
        binary = tuple(c for c in rest if any(values[c] <= {*pair} for pair in _NO_AND_YES))
        one_hot = binary if len(binary) > 1 else ()
        if not one_hot:
            label = rest[0] if len(rest) == 1 else label_column_of(table.columns, None, where)
        if not one_hot and label is None:
            raise DataError(
                f"{where}: no column has the class. {table.in_words()} Call the one with it label, or name it "
                "by --label-column."
            )
    unused = tuple(table.columns[c] for c in rest if c != label and c not in one_hot)
    return Columns(file, label, one_hot, split, unused)


_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?|[+-]?\d+[\t;|][+-]?\d+", re.I)


def _refuse_decimal_commas(rows: Sequence[Sequence[str]], where: str) -> None:
    """Refuse a table of numbers with decimal commas, whether each was read as one cell or as two."""
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


def _split_column(table: Cells, file: int) -> int | None:
    """A column called ``split``; one of another fitting name if all its values are parts."""
    for column in _named(table, _SPLIT_COLUMNS):
        values = table.values(column)
        is_split = plain(table.columns[column]) == "split"
        if column != file and (is_split or (values and all(part_word(value) is not None for value in values))):
            return column
    return None


# Picture files


class Finder:
    """Finds the file that a cell means, below the table's folder (``inside`` the tree) and nowhere else.

    A table is often somebody else's: it must not be able to name any file of this machine.
    """

    def __init__(self, tree: FileTree, inside: str = "", part: int | None = None) -> None:
        self.folder, self._tree, self._inside, self._part = tree.root / inside, tree, inside, part
        self._roots = (f"{os.path.abspath(self.folder)}/", f"{os.path.realpath(self.folder)}/")
        self._names = None if tree.read is None else set(tree.names)
        self._asked: Counter[str] = Counter()
        self._listed: dict[str, frozenset[str]] = {}
        self.ways: Counter[str] = Counter()

    def find(self, cell: str) -> tuple[str, str]:
        """The name of the file, relative to the folder, and what is wrong with it ("" if nothing).

        A cell that leads outside the folder raises ValueError.
        """
        name = self._normal(cell)
        if self._is_file(name):
            return name, ""
        if "\\" in cell and self._is_file(name := self._normal(cell.replace("\\", "/"))):
            return name, ""
        return self._elsewhere(name)

    def _normal(self, cell: str) -> str:
        name = posixpath.normpath(cell)
        root = next((root for root in self._roots if name.startswith(root)), None)
        if root is not None and self._names is None:
            self.ways["absolute paths into the folder"] += 1
            name = name[len(root) :]
        if name.startswith(("/", "../")) or name in (".", "..") or "\0" in name:
            raise ValueError(cell)
        return name

    def _is_file(self, name: str) -> bool:
        if self._names is not None:
            return posixpath.normpath(posixpath.join(self._inside, name)) in self._names
        folder, _, base = name.rpartition("/")
        self._asked[folder] += 1
        if self._asked[folder] == _MANY:  # from here on, one look at the folder is quicker than one at each file
            with contextlib.suppress(OSError), os.scandir(self.folder / folder) as entries:
                self._listed[folder] = frozenset(entry.name for entry in entries if entry.is_file())
        return base in self._listed.get(folder, ()) or os.path.isfile(f"{self.folder}/{name}")

    def _elsewhere(self, name: str) -> tuple[str, str]:
        """A bare name in another folder, or a name without its extension."""
        by_base, by_stem = self._index
        for index, way in ((by_base, "bare names"), (by_stem, "names without an extension")):
            found = index.get(posixpath.basename(name), [])
            if folder := posixpath.dirname(name):
                found = [each for each in found if f"/{posixpath.dirname(each)}".endswith(f"/{folder}")]
            if len(found) > 1 and self._part is not None:  # test.csv means the pictures in test/
                found = [each for each in found if part_word(each.split("/")[0]) == self._part]
            if len(found) == 1:
                self.ways[f"{way}, found in {posixpath.dirname(found[0]) or 'the folder'!r}"] += 1
                return found[0], ""
            if found:
                return name, f"{len(found)} files have this name, such as {found[0]} and {found[1]}"
        path = self.folder / name
        if os.path.lexists(path):
            return name, "not a regular file"
        return name, f"no such file (tried {path})"

    def content(self, cell: str, place: str) -> str | BadFileError:
        """The path of the file that the cell at ``place`` names, or what is wrong with it."""
        if not cell:
            return BadFileError(place, "has no picture", "Fill it in, or remove the row.")
        try:
            name, fault = self.find(cell)
        except ValueError:
            remedy = "Put the images beside or below the table."
            return BadFileError(place, f"names {cell!r}, outside the table's folder", remedy)
        path = os.path.join(self.folder, name)
        return path if not fault or os.path.exists(path) else BadFileError(path, "no such file", "Check the path.")

    @functools.cached_property
    def _index(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """The pictures below the folder by their names, with and without extension."""
        by_base: dict[str, list[str]] = {}
        by_stem: dict[str, list[str]] = {}
        inside = self._names is not None and self._inside
        start = f"{inside}/" if inside else ""
        for full in (folder_tree(self.folder) if self._names is None else self._tree).names:
            if full.startswith(start) and looks_like_picture(full):
                name = full[len(start) :]
                base = posixpath.basename(name)
                by_base.setdefault(base, []).append(name)
                by_stem.setdefault(posixpath.splitext(base)[0], []).append(name)
        return by_base, by_stem


@dataclass
class _Rows:
    seen: dict[str, str] = field(default_factory=dict)  # file name: where it stood
    groups: dict[str, str] = field(default_factory=dict)  # file name: what it stays together with
    rows: list[tuple[str, str, int]] = field(default_factory=list)  # name, label, part
    bad: list[BadFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    read_as: str = ""  # how the columns of the first table were read


def read_path_tables(tree: FileTree, tables: Sequence[tuple[str, int | None]], options: Options) -> ImageFiles:
    """The labelled picture files that tables, (name, part), list.

    File names in a table are relative to its own folder. The part is that of all its rows; None where a column
    ``split`` or nothing says it. A missing column, and a row that is incomplete, listed twice or leads outside the
    table's folder, are a DataError.
    """
    found = _Rows()
    for name, part in tables:
        _add_table(found, tree, name, part, options)
    where = tree.root / tables[0][0] if len(tables) == 1 else tree.root
    if not found.rows:
        reason = f" First: {found.bad[0].name}: {found.bad[0].reason}." if found.bad else ""
        what = f"{where} was read as a table of paths: {found.read_as}, and no row names an image that is there"
        raise DataError(f"{what}.{reason} Check the file names.")
    found.rows.sort()
    files = image_files(
        tree.root, found.rows, bad=tuple(found.bad), notes=tuple(found.notes), read=tree.read, state=tree.state,
        groups=[found.groups.get(name) for name, _, _ in found.rows] if options.group_by.kind == "column" else None,
        label_column=options.label_column,
    )  # fmt: skip
    classes = files.classes
    if len(found.rows) > 9 and 2 * len(classes) > len(found.rows) and all(map(_MEASURE.fullmatch, classes)):
        raise DataError(
            f"{where}: the labels are measures ({listed(classes, 3)}), {len(classes):,} different ones of "
            f"{len(found.rows):,} images, and a classifier needs classes. Add a column of classes, such as low and "
            "high, and name it by --label-column."
        )
    return files


_MEASURE = re.compile(r"[+-]?\d*\.\d*(e[+-]?\d+)?|[+-]?\d+e[+-]?\d+", re.I)


def _add_table(found: _Rows, tree: FileTree, name: str, part: int | None, options: Options) -> None:
    where = str(tree.root / name)
    table = cells_of(tree, name)
    columns = choose_columns(table, where, label_column=options.label_column)
    inside = posixpath.dirname(name)
    finder = Finder(tree, inside, part)
    group, asked = None, options.group_by.value
    if options.group_by.kind == "column":
        group = next((c for c, title in enumerate(table.columns) if plain(title) == plain(asked)), None)
        if group is None:
            raise DataError(f"{where}: --group-by column:{asked}: no column has this name. {table.in_words()}")
    for place, cells in table.rows:
        if len(cells) > len(table.columns) and any(cells[len(table.columns) :]):
            raise DataError(
                f"{where}: {place} has {len(cells)} cells, and there are {len(table.columns)} columns. Put a cell with "
                "the separator in it into quotes."
            )
        cells += [""] * (len(table.columns) - len(cells))
        label = _label_of(table, columns, cells, where, place)
        if not cells[columns.file] or not label:
            missing = "file name" if not cells[columns.file] else "label"
            raise DataError(f"{where}: {place} has no {missing}. Fill it in, or remove the row.")
        try:
            file, fault = finder.find(cells[columns.file])
        except ValueError:
            raise DataError(
                f"{where}: {place} names {cells[columns.file]!r}, outside the table's folder. Put the images beside or "
                "below the table, and write paths from its folder on."
            ) from None
        if inside:
            file = posixpath.normpath(posixpath.join(inside, file))
        if file in found.seen:
            raise DataError(
                f"{where}: {place} lists {cells[columns.file]!r} again, after {found.seen[file]}. Remove one of them."
            )
        found.seen[file] = place
        if fault:
            found.bad.append(BadFile(file, f"{fault}; named in {posixpath.basename(name)}, {place}"))
            continue
        row_part = TRAIN if part is None else part
        if part is None and columns.split is not None:
            said = part_word(cells[columns.split])
            if said is None:
                raise DataError(
                    f"{where}: {place} has the split {cells[columns.split]!r}, and must have train, validation or "
                    "test. Correct it."
                )
            row_part = said
        found.rows.append((file, label, row_part))
        if group is not None:
            found.groups[file] = cells[group]
    read_as = _read_as(table, columns)
    found.read_as = found.read_as or read_as
    found.notes += [_chosen(name, read_as, table, columns, finder.ways), *table.notes]


def _label_of(table: Cells, columns: Columns, cells: list[str], where: str, place: str) -> str:
    if columns.label is not None:
        return cells[columns.label]
    ones = [column for column in columns.one_hot if cells[column].lower() in {yes for _, yes in _NO_AND_YES}]
    if len(ones) != 1:
        raise DataError(
            f"{where}: {place} has {len(ones)} classes in its columns of zeros and ones: an image must have exactly "
            "one. Remove the row, or add a column label."
        )
    return table.columns[ones[0]]


def _read_as(table: Cells, columns: Columns) -> str:
    """What each column was taken for."""

    def title(column: int) -> str:
        return f"{table.columns[column]!r}" if table.columns[column] else f"column {column + 1}"

    names = listed([table.columns[c] for c in columns.one_hot], 3)
    label = f"the {len(columns.one_hot)} columns {names} hold the class"
    if columns.label is not None:
        label = f"{title(columns.label)} holds the class"
    part = "" if columns.split is None else f", {title(columns.split)} holds the part"
    return f"{title(columns.file)} names the files, {label}{part}"


def _chosen(name: str, read_as: str, table: Cells, columns: Columns, ways: Counter[str]) -> str:
    """One line: how the columns were read, what was not used, and what was done to find the files."""
    text = f"{name}: {read_as}"
    if columns.unused:
        text += f"; {len(columns.unused)} not used ({listed(columns.unused, 3)})"
    for way, count in ways.most_common(2):
        text += f"; {count:,} {way}"
    return f"{text}."


# Prediction


def unlabelled_paths(path: str) -> Unlabelled | BadFileError:
    """The pictures that a table of paths names; labels in it are ignored."""
    tree = file_alone(Path(path))
    try:
        table = cells_of(tree, tree.names[0])
        columns = choose_columns(table, path, labelled=False)
    except BadFileError as error:
        return error
    except DataError as error:
        return BadFileError(path, "not a table of pictures", str(error).removeprefix(f"{path}: "))
    finder = Finder(tree)

    places = [f"{path}#{row}" for row in range(len(table.rows))]
    names = [cells[columns.file] if columns.file < len(cells) else "" for _, cells in table.rows]

    def content(row: int) -> str | BadFileError:
        return finder.content(names[row], places[row])

    return unlabelled_rows(len(names), places.__getitem__, content, names.__getitem__)
