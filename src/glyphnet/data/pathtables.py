"""Tables that name picture files: where the files lie, and which class and part each row says."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import BadFileError, DataError
from ..units import listed
from .dataset import BadFile
from .filetree import FileTree, folder_tree, is_regular
from .layouts import part_word
from .listing import ANY_COLUMNS, TRAIN, ImageFiles, Picture, Unlabelled, WantedColumns, class_order
from .tables import NO_AND_YES, Cells, Columns, cells_of, choose_columns, columns_in_words, looks_like_picture, plain


class _Finder:
    """Finds the file that a cell means, below the table's folder and nowhere else.

    A table is often somebody else's: it must not be able to name any file of this machine.
    """

    def __init__(self, folder: Path, tree: FileTree | None, inside: str, part: int | None = None) -> None:
        self.folder, self._tree, self._inside, self._part = folder, tree, inside, part
        self._real = f"{os.path.realpath(folder)}/"
        self._names = None if tree is None else set(tree.names)
        self._asked: Counter[str] = Counter()
        self._listed: dict[str, frozenset[str]] = {}
        self._by_base: dict[str, list[str]] | None = None
        self._by_stem: dict[str, list[str]] = {}
        self.ways: Counter[str] = Counter()

    def find(self, cell: str) -> tuple[str, str]:
        """The name of the file from the folder on, and what is wrong with it ("" if nothing is).

        Raises:
            ValueError: the cell leads outside the folder.
        """
        name = self._normal(cell)
        if self._is_file(name):
            return name, ""
        if "\\" in cell and self._is_file(name := self._normal(cell.replace("\\", "/"))):
            return name, ""
        return self._elsewhere(name)

    def _normal(self, cell: str) -> str:
        name = posixpath.normpath(cell)
        if name.startswith("/"):
            for root in (f"{os.path.abspath(self.folder)}/", self._real):
                if self._tree is None and name.startswith(root):
                    self.ways["absolute paths into the folder"] += 1
                    name = name[len(root) :]
                    break
        if name.startswith(("/", "../")) or name in (".", "..") or "\0" in name:
            raise ValueError(cell)
        return name

    def _is_file(self, name: str) -> bool:
        if self._names is not None:
            return posixpath.normpath(posixpath.join(self._inside, name)) in self._names
        folder, _, base = name.rpartition("/")
        self._asked[folder] += 1
        if self._asked[folder] == _MANY:  # from here on, one look at the folder is quicker than one at each file
            self._listed[folder] = _regular_files(self.folder / folder)
        return base in self._listed.get(folder, ()) or is_regular(f"{self.folder}/{name}")

    def _elsewhere(self, name: str) -> tuple[str, str]:
        """A bare name in another folder, or a name without its extension."""
        if self._by_base is None:
            self._index()
        assert self._by_base is not None
        for index, way in ((self._by_base, "bare names"), (self._by_stem, "names without an extension")):
            found = [each for each in index.get(posixpath.basename(name), []) if self._fits(each, name)]
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

    def _fits(self, found: str, name: str) -> bool:
        """Whether a found file lies where the name says, if the name says any folder."""
        folder = posixpath.dirname(name)
        return not folder or f"/{posixpath.dirname(found)}".endswith(f"/{folder}")

    def _index(self) -> None:
        tree = self._tree or folder_tree(self.folder)
        self._by_base = {}
        start = f"{self._inside}/" if self._inside and self._tree is not None else ""
        for full in tree.names:
            if full.startswith(start) and looks_like_picture(full):
                name = full[len(start) :]
                base = posixpath.basename(name)
                self._by_base.setdefault(base, []).append(name)
                self._by_stem.setdefault(posixpath.splitext(base)[0], []).append(name)


_MANY = 64


def _regular_files(folder: Path) -> frozenset[str]:
    """The names of the files in a folder; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
    except OSError:
        return frozenset()


@dataclass
class _Rows:
    columns: WantedColumns = ANY_COLUMNS
    seen: dict[str, str] = field(default_factory=dict)  # file name: where it stood
    groups: dict[str, str] = field(default_factory=dict)  # file name: what it stays together with
    rows: list[tuple[str, str, int]] = field(default_factory=list)  # name, label, part
    bad: list[BadFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_path_tables(
    root: Path,
    tables: Sequence[tuple[str, int | None]],
    tree: FileTree | None = None,
    columns: WantedColumns = ANY_COLUMNS,
) -> ImageFiles:
    """The labelled picture files that tables list.

    Args:
        root: the folder that names start from, or an archive.
        tables: (name from ``root`` on, part): file names in it are relative to the table's own folder. The part is
            that of all its rows; None where a column ``split`` or nothing tells it.
        tree: the files of the archive; None for a folder.
        columns: the columns that the user names.

    Raises:
        DataError: a table cannot be read, a column is missing, a row is incomplete, listed twice or leads outside
            the table's folder; the message has the line.
        MissingExtraError: a Parquet table without pyarrow.
    """
    found = _Rows(columns)
    for name, part in tables:
        _add_table(found, root, name, part, tree)
    where = root / tables[0][0] if len(tables) == 1 else root
    if not found.rows:
        reason = f" First: {found.bad[0].name}: {found.bad[0].reason}." if found.bad else ""
        taken = (
            f" was read as a table of paths: {found.notes[0].partition(': ')[2].partition('; ')[0].rstrip('.')}, and"
        )
        raise DataError(f"{where}{taken} no row names an image that is there.{reason} Check the file names.")
    found.rows.sort()
    classes = class_order(label for _, label, _ in found.rows)
    if len(found.rows) > 9 and 2 * len(classes) > len(found.rows) and all(map(_MEASURE.fullmatch, classes)):
        raise DataError(
            f"{where}: the labels are measures ({listed(classes, 3)}), {len(classes):,} different ones of "
            f"{len(found.rows):,} images, and a classifier needs classes. Add a column of classes, such as low and "
            "high, and name it by --label-column."
        )
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[label] for _, label, _ in found.rows], dtype=np.int64)
    parts = np.array([part for _, _, part in found.rows], dtype=np.int8)
    names = tuple(name for name, _, _ in found.rows)
    groups = [found.groups.get(name) for name in names] if columns.group is not None else None
    read, state = (None, "") if tree is None else (tree.read, tree.state)
    return ImageFiles(
        root,
        names,
        labels,
        classes,
        parts,
        tuple(found.bad),
        tuple(found.notes),
        (),
        read,
        state,
        groups,
        columns.label,
    )


