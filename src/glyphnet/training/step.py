"""One training step: gather, augment, forward, backward, update."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .examples import Examples
from .losses import class_weights
from .optimizers import weights_of
from .state import TrainingState

Step = Callable[[Tensor], None]
"""Takes the indices of a batch, int64 (n,), on the training's device."""

FULL_BATCH_PART = 4096
"""Images of a full batch that are in the network at one time."""


class Steps:
    """The steps of one training over one set of examples.

    Args:
        state: what the steps change.
        examples: on the state's device, or left behind where they do not fit.
        classes: number of classes, K.
        dtype: in which the layers multiply.
    """

    def __init__(self, state: TrainingState, examples: Examples, classes: int, dtype: torch.dtype) -> None:
        self._state, self._examples, self._classes, self._dtype = state, examples, classes, dtype
        self._penalised = weights_of(state.network)
        self._weights = examples.weights
        by_class = class_weights(state.recipe.loss, examples.labels, classes)
        if by_class is not None:
            by_example = by_class[examples.labels]
            self._weights = by_example if self._weights is None else by_example * self._weights

    def losses(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Each example's weighted loss, float32 (n,), and whether it was answered right, bool (n,)."""
        state = self._state
        labels = self._examples.labels.index_select(0, index)
        targets = labels
        x = state.preprocessing.to_float(self._examples.gather(index))
        if state.augmenter.changes_images:
            x = state.augmenter(x)
        if state.augmenter.mixes_targets:
            x, targets = state.augmenter.mix(x, F.one_hot(labels, self._classes).to(x.dtype))
        x = state.preprocessing.normalise(x)
        with torch.autocast(x.device.type, self._dtype, enabled=self._dtype != torch.float32):
            logits = state.network(x)
        logits = logits.float()
        losses = state.recipe.loss.per_image(logits, targets)
        if self._weights is not None:
            losses = losses * self._weights.index_select(0, index)
        return losses, logits.detach().argmax(1) == labels

    def descend(self, index: Tensor) -> None:
        """One step of the optimizer on one batch."""
        losses, right = self.losses(index)
        self._state.optimizer.zero_grad(set_to_none=True)
        self._with_penalty(losses.mean()).backward()
        self._state.optimizer.step()
        self._count(losses, right)

    def descend_on_all(self, index: Tensor) -> bool:
        """One step of a full-batch optimizer, which may look at the loss several times; false if it found none."""
        state, total = self._state, len(index)
        parts = index.split(FULL_BATCH_PART)
        first_look = True

        def closure() -> Tensor:
            nonlocal first_look
            state.optimizer.zero_grad(set_to_none=True)
            loss = self._with_penalty(torch.zeros((), device=state.device))
            if loss.requires_grad:
                loss.backward()
            value = loss.detach().clone()
            for part in parts:
                losses, right = self.losses(part)
                (losses.sum() / total).backward()
                value += losses.detach().sum() / total
                if first_look:
                    self._count(losses, right)
            first_look = False
            return value

        before = _steps_taken(state.optimizer)
        state.optimizer.step(closure)  # type: ignore[arg-type]  # torch types the closure as returning a float
        return _steps_taken(state.optimizer) > before

    def _with_penalty(self, loss: Tensor) -> Tensor:
        l1, l2 = self._state.recipe.l1, self._state.recipe.l2
        if l1:
            loss = loss + l1 * torch.stack([weight.abs().sum() for weight in self._penalised]).sum()
        if l2:
            loss = loss + 0.5 * l2 * torch.stack([weight.square().sum() for weight in self._penalised]).sum()
        return loss

    def _count(self, losses: Tensor, right: Tensor) -> None:
        """Add to the epoch's totals; nothing is read back from the device."""
        totals = self._state.totals
        totals += torch.stack((losses.detach().sum().to(totals.dtype), right.sum().to(totals.dtype)))


def _steps_taken(optimizer: torch.optim.Optimizer) -> int:
    """How many iterations a full-batch optimizer has done; it does none once the gradient is small enough."""
    return max((int(slots.get("n_iter", 0)) for slots in optimizer.state.values()), default=0)


def make_step(steps: Steps, state: TrainingState, examples: Examples) -> Step:
    """The step for the state's device: captured in a CUDA graph where that is possible, else run as it is."""
    graph = state.device.type == "cuda" and state.recipe.optimizer.capturable and examples.inputs.is_cuda
    return GraphedStep(steps.descend, state) if graph else steps.descend


def set_learning_rate(state: TrainingState, factor: float) -> None:
    """Set every parameter group's rate to its full rate times ``factor``; where a graph reads it, in place."""
    for group, full in zip(state.optimizer.param_groups, state.full_rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(full * factor)
        else:
            group["lr"] = full * factor


class GraphedStep:
    """A step captured in a CUDA graph, one graph a batch size: replaying it costs one launch.

    The warm-up that a capture needs changes weights and optimizer; both, and the random numbers, are put back.
    """

    def __init__(self, step: Step, state: TrainingState) -> None:
        self._step, self._state = step, state
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}

    def __call__(self, index: Tensor) -> None:
        """Do the step on the examples at ``index``."""
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
