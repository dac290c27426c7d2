"""The web page format: the model and the drawing page in one HTML file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from ..answers import REASONS
from ..classifier import Classifier
from ..data.dataset import size_in_words
from ..data.ink import page_spec
from ..images import normalizing_spec
from ..nn.prototypes import FLAT, OUTSIDE
from ..pages import Card, drawing_page
from .layers import parted_layers
from .pageweights import Encoding, Weights, described
from .proof import HeldOutImages, compare
from .replay import answer

TOLERANCE = 1e-3
"""How far a page's probabilities may be from the classifier's own."""


def make(classifier: Classifier, held_out: HeldOutImages) -> bytes:
    """The content of the page: with 16-bit weights, or with 32-bit ones where those do not answer as the model does."""
    expected = classifier.answer(held_out.images, as_is=True)
    content = b""
    for encoding in get_args(Encoding):
        content = _page(classifier, encoding)
        proof = compare(expected, answer(content, held_out.images), held_out.source)
        if proof.holds(TOLERANCE):
            break
    return content


def _page(classifier: Classifier, encoding: Encoding) -> bytes:
    weights = Weights(encoding)
    parted = parted_layers(classifier.network)
    layers = described((*parted.body, *parted.rest), weights)
    model = {
        "classes": list(classifier.classes),
        "threshold": classifier.threshold,
        "temperature": classifier.temperature,
        "shape": list(classifier.input_shape),
        "preprocessing": classifier.preprocessing.model_dump(mode="json"),
        "layers": layers,
        "foreign": _foreign(classifier, len(parted.body), weights),
        "conformal": None if classifier.conformal is None else classifier.conformal.model_dump(mode="json"),
        "reasons": REASONS,
        "tensors": weights.tensors,
        "ink": page_spec(normalizing_spec(classifier), classifier.input_shape),
    }
    text = drawing_page(model, weights.base64(), card_of(classifier))
    # A name that is no valid Unicode has lone surrogates: they become character references.
    return text.encode("utf-8", "xmlcharrefreplace")


def _foreign(classifier: Classifier, after: int, weights: Weights) -> dict[str, Any] | None:
    """What ``pages/js/foreign.js`` takes: the prototypes, and the limits of the score; ``after`` so many layers."""
    prototypes = classifier.prototypes
    if prototypes is None:
        return None
    return {
        "after": after,
        "features": prototypes.features,
        "directions": weights.small(prototypes.directions),
        "weights": weights.plain(prototypes.weights),
        "contrast": prototypes.contrast,
        "roughness": prototypes.roughness if math.isfinite(prototypes.roughness) else None,
        "outside": OUTSIDE,
        "flat": FLAT,
        "threshold": classifier.foreign_threshold,
        "twice": prototypes.twice,
    }


def card_of(classifier: Classifier) -> Card:
    """What a person should know of a classifier before believing it."""
    height, width, channels = classifier.input_shape
    origin, metrics = classifier.provenance, classifier.metrics
    parameters = sum(parameter.numel() for parameter in classifier.network.parameters())
    accuracy, how_sure = _judged(metrics)
    rows = {
        "Trained on": origin.data,
        "Trained": origin.created,
        "Network": f"{classifier.spec.kind}, {parameters:,} weights",
        "Images": f"{size_in_words(height, width)} pixels, {'grey' if channels == 1 else 'colour'}",
        "Accuracy": f"{_percent(metrics['accuracy'], metrics['n'])} on {metrics['judged_on']}" if accuracy else "",
        "Says “none of these”": _rejects(classifier),
        "Made with": f"GlyphNet {origin.versions.get('glyphnet', '')}".strip(),
    }
    title = origin.data or "Model"
    measure = "balanced accuracy" if metrics.get("headline") == "balanced_accuracy" else "accuracy"
    shown = tuple((name, value) for name, value in rows.items() if value)
    return Card(title, accuracy, how_sure, shown, measure=measure)


def _rejects(classifier: Classifier) -> str:
    rules = {
        "if a picture is unlike its training images": classifier.foreign_threshold is not None,
        f"below {100 * (classifier.threshold or 0):.0f}\u202f % sure": bool(classifier.threshold),
    }
    return " or ".join(name for name, holds in rules.items() if holds)


def _judged(metrics: Mapping[str, Any]) -> tuple[str, str]:
    """The headline figure, and the interval with the count behind it; empty where the model was never judged."""
    if not {"accuracy", "interval", "n", "judged_on"} <= metrics.keys():
        return "", ""
    headline, interval = metrics.get("headline", "accuracy"), metrics.get("headline_interval") or metrics["interval"]
    low, high = (_percent(side, metrics["n"]) for side in interval)
    sure = f"95\u202f% interval {low.removesuffix(_PERCENT)}–{high}, n\u202f=\u202f{metrics['n']:,}"
    return _percent(metrics[headline], metrics["n"]), sure


_PERCENT = "\u202f%"


def _percent(share: float, n: int) -> str:
    return f"{100 * share:.{2 if n >= 5000 else 1}f}{_PERCENT}"
