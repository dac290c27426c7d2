"""What a body holds: pictures in one of three forms, or pixels as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..data.dataset import UInt8Array
from ..data.decode import ImageShape
from .multipart import files_in
from .refusals import Refusal

Contents: TypeAlias = list[bytes] | UInt8Array
"""Encoded pictures, or pixels: uint8 (N, H, W, C)."""

RAW = "application/octet-stream"
JSON = "application/json"
MULTIPART = "multipart/form-data"


def contents_of(body: bytes, content_type: str, shape: ImageShape, most: int) -> Contents:
    """The images in a body.

    Args:
        body: all of it.
        content_type: the header; its parameters count for multipart only.
        shape: (H, W, C) of the model, which pixels must have.
        most: images that are taken.

    Raises:
        Refusal: malformed, unsupported_media_type, too_many_images, bad_image.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == RAW or kind.startswith("image/"):
        return [body]
    if (reader := _READERS.get(kind)) is None:
        raise Refusal(
            "unsupported_media_type",
            f"{json.dumps(content_type[:80])} is no type of body that is read.",
            f"Send a picture as image/* or {RAW}, several as {MULTIPART}, or pixels as {JSON}.",
            {"Accept": f"image/*, {RAW}, {MULTIPART}, {JSON}"},
        )
    return reader(body, content_type, shape, most)


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


def _multipart(body: bytes, content_type: str, _: ImageShape, most: int) -> list[bytes]:
    pictures = files_in(body, content_type, most)
    check_count(len(pictures), most)
    return pictures


def _json(body: bytes, _: str, shape: ImageShape, most: int) -> UInt8Array:
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refusal("malformed", f"The body is no JSON: {reason[:200]}.") from None
    if not isinstance(value, dict) or value.keys() != {"images"} or not isinstance(value["images"], list):
        raise Refusal("malformed", 'The JSON has to be one object of the form {"images": [...]}, and no more.')
    images = value["images"]
    check_count(len(images), most)
    return np.stack([_pixels(image, shape, number) for number, image in enumerate(images, 1)])


def _pixels(image: Any, shape: ImageShape, number: int) -> UInt8Array:
    """One image, (H, W) where the model is grey or (H, W, C), of whole numbers from 0 to 255."""
    try:
        values = np.array(image)
    except (ValueError, OverflowError, RecursionError):  # rows of different lengths, numbers beyond all bounds
        values = np.empty(0, dtype=object)
    height, width, channels = shape
    fits = values.shape == shape or (channels == 1 and values.shape == (height, width))
    if values.dtype.kind not in "iu" or not fits or values.min() < 0 or values.max() > 255:
        form = f"{height} rows of {width} whole numbers from 0 to 255"
        if channels > 1:
            form = f"{height} rows of {width} pixels of {channels} whole numbers from 0 to 255"
        raise Refusal("bad_image", f"Image {number}: is not {form}.", "Or send it as a picture of any size.")
    return values.astype(np.uint8).reshape(shape)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


_READERS: dict[str, Callable[[bytes, str, ImageShape, int], Contents]] = {MULTIPART: _multipart, JSON: _json}
