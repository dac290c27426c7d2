"""What the service tells of its model: nothing of the machine, no path."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from ..errors import ModelFileError
from ..files import open_input
from ..images import normalizing_spec
from ..predictor import Predictor

_JUDGED = ("accuracy", "interval", "n", "judged_on")


def model_id(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a model file's content, in hexadecimal.

    Raises:
        ModelFileError: it cannot be read.
    """
    try:
        with open_input(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}.") from None


def about_model(predictor: Predictor, identity: str) -> dict[str, Any]:
    """The answer of ``/model``: plain JSON values, as `schema.ModelCard` describes them."""
    height, width, channels = predictor.input_shape
    origin, metrics, network = _told(predictor)
    rules = predictor.rules
    return {
        "id": identity,
        "classes": list(predictor.classes),
        "input": {
            "height": height,
            "width": width,
            "channels": channels,
            "dtype": "uint8",
            "colours": "grey, 0 black to 255 white" if channels == 1 else "red, green, blue",
            "pictures": "made like the training images" if normalizing_spec(predictor) else "resized, proportions kept",
        },
        "threshold": rules.confidence,
        "foreign_threshold": rules.foreign,
        "highest_level": None if rules.conformal is None else rules.conformal.highest_level,
        "network": network,
        "accuracy": _accuracy(metrics),
        "provenance": {
            "data": without_folders(str(origin.get("data", ""))),
            "fingerprint": str(origin.get("fingerprint", "")),
            "created": str(origin.get("created", "")),
            "versions": {str(name): str(version) for name, version in dict(origin.get("versions", {})).items()},
        },
    }


def without_folders(name: str) -> str:
    """The last part of what may be a path."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _told(predictor: Any) -> tuple[Mapping[str, Any], Mapping[str, Any], str]:
    """Provenance, metrics and kind of network, from a `Classifier` or from what an ONNX file tells."""
    told = getattr(predictor, "about", None)
    if told is None:
        return predictor.provenance.model_dump(mode="json"), predictor.metrics, predictor.spec.kind
    network = told.get("network")
    return (
        _mapping(told.get("provenance")),
        _mapping(told.get("metrics")),
        str(_mapping(network).get("kind", "")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _accuracy(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The accuracy with what it was measured on; None where the model was never judged."""
    if not set(_JUDGED) <= metrics.keys():
        return None
    low, high = metrics["interval"]
    return {
        "value": float(metrics["accuracy"]),
        "interval": [float(low), float(high)],
        "n": int(metrics["n"]),
        "judged_on": without_folders(str(metrics["judged_on"])),
    }
