"""What is known of the images that a model learned from, so that any picture can be made like them."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files
from typing import Annotated, Any, Literal

import PIL
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..dataset import size_in_words
from ..decode import ImageShape

_Level = Annotated[int, Field(ge=0, le=255)]
_Side = Annotated[int, Field(ge=1, le=4096)]
_Place = Annotated[float, Field(ge=0, le=4096, allow_inf_nan=False)]


class InkSpec(BaseModel):
    """How training images look. It travels in the model file, and as JSON in the pages.

    Attributes:
        kind: "ink", strokes of one level on paper of one level, or "photo", anything else.
        background: the level around the subject, 0 black to 255 white; None where it is not one.
        ink: the level of full ink, or for photos the far end from the background.
        box: (height, width) in pixels that the subject fills in one of the two directions.
        centring: whether the centre of mass or of the bounding box is put into ``centre``.
        centre: (y, x) of that centre, in pixels from the upper left corner of the image.
        drift: the largest distance from ``centre``, in either direction, that was seen, in pixels.
        sizes: the smallest and largest share of the box that a subject filled.
        strokes: the least and greatest mean width of strokes that are left as they are, in pixels, as
            `filters.stroke_widths` gives them.
        noise: four times the deviation of the noise on the background, in levels, from which it is repaired.
        specks: pixels of ink that stand alone, in thousandths of the image, from which they are repaired.
        softness: the width of edges, as `filters.softness` gives it, above which they are sharpened.
        length: of all strokes, as `filters.stroke_lengths` gives it, above which a small picture shows no drawing.
        levels: the least and greatest depth of full ink that is left as it is.
        aspect: width over height, the geometric mean of the subjects that are taller than wide.
        stripes: whether lines that repeat are taken for stripes on the background: not where strokes of the training
            images reach the border and look the same.

    All from ``noise`` to ``aspect`` came with model format 2. A model without them leaves a picture of its own size
    unrepaired.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["ink", "photo"]
    background: _Level | None = None
    ink: _Level = 255
    box: Annotated[tuple[_Side, _Side], Field(strict=False)] = (1, 1)  # JSON has lists for tuples
    centring: Literal["mass", "box"] = "box"
    centre: Annotated[tuple[_Place, _Place], Field(strict=False)] = (0.0, 0.0)
    drift: _Place = 0.0
    sizes: Annotated[tuple[_Place, _Place], Field(strict=False)] = (1.0, 1.0)
    strokes: Annotated[tuple[_Place, _Place], Field(strict=False)] = (0.0, 4096.0)
    noise: Annotated[int, Field(ge=0)] = 4096
    specks: Annotated[int, Field(ge=0)] = 1000
    softness: _Place = 4096.0
    length: _Place = 4096.0
    levels: Annotated[tuple[_Level, _Level], Field(strict=False)] = (0, 255)
    aspect: Annotated[float, Field(gt=0, le=1)] = 1.0
    stripes: bool = True

    @model_validator(mode="after")
    def _drawings_have_levels(self) -> InkSpec:
        if self.kind == "ink" and (self.background is None or self.background == self.ink):
            raise ValueError("drawings need a background and an ink of another level")
        return self

    def __str__(self) -> str:
        """What was found and what it means for pictures, in a sentence."""
        if self.background is None:
            return "The images are photographs: pictures to classify are resized, whole, to the model's size."
        box = size_in_words(*self.box)
        if self.kind == "photo":
            return (
                "The images are photographs before an even background: pictures to classify are cropped to their "
                f"subject and resized to {box}, where their background is even, else resized whole."
            )
        ink = "light on dark" if self.ink > self.background else "dark on light"
        by = "centre of mass" if self.centring == "mass" else "bounding box"
        return f"The images are drawings, {ink}: pictures to classify are made so, scaled to {box}, centred by {by}."


def page_spec(spec: InkSpec | None, image_shape: ImageShape) -> dict[str, Any]:
    """What ``normalizePicture`` in ``pages/js/ink.js`` takes: the specification and the size (H, W, C), as plain JSON.

    Without a specification, as in model files of before, pictures are resized whole.
    """
    return {**(spec or InkSpec(kind="photo")).model_dump(mode="json"), "image_shape": list(image_shape)}


@functools.cache
def normalizer_version() -> str:
    """SHA-256 (hex) of the source that normalises pictures: what is kept on disk is valid for one version of it."""
    digest = hashlib.sha256(PIL.__version__.encode())
    for file in sorted(files(__package__).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()
