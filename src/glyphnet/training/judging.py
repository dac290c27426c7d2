"""Judging a network between epochs."""

from __future__ import annotations

import torch
from torch import nn

from ..nn import Preprocessing, logits_in_batches
from .collective import ALONE, Collective
from .examples import Examples
from .recipe import Recipe
from .state import HistoryRow


def judge(
    network: nn.Module,
    preprocessing: Preprocessing,
    examples: Examples,
    recipe: Recipe,
    collective: Collective = ALONE,
) -> tuple[float, float]:
    """Mean loss (without penalties and weights) and accuracy of ``network`` on ``examples``.

    Of several processes each looks at a part, and all get the same figures.
    """
    loss = right = 0.0
    inputs, labels = collective.part(examples.inputs), collective.part(examples.labels)
    for logits in logits_in_batches(network, preprocessing, inputs) if len(labels) else ():
        wanted, labels = labels[: len(logits)], labels[len(logits) :]
        loss += recipe.loss.per_image(logits, wanted).sum().item()
        right += (logits.argmax(1) == wanted).sum().item()
    loss, right = collective.sum(torch.tensor([loss, right], dtype=torch.float64)).tolist()
    return loss / len(examples), right / len(examples)


def is_better(row: HistoryRow, than: HistoryRow) -> bool:
    """Whether an epoch's validation is better: by accuracy, and by loss where that is equal."""
    return (row["val_accuracy"] or 0.0, -(row["val_loss"] or 0.0)) > (
        than["val_accuracy"] or 0.0,
        -(than["val_loss"] or 0.0),
    )
