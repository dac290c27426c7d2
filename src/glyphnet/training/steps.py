"""Training steps: forward, backward, update; through autograd, in a CUDA graph, or on the full batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from .collective import Collective, FlatGradients
from .examples import Batch, Batches
from .fast.step import FusedStep, Gradients
from .optimizers import AT_ONCE, weights_of
from .state import Answers, TrainingState


class AutogradStep:
    """A step with autograd's gradients, for any network and device; the layers multiply in ``dtype``."""

    def __init__(self, state: TrainingState, batches: Batches, dtype: torch.dtype) -> None:
        self._state, self._batches, self._dtype = state, batches, dtype
        self._penalised = weights_of(state.network)
        self._network, self._shared = state.network, None
        if state.collective.size > 1:
            self._network = synchronise(state.network, state.collective)
            self._shared = FlatGradients(list(state.network.parameters()), state.collective)

    def losses(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Each example's weighted loss, float32 (n,), and whether it was answered right, bool (n,)."""
        x, labels, targets, weights = self._batches(index)
        with torch.autocast(x.device.type, self._dtype, enabled=self._dtype != torch.float32):
            logits = self._network(x)
        answers = Answers(logits.float(), labels, targets, weights)
        return self._state.metrics.losses(answers), answers.right

    def __call__(self, index: Tensor) -> None:
        """Run the step on the examples at ``index``, of which each process of a group takes its part."""
        losses, right = self.losses(self._state.collective.part(index))
        self.clear_gradients()
        self.with_penalty(self.share_of_mean(losses, len(index))).backward()
        counts = self.average_gradients(self._state.metrics.counts(losses, right))
        self._state.optimizer.step()
        self._state.metrics.add(counts)

    def clear_gradients(self) -> None:
        """Begin a backward pass."""
        if self._shared is None:
            self._state.optimizer.zero_grad(set_to_none=True)
        else:
            self._shared.clear()

    def average_gradients(self, counts: Tensor) -> Tensor:
        """Make the gradients the mean of all processes'; ``counts`` of `Metrics`, their sum over the processes."""
        return counts if self._shared is None else self._shared.average(counts)

    def share_of_mean(self, losses: Tensor, total: int) -> Tensor:
        """This process' share of the mean of ``total`` losses; the average over the processes is the mean."""
        return losses.mean() if len(losses) == total else losses.sum() * (self._state.collective.size / total)

    def with_penalty(self, loss: Tensor) -> Tensor:
        """``loss`` plus the recipe's penalties."""
        for regularizer, strength in self._state.recipe.penalties:
            loss = loss + strength * torch.stack([regularizer.value(weight) for weight in self._penalised]).sum()
        return loss


Step = Callable[[Tensor], None]
"""Takes the indices of a batch, int64 (n,), on the training's device."""


def make_step(state: TrainingState, batches: Batches, dtype: torch.dtype) -> Step:
    """The fastest step: captured in a CUDA graph, or with hand-written gradients, where possible."""
    step = AutogradStep(state, batches, dtype)
    if state.recipe.optimizer.full_batch:
        return FullBatchStep(step, state, batches, dtype)
    if state.collective.size > 1:
        return step
    if state.device.type == "cuda" and state.recipe.optimizer.capturable and batches.examples.inputs.is_cuda:
        return GraphedStep(step, state)
    return FusedStep(state, batches) if Gradients.suits(state, dtype) else step


def set_learning_rate(state: TrainingState, factor: float) -> None:
    """Set every parameter group's rate to its full rate times ``factor``; in place if a CUDA graph reads it."""
    for group, full in zip(state.optimizer.param_groups, state.full_rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(full * factor)
        else:
            group["lr"] = full * factor


class GraphedStep:
    """A step captured in a CUDA graph, one for each batch size: a replay costs one launch.

    The warm-up that a capture needs changes weights and optimizer; both, and the random numbers, are put back.
    """

    def __init__(self, step: Callable[[Tensor], None], state: TrainingState) -> None:
        self._step, self._state = step, state
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}

    def __call__(self, index: Tensor) -> None:
        """Run the step on the examples at ``index``."""
        if len(index) not in self._graphs:
            self._graphs[len(index)] = self._capture(index)
        graph, static_index = self._graphs[len(index)]
        static_index.copy_(index)
        graph.replay()

    def _capture(self, index: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        device, static_index = self._state.device, index.clone()
        random = torch.cuda.get_rng_state(device)
        before = {id(tensor): tensor.detach().clone() for tensor in self._live_tensors()}
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._step(static_index)
        torch.cuda.current_stream(device).wait_stream(stream)
        with torch.no_grad():
            for tensor in self._live_tensors():
                # What the warm-up made (moments, step counts) begins at zero.
                tensor.copy_(before[id(tensor)]) if id(tensor) in before else tensor.zero_()
        torch.cuda.set_rng_state(random, device)
        self._state.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step(static_index)
        return graph, static_index

    def _live_tensors(self) -> list[Tensor]:
        state = self._state
        moments = [
            value for slots in state.optimizer.state.values() for value in slots.values() if isinstance(value, Tensor)
        ]
        return [*state.network.parameters(), *state.network.buffers(), *moments, state.totals]


# Full-batch optimizers


class _Look(NamedTuple):
    """One pass over all examples: the mean loss with penalties, float32 (), the weighted loss of each, float32 (n,),
    and which were answered rightly, bool (n,). The gradients are in the parameters."""

    loss: Tensor
    losses: Tensor
    right: Callable[[], Tensor]


class FullBatchStep:
    """A step of a full-batch optimizer, with autograd's gradients or hand-written ones.

    It needs no random numbers: such optimizers allow nothing that is drawn.
    """

    def __init__(self, autograd: AutogradStep, state: TrainingState, batches: Batches, dtype: torch.dtype) -> None:
        self._autograd, self._state, self._batches, self._optimizer = autograd, state, batches, state.optimizer
        by_hand = Gradients.suits(state, dtype) and len(batches.examples) <= AT_ONCE
        self._gradients = Gradients(state.network, state.recipe) if by_hand else None
        self._whole: Batch | None = None
        self._last: _Look | None = None
        self._looked_at = torch.empty(0)  # the weights at which `_last` was seen
        self._parameters = list(state.network.parameters())

    def __call__(self, index: Tensor) -> None:
        """Run the step on the examples at ``index``: all of them."""
        start = self._weights()
        calls = 0

        def closure() -> Tensor:
            nonlocal calls
            here = start if calls == 0 else self._weights()
            # A step mostly begins where the line search of the one before has looked last.
            if calls or self._last is None or not torch.equal(here, self._looked_at):
                self._looked_at = here
                self._last = self._look(index) if self._gradients is None else self._look_by_hand(index)
                for parameter in self._parameters:
                    if parameter.grad is not None:
                        parameter.grad = parameter.grad.contiguous()  # PyTorch's L-BFGS takes a view as one row
            if calls == 0:
                counts = self._state.metrics.counts(self._last.losses, self._last.right())
                self._state.metrics.add(self._state.collective.sum(counts))
            calls += 1
            return self._last.loss

        self._optimizer.step(closure)  # type: ignore[arg-type]  # it takes the tensor
        # Where it has not moved, the next step would begin where this one has, and so end there, too.
        self._state.converged = torch.equal(start, self._weights())

    def _weights(self) -> Tensor:
        """A copy of all weights: float (n,)."""
        return torch.cat([weight.detach().reshape(-1) for weight in self._parameters])

    def _look(self, index: Tensor) -> _Look:
        """Compute the parameters' gradients, part by part."""
        self._autograd.clear_gradients()
        loss = self._autograd.with_penalty(torch.zeros((), device=self._state.device))
        if loss.requires_grad:
            loss.backward()
        value = loss.detach().clone()
        seen = []
        for part in index.tensor_split(-(-len(index) // AT_ONCE)):
            losses, right = self._autograd.losses(self._state.collective.part(part))
            share = losses.sum() * self._state.collective.size / len(index)
            share.backward()
            value += share.detach()
            seen.append((losses.detach(), right))
        value = self._autograd.average_gradients(value.expand(2))[0] / self._state.collective.size
        every, all_right = (torch.cat(each) for each in zip(*seen, strict=True))
        return _Look(value, every, lambda: all_right)

    @torch.no_grad()
    def _look_by_hand(self, index: Tensor) -> _Look:
        """The same in one part."""
        assert self._gradients is not None
        self._whole = self._whole or self._batches(index)
        answers = self._gradients.forward(self._whole)
        losses, gradient = self._state.recipe.loss.with_gradient(answers.logits, answers.targets)
        self._gradients.backward(answers, gradient)
        losses = answers.weighted(losses)
        return _Look(self._autograd.with_penalty(losses.mean()), losses, lambda: answers.right)


# Batch norm over the parts of a batch that several processes have


def synchronise(network: nn.Module, collective: Collective) -> nn.Module:
    """Replace the batch norms of ``network``, in place, by `SynchronisedBatchNorm`.

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
        """Any input with channels second will do."""

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
        normalised: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            input, self.weight, self.bias, mean, var, count, self.eps, self.collective
        )
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
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, count: float, eps: float,
        collective: Collective,
    ) -> Tensor:  # fmt: skip
        """Normalise ``x``, whose moments over all processes are ``mean`` and ``var``, of ``count`` values each."""
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
