"""The API of the service: every error that it answers with, and the forms of requests and answers.

The forms are for ``/openapi.json``; the answers themselves are written without them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ..answers import REASONS
from ..data.values import EIGHT_BITS
from ..images import Reader
from .limits import Limits

RAW = "application/octet-stream"
JSON = "application/json"
MULTIPART = "multipart/form-data"
FIELDS = ("image", "file")
"""The names that parts may have, as in ``curl -F image=@a.png -F file=@b.png``."""


@dataclass(frozen=True)
class ErrorKind:
    """One kind of error.

    Attributes:
        status: the HTTP status.
        about: when it happens: a line of the documentation.
        retry_after: seconds after which it may go better; None where the request itself is wrong.
    """

    status: int
    about: str
    retry_after: int | None = None


ERRORS: dict[str, ErrorKind] = {
    "malformed": ErrorKind(400, "The request or its body cannot be parsed."),
    "origin_not_allowed": ErrorKind(403, "The request comes from a page of another site; see --allow-origin."),
    "not_found": ErrorKind(404, "Unknown path."),
    "method_not_allowed": ErrorKind(405, "Method not allowed; the Allow header lists those that are."),
    "too_slow": ErrorKind(408, "The head or the body of the request did not arrive in time."),
    "body_too_large": ErrorKind(413, "The body has more bytes than the limit."),
    "too_many_images": ErrorKind(413, "Too many images in one request."),
    "too_many_pixels": ErrorKind(413, "A picture has more pixels than the limit."),
    "unsupported_media_type": ErrorKind(415, "Unsupported Content-Type."),
    "host_not_allowed": ErrorKind(
        421, "The Host header names a host that this service does not accept; see --allow-host."
    ),
    "bad_image": ErrorKind(422, "A picture is damaged, or pixels are not of the model's size."),
    "bad_parameter": ErrorKind(422, "Invalid query parameter."),
    "head_too_large": ErrorKind(431, "The request line and headers have more bytes than the limit."),
    "internal": ErrorKind(500, "Internal error; details are on the standard error of the service."),
    "queue_full": ErrorKind(503, "The queue of images is full.", retry_after=1),
    "too_many_bytes": ErrorKind(503, "Too many large bodies are being read at once.", retry_after=1),
    "too_many_connections": ErrorKind(503, "All connections are in use.", retry_after=1),
    "stopping": ErrorKind(503, "The service is stopping.", retry_after=5),
}
"""Code → its status and when it happens."""


class APIError(Exception):  # an answer, and no fault of ours
    """An error that is sent to the client.

    Args:
        code: a key of `ERRORS`.
        message: what was wrong, as a sentence. The client reads it, so it names nothing of this machine.
        remedy: what to do, as a sentence.
    """

    def __init__(self, code: str, message: str, remedy: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.code = code
        self.status = ERRORS[code].status
        retry_after = ERRORS[code].retry_after
        self.headers = {**(headers or {}), **({} if retry_after is None else {"Retry-After": str(retry_after)})}
        error = {"code": code, "message": message, **({"remedy": remedy} if remedy else {})}
        self.body = json.dumps({"error": error}).encode()
        super().__init__(message)

    def raw(self, security: Mapping[str, str]) -> bytes:
        """The whole answer as bytes of HTTP/1.1, for a connection on which no answer has begun; it then closes."""
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(self.body)),
            "Connection": "close",
            **self.headers,
            **security,
        }
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


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

    code: Annotated[Literal[tuple(ERRORS)], Field(description="For programs.")]  # type: ignore[valid-type]
    message: Annotated[str, Field(description="For people.")]
    remedy: Annotated[str | None, Field(description="What to do.")] = None


class Error(BaseModel):
    """An error."""

    error: ErrorDetail


def error_responses(codes: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    """FastAPI's ``responses`` for these codes; those of one status become one entry."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = ERRORS[code]
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
