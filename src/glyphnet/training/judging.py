"""Judging a network between epochs."""

from __future__ import annotations

from torch import nn

from ..nn import Preprocessing, logits_in_batches
from .examples import Examples
from .recipe import Recipe
from .state import HistoryRow

JUDGED_AT_ONCE = 1000
"""Validation examples in the network at one time."""


def judge(network: nn.Module, preprocessing: Preprocessing, examples: Examples, recipe: Recipe) -> tuple[float, float]:
    """Mean loss (without penalties and weights) and accuracy of ``network`` on ``examples``."""
    loss = right = 0.0
    labels = examples.labels.split(JUDGED_AT_ONCE)
    answers = logits_in_batches(network, preprocessing, examples.inputs, batch_size=JUDGED_AT_ONCE)
    for logits, wanted in zip(answers, labels, strict=True):
        loss += recipe.loss.per_image(logits, wanted).sum().item()
        right += (logits.argmax(1) == wanted).sum().item()
    return loss / len(examples), right / len(examples)


def is_better(row: HistoryRow, than: HistoryRow) -> bool:
    """Whether an epoch's validation is better: by accuracy, and by loss where that is equal."""
    return (row["val_accuracy"] or 0.0, -(row["val_loss"] or 0.0)) > (
        than["val_accuracy"] or 0.0,
        -(than["val_loss"] or 0.0),
    )
