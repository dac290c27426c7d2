"""Losses: from logits and targets to one number an image.

To add one: a class here with a ``name`` and ``per_image``, and its name in ``LOSSES``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ..plugins import Table
from ..settings import OneOf, Settings, by_tag, not_a

_SHORT = 50
"""Classes up to which PyTorch's cross-entropy takes up to five times as long as its parts one by one."""

_FAR = -80.0
"""Below it nothing is left of an exponential beside a sum of 1 and more, but it takes ten times as long."""

Weight = Annotated[float, Field(gt=0.0)]


class Loss(Settings):
    """What every loss has.

    Attributes:
        label_smoothing: share of each target that is spread evenly over all classes (Szegedy et al., 2016).
        class_weight: factor on the loss of each class' images: "balanced" (inversely to the class' size, mean 1 over
            the images, as in scikit-learn), a weight a class in label order, or None.
    """

    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    class_weight: Literal["balanced"] | tuple[Weight, ...] | None = None
    name: str

    def per_image(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of each image: float (N,). Its bits do not depend on the other images of the batch.

        Args:
            logits: float (N, K).
            targets: int64 labels (N,), or the wanted probabilities, float (N, K), of which each row sums to 1.
        """
        raise NotImplementedError

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The derivatives of `per_image` by the logits: float (N, K). Takes what `per_image` takes."""
        raise NotImplementedError

    def with_gradient(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """`per_image` and `gradient` to within rounding, where both are wanted."""
        return self.per_image(logits, targets), self.gradient(logits, targets)

    def _wanted(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The smoothed targets as probabilities: float (N, K)."""
        if targets.ndim == 1:
            targets = F.one_hot(targets, logits.shape[1]).to(logits.dtype)
        if not self.label_smoothing:
            return targets
        return targets * (1.0 - self.label_smoothing) + self.label_smoothing / logits.shape[1]


class CrossEntropy(Loss):
    """−Σ t·log softmax(z): one class is right, the others are not."""

    name: Literal["cross_entropy"] = "cross_entropy"

    def per_image(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the softmax: float (N,)."""
        if logits.requires_grad or targets.ndim > 1 or logits.shape[1] > _SHORT:
            return F.cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)
        below = logits - logits.amax(1, keepdim=True)
        wanted = below.gather(1, targets[:, None])[:, 0]
        if self.label_smoothing:
            wanted = wanted.lerp(below.mean(1), self.label_smoothing)
        return below.clamp_(min=_FAR).exp_().sum(1).log_().sub_(wanted)

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Softmax minus targets."""
        # Classes first: over a short last dimension PyTorch's softmax takes up to ten times as long.
        gradient = torch.softmax(logits.t(), 0)
        if targets.ndim > 1:
            return gradient.t().sub_(self._wanted(logits, targets))
        if self.label_smoothing:
            gradient.sub_(self.label_smoothing / logits.shape[1])
        surely = gradient.new_full((1, len(targets)), self.label_smoothing - 1.0)
        return gradient.scatter_add_(0, targets[None], surely).t()

    def with_gradient(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Both from the same exponentials."""
        if targets.ndim > 1 or self.label_smoothing or logits.shape[1] > _SHORT:
            return super().with_gradient(logits, targets)
        below = logits.t().contiguous()
        below -= below.amax(0)
        wanted = below.gather(0, targets[None])[0]
        powers = below.clamp_(min=_FAR).exp_()
        total = powers.sum(0)
        gradient = powers.div_(total)
        gradient.scatter_add_(0, targets[None], gradient.new_full((1, len(targets)), -1.0))
        return total.log_().sub_(wanted), gradient.t()


class BinaryCrossEntropy(Loss):
    """−Σ t·log σ(z) + (1−t)·log(1−σ(z)), summed over the outputs: each output is its own yes or no.

    A `Classifier` still gives one class an image: see its ``predict_proba``.
    """

    name: Literal["binary_cross_entropy"] = "binary_cross_entropy"

    def per_image(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the sigmoids, summed over the K outputs: float (N,)."""
        wanted = self._wanted(logits, targets)
        return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(1)

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sigmoid minus targets."""
        return torch.sigmoid(logits).sub_(self._wanted(logits, targets))


class Focal(Loss):
    """−Σ t·(1−p)^gamma·log p with p = softmax(z): images that are answered surely count less.

    Lin et al., 2017, "Focal Loss for Dense Object Detection", https://arxiv.org/abs/1708.02002, equation 4, for several
    classes.

    Attributes:
        gamma: how much less; 0 is cross-entropy.
    """

    name: Literal["focal"] = "focal"
    gamma: Annotated[float, Field(ge=0.0, le=10.0)] = 2.0

    def per_image(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Focal loss: float (N,)."""
        log = F.log_softmax(logits, dim=1)
        return -(self._wanted(logits, targets) * (-torch.expm1(log)) ** self.gamma * log).sum(1)

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """By the chain rule over log p, whose derivative by the logits is the identity minus p."""
        log = F.log_softmax(logits, dim=1)
        probability, rest = log.exp(), -torch.expm1(log)
        steep = self.gamma * probability * log * rest.clamp(min=1e-12) ** (self.gamma - 1)
        inner = self._wanted(logits, targets) * (steep - rest**self.gamma)
        return inner - probability * inner.sum(1, keepdim=True)


LOSSES: Table[type[Loss]] = Table("losses", by_tag(CrossEntropy, BinaryCrossEntropy, Focal), not_a(Loss))
"""Each by its name in a recipe."""

AnyLoss = Annotated[Loss, OneOf(LOSSES)]
"""The type of a field of a recipe."""


def class_weights(loss: Loss, labels: Tensor, classes: int) -> Tensor | None:
    """The weight of each class: float32 (K,), or None where all weigh the same.

    Args:
        labels: int64 (N,), of the training images.
    """
    if loss.class_weight is None:
        return None
    if loss.class_weight == "balanced":
        counts = torch.bincount(labels, minlength=classes)
        return (len(labels) / (int((counts > 0).sum()) * counts.clamp(min=1).to(torch.float64))).to(torch.float32)
    return torch.tensor(loss.class_weight, dtype=torch.float32)


# Penalties on large weights: each with its value, for autograd, and its gradient, for the hand-written step


class Regularizer(NamedTuple):
    """A penalty that is a sum over the weights.

    Attributes:
        value: from a weight tensor to its penalty at strength 1: float32 ().
        gradient: from a weight tensor to the derivatives of `value`, of the weight's shape.
    """

    value: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor], Tensor]


def _fault(name: str, row: object) -> str:
    return "" if isinstance(row, Regularizer) else f"{row!r:.80} is not a glyphnet.training.losses.Regularizer"


REGULARIZERS: Table[Regularizer] = Table(
    "regularizers",
    {
        "l1": Regularizer(lambda weight: weight.abs().sum(), lambda weight: weight.sign()),
        "l2": Regularizer(lambda weight: 0.5 * weight.square().sum(), lambda weight: weight),
    },
    _fault,
)
"""Each regularizer by the name of its strength in a recipe."""
