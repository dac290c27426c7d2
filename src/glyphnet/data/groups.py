"""Which pictures belong together: the frames of a track, the tiles of a slide, all pages of one writer.

Pictures of one group stay in one part of every division. ``group_by`` says what a group is; "auto" looks for likely
groups (`likely_groups`) and keeps together what it finds.
"""

from __future__ import annotations

import csv
import os
import posixpath
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import DataError, SettingsError
from ..files import open_text
from .dataset import Int64Array, UInt8Array

PARTS = ("train", "validation", "test")
KEYWORDS = ("auto", "none", "folder", "prefix", "burst", "neighbours", "copies")
TABLE_SUFFIXES = (".csv", ".tsv")
CHOICES = (
    "Write folder, prefix, burst, neighbours, copies, column:NAME of a table, a regular expression with one group in "
    "parentheses, FILE.csv with the columns file_name and group, or none."
)


@dataclass(frozen=True)
class GroupBy:
    """What was asked for: a keyword, or a column, a pattern or a table with its text."""

    kind: str
    value: str = ""


NO_GROUPS = GroupBy("none")


@dataclass(frozen=True, eq=False)
class Pictures:
    """What groups can be made from.

    Attributes:
        names: N names, with forward slashes.
        labels: int64 (N,).
        images: uint8 (N, H, W, C).
        are_files: whether the names are those of files.
        column: the table's group of each picture, where a column was asked for.
        taken: returns when each picture was taken: int64 (N,), seconds, -1 where that is not known.
    """

    names: Sequence[str]
    labels: Int64Array
    images: UInt8Array
    are_files: bool = True
    column: Sequence[str | None] | None = None
    taken: Callable[[], Int64Array] | None = None


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of pictures.

    Attributes:
        numbers: int64 (N,): pictures with the same number stay together.
        group_by: what to write in a recipe to get the same groups.
        words: how they were found, for a sentence.
        example: the names of a group's first picture and of its second, where there is a group of two.
        unmatched: pictures that the pattern, table or column says nothing of; each is a group of its own.
    """

    numbers: Int64Array
    group_by: str
    words: str
    example: tuple[str, ...] = ()
    unmatched: int = 0

    @property
    def count(self) -> int:
        """How many groups there are, pictures of their own included."""
        return len(np.unique(self.numbers))


def parse_group_by(text: str) -> GroupBy:
    """Read the option's text.

    Raises:
        SettingsError: it is none of the choices, or a pattern that does not work.
    """
    if text in KEYWORDS:
        return GroupBy(text)
    if text.startswith("column:") and len(text) > len("column:"):
        return GroupBy("column", text.removeprefix("column:"))
    if text.lower().endswith(TABLE_SUFFIXES):
        return GroupBy("file", text)
    if "(" in text:
        try:
            groups = re.compile(text).groups
        except re.error as error:
            raise SettingsError(f"group_by (={text!r}) is not a regular expression ({error}). {CHOICES}") from error
        if groups != 1:
            raise SettingsError(
                f"group_by (={text!r}) has {groups} groups in parentheses; exactly one must name what stays together. "
                "Write (?:…) for the others."
            )
        return GroupBy("pattern", text)
    if re.fullmatch(r"[^\W\d][\w -]*", text):
        return GroupBy("column", text)
    raise SettingsError(f"group_by (={text!r}) is not known. {CHOICES}")


def make_groups(group_by: GroupBy, pictures: Pictures, where: str) -> Groups | None:
    """The groups that ``group_by`` asks for; None for "none", and for "auto" where nothing was found.

    Args:
        where: what errors call the data.

    Raises:
        DataError: these data have no such groups; the message says what they have.
    """
    from .likely_groups import WHERE_ASKED, likely_groups

    if group_by.kind == "none" or not len(pictures.labels):
        return None
    if group_by.kind == "auto":
        return likely_groups(pictures)
    if group_by.kind in WHERE_ASKED:
        found = WHERE_ASKED[group_by.kind](pictures, asked=True)
        if found is None:
            raise DataError(f"{where}: --group-by {group_by.kind} finds no groups. {_why_not(group_by, pictures)}")
        return found
    keys = _SOURCES[group_by.kind](group_by.value, pictures, where)
    words = {
        "pattern": f"the pattern {group_by.value}",
        "file": f"the table {group_by.value}",
        "column": f"the column {group_by.value!r}",
    }[group_by.kind]
    text = f"column:{group_by.value}" if group_by.kind == "column" else group_by.value
    unmatched = sum(key is None for key in keys)
    return described(number_keys(keys), text, words, pictures.names, unmatched)


def described(numbers: Int64Array, group_by: str, words: str, names: Sequence[str], unmatched: int = 0) -> Groups:
    """Groups with an example: two names of the first group that has two."""
    sizes = np.bincount(numbers)
    first = np.flatnonzero(sizes[numbers] > 1)[:1]
    example = tuple(names[row] for row in np.flatnonzero(numbers == numbers[first[0]])[:2]) if len(first) else ()
    return Groups(numbers, group_by, words, example, unmatched)


def number_keys(keys: Sequence[Hashable | None]) -> Int64Array:
    """Number equal keys alike, int64 (N,); each None gets a number of its own."""
    seen: dict[Hashable, int] = {}
    numbers = [seen.setdefault(("", row) if key is None else (key,), len(seen)) for row, key in enumerate(keys)]
    return np.array(numbers, dtype=np.int64)


def groups_in_words(groups: Groups, found: bool) -> str:
    """One line: how many groups, by what evidence, and what to do if that is wrong.

    Args:
        found: whether nobody asked for them.
    """
    of_several = int((np.bincount(groups.numbers) > 1).sum())
    example = f", such as {groups.example[0]} and {groups.example[1]}" if groups.example else ""
    own = len(groups.numbers) - int((np.bincount(groups.numbers)[groups.numbers] > 1).sum())
    single = f"; {own:,} {'picture is' if own == 1 else 'pictures are'} in no group" if own else ""
    if found:
        return (
            f"{of_several:,} groups of pictures that likely belong together were found by {groups.words}{example}"
            f"{single}. They stay on one side of every split, as new pictures would; --group-by none divides at random."
        )
    lost = f" ({groups.unmatched:,} of them not named there)" if groups.unmatched else ""
    return f"{of_several:,} groups of pictures stay together, by {groups.words}{example}{single}{lost}."


def crossing(numbers: Int64Array, parts: npt.NDArray[np.int8], names: Sequence[str]) -> list[str]:
    """A warning for each two parts, as the data come, that share groups."""
    warnings = []
    for a, b in ((0, 1), (0, 2), (1, 2)):
        shared = np.intersect1d(numbers[parts == a], numbers[parts == b])
        if len(shared):
            members = numbers == shared[0]
            first, second = (names[int(np.flatnonzero(members & (parts == part))[0])] for part in (a, b))
            told = "1 group has" if len(shared) == 1 else f"{len(shared):,} groups have"
            warnings.append(
                f"{told} pictures in both {PARTS[a]} and {PARTS[b]}, as the data come (such as {first} and {second}): "
                f"the accuracy on {PARTS[b]} will look better than it is on new groups."
            )
    return warnings


def joined(*numberings: Int64Array) -> Int64Array:
    """Groups that keep together what any of the numberings does: int64 (N,), connected components."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(numberings[0])
    rows, columns, width = [], [], count
    for numbering in numberings:
        _, compact = np.unique(numbering, return_inverse=True)
        rows.append(np.arange(count))
        columns.append(width + compact.reshape(-1))
        width += int(compact.max(initial=-1)) + 1
    at = (np.concatenate(rows), np.concatenate(columns))
    graph = coo_array((np.ones(len(at[0]), dtype=np.int8), at), shape=(width, width))
    numbers: Int64Array = connected_components(graph, directed=False)[1][:count].astype(np.int64)
    return numbers


