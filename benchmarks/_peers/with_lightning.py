"""PyTorch Lightning around the plain PyTorch network; no logger, no checkpoints, no progress bar."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as lightning
import torch.nn.functional as F
from _turns import Turns
from _works import Data, Int64Array, Work
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

from .torch_networks import labels_of, measure_norms, network_of, optimizer_of, tensors_of


class _Module(lightning.LightningModule):
    def __init__(self, work: Work, features: int) -> None:
        super().__init__()
        self.work, self.network = work, network_of(work, features)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, y = batch
        return F.cross_entropy(self.network(x), y)

    def configure_optimizers(self) -> Optimizer:
        kind, rate = optimizer_of(self.work)
        return kind(self.parameters(), lr=rate)


class _Pause(lightning.Callback):
    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self._turns.epoch_over()


def train(work: Work, data: Data, turns: Turns, wanted: int) -> tuple[Int64Array, str]:
    """Train for so many turns; the labels given to the test images, and a note."""
    inputs, labels, test = tensors_of(work, data)
    module = _Module(work, inputs.shape[1])
    trainer = lightning.Trainer(
        max_epochs=wanted * work.epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[_Pause(turns)],
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(inputs, labels), batch_size=work.batch, shuffle=True))
    measure_norms(module.network, inputs.split(work.batch))
    return labels_of(module.network, test), ""
