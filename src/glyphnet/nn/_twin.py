"""Looking into a network without touching it: other modules over the same weights."""

from __future__ import annotations

from torch import nn


def twin(module: nn.Module) -> nn.Module:
    """A network of its own over the same weights.

    Hooks, modes and layers of the twin can be changed, in any thread and with any error on the way, and the
    first network knows nothing of it. No weight is copied; hooks of the first one are not taken over.
    """
    other = module.__class__.__new__(module.__class__)
    other.__dict__ = {name: type(value)() if "_hooks" in name else value for name, value in module.__dict__.items()}
    other.__dict__["_modules"] = {name: child and twin(child) for name, child in module._modules.items()}
    return other


def without_head(network: nn.Module) -> nn.Module:
    """The network up to its last layer, over the same weights: it gives what ``head`` would take."""
    other = twin(network)
    other.add_module("head", nn.Identity())
    return other
