"""From a picture (a file, bytes, a PIL image) to the pixels that a network sees: the one place for it.

Training and prediction both come through here, so a picture gives the same pixels in both. A picture is
decoded to what a person sees: the right way up (EXIF), transparency on white paper, sixteen bits scaled to
eight, the first frame of an animation.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import stat
import threading
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import BadFileError
from .dataset import UInt8Array

ImageShape = tuple[int, int, int]

# Goes into every cache key: raise it when the same file would give other pixels than before.
DECODER_VERSION = 1

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

# A process that runs out of memory or of file handles says nothing about the file at hand.
_OUR_OWN_TROUBLE = {errno.ENOMEM, errno.EMFILE, errno.ENFILE}


def decode_file(path: str | os.PathLike[str], image_shape: ImageShape) -> UInt8Array:
    """The pixels of the picture in a file: uint8 (H, W, C) for ``image_shape`` (H, W, C), C 1 or 3.

    Raises:
        BadFileError: the file is missing, unreadable, not a picture, damaged or too large.
    """
    return _fit(read_picture(path), image_shape)


def decode_bytes(data: bytes, image_shape: ImageShape, name: str = "image") -> UInt8Array:
    """The pixels of an encoded picture in memory: uint8 (H, W, C); ``name`` is what errors call it.

    Raises:
        BadFileError: the bytes are not a picture, or damaged, or it is too large.
    """
    return _fit(picture_from_bytes(data, name), image_shape)


def fit_image(image: Image.Image, image_shape: ImageShape) -> UInt8Array:
    """The pixels of a PIL image of any mode: uint8 (H, W, C) for ``image_shape`` (H, W, C), C 1 or 3.

    An image that has that size and colour already comes back bit for bit.

    Raises:
        BadFileError: the image cannot be read, is too large, or its values have no agreed brightness.
    """
    return _fit(picture_from_image(image), image_shape)


def read_picture(path: str | os.PathLike[str]) -> Image.Image:
    """The picture in a file as a person sees it, at its own size: a PIL image of mode L or RGB.

    Raises:
        BadFileError: the file is missing, unreadable, not a picture, damaged or too large.
    """
    return picture_from_bytes(_read(path), path)


def picture_from_bytes(data: bytes, name: str | os.PathLike[str]) -> Image.Image:
    """The encoded picture ``data`` as a person sees it, at its own size: a PIL image of mode L or RGB.

    Raises:
        BadFileError: the bytes are not a picture, or damaged, or it is too large.
    """
    if not data:
        raise BadFileError(name, "empty (0 bytes)", "Save it again or remove it.")
    suffix = os.path.splitext(os.fspath(name))[1].lower()
    return _guarded(lambda: _open(data, suffix), name)


def picture_from_image(image: Image.Image) -> Image.Image:
    """A PIL image of any mode as a person sees it, at its own size: a PIL image of mode L or RGB.

    Raises:
        BadFileError: it cannot be read, is too large, or its values have no agreed brightness.
    """
    return _guarded(lambda: image, str(getattr(image, "filename", "") or "image"))


def _open(data: bytes, suffix: str) -> Image.Image:
    try:
        # These are nearly all pictures there are, and Pillow has loaded them: the others take longer than a picture.
        return Image.open(io.BytesIO(data), formats=COMMON_FORMATS)
    except UnidentifiedImageError:
        return Image.open(io.BytesIO(data), formats=_formats(suffix))


@functools.cache
def _formats(suffix: str) -> tuple[str, ...]:
    Image.init()
    wanted = (*FORMATS, UNMARKED_FORMATS[suffix]) if suffix in UNMARKED_FORMATS else FORMATS
    return tuple(name for name in wanted if name in Image.OPEN)  # some builds of Pillow lack AVIF


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait for ever, a device never end
            raise BadFileError(path, "not a regular file", "Give the path of an image file.")
        if status.st_size > MAX_FILE_BYTES:
            raise BadFileError(
                path,
                f"{status.st_size:,} bytes, more than the limit of {MAX_FILE_BYTES:,}",
                "Save it smaller or remove it.",
            )
        with open(path, "rb") as file:
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
        raise BadFileError(path, f"cannot be read ({error.strerror})", "Check the file and its disk.") from error


def _guarded(open_image: Callable[[], Image.Image], name: str | os.PathLike[str]) -> Image.Image:
    """Open, load and convert, with whatever Pillow raises turned into a BadFileError."""
    try:
        with _pillow_is_quiet:
            return _as_seen(open_image(), name)
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
        raise BadFileError(name, f"damaged ({_one_line(error)})", "Save it again or remove it.") from error


def _as_seen(image: Image.Image, name: str | os.PathLike[str]) -> Image.Image:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width}×{height} pixels")
    image.load()
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image), name))
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, coloured).convert("RGB")
    return image.convert("L" if image.mode == "1" else "RGB")


def _too_large(name: str | os.PathLike[str], size: str) -> BadFileError:
    return BadFileError(name, f"{size}, more than the limit of {MAX_PIXELS:,}", "Save it smaller or remove it.")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # the picture is sound, only the notes beside it are not: viewers show it as it lies
        return 1


def _eight_bits(values: npt.NDArray[np.generic], name: str | os.PathLike[str]) -> UInt8Array:
    """Grey values of 16 or 32 bits, integer or float, as the 8 bits that a viewer would show."""
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind != "f":
        # Pillow holds 16-bit grey in integers of 16 or 32 bits; white is 65,535 in both.
        white = 65_535 if low >= 0 and high <= 65_535 else None
    else:
        scales = (1, 255, 65_535)  # the three customs of float images: fractions, 8-bit and 16-bit values
        white = next((scale for scale in scales if low >= 0 and high <= scale), None)
    if white is None:  # NaN comes here as well: no comparison with it holds
        reason = f"grey values from {low:g} to {high:g}, for which no brightness is agreed"
        raise BadFileError(name, reason, "Save it with 8 or 16 bits a pixel.")
    return np.rint(values.astype(np.float64) * (255 / white)).astype(np.uint8)


def _fit(picture: Image.Image, image_shape: ImageShape) -> UInt8Array:
    height, width, channels = image_shape
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = _letterbox(picture, width, height)
    return np.array(picture, dtype=np.uint8).reshape(image_shape)


def _letterbox(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The whole picture in ``width`` × ``height``: proportions kept, the rest in its border's colour."""
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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


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


_pillow_is_quiet = _Quiet()
