"""The verb: how much each pixel of some images speaks for a class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..classifier import Classifier, Float32Array
from ..errors import DataError, SettingsError
from ..images import Images, default_batch_size, image_batches
from ..nn import as_tensor, shallow_copy
from ..settings import parse_settings, suggestion
from ._method import Method
from ._methods import METHODS, suited

Targets = int | str | Sequence[int] | npt.NDArray[np.integer]


def saliency(
    classifier: Classifier,
    images: Images,
    targets: Targets | None = None,
    *,
    method: str = "integrated-gradients",
    **settings: object,
) -> Float32Array:
    """How much each pixel speaks for a class (positive) or against it (negative): float32 (N, H, W).

    Integrated gradients and occlusion measure in units of the class's logit, against an image of nothing: one in
    the colour of the image's own background. The same images give the same maps, and the classifier's network is
    not touched.

    Args:
        classifier: whose answers are to be explained.
        images: all that `Classifier` takes; they stream by batch.
        targets: the class to explain, for all images (a label or a name) or for each (integers (N,), labels in
            [0, K)); None: the likeliest of each.
        method: a name of ``METHODS``.
        settings: of the method: ``steps`` and ``baseline`` of integrated gradients, ``window``, ``stride`` and
            ``baseline`` of occlusion. ``baseline="mean"`` lets what is missing speak as well.

    Raises:
        SettingsError: unknown method, settings or class, or the method does not work on this network.
        DataError: something that is no image, or more or fewer targets than images.
        BadFileError: an image file that cannot be decoded.
    """
    chosen = check_method(classifier, method, **settings)
    wanted = None if targets is None else _labels(classifier, targets)
    at_once = default_batch_size(classifier.input_shape)
    network = _own(classifier.network)
    parts, done = [], 0
    for pixels, _, _ in image_batches(images, classifier, at_once):
        with torch.inference_mode(False), torch.enable_grad():  # whatever the caller has set
            x = classifier.preprocessing(as_tensor(pixels.copy()).to(classifier.device))
            mine = _targets(network, x, wanted, done)
            parts.append(chosen.maps(network, x, mine, at_once).detach().float().cpu().numpy())
        done += len(pixels)
    if wanted is not None and wanted.ndim and len(wanted) != done:
        raise DataError(f"There are {len(wanted)} targets for {done} images: give one for each, or one for all.")
    return np.concatenate(parts) if parts else np.empty((0, *classifier.input_shape[:2]), dtype=np.float32)


def check_method(classifier: Classifier, name: str, **settings: object) -> Method:
    """A method with its settings, made sure that it works on the classifier's network.

    Raises:
        SettingsError: it does not, or there is no such method or setting.
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
        SettingsError: the classifier knows no such class.
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
    if labels.size and (labels.min() < 0 or labels.max() > most):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise SettingsError(f"The target {wrong} is no label: they run from 0 to {most}.")
    return labels.astype(np.int64)


def _targets(network: nn.Module, x: Tensor, wanted: npt.NDArray[np.int64] | None, done: int) -> Tensor:
    """int64 (n,) on the device of ``x``, whose first image is number ``done``."""
    if wanted is None:
        with torch.no_grad():
            predicted: Tensor = network(x).argmax(dim=1)
        return predicted
    mine = np.broadcast_to(wanted, len(x)) if wanted.ndim == 0 else wanted[done : done + len(x)]
    if len(mine) < len(x):
        raise DataError(f"There are {len(wanted)} targets for more images: give one for each, or one for all.")
    return torch.from_numpy(mine.copy()).to(x.device)


def _own(network: nn.Module) -> nn.Module:
    """A shallow copy in evaluation mode that can be differentiated."""
    other = shallow_copy(network).eval()
    for layer in other.modules():
        if isinstance(layer, nn.RNNBase):
            # cuDNN keeps what a gradient needs only in training mode, which without dropout computes the same.
            layer.dropout = 0.0
            layer.train()
    return other
