"""Decodes all the files of a listing, in parallel and once, into the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import astuple, dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import PIL
from PIL import Image

from ..errors import BadFileError, DataError
from ..processes import map_in_order
from . import survey
from .assemble import Options
from .cache import ImageWriter, cache_key, entry
from .dataset import BadFile, Int64Array, UInt8Array
from .decode import DECODER_VERSION, ImageShape, fit_seen, look_at, pillow_is_quiet, see_bytes
from .duplicates import duplicate_groups
from .listing import ImageFiles, bad_in_words, refuse_bad_files
from .survey import ShapeWish
from .traits import EIGHT, Depths, TraitCounts, depth_of
from .values import (
    EIGHT_BITS,
    NOT_NUMBERS,
    Page,
    Reading,
    ValueRange,
    ValueSurvey,
    choose_for_8_bits,
    scaled_to_8_bits,
)

BLOCK_FILES = 64
BLOCK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class Pictures:
    """The decoded pictures of a listing."""

    key: str  # the cache key of exactly these pixels in this order
    images: UInt8Array  # (M, H, W, C), in memory or memory-mapped
    rows: Int64Array  # (M,): the row of each image in the listing; bad files are left out
    groups: Int64Array  # (M,): equal for duplicates
    bad: tuple[BadFile, ...]  # the files that could not be decoded
    reading: Reading
    notes: tuple[str, ...]


class _Block(NamedTuple):
    """Some decoded files: the pixels of the good ones, their sizes, and the bad ones."""

    images: UInt8Array
    sizes: set[tuple[int, int]]
    bad: list[BadFile]
    colors_lost: int
    traits: TraitCounts


def decode_all(files: ImageFiles, options: Options) -> Pictures:
    """Every picture of ``files`` at one size, colour and scale of brightness.

    The cache keeps the result, bad files included: a second call with unchanged files reads no picture. Bad files with
    ``on_bad_file`` "error", no good file, and files that change while they are read, are a DataError.
    """
    stamp, wish = files.stamp(), options.wish
    asked = options.reading and astuple(options.reading)
    key = cache_key(
        "pictures", DECODER_VERSION, PIL.__version__, wish.size, wish.own_size, wish.color, asked, options.page, stamp
    )
    kept = entry(key, lambda writer: _decode_into(writer, files, options, stamp), {"groups": duplicate_groups})
    bad = tuple(BadFile(name, reason) for name, reason in cast(list[list[str]], kept.facts["bad"]))
    if options.on_bad_file == "error":
        refuse_bad_files(files.root, [*files.bad, *bad], len(files.names) + len(files.bad))
    rows = np.arange(len(files.names))
    if spoilt := {name for name, _ in bad}:
        rows = rows[[name not in spoilt for name in files.names]]
    limits = cast(list[float] | None, kept.facts["value_range"])
    reading = options.reading or Reading((limits[0], limits[1]) if limits else None, options.page)
    notes = _notes(kept.facts, kept.images, wish, reading, options.reading)
    return Pictures(key, kept.images, rows, kept.arrays["groups"], bad, reading, notes)


def _decode_into(writer: ImageWriter, files: ImageFiles, options: Options, stamp: str) -> dict[str, object]:
    """Decode and write everything; return the facts that `decode_all` and `_notes` need."""
    shape, value_range, size_note = _survey(files, options)
    reading = options.reading or Reading(value_range, options.page, strict=False)
    total = len(files.names)
    sizes: set[tuple[int, int]] = set()
    bad: list[BadFile] = []
    traits = TraitCounts()
    colors_lost = done = 0
    writer.begin(shape, total)
    for block in _blocks(files, shape, reading):
        writer.append(block.images)
        sizes.update(block.sizes)
        bad.extend(block.bad)
        colors_lost += block.colors_lost
        traits.merge(block.traits)
        done += len(block.images) + len(block.bad)
        if options.progress is not None:
            options.progress(done, total, "Decoding images")
    if options.reading is None:
        traits.depths.check(str(files.root), reading)
    if files.stamp() != stamp:
        raise DataError(f"{files.root}: files changed while they were read. Run it again when nothing writes there.")
    first = next(iter(sizes)) if len(sizes) == 1 else None
    facts = {"sizes": len(sizes), "only_size": first, "colors_lost": colors_lost, "bad": bad}
    return {**facts, "value_range": value_range, "size_note": size_note, "traits": traits.to_dict()}


def _survey(files: ImageFiles, options: Options) -> tuple[ImageShape, ValueRange | None, str]:
    """The shape for all pictures, their scale of brightness and a note on the size, chosen from an even sample."""
    if options.reading is not None and options.wish.is_complete:
        return survey.choose_shape([], False, options.wish)[0], options.reading.value_range, ""
    rows = survey.sample_rows(len(files.names))
    measured = set(rows[:: max(1, len(rows) // survey.LOOKED_AT)]) if options.wish.size is None else set()
    look = partial(_look_at, files, options.page, len(rows), measured)
    bad: dict[str, BadFileError] = {}
    good: list[_Look] = []
    depths, values = Depths(), ValueSurvey()
    for row, outcome in zip(rows, map_in_order(look, rows), strict=True):
        if isinstance(outcome, BadFileError):
            bad[files.names[row]] = outcome
            continue
        good.append(outcome)
        depths.add(outcome.depth, files.names[row])
        if outcome.values is not None:
            values.merge(outcome.values)
    if not good:
        remedies = {error.remedy for error in bad.values()}
        what = bad_in_words([BadFile(name, error.reason) for name, error in bad.items()])
        raise DataError(
            f"{files.root}: none of the {len(bad):,} files looked at can be used: {what}. "
            f"{remedies.pop() if len(remedies) == 1 else 'Check that this is a folder of images.'}"
        )
    details = [each.detail for each in good if each.detail is not None]
    shape, note = survey.choose_shape(
        [each.size for each in good], any(each.colored for each in good), options.wish, details
    )
    if options.reading is not None:
        return shape, options.reading.value_range, note
    if not depths.wide:
        return shape, choose_for_8_bits(max(each.brightest for each in good)) or EIGHT_BITS, note
    value_range = values.choose()
    depths.check(str(files.root), Reading(value_range))  # repeated for all files once they are decoded
    return shape, value_range, note


class _Look(NamedTuple):
    """What the survey learns of a picture."""

    size: tuple[int, int]  # height and width
    colored: bool
    depth: str  # see `traits.depth_of`
    values: ValueSurvey | None  # of a picture of more than 8 bits
    brightest: int  # the greatest value of a picture of 8 bits
    detail: survey.Detail | None  # how large it must stay, for a few large pictures


def _look_at(files: ImageFiles, page: Page, of: int, measured: Set[int], row: int) -> _Look | BadFileError:
    name = files.names[row]
    try:
        picture = look_at(files.content(name), name, page)
    except BadFileError as error:
        return error.with_traceback(None)
    if isinstance(picture, np.ndarray):
        finite = picture[np.isfinite(picture)]
        if not finite.size:
            return BadFileError(name, NOT_NUMBERS, "Replace such values before saving.")
        values = ValueSurvey()
        values.add(finite, of)
        height, width = picture.shape[:2]
        colored, detail = False, None
        is_measured = row in measured and max(height, width) > survey.SMALL
        if is_measured or picture.ndim == 3:
            limits = (values.low, values.high) if values.low < values.high else EIGHT_BITS
            scaled = Image.fromarray(scaled_to_8_bits(np.nan_to_num(picture), limits)[0])
            colored, detail = survey.is_colored(scaled), survey.measure_detail(scaled) if is_measured else None
        return _Look((height, width), colored, depth_of(picture), values, 0, detail)
    brightest = int(np.max(picture.getextrema()))
    detail = survey.measure_detail(picture) if row in measured and max(picture.size) > survey.SMALL else None
    return _Look((picture.height, picture.width), survey.is_colored(picture), EIGHT, None, brightest, detail)


def _blocks(files: ImageFiles, shape: ImageShape, reading: Reading) -> Iterator[_Block]:
    """The decoded blocks, in order; only a few of them are in memory at any time."""
    step = max(1, min(BLOCK_FILES, BLOCK_BYTES // int(np.prod(shape))))
    blocks = (files.names[start : start + step] for start in range(0, len(files.names), step))
    return map_in_order(partial(_decode_block, files, shape=shape, reading=reading), blocks)


@pillow_is_quiet
def _decode_block(files: ImageFiles, names: Sequence[str], *, shape: ImageShape, reading: Reading) -> _Block:
    images = np.empty((len(names), *shape), dtype=np.uint8)
    sizes: set[tuple[int, int]] = set()
    bad: list[BadFile] = []
    traits = TraitCounts()
    good = colors_lost = 0
    for name in names:
        try:
            seen = see_bytes(files.content(name), name, reading)
        except BadFileError as error:
            bad.append(BadFile(name, error.reason))
            continue
        picture = seen.image
        traits.add(seen.traits, seen.pages, seen.outside)
        traits.depths.add(seen.depth, name)
        images[good] = fit_seen(picture, shape)
        sizes.add((picture.height, picture.width))
        colors_lost += shape[2] == 1 and survey.is_colored(picture)
        good += 1
    return _Block(images[:good], sizes, bad, colors_lost, traits)


def _notes(
    facts: Mapping[str, object], images: UInt8Array, wish: ShapeWish, reading: Reading, asked: Reading | None
) -> tuple[str, ...]:
    height, width, channels = images.shape[1:]
    sizes, only = facts["sizes"], facts["only_size"]
    if only == [height, width]:
        was, became = "of one size", "kept at"
    else:
        was, became = "of one size" if only else f"of {sizes:,} sizes", "resized to"
    words = survey.shape_in_words((height, width, channels))
    notes = [f"{len(images):,} images {was}; {became} {words} ({wish.source})."]
    if facts["size_note"]:
        notes.append(cast(str, facts["size_note"]))
    lost = cast(int, facts["colors_lost"])
    if lost and wish.color == "auto":
        have, were = ("image has", "it was") if lost == 1 else ("images have", "they were")
        notes.append(
            f"{lost:,} {have} colour, though none of the {survey.SAMPLE:,} that were looked at to choose had: "
            f"{were} turned grey. Pass --color rgb to keep it."
        )
    traits = TraitCounts.from_dict(cast(dict[str, Any], facts["traits"]))
    if said := traits.range_sentence(reading, asked):
        notes.append(said)
    of_a_model = asked is not None and not asked.window
    depths = traits.depths
    notes += depths.predicted_sentences(reading) if of_a_model else depths.sentences(reading)
    return (*notes, *traits.sentences(reading.page))
