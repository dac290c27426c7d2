"""Reads a folder or an archive of pictures: by the tables in it, or by what its folders mean."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from ..errors import DataError
from ..filekinds import commonest_kind, foreign_kind, looks_like_picture
from ..units import listed, plural
from .arrays import RawArrays
from .assemble import Options
from .dataset import BadFile
from .filetree import FileTree, count_in_words
from .hub import hub_tables, read_hub
from .layouts import KINDS, LABEL_LAYOUTS, LAY_OUT, Arrangement, arrange, part_word
from .listing import TRAIN, ImageFiles, class_order, escaped, image_files
from .pixeltables import pixel_table_of, read_pixel_tables
from .tables import METADATA, TABLE_SUFFIXES, cells_of, choose_columns, plain, read_path_tables

UNLABELLED_PARTS = ("unlabelled", "unlabeled")
"""Folders, beside those of the classes or parts, that hold pictures without labels."""


def read_tree(tree: FileTree, options: Options) -> ImageFiles | RawArrays:
    """The labelled images below a folder or in an archive.

    Where none has a class, a table is wrong, or two readings are possible, it is a DataError.
    """
    notes = []
    is_studio = is_studio_folder(tree)
    if is_studio:
        tree, aside = without_studio_files(tree)
        if aside:
            notes.append(f"{listed(aside)}: what the studio keeps beside the pictures, which is no data: not read.")
        tree = replace(tree, outputs=tuple(name for name in tree.outputs if not name.startswith(f"{RUNS}/")))
    if tree.outputs:
        notes.append(f"{listed(tree.outputs, 3)}: GlyphNet's own output, which is not data: not read.")
    wrapper = wrapper_of(tree.names) if options.layout == "auto" else ""
    if options.layout == "auto" and (aside := [name for name in tree.names if is_unlabelled(name, wrapper)]):
        folder = posixpath.join(wrapper, aside[0][len(wrapper) :].lstrip("/").partition("/")[0])
        tree = replace(tree, names=tuple(name for name in tree.names if not is_unlabelled(name, wrapper)))
        use = "for `glyphnet train` to learn from as well" if tree.read is None else "not used: unpack the archive"
        notes.append(f"{folder}: {plural(len(aside), 'file')} without labels, {use}. If it is a class: --layout class.")
    if options.layout == "auto":  # a folder of that name without pictures is no empty class either
        tree = replace(tree, folders=tuple(name for name in tree.folders if not is_unlabelled(f"{name}/", wrapper)))
    found = _read(tree, options)
    return replace(found, notes=(*notes, *found.notes)) if notes else found


VERSIONS, RUNS, DECISIONS = "versions", "runs", "labels.csv"
"""What `glyphnet studio` keeps in its folder beside the pictures, the trash and the table of groups."""
TRASH = ".trash"


def is_studio_folder(tree: FileTree) -> bool:
    """Whether a folder is one that `glyphnet studio` has opened: it has a trash."""
    return tree.read is None and (tree.root / TRASH).is_dir()


def without_studio_files(tree: FileTree) -> tuple[FileTree, list[str]]:
    """The files that are data in a folder of the studio, and what is left aside.

    ``versions`` and ``runs`` are left aside as long as they hold no pictures: with pictures they are classes, and a
    class is never dropped. Nothing is said of those that are empty.
    """
    aside = []
    for folder in (VERSIONS, RUNS):
        inside = tuple(name for name in tree.names if name.startswith(f"{folder}/"))
        if any(map(looks_like_picture, inside)):
            continue
        if inside or any(name.startswith(f"{folder}/") for name in tree.outputs):
            aside.append(folder)
        names = tuple(name for name in tree.names if not name.startswith(f"{folder}/"))
        folders = tuple(name for name in tree.folders if name.partition("/")[0] != folder)
        tree = replace(tree, names=names, folders=folders)
    if DECISIONS in tree.names:
        aside.append(DECISIONS)
        tree = replace(tree, names=tuple(name for name in tree.names if name != DECISIONS))
    return tree, aside


def wrapper_of(names: Iterable[str]) -> str:
    """The folder in which all pictures lie, "" for the root: many archives hold one folder with everything in it."""
    pictures = [name for name in names if looks_like_picture(name)]
    if not pictures:
        return ""
    # What the first and the last in order have in common, all have.
    ends = zip(*(posixpath.dirname(name).split("/") for name in (min(pictures), max(pictures))), strict=False)
    common = takewhile(lambda pair: pair[0] == pair[1] and pair[0].lower() not in UNLABELLED_PARTS, ends)
    return "/".join(first for first, _ in common)


def is_unlabelled(name: str, wrapper: str = "") -> bool:
    """Whether a path from the data's root, with forward slashes, lies in a folder of unlabelled pictures.

    Such a folder lies beside those of the classes or parts: in the root, or in ``wrapper``, which holds all pictures.
    """
    inside = name.removeprefix(f"{wrapper}/") if wrapper else name
    return inside.partition("/")[0].lower() in UNLABELLED_PARTS and "/" in inside


def _read(tree: FileTree, options: Options) -> ImageFiles | RawArrays:
    pictures, others = tree.pictures()
    if not pictures:
        pictures, others = _arrays_in_class_folders(tree, others)
    if not tree.names:
        holds = f"holds GlyphNet's own output alone ({listed(tree.outputs, 3)})" if tree.outputs else "is empty"
        raise DataError(f"{tree.root}: the {'archive' if tree.read else 'folder'} {holds}. {LAY_OUT}")
    metadata = [
        name for name in tree.names if "metadata." in name.lower() and posixpath.basename(name).lower() in METADATA
    ]
    if _may_use_tables(options):
        if (groups := _groups_beside(tree, metadata, pictures, options)) is not None:
            names = tuple(name for name in tree.names if name not in metadata)
            others = Counter({suffix: count for suffix, count in others.items() if suffix != ".csv" or count > 1})
            return _with_groups(_by_folders(replace(tree, names=names), pictures, others, options), groups, metadata[0])
        if metadata:
            return _by_metadata(tree, metadata, pictures, options)
        if not pictures and (tables := hub_tables(tree)):
            return read_hub(tree, tables, options.label_column)
        if not pictures:
            return _by_pixel_tables(tree, options)
    return _by_folders(tree, pictures, others, options)


def _arrays_in_class_folders(tree: FileTree, others: Counter[str]) -> tuple[list[str], Counter[str]]:
    """The .npy files of a folder whose class folders hold one image in each file, and the other files' suffixes."""
    arrays = [name for name in tree.names if name.lower().endswith(".npy")]
    if len({posixpath.dirname(name) for name in arrays}) < 2:
        return [], others
    return arrays, Counter({suffix: count for suffix, count in others.items() if suffix != ".npy"})


