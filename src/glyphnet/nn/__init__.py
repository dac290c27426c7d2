"""Networks: their descriptions, building, cost and preprocessing.

A new network is a subclass of :class:`BaseSpec` and one row in ``networks.py``.
"""

from .inference import logits_in_batches
from .networks import NETWORKS, NetworkSpec, SavedNetworkSpec, build, parse_network, shallow_copy, without_head
from .preprocessing import Inputs, Mode, Preprocessing, as_tensor
from .spec import BaseSpec, InputShape
from .summary import LayerSummary, NetworkSummary, summary

__all__ = [
    "NETWORKS", "BaseSpec", "InputShape", "Inputs", "LayerSummary", "Mode", "NetworkSpec", "NetworkSummary",
    "Preprocessing", "SavedNetworkSpec", "as_tensor", "build", "logits_in_batches", "parse_network", "shallow_copy",
    "summary", "without_head",
]  # fmt: skip
