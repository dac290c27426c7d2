"""The verbs: saliency of images, and the explanation of one prediction."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..classifier import Classifier, Float32Array
from ..data.dataset import UInt8Array
from ..errors import DataError, SettingsError
from ..filekinds import check_suffix
from ..files import atomic_write
from ..images import Batch, Images, image_batches
from ..nn import as_tensor, shallow_copy
from ..nn.layers import layer_type
from ..settings import default_batch_size, parse_settings, suggestion
from .inside import LayerActivation, activations, one_image
from .methods import METHODS, Method, suited

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Explanation:
    """A classifier's prediction for one image, explained."""

    image: UInt8Array  # (H, W, C), as the network sees it
    classes: tuple[str, ...]  # K names
    probabilities: Float32Array  # (K,)
    target: int  # label of the explained class
    method: str  # of saliency, a name of ``METHODS``
    saliency: Float32Array  # (H, W): positive where a pixel supports the target
    activations: tuple[LayerActivation, ...]  # of each layer

    @property
    def predicted(self) -> int:
        """Label of the most probable class."""
        return int(self.probabilities.argmax())

    def figure(self, name: str = "") -> Figure:
        """Draw image, saliency, probabilities and every layer; ``name`` is that of the image, for the title.

        Returns:
            A Matplotlib figure that pyplot does not manage; ``savefig`` writes it.
        """
        from .figure import explanation_figure

        return explanation_figure(**vars(self), name=name)


def explain_image(
    classifier: Classifier,
    image: Images,
    target: int | str | None = None,
    *,
    method: str = next(iter(METHODS)),
    **settings: object,
) -> Explanation:
    """Explain the prediction for one image.

    Args:
        classifier: the classifier to explain.
        image: one image, in any form that `Classifier` takes.
        target: the class to explain, a label or a name; None: the most probable.
        method: a name of ``METHODS``.
        settings: of the method: see `saliency`.

    Raises:
        SettingsError: unknown method, settings or class, or the method does not work on this network.
        DataError: not exactly one image.
        BadFileError: an image file that cannot be decoded.
    """
    pixels = one_image(image, classifier)
    seen = Batch.as_seen(pixels)
    [probabilities] = classifier.predict_proba(seen)
    label = int(np.argmax(probabilities)) if target is None else class_label(classifier, target)
    [found] = saliency(classifier, seen, label, method=method, **settings)
    return Explanation(
        image=pixels[0],
        classes=tuple(classifier.classes),
        probabilities=probabilities,
        target=label,
        method=method,
        saliency=found,
        activations=tuple(activations(classifier, seen)),
    )


Targets = int | str | Sequence[int] | npt.NDArray[np.integer]


def saliency(
    classifier: Classifier,
    images: Images,
    targets: Targets | None = None,
    *,
    method: str = "integrated-gradients",
    **settings: object,
) -> Float32Array:
    """How much each pixel supports a class (positive) or opposes it (negative): float32 (N, H, W).

    Integrated gradients and occlusion are in units of the class's logit, relative to a baseline: an image in the
    colour of the image's background. The same images give the same maps. The classifier is not changed.

    Args:
        classifier: the classifier to explain.
        images: all that `Classifier` takes; they stream by batch.
        targets: the class to explain, for all images (a label or a name) or for each (integers (N,), labels in
            [0, K)); None: the most probable class of each.
        method: a name of ``METHODS``.
        settings: of the method: ``steps`` and ``baseline`` of integrated gradients, ``window``, ``stride`` and
            ``baseline`` of occlusion. With ``baseline="mean"`` missing strokes contribute too.

    Raises:
        SettingsError: unknown method, settings or class, or the method does not work on this network.
        DataError: an input is not an image, or the number of targets differs from that of the images.
        BadFileError: an image file that cannot be decoded.
    """
    chosen = check_method(classifier, method, **settings)
    wanted = None if targets is None else _labels(classifier, targets)
    at_once = default_batch_size(classifier.input_shape)
    network = _differentiable(classifier.network)
    parts, done = [], 0
    for pixels, _, _ in image_batches(images, classifier, at_once):
        with torch.inference_mode(False), torch.enable_grad():  # whatever the caller's mode
            x = classifier.preprocessing(as_tensor(pixels.copy()).to(classifier.device))
            mine = _targets(network, x, wanted, done)
            parts.append(chosen.maps(network, x, mine, at_once).detach().float().cpu().numpy())
        done += len(pixels)
    if wanted is not None and wanted.ndim and len(wanted) != done:
        raise DataError(f"There are {len(wanted)} targets for {done} images: pass one for each, or one for all.")
    return np.concatenate(parts) if parts else np.empty((0, *classifier.input_shape[:2]), dtype=np.float32)


