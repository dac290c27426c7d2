"""Seeds for the parts of one experiment, derived from the seed that the user gave.

Purposes in use: "weights" (initial weights), "order" (of the examples, each epoch), "steps" (augmentation and dropout,
each epoch), "steps of process R" (the same, each step of process R of several), "fold" (each of a cross-validation),
"search" (each trial of a tuning).
"""

from __future__ import annotations

import hashlib


def derived_seed(seed: int, purpose: str, number: int = 0) -> int:
    """A seed in [0, 2⁶³) for one purpose, independent of those for all others.

    Args:
        seed: the experiment's.
        purpose: what is drawn with it.
        number: of the epoch, fold or trial.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1
