"""Which labs there are. Each is imported when it is called, so that the list is there at once."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import SettingsError
from ..settings import suggestion
from .lab import Lab

LABS: dict[str, tuple[str, str]] = {
    "digits": (".digits", "a small network on 8×8 digits: when it converges, what a stop and a split do"),
    "xor": (".xor", "how many hidden units XOR needs, from many starts at once; other points too"),
    "pulse": (".pulse", "a square pulse out of sigmoids: what each hidden unit adds"),
    "first-net": (".first_net", "a first network on MNIST: curves, confusions, dead units, ReLU against sigmoid"),
    "dropout": (".dropout", "the gap between training and validation, with and without dropout; and convolutions"),
    "regularisation": (".regularisation", "dropout, L1, L2, batch norm, augmentation, early stopping: what helps when"),
    "networks": (".networks", "fully connected, convolutional, recurrent: parameters, FLOPs, time, accuracy"),
    "classical": (".classical", "the table of methods, from K-means to our networks, by accuracy and time"),
    "scratch": (".scratch", "a network in NumPy alone on MNIST: cost curves, gradient check, solvers, over-fitting"),
    "cnn": (".cnn", "what convolution does, and why a shifted digit breaks a fully connected network"),
}
"""Name → (module of this package that holds ``LAB``, line for the list)."""


def load_lab(name: str) -> Lab[Any]:
    """The lab of that name.

    Raises:
        SettingsError: there is none.
    """
    if name not in LABS:
        raise SettingsError(f'There is no lab "{name}"{suggestion(name, LABS)}')
    lab = import_module(LABS[name][0], __package__).LAB
    assert isinstance(lab, Lab)
    return lab
