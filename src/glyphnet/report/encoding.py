"""Arrays as text that may stand inside a page."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt


def base64_of(values: npt.NDArray[np.generic], dtype: str) -> str:
    """The values as numbers of ``dtype`` ("<u2": uint16, lowest byte first), as base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()
