"""Resizing, in a way that can be told exactly."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..dataset import UInt8Array


def resized(grey: UInt8Array, height: int, width: int, method: Image.Resampling) -> UInt8Array:
    """A grey picture (h, w) in another size, rows first.

    Pillow by itself chooses which direction comes first, by rules that change with its versions, and as it rounds in
    between, the last bits depend on it.
    """
    rows = Image.fromarray(grey).resize((width, grey.shape[0]), method)
    return np.asarray(rows.resize((width, height), method))
