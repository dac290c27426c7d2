"""The width of strokes: measured, and changed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..dataset import UInt8Array


def stroke_widths(amounts: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Mean width of the strokes in each of (N, H, W), in pixels: float64 (N,).

    Twice the area over the length of the outline; as grey levels count for both, blurring changes neither. The
    outline is measured along rows and columns, which makes the widths of slanting strokes come out smaller.
    """
    padded = np.pad(amounts.astype(np.int32), ((0, 0), (1, 1), (1, 1)))
    outline = sum(np.abs(np.diff(padded, axis=axis)).sum(axis=(1, 2), dtype=np.int64) for axis in (1, 2))
    widths: npt.NDArray[np.float64] = 2 * padded.sum(axis=(1, 2), dtype=np.int64) / np.maximum(outline, 1)
    return widths


def thicken(amount: UInt8Array, steps: int) -> UInt8Array:
    """Dilate by so many pixels, or erode where ``steps`` is negative: nearly round, by a cross and a square in turn."""
    grow = np.maximum if steps > 0 else np.minimum
    for step in range(abs(steps)):
        padded = np.pad(amount, 1)
        if step % 2:
            rows = grow(grow(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
            amount = grow(grow(rows[:-2], rows[1:-1]), rows[2:])
        else:
            upright = grow(padded[:-2, 1:-1], padded[2:, 1:-1])
            amount = grow(grow(upright, grow(padded[1:-1, :-2], padded[1:-1, 2:])), amount)
    return amount