def _may_use_tables(options: Options) -> bool:
    """Whether the user chose no folders, so that tables in them count."""
    return options.only is None and options.layout in ("auto", *LABEL_LAYOUTS)


def _by_metadata(tree: FileTree, tables: Sequence[str], pictures: Sequence[str], options: Options) -> ImageFiles:
    inside = Counter(posixpath.dirname(name) for name in tables)
    folder, count = inside.most_common(1)[0]
    if count > 1:
        both = [posixpath.basename(name) for name in tables if posixpath.dirname(name) == folder]
        raise DataError(f"{tree.root / folder}: there are both {both[0]} and {both[1]}. Name one of them.")
    files = read_path_tables(tree, [(name, _part_of_folder(name)) for name in tables], options)
    unlisted = len(set(pictures) - set(files.names) - {bad.name for bad in files.bad})
    if not unlisted:
        return files
    return replace(files, warnings=(*files.warnings, f"{unlisted:,} pictures that no table names were not read."))


def _groups_beside(
    tree: FileTree, tables: Sequence[str], pictures: Sequence[str], options: Options
) -> dict[str, str] | None:
    """The group of each picture that a table says which has no other column, beside class folders; else None."""
    if len(tables) != 1 or options.label_column is not None or not tables[0].lower().endswith(".csv"):
        return None
    inside = posixpath.dirname(tables[0])
    if not pictures or any(posixpath.dirname(name) == inside for name in pictures):
        return None
    cells = cells_of(tree, tables[0])
    titles = [plain(title) for title in cells.columns]
    if sorted(titles) != ["filename", "group"]:
        return None
    file, group = titles.index("filename"), titles.index("group")
    found: dict[str, str] = {}
    for place, row in cells.rows:
        name = posixpath.normpath(posixpath.join(inside, row[file].replace("\\", "/")))
        value = row[group] if len(row) > group else ""
        if found.setdefault(name, value) != value:
            raise DataError(
                f"{tree.root / tables[0]}: {place} puts {row[file]!r} into the group {value!r}, an earlier line into "
                f"{found[name]!r}. Remove one of them."
            )
    return {name: value for name, value in found.items() if value}


