"""Decodes all the files of a listing, in parallel and once, into the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import PIL

from ..errors import BadFileError, DataError
from ..parallel import map_in_order
from .cache import ImageWriter, cache_key, entry
from .dataset import Int64Array, UInt8Array
from .decode import DECODER_VERSION, ImageShape, fit_image
from .duplicates import duplicate_groups
from .listing import BadFile, ImageFiles, Progress, bad_in_words, refuse_bad_files
from .survey import SAMPLE, ShapeWish, choose_shape, is_colored, sample_rows, shape_in_words

BLOCK_FILES = 64
BLOCK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class Pictures:
    """The decoded pictures of a listing.

    Attributes:
        key: the cache key of exactly these pixels in this order.
        images: uint8 (M, H, W, C), in memory or memory-mapped.
        rows: int64 (M,): which row of the listing each image is; bad files are left out.
        groups: int64 (M,): equal for duplicates.
        bad: the files that could not be decoded.
        notes: sentences for the user.
    """

    key: str
    images: UInt8Array
    rows: Int64Array
    groups: Int64Array
    bad: tuple[BadFile, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Block:
    """What became of some files: the pixels of the good ones, the sizes they had, and the bad ones."""

    images: UInt8Array
    sizes: set[tuple[int, int]]
    bad: list[BadFile]
    colors_lost: int


def decode_all(files: ImageFiles, wish: ShapeWish, on_bad_file: str, progress: Progress | None) -> Pictures:
    """Every picture of ``files``, brought to one size and colour.

    The result is kept: a second call with unchanged files reads no picture. Bad files are part of what is
    kept, so that it serves for ``on_bad_file`` "error" and "skip" alike.

    Raises:
        DataError: bad files with ``on_bad_file`` "error"; no good file; files that change while they are
            read.
    """
    stamp = files.stamp()
    key = cache_key("pictures", DECODER_VERSION, PIL.__version__, wish.size, wish.color, stamp)
    kept = entry(key, lambda writer: _decode_into(writer, files, wish, stamp, progress))
    bad = tuple(BadFile(name, reason) for name, reason in cast(list[list[str]], kept.facts["bad"]))
    if on_bad_file == "error":
        refuse_bad_files(files.root, [*files.bad, *bad], len(files.names) + len(files.bad))
    spoilt = {name for name, _ in bad}
    rows = np.array([row for row, name in enumerate(files.names) if name not in spoilt], dtype=np.int64)
    groups = kept.array("groups", lambda: duplicate_groups(kept.images))
    return Pictures(key, kept.images, rows, groups, bad, _notes(kept.facts, kept.images, wish))


def _decode_into(
    writer: ImageWriter, files: ImageFiles, wish: ShapeWish, stamp: str, progress: Progress | None
) -> dict[str, object]:
    """Decode and write everything; what `_notes` and the next start want to know."""
    shape = _survey(files, wish)
    total = len(files.names)
    sizes: set[tuple[int, int]] = set()
    bad: list[BadFile] = []
    colors_lost = done = 0
    writer.begin(shape, total)
    for block in _blocks(files, shape):
        writer.append(block.images)
        sizes.update(block.sizes)
        bad.extend(block.bad)
        colors_lost += block.colors_lost
        done += len(block.images) + len(block.bad)
        if progress is not None:
            progress(done, total, "Decoding images")
    if files.stamp() != stamp:
        raise DataError(f"{files.root}: files changed while they were read. Run it again when nothing writes there.")
    first = next(iter(sizes)) if len(sizes) == 1 else None
    return {"sizes": len(sizes), "only_size": first, "colors_lost": colors_lost, "bad": bad}


def _survey(files: ImageFiles, wish: ShapeWish) -> ImageShape:
    """The shape for all pictures, chosen from an even sample of them."""
    if wish.is_complete:
        return choose_shape([], False, wish)
    sizes: list[tuple[int, int]] = []
    bad: list[BadFile] = []
    any_colored = False
    rows = sample_rows(len(files.names))
    for row, outcome in zip(rows, map_in_order(partial(_look_at, files), rows), strict=True):
        if isinstance(outcome, str):
            bad.append(BadFile(files.names[row], outcome))
        else:
            height, width, colored = outcome
            sizes.append((height, width))
            any_colored |= colored
    if not sizes:
        raise DataError(
            f"{files.root}: none of the {len(bad):,} files looked at can be used: {bad_in_words(bad)}. "
            "Check that this is a folder of images."
        )
    return choose_shape(sizes, any_colored, wish)


def _look_at(files: ImageFiles, row: int) -> tuple[int, int, bool] | str:
    try:
        picture = files.picture(files.names[row])
    except BadFileError as error:
        return error.reason
    return picture.height, picture.width, is_colored(picture)


def _blocks(files: ImageFiles, shape: ImageShape) -> Iterator[_Block]:
    """The decoded blocks, in order; only a few of them are in memory at any time."""
    step = max(1, min(BLOCK_FILES, BLOCK_BYTES // int(np.prod(shape))))
    blocks = (files.names[start : start + step] for start in range(0, len(files.names), step))
    return map_in_order(partial(_decode_block, files, shape=shape), blocks)


def _decode_block(files: ImageFiles, names: Sequence[str], *, shape: ImageShape) -> _Block:
    images = np.empty((len(names), *shape), dtype=np.uint8)
    sizes: set[tuple[int, int]] = set()
    bad: list[BadFile] = []
    good = colors_lost = 0
    for name in names:
        try:
            picture = files.picture(name)
        except BadFileError as error:
            bad.append(BadFile(name, error.reason))
            continue
        images[good] = fit_image(picture, shape)
        sizes.add((picture.height, picture.width))
        colors_lost += shape[2] == 1 and is_colored(picture)
        good += 1
    return _Block(images[:good], sizes, bad, colors_lost)


def _notes(facts: Mapping[str, object], images: UInt8Array, wish: ShapeWish) -> tuple[str, ...]:
    height, width, channels = images.shape[1:]
    sizes, only = facts["sizes"], facts["only_size"]
    if only == [height, width]:
        was, became = "of one size", "kept at"
    else:
        was, became = "of one size" if only else f"of {sizes:,} sizes", "resized to"
    words = shape_in_words((height, width, channels))
    notes = [f"{len(images):,} images {was}; {became} {words} ({wish.source})."]
    lost = cast(int, facts["colors_lost"])
    if lost and wish.color == "auto":
        have, were = ("image has", "it was") if lost == 1 else ("images have", "they were")
        notes.append(
            f"{lost:,} {have} colour, though none of the {SAMPLE:,} that were looked at to choose had: "
            f"{were} turned grey. Pass --color rgb to keep it."
        )
    return tuple(notes)
