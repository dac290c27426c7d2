"""The digits that come with scikit-learn: 1,797 grey images of 8×8 pixels, in ten classes.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
"""

from __future__ import annotations

import numpy as np

from .dataset import Int64Array, UInt8Array


def read_digits() -> tuple[UInt8Array, Int64Array, tuple[str, ...]]:
    """Images uint8 (1797, 8, 8, 1), labels int64 (1797,), and the ten class names.

    The values 0 to 16 become 0 to 255, rounded: the 17 values stay distinct, and ``round(v * 16 / 255)``
    gives them back.
    """
    from sklearn.datasets import load_digits  # takes a second to import: only who asks for digits waits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    return images, digits.target.astype(np.int64), tuple(str(name) for name in digits.target_names)
