"""Plain PyTorch, all images in one tensor: the loop that one writes first, float32, default layout and threads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from _turns import Turns
from _works import Data, Int64Array, Work
from torch import Tensor, nn

from .torch_networks import labels_of, measure_norms, network_of, optimizer_of, tensors_of


def train(work: Work, data: Data, turns: Turns, wanted: int) -> tuple[Int64Array, str]:
    """Train for so many turns; the labels given to the test images, and a note."""
    inputs, labels, test = tensors_of(work, data)
    if work.optimizer == "lbfgs":

        def fit(seed: int) -> tuple[nn.Module, int]:
            network = network_of(work, inputs.shape[1], seed)
            return network, _minimise(network, inputs, labels, work.epochs)

        return labels_of(turns.of_fits(wanted, work.fits, fit), test), ""
    network = network_of(work, inputs.shape[1])
    kind, rate = optimizer_of(work)
    optimizer = kind(network.parameters(), lr=rate)
    for _ in range(wanted * work.epochs):
        for index in torch.randperm(len(inputs)).split(work.batch):
            loss = F.cross_entropy(network(inputs[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        turns.epoch_over()
    measure_norms(network, inputs.split(work.batch))
    return labels_of(network, test), ""


def _minimise(network: nn.Module, inputs: Tensor, labels: Tensor, iterations: int) -> int:
    """One fit by L-BFGS on all images; the iterations done."""
    optimizer = torch.optim.LBFGS(
        network.parameters(), max_iter=iterations, max_eval=25 * iterations, history_size=10,
        tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(inputs), labels)
        loss.backward()
        return loss  # type: ignore[return-value]  # torch takes the tensor

    optimizer.step(closure)
    return int(next(iter(optimizer.state.values()))["n_iter"])
