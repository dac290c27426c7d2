"""Training examples: inputs with labels, gathered by batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import TrainingError
from ..nn import Inputs, InputShape, as_tensor
from ..seeding import derived_seed


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
            raise TrainingError(
                f"{len(x)} inputs, {len(y)} labels"
                + (f" and {len(weights)} weights" if weights is not None else "")
                + ": there must be one of each for every example."
            )
        if x.ndim != 2 and not (x.ndim == 4 and x.dtype == torch.uint8):
            raise TrainingError(
                f"inputs are {str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}: they must be uint8 "
                "images (N, H, W, C), or features (N, D)."
            )
        if x.ndim == 2:
            x = x.to(torch.float32)
            if not bool(torch.isfinite(x).all()):
                row = int((~torch.isfinite(x).all(1)).nonzero()[0, 0])
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
        """The same examples on ``device`` if they fit; labels and weights always, inputs if they take less
        than half of the memory that is free there. Inputs left behind are copied batch by batch.
        """
        inputs = self.inputs
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if inputs.nbytes < free // 2:
                inputs = inputs.to(device)
        elif device.type != "cpu":
            inputs = inputs.to(device)
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
