"""The drawing page: draw or drop a picture, and see what the network makes of it, in the browser alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._version import __version__
from .bundle import bundle, environment, hash_of, read, script_json

STYLES = ("pages/house.css", "pages/drawing.css")


@dataclass(frozen=True)
class Card:
    """What whoever draws should know of the model.

    Attributes:
        title: what it recognises ("mnist").
        accuracy: the figure that says how good it is, "99.18 %", or "" where it was never judged.
        how_sure: the interval and the count behind it, or "".
        rows: names and values, in order.
        measure: what the figure is: "accuracy", or "balanced accuracy".
    """

    title: str
    accuracy: str
    how_sure: str
    rows: tuple[tuple[str, str], ...]
    measure: str = "accuracy"


def drawing_page(model: Mapping[str, Any], weights: str, card: Card) -> str:
    """The page as text.

    Args:
        model: what ``pages/js/weights.js`` reads: classes, threshold, temperature, shape, preprocessing, layers,
            foreign, conformal, reasons, tensors, ink; plain JSON values.
        weights: base64 of all tensors, one behind the other.
        card: about the model.
    """
    style, script = "\n".join(map(read, STYLES)), bundle("pages/js/drawing.js")
    return environment("pages").get_template("drawing.html").render(
        card=card,
        classes=model["classes"],
        ink=model["ink"]["kind"] == "ink",
        threshold=model["threshold"],
        model=script_json(model),
        weights=weights,
        style=style,
        script=script,
        hash_of=hash_of,
        version=__version__,
    )  # fmt: skip
