"""The batch of a step: gathered, augmented, preprocessed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .examples import Examples
from .losses import class_weights
from .state import TrainingState

GATHERED_AT_ONCE = 1 << 20
"""Bytes of float32 inputs that are gathered at one time, however many batches they are: a small batch by itself takes
several times as long as its share of this."""


class Batch(NamedTuple):
    """The batch of one step.

    Attributes:
        x: as the network takes it: float32 (n, C, H, W) or (n, D).
        labels: int64 (n,).
        targets: what the loss is measured against: the labels, or float32 (n, K).
        weights: of the losses, float32 (n,), or None where all weigh 1.
    """

    x: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor | None


class Batches:
    """The batches of one training.

    Args:
        state: whose augmentation and preprocessing they go through.
        examples: on the state's device, or left behind where they do not fit.
        classes: number of classes, K.
    """

    def __init__(self, state: TrainingState, examples: Examples, classes: int) -> None:
        self.examples = examples
        self._alone = state.collective.size == 1
        self._augmenter, self._preprocessing, self._classes = state.augmenter, state.preprocessing, classes
        self._weights = examples.weights
        by_class = class_weights(state.recipe.loss, examples.labels, classes)
        if by_class is not None:
            by_example = by_class[examples.labels]
            self._weights = by_example if self._weights is None else by_example * self._weights
        self._coming: deque[Tensor] = deque()
        self._ready: deque[tuple[Tensor, Batch]] = deque()
        self._count = 1

    def expect(self, indices: Sequence[Tensor], first: int) -> None:
        """Announce the indices of the next batches, and the first of them; others may come between.

        Nothing changes but the time: what is drawn at random is drawn when a batch is asked for.
        """
        if len(indices) == 1 or not self._alone or self.examples.labels.device.type != "cpu":
            return
        self._count = GATHERED_AT_ONCE // (4 * self.examples.inputs[0].numel() * len(indices[0]))
        if self._count > 1 and not self._augmenter.changes_batches:
            self._coming, self._ready = deque(indices[first:]), deque()

    def __call__(self, index: Tensor) -> Batch:
        """The examples at ``index``, int64 (n,), augmented, as the network takes them."""
        if not self._ready and self._coming and self._coming[0] is index:
            self._gather_ahead()
        if self._ready and self._ready[0][0] is index:
            return self._ready.popleft()[1]
        return self._gathered(index)

    def _gather_ahead(self) -> None:
        """Prepare the next few batches."""
        indices = [self._coming.popleft() for _ in range(min(self._count, len(self._coming)))]
        whole, sizes = self._gathered(torch.cat(indices)), [len(index) for index in indices]
        x, labels = whole.x.split(sizes), whole.labels.split(sizes)
        weights = [None] * len(indices) if whole.weights is None else whole.weights.split(sizes)
        self._ready.extend(zip(indices, map(Batch, x, labels, labels, weights), strict=True))

    def _gathered(self, index: Tensor) -> Batch:
        labels = targets = self.examples.labels.index_select(0, index)
        weights = None if self._weights is None else self._weights.index_select(0, index)
        x = self._preprocessing.to_float(self.examples.gather(index))
        if self._augmenter.changes_images:
            x = self._augmenter(x)
        if self._augmenter.mixes_targets:
            x, targets = self._augmenter.mix(x, F.one_hot(labels, self._classes).to(x.dtype))
        return Batch(self._preprocessing.normalise(x), labels, targets, weights)