def _with_groups(files: ImageFiles | RawArrays, groups: Mapping[str, str], table: str) -> ImageFiles | RawArrays:
    """The files with the groups of a table beside them."""
    if not isinstance(files, ImageFiles):
        return files
    found = [groups.get(name) for name in files.names]
    wrapper = wrapper_of(files.names)
    others = sorted({name for name in groups if not is_unlabelled(name, wrapper)} - set(files.names))
    if not any(found):
        if not others:
            return files
        warning = (
            f"{table}: no picture here has one of its {plural(len(others), 'name')}, such as {others[0]!r}: nothing is "
            "grouped by it. Write paths from the folder of the table."
        )
        return replace(files, warnings=(*files.warnings, warning))
    note = f"{table}: 'group' says which pictures belong together"
    note += f"; {plural(len(others), 'name')} of no picture here." if others else "."
    return replace(files, groups=found, notes=(*files.notes, note))


def _part_of_folder(name: str) -> int | None:
    """The part that a folder above a table is called by."""
    parts = [part_word(folder) for folder in posixpath.dirname(name).split("/")]
    return next((part for part in parts if part is not None), None)


def _by_pixel_tables(tree: FileTree, options: Options) -> RawArrays | ImageFiles:
    tables = [name for name in _text_tables(tree) if pixel_table_of(tree, name) is not None]
    if tables:
        return read_pixel_tables(tree, tables, options)
    paths = _path_tables(tree, options.label_column)
    if paths:  # their pictures are missing: the error names the first
        return read_path_tables(tree, [(paths[0], None)], options)
    if (kind := commonest_kind(tree.names)) is not None:
        names = listed([posixpath.basename(name) for name in tree.names], 2)
        raise DataError(f"{tree.root}: no picture, only {names}: {kind.what}. {kind.remedy}")
    lay_out = LAY_OUT if tree.read is None else "Unpack it, and give the folder or the file in it."
    what = f": only {listed([posixpath.basename(name) for name in tree.names], 3)}" if tree.names else ""
    raise DataError(f"{tree.root}: there is no picture in it{what}. {lay_out}")


