"""Load Splits from a name or a path; each kind of source is a row in a table."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadFileError, DataError, SettingsError
from ..filekinds import LFS, SMALLEST_HEAD, foreign_kind, is_lfs_pointer, looks_like_picture
from ..files import open_input
from ..progress import Progress
from ..units import listed, printable
from . import arrays, containers, filetree, idx, named
from .assemble import Labelled, Options, assemble, from_arrays
from .corrections import apply_decisions
from .dataset import Originals, Splits
from .filetree import AnyFile, ArchivePath, FileTree, file_alone, state_of
from .find_groups import times_taken
from .folder import read_tree
from .groups import parse_group_by
from .hub import is_hub_table, read_hub, unlabelled_parquet
from .layouts import check_layout, part_word
from .listing import PARTS, Content, ImageFiles, Picture, Unlabelled, bad_in_words, escaped, skipped, unlabelled_rows
from .pictures import decode_all
from .pixels import Conformed, conform
from .pixeltables import is_pixel_table, pixel_table_of, read_pixel_table, unlabelled_pixels, unlabelled_table
from .sources import OTHERS, Source, claimed, holding_arrays, is_file, read_by
from .split import check_fractions
from .survey import ShapeWish
from .tables import TABLE_SUFFIXES, TEXT_SUFFIXES, read_path_tables, unlabelled_paths
from .values import Page, Reading, check_page, check_range

if TYPE_CHECKING:
    from .settings import DataSettings

NAME_PREFIX = "name:"
"""Prefix of a known data set's name, where a file or folder has the same name."""


def load(
    source: str | os.PathLike[str] | DataSettings = "digits",
    *,
    size: int | Sequence[int] | str | None = None,
    color: str = "auto",
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    on_bad_file: str = "error",
    labels: str | os.PathLike[str] | None = None,
    value_range: Sequence[float] | None = None,
    page: Page = 1,
    reading: Reading | None = None,
    group_by: str = "auto",
    layout: str = "auto",
    only: str | None = None,
    label_column: str | None = None,
    to_train: bool = True,
    progress: Progress | None = None,
) -> Splits:
    """Load a labelled image data set, divided into training, validation and test.

    The other arguments are the fields of `DataSettings`, which describes them; docs/data.md shows every form of data.

    Args:
        source: the name of a data set ("digits", "mnist", …), or a path: a folder, a table, Parquet, an archive, or a
            file of arrays. Where a file or folder has the name of a data set, write ``./mnist`` for it and
            ``name:mnist`` for the data set. A `DataSettings` holds the source and its options: give none beside it.
        reading: how a model reads its images, in place of ``value_range`` and ``page``: for data to judge it by.
        to_train: refuse data that nothing can be learned from: a single class, or no training part. Pass False to
            evaluate a model.
        progress: called as ``progress(done, total, what)`` now and then.

    Raises:
        SettingsError: an argument is impossible; all that are, are named.
        DataError: there is no such source, or it cannot be used; the message says which file and what to do.
    """
    if not isinstance(source, (str, os.PathLike)):
        return load(**source.model_dump(), reading=reading, to_train=to_train, progress=progress)
    wrong: list[str] = []
    found: list[Any] = []
    for check in (
        partial(ShapeWish.parse, size, color),
        partial(check_fractions, validation_fraction, test_fraction),
        partial(check_range, value_range),
        partial(check_page, page),
        partial(check_layout, layout),
    ):
        try:
            found.append(check())
        except SettingsError as error:
            wrong.append(str(error))
    if on_bad_file not in ("error", "skip"):
        wrong.append(f"on_bad_file (={on_bad_file!r}) must be error or skip.")
    if not isinstance(seed, int) or seed < 0:
        wrong.append(f"seed (={seed!r}) must be a whole number from 0 up.")
    if wrong:
        raise SettingsError(" ".join(wrong))
    wish, limits = found[0], found[2]
    if reading is None and limits is not None:
        reading = Reading(limits, page, window=True, strict=False)
    splits = _read(source, Options(
        wish, validation_fraction, test_fraction, seed, on_bad_file, progress, layout, only, to_train,
        page if reading is None else reading.page, reading, parse_group_by(group_by), label_column,
    ))  # fmt: skip
    return splits if labels is None else apply_decisions(splits, labels)


def known_name(source: str | os.PathLike[str]) -> str | None:
    """The name of the known data set that ``source`` means; None for a path.

    A file or folder here that has this name too, and ``name:`` before an unknown name, are a DataError.
    """
    if not isinstance(source, str):
        return None
    name = source.removeprefix(NAME_PREFIX)
    if name != source and name not in NAMED:
        raise DataError(f"{source!r}: there is no data set {name!r}; known are {', '.join(NAMED)}.")
    if source in NAMED and os.path.exists(source):
        kind = "folder" if os.path.isdir(source) else "file"
        raise DataError(
            f"{source!r} is the name of a known data set and of a {kind} here.\n"
            f"  The {kind} here: ./{source}\n  The data set:    {NAME_PREFIX}{source}"
        )
    return name if name in NAMED else None


