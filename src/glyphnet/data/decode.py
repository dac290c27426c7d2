"""From a picture (a file, bytes, a PIL image) to the pixels that a network sees, for training and prediction alike.

A picture is decoded to what a person sees: upright (EXIF), its transparent parts white, or black under a drawing in one
light colour. Values of more than 8 bits become brightness on the scale of the data set; of several pages one is read,
or their mean or maximum (`Reading`). `Traits` records what was done.

What cannot be read (missing, no picture, damaged, too large, without a brightness on the scale) is a BadFileError.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import math
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from ..errors import BadFileError
from ..filekinds import foreign_kind
from ..files import AnyPath, open_input
from ..units import first_line
from .dataset import UInt8Array, size_in_words
from .guard import MEMORY, check_inside, in_worker, packed, plain_size, unpacked
from .traits import Seen, Traits, depth_of
from .values import EIGHT_BITS, NEARLY_BLACK, STANDARD, Page, Reading, brightness_of

ImageShape: TypeAlias = tuple[int, int, int]
Pixels: TypeAlias = Image.Image | npt.NDArray[Any]
"""A picture of mode L or RGB, or values of more than 8 bits, (h, w) or (h, w, 3)."""

_T = TypeVar("_T")


class _Picked(NamedTuple):
    """The page that was read, upright, and what was noted of it; see `Seen`."""

    pixels: Pixels
    traits: Traits = Traits(0)
    pages: int = 1


# Goes into every cache key: raise it when the same file would give other pixels or notes than before.
DECODER_VERSION = 5

# Raster formats that Pillow reads by itself. Left out: EPS (runs Ghostscript), WMF and the stubs (need a handler), and
# formats that hold documents rather than pictures.
FORMATS = (
    "AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "SGI", "SUN",
    "TIFF", "WEBP", "XBM", "XPM",
)  # fmt: skip
COMMON_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM")
# TGA files have no mark at their head, so nearly any file may pass for one: the name has to say it.
UNMARKED_FORMATS = {".tga": "TGA"}

# Checked from the header, before a pixel is allocated; below Pillow's own limits for a warning and an error.
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

STRIP_PIXELS = 1 << 20  # of a large picture that are worked on at a time
WHOLE_PIXELS = 20_000_000  # a larger picture is halved while it is decoded: a network sees some thousand of its pixels
_MOSTLY_OPAQUE = [0] * 128 + [255] * 128

_TURNS = {  # EXIF orientation → what makes it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip

# A process that runs out of memory or of file handles says nothing about the file at hand.
_OUR_OWN_TROUBLE = {errno.ENOMEM, errno.EMFILE, errno.ENFILE}


def fit_image(image: Image.Image, image_shape: ImageShape, reading: Reading = STANDARD) -> UInt8Array:
    """The pixels of a PIL image of any mode: uint8 (H, W, C) for ``image_shape`` (H, W, C), C 1 or 3.

    An image that has that size and colour already comes back bit for bit.
    """
    return fit_seen(picture_from_image(image, reading), image_shape)


def read_picture(path: AnyPath, reading: Reading = STANDARD) -> Image.Image:
    """The picture in a file as a person sees it, at its own size: a PIL image of mode L or RGB."""
    return see_bytes(read_bytes(path), path, reading).image


def picture_from_bytes(data: bytes, name: AnyPath, reading: Reading = STANDARD) -> Image.Image:
    """The encoded picture ``data`` as a person sees it, at its own size: a PIL image of mode L or RGB."""
    return see_bytes(data, name, reading).image


def picture_from_image(image: Image.Image, reading: Reading = STANDARD) -> Image.Image:
    """A PIL image of any mode as a person sees it, at its own size: a PIL image of mode L or RGB."""
    name = str(getattr(image, "filename", "") or "image")
    if image.tell():
        image = image.copy()  # its current page, whatever page is read of files
    picked = _guarded(lambda: _picked(image, name, reading.page), name)
    return _guarded(lambda: _as_brightness(picked, name, reading), name).image


def see_bytes(data: bytes, name: AnyPath, reading: Reading, *, here: bool = False) -> Seen:
    """`picture_from_bytes` and what was noted of it; ``here``: also what is slow, for this process is a worker."""
    picked = _picked_bytes(data, name, reading.page, here=here)
    return _guarded(lambda: _as_brightness(picked, name, reading), name)


def look_at(data: bytes, name: AnyPath, page: Page) -> Pixels:
    """The encoded picture ``data`` before its values become brightness."""
    return _picked_bytes(data, name, page).pixels


def _picked_bytes(data: bytes, name: AnyPath, page: Page, *, here: bool = False) -> _Picked:
    if data[:6] == np.lib.format.MAGIC_PREFIX:
        return _guarded(lambda: _Picked(_as_picture(_one_array(data, name))), name)
    check_inside(data, name, MAX_PIXELS)
    if here or not data or plain_size(data) is not None:
        return _decoded(data, name, page)
    answer, body = in_worker({"page": page}, data, name)
    return _Picked(unpacked(answer, body), Traits(answer["traits"]), answer["pages"])


def _decoded(data: bytes, name: AnyPath, page: Page) -> _Picked:
    return _guarded(lambda: _all_bits(data, name, page), name)


def header_size(data: bytes, name: str) -> tuple[int, int]:
    """Width and height of an encoded picture, as its header says."""
    return _guarded(lambda: _open(data, name).size, name)


def prepare_worker() -> None:
    """In a worker of `guard`: load what decoding needs."""
    _formats("")


def answer_parent(request: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes | memoryview]:
    """In a worker of `guard`: what `_picked_bytes` returns in this process."""
    try:
        picked = _decoded(data, request["name"], request["page"])
    except BadFileError as error:
        return {"bad": [error.reason, error.remedy]}, b""
    facts, body = packed(picked.pixels)
    return {**facts, "traits": picked.traits.value, "pages": picked.pages}, body


def _one_array(data: bytes, name: AnyPath) -> npt.NDArray[Any]:
    """The image in a .npy file: (h, w) or (h, w, 3). Nothing is unpickled."""
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


def _open(data: bytes, name: AnyPath) -> Image.Image:
    if not data:
        raise BadFileError(name, "empty (0 bytes)", "Save it again or remove it.")
    try:
        # Nearly all pictures have these formats. Pillow has loaded them; the others take longer to load than a picture.
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


def read_bytes(path: AnyPath, limit: int = MAX_FILE_BYTES) -> bytes:
    """The content of a regular file of at most ``limit`` bytes."""
    try:
        with open_input(path) as file:
            if (size := os.fstat(file.fileno()).st_size) > limit:
                reason = f"{size:,} bytes, more than the limit of {limit:,}"
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


def _guarded(work: Callable[[], _T], name: AnyPath) -> _T:
    """The result of ``work``; every error of Pillow becomes a BadFileError."""
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


def _check_size(image: Image.Image, name: AnyPath, more: int = 0) -> None:
    """Limit the pixels of a picture and, at ``more`` further bytes a pixel, the memory."""
    width, height = image.size
    size = f"{size_in_words(height, width)} pixels"
    if width * height > MAX_PIXELS:
        raise _too_large(name, size)
    if width * height > (most := most_pixels(image, more)):
        reason = f"{size} as {image.format}, more than the {most:,} that a budget of {MEMORY // 10**6} MB allows"
        raise BadFileError(name, reason, "Save it smaller, or as JPEG.")


def most_pixels(image: Image.Image, more: int = 0) -> int:
    """Pixels that a picture, opened but not loaded, may have, so that reading it takes at most `guard.MEMORY`."""
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


def _all_bits(data: bytes, name: AnyPath, page: Page) -> _Picked:
    """The page of an encoded picture, colours of 16 bits with all of them where that is possible.

    Pillow has no mode for these and reads the upper 8. Decoding once more in the other order of bytes gives the lower.
    """
    picked = _picked(_open(data, name), name, page)
    if Traits.WIDE_COLOUR not in picked.traits or picked.pages > 1 or not isinstance(picked.pixels, Image.Image):
        return picked
    again = _open(data, name)
    if again.mode != "RGB" or again.width * again.height > MOST_WIDE_COLOUR:
        return picked
    values = np.asarray(picked.pixels).astype(np.uint16) << 8
    values |= np.asarray(_picked(again, name, page, lower=True).pixels)
    return _Picked(values, picked.traits ^ Traits.WIDE_COLOUR)


_OTHER_ORDER = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGB;16N": f"RGB;16{'BL'[sys.byteorder == 'big']}"}


def _to_other_order(image: Image.Image) -> None:
    """Have a picture that is not loaded yet decoded with the two bytes of each colour exchanged."""
    assert isinstance(image, ImageFile.ImageFile)
    for place, tile in enumerate(image.tile):
        raw, *others = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        other = _OTHER_ORDER[str(raw)]
        image.tile[place] = tile._replace(args=(other, *others) if isinstance(tile.args, tuple) else other)


def _as_brightness(picked: _Picked, name: AnyPath, reading: Reading) -> Seen:
    pixels, traits, pages = picked
    if isinstance(pixels, Image.Image):
        if not _needs_scaling(pixels, reading):
            return Seen(pixels, traits, pages)
        pixels = np.asarray(pixels)
    brightness, outside = brightness_of(pixels, name, reading)
    return Seen(halved(Image.fromarray(brightness)), traits, pages, outside, depth_of(pixels))


def _picked(image: Image.Image, name: AnyPath, page: Page, *, lower: bool = False) -> _Picked:
    """The page that the user asked for; ``lower`` reads the lower 8 of 16 bits a colour."""
    _check_size(image, name)
    pixels = image.width * image.height
    if image.format == "JPEG" and (pixels > WHOLE_PIXELS or pixels * (4 + _coefficient_bytes(image)) > MEMORY):
        image.draft(None, (max(1, image.width // 2), max(1, image.height // 2)))
    if _is_plain(image):
        image.load()
        if _orientation(image) == 1:
            return _Picked(halved(image))
    found = _page_of(image, page, name) if image.format in PAGED else _Picked(image)
    traits = found.traits
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) and image.format in ("PNG", "TIFF") else []
    if not is_wide(image) and any(";16" in str(tile) for tile in tiles):  # Pillow reads the upper 8 of these bits
        traits |= Traits.WIDE_COLOUR
    if lower:
        _to_other_order(image)
    page_image = found.pixels
    if isinstance(page_image, np.ndarray):
        return _Picked(_as_picture(page_image), traits, found.pages)
    page_image.load()
    turn = _TURNS.get(_orientation(page_image))
    if turn is not None:
        traits |= Traits.ROTATED
    if is_wide(page_image):
        return _Picked(values_of(page_image if turn is None else page_image.transpose(turn)), traits, found.pages)
    made, converted = eight_bits(page_image)
    if turn is not None:
        made = made.transpose(turn)
        made.info = {}  # EXIF there would turn it again
    if made is page_image and found.pages > 1:
        made = page_image.copy()  # without the other pages
    return _Picked(made, traits | converted, found.pages)


def _needs_scaling(image: Image.Image, reading: Reading) -> bool:
    """Whether a picture of 8 bits holds values on the model's scale, and not brightness."""
    if reading.value_range is None or reading.value_range == EIGHT_BITS:
        return False
    if reading.window:
        return True
    high = reading.value_range[1]
    return high <= NEARLY_BLACK and int(np.asarray(image).max()) <= high


