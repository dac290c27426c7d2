"""What a step looks at: gathered, augmented, preprocessed."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from .examples import Examples
from .losses import class_weights
from .state import TrainingState


class Batch(NamedTuple):
    """What one step looks at.

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
        self._augmenter, self._preprocessing, self._classes = state.augmenter, state.preprocessing, classes
        self._weights = examples.weights
        by_class = class_weights(state.recipe.loss, examples.labels, classes)
        if by_class is not None:
            by_example = by_class[examples.labels]
            self._weights = by_example if self._weights is None else by_example * self._weights

    def __call__(self, index: Tensor) -> Batch:
        """The examples at ``index``, int64 (n,), augmented, as the network takes them."""
        labels = targets = self.examples.labels.index_select(0, index)
        weights = None if self._weights is None else self._weights.index_select(0, index)
        x = self._preprocessing.to_float(self.examples.gather(index))
        if self._augmenter.changes_images:
            x = self._augmenter(x)
        if self._augmenter.mixes_targets:
            x, targets = self._augmenter.mix(x, F.one_hot(labels, self._classes).to(x.dtype))
        return Batch(self._preprocessing.normalise(x), labels, targets, weights)