def check_method(classifier: Classifier, name: str, **settings: object) -> Method:
    """The method with its settings, checked to work on the classifier's network.

    Raises:
        SettingsError: it does not work, or the method or a setting is unknown.
    """
    if name not in METHODS:
        raise SettingsError(f'unknown method "{name:.60}"{suggestion(name, METHODS)}')
    network = classifier.network
    chosen = parse_settings(METHODS[name], settings, where=f'method "{name}"')
    if reason := chosen.unsuited(network):
        raise SettingsError(f'method "{name}" {reason}. Choose {" or ".join(suited(network))}.')
    return chosen


def class_label(classifier: Classifier, target: int | str) -> int:
    """The label of a class, given by its name or label.

    Raises:
        SettingsError: unknown class.
    """
    if isinstance(target, str):
        if target not in classifier.classes:
            raise SettingsError(f'unknown class "{target:.60}"{suggestion(target, classifier.classes)}')
        return classifier.classes.index(target)
    return int(_labels(classifier, target))


def _labels(classifier: Classifier, targets: Targets) -> npt.NDArray[np.int64]:
    """int64 () for one class, or (N,)."""
    if isinstance(targets, str):
        return np.array(class_label(classifier, targets), dtype=np.int64)
    labels = np.asarray(targets)
    most = len(classifier.classes) - 1
    if labels.ndim > 1 or not (labels.dtype.kind in "iu" or labels.size == 0):
        raise SettingsError(f"targets must be a label, a name or integers (N,), not {labels.dtype} {labels.shape}.")
    if (wrong := labels[(labels < 0) | (labels > most)]).size:
        raise SettingsError(f"The target {wrong.ravel()[0]} is not a label: labels run from 0 to {most}.")
    return labels.astype(np.int64)


def _targets(network: nn.Module, x: Tensor, wanted: npt.NDArray[np.int64] | None, done: int) -> Tensor:
    """int64 (n,) on the device of ``x``, whose first image is number ``done``."""
    if wanted is None:
        with torch.no_grad():
            predicted: Tensor = network(x).argmax(dim=1)
        return predicted
    mine = np.broadcast_to(wanted, len(x)) if wanted.ndim == 0 else wanted[done : done + len(x)]
    if len(mine) < len(x):
        raise DataError(f"There are {len(wanted)} targets for more images: pass one for each, or one for all.")
    return torch.from_numpy(mine.copy()).to(x.device)


def _differentiable(network: nn.Module) -> nn.Module:
    """A shallow copy in evaluation mode that can be differentiated."""
    other = shallow_copy(network).eval()
    for layer in other.modules():
        if isinstance(layer, nn.RNNBase):
            # cuDNN keeps the values for gradients only in training mode, which computes the same without dropout.
            layer.dropout = 0.0
            layer.train()
    return other


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, all or nothing; the same figure gives the same bytes.

    Raises:
        OutputError: the name says that it is no PNG.
        OSError: the file cannot be written.
    """
    check_suffix(path, (".png",))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # No installed font may have the script of a class name: boxes are drawn, which needs no warning.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font", category=UserWarning)
        figure.savefig(buffer, format="png", metadata={"Software": "GlyphNet"})
    with atomic_write(path, follow=True) as file:
        file.write(buffer.getvalue())


# The weights of the first layer as pictures


@dataclass(frozen=True, eq=False)
class FirstLayerWeights:
    """The weights of a network's first layer."""

    layer: str  # its name ("stem")
    meaning: str  # of one image ("weights of a unit over the image")
    images: Float32Array  # (U, h, w, C), the factors of preprocessed pixels: positive where a bright pixel excites
    names: tuple[str, ...]  # one per image

    def figure(self) -> Figure:
        """Draw the weights. Returns a Matplotlib figure that pyplot does not manage; ``savefig`` writes it."""
        from .figure import weights_figure

        return weights_figure(self.layer, self.meaning, self.images, self.names)


def first_layer_weights(classifier: Classifier) -> FirstLayerWeights:
    """Weights of the first layer as images.

    - A fully connected layer: of each unit, a weight for each pixel, (H, W, C). The units of a linear network are
      its classes.
    - A convolution: each kernel, (k, k, C).
    - An LSTM: of each gate one image (hidden, W, C), whose row i holds the weights of unit i over a row of pixels:
      four gates, and four more if it is bidirectional.

    Raises:
        SettingsError: the first layer is of another type.
    """
    found = weights_of_first_layer(classifier.network, classifier.input_shape)
    if found is None:
        raise SettingsError(f"The weights of this network's first layer cannot be shown as images: {classifier.spec}.")
    return replace(found, names=classifier.classes) if found.layer == "head" else found


def weights_of_first_layer(network: nn.Module, input_shape: tuple[int, int, int]) -> FirstLayerWeights | None:
    """The weights of the first layer of a network, also of one in training, as images; None for other types."""
    for name, layer in network.named_modules():
        row = layer_type(layer)
        if row is not None and row.weights is not None:
            images, names = row.weights.images(layer, input_shape)
            return FirstLayerWeights(name, row.weights.meaning, images.detach().float().cpu().numpy().copy(), names)
        if next(layer.parameters(recurse=False), None) is not None:
            break
    return None