def _why_not(group_by: GroupBy, pictures: Pictures) -> str:
    if group_by.kind in ("folder", "prefix") and not pictures.are_files:
        return f"Its images have no file names (they are called {pictures.names[0]!r}). {CHOICES}"
    return {
        "folder": f"There are no folders inside the class folders (the first picture is {pictures.names[0]!r}).",
        "prefix": "No file names have a common prefix before a counter, other than one for a whole class "
        f"(the first picture is {pictures.names[0]!r}).",
        "burst": "The pictures do not say when they were taken (EXIF DateTimeOriginal), or none were taken within "
        "seconds of each other.",
        "neighbours": "Neighbours in the order of names are not more alike than others.",
    }[group_by.kind]


def _by_pattern(pattern: str, pictures: Pictures, where: str) -> list[Hashable | None]:
    compiled = re.compile(pattern)
    found = [compiled.search(name) for name in pictures.names]
    keys = [match[1] if match else None for match in found]
    if all(key is None for key in keys):
        raise DataError(
            f"{where}: the pattern {pattern} (--group-by) matches no picture; the first is called "
            f"{pictures.names[0]!r}. Correct the pattern."
        )
    return list(keys)


def _by_column(name: str, pictures: Pictures, where: str) -> list[Hashable | None]:
    if pictures.column is None:
        raise DataError(
            f"{where}: --group-by {name} names a column, and these data come from no table with columns. {CHOICES}"
        )
    return [key or None for key in pictures.column]


