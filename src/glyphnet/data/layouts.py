"""What the levels of folders mean: which name is a class, which a part (training, validation, test), which neither.

Everything is concluded from the names of the pictures, and said in one line. Where two readings are possible, both are
shown, and the user must choose by ``--layout`` or ``--only``.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import DataError, SettingsError
from ..units import listed
from .listing import TEST, TRAIN, VALIDATION

LAY_OUT = (
    "Lay it out as FOLDER/class/image.png, or as FOLDER/train/class/image.png with folders validation and "
    "test beside train."
)

_EVAL = 3  # the test part, or the validation part where there is a test part as well
_PART_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "devel", "development"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), TEST),
    **dict.fromkeys(("eval", "evaluation"), _EVAL),
}
_FILLERS = frozenset({
    "set", "sets", "data", "dataset", "datasets", "images", "image", "imgs", "img", "pictures", "pics", "photos",
    "samples", "final", "seg", "split", "part", "folder", "raw", "files", "public", "private", "the", "my", "cropped",
    "crops", "classes", "classification", "labeled", "labelled",
})  # fmt: skip
# Folders that say what kind of file is in them; as the only folders of a data set they name no classes.
KINDS = frozenset({
    "images", "image", "imgs", "img", "masks", "mask", "labels", "annotations", "annotation", "gt", "groundtruth",
    "ground_truth", "segmentation", "depth",
})  # fmt: skip
LABEL_LAYOUTS = ("label,pixels", "pixels,label")
"""What ``--layout`` says of a table without a header whose first and last column could both be the label."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LEVELS = ("class", "part", "any")


@dataclass
class Arrangement:
    """The meaning of the folders."""

    rows: list[tuple[str, str, int]] = field(default_factory=list)  # (name, class, part) of each picture
    notes: list[str] = field(default_factory=list)  # sentences on what was concluded
    warnings: list[str] = field(default_factory=list)  # and on what was left out


class _File(NamedTuple):
    """A picture: its name, and the folders above it that have no meaning yet."""

    name: str
    folders: tuple[str, ...]

    @property
    def top(self) -> str:
        return self.folders[0]

    def below(self) -> _File:
        return _File(self.name, self.folders[1:])


def check_layout(layout: str) -> None:
    """Raise SettingsError for a layout that is none of "auto", levels with one class, and those of tables of pixels."""
    levels = layout.split("/")
    if layout not in ("auto", *LABEL_LAYOUTS) and (
        levels.count("class") != 1 or levels.count("part") > 1 or any(level not in _LEVELS for level in levels)
    ):
        raise SettingsError(
            f"layout (={layout!r}) must be auto, or say what each level of folders is, such as class, part/class, "
            "class/part or any/class: one class, at most one part, and any for a level without meaning."
        )


def part_word(name: str) -> int | None:
    """The part that a word in a table or a folder's name stands for, with common additions: ``seg_train``."""
    part = _part(name)
    return TEST if part == _EVAL else part


def arrange(names: Sequence[str], where: str, layout: str = "auto", only: str | None = None) -> Arrangement:
    """The class and the part of each picture, from its path, with forward slashes.

    Args:
        where: what messages call the folder.
        layout: "auto", or what each level is: see `check_layout`.
        only: leave out pictures that do not lie below a folder of this name.

    Raises:
        DataError: no picture has a class, or two readings are possible.
    """
    if layout == "auto" and only is None and (rows := _in_plain_classes(names)) is not None:
        return Arrangement(rows)
    result = Arrangement()
    levels: dict[str, tuple[str, ...]] = {}  # of each folder, once: there may be a million files in it
    files = []
    for name in names:
        folder = name.rpartition("/")[0]
        if folder not in levels:
            levels[folder] = tuple(folder.split("/")) if folder else ()
        files.append(_File(name, levels[folder]))
    if only is not None:
        files = _only(files, only, where, result)
    loose = [file for file in files if not file.folders]
    files = [file for file in files if file.folders]
    if loose and not files:
        raise DataError(
            f"{where}: {len(loose):,} pictures lie directly in it ({listed([file.name for file in loose], 2)}), so "
            f"none has a class. {LAY_OUT}"
        )
    if layout != "auto":
        _by_levels(files, layout.split("/"), where, result)
    elif files:
        prefix, files, more = _unwrapped(files)
        loose += more
        where = posixpath.join(where, *prefix)
        if prefix:
            result.notes.append(f"The data lie in {'/'.join(prefix)!r}.")
        _arrange_level(files, where, len(prefix), result)
    if loose:
        result.warnings.append(_outside([file.name for file in loose]))
    return result


