"""A step in a CUDA graph: the whole of it costs one launch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .state import TrainingState


class GraphedStep:
    """A step captured in a CUDA graph, one graph a batch size: replaying it costs one launch.

    The warm-up that a capture needs changes weights and optimizer; both, and the random numbers, are put back.
    """

    def __init__(self, step: Callable[[Tensor], None], state: TrainingState) -> None:
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
