"""The digits that come with scikit-learn: 1,797 grey images of 8×8 pixels, in ten classes.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .dataset import Int64Array, UInt8Array

CLASSES = tuple("0123456789")


def read_digits() -> tuple[UInt8Array, Int64Array, tuple[str, ...]]:
    """Images uint8 (1797, 8, 8, 1), labels int64 (1797,), and the ten class names.

    The values 0 to 16 become 0 to 255, rounded: the 17 values stay distinct, and ``round(v * 16 / 255)``
    gives them back.
    """
    table = _table()
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    return images, table[:, -1].astype(np.int64), CLASSES


def _table() -> npt.NDArray[np.float64]:
    """The table that scikit-learn's ``load_digits`` reads, float64 (1797, 65): pixels row by row, label.

    It is read from scikit-learn's own file: importing scikit-learn for that takes a second. Where the file has moved,
    scikit-learn knows.
    """
    package = find_spec("sklearn")
    places = (package and package.submodule_search_locations) or []
    for file in (Path(place, "datasets", "data", "digits.csv.gz") for place in places):
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])
