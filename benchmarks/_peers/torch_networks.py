"""The networks as a user of PyTorch writes them, and what all peers that stand on it share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from _works import CLASSES, Data, Int64Array, Work
from torch import Tensor, nn

_ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def network_of(work: Work, features: int, seed: int = 0) -> nn.Module:
    """An untrained network, logits out; an MLP takes (N, features), the others (N, C, H, W)."""
    torch.manual_seed(seed)
    return {"mlp": _mlp, "conv": _conv, "residual": _residual}[work.network](work, features)


def optimizer_of(work: Work) -> tuple[Callable[..., torch.optim.Optimizer], float]:
    """The optimizer's class and its learning rate."""
    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[work.optimizer], work.rate


def tensors_of(work: Work, data: Data) -> tuple[Tensor, Tensor, Tensor]:
    """Training inputs, labels, test inputs; images as PyTorch has them, (N, C, H, W), contiguous."""
    inputs, test = (_channels_first(torch.from_numpy(x)) for x in data.floats(work))
    return inputs, torch.from_numpy(data.labels), test


@torch.no_grad()
def measure_norms(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Have batch norms take the means and variances of the training images anew; without any, no batch is asked for.

    Those that they have gathered are of other weights, to a different degree from step to step: after few steps of a
    quick training accuracy then hangs on when it is asked for.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    if norms:
        network.train()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
        for batch in batches:
            network(batch)


@torch.inference_mode()
def labels_of(network: nn.Module, inputs: Tensor) -> Int64Array:
    network.eval()
    return np.concatenate([network(part).argmax(1).numpy() for part in inputs.split(1000)])


def _channels_first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x


def _mlp(work: Work, features: int) -> nn.Module:
    layers: list[nn.Module] = []
    for width in work.hidden:
        layers += [nn.Linear(features, width), _ACTIVATIONS[work.activation]()]
        if work.dropout:
            layers.append(nn.Dropout(work.dropout))
        features = width
    return nn.Sequential(*layers, nn.Linear(features, CLASSES))


def _conv(work: Work, features: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(work.dropout), nn.Linear(1600, CLASSES),
    )  # fmt: skip


def _residual(work: Work, features: int) -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        _Block(32, 32, 1), _Block(32, 64, 2), _Block(64, 128, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, CLASSES),
    )  # fmt: skip
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    return network


class _Block(nn.Module):
    """Two normalised 3×3 convolutions and the input added; the second norm starts at 0, as in our own network."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.norm2.weight)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        branch = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(branch)) + self.shortcut(x))