def _is_plain(image: Image.Image) -> bool:
    """Whether there is nothing to note of a picture, as of most: looking further takes as long as decoding."""
    if image.format in PAGED and not (image.format == "PNG" and image.mode == "L" and image.n_frames == 1):  # type: ignore[attr-defined]
        return False
    return image.mode in ("L", "RGB") and "transparency" not in image.info


def _page_of(image: Image.Image, page: Page, name: AnyPath) -> _Picked:
    """The page that the user asked for, or the values made of all pages."""
    is_stack = PAGED[image.format or ""] == "pages"
    numbers = list(range(getattr(image, "n_frames", 1)))
    if is_stack and len(numbers) > 1:
        numbers = [number for number in numbers if not _is_thumbnail(image, number)]
        image.seek(0)
    count = len(numbers)
    if isinstance(page, int):
        if page > max(1, count):
            what = f"{count} {PAGED[image.format or '']}" if count > 1 else "one page only"
            raise BadFileError(
                name, f"{what}, and page {page} is asked for", "Choose another by --page N, mean or max."
            )
        if count > 1 and numbers[page - 1]:
            image.seek(numbers[page - 1])
            _check_size(image, name)
    if count < 2:
        return _Picked(image)
    if not isinstance(page, int) and count > MAX_PAGES:
        raise BadFileError(name, f"{count:,} pages, more than the limit of {MAX_PAGES:,}", "Choose one by --page.")
    pixels = image if isinstance(page, int) else _over_pages(image, numbers, page, name)
    return _Picked(pixels, Traits.PAGES if is_stack else Traits.FRAMES, count)


