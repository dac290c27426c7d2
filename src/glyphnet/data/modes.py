"""Pictures of any of Pillow's modes: as 8 bits a channel (L or RGB), or as the values that they hold.

Large ones are converted by strips, as whole copies would fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .traits import Traits

STRIP_PIXELS = 1 << 20  # of a large picture that are worked on at a time
WHOLE_PIXELS = 20_000_000
"""A larger picture is halved in both directions while it is decoded: a network sees some thousand pixels of it."""
_MOSTLY_OPAQUE = [0] * 128 + [255] * 128


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
    if height >= image.height:
        yield image, 0
        return
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