_MEASURE = re.compile(r"[+-]?\d*\.\d*(e[+-]?\d+)?|[+-]?\d+e[+-]?\d+", re.I)


def _add_table(found: _Rows, root: Path, name: str, part: int | None, tree: FileTree | None) -> None:
    where = str(root / name)
    table = cells_of(root, name, tree)
    columns = choose_columns(table, where, label_column=found.columns.label)
    inside = posixpath.dirname(name)
    finder = _Finder(root / inside, tree, inside, part)
    group = _group_column(table, found.columns.group, where)
    for place, cells in table.rows:
        if len(cells) > len(table.columns) and any(cells[len(table.columns) :]):
            raise DataError(
                f"{where}: {place} has {len(cells)} cells, and there are {len(table.columns)} columns. Put a cell with "
                "the separator in it into quotes."
            )
        if len(cells) < len(table.columns):
            cells += [""] * (len(table.columns) - len(cells))
        label = cells[columns.label] if columns.label is not None else _label_of(table, columns, cells, where, place)
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
        row_part = part
        if part is None and columns.split is not None:
            row_part = part_word(cells[columns.split])
            if row_part is None:
                raise DataError(
                    f"{where}: {place} has the split {cells[columns.split]!r}, and must have train, validation or "
                    "test. Correct it."
                )
        found.rows.append((file, label, TRAIN if row_part is None else row_part))
        if group is not None:
            found.groups[file] = cells[group]
    found.notes += [_chosen(name, table, columns, finder.ways), *table.notes]


def _group_column(table: Cells, name: str | None, where: str) -> int | None:
    if name is None:
        return None
    column = next((c for c, title in enumerate(table.columns) if title == name or plain(title) == plain(name)), None)
    if column is None:
        raise DataError(f"{where}: --group-by column:{name}: no column has this name. {columns_in_words(table)}")
    return column


def _label_of(table: Cells, columns: Columns, cells: list[str], where: str, place: str) -> str:
    """The class of a row that columns of zeros and ones say; "" where there are none."""
    if not columns.one_hot:
        return ""
    ones = [column for column in columns.one_hot if cells[column].lower() in {yes for _, yes in NO_AND_YES}]
    if len(ones) != 1:
        raise DataError(
            f"{where}: {place} has {len(ones)} classes in its columns of zeros and ones: an image must have exactly "
            "one. Remove the row, or add a column label."
        )
    return table.columns[ones[0]]


def _chosen(name: str, table: Cells, columns: Columns, ways: Counter[str]) -> str:
    """One line: which column was taken for what."""

    def title(column: int) -> str:
        return f"{table.columns[column]!r}" if table.columns[column] else f"column {column + 1}"

    label = f"{title(columns.label)} holds the class" if columns.label is not None else ""
    if columns.one_hot:
        names = listed([table.columns[c] for c in columns.one_hot], 3)
        label = f"the {len(columns.one_hot)} columns {names} hold the class"
    text = f"{name}: {title(columns.file)} names the files" + (f", {label}" if label else "")
    if columns.split is not None:
        text += f", {title(columns.split)} holds the part"
    if columns.unused:
        text += f"; {len(columns.unused)} not used ({listed(columns.unused, 3)})"
    for way, count in ways.most_common(2):
        text += f"; {count:,} {way}"
    return f"{text}."


# Prediction


def unlabelled_paths(path: str) -> Unlabelled | BadFileError:
    """The pictures that a table of paths names; labels in it are ignored."""
    root, name = Path(path).parent, os.path.basename(path)
    try:
        table = cells_of(root, name, None)
        columns = choose_columns(table, path, labelled=False)
    except BadFileError as error:
        return error
    except DataError as error:
        return BadFileError(path, "not a table of pictures", str(error).removeprefix(f"{path}: "))
    finder = _Finder(root, None, "")

    def place(row: int) -> str:
        return f"{path}#{row}"

    def pictures(start: int) -> Iterator[Picture]:
        for row in range(start, len(table.rows)):
            cells = table.rows[row][1]
            cell = cells[columns.file] if columns.file < len(cells) else ""
            yield Picture(cell or place(row), place(row), beside(finder, cell, place(row)))

    return Unlabelled(len(table.rows), place, pictures)


def finder_beside(path: str) -> _Finder:
    """Finds the files that the table at ``path`` names."""
    return _Finder(Path(path).parent, None, "")


def beside(finder: _Finder, cell: str, place: str) -> str | BadFileError:
    """The path of the file that a cell names, or what is wrong with it."""
    if not cell:
        return BadFileError(place, "has no picture", "Fill it in, or remove the row.")
    try:
        name, fault = finder.find(cell)
    except ValueError:
        remedy = "Put the images beside or below the table."
        return BadFileError(place, f"names {cell!r}, outside the table's folder", remedy)
    path = os.path.join(finder.folder, name)
    return path if not fault or os.path.exists(path) else BadFileError(path, "no such file", "Check the path.")