def _read(source: str | os.PathLike[str], options: Options) -> Splits:
    if (name := known_name(source)) is not None:
        return _load_named(name, options)
    path = Path(source).expanduser()
    try:
        if not os.fspath(source) or not path.exists():
            raise DataError(_unknown(source))
        head = b""
        if not path.is_dir():
            with open_input(path) as file:
                head = file.read(SMALLEST_HEAD)
        kind = None if is_lfs_pointer(head) else source_of(path)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)[:80]
        raise DataError(f"{os.fspath(source)[:80]!r} cannot be read: {reason}. {_ACCEPTED}") from error
    if kind is None and (foreign := foreign_kind(head, path.name)) is not None:
        raise DataError(f"{path}: {foreign.what}. {foreign.remedy}")
    if kind is None:
        raise DataError(f"{path}: not a data set that can be read. {_ACCEPTED}")
    try:
        found = read_by(kind, path, options)
    except DataError:
        if path.is_dir() and (pointer := _lfs_pointer(path)) is not None:
            raise DataError(f"{pointer}: {LFS.what}. {LFS.remedy}") from None
        raise
    if options.label_column is not None and getattr(found, "label_column", None) != options.label_column:
        raise DataError(
            f"{path}: the classes are in no column of a table, so --label-column {options.label_column} chooses "
            "nothing. Leave it out, or name the table."
        )
    if isinstance(found, ImageFiles):
        return _from_files(found, options)
    name = path.resolve().stem if path.is_file() else path.resolve().name
    return _from_raw(name, str(path), found, options, _stamp(path))


def _lfs_pointer(folder: Path) -> Path | None:
    """The first file below a folder that Git LFS has not fetched, which other readers call damaged."""
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(place, name)
            if path.is_file() and path.stat().st_size < SMALLEST_HEAD and is_lfs_pointer(filetree.head_of(path)):
                return path
    return None


def _from_raw(name: str, where: str, raw: arrays.RawArrays, options: Options, stamp: str = "") -> Splits:
    ready = conform(raw, where, options.wish.size, options.reading)
    stamp = stamp and stamp + repr(ready.reading)
    return from_arrays(escaped(name), where, ready, options, stamp)


def _arrays_below(root: AnyFile) -> tuple[list[AnyFile], Source] | None:
    """The files of arrays, or the folder of them, that a folder or an archive only wraps; None for any other data."""
    inner = root
    while True:
        if inner is not root and (kind := _array_source(inner)):
            return [inner], kind
        folders, files = _entries(inner)
        if len(folders) > 1:
            return None
        if folders:
            inner = inner / folders[0]
            continue
        others = [name for name in files if not looks_like_picture(name)]
        has_table = any(name.lower().endswith(TABLE_SUFFIXES) for name in others)
        if len(others) > _MOST_FILES or (has_table and len(others) < len(files)):  # it may name the pictures' classes
            return None
        kinds = [(inner / name, kind) for name in others if (kind := _array_source(inner / name))]
        if not kinds or any(kind is not kinds[0][1] for _, kind in kinds):
            return None
        return [file for file, _ in kinds], kinds[0][1]


_MOST_FILES = 20  # that are opened to see whether they hold arrays


def _not_read(files: Sequence[AnyFile]) -> tuple[str, ...]:
    """A note on pictures that lie beside files of arrays: such as a preview of what is in them."""
    folder = files[0].parent
    beside = [] if isinstance(folder, ArchivePath) else [*filter(looks_like_picture, _entries(folder)[1])]
    if not beside:
        return ()
    one = len(beside) == 1
    return (
        f"{len(beside):,} {'picture beside the arrays has' if one else 'pictures beside the arrays have'} no class and "
        f"{'was' if one else 'were'} not read ({listed(beside, 2)}).",
    )


def _entries(folder: AnyFile) -> tuple[list[str], list[str]]:
    """The folders and the files that lie directly in a folder, debris and GlyphNet's own output left out."""
    if isinstance(folder, ArchivePath):
        found = dict(folder.children())
    else:
        with os.scandir(folder) as entries:
            found = {entry.name: filetree.is_folder(entry) for entry in entries if filetree.is_wanted(entry.name)}
    folders = [name for name, has_files in found.items() if has_files]
    return sorted(folders), sorted(found.keys() - {*folders})


def _array_source(path: AnyFile) -> Source | None:
    return next((kind for kind in (*OTHERS.values(), *PATHS) if kind.arrays and kind.matches(path)), None)


