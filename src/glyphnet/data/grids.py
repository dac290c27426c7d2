"""Averages of pictures on a coarse grid."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt


def averaging(size: int, cells: int) -> npt.NDArray[np.float32]:
    """A matrix that averages ``size`` pixels into at most so many cells, float32 (cells, size)."""
    cells = min(cells, size)
    matrix = np.zeros((cells, size), dtype=np.float32)
    edges = np.linspace(0, size, cells + 1).round().astype(int)
    for cell, (start, end) in enumerate(pairwise(edges)):
        matrix[cell, start:end] = 1 / (end - start)
    return matrix
