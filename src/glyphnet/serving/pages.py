"""The pages of the service: one to draw on, one that describes it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .._version import __version__
from ..answers import REASONS, Predictor
from ..data.ink import page_spec
from ..images import normalizing_spec
from ..pages.bundle import hash_of
from ..pages.desk import desk_page, rejecting
from ..templates import environment, read
from .service import about_model

_STYLES = ("pages/house.css", "serving/service.css")
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
_IN_FULL = ("/predict", "/model")  # what programs ask for; of the rest a line is enough
_IN_EXAMPLES = 3  # pixels of a row, rows of an image: nobody reads 784 of them


def front_page(predictor: Predictor, name: str) -> bytes:
    """The page at ``/``.

    The drawing page, which answers in the browser; for a model that was exported to ONNX, which has no layers for
    that, one that asks the service.
    """
    if hasattr(predictor, "session"):
        return _asking_page(predictor, name)
    from ..classifier import Classifier
    from ..export.proof import images_of
    from ..export.webpage import make

    assert isinstance(predictor, Classifier)
    return make(predictor, images_of(predictor), served=True)


def docs_page(description: Mapping[str, Any], about: Mapping[str, Any]) -> bytes:
    """The page at ``/docs``, made of the OpenAPI description: no script, nothing from elsewhere."""
    style = "\n".join(map(read, _STYLES))
    operations = [
        (method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    refusals = _of_all([operation["responses"] for _, _, operation in operations])
    text = environment("serving").get_template("docs.html").render(
        description=description,
        operations=operations,
        full=[operation["operationId"] for _, path, operation in operations if path in _IN_FULL],
        refusals=refusals,
        shared=[response for _, response in refusals],
        schemas=description["components"]["schemas"],
        about=about,
        example_of=lambda schema: json.dumps(_example(schema, description), indent=2, ensure_ascii=False),
        kind_of=_kind,
        style=style,
        script="",
        hash_of=hash_of,
        version=__version__,
    )  # fmt: skip
    return text.encode("utf-8", "xmlcharrefreplace")


def policy_of(page: bytes) -> str:
    """The content security policy that a page names, for its header, where frames can be forbidden too."""
    found = _POLICY.search(page.decode())
    assert found is not None  # every page of ours has one
    return f"{html.unescape(found[1])}; frame-ancestors 'none'"


def _asking_page(predictor: Predictor, name: str) -> bytes:
    told, rules = about_model(predictor, ""), predictor.rules
    model = {
        "classes": told["classes"],
        "shape": list(predictor.input_shape),
        "conformal": None if rules.conformal is None else rules.conformal.model_dump(mode="json"),
        "reasons": REASONS,
        "ink": page_spec(normalizing_spec(predictor), predictor.input_shape),
    }
    about = [("File", name), *([("Network", told["network"])] if told["network"] else [])]
    return desk_page(
        "serving/ask.js",
        model,
        about=[*about, *rejecting(rules.foreign is not None, rules.confidence)],
        provenance=told["provenance"],
        metrics={} if told["accuracy"] is None else {**told["accuracy"], "accuracy": told["accuracy"]["value"]},
        served=True,
    )


def _of_all(responses: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """The refusals that several requests have in common, word by word: each status with what it means, once."""
    found: list[tuple[str, Any]] = []
    pairs = (pair for each in responses for pair in each.items() if pair[0] >= "400")
    for status, response in sorted(pairs, key=lambda pair: pair[0]):
        alike = sum(each.get(status) == response for each in responses)
        if alike > 1 and (status, response) not in found:
            found.append((status, response))
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a word or two: ``list of Prediction``, ``number or null``."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object" and "additionalProperties" in schema and "properties" not in schema:
        return f"names with a {_kind(schema['additionalProperties'])} each"
    return str(schema.get("format") or schema.get("type") or "any")


def _example(schema: Mapping[str, Any], description: Mapping[str, Any]) -> Any:
    """A small value of the form that a schema describes."""
    if "$ref" in schema:
        return _example(description["components"]["schemas"][_kind(schema)], description)
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], description)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [""])[0])
    kind = schema.get("type")
    if kind == "object":
        return {name: _example(each, description) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        item = _example(schema.get("items", {}), description)
        return [item] * min(schema.get("minItems", 1), _IN_EXAMPLES) + ["…"] * (
            schema.get("minItems", 1) > _IN_EXAMPLES
        )
    return {"integer": 0, "number": 0.97, "boolean": False, "string": "…"}.get(str(kind))
