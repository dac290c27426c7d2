"""What `ablations.py` changes: a setting, a habit of the engine, or something that the project does not have.

Each is a row of a table. A change of the engine takes a habit away; an addition brings something in, so that there is a
figure for having left it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from glyphnet import Recipe, Splits, preset
from glyphnet.training import Examples, Fitting, validate
from glyphnet.training.fast.layers import Backpropagation
from glyphnet.training.fast.step import Gradients

Judge = Callable[[Any, Examples, Recipe], float]
"""From a finished training (`FitResult`), what it is judged on and its recipe: the share of right answers."""


def plainly(result: Any, judged: Examples, recipe: Recipe) -> float:
    """The judgement of every other training."""
    return validate(result.network, result.preprocessing, judged, recipe)[1]


@dataclass(frozen=True)
class Change:
    """One thing that is otherwise.

    Attributes:
        title: in the table.
        settings: of the recipe.
        engine: called once in a process before anything is trained.
        begin: called with each training before its first step.
        validate: how the finished network answers.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    engine: Callable[[], object] = nullcontext
    begin: Callable[[Fitting], object] = lambda fitting: None
    validate: Judge = plainly


@dataclass(frozen=True)
class Base:
    """A training from which each row differs in one thing.

    Attributes:
        title: in the table.
        data: a data set's name.
        recipe: as it is for these data.
        changes: the rows, by name; the first, "as it is", changes nothing.
        part: which of the data are trained on and judged.
    """

    title: str
    data: str
    recipe: Callable[[Splits], Recipe]
    changes: Mapping[str, Change]
    part: Callable[[Splits], Splits] = lambda splits: splits


def _for(name: str, **changes: Any) -> Callable[[Splits], Recipe]:
    return lambda splits: preset(name, splits.image_shape, len(splits.train), len(splits.classes)).override(changes)


# What the engine does, taken away. ----------------------------------------------------------------------------------


def _replace(name: str, by: Any) -> Callable[[], object]:
    """Put something else in the place of a module's name, for the rest of the process."""
    module, _, attribute = name.rpartition(".")
    return lambda: patch.object(import_module(f"glyphnet.{module}"), attribute, by).start()


def _row_by_row() -> None:
    """Images channel by channel, as PyTorch lays them out by itself."""
    usual = torch.nn.Module.to

    def to(self: nn.Module, *args: Any, **options: Any) -> nn.Module:
        options.pop("memory_format", None)
        return usual(self, *args, **options) if args or options else self

    patch("torch.nn.Module.to", to).start()
    patch("glyphnet.nn.preprocessing.Preprocessing.to_float", _to_float_row_by_row).start()


def _to_float_row_by_row(self: Any, inputs: Tensor) -> Tensor:
    if inputs.ndim != 4:
        return inputs.to(torch.float32)
    return inputs.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255.0)


def _threads(count: int) -> Callable[[], object]:
    return _replace("training.device._threads_for", lambda flops, processes, device: (count, ""))


# What the project does not have. ------------------------------------------------------------------------------------


