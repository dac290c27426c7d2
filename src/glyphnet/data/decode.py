"""From a picture (a file, bytes, a PIL image) to the pixels that a network sees, for training and prediction alike.

A picture is decoded to what a person sees: upright (EXIF), its transparent parts white, or black under a drawing in one
light colour. Values of more than 8 bits become brightness on the scale of the data set; of several pages one is read,
or their mean or maximum (`Reading`). `Traits` records what was done.
"""

from __future__ import annotations

import errno
import functools
import io
import math
import os
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from ..errors import BadFileError
from ..filekinds import foreign_kind
from ..files import open_input
from ..units import first_line
from .dataset import UInt8Array, size_in_words
from .guard import MEMORY, check_inside, in_worker, packed, plain_size, unpacked
from .modes import WHOLE_PIXELS, eight_bits, halved, is_wide, letterbox, values_of
from .traits import Seen, Traits, depth_of
from .values import (
    EIGHT_BITS,
    NEARLY_BLACK,
    STANDARD,
    Page,
    Reading,
    brightness_of,
)

ImageShape = tuple[int, int, int]

_T = TypeVar("_T")

_NOTHING = Traits(0)

# Goes into every cache key: raise it when the same file would give other pixels or notes than before.
DECODER_VERSION = 5

# Raster formats that Pillow reads by itself. Left out on purpose: EPS (runs Ghostscript), WMF and the stubs
# (need a handler), and formats that hold documents rather than pictures.
FORMATS = (
    "AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "SGI",
    "SUN", "TIFF", "WEBP", "XBM", "XPM",
)  # fmt: skip
COMMON_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM")
# TGA files carry no mark at their head, so nearly any file may pass for one: the name has to say it.
UNMARKED_FORMATS = {".tga": "TGA"}

# Checked from the header, before a pixel is allocated. Below both of Pillow's own limits (it warns at one and
# raises at the other), so that a single one holds.
MAX_PIXELS = 50_000_000
MAX_FILE_BYTES = 512 * 1024 * 1024
MOST_WIDE_COLOUR = 1 << 23  # pixels of a picture of 16 bits a colour: more would take more than the memory allowed

# Bytes a pixel at the peak of reading a picture, its strips apart: measured, and held by tests/data/test_memory.py.
_PEAK_BYTES = {"WEBP": 14.7, "AVIF": 14.0, "JPEG2000": 25.0}  # the libraries below Pillow hold buffers of their own
_PEAK_OF_OTHERS = 8.0  # Pillow's image, and as much again for the content or a library's strip
_STRIP_BYTES = 20_000_000
_IN_PLACE = ("PNG", "BMP", "DIB", "PPM", "GIF")  # formats that are decoded into Pillow's image alone

# Formats whose files may hold several pictures. A second picture in a JPEG is a preview, and an icon has one a size.
PAGED = {"TIFF": "pages", "GIF": "frames", "WEBP": "frames", "PNG": "frames", "AVIF": "frames"}
MAX_PAGES = 1000  # that a mean or maximum is taken over


