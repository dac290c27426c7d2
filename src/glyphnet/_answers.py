"""What a predictor calls its answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NONE_OF_THESE = "none of these"
"""What a rejected image is called."""


def class_names(
    probabilities: npt.NDArray[np.floating], classes: Sequence[str], threshold: float | None = None
) -> list[str]:
    """The name of the likeliest class in each row of ``probabilities``, (N, K): N names.

    With a threshold, ``none of these`` where the likeliest class has less than it.
    """
    least = 0.0 if threshold is None else threshold
    return [classes[row.argmax()] if row.max() >= least else NONE_OF_THESE for row in probabilities]