def _is_thumbnail(image: Image.Image, number: int) -> bool:
    """Whether a TIFF's page is a smaller copy of another (bit 0 of the tag NewSubfileType)."""
    image.seek(number)
    return bool(number and int(image.tag_v2.get(254, 0)) & 1)  # type: ignore[attr-defined]


def _over_pages(image: Image.Image, numbers: list[int], how: str, name: AnyPath) -> npt.NDArray[Any]:
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


def _too_large(name: AnyPath, size: str) -> BadFileError:
    return BadFileError(name, f"{size}, more than the limit of {MAX_PIXELS:,}", "Save it smaller or remove it.")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # the picture is sound, only its metadata are not: viewers show it unturned
        return 1


def fit_seen(picture: Image.Image, image_shape: ImageShape) -> UInt8Array:
    """The pixels of a picture that `see_bytes` gave: uint8 (H, W, C) for ``image_shape``."""
    height, width, channels = image_shape
    if picture.mode != (mode := "L" if channels == 1 else "RGB"):
        picture = picture.convert(mode)
    if picture.size != (width, height):
        picture = letterbox(picture, width, height)
    return np.array(picture, dtype=np.uint8).reshape(image_shape)


class _Quiet(contextlib.ContextDecorator):
    """Silences Pillow's warnings, of what fails our own checks or does not matter, while any thread decodes.

    ``warnings.catch_warnings`` changes the whole process and is not thread-safe: the first thread in enters it and the
    last one out leaves it.
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
"""A context or decorator for decoding many pictures: entered once, it costs each of them less."""


# Pillow's modes: as 8 bits a channel (L or RGB), or as the values that they hold. Large pictures are converted by
# strips, as whole copies would fill the memory.


def is_wide(image: Image.Image) -> bool:
    """Whether a picture has more than 8 bits a pixel."""
    return image.mode.startswith("I") or image.mode == "F"


def eight_bits(image: Image.Image) -> tuple[Image.Image, Traits]:
    """A picture of 8 bits a channel, of any mode, as L or RGB, and what was done; large ones are halved.

    Transparent parts are laid on white, or on black under a drawing in one light colour.
    """
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return halved(image), Traits(0)
    traits = Traits.PALETTE if image.mode in ("P", "PA") else Traits.CMYK if image.mode == "CMYK" else Traits(0)
    if not image.has_transparency_data:
        mode = "L" if image.mode == "1" else "RGB"
        return _by_strips(image, mode, lambda strip: strip.convert(mode)), traits
    ground = _ground_of(image)
    if ground is None:
        return _by_strips(image, "RGB", lambda strip: strip.convert("RGBA").convert("RGB")), traits

    def laid(strip: Image.Image) -> Image.Image:
        return Image.alpha_composite(Image.new("RGBA", strip.size, ground), strip.convert("RGBA")).convert("RGB")

    return _by_strips(image, "RGB", laid), traits | (Traits.ON_BLACK if ground == "black" else Traits.ON_WHITE)


def _by_strips(image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The result of ``convert`` on a picture, halved if that is large."""
    if image.width * image.height <= STRIP_PIXELS:
        return convert(image)
    by = 2 if image.width * image.height > WHOLE_PIXELS else 1
    made = Image.new(mode, (-(-image.width // by), -(-image.height // by)))
    for strip, top in _strips(image):
        made.paste(convert(strip).reduce(by), (0, top // by))
    return made


def _strips(image: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """The picture in strips of about STRIP_PIXELS and an even height, and the top of each."""
    height = max(2, STRIP_PIXELS // image.width // 2 * 2)
    for top in range(0, image.height, height):
        yield image.crop((0, top, image.width, min(top + height, image.height))), top


def _ground_of(image: Image.Image) -> str | None:
    """White, or black under a drawing in one light colour, as a white pen leaves on a transparent sheet.

    None where nothing is transparent.
    """
    is_opaque = True
    counts = np.zeros((3, 256), dtype=np.int64)  # of each level in each channel of the opaque parts
    for strip, _ in _strips(image):
        coloured = strip.convert("RGBA")
        alpha = coloured.getchannel("A")
        is_opaque = is_opaque and alpha.getextrema() == (255, 255)
        counts += np.reshape(coloured.convert("RGB").histogram(alpha.point(_MOSTLY_OPAQUE)), (3, 256))
    if is_opaque:
        return None
    if not counts.any():
        return "white"
    found = counts > 0
    least, most = found.argmax(axis=1), 255 - found[:, ::-1].argmax(axis=1)
    one_colour = (most - least <= 8).all()
    return "black" if one_colour and most @ (299, 587, 114) >= 128_000 else "white"


def values_of(image: Image.Image) -> npt.NDArray[Any]:
    """The values of a picture of more than 8 bits, (h, w). `np.asarray` would hold them three times."""
    if image.width * image.height <= STRIP_PIXELS:
        return np.asarray(image)
    values: npt.NDArray[Any] = np.empty((image.height, image.width), np.asarray(image.crop((0, 0, 1, 1))).dtype)
    for strip, top in _strips(image):
        values[top : top + strip.height] = np.asarray(strip)
    return values


def halved(image: Image.Image) -> Image.Image:
    """A picture (L or RGB), at half its size if it is large."""
    return image if image.width * image.height <= WHOLE_PIXELS else image.reduce(2)


def letterbox(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The whole picture in ``height`` × ``width``: proportions kept, the rest in its border's colour."""
    # Proportions are kept as they carry meaning (an l stretched to a square is a block), and the border's
    # own colour is the fill because black bars on a white scan would be the strongest edges in it.
    # Bicubic: Pillow widens it when it shrinks, so nothing aliases; box weighs pixels unevenly at ratios like
    # 32:28, and Lanczos rings more around strokes.
    scale = min(width / picture.width, height / picture.height)
    inner_width, inner_height = round(picture.width * scale), round(picture.height * scale)
    # A bar of one pixel is only rounding: fill it.
    inner_width = width if width - inner_width <= 1 else max(1, inner_width)
    inner_height = height if height - inner_height <= 1 else max(1, inner_height)
    inner = picture.resize((inner_width, inner_height), Image.Resampling.BICUBIC)
    if inner.size == (width, height):
        return inner
    pixels = np.asarray(picture).reshape(picture.height, picture.width, -1)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    fill = tuple(int(value) for value in np.median(border, axis=0))
    whole = Image.new(picture.mode, (width, height), fill if len(fill) > 1 else fill[0])
    whole.paste(inner, ((width - inner_width) // 2, (height - inner_height) // 2))
    return whole
