"""Which pictures belong together: the frames of a track, the tiles of a slide, all pages of one writer.

Pictures of one group stay in one part of every division. ``group_by`` says what a group is; "auto" keeps together the
groups that `find_groups.FINDERS` find.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ..errors import SettingsError
from .dataset import Int64Array, UInt8Array
from .duplicates import connected

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
    """What groups can be made from."""

    names: Sequence[str]  # N, with forward slashes
    labels: Int64Array  # (N,)
    images: UInt8Array  # (N, H, W, C)
    are_files: bool = True  # whether the names are those of files
    column: Sequence[str | None] | None = None  # the table's group of each picture, where a column was asked for
    taken: Callable[[], Int64Array] | None = None  # returns seconds (N,), -1 where unknown


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of pictures."""

    numbers: Int64Array  # (N,): pictures with the same number stay together
    group_by: str  # what to write in a recipe to get the same groups
    words: str  # how they were found, for a sentence
    example: tuple[str, ...] = ()  # names of a group's first two pictures, where there is a group of two
    unmatched: int = 0  # pictures that the pattern, table or column does not cover; each is a group of its own


def parse_group_by(text: str) -> GroupBy:
    """Read the option's text; none of the choices, and a pattern that does not work, are a SettingsError."""
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
    """How many groups, by what evidence, and what to do if that is wrong; ``found``: the user did not ask for them."""
    sizes = np.bincount(groups.numbers)
    several, own = int((sizes > 1).sum()), int((sizes == 1).sum())
    example = f", such as {groups.example[0]} and {groups.example[1]}" if groups.example else ""
    single = f"; {own:,} {'picture is' if own == 1 else 'pictures are'} in no group" if own else ""
    if found:
        return (
            f"{several:,} groups of pictures that likely belong together were found by {groups.words}{example}"
            f"{single}. They stay on one side of every split, as new pictures would; --group-by none divides at random."
        )
    lost = f" ({groups.unmatched:,} of them not named there)" if groups.unmatched else ""
    return f"{several:,} groups of pictures stay together, by {groups.words}{example}{single}{lost}."


def crossing(numbers: Int64Array, parts: npt.NDArray[np.int8], names: Sequence[str]) -> list[str]:
    """A warning for each two parts, as the data come, that share groups."""
    warnings = []
    for a, b in combinations(range(3), 2):
        shared = np.intersect1d(numbers[parts == a], numbers[parts == b])
        if len(shared):
            members = numbers == shared[0]
            first, second = (names[int(np.flatnonzero(members & (parts == part))[0])] for part in (a, b))
            count = "1 group has" if len(shared) == 1 else f"{len(shared):,} groups have"
            warnings.append(
                f"{count} pictures in both {PARTS[a]} and {PARTS[b]}, as the data come (such as {first} and {second}): "
                f"the accuracy on {PARTS[b]} will look better than it is on new groups."
            )
    return warnings


def joined(*numberings: Int64Array) -> Int64Array:
    """Groups that keep together what any of the numberings does: int64 (N,), connected components."""
    count = len(numberings[0])
    edges, nodes = [], count  # one node for each picture, and one for each group of each numbering
    for numbering in numberings:
        _, group = np.unique(numbering, return_inverse=True)
        edges.append(np.stack([np.arange(count), nodes + group.reshape(-1)], axis=1))
        nodes += int(group.max(initial=-1)) + 1
    return connected(np.concatenate(edges), nodes)[:count]
