"""Training examples, and the batch of a step: gathered, augmented, preprocessed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import TrainingError
from ..nn import Inputs, InputShape, as_tensor
from ..seeding import derived_seed
from .losses import class_weights
from .state import TrainingState


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs with their labels.

    Attributes:
        inputs: uint8 images (N, H, W, C) or float32 features (N, D); in memory, on a device, or over a memory map.
        labels: int64 (N,).
        weights: float32 (N,), the weight of each example's loss, or None where all weigh 1.
    """

    inputs: Tensor
    labels: Tensor
    weights: Tensor | None = None

    @classmethod
    def of(cls, inputs: Inputs, labels: Inputs, weights: Inputs | None = None) -> Examples:
        """Examples from arrays or tensors, over the same memory.

        Raises:
            TrainingError: lengths that differ, another shape or type, or features that are not finite.
        """
        x, y = as_tensor(inputs), as_tensor(labels).to(torch.int64)
        if len(x) != len(y) or (weights is not None and len(weights) != len(y)):
            also = "" if weights is None else f" and {len(weights)} weights"
            raise TrainingError(f"{len(x)} inputs, {len(y)} labels{also}: there must be one of each for every example.")
        if x.ndim != 2 and not (x.ndim == 4 and x.dtype == torch.uint8):
            raise TrainingError(
                f"inputs are {str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}: they must be uint8 "
                "images (N, H, W, C), or features (N, D)."
            )
        if x.ndim == 2:
            x = x.to(torch.float32)
            if (bad := ~torch.isfinite(x).all(1)).any():
                row = int(bad.nonzero()[0, 0])
                raise TrainingError(f"input {row} holds NaN or infinity. Remove or fill such values first.")
        return cls(x, y, None if weights is None else as_tensor(weights).to(torch.float32))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_shape(self) -> InputShape:
        """(H, W, C) or (D,)."""
        shape: InputShape = tuple(self.inputs.shape[1:])  # type: ignore[assignment]  # `of` has checked its length
        return shape

    def on(self, device: torch.device) -> Examples:
        """The same examples on ``device``.

        Inputs that would take more than half of a GPU's free memory stay, and are copied batch by batch.
        """
        fits = device.type != "cuda" or self.inputs.nbytes < torch.cuda.mem_get_info(device)[0] // 2
        inputs = self.inputs.to(device) if fits else self.inputs
        return Examples(inputs, self.labels.to(device), None if self.weights is None else self.weights.to(device))

    def gather(self, index: Tensor) -> Tensor:
        """The inputs at ``index`` (int64, on the labels' device), on that device."""
        if self.inputs.device == self.labels.device:
            return self.inputs.index_select(0, index)
        return self.inputs.index_select(0, index.to(self.inputs.device)).to(index.device, non_blocking=True)


def batch_count(examples: int, batch_size: int) -> int:
    """How many batches an epoch has, none larger than ``batch_size``."""
    return -(-examples // min(batch_size, examples))


def epoch_order(examples: int, seed: int, epoch: int) -> Tensor:
    """The order of one epoch: int64 (examples,), a permutation drawn from ``seed`` and ``epoch`` alone."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "order", epoch))
    return torch.randperm(examples, generator=generator)


def balanced_order(labels: Tensor, seed: int, epoch: int) -> Tensor:
    """As many rows as there are labels, int64 (examples,), drawn with repetition so that each class is as frequent.

    Args:
        labels: int64 (examples,), on the CPU.
        seed, epoch: all that the draw depends on.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, "balanced order", epoch))
    present, counts = labels.unique(return_counts=True)
    drawn = torch.randint(len(present), (len(labels),), generator=generator)
    within = (torch.rand(len(labels), generator=generator, dtype=torch.float64) * counts[drawn]).long()
    return labels.argsort(stable=True)[(counts.cumsum(0) - counts)[drawn] + within]


# The batch of one step

GATHERED_AT_ONCE = 1 << 20
"""Bytes of float32 inputs gathered together: a small batch by itself takes several times as long as its share."""


class Batch(NamedTuple):
    """The batch of one step.

    Attributes:
        x: network inputs, float32 (n, C, H, W) or (n, D).
        labels: int64 (n,).
        targets: what the loss is measured against: the labels, or float32 (n, K).
        weights: of the losses, float32 (n,), or None where all weigh 1.
    """

    x: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor | None


class Batches:
    """The batches of one training, through the augmentation and preprocessing of its state."""

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
        if self._count > 1 and not self._augmenter.settings:
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