_TURNS = {  # EXIF orientation → what makes it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# A process that runs out of memory or of file handles says nothing about the file at hand.
_OUR_OWN_TROUBLE = {errno.ENOMEM, errno.EMFILE, errno.ENFILE}


def fit_image(image: Image.Image, image_shape: ImageShape, reading: Reading = STANDARD) -> UInt8Array:
    """The pixels of a PIL image of any mode: uint8 (H, W, C) for ``image_shape`` (H, W, C), C 1 or 3.

    An image that has that size and colour already comes back bit for bit.

    Raises:
        BadFileError: the image cannot be read, is too large, or its values have no brightness on the scale.
    """
    return fit_seen(picture_from_image(image, reading), image_shape)


def read_picture(path: str | os.PathLike[str], reading: Reading = STANDARD) -> Image.Image:
    """The picture in a file as a person sees it, at its own size: a PIL image of mode L or RGB.

    Raises:
        BadFileError: the file is missing, unreadable, not a picture, damaged or too large.
    """
    return see_bytes(read_bytes(path), path, reading).image


def picture_from_bytes(data: bytes, name: str | os.PathLike[str], reading: Reading = STANDARD) -> Image.Image:
    """The encoded picture ``data`` as a person sees it, at its own size: a PIL image of mode L or RGB.

    Raises:
        BadFileError: the bytes are not a picture, or damaged, or it is too large.
    """
    return see_bytes(data, name, reading).image


def picture_from_image(image: Image.Image, reading: Reading = STANDARD) -> Image.Image:
    """A PIL image of any mode as a person sees it, at its own size: a PIL image of mode L or RGB.

    Raises:
        BadFileError: it cannot be read, is too large, or its values have no brightness on the scale.
    """
    name = str(getattr(image, "filename", "") or "image")
    if image.tell():
        image = image.copy()  # the page that it was put to, whatever page is read of files
    return _guarded(lambda: _as_seen(image, name, reading), name).image


def see_bytes(data: bytes, name: str | os.PathLike[str], reading: Reading) -> Seen:
    """The encoded picture ``data``, as `picture_from_bytes` gives it, and what is to be said of it."""
    if is_array(data):
        picture = _guarded(lambda: _as_picture(_one_array(data, name)), name)
        return _guarded(lambda: _as_brightness(picture, _NOTHING, 1, name, reading), name)
    check_inside(data, name, MAX_PIXELS)
    if not data or plain_size(data) is not None:
        return _see(data, name, reading)
    answer, body = in_worker({"reading": astuple(reading)}, data, name)
    image = unpacked(answer, body)
    assert isinstance(image, Image.Image)
    return Seen(image, Traits(answer["traits"]), answer["pages"], answer["outside"], answer["depth"])


def _see(data: bytes, name: str | os.PathLike[str], reading: Reading) -> Seen:
    return _guarded(lambda: _as_brightness(*_all_bits(data, name, reading.page), name, reading), name)


def look_at(data: bytes, name: str | os.PathLike[str], page: Page) -> tuple[Image.Image | npt.NDArray[Any], Traits]:
    """The encoded picture ``data`` before its values become brightness.

    Returns:
        A PIL image of mode L or RGB where it has 8 bits, else the values as they are stored, (h, w) or (h, w, 3) of
        any type; and what is to be said of it.

    Raises:
        BadFileError: the bytes are not a picture, or damaged, or it is too large.
    """
    if is_array(data):
        return _guarded(lambda: _as_picture(_one_array(data, name)), name), _NOTHING
    check_inside(data, name, MAX_PIXELS)
    if not data or plain_size(data) is not None:
        return _look(data, name, page)
    answer, body = in_worker({"page": page}, data, name)
    return unpacked(answer, body), Traits(answer["traits"])


def _look(data: bytes, name: str | os.PathLike[str], page: Page) -> tuple[Image.Image | npt.NDArray[Any], Traits]:
    picked, traits, _ = _guarded(lambda: _all_bits(data, name, page), name)
    return picked, traits


def header_size(data: bytes, name: str) -> tuple[int, int]:
    """Width and height of an encoded picture, as its header says.

    Raises:
        BadFileError: the bytes are not a picture, or it is far too large.
    """
    return _guarded(lambda: _open(data, name).size, name)


def prepare_worker() -> None:
    """In a worker of `guard`: load what decoding needs."""
    _formats("")


def answer_parent(request: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes | memoryview]:
    """In a worker of `guard`: what `see_bytes` or `look_at` gives in this process."""
    name = request["name"]
    try:
        if "page" in request:
            picked, traits = _look(data, name, request["page"])
            facts, body = packed(picked)
            return {**facts, "traits": traits.value}, body
        limits, *others = request["reading"]
        seen = _see(data, name, Reading(tuple(limits) if limits else None, *others))
    except BadFileError as error:
        return {"bad": [error.reason, error.remedy]}, b""
    facts, body = packed(seen.image)
    said = {"traits": seen.traits.value, "pages": seen.pages, "outside": seen.outside, "depth": seen.depth}
    return {**facts, **said}, body


def is_array(data: bytes) -> bool:
    """Whether a file holds an array in NumPy's format, one of whose suffixes is ``.npy``."""
    return data[:6] == np.lib.format.MAGIC_PREFIX


def _one_array(data: bytes, name: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The image in a .npy file: (h, w) or (h, w, 3). Nothing is unpickled.

    Raises:
        BadFileError: it holds anything else, or not as much as it announces.
    """
    remedy = "Save one image, (height, width) or (height, width, 3)."
    file = io.BytesIO(data)
    numpy_format = np.lib.format
    version = numpy_format.read_magic(file)
    read_header = numpy_format.read_array_header_1_0 if version == (1, 0) else numpy_format.read_array_header_2_0
    shape, by_columns, kind = read_header(file)
    if kind.hasobject or any(side < 0 for side in shape):
        raise BadFileError(name, f"an array {kind} of shape {shape}; Python objects are never read", remedy)
    if math.prod(shape) * kind.itemsize != len(data) - file.tell():  # checked before anything is allocated
        reason = f"announces an array {kind} of shape {shape} and has {len(data) - file.tell():,} bytes of values"
        raise BadFileError(name, reason, "Save it again or remove it.")
    values: npt.NDArray[Any] = np.frombuffer(data, kind, offset=file.tell())
    values = values.reshape(shape[::-1]).T if by_columns else values.reshape(shape)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.dtype.kind not in "buif" or values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,)):
        raise BadFileError(name, f"an array {values.dtype} of shape {values.shape}, which is not one image", remedy)
    if 0 in values.shape or values.shape[0] * values.shape[1] > MAX_PIXELS:
        raise _too_large(name, f"{size_in_words(*values.shape[:2])} pixels")
    return values


def _as_picture(values: npt.NDArray[Any]) -> Image.Image | npt.NDArray[Any]:
    """As Pillow holds it where it has 8 bits; True becomes white."""
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    return Image.fromarray(values) if values.dtype == np.uint8 else values


def _open(data: bytes, name: str | os.PathLike[str]) -> Image.Image:
    if not data:
        raise BadFileError(name, "empty (0 bytes)", "Save it again or remove it.")
    try:
        # These are nearly all pictures there are, and Pillow has loaded them: the others take longer than a picture.
        return Image.open(io.BytesIO(data), formats=COMMON_FORMATS)
    except UnidentifiedImageError:
        pass
    try:
        return Image.open(io.BytesIO(data), formats=_formats(os.path.splitext(os.fspath(name))[1].lower()))
    except UnidentifiedImageError:
        if (kind := foreign_kind(data, os.fspath(name))) is not None:
            raise BadFileError(name, kind.what, kind.remedy) from None
        raise


@functools.cache
def _formats(suffix: str) -> tuple[str, ...]:
    Image.init()
    wanted = (*FORMATS, UNMARKED_FORMATS[suffix]) if suffix in UNMARKED_FORMATS else FORMATS
    return tuple(name for name in wanted if name in Image.OPEN)  # some builds of Pillow lack AVIF


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file.

    Raises:
        BadFileError: it is missing, unreadable, no regular file or too large.
    """
    try:
        with open_input(path) as file:
            if (size := os.fstat(file.fileno()).st_size) > MAX_FILE_BYTES:
                reason = f"{size:,} bytes, more than the limit of {MAX_FILE_BYTES:,}"
                raise BadFileError(path, reason, "Save it smaller or remove it.")
            return file.read()
    except FileNotFoundError as error:
        if os.path.islink(path):
            target = os.readlink(path)
            raise BadFileError(path, f"a broken link to {target}", "Mend the link or remove it.") from error
        raise BadFileError(path, "no such file", "Check the path.") from error
    except PermissionError as error:
        raise BadFileError(path, "may not be read (permission denied)", "Change its permissions.") from error
    except OSError as error:
        if error.errno in _OUR_OWN_TROUBLE:
            raise
        if error.errno in (errno.EISDIR, errno.EOPNOTSUPP):
            raise BadFileError(path, "not a regular file", "Give the path of an image file.") from error
        raise BadFileError(path, f"cannot be read ({error.strerror})", "Check the file and its disk.") from error


def _guarded(work: Callable[[], _T], name: str | os.PathLike[str]) -> _T:
    """Open, load and convert, with whatever Pillow raises turned into a BadFileError."""
    try:
        with pillow_is_quiet:
            return work()
    except BadFileError:
        raise
    except UnidentifiedImageError as error:
        reason = "not an image, or of a format that is not read"
        raise BadFileError(name, reason, "Save it as PNG or JPEG, or remove it.") from error
    except Image.DecompressionBombError as error:
        raise _too_large(name, "far too many pixels") from error
    except MemoryError as error:
        raise BadFileError(name, "needs more memory than there is", "Save it smaller.") from error
    except Exception as error:
        # On damaged files Pillow's decoders raise nearly everything: OSError, SyntaxError, struct.error, …
        raise BadFileError(name, f"damaged ({first_line(error)})", "Save it again or remove it.") from error


def _check_size(image: Image.Image, name: str | os.PathLike[str], more: int = 0) -> None:
    """Hold a picture to the limit of pixels and, with so many bytes ``more`` a pixel, to the budget of memory."""
    width, height = image.size
    size = f"{size_in_words(height, width)} pixels"
    if width * height > MAX_PIXELS:
        raise _too_large(name, size)
    if width * height > (most := most_pixels(image, more)):
        reason = f"{size} as {image.format}, more than the {most:,} that a budget of {MEMORY // 10**6} MB allows"
        raise BadFileError(name, reason, "Save it smaller, or as JPEG.")


def most_pixels(image: Image.Image, more: int = 0) -> int:
    """Pixels that a picture of this format may have, so that reading it takes at most `guard.MEMORY`.

    Args:
        image: opened, not loaded.
        more: bytes a pixel that are needed besides.
    """
    return min(MAX_PIXELS, int((MEMORY - _STRIP_BYTES) / (_peak_bytes(image) + more)))


def _peak_bytes(image: Image.Image) -> float:
    """Bytes a pixel at the peak of reading a picture, by its header."""
    if not isinstance(image, ImageFile.ImageFile):
        return 1.0  # it is in memory already
    if image.format == "JPEG":
        return 1.25 + _coefficient_bytes(image)  # large ones are decoded at half their size
    held = 1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4
    most = 2.5 * held if is_wide(image) else held + 1.25  # the values once more, or the picture halved
    if image.format in _IN_PLACE:
        return most
    return max(most, _PEAK_BYTES.get(image.format or "", _PEAK_OF_OTHERS))


def _coefficient_bytes(image: Image.Image) -> float:
    """Bytes a pixel that a progressive JPEG's coefficients take: the decoder holds all of them."""
    if "progressive" not in image.info:
        return 0.0
    samples: list[int] = [across * down for _, across, down, _ in image.layer]  # type: ignore[attr-defined]
    return 2 * sum(samples) / max(samples)


def _all_bits(
    data: bytes, name: str | os.PathLike[str], page: Page
) -> tuple[Image.Image | npt.NDArray[Any], Traits, int]:
    """What `_picked` gives for an encoded picture, and colours of 16 bits with all of them where that is possible.

    Pillow has no mode for these and reads the upper 8. Decoding once more in the other order of bytes gives the lower.
    """
    picked, traits, pages = _picked(_open(data, name), name, page)
    if Traits.WIDE_COLOUR not in traits or pages > 1 or not isinstance(picked, Image.Image):
        return picked, traits, pages
    again = _open(data, name)
    if again.mode != "RGB" or again.width * again.height > MOST_WIDE_COLOUR:
        return picked, traits, pages
    low, _, _ = _picked(again, name, page, lower=True)
    values = np.asarray(picked).astype(np.uint16) << 8
    values |= np.asarray(low)
    return values, traits ^ Traits.WIDE_COLOUR, pages


_OTHER_ORDER = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGB;16N": f"RGB;16{'BL'[sys.byteorder == 'big']}"}


def _to_other_order(image: Image.Image) -> None:
    """Have a picture that is not loaded yet decoded with the two bytes of each colour exchanged."""
    assert isinstance(image, ImageFile.ImageFile)
    for place, tile in enumerate(image.tile):
        raw, *others = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        other = _OTHER_ORDER[str(raw)]
        image.tile[place] = tile._replace(args=(other, *others) if isinstance(tile.args, tuple) else other)


def _as_seen(image: Image.Image, name: str | os.PathLike[str], reading: Reading) -> Seen:
    picked, traits, pages = _picked(image, name, reading.page)
    del image  # its memory is needed
    return _as_brightness(picked, traits, pages, name, reading)


def _as_brightness(
    picked: Image.Image | npt.NDArray[Any], traits: Traits, pages: int, name: str | os.PathLike[str], reading: Reading
) -> Seen:
    if isinstance(picked, Image.Image):
        if not _needs_scaling(picked, reading):
            return Seen(picked, traits, pages)
        picked = np.asarray(picked)
    brightness, outside = brightness_of(picked, name, reading)
    return Seen(halved(Image.fromarray(brightness)), traits, pages, outside, depth_of(picked))


def _picked(
    image: Image.Image, name: str | os.PathLike[str], page: Page, *, lower: bool = False
) -> tuple[Image.Image | npt.NDArray[Any], Traits, int]:
    """The page that is asked for the right way up, as L or RGB or as values of more than 8 bits; see `Seen`.

    ``lower`` gives the lower 8 of 16 bits a colour.
    """
    _check_size(image, name)
    if image.format == "JPEG" and _reads_halved(image):
        image.draft(None, (max(1, image.width // 2), max(1, image.height // 2)))
    if _is_plain(image):
        image.load()
        if _orientation(image) == 1:
            return halved(image), _NOTHING, 1
    picked: Image.Image | npt.NDArray[Any] = image
    traits, pages = _NOTHING, 1
    if image.format in PAGED:
        picked, traits, pages = _page_of(image, page, name)
    traits |= _wide_colour(image)
    if lower:
        _to_other_order(image)
    if isinstance(picked, np.ndarray):
        return (Image.fromarray(picked) if picked.dtype == np.uint8 else picked), traits, pages
    picked.load()
    turn = _TURNS.get(_orientation(picked))
    if turn is not None:
        traits |= Traits.ROTATED
    if is_wide(picked):
        return values_of(picked if turn is None else picked.transpose(turn)), traits, pages
    made, converted = eight_bits(picked)
    if turn is not None:
        made = made.transpose(turn)
        made.info = {}  # which would have it turned again
    if made is picked and pages > 1:
        made = picked.copy()  # which knows of no other page
    return made, traits | converted, pages


def _reads_halved(image: Image.Image) -> bool:
    """Whether a JPEG is decoded at half its size: it is large, or takes too much memory otherwise."""
    pixels = image.width * image.height
    return pixels > WHOLE_PIXELS or pixels * (4 + _coefficient_bytes(image)) > MEMORY


def _needs_scaling(image: Image.Image, reading: Reading) -> bool:
    """Whether a picture of 8 bits holds values on the model's scale, and not brightness."""
    if reading.value_range is None or reading.value_range == EIGHT_BITS:
        return False
    if reading.window:
        return True
    high = reading.value_range[1]
    return high <= NEARLY_BLACK and int(np.asarray(image).max()) <= high


def _is_plain(image: Image.Image) -> bool:
    """Whether there is nothing to be said of a picture: of most, and looking further takes as long as decoding."""
    if image.format in PAGED and not (image.format == "PNG" and image.mode == "L" and image.n_frames == 1):  # type: ignore[attr-defined]
        return False
    return image.mode in ("L", "RGB") and "transparency" not in image.info


_OTHER_PAGE = "Choose another by --page N, mean or max."


def _page_of(
    image: Image.Image, page: Page, name: str | os.PathLike[str]
) -> tuple[Image.Image | npt.NDArray[Any], Traits, int]:
    """The page that is asked for, or values made of all pages; what to say; the number of pages."""
    kind = PAGED.get(image.format or "")
    count = int(getattr(image, "n_frames", 1)) if kind else 1
    if kind == "pages" and count > 1:
        numbers = [number for number in range(count) if not _is_thumbnail(image, number)]
        image.seek(0)
    else:
        numbers = list(range(count))
    count = len(numbers)
    if isinstance(page, int):
        if page > max(1, count):
            what = f"{count} {kind or 'page'}" if count > 1 else "one page only"
            raise BadFileError(name, f"{what}, and page {page} is asked for", _OTHER_PAGE)
        if count > 1 and numbers[page - 1]:
            image.seek(numbers[page - 1])
            _check_size(image, name)
    traits = Traits(0) if count < 2 else Traits.PAGES if kind == "pages" else Traits.FRAMES
    if isinstance(page, int) or count < 2:
        return image, traits, max(1, count)
    if count > MAX_PAGES:
        raise BadFileError(name, f"{count:,} pages, more than the limit of {MAX_PAGES:,}", "Choose one by --page.")
    return _over_pages(image, numbers, page, name), traits, count


def _is_thumbnail(image: Image.Image, number: int) -> bool:
    """Whether a TIFF's page is a smaller copy of another (bit 0 of the tag NewSubfileType)."""
    image.seek(number)
    return bool(number and int(image.tag_v2.get(254, 0)) & 1)  # type: ignore[attr-defined]


def _over_pages(image: Image.Image, numbers: list[int], how: str, name: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The mean or the maximum of pages, in the type that they are stored in."""
    total: npt.NDArray[Any] | None = None
    kind: np.dtype[Any] = np.dtype(np.uint8)
    for number in numbers:
        image.seek(number)
        _check_size(image, name, more=8)
        image.load()
        values = np.asarray(image if is_wide(image) else eight_bits(image)[0])
        if total is None:
            total, kind = values.astype(np.float64), values.dtype
        elif values.shape != total.shape:
            reason = f"its pages differ in size or colour, so there is no {how} of them"
            raise BadFileError(name, reason, "Choose one page by --page.")
        elif how == "mean":
            total += values
        else:
            np.maximum(total, values, out=total)
    assert total is not None
    if how == "mean":
        total /= len(numbers)
    return (total if kind.kind == "f" else np.rint(total)).astype(kind)


def _wide_colour(image: Image.Image) -> Traits:
    """Whether Pillow drops the lower half of 16 bits a channel, as it does of colour: it has no mode for it."""
    if not isinstance(image, ImageFile.ImageFile) or image.format not in ("PNG", "TIFF") or is_wide(image):
        return Traits(0)
    return Traits.WIDE_COLOUR if any(";16" in str(tile) for tile in image.tile) else Traits(0)


def _too_large(name: str | os.PathLike[str], size: str) -> BadFileError:
    return BadFileError(name, f"{size}, more than the limit of {MAX_PIXELS:,}", "Save it smaller or remove it.")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # the picture is sound, only the notes beside it are not: viewers show it as it lies
        return 1


def fit_seen(picture: Image.Image, image_shape: ImageShape) -> UInt8Array:
    """The pixels of a picture that `see_bytes` gave: uint8 (H, W, C) for ``image_shape``."""
    height, width, channels = image_shape
    if picture.mode != (mode := "L" if channels == 1 else "RGB"):
        picture = picture.convert(mode)
    if picture.size != (width, height):
        picture = letterbox(picture, width, height)
    return np.array(picture, dtype=np.uint8).reshape(image_shape)


class _Quiet:
    """Silences Pillow's warnings while any thread decodes.

    Pillow warns of large images and odd metadata, which either fail our own checks or do not matter.
    ``warnings.catch_warnings`` changes the whole process and is not made for threads: here the first thread
    in enters it and the last one out leaves it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(None, None, None)


pillow_is_quiet = _Quiet()
"""A context to decode many pictures in: entered once, it costs each of them less."""
