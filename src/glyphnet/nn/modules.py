"""Described layers as modules of torch, our own kinds of layers, and networks over the same weights."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .described import ACTIVATIONS, Described, residual_block

# From descriptions to modules


def sequential(layers: Mapping[str, Described | nn.Module]) -> nn.Sequential:
    """The layers one after the other; those that are described are built, in this order."""
    built = {name: module_of(layer) if isinstance(layer, Described) else layer for name, layer in layers.items()}
    return nn.Sequential(OrderedDict(built))


def module_of(layer: Described) -> nn.Module:
    """A layer as its description says."""
    if layer.type == "Sequential":
        return sequential(layer.parts)
    kind = _OWN.get(layer.type) or getattr(nn, layer.type)
    module: nn.Module = kind(**layer.settings)
    return module


def initialise_convolutions(network: nn.Module) -> nn.Module:
    """The network with new weights of its convolutions, normal with the variance 2 / (outputs of a group · kernel²)."""
    for layer in network.modules():
        # On the meta device there is nothing to set, and PyTorch would load its compiler for it.
        if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.groups > 1:
                with torch.no_grad():
                    layer.weight *= layer.groups**0.5
    return network


ACTIVATION_TYPES: dict[str, type[nn.Module]] = {name: getattr(nn, made) for name, made in ACTIVATIONS.items()}
"""Each activation by its name in `described.ACTIVATIONS`."""

_RISING = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh)


def pooled_first(layers: Iterable[nn.Module]) -> list[nn.Module]:
    """The same layers, with each max-pooling in front of the activation before it, which then sees a quarter of the
    pixels: of an activation that rises the largest stays the largest.
    """
    ordered = list(layers)
    for index in range(1, len(ordered)):
        first, second = ordered[index - 1 : index + 1]
        if isinstance(first, _RISING) and isinstance(second, nn.MaxPool2d):
            ordered[index - 1 : index + 1] = second, first
    return ordered


# Our own layers


class Flatten(nn.Module):
    """Lays images (N, C, H, W) out as vectors (N, H·W·C), in the order (row, column, channel); vectors stay.

    ``nn.Flatten`` has the order (channel, row, column). Images lie in memory channels last: it would copy them, forward
    and backward, and leave the pooling before it a gradient in the wrong order. That cost as much as the rest of a
    small network.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The vectors; of channels-last images a view."""
        return x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x


class ResidualBlock(nn.Module):
    """Two normalised 3×3 convolutions, and the input added to what they give.

    The second normalisation starts with weight 0, so that a new block passes its input on and a deep stack
    trains from the first step (Goyal et al., 2017, https://arxiv.org/abs/1706.02677, §5.1).

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        stride: 1, or 2 to halve the image (rounded up).
        activation_name: a name of ``ACTIVATIONS``.
    """

    conv1: nn.Conv2d
    norm1: nn.BatchNorm2d
    activation1: nn.Module
    conv2: nn.Conv2d
    norm2: nn.BatchNorm2d
    shortcut: nn.Module
    activation2: nn.Module

    def __init__(self, inputs: int, outputs: int, stride: int, activation_name: str) -> None:
        super().__init__()
        for name, part in residual_block(inputs, outputs, stride, activation_name).parts.items():
            self.add_module(name, module_of(part))
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        branch = self.activation1(self.norm1(self.conv1(x)))
        branch = self.norm2(self.conv2(branch))
        output: torch.Tensor = self.activation2(branch + self.shortcut(x))
        return output


class Enlarge(nn.Module):
    """Images of one size in a larger one, interpolated along rows and columns.

    Args:
        given, wanted: (height, width) before and after.
    """

    def __init__(self, given: tuple[int, int], wanted: tuple[int, int]) -> None:
        super().__init__()
        self.given, self.wanted = given, wanted

    @property
    def enlarges(self) -> bool:
        """Whether there is anything to do."""
        return self.given != self.wanted

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, height, width)."""
        return _resized(x, self.wanted) if self.enlarges else x

    def matrices(self) -> tuple[Tensor, Tensor]:
        """The same as products, along columns and along rows: float32 (H, height) and (W, width)."""
        rows, columns = (
            _resized(torch.eye(before)[None, None], (before, after))[0, 0]
            for before, after in zip(self.given, self.wanted, strict=True)
        )
        return rows, columns


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class InvertedResidual(nn.Module):
    """Expand the channels, convolve each by itself, project back; the input is added where the shape is the same.

    Sandler et al., 2018 (https://arxiv.org/abs/1801.04381).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand: nn.Module = nn.Identity()
        if expansion > 1:
            self.expand = nn.Sequential(nn.Conv2d(inputs, inner, 1, bias=False), published_norm(inner), nn.ReLU6())
        depthwise = nn.Conv2d(inner, inner, kernel, stride=stride, padding=kernel // 2, groups=inner, bias=False)
        self.depthwise = nn.Sequential(depthwise, published_norm(inner), nn.ReLU6())
        self.project = nn.Sequential(nn.Conv2d(inner, outputs, 1, bias=False), published_norm(outputs))
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """float (N, inputs, H, W) to (N, outputs, H/stride, W/stride), rounded up."""
        output: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + output if self.adds_input else output


def published_norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm as in the training of EfficientNet's published weights."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Rows(nn.Module):
    """An image as a sequence of rows: (N, C, H, W) to (N, H, W·C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """No copy is made of an image in channels-last memory."""
        return x.permute(0, 2, 3, 1).flatten(2)


class LSTM(nn.LSTM):
    """``nn.LSTM``, that stays in float32 where oneDNN has no LSTM in bfloat16: on processors before AVX-512.

    There it fails ("could not create a primitive descriptor"), while all other layers are emulated.
    """

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # type: ignore[override]
        """As ``nn.LSTM``."""
        lacking = (
            x.device.type == "cpu"
            and torch.is_autocast_enabled("cpu")
            and torch.backends.mkldnn.is_available()
            and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
        if not lacking:
            return super().forward(x, state)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float(), state)


class LastState(nn.Module):
    """The state in which the uppermost LSTM ends: what ``nn.LSTM`` returns to (N, directions·hidden).

    Args:
        directions: 1, or 2 for a bidirectional LSTM, whose two states are joined.
    """

    def __init__(self, directions: int) -> None:
        super().__init__()
        self.directions = directions

    def forward(self, result: tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """The second part of ``result`` is (h, c), each (layers·directions, N, hidden)."""
        return torch.cat(list(result[1][0][-self.directions :].unbind()), dim=1)


class SideBySide(nn.ModuleList):
    """Networks over the same input."""

    def forward(self, x: Tensor) -> Tensor:
        """Their vectors (N, F) joined to (N, members·F)."""
        return torch.cat([member(x) for member in self], dim=1)


_OWN: dict[str, type[nn.Module]] = {each.__name__: each for each in (Flatten, ResidualBlock, Rows, LSTM, LastState)}

# Other modules over the same weights: shallow copies, and an ensemble of trained networks as one network


def shallow_copy(module: nn.Module) -> nn.Module:
    """A network of its own over the same weights: its hooks, modes and layers can change without the first one's.

    Hooks of the first one are not taken over.
    """
    other = module.__class__.__new__(module.__class__)
    other.__dict__ = {name: type(value)() if "_hooks" in name else value for name, value in module.__dict__.items()}
    other.__dict__["_modules"] = {name: child and shallow_copy(child) for name, child in module._modules.items()}
    return other


def without_head(network: nn.Module) -> nn.Module:
    """The network up to its last layer, over the same weights: it gives what ``head`` would take."""
    other = shallow_copy(network)
    other.add_module("head", nn.Identity())
    return other


def join(networks: Sequence[nn.Module]) -> nn.Sequential:
    """One network whose logits are the mean of the logits of ``networks``, which do not change.

    The mean of several last layers is one last layer over all their inputs: its weights are theirs, divided by
    their number. So the ensemble ends in a Linear called ``head``, as every network does. The members of an ensemble
    become members of the whole.

    Args:
        networks: built from one description, for the same input and classes, or ensembles of such.
    """
    with torch.random.fork_rng(devices=[]):  # a new layer draws weights, which are not kept
        joined = side_by_side(networks)
    head, heads = head_of(joined), [head_of(network) for network in networks]
    with torch.no_grad():
        head.weight.copy_(torch.cat([each.weight for each in heads], dim=1) / len(heads))
        head.bias.copy_(torch.stack([each.bias for each in heads]).double().mean(dim=0))
    return joined.eval()


def mirror_image(network: nn.Module, input_shape: tuple[int, int, int]) -> nn.Module | None:
    """A network that answers an image as ``network`` answers its mirror image: the same one with mirrored kernels.

    None where that is not so: where a stride or a pooling leaves out the last column, or where a layer sees places by
    themselves, not their mean. It is tried on a few images of noise.

    Args:
        network: for images; it does not change.
        input_shape: (H, W, C).
    """
    height, width, channels = input_shape
    mirrored = copy.deepcopy(network).eval()
    noise = torch.randn(4, channels, height, width, generator=torch.Generator().manual_seed(0))
    noise = noise.to(head_of(network).weight.device)
    was_training = network.training
    with torch.no_grad():
        for layer in mirrored.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(layer.weight.flip(3))
        found, wanted = mirrored(noise.flip(3)), network.eval()(noise)
    network.train(was_training)
    return mirrored if torch.allclose(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.std())) else None


def summands(network: nn.Module) -> list[nn.Module]:
    """Networks over the same weights whose logits, without the head's bias, add up to those of ``network``.

    The members of an ensemble, their heads its head's part for each; a network that is no ensemble is its own.
    """
    members = getattr(network, "members", None)
    if not isinstance(members, SideBySide):
        return [network]
    weights = head_of(network).weight.detach().chunk(len(members), dim=1)
    return [_with_head(member, weight) for member, weight in zip(members, weights, strict=True)]


def _with_head(member: nn.Module, weight: Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    whole = shallow_copy(member)
    whole.add_module("head", layer)
    return whole


def side_by_side(networks: Sequence[nn.Module]) -> nn.Sequential:
    """The bodies of networks, of an ensemble its members', over the same weights, and a new head."""
    heads = [head_of(network) for network in networks]
    members = SideBySide(body for network in networks for body in _bodies(network))
    features = sum(head.in_features for head in heads)
    joined = nn.Linear(features, heads[0].out_features, device=heads[0].weight.device)
    return nn.Sequential(OrderedDict(members=members, head=joined))


def _bodies(network: nn.Module) -> list[nn.Module]:
    """What computes the inputs of a network's head: its members, if it is an ensemble."""
    members = getattr(network, "members", None)
    return list(members) if isinstance(members, SideBySide) else [without_head(network)]


def head_of(network: nn.Module) -> nn.Linear:
    """A network's last layer, which gives the logits."""
    head = network.get_submodule("head")
    assert isinstance(head, nn.Linear)  # every network ends in one: see `nn.build`
    return head
