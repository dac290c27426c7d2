"""The pages of the service: one to draw on, one that describes it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from ..answers import REASONS, Predictor
from ..pages.bundle import bundle, hash_of, script_json
from ..templates import environment, read

_STYLES = ("pages/house.css", "serving/service.css")
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
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
    text = environment("serving").get_template("docs.html").render(
        description=description,
        operations=[
            (method.upper(), path, operation)
            for path, methods in description["paths"].items()
            for method, operation in methods.items()
        ],
        schemas=description["components"]["schemas"],
        about=about,
        example_of=lambda schema: json.dumps(_example(schema, description), indent=2, ensure_ascii=False),
        kind_of=_kind,
        style=style,
        hash_of=hash_of,
    )  # fmt: skip
    return text.encode("utf-8", "xmlcharrefreplace")


def policy_of(page: bytes) -> str:
    """The content security policy that a page names, for its header, where frames can be forbidden too."""
    found = _POLICY.search(page.decode())
    assert found is not None  # every page of ours has one
    return f"{html.unescape(found[1])}; frame-ancestors 'none'"


def _asking_page(predictor: Predictor, name: str) -> bytes:
    style = "\n".join(map(read, (*_STYLES, "pages/drawing.css")))
    text = environment("serving").get_template("ask.html").render(
        name=name,
        model=script_json({"classes": list(predictor.classes), "reasons": REASONS}),
        style=style,
        script=bundle("serving/ask.js"),
        hash_of=hash_of,
    )  # fmt: skip
    return text.encode("utf-8", "xmlcharrefreplace")


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
