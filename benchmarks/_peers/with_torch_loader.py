"""Plain PyTorch with a DataLoader, in the process itself, as its tutorials have it."""

from __future__ import annotations

import torch.nn.functional as F
from _turns import Turns
from _works import Data, Int64Array, Work
from torch.utils.data import DataLoader, TensorDataset

from .torch_networks import labels_of, measure_norms, network_of, optimizer_of, tensors_of


def train(work: Work, data: Data, turns: Turns, wanted: int) -> tuple[Int64Array, str]:
    """Train for so many turns; the labels given to the test images, and a note."""
    inputs, labels, test = tensors_of(work, data)
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=work.batch, shuffle=True)
    network = network_of(work, inputs.shape[1])
    kind, rate = optimizer_of(work)
    optimizer = kind(network.parameters(), lr=rate)
    for _ in range(wanted * work.epochs):
        for x, y in loader:
            loss = F.cross_entropy(network(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        turns.epoch_over()
    measure_norms(network, inputs.split(work.batch))
    return labels_of(network, test), ""