def _in_plain_classes(names: Sequence[str]) -> list[tuple[str, str, int]] | None:
    """The rows of pictures that lie directly in folders, none of them named as a part; most data look so."""
    rows = []
    for name in names:
        top, _, rest = name.partition("/")
        if not rest or "/" in rest:
            return None
        rows.append((name, top, TRAIN))
    tops = {top for _, top, _ in rows}
    if len(tops) < 2 or any(_PART_WORDS.keys() & set(_words(top)) or part_word(top) is not None for top in tops):
        return None
    return rows


def _outside(names: Sequence[str]) -> str:
    one = len(names) == 1
    return (
        f"{len(names):,} {'picture lies' if one else 'pictures lie'} outside the class folders "
        f"({listed(names, 2)}): {'it was' if one else 'they were'} not read."
    )


def _only(files: list[_File], only: str, where: str, result: Arrangement) -> list[_File]:
    kept = [
        _File(file.name, tuple(folder for folder in file.folders if folder != only))
        for file in files
        if only in file.folders
    ]
    if not kept:
        found = Counter(folder for file in files for folder in file.folders)
        names = [folder for folder, _ in found.most_common(8)]
        raise DataError(f"{where}: no picture lies in a folder {only!r}; there are {listed(names, 8) or 'none'}.")
    if len(kept) < len(files):
        result.notes.append(
            f"Only the {len(kept):,} pictures in folders {only!r} are read; {len(files) - len(kept):,} others are not."
        )
    return kept


# Levels that the user names


def _by_levels(files: list[_File], levels: list[str], where: str, result: Arrangement) -> None:
    shallow: list[str] = []
    strange: Counter[str] = Counter()
    for file in files:
        if len(file.folders) < len(levels):
            shallow.append(file.name)
            continue
        meaning = dict(zip(levels, file.folders, strict=False))
        part = part_word(meaning["part"]) if "part" in meaning else TRAIN
        if part is None:
            strange[meaning["part"]] += 1
        else:
            result.rows.append((file.name, meaning["class"], part))
    if strange:
        raise DataError(
            f"{where}: with --layout {'/'.join(levels)}, {listed(list(strange), 3)} must name a part (train, "
            "validation, test). Rename it, or give another layout."
        )
    if not result.rows:
        raise DataError(f"{where}: no picture lies {len(levels)} folders deep, as --layout {'/'.join(levels)} says.")
    if shallow:
        result.warnings.append(_outside(shallow))
    pooled = {name.rpartition("/")[0] for name, _, _ in result.rows if name.count("/") > len(levels)}
    if pooled:
        result.notes.append(f"Folders below {'/'.join(levels)} were pooled: {len(pooled):,}, such as {min(pooled)!r}.")


# Levels that are concluded from the names


def _part(name: str, common: frozenset[str] = frozenset()) -> int | None:
    """The part that a name stands for, apart from words that are ``common`` or say nothing."""
    words = [word for word in _words(name) if word not in common and word not in _FILLERS]
    whole = "".join(words)  # "hold-out" is two words
    shorter = [whole.removesuffix(filler) for filler in ("set", "data", "images", "imgs")] if len(words) == 1 else []
    return next((_PART_WORDS[word] for word in (whole, *shorter) if word in _PART_WORDS), None)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def _parts_of(names: Collection[str]) -> dict[str, int]:
    """The part of each name that means one. Words that all these names share ("asl_alphabet_train") do not count.

    Two names that are the same part are a ValueError, which gives them.
    """
    with_part = [name for name in names if _PART_WORDS.keys() & set(_words(name))]
    shared = frozenset.intersection(*(frozenset(_words(name)) for name in with_part)) if len(with_part) > 1 else None
    common = (shared or frozenset()) - _PART_WORDS.keys()
    found = {name: part for name in sorted(names) if (part := _part(name, common)) is not None}
    has_test = TEST in found.values()
    result: dict[str, int] = {}
    taken: dict[int, str] = {}
    for name, part in found.items():
        if part == _EVAL:
            part = VALIDATION if has_test and VALIDATION not in found.values() else TEST
        if part in taken:
            raise ValueError(f"{taken[part]!r} and {name!r}")
        taken[part] = name
        result[name] = part
    return result


def _parts_by_one_word(names: Collection[str]) -> dict[str, int] | None:
    """The part of each name by the one word in it that means a part; None unless each has one of its own."""
    found = {name: [_PART_WORDS[word] for word in _words(name) if word in _PART_WORDS] for name in names}
    parts = {name: TEST if each[0] == _EVAL else each[0] for name, each in found.items() if len(each) == 1}
    return parts if len(set(parts.values())) == len(names) else None


