"""Tables of pixels: one image a row, as ``label,pixel0,pixel1,…``, with or without a header and labels.

`numpy.loadtxt` reads the numbers: pandas takes a third of the time and is one dependency more.
"""

from __future__ import annotations

import csv
import io
import math
import posixpath
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BadFileError, DataError
from ..files import separator_of
from ..units import listed
from .arrays import RawArrays, RawPart
from .assemble import Options
from .decode import ImageShape, read_bytes
from .filetree import FileTree, file_alone, opened
from .layouts import LABEL_LAYOUTS, part_word
from .listing import PARTS, Unlabelled, unlabelled_rows
from .tables import LABEL_COLUMNS, MAX_TEXT, csv_cells, plain, read_text

FEWEST = 16  # pixels: a table of fewer numbers a row is no table of images
_HEAD = 1 << 20  # bytes that are looked at to tell what a table is
_PIXEL_NAME = re.compile(r"(pixel|pix|px|p|x|f|feature|column|col|v|attr|dim)?[ _.-]*\d+([x×_,:-]\d+)*", re.I)

_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PixelTable:
    """The meaning of a table's columns."""

    header: tuple[str, ...]  # the names of the columns; () without a header
    separator: str  # between the cells; "" for blanks
    label: int | None  # the column of the label; None for none
    pixels: tuple[int, ...]  # the columns of the pixels, in order
    packed: bool = False  # one column holds all pixels, with blanks between
    doubtful: int | None = None  # another column that could be the label


# Recognising


def pixel_table_of(tree: FileTree, name: str) -> PixelTable | None:
    """The columns of a table in a folder or an archive; None unless it is a table of pixels."""
    try:
        with opened(tree.file(name)) as file:
            return recognise(_head(file.read(_HEAD)), name)
    except (DataError, OSError):
        return None


def is_pixel_table(path: Path) -> bool:
    """Whether a file is a table of pixels, by its content."""
    return path.is_file() and pixel_table_of(file_alone(path), path.name) is not None


