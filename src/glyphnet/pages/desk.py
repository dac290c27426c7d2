"""The page to draw on: the same for a model in the page and for one that a service runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._version import __version__
from ..data.dataset import size_in_words
from ..templates import environment, read
from ..units import digits_for, in_a_word, page_percent, percent_number
from .bundle import bundle, hash_of, script_json

STYLES = ("pages/house.css", "pages/drawing.css")


def desk_page(
    script: str,
    model: Mapping[str, Any],
    *,
    about: Sequence[tuple[str, str]],
    provenance: Mapping[str, Any],
    metrics: Mapping[str, Any],
    weights: str | None = None,
    served: bool = False,
) -> bytes:
    """The page as UTF-8.

    Args:
        script: its first module, by its path in the package.
        model: what ``Described`` in ``pages/js/weights.js`` holds, and for a model in the page all of ``Model``.
        about: names and values for the model card: what the network is, when it says "none of these".
        provenance: of the model: "data", "created" and "versions".
        metrics: of the model: empty if it was never evaluated.
        weights: in base64; None if a service has them.
        served: whether a service shows the page, which has other pages to link to.
    """
    judged = None
    if {"accuracy", "interval", "n", "judged_on"} <= metrics.keys():  # else the model was never evaluated
        judged = {"headline": "accuracy", "headline_interval": None, **metrics}
    height, width, channels = model["shape"]
    templates = environment("pages")
    templates.filters |= {"percent": page_percent, "percent_number": percent_number}
    text = templates.get_template("drawing.html").render(
        subject=in_a_word(model["classes"]), origin=provenance, about=about, judged=judged,
        digits=digits_for(metrics["n"]) if judged else None,
        size=f"{size_in_words(height, width)} pixels, {'grey' if channels == 1 else 'colour'}",
        classes=model["classes"], ink=model["ink"]["kind"] == "ink", model=script_json(model), weights=weights,
        style="\n".join(map(read, STYLES)), script=bundle(script), hash_of=hash_of, version=__version__, served=served,
    )  # fmt: skip
    # Lone surrogates in a class name become character references.
    return text.encode("utf-8", "xmlcharrefreplace")


def rejecting(foreign: bool, threshold: float | None) -> list[tuple[str, str]]:
    """The line of the model card that tells when the model says "none of these"; empty if it never does."""
    when = ["if a picture is unlike its training images"] if foreign else []
    when += [] if threshold is None else [f"below {page_percent(threshold, 0)} sure"]
    return [("Says “none of these”", " or ".join(when))] if when else []