def _unwrapped(files: list[_File], *, in_part: bool = False) -> tuple[list[str], list[_File], list[_File]]:
    """The folders that only wrap the data, the files below them, and those beside a wrapping folder.

    A folder that is named as a part does not wrap, except in a part: ``seg_train/seg_train/class``.
    """
    prefix: list[str] = []
    loose: list[_File] = []
    while True:
        [top, *others] = sorted({file.top for file in files})
        if others or (not in_part and _part(top) is not None):
            return prefix, files, loose
        deeper = [file.below() for file in files if len(file.folders) > 1]
        beside = [file for file in files if len(file.folders) == 1]
        if len(beside) > len(deeper) or not _leads_to_several({file.folders for file in deeper}):
            return prefix, files, loose
        prefix.append(top)
        loose += beside
        files = deeper


def _leads_to_several(paths: set[tuple[str, ...]]) -> bool:
    """Whether there are several folders at some level, or a folder that is named as a part."""
    while paths:
        tops = {path[0] for path in paths}
        if len(tops) > 1 or _part(min(tops)) is not None:
            return True
        paths = {path[1:] for path in paths if len(path) > 1}
    return False


def _arrange_level(files: list[_File], where: str, depth: int, result: Arrangement) -> None:
    tops: dict[str, list[_File]] = {}
    for file in files:
        tops.setdefault(file.top, []).append(file.below())
    subs = {top: {file.top for file in below if file.folders} for top, below in tops.items()}
    try:
        parts = _parts_of(tops)
    except ValueError as error:
        raise DataError(f"{where}: {error} are the same part. Put them into one folder, or give one.") from None
    if len(parts) < len(tops) and len(tops) > 1 and _nearly_the_same(list(subs.values())):
        # Folders with the same folders in them need no usual name: one word of it that means a part is enough.
        parts = _parts_by_one_word(tops) or parts
    deep = [top for top in parts if subs[top]]
    others = [top for top in tops if top not in parts]
    level = "any/" * depth
    if deep and (not others or len(parts) > 1):
        below = set().union(*subs.values())
        if len(below) > 1 and all(_part(name) is not None for name in below):
            inner = listed(sorted(below), 3)
            raise _two_readings(
                where,
                f"{listed(sorted(parts), 3)} are parts and {inner} classes: --layout {level}part/class",
                f"{listed(sorted(tops), 3)} are classes and {inner} parts: --layout {level}class/part",
            )
        _read_parts(tops, parts, where, level, result)
        for top in sorted(others):
            result.warnings.append(
                f"The folder {top!r} is none of train, validation and test: its {len(tops[top]):,} pictures were not "
                "read."
            )
    elif deep:
        part, names = deep[0], sorted(others)
        raise _two_readings(
            where,
            f"{part!r} is a part and its folders {listed(sorted(subs[part]), 3)} are classes: give {part!r} alone",
            f"{listed(sorted([part, *names]), 3)} are classes: add --layout {level}class",
        )
    elif parts and (not others or len(parts) > 1):
        named = listed(sorted(parts), 3)
        raise DataError(
            f"{where}: {named} look like parts (training, test), and the pictures in them lie in no class folders: no "
            "class is known. Put them into class folders, or add a table metadata.csv (file_name,label). If these "
            f"are the classes: --layout {level}class."
        )
    else:
        _read_classes_or_parts_below(tops, subs, where, level, result)


def _two_readings(where: str, first: str, second: str) -> DataError:
    return DataError(f"{where}: can be read in two ways.\n  1. {first}.\n  2. {second}.")


def _read_parts(
    tops: dict[str, list[_File]], parts: dict[str, int], where: str, level: str, result: Arrangement
) -> None:
    classes = Counter(file.top for part in parts for file in tops[part] if file.folders)
    said = []
    for top, part in sorted(parts.items(), key=lambda item: item[1]):
        files = [file for file in tops[top] if file.folders]
        loose = [file.name for file in tops[top] if not file.folders]
        if files:
            wrapper, inner, beside = _unwrapped(files, in_part=True)
            tops_below = {file.top for file in files}
            if wrapper and (_is_wrapper_name(wrapper[0], top) or classes[wrapper[0]] == len(files)):
                files, loose = inner, [*loose, *(file.name for file in beside)]
            elif len(tops_below) == 1 and _is_wrapper_name(min(tops_below), top):  # pictures directly in test/Images
                files, loose, wrapper = [], [*loose, *(file.name for file in files)], []
        if files:
            said.append(_is_part(posixpath.join(top, *wrapper), part))
        if loose and not files:
            result.warnings.append(
                f"The {len(loose):,} pictures in {top!r} lie in no class folder: without labels they cannot be used "
                "for training or evaluation, and were not read."
            )
        elif loose:
            result.warnings.append(f"{len(loose):,} pictures directly in {top!r} have no class: they were not read.")
        _refuse_silent_pooling(files, posixpath.join(where, top), f"{level}part/class")
        result.rows += [(file.name, file.top, part) for file in files]
    result.notes.append(f"Folders: {', '.join(said)}; the folders in them are the classes.")


