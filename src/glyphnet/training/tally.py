"""Counting while a network learns: the summed loss, and how many answers were right."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .losses import Loss

COUNTED_AT_ONCE = 64
"""Steps whose answers are counted together: for small networks counting costs as much as a step's arithmetic."""


class Answers(NamedTuple):
    """What a network said to a batch, and what it should have said.

    Attributes:
        logits: float32 (n, K), not changed any more.
        labels: int64 (n,).
        targets: what the loss is measured against: the labels, or float (n, K).
        weights: float32 (n,) of the losses, or None.
    """

    logits: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor | None

    @property
    def right(self) -> Tensor:
        """Which answers are right: bool (n,)."""
        return self.logits.max(1).indices == self.labels  # half the time of argmax, and the same

    def weighted(self, losses: Tensor) -> Tensor:
        """Losses of these examples, float32 (n,), as much as each weighs."""
        return losses if self.weights is None else losses * self.weights


class Tally:
    """The totals of the epoch now running.

    Args:
        loss: from answers and targets to losses.
        device: where the training is.
    """

    def __init__(self, loss: Loss, device: torch.device) -> None:
        self.device = device
        self._loss = loss
        self._totals = torch.zeros(2, dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
        self._waiting: list[Answers] = []

    def totals(self) -> Tensor:
        """Summed loss and number of right answers, all of them: float64 (2,) on the device, the live tensor."""
        if self._waiting:
            self._count_waiting()
        return self._totals

    def counts(self, losses: Tensor, right: Tensor) -> Tensor:
        """What a batch adds to the totals; nothing is read back from the device.

        Args:
            losses: float (n,), weighted.
            right: bool (n,).
        """
        return torch.stack((losses.detach().sum().to(self._totals.dtype), right.sum().to(self._totals.dtype)))

    def add(self, counts: Tensor) -> None:
        """Add what `counts` gave."""
        self._totals += counts

    def count_later(self, answers: Answers) -> None:
        """Add a batch when the totals are next asked for, or with the next few dozen."""
        self._waiting.append(answers)
        if len(self._waiting) >= COUNTED_AT_ONCE:
            self._count_waiting()

    def losses(self, answers: Answers) -> Tensor:
        """The weighted loss of each example: float32 (n,)."""
        return answers.weighted(self._loss.per_image(answers.logits, answers.targets))

    def _count_waiting(self) -> None:
        logits, labels, targets, weights = zip(*self._waiting, strict=True)
        self._waiting.clear()
        wanted = torch.cat(labels)
        together = Answers(
            torch.cat(logits),
            wanted,
            wanted if targets[0] is labels[0] else torch.cat(targets),
            None if weights[0] is None else torch.cat(weights),
        )
        # One after another: how many are counted together must not show, for a run may be stopped in between.
        losses = self.losses(together).to(self._totals.dtype)
        self._totals[0] = torch.cat((self._totals[:1], losses)).cumsum(0)[-1]
        self._totals[1] += together.right.sum()