def whiten(fitting: Fitting, *, images: int = 5000, epsilon: float = 1e-2) -> None:
    """Begin with a stem that looks at the principal parts of its patches, each with spread 1.

    Half the channels are the eigenvectors of the patches' covariance divided by the root of their eigenvalues, the
    others their negatives, as in K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024); but here the stem
    learns on, for it has a norm behind it.
    """
    stem = fitting.state.network.stem
    side, channels = stem.kernel_size[0], stem.out_channels
    x = fitting.state.preprocessing(fitting.train.inputs[:images])
    patches = nn.functional.unfold(x, side, padding=stem.padding, stride=stem.stride)
    patches = patches.transpose(1, 2).reshape(-1, side * side * x.shape[1])
    values, vectors = torch.linalg.eigh(patches.T.cov())
    half = min(channels // 2, len(values))
    best = (vectors[:, -half:] / torch.sqrt(values[-half:] + epsilon)).T.reshape(half, -1, side, side)
    with torch.no_grad():
        stem.weight[:half].copy_(best)
        stem.weight[half : 2 * half].copy_(-best)


def shifted_if_unsure(result: Any, judged: Examples, recipe: Recipe, *, share: float = 0.1) -> float:
    """Ask again, of the least sure tenth, with the image moved a pixel each way; the mean probability decides."""
    prepared = result.preprocessing
    with torch.inference_mode():
        chances = torch.cat([result.network(prepared(part)).softmax(1) for part in judged.inputs.split(1000)])
        top = chances.topk(2).values
        unsure = (top[:, 0] - top[:, 1]).argsort()[: int(share * len(chances))]
        images = judged.inputs[unsure]
        moved = [images.roll(by, dims) for by in (-1, 1) for dims in (1, 2)]
        chances[unsure] += sum(result.network(prepared(each)).softmax(1) for each in moved)
    return float((chances.argmax(1) == judged.labels).double().mean())


# The tables. --------------------------------------------------------------------------------------------------------

AS_IT_IS = {"as-it-is": Change("as it is")}

_ENGINE = {
    "memory": Change("freed memory given back to the kernel", engine=_replace("training.fit.keep_freed_memory", int)),
    "denormals": Change("denormals kept", engine=_replace("training.fit.flushing_denormals", nullcontext)),
}


def uneven(splits: Splits) -> Splits:
    """Ever fewer training images of each class: of the last a hundredth of the first. Those that judge stay even."""
    train, classes = splits.train, len(splits.classes)
    most = np.bincount(train.labels, minlength=classes)
    kept = (most * 0.01 ** (np.arange(classes) / max(1, classes - 1))).astype(int)
    order = np.random.default_rng(0).permutation(len(train))
    rows = np.concatenate([order[train.labels[order] == label][:count] for label, count in enumerate(kept)])
    return replace(splits, train=train.subset(np.sort(rows)))


_TABLES = {
    "trivial": Change("TrivialAugment", {"augment.trivial": 1.0}),
    "cutmix": Change("CutMix", {"augment.cutmix": 0.5}),
    "mixup": Change("mixup", {"augment.mixup": 0.3}),
    "erase": Change("random erasing", {"augment.erase": 0.25}),
    "focal": Change("focal loss", {"loss": "focal"}),
}
"""What stands in the tables of augmentations, losses and samplers, and in no preset."""

_ADAMW = {"name": "adamw", "lr": 0.01, "weight_decay": 0.01}

BASES = {
    "fast": Base(
        "MNIST, preset `fast`",
        "mnist",
        _for("fast"),
        {
            **AS_IT_IS,
            "constant": Change(
                "constant rate", {"schedule": "constant", "optimizer.lr": 0.015, "optimizer.adam_lr": 0.003}
            ),
            "cosine": Change("cosine instead of one cycle", {"schedule": "cosine"}),
            "smoothing": Change("no label smoothing", {"loss.label_smoothing": 0.0}),
            "still": Change("no shift", {"augment": {}}),
            "each": Change("an offset for each image, not each batch", {"augment": {"shift": 1}}),
            "norm": Change("no batch norm", {"network.batch_norm": False}),
            "pool": Change("pooled instead of strided", {"network.downsample": "pool"}),
            "ema": Change("averaged weights (0.95)", {"ema": 0.95}),
            "adamw": Change("AdamW (betas 0.7, 0.9) instead of Muon", {"optimizer": {**_ADAMW, "betas": [0.7, 0.9]}}),
            "betas": Change("AdamW with its usual betas", {"optimizer": _ADAMW}),
            "sgd": Change(
                "SGD with momentum (0.9, Nesterov)",
                {"optimizer": {"name": "sgd", "lr": 0.15, "nesterov": True}},
            ),
            "momentum": Change(
                "Muon's usual momentum (0.95, rate 0.03)", {"optimizer.momentum": 0.95, "optimizer.lr": 0.03}
            ),
            "fp32": Change("fp32", {"precision": "fp32"}),
            "bf16": Change("bf16", {"precision": "bf16"}),
            "whiten": Change("whitened stem", begin=whiten),
            "unsure": Change("the unsure tenth asked again, shifted", validate=shifted_if_unsure),
            **_ENGINE,
            "layout": Change("channels first", engine=_row_by_row),
            "thread": Change("one thread", engine=_threads(1)),
        },
    ),
    "tables": Base("Fashion-MNIST, preset `balanced`", "fashion-mnist", _for("balanced"), {**AS_IT_IS, **_TABLES}),
    "uneven": Base(
        "Fashion-MNIST, of each class fewer images down to a hundredth, preset `fast` with 8 passes",
        "fashion-mnist",
        _for("fast", epochs=8),
        {
            **AS_IT_IS,
            "sampler": Change("balanced sampler", {"sampler": "balanced"}),
            "weights": Change("balanced class weights", {"loss.class_weight": "balanced"}),
            "focal": Change("focal loss", {"loss": "focal"}),
            "both": Change("focal loss and balanced sampler", {"loss": "focal", "sampler": "balanced"}),
        },
        uneven,
    ),
    "mlp": Base(
        "MNIST, 784–128–10, dropout 0.2, Adam, batch 32, 2 epochs",
        "mnist",
        _for(
            "fast", network={"kind": "mlp", "hidden": [128], "dropout": 0.2}, optimizer="adam", schedule="constant",
            batch_size=32, augment={}, loss="cross_entropy", preprocessing="unit_range",
        ),
        {
            **AS_IT_IS,
            "autograd": Change("autograd's passes", engine=lambda: patch.object(Gradients, "suits", _never).start()),
            "update": Change(
                "the optimizer's own step",
                engine=_replace("training.fast.step.fused_update", lambda optimizer: optimizer.step),
            ),
            "weights": Change(
                "weights row by row", engine=lambda: patch.object(Backpropagation, "lay_out", _as_it_is).start()
            ),
            "thread": Change("two threads", engine=_threads(2)),
            **_ENGINE,
        },
    ),
}  # fmt: skip


def _never(*_: object) -> bool:
    return False


def _as_it_is(network: nn.Module) -> None:
    """Leave the weights as PyTorch laid them out."""
