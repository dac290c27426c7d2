"""The kinds of networks: fully connected, convolutional and recurrent ones."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from .described import Described, residual_block
from .spec import Activation, BaseSpec, Dropout, Flag, InputShape, Stack, Width, Widths

if TYPE_CHECKING:
    from torch import nn

Kernel = Annotated[int, Field(strict=True, ge=1, le=15)]
Stride = Annotated[int, Field(strict=True, ge=1, le=8)]


# Fully connected: the multi-layer perceptron, and softmax regression


class MLPSpec(BaseSpec):
    """A multi-layer perceptron.

    Attributes:
        hidden: width of each hidden layer.
        activation: after each hidden layer.
        dropout: share of each hidden layer's outputs that training drops.
        input_dropout: share of the inputs that training drops.
        batch_norm: normalise each hidden layer before its activation.
    """

    takes_vectors: ClassVar[bool] = True
    kind: Literal["mlp"] = "mlp"
    hidden: Widths = (128,)
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    input_dropout: Dropout = 0.0
    batch_norm: Flag = False

    def stack(self, input_shape: InputShape, classes: int) -> Stack:
        """flatten, [input_dropout], then dense, [norm], activation, [dropout] for each width, head."""
        stack = Stack(self.kind, input_shape)
        stack.flatten()
        stack.dropout("input_dropout", self.input_dropout)
        for index, width in enumerate(self.hidden, start=1):
            stack.dense(f"dense{index}", width, bias=not self.batch_norm)
            if self.batch_norm:
                stack.batch_norm(f"norm{index}")
            stack.activation(f"activation{index}", self.activation)
            stack.dropout(f"dropout{index}", self.dropout)
        return stack.closed(classes)

    def without_effect(self) -> tuple[str, ...]:
        """With no hidden layer most settings do nothing."""
        given = self.model_fields_set & {"activation", "dropout", "batch_norm"}
        if self.hidden:
            return ()
        return tuple(f"{name} has no effect while hidden is empty" for name in sorted(given))


class LinearSpec(BaseSpec):
    """Pixels times weights: no hidden layer. The baseline for every other network."""

    takes_vectors: ClassVar[bool] = True
    kind: Literal["linear"] = "linear"

    def stack(self, input_shape: InputShape, classes: int) -> Stack:
        """flatten, head."""
        stack = Stack(self.kind, input_shape)
        stack.flatten()
        return stack.closed(classes)


# Convolutional: a small strided network, the classical one with pooling, and a residual one


class CNNSpec(BaseSpec):
    """A strided stem, then stages of 3×3 convolutions that each halve the image, then dense layers.

    Stride and pooling come early, so that the wide layers see few pixels: on 28×28 grey images the defaults
    take 1.2 million multiplications, half of what the classical network takes.

    Attributes:
        stem: channels of the first convolution.
        stem_kernel: its side, in pixels (odd); padded so that only the stride shrinks the image.
        stem_stride: its stride; 1 for tiny images (8×8).
        channels: channels of each stage.
        convs_per_stage: 3×3 convolutions of each stage; the first one halves the image.
        downsample: how it is halved: by a "stride" of 2 in the convolution, or by a 2×2 max-"pool" after it, which
            sees four times as many pixels, takes about twice as long and errs a little less.
        mean_pixel: the dense layers see the mean of each channel, not every pixel.
        dense: width of each fully connected layer before the head.
        dropout: share of the head's inputs that training drops.
        batch_norm: normalise after every convolution.
        activation: after every convolution and fully connected layer.
    """

    kind: Literal["cnn"] = "cnn"
    stem: Width = 16
    stem_kernel: Kernel = 5
    stem_stride: Stride = 2
    channels: Widths = (32,)
    convs_per_stage: Annotated[int, Field(strict=True, ge=1, le=8)] = 1
    downsample: Literal["stride", "pool"] = "stride"
    mean_pixel: Flag = False
    dense: Widths = (128,)
    dropout: Dropout = 0.0
    batch_norm: Flag = False
    activation: Activation = "relu"

    def stack(self, input_shape: InputShape, classes: int) -> Stack:
        """Stem; for each stage conv, [pool], [norm], activation, and further convs with theirs; [pool], flatten,
        [dense], [dropout], head."""
        remedy = "Give channels fewer entries, set stem_stride to 1, or make the images larger (size)."
        stack = Stack(self.kind, input_shape, remedy)
        kernel, bias = self.stem_kernel, not self.batch_norm
        stack.convolution("stem", self.stem, kernel, stride=self.stem_stride, padding=kernel // 2, bias=bias)
        self._after(stack, "stem_norm", "stem_activation")
        for stage, channels in enumerate(self.channels, start=1):
            stride = 2 if self.downsample == "stride" else 1
            stack.convolution(f"conv{stage}", channels, 3, stride=stride, padding=1, bias=bias)
            if self.downsample == "pool":
                # Before norm and activation, which then see a quarter of the pixels. For the rising activations
                # (ReLU, tanh, …) the order makes no difference to the result.
                stack.pool(f"pool{stage}")
            self._after(stack, f"norm{stage}", f"activation{stage}")
            for repeat in range(2, self.convs_per_stage + 1):
                stack.convolution(f"conv{stage}_{repeat}", channels, 3, padding=1, bias=bias)
                self._after(stack, f"norm{stage}_{repeat}", f"activation{stage}_{repeat}")
        if self.mean_pixel:
            stack.mean_pixel()
        return stack.flat(self.dense, self.activation, self.dropout, classes)

    def _after(self, stack: Stack, norm: str, activation: str) -> None:
        if self.batch_norm:
            stack.batch_norm(norm)
        stack.activation(activation, self.activation)


class ClassicCNNSpec(BaseSpec):
    """Stages of 3×3 convolutions, each closed by a 2×2 max-pooling (after LeCun et al., 1998).

    The defaults are the network of Keras' MNIST example: 32 and 64 channels, dropout 0.5.

    Attributes:
        channels: channels of each stage.
        convs_per_stage: convolutions before each pooling.
        dense: width of each fully connected layer before the head.
        dropout: share of the head's inputs that training drops.
        batch_norm: normalise after every convolution.
        padding: pad each convolution by one pixel, so that only pooling shrinks the image; the
            defaults need it below 10×10 pixels.
        activation: after every convolution and fully connected layer.
    """

    kind: Literal["cnn-classic"] = "cnn-classic"
    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=64)] = (32, 64)
    convs_per_stage: Annotated[int, Field(strict=True, ge=1, le=8)] = 1
    dense: Widths = ()
    dropout: Dropout = 0.5
    batch_norm: Flag = False
    padding: Flag = False
    activation: Activation = "relu"

    def stack(self, input_shape: InputShape, classes: int) -> Stack:
        """Stages of (conv, [norm], activation) × convs_per_stage, pool; flatten, [dense], [dropout], head."""
        remedy = "Set network.padding to true, give channels fewer entries, or make the images larger (size)."
        stack = Stack(self.kind, input_shape, remedy)
        for stage, channels in enumerate(self.channels, start=1):
            for repeat in range(1, self.convs_per_stage + 1):
                suffix = f"{stage}" if self.convs_per_stage == 1 else f"{stage}_{repeat}"
                stack.convolution(f"conv{suffix}", channels, 3, padding=int(self.padding), bias=not self.batch_norm)
                if self.batch_norm:
                    stack.batch_norm(f"norm{suffix}")
                stack.activation(f"activation{suffix}", self.activation)
            stack.pool(f"pool{stage}")
        return stack.flat(self.dense, self.activation, self.dropout, classes)


class ResNetSpec(BaseSpec):
    """A residual network (He et al., 2015, https://arxiv.org/abs/1512.03385) for small images.

    Attributes:
        channels: channels of each stage; every stage after the first halves the image.
        blocks: residual blocks in each stage, of two 3×3 convolutions each.
        stem_stride: stride of the first convolution; 2 quarters the cost, for large images.
        dropout: share of the head's inputs that training drops.
        activation: after every normalisation.
    """

    kind: Literal["resnet"] = "resnet"
    # Eight stages halve 128 pixels down to one: more could only cost.
    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (32, 64, 128)
    blocks: Annotated[int, Field(strict=True, ge=1, le=16)] = 1
    stem_stride: Annotated[int, Field(strict=True, ge=1, le=8)] = 1
    dropout: Dropout = 0.0
    activation: Activation = "relu"

    def stack(self, input_shape: InputShape, classes: int) -> Stack:
        """stem, stem_norm, stem_activation, blocks, pool (the mean pixel), flatten, [dropout], head."""
        stack = Stack(self.kind, input_shape)
        stack.convolution("stem", self.channels[0], 3, stride=self.stem_stride, padding=1, bias=False)
        stack.batch_norm("stem_norm")
        stack.activation("stem_activation", self.activation)
        for stage, channels in enumerate(self.channels, start=1):
            for repeat in range(1, self.blocks + 1):
                stride = 2 if stage > 1 and repeat == 1 else 1
                stack.height, stack.width = -(-stack.height // stride), -(-stack.width // stride)
                inputs = 9 * (stack.channels + channels) + stack.channels  # two 3×3 convolutions and the shortcut
                stack.count(inputs, stack.height * stack.width * channels)
                block = residual_block(stack.channels, channels, stride, self.activation)
                stack.add(f"stage{stage}_block{repeat}", block)
                stack.channels = channels
        stack.mean_pixel()
        return stack.flat((), self.activation, self.dropout, classes)

    def network(self, input_shape: InputShape, classes: int) -> nn.Module:
        """The layers, with He's initial weights for the convolutions."""
        from .modules import initialise_convolutions

        return initialise_convolutions(super().network(input_shape, classes))


# Recurrent: an LSTM that reads the image row by row


class RNNSpec(BaseSpec):
    """An LSTM (Hochreiter & Schmidhuber, 1997) over the rows, top to bottom; its last state goes to the head.

    Attributes:
        hidden: width of the state.
        layers: number of LSTMs one upon another.
        bidirectional: read from bottom to top as well, with a second state.
        dropout: share dropped between the LSTMs and before the head.
    """

    kind: Literal["rnn"] = "rnn"
    hidden: Width = 128
    layers: Annotated[int, Field(strict=True, ge=1, le=16)] = 1
    bidirectional: Flag = False
    dropout: Dropout = 0.0

    def stack(self, input_shape: InputShape, classes: int) -> Stack:
        """rows, lstm, last, [dropout], head."""
        stack = Stack(self.kind, input_shape)
        stack.add("rows", Described("Rows"))
        directions = 1 + self.bidirectional
        inputs = stack.width * stack.channels
        for _ in range(self.layers):
            stack.count(4 * (inputs + self.hidden), stack.height * directions * self.hidden)
            inputs = directions * self.hidden
        stack.add("lstm", self._lstm(stack.width * stack.channels))
        stack.add("last", Described("LastState", {"directions": directions}))
        stack.features = self.hidden * directions
        stack.dropout("dropout", self.dropout)
        return stack.closed(classes)

    def _lstm(self, inputs: int) -> Described:
        gates, shapes = 4 * self.hidden, dict[str, tuple[int, ...]]()
        ends = ("", "_reverse") if self.bidirectional else ("",)
        for level, end in product(range(self.layers), ends):
            place, given = f"l{level}{end}", self.hidden * len(ends) if level else inputs
            shapes |= {f"weight_ih_{place}": (gates, given), f"weight_hh_{place}": (gates, self.hidden)}
            shapes |= {f"bias_ih_{place}": (gates,), f"bias_hh_{place}": (gates,)}
        settings = {
            "input_size": inputs,
            "hidden_size": self.hidden,
            "num_layers": self.layers,
            "batch_first": True,
            "dropout": self.dropout if self.layers > 1 else 0.0,
            "bidirectional": self.bidirectional,
        }
        return Described("LSTM", settings, shapes)