def _read_arrays(root: AnyFile, files: Sequence[AnyFile], kind: Source, options: Options) -> arrays.RawArrays:
    """The arrays in one file, or in several that are parts by their names (``train.npz``, ``test.npz``)."""
    if len(files) == 1:
        raw = read_by(kind, files[0], options)
        assert isinstance(raw, arrays.RawArrays)
        inside = os.fspath(files[0])[len(os.fspath(root)) + 1 :]
        return replace(raw, notes=(f"The data lie in {inside!r}.", *_not_read(files), *raw.notes))
    parts: dict[str, arrays.RawPart] = {}
    notes: list[str] = []
    for file in files:
        code = part_word(file.stem)
        one = read_by(kind, file, options) if code is not None and PARTS[code] not in parts else None
        if not isinstance(one, arrays.RawArrays) or len(one.parts) != 1:
            names = listed([each.name for each in files], 4)
            raise DataError(f"{root}: there are {len(files)} data sets in it ({names}). Give one of them.")
        assert code is not None
        [part] = one.parts.values()
        parts[PARTS[code]] = part._replace(
            images_name=f"{part.images_name} of {file.name}", labels_name=f"{part.labels_name} of {file.name}"
        )
        notes.append(f"{file.name} is the {PARTS[code]} part.")
    return arrays.RawArrays(parts, notes=(*notes, *_not_read(files)))


def _read_below(path: Path, options: Options) -> arrays.RawArrays | ImageFiles:
    """What a folder or an archive holds."""
    archive = filetree.archive_tree(path) if path.is_file() else None
    root = path if archive is None else ArchivePath(archive)
    left_out = () if archive is None or not archive.outside else (_led_outside(archive.outside),)
    if inside := _arrays_below(root):
        read = _read_arrays(root, *inside, options)
        return replace(read, notes=(*left_out, *read.notes))
    found = read_tree(archive or filetree.folder_tree(path), options)
    if isinstance(found, ImageFiles):
        return replace(found, warnings=(*left_out, *found.warnings))
    return replace(found, notes=(*left_out, *found.notes))


def _led_outside(names: Sequence[str]) -> str:
    one = len(names) == 1
    return (
        f"{len(names):,} {'member' if one else 'members'} of the archive {'leads' if one else 'lead'} outside of it "
        f"({listed([printable(name) for name in names], 2)}): {'it was' if one else 'they were'} not read."
    )


def _load_named(name: str, options: Options) -> Splits:
    if name == "digits":
        images, labels, classes = named.read_digits()
        return from_arrays(name, name, Conformed({"all": (images, labels)}, classes), options)
    said: list[str] = []
    splits = _from_raw(name, name, named.read_named(name, options.progress, said.append), options)
    return replace(splits, warnings=(*said, *splits.warnings))


def _read_table(path: Path, options: Options) -> ImageFiles:
    tree, tables = file_alone(path), [(path.name, None)]
    if path.suffix.lower() == ".parquet" and is_hub_table(path):
        return read_hub(tree, tables, options.label_column)
    return read_path_tables(tree, tables, options)


def _archive_pictures(path: str) -> Unlabelled | BadFileError:
    try:
        tree = filetree.archive_tree(Path(path))
    except DataError as error:
        return BadFileError(path, "cannot be read", str(error).removeprefix(f"{path}: "))
    names, _ = tree.pictures()
    if not any(looks_like_picture(name) for name in names) and (arrays_in := _arrays_in(tree)):
        return arrays_in
    if not names:
        tables = [name for name in tree.names if pixel_table_of(tree, name) is not None]
        if len(tables) == 1:
            return unlabelled_table(tree.content(tables[0]), f"{path}#{tables[0]}")
        only = f": only {listed(tree.names, 3)}" if tree.names else ""
        return BadFileError(path, f"there is no picture in it{only}", "Unpack it, and give the files.")

    def content(row: int) -> Content:
        try:
            return tree.content(names[row])
        except BadFileError as error:
            return error

    return unlabelled_rows(len(names), lambda row: f"{path}#{names[row]}", content)


def _arrays_in(tree: FileTree) -> Unlabelled | None:
    """The images of all files of arrays in an archive, one after the other."""
    files = [tree.file(name) for name in tree.names[:_MOST_FILES]]
    read = [
        kind.pictures(file)
        for file in files
        for kind in (*OTHERS.values(), *PATHS)
        if kind.pictures and kind.in_archives(file)
    ]
    found = [each for each in read if isinstance(each, Unlabelled)]
    ends = np.cumsum([each.count for each in found])

    def place(row: int) -> str:
        number = int(np.searchsorted(ends, row, side="right"))
        return found[number].place(row - int(ends[number]) + found[number].count)

    def pictures(start: int) -> Iterator[Picture]:
        for each, end in zip(found, ends.tolist(), strict=True):
            if start < end:
                yield from each.pictures(max(0, start - end + each.count))

    return Unlabelled(int(ends[-1]), place, pictures) if found else None


