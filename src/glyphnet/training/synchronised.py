"""Batch norm over the parts of a batch that several processes have."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from .collective import Collective


def synchronise(network: nn.Module, collective: Collective) -> nn.Module:
    """Exchange the batch norms of ``network``, in place, for such as look at the whole batch.

    Parameters and buffers stay the same tensors. The buffers are the same in all processes.
    """
    if next(network.parameters()).is_cuda:
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return converted
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                parent.add_module(name, SynchronisedBatchNorm.over(child, collective))
    return network


class SynchronisedBatchNorm(_BatchNorm):
    """Batch norm whose mean and variance are those of all processes' images: torch.nn.SyncBatchNorm for processors.

    Made of a batch norm by `over`; the parameters and the buffers are the same tensors.
    """

    collective: Collective

    @classmethod
    def over(cls, norm: _BatchNorm, collective: Collective) -> SynchronisedBatchNorm:
        """One with ``norm``'s settings, over its tensors."""
        with torch.device("meta"):
            made = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        made._parameters, made._buffers, made.training = norm._parameters, norm._buffers, norm.training
        made.collective = collective
        return made

    def _check_input_dim(self, input: Tensor) -> None:
        """Everything goes that has channels second."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (n, C, …); while training by the moments of all processes' images."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            mean, var, count = _moments_of_all(input, self.collective)
            self.num_batches_tracked += 1
            share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(var * (count / (count - 1)), share)
        arguments = (input, self.weight, self.bias, mean, var, count, self.eps, self.collective)
        normalised: Tensor = _Normalise.apply(*arguments)  # type: ignore[no-untyped-call]
        return normalised


def _moments_of_all(x: Tensor, collective: Collective) -> tuple[Tensor, Tensor, float]:
    """Mean and (biased) variance of each channel, float32 (C,), over all processes, and the values of a channel."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    var, mean = torch.var_mean(x.float(), axes, correction=0)
    count = x.numel() // x.shape[1]
    # A row a process, all others zero: added up they are gathered, whatever connects the processes.
    rows = torch.zeros(collective.size, 2 * len(mean) + 1, device=x.device)
    rows[collective.rank] = torch.cat((mean, var, mean.new_tensor([count])))
    means, variances, counts = collective.sum(rows).double().split([len(mean), len(mean), 1], dim=1)
    shares = counts / counts.sum()
    mean64 = (shares * means).sum(0)
    # Chan, Golub and LeVeque, 1983: the spread within the parts, and that of their means.
    var64 = (shares * (variances + (means - mean64).square())).sum(0)
    return mean64.float(), var64.float(), float(counts.sum())


class _Normalise(torch.autograd.Function):
    """(x − mean)/√(var + eps)·weight + bias, with the gradient of a batch norm over all processes' images."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
        count: float,
        eps: float,
        collective: Collective,
    ) -> Tensor:
        """Normalise ``x``, whose moments over all processes ``mean`` and ``var`` are, of ``count`` values each."""
        ctx.save_for_backward(x, weight, mean, var)
        ctx.count, ctx.eps, ctx.collective = count, eps, collective
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """As if mean and variance were constants, then less what they take along (Ioffe and Szegedy, 2015, §3)."""
        x, weight, mean, var = ctx.saved_tensors
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        along_bias, along_weight = ctx.collective.sum(torch.stack((of_bias, of_weight))).div(ctx.count)
        inverse = (var + ctx.eps).rsqrt()
        slope = weight * inverse.square() * along_weight
        constant = weight * inverse * along_bias - slope * mean
        shape = (1, -1, *[1] * (x.ndim - 2))
        of_x = of_x - torch.addcmul(constant.view(shape), x, slope.view(shape))
        return of_x.to(x.dtype), of_weight, of_bias, None, None, None, None, None
