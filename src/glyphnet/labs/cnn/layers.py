"""What the layers do: how much of the image a unit sees, and what changes inside when the image moves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...classifier import Classifier, Float32Array
from ...explain import activations

if TYPE_CHECKING:
    from .experiment import Done

MOVED = 2
"""Pixels by which images are moved here: one cell after the first pooling."""

_LOOKED_AT = 20  # images


def fields(classifier: Classifier) -> list[dict[str, Any]]:
    """Side of the square of pixels that one unit of each convolution and pooling sees, and the pixels between units.

    A window of k cells that lie j pixels apart sees (k − 1)·j pixels more than one of them does.
    """
    found, sees, apart = [], 1, 1
    for name, layer in classifier.network.named_children():
        if not hasattr(layer, "kernel_size"):
            continue
        kernel, stride = (_side(getattr(layer, key)) for key in ("kernel_size", "stride"))
        sees, apart = sees + (kernel - 1) * apart, apart * stride
        found.append({"layer": name, "sees": sees, "apart": apart})
    return found


def changes(done: Done) -> dict[str, Any]:
    """How much each layer's values change when the image moves by ``MOVED`` pixels, and once they are moved back.

    ‖after − before‖ / ‖before‖ over some test images, with the networks trained without shifts. "stays" compares place
    with place; "moved_back" first moves the maps back by as many cells as the image was moved by, where that is a whole
    number, and leaves out what came in at the border.
    """
    from .experiment import shifted

    images = done.splits.test.images[:_LOOKED_AT]
    moved = shifted(images, 0, MOVED)
    cnn, mlp = (done.trained[name][0].classifier for name in ("cnn", "mlp"))
    apart = {row["layer"]: row["apart"] for row in fields(cnn)}
    before, after = ([layers_of(cnn, image) for image in some] for some in (images, moved))
    found: dict[str, Any] = {
        "pixels": {"stays": _change(images.astype(np.float32), moved.astype(np.float32)), "moved_back": 0.0},
        "mlp hidden": {"stays": _change(*(_hidden(mlp, some) for some in (images, moved))), "moved_back": None},
    }
    for layer in apart:
        a, b = (np.stack([maps[layer] for maps in some]) for some in (before, after))
        cells, rest = divmod(MOVED, apart[layer])
        edge = 2 + cells  # where the border's black shows in the maps
        inner = slice(edge, -edge)
        found[layer] = {
            "stays": _change(a, b),
            "moved_back": None if rest else _change(a[:, inner, inner], np.roll(b, -cells, axis=2)[:, inner, inner]),
        }
    return found


def layers_of(classifier: Classifier, image: Any) -> dict[str, Float32Array]:
    """What each layer gives for an image (H, W, C), by its name."""
    as_it_is = replace(classifier, normalize=False)  # a moved drawing would be moved back
    return {layer.name: layer.values for layer in activations(as_it_is, image)}


def _hidden(classifier: Classifier, images: Any) -> Float32Array:
    return classifier.features(images, as_is=True)


def _change(before: Any, after: Any) -> float:
    return float(np.linalg.norm(after - before) / max(float(np.linalg.norm(before)), 1e-30))


def _side(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)
