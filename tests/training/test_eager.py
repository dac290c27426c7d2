"""PyTorch's optimizers out of their wrapping do what they do in it."""

from __future__ import annotations

import pytest
import torch

from glyphnet.training.muon import without_dynamo


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.LBFGS])
def test_the_same_bits_and_no_gradient_of_the_step(kind: type[torch.optim.Optimizer]) -> None:
    weights = []
    for made in (kind, without_dynamo(kind)):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
        optimizer = made([weight], lr=0.1)  # type: ignore[call-arg]  # every kind has it

        def closure(weight: torch.Tensor = weight, optimizer: torch.optim.Optimizer = optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            loss = (weight @ weight.T).square().sum() + weight.sum()
            loss.backward()
            return loss

        for _ in range(3):
            with torch.enable_grad():
                optimizer.step(closure)  # type: ignore[arg-type]  # torch types the closure as returning a float
        assert isinstance(optimizer, kind)
        assert weight.grad_fn is None, "a step is no part of what is differentiated"
        weights.append(weight.detach())
    assert torch.equal(*weights)
    assert not torch.equal(weights[0], torch.linspace(-1, 1, 12).reshape(3, 4))