def _by_folders(tree: FileTree, pictures: list[str], others: Counter[str], options: Options) -> ImageFiles:
    """By class folders, or where they name no classes, by a table that lies beside the pictures."""
    failed: DataError | None = None
    arranged = Arrangement()
    try:
        if not pictures:
            raise DataError(f"{tree.root}: there is no image in it. {LAY_OUT}")
        arranged = arrange(pictures, str(tree.root), options.layout, options.only)
        _check_names_classes(tree, arranged, options)
    except DataError as error:
        failed = error
    if failed is not None or len({label for _, label, _ in arranged.rows}) < 2:
        may = _may_use_tables(options)
        if may and (hub := hub_tables(tree)):  # the pictures only adorn a page about the data
            return read_hub(tree, hub, options.label_column)
        if may and (tables := _path_tables(tree, options.label_column)):
            return read_path_tables(tree, _with_parts(tree, tables), options)
        if failed is not None:
            raise _with_reasons(failed, tree) if may else failed
    _check_empty_classes(tree, arranged)
    if _may_use_tables(options):
        arranged = _with_labelled_parts(tree, arranged, pictures)
    if count := sum(others.values()):
        what = "file that is no picture was" if count == 1 else "files that are no pictures were"
        arranged.notes.append(f"{count:,} {what} skipped ({count_in_words(others)}).")
    if packed := sum(count for suffix, count in others.items() if suffix.endswith(".gz")):
        said = f"{packed:,} files are packed by gzip and were not read. Unpack them: gunzip -r FOLDER."
        arranged.warnings.append(said)
    return _as_files(tree, arranged)


def _with_labelled_parts(tree: FileTree, arranged: Arrangement, pictures: list[str]) -> Arrangement:
    """The arrangement with the pictures of a part that lie in no class folders, where a table has their classes.

    The German traffic signs have ``Train/CLASS/``, and beside it ``Test/`` with ``Test.csv``.
    """
    if len(arranged.rows) == len(pictures):
        return arranged
    seen = {name for name, _, _ in arranged.rows}
    unlabelled = {name: _part_of_folder(name) for name in pictures if name not in seen}
    flat = {name: part for name, part in unlabelled.items() if part is not None}
    if not flat:
        return arranged
    folders = {posixpath.dirname(name) for name in flat}
    classes = {label for _, label, _ in arranged.rows}
    rows, notes, warnings = [*arranged.rows], [*arranged.notes], [*arranged.warnings]
    for table in _tables_of(tree, folders):
        try:
            files = read_path_tables(tree, [(table, None)], Options())
        except DataError:
            continue
        labels = [files.classes[label] for label in files.labels.tolist()]
        found = {name: label for name, label in zip(files.names, labels, strict=True) if name in flat}
        if 2 * len(found) < len(files.names):
            continue
        known = _same_classes(set(found.values()), classes)
        if unknown := sorted(set(found.values()) - known.keys()):
            warnings.append(f"{table} names the classes {listed(unknown, 3)}, which no folder has: it was not used.")
            continue
        rows += [(name, known[label], flat.pop(name)) for name, label in found.items()]
        notes += files.notes
    missing = {posixpath.dirname(name) for name in flat}
    if len(rows) > len(arranged.rows):
        read = {name for folder in folders - missing for name in folder.split("/")}
        warnings = [said for said in warnings if not any(repr(folder) in said for folder in read)]
    return Arrangement(rows, notes, warnings)


def _tables_of(tree: FileTree, folders: set[str]) -> list[str]:
    """The tables in these folders, or in one that holds them."""
    above = {""}
    for folder in folders:
        while folder:
            above.add(folder)
            folder = posixpath.dirname(folder)
    return [name for name in tree.names if posixpath.dirname(name) in above and name.lower().endswith(TABLE_SUFFIXES)]


def _same_classes(labels: set[str], classes: set[str]) -> dict[str, str]:
    """Label in a table → the class folder of that name, or of the same number (``7`` and ``00007``)."""
    numbers = {name: int(name) for name in labels | classes if name.isascii() and name.isdigit()}
    found = {label: label for label in labels & classes}
    for label in (labels - classes) & numbers.keys():
        same = [name for name in classes & numbers.keys() if numbers[name] == numbers[label]]
        if len(same) == 1:
            found[label] = same[0]
    return found


