"""What a training gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..nn import Preprocessing
from .state import HistoryRow

Ending = Literal["finished", "early_stopping", "converged", "stopped"]


@dataclass(frozen=True, eq=False)
class FitResult:
    """What a training gave.

    Attributes:
        network: on the CPU, in evaluation mode, with the weights of ``best_epoch``.
        preprocessing: measured on the training inputs.
        history: a row an epoch; see `HistoryRow`.
        best_epoch: the epoch (from 1) whose weights were kept; 0 if none was finished.
        ending: "finished" all epochs, "early_stopping", "converged" (L-BFGS), or "stopped" by a watcher.
        seconds: spent in training and validation, pauses left out.
        device, precision, threads, processes: how the arithmetic was done; the threads are those of one process.
    """

    network: nn.Module
    preprocessing: Preprocessing
    history: list[HistoryRow]
    best_epoch: int
    ending: Ending
    seconds: float
    device: str
    precision: str
    threads: int
    processes: int = 1
