"""skorch around the plain PyTorch network; no validation, no printing."""

from __future__ import annotations

from typing import Any

import torch
from _turns import Turns
from _works import Data, Int64Array, Work
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from .torch_networks import labels_of, measure_norms, network_of, optimizer_of, tensors_of


class _Pause(Callback):
    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self._turns.epoch_over()


def train(work: Work, data: Data, turns: Turns, wanted: int) -> tuple[Int64Array, str]:
    """Train for so many turns; the labels given to the test images, and a note."""
    inputs, labels, test = tensors_of(work, data)
    kind, rate = optimizer_of(work)
    net = NeuralNetClassifier(
        network_of(work, inputs.shape[1]), criterion=torch.nn.CrossEntropyLoss, optimizer=kind, lr=rate,
        batch_size=work.batch, max_epochs=wanted * work.epochs, train_split=None, verbose=0,
        iterator_train__shuffle=True, callbacks=[("pause", _Pause(turns))], callbacks__print_log=None,
    )  # fmt: skip
    net.fit(inputs, labels)
    measure_norms(net.module_, inputs.split(work.batch))
    return labels_of(net.module_, test), ""
