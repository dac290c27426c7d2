"""From a name or a path to Splits: one table row for each kind of source."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataError, SettingsError
from . import arrays, idx, named
from .assemble import Labelled, Options, assemble, from_arrays
from .corrections import apply_decisions
from .dataset import Originals, Splits
from .digits import read_digits
from .folder import read_folder
from .groups import parse_group_by
from .listing import BadFile, ImageFiles, Progress, Unlabelled, bad_in_words
from .pictures import decode_all
from .pixels import conform
from .split import check_fractions
from .survey import ShapeWish
from .table import READERS, TABLE_NAMES, read_table
from .values import Page, Reading, ValueRange, check_page, check_range


def load(
    source: str | os.PathLike[str] = "digits",
    *,
    size: int | Sequence[int] | None = None,
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
    progress: Progress | None = None,
) -> Splits:
    """Load a labelled image data set, divided into training, validation and test.

    Args:
        source: the name of a data set ("digits", "mnist", …), or the path of a folder of class folders (flat,
            or in train, validation and test), of a table (``metadata.csv`` or ``.parquet``) or its folder, of
            a folder of IDX files, of an ``.npz`` file, or of ``.npy`` files. A name goes before a path: write
            ``./mnist`` for a folder of that name.
        size: the side of the images in pixels, or (height, width); None chooses from the data.
        color: "grey", "rgb", or "auto", which chooses from the data.
        validation_fraction: the share of the training images to validate on, where no such part is given.
        test_fraction: the share of all images to test on, where no such part is given.
        seed: the same seed and data give the same division.
        on_bad_file: "error", or "skip" to leave out files that cannot be used and say so in the warnings.
        labels: a table of decisions on doubtful labels, applied once the data are divided: see `apply_decisions`.
        value_range: (low, high), the values that become black and white in all images; None takes pictures and arrays
            of 8 bits as they are, and chooses one range for any others from the values of the whole set.
        page: of files with several pages or frames the one to read, from 1; or "mean" or "max" of all.
        reading: how a model reads its images, in place of ``value_range`` and ``page``: for data to judge it by.
        group_by: which pictures stay on one side of every division: "folder" (inside class folders), "prefix" (of file
            names before their counter), "burst" (times in the pictures), "neighbours" (alike, in the order of names),
            "column:NAME" of a table, a regular expression with one group that is searched in the names, "FILE.csv" with
            the columns file_name and group, "none", or "auto", which keeps together what likely belongs together.
        progress: called as ``progress(done, total, what)`` now and then.

    Raises:
        SettingsError: an argument is impossible; all that are, are named.
        DataError: there is no such source, or it cannot be used; the message says which file and what to do.
    """
    options = _options(size, color, validation_fraction, test_fraction, seed, on_bad_file, value_range, page, progress)
    if reading is not None:
        options = replace(options, page=reading.page, reading=reading)
    options = replace(options, group_by=parse_group_by(group_by))
    splits = _read(source, options)
    return splits if labels is None else apply_decisions(splits, labels)


def _read(source: str | os.PathLike[str], options: Options) -> Splits:
    if isinstance(source, str) and source in NAMED:
        return NAMED[source](source, options)
    path = Path(source).expanduser()
    try:
        if not os.fspath(source) or not path.exists():
            raise DataError(_unknown(source))
        kind = source_of(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{os.fspath(source)!r} cannot be looked at ({error}). {_accepted()}") from error
    if kind is None:
        raise DataError(f"{path}: not a data set that can be read. {_accepted()}")
    found = kind.read(path, options)
    if isinstance(found, ImageFiles):
        return _from_files(found, options)
    name = path.resolve().stem if path.is_file() else path.resolve().name
    ready = conform(found, str(path), options.wish.size, options.reading)
    stamp = _stamp(path) + repr(ready.reading)
    return from_arrays(name, str(path), ready.parts, ready.classes, options, stamp, ready.notes, ready.reading)


def _options(
    size: int | Sequence[int] | None,
    color: str,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    on_bad_file: str,
    value_range: Sequence[float] | None,
    page: Page,
    progress: Progress | None,
) -> Options:
    wrong = []
    wish = ShapeWish()
    try:
        wish = ShapeWish.parse(size, color)
    except SettingsError as error:
        wrong.append(str(error))
    try:
        check_fractions(validation_fraction, test_fraction)
    except SettingsError as error:
        wrong.append(str(error))
    limits: ValueRange | None = None
    try:
        limits = check_range(value_range)
    except SettingsError as error:
        wrong.append(str(error))
    try:
        check_page(page)
    except SettingsError as error:
        wrong.append(str(error))
    if on_bad_file not in ("error", "skip"):
        wrong.append(f"on_bad_file (={on_bad_file!r}) must be error or skip.")
    if not isinstance(seed, int) or seed < 0:
        wrong.append(f"seed (={seed!r}) must be a whole number from 0 up.")
    if wrong:
        raise SettingsError(" ".join(wrong))
    return Options(
        wish,
        validation_fraction,
        test_fraction,
        seed,
        on_bad_file,
        progress,
        page=page,
        reading=None if limits is None else Reading(limits, page, window=True, strict=False),
    )


def _load_digits(name: str, options: Options) -> Splits:
    images, labels, classes = read_digits()
    return from_arrays(name, name, {"all": (images, labels)}, classes, options)


def _load_named(name: str, options: Options) -> Splits:
    folder = named.fetch(name, progress=options.progress)
    return from_arrays(name, name, idx.read_idx_folder(folder), named.NAMED[name].classes, options)


def _read_idx(path: Path, _: Options) -> arrays.RawArrays:
    parts = idx.read_idx_folder(path)
    return arrays.RawArrays({part: arrays.RawPart(*pair, f"{part} images", part) for part, pair in parts.items()})


def _read_table_folder(path: Path, _: Options) -> ImageFiles:
    tables = [path / name for name in TABLE_NAMES if (path / name).is_file()]
    if len(tables) > 1:
        raise DataError(f"{path}: there are both {tables[0].name} and {tables[1].name}. Name one of them.")
    return read_table(tables[0])


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
    data = Labelled(
        name=files.root.resolve().name,
        where=str(files.root),
        key=pictures.key,
        images=pictures.images,
        labels=labels,
        classes=files.classes,
        names=names,
        parts=files.parts[pictures.rows],
        groups=pictures.groups,
        notes=pictures.notes,
        warnings=(*files.notes, *_skipped([*files.bad, *pictures.bad])),
        originals=Originals(partial(files.picture, reading=replace(pictures.reading, strict=False)), pictures.key),
        reading=pictures.reading,
        are_files=True,
    )
    return assemble(data, options)


def _skipped(bad: Sequence[BadFile]) -> list[str]:
    if not bad:
        return []
    return [f"{len(bad):,} bad {'file was' if len(bad) == 1 else 'files were'} skipped: {bad_in_words(bad)}."]


def _stamp(path: Path) -> str:
    """Changes when the file, or a file of the folder, does."""
    files = sorted(path.iterdir()) if path.is_dir() else sorted(path.parent.iterdir())
    if not path.is_dir():
        files = [file for file in files if file == path or path.suffix == ".npy"]
    state = [(os.path.realpath(file), file.stat()) for file in files if file.is_file()]
    text = repr([(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for name, s in state])
    return hashlib.sha256(os.fsencode(text)).hexdigest()


NAMED: dict[str, Callable[[str, Options], Splits]] = {
    "digits": _load_digits,
    **dict.fromkeys(named.NAMED, _load_named),
}


@dataclass(frozen=True)
class Source:
    """A kind of path: what to call it, how to recognise it, how to read it.

    Attributes:
        title: what messages call it.
        matches: whether a path that exists is of this kind; by content, not by its name, where that is possible.
        read: the labelled images for training and evaluation, before they are divided.
        pictures: the images of a file for prediction, without labels; None for folders, whose files are classified
            one by one, and for what prediction does not read.
    """

    title: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, Options], arrays.RawArrays | ImageFiles]
    pictures: Callable[[str], Unlabelled] | None = None


# In this order: a folder that is nothing else is a folder of class folders.
PATHS: tuple[Source, ...] = (
    Source(
        "an .npz file",
        lambda path: path.is_file() and path.suffix.lower() == ".npz",
        lambda path, _: arrays.read_npz(path),
    ),
    Source(
        "a pair of .npy files",
        lambda path: path.is_file() and path.suffix.lower() == ".npy",
        lambda path, _: arrays.read_npy_pair(path),
    ),
    Source(
        "a table (.csv, .tsv or .parquet with the columns file_name and label)",
        lambda path: path.is_file() and path.suffix.lower() in READERS,
        lambda path, _: read_table(path),
    ),
    Source(
        "a folder with metadata.csv or metadata.parquet",
        lambda path: any((path / name).is_file() for name in TABLE_NAMES),
        _read_table_folder,
    ),
    Source("a folder of IDX files", lambda path: path.is_dir() and idx.is_idx_folder(path), _read_idx),
    Source(
        "a folder of .npy files",
        lambda path: path.is_dir() and arrays.is_npy_folder(path),
        lambda path, _: arrays.read_npy_pair(path),
    ),
    Source("a folder of class folders", Path.is_dir, lambda path, _: read_folder(path)),
)


def source_of(path: Path) -> Source | None:
    """The row of `PATHS` for a path that exists; None if there is none."""
    return next((kind for kind in PATHS if kind.matches(path)), None)


def _unknown(source: str | os.PathLike[str]) -> str:
    text = os.fspath(source)
    path = Path(text).expanduser()
    near = difflib.get_close_matches(text.lower(), NAMED, n=1)
    if not near and path.parent.is_dir():
        beside = {entry.name: str(path.parent / entry.name) for entry in path.parent.iterdir()}
        near = [beside[name] for name in difflib.get_close_matches(path.name, beside, n=1)]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{text!r} is neither the name of a data set nor a path that exists.{hint} {_accepted()}"


def _accepted() -> str:
    paths = "; ".join(kind.title for kind in PATHS)
    return f"Accepted are the names {', '.join(NAMED)}, and the path of {paths}."
