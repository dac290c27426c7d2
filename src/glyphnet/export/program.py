"""The PyTorch format: a program of torch.export, which runs without GlyphNet wherever PyTorch does.

::

    program = torch.export.load("model.pt2").module()
    probabilities = program(images)     # uint8 (N, H, W, C) to float32 (N, K)
"""

from __future__ import annotations

import copy
import io
import json
import warnings

import numpy as np
import torch
from torch import Tensor, nn

from ..classifier import Classifier
from ..data.dataset import UInt8Array
from ..nn import Preprocessing
from .proof import Given, HeldOutImages

_AT_ONCE = 512  # images


class _Whole(nn.Module):
    """From pixels to probabilities: preprocessing, network, softmax with temperature."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self._preprocessing = preprocessing
        # As Preprocessing does, whose tensors are cached by device, which a program cannot hold.
        self.mean = nn.Buffer(torch.tensor(preprocessing.mean).reshape(-1, 1, 1))
        self.std = nn.Buffer(torch.tensor(preprocessing.std).reshape(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        x = self._preprocessing.to_float(images)
        x = (x - self.mean) / self.std if len(self.mean) else self._preprocessing.normalise(x)
        return torch.softmax(self.network(x) / self.temperature, dim=1)


def make(classifier: Classifier, _: HeldOutImages | None = None) -> bytes:
    """The content of the ``.pt2`` file; ``glyphnet.json`` in it holds classes, threshold and provenance."""
    network = copy.deepcopy(classifier.network).cpu().eval()
    # The archive stores each tensor's memory as it is, which must be contiguous.
    network.load_state_dict({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, assign=True)
    whole = _Whole(network, classifier.preprocessing, classifier.temperature).eval()
    example = torch.zeros(2, *classifier.input_shape, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        # An LSTM also keeps its weights in a list; the program holds them nevertheless.
        warnings.filterwarnings("ignore", message="The tensor attributes .* were assigned during export")
        program = torch.export.export(whole, (example,), dynamic_shapes=({0: torch.export.Dim("N", min=1)},))
    about = {
        "classes": list(classifier.classes),
        "threshold": classifier.threshold,
        "temperature": classifier.temperature,
        "provenance": classifier.provenance.model_dump(mode="json"),
    }
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={"glyphnet.json": json.dumps(about)})
    return file.getvalue()


def answer(content: bytes, images: UInt8Array) -> Given:
    """Probabilities of the program, loaded as its user would load it."""
    program = torch.export.load(io.BytesIO(content)).module()
    with torch.inference_mode():
        parts = [
            program(torch.from_numpy(np.array(images[start : start + _AT_ONCE]))).numpy()
            for start in range(0, len(images), _AT_ONCE)
        ]
    return Given(np.concatenate(parts))
