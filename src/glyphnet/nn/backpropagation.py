"""Hand-written forward and backward pass of fully connected networks.

Autograd records each operation and then walks back through its records. In layers as small as these the records take
as long as the arithmetic. The formulas are the usual ones (Rumelhart, Hinton and Williams, 1986), and are tested
against autograd. Convolutional networks gained only a tenth, so they are left to autograd.
"""

from __future__ import annotations

from torch import Tensor, nn

from ._passes import PASSES
from .products import uses_onednn


class Backpropagation:
    """The passes of one network on the processor, in float32. Its gradients are new each time, never added up.

    Args:
        network: for which `covers` is true.
    """

    def __init__(self, network: nn.Module) -> None:
        self._passes = [PASSES[type(layer)](layer) for layer in network.children()]
        # Below the lowest layer that learns nobody asks for derivatives.
        self._lowest = next(index for index, each in enumerate(self._passes) if each.learns)

    @staticmethod
    def covers(network: nn.Module) -> bool:
        """Whether all layers are of kinds that are written out here."""
        return isinstance(network, nn.Sequential) and all(type(layer) in PASSES for layer in network)

    @staticmethod
    def lay_out(network: nn.Module) -> None:
        """Lay weights out anew in memory, column by column, where a small batch then takes less time.

        With MKL that is up to half the time; with oneDNN a tenth less if the layer does not narrow, and else no less.
        Whatever else refers to a weight's memory must be made afterwards.
        """
        narrowing_too = not uses_onednn()
        for parameter in network.parameters():
            if parameter.ndim == 2 and (narrowing_too or parameter.shape[0] >= parameter.shape[1]):
                parameter.data = parameter.data.t().contiguous().t()

    def forward(self, x: Tensor) -> Tensor:
        """The logits, float32 (N, K), of inputs float32 (N, C, H, W) or (N, D), with dropout at work."""
        for each in self._passes:
            x = each.forward(x)
        return x

    def backward(self, gradient: Tensor) -> None:
        """Set each parameter's ``grad``, which lies in memory as the parameter does.

        Args:
            gradient: the derivatives by the last `forward`'s logits, float32 (N, K).
        """
        for index in range(len(self._passes) - 1, self._lowest - 1, -1):
            gradient = self._passes[index].backward(gradient, index > self._lowest)
