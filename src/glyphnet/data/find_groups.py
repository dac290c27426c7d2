"""Finds groups of pictures: those that the user asks for, and likely ones by folders, names, times and likeness.

A group is believed only if classes consist of several groups: a prefix that a whole class shares is the class's name.
Names alone convince where they count frames (``00012_00029``: track 12, frame 29) or say what they are
(``person03``, ``slide_7``); other names must agree with the pixels: pictures of a group are more alike than others of
their class.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import posixpath
import re
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import BadFileError, DataError
from ..files import open_input, open_text, separator_of
from ..processes import map_in_order
from .cache import keep_arrays, kept_arrays
from .dataset import Int64Array, UInt8Array
from .duplicates import find_duplicates, same_picture_groups
from .groups import CHOICES, GroupBy, Groups, Pictures, described, number_keys
from .listing import ImageFiles
from .near_duplicates import averaging

LARGEST = 0.7  # of a class in one group: more, and the group is the class
COVERED = 0.8  # of the pictures in groups of two or more, for groups by name
CLOSE = 0.1  # the same, for bursts and neighbours, which need not be everywhere
BURST_SECONDS = 10  # between two pictures of one burst, at most
NEIGHBOURS_LINKED = 0.2  # share of the neighbours in name order that must look alike
ALIKE = 0.9  # correlation of neighbours, at least
_FRAMES = 200  # pictures of a track, at most, in the median
_SAMPLE = 1000  # pictures that are compared
_PIECE = 512  # pairs compared in one go: a memory map is never read whole
_SEED = 20  # of the sample: the same data give the same groups
_CELLS = 8  # a side, of the coarse pictures that are compared

_COUNTER = re.compile(r"(.*?)(\d{1,18}|(?<=[\d_\-. ])[a-zA-Z])", re.ASCII | re.DOTALL)
"""A name that ends in a number or, after a digit or a separator, in one letter: ``scan-P012-b``, ``17c``."""
_SEPARATORS = re.compile(r"[_\-. ]+")
_UNIT = re.compile(
    r"(?:track|person|patient|subject|slide|scan|page|day|video|clip|frame|seq|sequence|series|case|session|user|"
    r"writer|plate|tile|burst|animal|plant|specimen|object|obj|site|camera|cam|roi|fold|visit)[ _\-]?\d",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d\d[_\-.]?[01]\d[_\-.]?[0-3]\d")
_TIME = re.compile(
    rf"(.*?){_DATE.pattern}[ T_\-.]*(?:[01]\d|2[0-3])[hH_\-.:]?[0-5]\d(?:[mM_\-.:]?[0-5]\d)?(?:[sS_\-.]?\d+)?",
    re.DOTALL,
)
"""A name that ends in the date and time of the picture, whose last number is no counter."""
_CAMERA_FOLDER = re.compile(r"\d{3}[A-Z0-9_]{5}")  # 100CANON, 101CANON: a camera begins another when one is full
_HASH_FOLDER = re.compile(r"[0-9a-f]{1,4}")  # the beginning of a hash, by which many files are spread over folders
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}
_EXPORTED_COPY = re.compile(r"(.+)_(?:jpe?g|png|bmp|tiff?)\.rf\.[0-9a-f]{16,}", re.IGNORECASE)  # as Roboflow names them


Finder: TypeAlias = Callable[[Pictures, bool], Groups | None]
"""Finds groups of one kind, or None; the second argument says whether the user asked: then they need not be likely."""


def by_folder(pictures: Pictures, asked: bool) -> Groups | None:
    """The folders inside the class folders; a folder named by a number belongs to its class alone."""
    if not pictures.are_files:
        return None
    texts = _inner_folders(pictures)
    if not any(texts):
        return None
    labels = pictures.labels.tolist()
    keys: list[Hashable | None] = [
        (text, None if _speaks(text) else label) if text else None for text, label in zip(texts, labels, strict=True)
    ]
    numbers = number_keys(keys)
    if not (asked or _plausible(numbers, pictures.labels, COVERED)):
        return None
    if not (asked or _says_number(texts, numbers) or _alike_within(pictures.images, numbers, pictures.labels)):
        return None
    return described(numbers, "folder", "the folders inside the class folders", pictures.names)


def _says_number(texts: list[str], numbers: Int64Array) -> bool:
    """Whether folder names count things: ``person03``, ``0007``; not ``100CANON`` or ``a3``."""
    names = sorted({text.rpartition("/")[2] for text in texts if text})
    if not _mostly(re.compile(r"\d").search, names):
        return False
    if _mostly(_UNIT.search, names):
        return True
    if _mostly(_CAMERA_FOLDER.fullmatch, names):
        return False
    if all(_HASH_FOLDER.fullmatch(name) for name in names) and any(re.search("[a-f]", name) for name in names):
        return False
    return bool(np.median(np.bincount(numbers)) <= _FRAMES)  # more: one that was begun when the last was full


def _mostly(matches: Callable[[str], re.Match[str] | None], names: Sequence[str]) -> bool:
    return bool(np.mean([matches(name) is not None for name in names]) >= COVERED)


def _inner_folders(pictures: Pictures) -> list[str]:
    """The folders of each picture below those of its part and its class, as a path."""
    folders = [name.rpartition("/")[0] for name in pictures.names]
    # Each folder once: it may hold a million files.
    below = {folder: _below_part(f"{folder}/")[:-1].split("/") if folder else [] for folder in set(folders)}
    common: dict[int, list[str]] = {}
    for folder, label in set(zip(folders, pictures.labels.tolist(), strict=True)):
        path = below[folder]
        first = common.setdefault(label, path)
        if first != path[: len(first)]:
            same = [a == b for a, b in zip(first, path, strict=False)]
            common[label] = first[: [*same, False].index(False)]
    depth = min(map(len, common.values()))  # a class of one folder only does not make that folder its name
    inner = {folder: "/".join(path[depth:]) for folder, path in below.items()}
    return [inner[folder] for folder in folders]


def by_prefix(pictures: Pictures, asked: bool) -> Groups | None:
    """What file names have before their counter: the shortest prefix by which classes consist of several groups."""
    if not pictures.are_files:
        return None
    stems = (name.rpartition("/")[2].rpartition(".")[0] for name in pictures.names)
    split = [_split_counter(stem, asked=asked) for stem in stems]
    for length in range(1, 1 + max((len(tokens) for tokens, _ in split), default=0)):
        keys = _prefix_keys(pictures, [tokens[:length] for tokens, _ in split])
        numbers = number_keys(keys)
        if not _plausible(numbers, pictures.labels, CLOSE if asked else COVERED):
            continue
        counters = np.array([counter for _, counter in split])
        named = [str(key[0]) for key in keys if isinstance(key, tuple)]
        if (
            asked
            or _mostly(_UNIT.search, named)
            or _counts_frames(numbers, counters, pictures.labels)
            or _alike_within(pictures.images, numbers, pictures.labels)
        ):
            return described(numbers, "prefix", "file names with a common prefix and a counter", pictures.names)
    return None


def _below_part(name: str) -> str:
    part, _, rest = name.partition("/")
    return rest if part.lower() in _PARTS and "/" in rest else name


def _split_counter(stem: str, *, asked: bool = False) -> tuple[list[str], int]:
    """``person03_day2_017`` → (["person03", "day2"], 17); no tokens where there is no prefix or no counter.

    A time is no counter, and its day no prefix unless the user asked for groups: pictures of a day may show anything.
    """
    if stem.isdecimal() and stem.isascii() and len(stem) <= 18:  # of many: the quickest test first
        return [], int(stem)
    if copy := _EXPORTED_COPY.fullmatch(stem):
        return [copy[1]], -1
    if not asked and (timed := _TIME.fullmatch(stem)):
        return [token for token in _SEPARATORS.split(timed[1]) if token], -1
    match = _COUNTER.fullmatch(stem)
    if match is None:
        return [], -1
    counter = int(match[2]) if match[2].isdigit() else ord(match[2].lower()) - ord("a")
    return [token for token in _SEPARATORS.split(match[1]) if token], counter


def _prefix_keys(pictures: Pictures, prefixes: list[list[str]]) -> list[Hashable | None]:
    """The key of each picture's group. Numbers count within a class and folder, words across all of them."""
    below = [_below_part(name) for name in pictures.names]
    # The same file name in train and in test: there the numbers begin again and mean other tracks.
    begin_again = len(set(below)) < len(below)
    places = [
        ((name if begin_again else rest).rpartition("/")[0], label)
        for name, rest, label in zip(pictures.names, below, pictures.labels.tolist(), strict=True)
    ]
    return [
        None if not tokens else ("_".join(tokens), None if _speaks("_".join(tokens)) else place)
        for tokens, place in zip(prefixes, places, strict=True)
    ]


