"""What a trained model knows beside its network, for tests of models that nothing was trained for."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from glyphnet.conformal import Conformal
from glyphnet.nn.prototypes import Prototypes
from glyphnet.nn.scoring import compared_width


def knowing(network: nn.Module) -> dict[str, Any]:
    """Prototypes, their threshold, and a calibration of sets: parts of a `Classifier`."""
    directions = np.random.default_rng(7).integers(-127, 128, (9, compared_width(network)), dtype=np.int8)
    weights = np.linspace(0.5, 1.5, 9, dtype=np.float32)
    return {
        "prototypes": Prototypes(directions, weights, contrast=0.05, roughness=2.0, twice=True),
        "foreign_threshold": 0.6,
        "conformal": Conformal(score="ratio", images=99, ranks=(50, 90, 99), values=(0.0, 0.5, 0.9)),
    }