def _by_file(path: str, pictures: Pictures, where: str) -> list[Hashable | None]:
    table = read_group_table(path)
    by_base: dict[str, list[str]] = {}
    for name in table:
        by_base.setdefault(posixpath.basename(name), []).append(name)
    keys: list[Hashable | None] = []
    for name in pictures.names:
        same = [each for each in by_base.get(posixpath.basename(name), []) if _is_tail(each, name)]
        found = {table[each] for each in same}
        keys.append(table.get(name, found.pop() if len(found) == 1 else None))
    if all(key is None for key in keys):
        raise DataError(
            f"{path}: names no picture of {where}: the table begins with {next(iter(table), '')!r}, the data with "
            f"{pictures.names[0]!r}. Write file names as the data have them."
        )
    return keys


def _is_tail(a: str, b: str) -> bool:
    """Whether one path is the end of the other: the table may begin further up or further down than the data."""
    return f"/{a}".endswith(f"/{b.lstrip('/')}") or f"/{b}".endswith(f"/{a.lstrip('/')}")


def read_group_table(path: str) -> dict[str, str]:
    """The group of each file that a table with the columns ``file_name`` and ``group`` lists.

    Raises:
        DataError: the table cannot be read, a column is missing, or a file has two groups.
    """
    try:
        with open_text(os.path.expanduser(path), encoding="utf-8-sig", newline="", piped=True) as file:
            head = file.readline()
            file.seek(0)
            rows = csv.DictReader(file, delimiter=max(",;\t", key=head.count))
            columns = [name.strip() for name in rows.fieldnames or ()]
            if missing := [name for name in ("file_name", "group") if name not in columns]:
                raise DataError(
                    f"{path}: there is no column {' and '.join(map(repr, missing))}; the columns are "
                    f"{', '.join(map(repr, columns)) or 'none'}. A table for --group-by has file_name and group."
                )
            rows.fieldnames = columns
            groups: dict[str, str] = {}
            for row in rows:
                name, group = posixpath.normpath((row["file_name"] or "").strip()), (row["group"] or "").strip()
                if groups.setdefault(name, group) != group:
                    raise DataError(
                        f"{path}: line {rows.line_num} puts {name!r} into the group {group!r}, an earlier line into "
                        f"{groups[name]!r}. Remove one of them."
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}). --group-by FILE.csv wants CSV in UTF-8.") from error
    return {name: group for name, group in groups.items() if group}


_SOURCES: dict[str, Callable[[str, Pictures, str], list[Hashable | None]]] = {
    "pattern": _by_pattern,
    "column": _by_column,
    "file": _by_file,
}
