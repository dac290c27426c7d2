"""Optimizers, each described by its settings: PyTorch's own, and two that are faster here.

Weight decay and the L1 and L2 penalties act on weights alone (tensors of two dimensions or more), never on biases or
norms. To add an optimizer: a class here with a ``name`` and ``build``, and its name in ``OPTIMIZERS``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..plugins import Table
from ..settings import OneOf, Settings, by_tag, not_a
from . import muon

Rate = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class Optimizer(Settings):
    """The base of all optimizers: a learning rate, and how to build it."""

    full_batch: ClassVar[bool] = False
    """Whether a step looks at all images at once, through a closure."""

    capturable: ClassVar[bool] = True
    """Whether its step can be part of a CUDA graph."""

    lr: Rate = 1e-3
    name: str

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """The optimizer over ``network``'s parameters, at its full learning rate."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    Attributes:
        lr: the learning rate.
        momentum: share of the last step that the next one keeps.
        nesterov: look ahead by the momentum before taking the gradient's word.
    """

    name: Literal["sgd"] = "sgd"
    lr: Rate = 0.1
    momentum: Share = 0.9
    nesterov: bool = False

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """PyTorch's fused SGD."""
        return muon.without_dynamo(torch.optim.SGD)(
            network.parameters(), lr=_rate(self.lr, network), momentum=self.momentum,
            nesterov=self.nesterov and self.momentum > 0, fused=_fused(network),
        )  # fmt: skip


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015).

    Attributes:
        lr: the learning rate.
        betas: share of the averaged gradient, and of the averaged squared gradient, that stays at each step.
        eps: added to the root of the averaged square, so that nothing is divided by 0.
    """

    name: Literal["adam"] = "adam"
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Rate = 1e-8

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """PyTorch's fused Adam."""
        return muon.without_dynamo(torch.optim.Adam)(
            network.parameters(), lr=_rate(self.lr, network), betas=self.betas, eps=self.eps, **_fused_adam(network)
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Attributes:
        lr: the learning rate.
        betas: share of the averaged gradient, and of the averaged squared gradient, that stays at each step.
        eps: added to the root of the averaged square, so that nothing is divided by 0.
        weight_decay: share of each weight, times the learning rate, that every step takes away.
    """

    name: Literal["adamw"] = "adamw"
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Rate = 1e-8
    weight_decay: NotNegative = 0.01

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """PyTorch's fused AdamW; biases and norms do not decay."""
        return muon.without_dynamo(torch.optim.AdamW)(
            _decay_groups(network.parameters(), self.weight_decay), lr=_rate(self.lr, network),
            betas=self.betas, eps=self.eps, **_fused_adam(network),
        )  # fmt: skip


class Muon(Optimizer):
    """Muon (Jordan et al., 2024): orthogonalised momentum, for weights; AdamW for biases, norms and the head.

    For a layer of M×N weights, M the smaller, a step multiplies as often as the layer's own passes over
    M·(0.7 + 6·M/N) images do: 200 images where it is 128×784, 7,000 where it is 1024×1024. With wide layers in small
    batches AdamW is quicker.

    Attributes:
        lr: the learning rate of the weights, in Muon's own scale.
        momentum: share of the averaged gradient that stays at each step.
        nesterov: look ahead by the momentum.
        weight_decay: share of each weight, times the learning rate, that every step takes away.
        adam_lr: AdamW's learning rate. A schedule multiplies both.
    """

    name: Literal["muon"] = "muon"
    lr: Rate = 0.02
    momentum: Share = 0.95
    nesterov: bool = True
    weight_decay: NotNegative = 0.0
    adam_lr: Rate = 1e-3

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """Muon on the weights, PyTorch's fused AdamW on the rest, as one optimizer."""
        head = {id(parameter) for parameter in getattr(network, "head", nn.Module()).parameters()}
        weights = [p for p in network.parameters() if p.ndim >= 2 and id(p) not in head]
        rest = [p for p in network.parameters() if p.ndim < 2 or id(p) in head]
        parts: list[torch.optim.Optimizer] = []
        if weights:
            own = self.model_dump(include={"momentum", "nesterov", "weight_decay"})
            parts.append(muon.Muon(weights, lr=_rate(self.lr, network), **own))
        if rest:
            groups, rate = _decay_groups(rest, self.weight_decay), _rate(self.adam_lr, network)
            parts.append(muon.without_dynamo(torch.optim.AdamW)(groups, lr=rate, **_fused_adam(network)))
        return muon.Together(*parts)


class LBFGS(Optimizer):
    """L-BFGS on the full batch, one iteration an epoch, with a strong-Wolfe line search (Nocedal and Wright, ch. 7).

    Attributes:
        lr: length of the first step tried in each line search.
        history_size: number of past steps from which the curvature is estimated.
        tolerance: the training has converged when no gradient is larger.
    """

    full_batch: ClassVar[bool] = True
    capturable: ClassVar[bool] = False

    name: Literal["lbfgs"] = "lbfgs"
    lr: Rate = 1.0
    history_size: Annotated[int, Field(ge=1, le=1000)] = 10
    tolerance: NotNegative = 1e-5

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """L-BFGS over all parameters; one call of ``step`` is one iteration."""
        # It takes all gradients as one flat vector, which it cannot if they lie channels last.
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch has it
        return muon.without_dynamo(torch.optim.LBFGS)(
            network.parameters(), lr=self.lr, max_iter=1, max_eval=_MOST_LOOKS, tolerance_grad=self.tolerance,
            tolerance_change=0.0, history_size=self.history_size, line_search_fn="strong_wolfe",
        )  # fmt: skip


_MOST_LOOKS = 25
"""Looks at the loss in one line search of L-BFGS."""

AT_ONCE = 4096
"""Images of a full batch that are in the network at one time."""

OPTIMIZERS: Table[type[Optimizer]] = Table("optimizers", by_tag(SGD, Adam, AdamW, Muon, LBFGS), not_a(Optimizer))
"""Each by its name in a recipe."""

AnyOptimizer = Annotated[Optimizer, OneOf(OPTIMIZERS)]
"""The type of a field of a recipe."""


def weights_of(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that decay and penalties act on: all but biases and norms."""
    return [parameter for parameter in network.parameters() if parameter.ndim >= 2]


def _decay_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _fused(network: nn.Module) -> bool:
    return next(network.parameters()).device.type in ("cpu", "cuda")


def _fused_adam(network: nn.Module) -> dict[str, Any]:
    return {"fused": _fused(network), "capturable": next(network.parameters()).is_cuda}


def _rate(lr: float, network: nn.Module) -> float | Tensor:
    """The rate as a tensor where a CUDA graph must read it at each replay."""
    device = next(network.parameters()).device
    return torch.tensor(lr, device=device) if device.type == "cuda" else lr