def _from_files(files: ImageFiles, options: Options) -> Splits:
    pictures = decode_all(files, options)
    labels = files.labels[pictures.rows]
    gone = np.setdiff1d(files.labels, labels)
    if len(gone):
        raise DataError(
            f"{files.root}: of the class {files.classes[gone[0]]!r} no file can be used: "
            f"{bad_in_words(pictures.bad)}. Mend them, or remove the class."
        )
    names = [files.names[row] for row in pictures.rows.tolist()]
    bad = [*files.bad, *pictures.bad]
    data = Labelled(
        escaped(files.root.resolve().name), str(files.root), pictures.key, pictures.images, labels, files.classes,
        names, files.parts[pictures.rows], pictures.groups, (*pictures.notes, *files.notes),
        warnings=(*files.warnings, *skipped(bad)), bad_files=tuple(sorted(bad)), reading=pictures.reading,
        originals=Originals(partial(files.picture, reading=replace(pictures.reading, strict=False)), pictures.key),
        are_files=True, taken=partial(times_taken, files, names, pictures.key),
        column=None if files.groups is None else [files.groups[row] for row in pictures.rows.tolist()],
    )  # fmt: skip
    return assemble(data, options)


def _stamp(path: Path) -> str:
    """Changes when the file, or a file of the folder, does."""
    files = path.rglob("*") if path.is_dir() else path.parent.iterdir() if path.suffix == ".npy" else [path]
    text = repr([state_of(file) for file in sorted(files) if file.is_file()])
    return hashlib.sha256(os.fsencode(text)).hexdigest()


NAMED = ("digits", *named.NAMED)
"""The names of all known data sets."""

# In this order: a folder that is nothing else is a folder of class folders.
PATHS: tuple[Source, ...] = (
    holding_arrays("an .npz file", is_file(".npz"), arrays.read_npz, arrays.npz_images),
    holding_arrays(".npy files", is_file(".npy"), arrays.read_npy_pair, lambda path: {"images": arrays.map_npy(path)}),
    Source("a Parquet table", is_file(".parquet"), _read_table, unlabelled_parquet),
    Source("a table of pixels", is_pixel_table, read_pixel_table, unlabelled_pixels),
    Source("a table of paths", is_file(*TEXT_SUFFIXES), _read_table, unlabelled_paths, inside=False),
    Source("a zip or tar archive", filetree.is_archive, _read_below, _archive_pictures, inside=False),
    holding_arrays("a MATLAB file", containers.is_matlab, containers.read_matlab, containers.matlab_images),
    holding_arrays("an HDF5 file", containers.is_hdf5, containers.read_hdf5, containers.hdf5_arrays),
    holding_arrays("a folder of CIFAR's batches", containers.is_cifar_folder, containers.read_cifar_folder),
    holding_arrays("a folder of SVHN's files", containers.is_svhn_folder, containers.read_svhn_folder),
    holding_arrays("a folder of IDX files", idx.is_idx_folder, idx.read_idx_folder),
    holding_arrays("an IDX file", idx.is_idx, idx.read_idx_folder, lambda path: {"images": idx.read_idx(path)}),
    holding_arrays("a folder of .npy files", arrays.is_npy_folder, arrays.read_npy_pair),
    Source("a folder of class folders, or of pictures and a table", Path.is_dir, _read_below),
)


def source_of(path: Path) -> Source | None:
    """The row of `OTHERS` or `PATHS` for a path that exists; None if there is none; raises as `claimed`."""
    return claimed(path) or next((kind for kind in PATHS if kind.matches(path)), None)


_ACCEPTED = (
    f"Give one of {', '.join(NAMED[:3])} … (docs/data.md lists all), or a path: a folder, a table, Parquet, an "
    "archive, IDX, .npz, .npy, .mat, HDF5 or CIFAR. `glyphnet data --help` has more."
)


def _unknown(source: str | os.PathLike[str]) -> str:
    text = os.fspath(source)
    path = Path(text).expanduser()
    near = difflib.get_close_matches(text.lower(), NAMED, n=1)
    if not near and path.parent.is_dir():
        beside = {entry.name: str(path.parent / entry.name) for entry in path.parent.iterdir()}
        near = [beside[name] for name in difflib.get_close_matches(path.name, beside, n=1)]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = text if len(text) <= 200 else f"{text[:200]}…"
    return f"{shown!r} is neither the name of a data set nor a path that exists.{hint} {_ACCEPTED}"