def _speaks(text: str) -> bool:
    """Whether a name means the same in every class: it has letters, or is a date."""
    return any(map(str.isalpha, text)) or _DATE.search(text) is not None


def _counts_frames(numbers: Int64Array, counters: Int64Array, labels: Int64Array) -> bool:
    """Whether counters begin again in each group, and classes have many groups: tracks and their frames."""
    sizes = np.bincount(numbers)
    lowest = np.full(len(sizes), np.iinfo(np.int64).max)
    np.minimum.at(lowest, numbers, counters)
    several = sizes > 1
    per_class = len(np.unique(np.stack([labels, numbers]), axis=1).T) / len(np.unique(labels))
    begins_again = (lowest[several] <= 1).mean() >= COVERED
    return bool(begins_again and per_class >= 5 and np.median(sizes[several]) <= _FRAMES)


def by_burst(pictures: Pictures, asked: bool) -> Groups | None:
    """Pictures taken within seconds of each other."""
    taken = pictures.taken() if pictures.taken is not None else None
    if taken is None or not (taken >= 0).any():
        return None
    order = np.argsort(taken, kind="stable")
    apart = np.diff(taken[order], prepend=-1) > BURST_SECONDS
    numbers = np.empty(len(taken), dtype=np.int64)
    numbers[order] = np.cumsum(apart | (taken[order] < 0))
    same_thing = number_keys(list(zip(numbers.tolist(), pictures.labels.tolist(), strict=True)))
    covered = 0 if asked else CLOSE
    if not (_plausible(numbers, pictures.labels, covered) and _plausible(same_thing, pictures.labels, covered)):
        return None  # one picture of each class at a time is no burst
    words = f"times in the pictures or their names: bursts with at most {BURST_SECONDS} s from one picture to the next"
    return described(numbers, "burst", words, pictures.names)


