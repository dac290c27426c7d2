"""What a body holds: pictures in one of three forms, or pixels as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..data.dataset import UInt8Array
from ..data.values import EIGHT_BITS, on_scale
from ..errors import DataError
from ..images import Reader
from .multipart import files_in
from .refusals import Refusal


class Picture(NamedTuple):
    """An encoded picture; ``suffix`` is ".tga" where its name or type says so, as nothing in such a file does."""

    content: bytes
    suffix: str = ""


Contents: TypeAlias = list[Picture] | UInt8Array
"""Encoded pictures, or pixels: uint8 (N, H, W, C)."""

RAW = "application/octet-stream"
JSON = "application/json"
MULTIPART = "multipart/form-data"
TGA = ("image/x-tga", "image/x-targa", "image/tga", "image/targa")


def contents_of(body: bytes, content_type: str, model: Reader, most: int) -> Contents:
    """The images in a body.

    Args:
        body: all of it.
        content_type: the header; its parameters count for multipart only.
        model: whose shape pixels must have, and on whose scale they are.
        most: images that are taken.

    Raises:
        Refusal: malformed, unsupported_media_type, too_many_images, bad_image.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == RAW or kind.startswith("image/"):
        return [Picture(body, suffix_of(kind))]
    if (reader := _READERS.get(kind)) is None:
        raise Refusal(
            "unsupported_media_type",
            f"{json.dumps(content_type[:80])} is no type of body that is read.",
            f"Send a picture as image/* or {RAW}, several as {MULTIPART}, or pixels or base64 as {JSON}.",
            {"Accept": f"image/*, {RAW}, {MULTIPART}, {JSON}"},
        )
    return reader(body, content_type, model, most)


def check_count(count: int, most: int) -> None:
    """Hold the number of images to the limit.

    Raises:
        Refusal: too_many_images, or malformed where there is none.
    """
    if count > most:
        raise Refusal(
            "too_many_images", f"The request brings more than {most} images, the limit.", "Ask in several requests."
        )
    if count == 0:
        raise Refusal("malformed", "The request brings no image.", "Send at least one.")


def suffix_of(kind: str, name: str = "") -> str:
    """What the type or the name of a picture says that its content does not."""
    return ".tga" if kind in TGA or name.lower().endswith(".tga") else ""


def _multipart(body: bytes, content_type: str, _: Reader, most: int) -> list[Picture]:
    files = files_in(body, content_type, most)
    check_count(len(files), most)
    return [Picture(content, suffix_of(kind, name)) for content, kind, name in files]


def _json(body: bytes, _: str, model: Reader, most: int) -> Contents:
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refusal("malformed", f"The body is no JSON: {reason[:200]}.") from None
    if not isinstance(value, dict) or value.keys() != {"images"} or not isinstance(value["images"], list):
        raise Refusal("malformed", 'The JSON has to be one object of the form {"images": [...]}, and no more.')
    images = value["images"]
    check_count(len(images), most)
    if all(isinstance(image, str) for image in images):
        return [Picture(_decoded(image, number)) for number, image in enumerate(images, 1)]
    return np.stack([_pixels(image, model, number) for number, image in enumerate(images, 1)])


def _decoded(text: str, number: int) -> bytes:
    """The picture in base64, or in a data URL (RFC 2397) of it."""
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            raise Refusal("bad_image", f"Image {number}: a data URL that is not in base64.", "Send base64.")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        remedy = "Send a picture in base64 or as a data URL, or its pixels."
        raise Refusal("bad_image", f"Image {number}: a text that is not base64.", remedy) from None


def _pixels(image: Any, model: Reader, number: int) -> UInt8Array:
    """One image, (H, W) where the model is grey or (H, W, C), of numbers on the model's scale."""
    try:
        values = np.array(image)
    except (ValueError, OverflowError, RecursionError):  # rows of different lengths, numbers beyond all bounds
        values = np.empty(0, dtype=object)
    height, width, channels = model.input_shape
    low, high = model.reading.value_range or EIGHT_BITS
    whole = (low, high) == EIGHT_BITS
    fits = values.shape == model.input_shape or (channels == 1 and values.shape == (height, width))
    fits = fits and values.dtype.kind in ("iu" if whole else "iuf")
    if not fits or (whole and (values.min() < 0 or values.max() > 255)):
        numbers = f"{'whole ' if whole else ''}numbers from {low:g} to {high:g}"
        form = f"{height} rows of {width} {numbers}"
        if channels > 1:
            form = f"{height} rows of {width} pixels of {channels} {numbers}"
        raise Refusal("bad_image", f"Image {number}: is not {form}.", "Or send it as a picture of any size.")
    try:
        return on_scale(values, (low, high)).reshape(model.input_shape)
    except DataError as error:
        raise Refusal("bad_image", f"Image {number}: {error}") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


_READERS: dict[str, Callable[[bytes, str, Reader, int], Contents]] = {MULTIPART: _multipart, JSON: _json}