def _is_part(name: str, part: int) -> str:
    return f"{name!r} is the {('training', 'validation', 'test')[part]} part"


def _is_wrapper_name(name: str, above: str) -> bool:
    """Whether a single folder in a part cannot be a class by its name: ``Images``, ``data``, or the part's own."""
    words = _words(name)
    return name.lower() in KINDS or name == above or (bool(words) and _FILLERS.issuperset(words))


def _read_classes_or_parts_below(
    tops: dict[str, list[_File]], subs: dict[str, set[str]], where: str, level: str, result: Arrangement
) -> None:
    below = set().union(*subs.values())
    try:
        parts = _parts_of(below)
    except ValueError:
        parts = {}
    flat = [top for top, files in tops.items() if any(not file.folders for file in files)]
    if len(tops) > 1 and len(below) > 1 and len(parts) == len(below):
        if flat:
            raise DataError(
                f"{where}: {listed(sorted(below), 3)} below the classes are parts, and pictures lie directly in "
                f"{listed(sorted(flat), 3)} as well. Move them into a part, or pool all: --layout {level}class."
            )
        result.rows += [(file.name, top, parts[file.top]) for top, files in tops.items() for file in files]
        said = ", ".join(_is_part(name, part) for name, part in sorted(parts.items(), key=lambda item: item[1]))
        result.notes.append(f"Folders: the top folders are the classes; in each, {said}.")
        return
    files = [_File(file.name, (top, *file.folders)) for top, each in tops.items() for file in each]
    _refuse_silent_pooling(files, where, f"{level}class")
    result.rows += [(file.name, file.top, TRAIN) for file in files]
    pooled = {"/".join(file.folders) for file in files if len(file.folders) > 1}
    if len(below) > 1:
        result.notes.append(
            f"Folders: the {len(tops):,} top folders are the classes; {len(pooled):,} folders inside them, such as "
            f"{min(pooled)!r}, were pooled."
        )


def _refuse_silent_pooling(files: list[_File], where: str, layout: str) -> None:
    """Refuse classes whose sub-folders mean something: the same in every class, or with the same file names."""
    stems: dict[str, dict[str, set[str]]] = {}
    for file in files:
        inside = stems.setdefault(file.top, {})
        if len(file.folders) > 1:
            inside.setdefault(file.folders[1], set()).add(posixpath.splitext(posixpath.basename(file.name))[0])
    subs = [set(inside) for inside in stems.values()]
    twins = next((pair for inside in stems.values() if (pair := _twin_folders(inside))), None)
    same = len(subs) > 1 and _nearly_the_same(subs)
    names = sorted(twins or set().union(*subs))
    if not (twins or same) or _is_enumeration(names):
        return
    cells = f"{listed(sorted(stems), 3)} each hold {listed(names, 4)}"
    if twins:
        raise DataError(
            f"{where}: {cells}, with the same file names: they were not pooled.\n"
            f"  Read one of them: --only {shlex.quote(_likeliest(names))}\n  Pool them all:    --layout {layout}"
        )
    up = layout.removesuffix("class")
    raise _two_readings(
        where,
        f"{listed(sorted(stems), 3)} are the classes, and the folders in them are pooled: --layout {layout} "
        f"(or one of them: --only {shlex.quote(_likeliest(names))})",
        f"{listed(names, 3)} are the classes, and the folders above them are pooled: --layout {up}any/class",
    )


def _likeliest(names: Sequence[str]) -> str:
    """The folder that more probably holds the pictures themselves."""
    return next((name for name in names if name.lower() in ("images", "image", "imgs", "img", "original")), names[0])


def _twin_folders(inside: dict[str, set[str]]) -> tuple[str, str] | None:
    """Two folders of a class that hold mostly the same file names."""
    names = sorted(inside)
    for index, first in enumerate(names[:50]):
        for second in names[index + 1 : 50]:
            # Counters are the same everywhere, and tell nothing but of images and masks.
            counted = all(stem.isdecimal() for stem in inside[first] | inside[second])
            if counted and not {first.lower(), second.lower()} & KINDS:
                continue
            common = len(inside[first] & inside[second])
            if common >= 2 and common >= 0.5 * min(len(inside[first]), len(inside[second])):
                return first, second
    return None


def _is_enumeration(names: Sequence[str]) -> bool:
    """Whether names differ in their number alone (``slide1``, ``slide2``): specimens rather than kinds or classes."""
    return len({re.sub(r"\d+", "", name) for name in names}) == 1 and not names[0].isdecimal()


def _nearly_the_same(subs: list[set[str]]) -> bool:
    """Whether all these sets hold nearly the same names, two or more."""
    largest = max(subs, key=len)
    return len(largest) > 1 and all(len(each & largest) >= max(2, 0.8 * max(len(each), 1)) for each in subs)