def by_neighbours(pictures: Pictures, asked: bool) -> Groups | None:
    """Runs of pictures, in the order of names and of one class, that look much more alike than others of the class."""
    images, labels = pictures.images, pictures.labels
    order = np.argsort(labels, kind="stable")
    pairs = np.stack([order[:-1], order[1:]], axis=1)
    pairs = pairs[labels[pairs[:, 0]] == labels[pairs[:, 1]]]
    rng = np.random.default_rng(_SEED)
    sample = pairs[np.sort(rng.permutation(len(pairs))[:_SAMPLE])]
    alike = _correlations(images, sample)
    if not len(sample) or np.mean(alike > ALIKE) < NEIGHBOURS_LINKED:
        return None  # no limit is lower, and those by chance take longest to find
    limits = _chance(images, labels, rng)
    if np.mean(alike > limits[labels[sample[:, 0]]]) < NEIGHBOURS_LINKED:
        return None
    linked = _correlations(images, pairs) > limits[labels[pairs[:, 0]]]
    numbers = np.empty(len(labels), dtype=np.int64)
    follows = np.zeros(len(labels), dtype=np.bool_)
    follows[pairs[linked, 1]] = True
    numbers[order] = np.cumsum(~follows[order]) - 1
    if not _plausible(numbers, labels, 0 if asked else CLOSE):
        return None
    return described(numbers, "neighbours", "neighbours in the order of names that are nearly alike", pictures.names)


