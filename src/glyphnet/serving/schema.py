"""The forms of questions and answers, for ``/openapi.json``; the answers themselves are written without them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ..answers import REASONS
from ..data.values import EIGHT_BITS
from ..images import Reader
from .contents import JSON, MULTIPART, RAW
from .limits import Limits
from .multipart import FIELDS
from .refusals import KINDS

_Share = Annotated[float, Field(ge=0, le=1)]


class ClassProbability(BaseModel):
    """A class and how probable it is."""

    label: str
    probability: _Share


class Prediction(BaseModel):
    """The answer for one image."""

    label: Annotated[str, Field(description="The likeliest class.")]
    probability: Annotated[_Share, Field(description="How probable it is.")]
    rejected: Annotated[bool, Field(description="Whether there is a reason not to believe it: none of these.")]
    reason: Annotated[
        Literal[tuple(REASONS)] | None,  # type: ignore[valid-type]
        Field(
            description="no_drawing: nothing is drawn; unlike_training; low_confidence: the model is not sure; or null."
        ),
    ]
    foreign: Annotated[
        float | None, Field(description="How unlike the training images it is; null where the model cannot tell.")
    ]
    set: Annotated[
        list[str] | None, Field(description="With sets=95: classes that contain the true one in 95 % of cases.")
    ] = None
    probabilities: Annotated[list[ClassProbability], Field(description="The likeliest classes, the first first.")]


class Answer(BaseModel):
    """One prediction for each image, in the order of the request."""

    model: Annotated[str, Field(description="SHA-256 of the model file.", pattern="^[0-9a-f]{64}$")]
    predictions: list[Prediction]


class Input(BaseModel):
    """What the model takes."""

    height: int
    width: int
    channels: Literal[1, 3]
    dtype: Literal["uint8"]
    colours: str
    pictures: Annotated[str, Field(description="What is done with a picture before the model sees it.")]


class Accuracy(BaseModel):
    """How often the model was right, with its 95 % interval and what it was judged on."""

    value: _Share
    interval: Annotated[list[_Share], Field(min_length=2, max_length=2)]
    n: int
    judged_on: str


class Origin(BaseModel):
    """Where the model comes from."""

    data: str
    fingerprint: Annotated[str, Field(description="SHA-256 of the training images and labels, or empty.")]
    created: str
    versions: dict[str, str]


class ModelCard(BaseModel):
    """The model that answers."""

    id: Annotated[str, Field(description="SHA-256 of the model file.", pattern="^[0-9a-f]{64}$")]
    classes: list[str]
    input: Input
    threshold: Annotated[_Share | None, Field(description="Below it the model is not sure; null: never measured.")]
    foreign_threshold: Annotated[
        float | None, Field(description="Above it an image is unlike the training images; null: never measured.")
    ]
    highest_level: Annotated[_Share | None, Field(description="Of sets of classes; null: the model gives none.")]
    network: Annotated[str, Field(description="Its kind: mlp, cnn and so on.")]
    accuracy: Accuracy | None
    provenance: Origin


class State(BaseModel):
    """How the service is."""

    status: Literal["ok", "ready"]


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: Annotated[Literal[tuple(KINDS)], Field(description="For programs.")]  # type: ignore[valid-type]
    message: Annotated[str, Field(description="For people.")]
    remedy: Annotated[str | None, Field(description="What to do.")] = None


class Error(BaseModel):
    """Every answer that is none."""

    error: ErrorDetail


def refusals(codes: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    """FastAPI's ``responses`` for these codes; those of one status become one entry."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = KINDS[code]
        entry = found.setdefault(kind.status, {"model": Error, "description": ""})
        entry["description"] = f"{entry['description']}\n`{code}`: {kind.about}".strip()
        if kind.retry_after is not None:
            about = {"description": "Seconds to wait before asking again.", "schema": {"type": "integer", "minimum": 1}}
            entry["headers"] = {"Retry-After": about}
    return found


def predict_body(model: Reader, limits: Limits) -> dict[str, Any]:
    """OpenAPI's ``requestBody`` of ``/predict``."""
    height, width, channels = model.input_shape
    binary = {"type": "string", "format": "binary"}
    many = {"minItems": 1, "maxItems": limits.images}
    value: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 255}
    if (limits_of := model.reading.value_range) not in (None, EIGHT_BITS):
        value = {"type": "number", "description": f"On the scale that the model was trained on, {limits_of}."}
    base64 = {"type": "string", "description": "A picture in base64, or a data URL of it."}
    pixel = value if channels == 1 else _rows(value, channels)
    image = _rows(_rows(pixel, width), height)
    return {
        "required": True,
        "description": f"One picture as it is, several as {MULTIPART}, or pixels or base64 as JSON.",
        "content": {
            RAW: {"schema": binary},
            "image/*": {"schema": binary},
            MULTIPART: {
                "schema": {"anyOf": [_object(name, {"type": "array", "items": binary, **many}) for name in FIELDS]},
            },
            JSON: {
                "schema": {
                    "anyOf": [
                        _object("images", {"type": "array", "items": image, **many}),
                        _object("images", {"type": "array", "items": base64, **many}),
                    ]
                }
            },
        },
    }


def _rows(items: dict[str, Any], count: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": count, "maxItems": count}


def _object(name: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: value}, "required": [name], "additionalProperties": False}