def _head(content: bytes) -> bytes:
    if content[:2] == b"\x1f\x8b":
        try:
            content = zlib.decompressobj(wbits=31).decompress(content, _HEAD)
        except zlib.error as error:
            raise DataError(f"damaged gzip ({error})") from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content[: _HEAD // 2 * 2]
    return content[: content[:_HEAD].rfind(b"\n") + 1 or None]


def recognise(head: bytes, where: str) -> PixelTable | None:
    """The meaning of the columns, from the first rows; None for a table of another kind."""
    if b"\0" in head[:4096] and head[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return None
    text, _ = read_text(head, where)
    lines = [line for line in text.splitlines()[:400] if line.strip()]
    if not lines:
        return None
    separator = separator_of(lines[0])
    try:
        rows = [line.split() for line in lines] if not separator else list(csv.reader(lines, delimiter=separator))
    except csv.Error:
        return None
    width = len(rows[0])
    rows = [[cell.strip() for cell in row] for row in rows if len(row) == width]
    numeric = sum(map(_is_number, rows[0]))
    header = tuple(rows[0]) if numeric < len(rows[0]) / 2 else ()
    body = rows[1:] if header else rows
    if not body:
        return None
    if header:
        packed = [column for column in range(width) if _is_packed(body[0][column].split())]
        if packed:
            return PixelTable(header, separator, _label_by_name(header), (packed[0],), packed=True)
    numbers = [column for column in range(width) if all(_is_number(row[column]) for row in body)]
    if len(numbers) < FEWEST:
        return None
    return _by_header(header, separator, numbers) if header else _without_header(separator, body, numbers)


def _is_packed(numbers: Sequence[str]) -> bool:
    """Whether a cell holds the pixels of an image with blanks between, as in FER2013."""
    return len(numbers) >= FEWEST and all(map(_is_number, numbers))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _label_by_name(header: Sequence[str]) -> int | None:
    names = [plain(name) for name in header]
    return next((names.index(name) for name in LABEL_COLUMNS if name in names), None)


def _by_header(header: tuple[str, ...], separator: str, numbers: list[int]) -> PixelTable | None:
    label = _label_by_name(header)
    named = [column for column in numbers if column != label and _PIXEL_NAME.fullmatch(header[column])]
    pixels = named if len(named) >= FEWEST else [c for c in numbers if c != label and plain(header[c]) not in _COUNTERS]
    return PixelTable(header, separator, label, tuple(pixels)) if len(pixels) >= FEWEST else None


_COUNTERS = {"id", "index", "unnamed0", "", "row", "imageid"}


def _without_header(separator: str, body: list[list[str]], numbers: list[int]) -> PixelTable:
    """Find the label among columns without names: first, last or absent."""
    width = len(body[0])
    texts = [column for column in range(width) if column not in numbers]
    if texts:
        return PixelTable((), separator, texts[0] if len(texts) == 1 else None, tuple(numbers))
    everything = tuple(range(width))
    if _is_square(width) and not _is_square(width - 1):
        return PixelTable((), separator, None, everything)
    likely = [column for column in (0, width - 1) if _could_be_label([row[column] for row in body])]
    if not likely:
        return PixelTable((), separator, None, everything)
    pixels = tuple(column for column in everything if column != likely[0])
    return PixelTable((), separator, likely[0], pixels, doubtful=likely[1] if len(likely) > 1 else None)


def _could_be_label(cells: Sequence[str]) -> bool:
    """Whether values may be labels: whole numbers, several of them, few for the rows, without large gaps."""
    values = {float(cell) for cell in cells}
    if len(values) < 2 or any(value < 0 or value != int(value) for value in values):
        return False
    return max(values) <= 2 * len(values) + 1 and len(values) <= max(2, len(cells) / 2)


def _is_square(count: int) -> bool:
    return math.isqrt(count) ** 2 == count


# Reading


def read_pixel_tables(tree: FileTree, names: Sequence[str], options: Options) -> RawArrays:
    """The labelled images of tables of pixels that lie in a folder or an archive.

    Several tables are parts by their names (``train.csv``, ``test.csv``); one without labels is not read. Where none
    has labels, the parts are not clear, or a table is not sound, it is a DataError.
    """
    parts: dict[str, RawPart] = {}
    described = {name: table for name in names if (table := pixel_table_of(tree, name)) is not None}
    labelled = [name for name in described if described[name].label is not None]
    notes = [
        f"{name} has no labels: it was not read. `glyphnet predict MODEL {name}` names its classes."
        for name in sorted(set(described) - set(labelled))
    ]
    if not labelled:
        raise DataError(
            f"{tree.root}: {listed(sorted(described), 2)}: a table of pixels without labels. Add a column label to "
            "train, or classify it: glyphnet predict MODEL TABLE."
        )
    for name in labelled:
        code = part_word(posixpath.basename(name).partition(".")[0].replace("mnist", ""))
        key = "all" if len(labelled) == 1 else PARTS[code] if code is not None else ""
        if not key or key in parts:
            raise DataError(f"{tree.root}: there are {len(labelled)} tables ({listed(labelled, 4)}). Name one of them.")
        parts[key], note = _read_labelled(tree, name, described[name], options)
        notes.append(note)
    return RawArrays(parts, notes=tuple(notes))


def read_pixel_table(path: Path, options: Options) -> RawArrays:
    """The labelled images of one table of pixels: see `read_pixel_tables`."""
    return read_pixel_tables(file_alone(path), [path.name], options)


def _read_labelled(tree: FileTree, name: str, table: PixelTable, options: Options) -> tuple[RawPart, str]:
    """The images and labels of a table, and a note on how it was read."""
    where, label = str(tree.root / name), table.label
    assert label is not None
    if table.doubtful is not None:
        if options.layout not in LABEL_LAYOUTS:
            first, last = "  1. The first column is the label", "  2. The last column is the label"
            how = f"{first}: --layout label,pixels\n{last}: --layout pixels,label"
            raise DataError(f"{where}: can be read in two ways.\n{how}")
        label = min(label, table.doubtful) if options.layout == "label,pixels" else max(label, table.doubtful)
        everything = {*table.pixels, table.label, table.doubtful}
        pixels = tuple(sorted(column for column in everything if column is not None and column != label))
        table = PixelTable(table.header, table.separator, label, pixels)
    values, labels = _load(tree.content(name, MAX_TEXT), where, table)
    unused = len(table.header) - len(table.pixels) - 1
    others = f"; {unused} other columns not used" if unused > 0 else ""
    title = repr(table.header[label]) if table.header else f"column {label + 1}"
    note = f"{posixpath.basename(name)}: a table of pixels; {title} is the label{others}."
    return RawPart(values, labels, name, f"the labels of {name}"), note


def _load(content: bytes, where: str, table: PixelTable) -> tuple[_Array, _Array]:
    """Pixels (N, D), uint8 where all are whole numbers up to 255, else float32; labels (N,), empty without any."""
    if table.packed:
        return _load_packed(content, where, table)
    text, _ = read_text(content, where)
    skip, separator, label = int(bool(table.header)), table.separator or None, table.label
    read = partial(np.loadtxt, delimiter=separator, skiprows=skip, quotechar='"')
    labels: _Array = np.array([], dtype=np.int64)
    try:
        is_text = label is not None and not _is_number(text[:_HEAD].splitlines()[skip].split(separator)[label].strip())
        wanted = table.pixels if label is None or is_text else (*table.pixels, label)
        values = read(io.StringIO(text), np.float32, usecols=wanted, ndmin=2)
        if is_text:
            labels = read(io.StringIO(text), np.str_, usecols=label, ndmin=1, comments=None)
        elif label is not None:
            labels, values = values[:, -1], values[:, :-1]
    except (ValueError, IndexError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{where}: a row is not sound ({reason}). Correct or remove it.") from error
    return _compact(values), _whole(labels, where)


def _load_packed(content: bytes, where: str, table: PixelTable) -> tuple[_Array, _Array]:
    rows: list[_Array] = []
    labels: list[str] = []
    for place, cells in csv_cells(content, where).rows:
        try:
            rows.append(np.array(cells[table.pixels[0]].split(), dtype=np.float32))
            labels += [] if table.label is None else [cells[table.label]]
        except (ValueError, IndexError) as error:
            raise DataError(f"{where}: {place} is not sound ({error}). Correct or remove it.") from error
        if len(rows[-1]) != len(rows[0]):
            raise DataError(f"{where}: {place} has {len(rows[-1])} pixels, the first {len(rows[0])}. Correct it.")
    found = np.array(labels, dtype=np.float32 if all(map(_is_number, labels)) else np.str_)
    return _compact(np.stack(rows)), _whole(found, where)


def _compact(values: _Array) -> _Array:
    """As uint8 if that changes no value."""
    if not values.size or not (values.min() >= 0 and values.max() <= 255):
        return values
    small = values.astype(np.uint8)
    return small if np.array_equal(small, values) else values


def _whole(labels: _Array, where: str) -> _Array:
    if labels.dtype.kind != "f":
        return labels
    whole = labels.astype(np.int64)
    if not np.array_equal(whole, labels):
        row = int(np.argmax(whole != labels))
        raise DataError(f"{where}: the label of row {row + 1} is {labels[row]:g}, no whole number. Correct it.")
    return whole


# Prediction


def unlabelled_pixels(path: str) -> Unlabelled | BadFileError:
    """The images in a table of pixels, one a row, as arrays (D,); labels in it are ignored."""
    try:
        return unlabelled_table(read_bytes(path, MAX_TEXT), path)
    except BadFileError as error:
        return error


def unlabelled_table(content: bytes, path: str) -> Unlabelled | BadFileError:
    """`unlabelled_pixels` of a table's content; messages call it ``path``."""
    try:
        table = recognise(_head(content), path)
        assert table is not None
        values, _ = _load(content, path, table)
    except DataError as error:
        return BadFileError(path, "not a table of pixels", str(error).removeprefix(f"{path}: "))
    return unlabelled_rows(len(values), lambda row: f"{path}#{row}", values.__getitem__)


def as_image(values: _Array, image_shape: ImageShape) -> _Array:
    """The D values of one image as the model's images are laid out, or else as a square, or else DataError."""
    if values.size == math.prod(image_shape):
        return values.reshape(image_shape)
    if _is_square(values.size):
        side = math.isqrt(values.size)
        return values.reshape(side, side)
    raise DataError(
        f"a row of {values.size:,} values is no image: the model takes {math.prod(image_shape):,} "
        f"({'×'.join(map(str, image_shape))})"
    )