def _check_names_classes(tree: FileTree, arranged: Arrangement, options: Options) -> None:
    classes = {label for _, label, _ in arranged.rows}
    if options.layout == "auto" and options.only is None and all(name.lower() in KINDS for name in classes):
        many = len(classes) > 1
        raise DataError(
            f"{tree.root}: {'the folders' if many else 'the folder'} {listed(sorted(classes))} "
            f"{'say' if many else 'says'} what kind of file is in {'them' if many else 'it'}, and no class. Name the "
            "table with the classes, or use class folders. If these are the classes: --layout class."
        )


def _check_empty_classes(tree: FileTree, arranged: Arrangement) -> None:
    if not tree.folders:
        return
    beside = set()
    for name, label, part in arranged.rows:
        if part == TRAIN:
            folders = name.split("/")[:-1]
            beside.add("/".join(folders[: folders.index(label)]))
    empty = [folder for folder in tree.folders if posixpath.dirname(folder) in beside]
    if empty and is_studio_folder(tree):
        arranged.warnings.append(
            f"{plural(len(empty), 'class', 'classes')} without pictures: left out: {listed(empty)}."
        )
    elif empty:
        words = "folders hold" if len(empty) > 1 else "folder holds"
        raise DataError(f"{tree.root}: the class {words} no images: {listed(empty)}. Put images there, or remove it.")


def _as_files(tree: FileTree, arranged: Arrangement) -> ImageFiles:
    rows = sorted(arranged.rows)
    bad = [BadFile(name, tree.faults[name]) for name, _, _ in rows if name in tree.faults]
    rows = [row for row in rows if row[0] not in tree.faults]
    called = {label: escaped(label) for label in {label for _, label, _ in rows}}
    classes = class_order(called.values())
    if len(classes) < len(called):
        raise DataError(f"{tree.root}: two class folders are called {listed(classes)}. Rename one.")
    named = [(name, called[label], part) for name, label, part in rows]
    return image_files(
        tree.root, named, classes, bad=tuple(bad), notes=tuple(arranged.notes), warnings=tuple(arranged.warnings),
        read=tree.read, state=tree.state,
    )  # fmt: skip


# Tables that lie beside pictures


def _text_tables(tree: FileTree) -> list[str]:
    """Tables in the topmost folder that holds any, submissions to competitions left out."""
    found = [
        name
        for name in tree.names
        if name.lower().endswith(TABLE_SUFFIXES) and "submission" not in posixpath.basename(name).lower()
    ]
    top = min((name.count("/") for name in found), default=0)
    return [name for name in found if name.count("/") == top]


def _path_tables(tree: FileTree, label_column: str | None) -> list[str]:
    """The tables that name picture files and their classes."""
    found = []
    for name in _text_tables(tree):
        try:
            choose_columns(cells_of(tree, name), name, label_column=label_column)
        except DataError:
            continue
        found.append(name)
    return found


def _with_reasons(error: DataError, tree: FileTree) -> DataError:
    """The error, with the reason why a table beside the pictures does not name their classes."""
    for name in _text_tables(tree)[:5]:
        try:
            choose_columns(cells_of(tree, name), name)
        except DataError as reason:
            return DataError(f"{error}\n  A table is there, but {reason}")
    others = [name for name in tree.names if name.lower().endswith((".json", ".xlsx", ".xls", ".ods"))]
    if others and (kind := foreign_kind(b"", others[0])) is not None:
        return DataError(f"{error}\n  {others[0]!r} is {kind.what}, which is not read. {kind.remedy}")
    return error


def _with_parts(tree: FileTree, tables: list[str]) -> list[tuple[str, int | None]]:
    """Each table with the part that its name says, where there are several."""
    if len(tables) == 1:
        return [(tables[0], None)]
    parts = [part_word(posixpath.basename(name).partition(".")[0]) for name in tables]
    if None in parts:
        parts = [_part_of_folder(name) for name in tables]
    if None in parts or len(set(parts)) < len(parts):
        raise DataError(f"{tree.root}: there are {len(tables)} tables ({listed(tables, 4)}). Name one of them.")
    return list(zip(tables, parts, strict=True))
