"""From a name or a path to Splits: one table row for each kind of source."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, SettingsError
from . import arrays, idx, named
from .assemble import Labelled, Options, assemble, from_arrays
from .classes import conform_labels
from .corrections import apply_decisions
from .dataset import Splits
from .digits import read_digits
from .folder import read_folder
from .listing import BadFile, ImageFiles, Progress, bad_in_words
from .pictures import decode_all
from .split import check_fractions
from .survey import ShapeWish
from .table import READERS, TABLE_NAMES, read_table


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
        progress: called as ``progress(done, total, what)`` now and then.

    Raises:
        SettingsError: an argument is impossible; all that are, are named.
        DataError: there is no such source, or it cannot be used; the message says which file and what to do.
    """
    options = _options(size, color, validation_fraction, test_fraction, seed, on_bad_file, progress)
    splits = _read(source, options)
    return splits if labels is None else apply_decisions(splits, labels)


def _read(source: str | os.PathLike[str], options: Options) -> Splits:
    if isinstance(source, str) and source in NAMED:
        return NAMED[source](source, options)
    path = Path(source).expanduser()
    try:
        if not os.fspath(source) or not path.exists():
            raise DataError(_unknown(source))
        kind = next((kind for kind in PATHS if kind.matches(path)), None)
    except (OSError, ValueError) as error:
        raise DataError(f"{os.fspath(source)!r} cannot be looked at ({error}). {_accepted()}") from error
    if kind is None:
        raise DataError(f"{path}: not a data set that can be read. {_accepted()}")
    return kind.read(path, options)


def _options(
    size: int | Sequence[int] | None,
    color: str,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    on_bad_file: str,
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
    if on_bad_file not in ("error", "skip"):
        wrong.append(f"on_bad_file (={on_bad_file!r}) must be error or skip.")
    if not isinstance(seed, int) or seed < 0:
        wrong.append(f"seed (={seed!r}) must be a whole number from 0 up.")
    if wrong:
        raise SettingsError(" ".join(wrong))
    return Options(wish, validation_fraction, test_fraction, seed, on_bad_file, progress)


def _load_digits(name: str, options: Options) -> Splits:
    images, labels, classes = read_digits()
    return from_arrays(name, name, {"all": (images, labels)}, classes, options)


def _load_named(name: str, options: Options) -> Splits:
    folder = named.fetch(name, progress=options.progress)
    return from_arrays(name, name, idx.read_idx_folder(folder), named.NAMED[name].classes, options)


def _load_idx(path: Path, options: Options) -> Splits:
    parts = idx.read_idx_folder(path)
    labels, classes, notes = conform_labels({part: labels for part, (_, labels) in parts.items()})
    pairs = {part: (images, labels[part]) for part, (images, _) in parts.items()}
    return from_arrays(path.resolve().name, str(path), pairs, classes, options, _stamp(path), notes)


def _load_npz(path: Path, options: Options) -> Splits:
    return _from_raw(path, arrays.read_npz(path), options)


def _load_npy(path: Path, options: Options) -> Splits:
    return _from_raw(path, arrays.read_npy_pair(path), options)


def _from_raw(path: Path, raw: arrays.RawArrays, options: Options) -> Splits:
    return from_arrays(path.resolve().stem, str(path), raw.parts, raw.classes, options, _stamp(path), raw.notes)


def _load_table(path: Path, options: Options) -> Splits:
    return _from_files(path.resolve().parent.name, read_table(path), options)


def _load_table_folder(path: Path, options: Options) -> Splits:
    tables = [path / name for name in TABLE_NAMES if (path / name).is_file()]
    if len(tables) > 1:
        raise DataError(f"{path}: there are both {tables[0].name} and {tables[1].name}. Name one of them.")
    return _load_table(tables[0], options)


def _load_folder(path: Path, options: Options) -> Splits:
    return _from_files(path.resolve().name, read_folder(path), options)


def _from_files(name: str, files: ImageFiles, options: Options) -> Splits:
    pictures = decode_all(files, options.wish, options.on_bad_file, options.progress)
    labels = files.labels[pictures.rows]
    gone = np.setdiff1d(files.labels, labels)
    if len(gone):
        raise DataError(
            f"{files.root}: of the class {files.classes[gone[0]]!r} no file can be used: "
            f"{bad_in_words(pictures.bad)}. Mend them, or remove the class."
        )
    names = [files.names[row] for row in pictures.rows.tolist()]
    data = Labelled(
        name=name,
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
class Kind:
    """A kind of path: what to call it, how to know it, how to read it."""

    title: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, Options], Splits]


# In this order: a folder of class folders is what any other folder is taken for.
PATHS: tuple[Kind, ...] = (
    Kind("an .npz file", lambda path: path.is_file() and path.suffix.lower() == ".npz", _load_npz),
    Kind("a pair of .npy files", lambda path: path.is_file() and path.suffix.lower() == ".npy", _load_npy),
    Kind(
        "a table (.csv, .tsv or .parquet with the columns file_name and label)",
        lambda path: path.is_file() and path.suffix.lower() in READERS,
        _load_table,
    ),
    Kind(
        "a folder with metadata.csv or metadata.parquet",
        lambda path: any((path / name).is_file() for name in TABLE_NAMES),
        _load_table_folder,
    ),
    Kind("a folder of IDX files", lambda path: path.is_dir() and idx.is_idx_folder(path), _load_idx),
    Kind("a folder of .npy files", lambda path: path.is_dir() and arrays.is_npy_folder(path), _load_npy),
    Kind("a folder of class folders", Path.is_dir, _load_folder),
)


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
