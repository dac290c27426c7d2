"""Networks: their descriptions, building, cost and preprocessing.

A new network is a subclass of :class:`BaseSpec` and one row in ``networks.py``. Descriptions load no torch; what
computes is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .networks import NETWORKS, NetworkSpec, SavedNetworkSpec, build, parse_network
from .preprocessing import Inputs, Mode, Preprocessing, as_tensor
from .spec import BaseSpec, InputShape

if TYPE_CHECKING:
    from .cost import LayerSummary, NetworkSummary, summary
    from .inference import logits_in_batches
    from .modules import shallow_copy, without_head

__all__ = [
    "NETWORKS", "BaseSpec", "InputShape", "Inputs", "LayerSummary", "Mode", "NetworkSpec", "NetworkSummary",
    "Preprocessing", "SavedNetworkSpec", "as_tensor", "build", "logits_in_batches", "parse_network", "shallow_copy",
    "summary", "without_head",
]  # fmt: skip

_HOMES = {
    "LayerSummary": "cost", "NetworkSummary": "cost", "summary": "cost", "logits_in_batches": "inference",
    "shallow_copy": "modules", "without_head": "modules",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