def _chance(images: UInt8Array, labels: Int64Array, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """For each class the correlation that 1 % of its pairs exceed, at least `ALIKE`: float32 (K,).

    The pairs are far apart in the order of names, so they are hardly ever of one run.
    """
    limits = np.full(int(labels.max()) + 1, 1, dtype=np.float32)
    classes = np.unique(labels)
    pairs_each = max(50, 5 * _SAMPLE // len(classes))
    for label in classes.tolist():
        members = np.flatnonzero(labels == label)
        if len(members) < 4:
            continue
        first = rng.integers(0, len(members), pairs_each)
        away = rng.integers(len(members) // 4, len(members) - len(members) // 4, pairs_each)
        drawn = members[np.stack([first, (first + away) % len(members)], axis=1)]
        limits[label] = max(ALIKE, float(np.quantile(_correlations(images, drawn), 0.99)))
    return limits


def _plausible(numbers: Int64Array, labels: Int64Array, covered: float) -> bool:
    """Whether these can be groups: enough pictures have company, and classes consist of several groups."""
    sizes = np.bincount(numbers)
    with_company = sizes[numbers] > 1
    if not with_company.any() or with_company.mean() < covered:
        return False
    cells, counts = np.unique(np.stack([labels, numbers]), axis=1, return_counts=True)
    largest = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    np.maximum.at(largest, cells[0], counts)
    in_classes = np.bincount(labels)
    consists = largest <= LARGEST * in_classes
    several = np.bincount(cells[0]) >= 2
    return bool(in_classes[consists & several].sum() >= COVERED * len(labels) and len(sizes) >= 4)


def _alike_within(images: UInt8Array, numbers: Int64Array, labels: Int64Array) -> bool:
    """Whether pictures find their nearest in their own group, not among as many others of their class."""
    rng = np.random.default_rng(_SEED)
    sampled = rng.permutation(len(labels))[:_SAMPLE]
    own, others = [], []
    by_label = {label: np.flatnonzero(labels == label) for label in np.unique(labels).tolist()}
    for row in sampled.tolist():
        mine = by_label[int(labels[row])]
        together = mine[(numbers[mine] == numbers[row]) & (mine != row)]
        apart = mine[numbers[mine] != numbers[row]]
        count = min(8, len(together), len(apart))
        if count:
            own.append(_nearest(images, row, rng.choice(together, count, replace=False)))
            others.append(_nearest(images, row, rng.choice(apart, count, replace=False)))
    return len(own) >= 20 and bool(np.mean(np.array(own) > np.array(others)) >= 0.75)


def _nearest(images: UInt8Array, row: int, among: Int64Array) -> float:
    return float(_correlations(images, np.stack([np.full(len(among), row), among], axis=1)).max())


def _correlations(images: UInt8Array, pairs: Int64Array) -> npt.NDArray[np.float32]:
    """How well the coarse pictures of each pair correlate, float32 (M,); 0 where one is blank."""
    found = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), _PIECE):
        rows = pairs[start : start + _PIECE]
        left, right = (_coarse(images, rows[:, side]) for side in (0, 1))
        found[start : start + _PIECE] = np.einsum("ij,ij->i", left, right)
    return found


def _coarse(images: UInt8Array, rows: Int64Array) -> npt.NDArray[np.float32]:
    """Pictures averaged on a grid, with mean 0 and length 1: float32 (n, D)."""
    unique, back = np.unique(rows, return_inverse=True)
    rows_apart, columns_apart = (max(1, side // (4 * _CELLS)) for side in images.shape[1:3])
    pixels = np.stack([images[row, ::rows_apart, ::columns_apart] for row in unique.tolist()]).astype(np.float32)
    across, down = averaging(pixels.shape[2], _CELLS), averaging(pixels.shape[1], _CELLS)
    grid = np.einsum("ah,nhwc,bw->nabc", down, pixels, across, optimize=True).reshape(len(unique), -1)
    grid -= grid.mean(axis=1, keepdims=True)
    length = np.linalg.norm(grid, axis=1, keepdims=True)
    return np.asarray((grid / np.maximum(length, 1e-3))[back.reshape(-1)], dtype=np.float32)


def by_copies(pictures: Pictures, asked: bool) -> Groups | None:
    """Exact copies, and changed copies of the same picture; a mirrored drawing is another drawing."""
    from .ink import measure_ink

    is_drawn = measure_ink(pictures.images).kind == "ink"
    numbers = same_picture_groups(find_duplicates([pictures.images]), mirrored=not is_drawn)
    if asked or len(np.unique(numbers)) < len(numbers):
        return described(numbers, "copies", "pictures that are the same, changed", pictures.names)
    return None


FINDERS: dict[str, Finder] = {
    "folder": by_folder, "prefix": by_prefix, "burst": by_burst, "neighbours": by_neighbours,
}  # fmt: skip
"""How likely groups are found, the most certain first."""

WHERE_ASKED: dict[str, Finder] = {**FINDERS, "copies": by_copies}
"""All that the user may ask for; copies take long to find."""


# When pictures were taken, as cameras write it into them (EXIF) or into their names

_WITH_EXIF = (".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".heic")
_LOOKED_AT = 50  # pictures looked at first: mostly none has a time
_EXIF, _DATE_TIME_ORIGINAL = 0x8769, 0x9003
_TAKEN = "taken"
_DATED = re.compile(
    r"((?:19|20)\d\d)[_\-.]?(\d\d)[_\-.]?(\d\d)"
    r"(?:[ T_\-.]*| at )(\d\d)[hH_\-.:]?(\d\d)[mM_\-.:]?(\d\d)(?!\d{1,2}(?!\d))"
)
"""A date and a time to the second, as in ``IMG_20240131_120259.png``; milliseconds may follow."""


def times_taken(files: ImageFiles, names: Sequence[str], key: str) -> Int64Array:
    """When each picture was taken: int64 (N,), seconds since 1970 by the camera's clock, -1 where unknown.

    Times in the pictures precede those in names, for copies and exports get new names. The cache keeps the result under
    ``key``, which determines the pictures.
    """
    usable = [row for row, name in enumerate(names) if name.lower().endswith(_WITH_EXIF)]
    times = np.fromiter(map(_named_time, names), dtype=np.int64, count=len(names))
    sample = usable[:: max(1, len(usable) // _LOOKED_AT)]
    if all(_time_taken(files, names[row]) < 0 for row in sample):
        return times
    if (kept := kept_arrays(_TAKEN, key)) is not None and len(kept.get("times", ())) == len(names):
        return kept["times"]
    inside = np.array(list(map_in_order(partial(_time_taken, files), (names[row] for row in usable))), dtype=np.int64)
    times[usable] = np.where(inside < 0, times[usable], inside)
    keep_arrays(_TAKEN, key, {"times": times})
    return times


def _named_time(name: str) -> int:
    if (found := _DATED.search(name.rpartition("/")[2])) is not None:
        with contextlib.suppress(ValueError):
            return _seconds(" ".join(found.groups()), "%Y %m %d %H %M %S")
    return -1


def _seconds(text: str, form: str) -> int:
    return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp())


def _time_taken(files: ImageFiles, name: str) -> int:
    with contextlib.suppress(BadFileError, OSError, ValueError, TypeError, SyntaxError):
        # Of a file in a folder only the head is read.
        source = open_input(f"{files.root}/{name}") if files.read is None else io.BytesIO(files.content(name))
        with source, Image.open(source) as picture:
            text = picture.getexif().get_ifd(_EXIF).get(_DATE_TIME_ORIGINAL, "")
        return _seconds(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    return -1


# The groups that the user asks for


def make_groups(group_by: GroupBy, pictures: Pictures, where: str) -> Groups | None:
    """The groups that ``group_by`` asks for; None for "none", and for "auto" where nothing was found.

    Where the data, called ``where``, have no such groups, it is a DataError that says what they have.
    """
    if group_by.kind == "none" or not len(pictures.labels):
        return None
    if group_by.kind == "auto":  # the groups that the pictures most likely come in
        found_by = (find(pictures, False) for find in FINDERS.values())
        return next((groups for groups in found_by if groups is not None), None)
    if group_by.kind in WHERE_ASKED:
        found = WHERE_ASKED[group_by.kind](pictures, True)
        if found is None:
            raise DataError(f"{where}: --group-by {group_by.kind} finds no groups. {_why_not(group_by, pictures)}")
        return found
    find, words = _SOURCES[group_by.kind]
    keys = find(group_by.value, pictures, where)
    text = f"column:{group_by.value}" if group_by.kind == "column" else group_by.value
    unmatched = sum(key is None for key in keys)
    return described(number_keys(keys), text, words.format(group_by.value), pictures.names, unmatched)


def _why_not(group_by: GroupBy, pictures: Pictures) -> str:
    if group_by.kind in ("folder", "prefix") and not pictures.are_files:
        return f"Its images have no file names (they are called {pictures.names[0]!r}). {CHOICES}"
    return {
        "folder": f"There are no folders inside the class folders (the first picture is {pictures.names[0]!r}).",
        "prefix": "No file names have a common prefix before a counter, other than one for a whole class "
        f"(the first picture is {pictures.names[0]!r}).",
        "burst": "Neither the pictures (EXIF DateTimeOriginal) nor their names (IMG_20240131_120259) say when they "
        "were taken, or none were taken within seconds of each other.",
        "neighbours": "Neighbours in the order of names are not more alike than others.",
    }[group_by.kind]


def _by_pattern(pattern: str, pictures: Pictures, where: str) -> list[Hashable | None]:
    compiled = re.compile(pattern)
    keys: list[Hashable | None] = [match[1] if (match := compiled.search(name)) else None for name in pictures.names]
    if all(key is None for key in keys):
        raise DataError(
            f"{where}: the pattern {pattern} (--group-by) matches no picture; the first is called "
            f"{pictures.names[0]!r}. Correct the pattern."
        )
    return keys


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
        found = {table[each] for each in by_base.get(posixpath.basename(name), []) if _is_tail(each, name)}
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
    """The group of each file in a table with the columns ``file_name`` and ``group``, else DataError."""
    try:
        with open_text(os.path.expanduser(path), encoding="utf-8-sig", newline="", piped=True) as file:
            head = file.readline()
            file.seek(0)
            rows = csv.DictReader(file, delimiter=separator_of(head) or ",")
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


_SOURCES: dict[str, tuple[Callable[[str, Pictures, str], list[Hashable | None]], str]] = {
    "pattern": (_by_pattern, "the pattern {}"),
    "column": (_by_column, "the column {!r}"),
    "file": (_by_file, "the table {}"),
}
