"""The lab of convolution: two kinds of network, one also trained on shifted images, tested on shifted images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..classifier import Classifier, Float32Array
from ..data import ImageDataset, Splits
from ..data.dataset import UInt8Array
from ..explain import activations, first_layer_weights
from ..plots.style import BLUE, INK, RED, SOFT, percent_axis
from ..progress import Progress
from .drawing import TEXT, legend_above, panel, sheet
from .lab import Findings, Lab, Numbers
from .training import TrainedNetwork, TrainingSettings, recipe, repeats, train_each

TITLES = {"mlp": "fully connected", "cnn": "convolutional", "cnn shifted": "convolutional, learnt from shifted images"}

_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
_SMALL_SIDE = 16  # pixels: below it the strokes reach the border, and the frame must hold the whole way
_ASKED = 2000  # test images; each is asked about at every shift, in four directions, of every network


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained and asked."""

    splits: Splits  # with a black frame, so that a shift pushes nothing out of the picture
    margin: int  # width of that frame, in pixels
    most: int  # largest shift asked about, and trained with, in pixels
    trained: dict[str, list[TrainedNetwork]]  # by variant, one per seed
    accuracy: dict[str, np.ndarray[Any, np.dtype[np.float64]]]  # by variant, (seeds, most + 1): by pixels of shift


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train every variant with every seed on the same images; ask each about shifted test images."""
    plain = settings.read(progress)
    small = min(plain.image_shape[:2]) < _SMALL_SIDE
    margin, most = (3, 3) if small else (2, 6)
    splits = _framed(plain, margin)
    common: dict[str, Any] = {
        "epochs": settings.passes(full=4, quick=8),
        "batch_size": 32 if settings.quick else 128,
        "optimizer": {"name": "adam", "lr": 0.003 if settings.quick else 0.001},
    }
    networks: dict[str, dict[str, Any]] = {
        "mlp": {"kind": "mlp", "hidden": [128]},
        "cnn": {"kind": "cnn-classic", "channels": [8, 16] if small else [16, 32], "padding": True, "dropout": 0.3},
    }
    # An explicit empty table: a preset must not add shifts.
    augment: dict[str, dict[str, float]] = {"mlp": {}, "cnn": {}, "cnn shifted": {"shift": most}}
    recipes = {variant: recipe(networks[variant[:3]], augment=augment[variant], **common) for variant in TITLES}
    trained = train_each(splits, recipes, settings.repetitions(full=3, quick=3), progress, TITLES)
    asked = splits.test.subset(np.arange(min(_ASKED, len(splits.test))))
    accuracy = {
        variant: np.array([[_accuracy(run, asked, by) for by in range(most + 1)] for run in runs])
        for variant, runs in trained.items()
    }
    return Result(splits, margin, most, trained, accuracy)


def shifted(images: UInt8Array, down: int, right: int) -> UInt8Array:
    """Images (N, H, W, C) moved by whole pixels; black comes in, and what leaves the picture is lost."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:3]
    moved[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = images[
        :, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved


def _accuracy(trained: TrainedNetwork, asked: ImageDataset, by: int) -> float:
    """Of images moved by so many pixels, up, down, left and right in turn."""
    predict = trained.classifier.predict_labels
    right = [
        float(np.mean(predict(shifted(asked.images, by * y, by * x), as_is=True) == asked.labels))
        for y, x in (_DIRECTIONS if by else _DIRECTIONS[:1])
    ]
    return float(np.mean(right))


def _framed(splits: Splits, margin: int) -> Splits:
    around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    parts: dict[str, Any] = {
        name: ImageDataset(np.pad(part.images, around), part.labels, part.classes, part.names) for name, part in splits
    }
    return replace(splits, **parts)


def measure(result: Result) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    cnn, mlp = (result.trained[name][0].classifier for name in ("cnn", "mlp"))
    first = {name: first_layer_weights(each).images for name, each in (("cnn", cnn), ("mlp", mlp))}
    made = layers_of(cnn, result.splits.test.images[0])
    shifts: list[dict[str, Any]] = [
        {
            "pixels": by,
            "accuracy": {name: repeats(accuracy[:, by].tolist()) for name, accuracy in result.accuracy.items()},
        }
        for by in range(result.most + 1)
    ]
    return {
        "data": result.splits.name,
        "titles": TITLES,
        "images": len(result.splits.train),
        "asked": min(_ASKED, len(result.splits.test)),
        "side": result.splits.image_shape[0],
        "margin": result.margin,
        "moved": MOVED,
        "epochs": len(result.trained["mlp"][0].history),
        "seeds": len(result.trained["mlp"]),
        "parameters": {"mlp": mlp.summary().parameters, "cnn": cnn.summary().parameters},
        "first_layer": {
            name: sum(weights.numel() for weights in list(classifier.network.parameters())[:2])  # weights and biases
            for name, classifier in (("mlp", mlp), ("cnn", cnn))
        },
        "first_weights": {name: f"{images.shape[1]}×{images.shape[2]}" for name, images in first.items()},
        "filter": {
            "above": float(np.mean(made["conv1"][:, :, _liveliest(made)] > 0)),
            "shown": min(_FILTERS, *(len(images) for images in first.values())),
        },
        "maps": [
            {"maps": made[name].shape[2], "silent": int((made[name].max(axis=(0, 1)) <= 0).sum())} for name in _STAGES
        ],
        "fields": fields(cnn),
        "changes": changes(result),
        "one_shifted": one_shifted(result),
        "shifts": shifts,
        # The shift at which the two kinds are furthest apart.
        "telling": max(shifts, key=lambda row: row["accuracy"]["cnn"]["mean"] - row["accuracy"]["mlp"]["mean"]),
    }


_STAGES = ("activation1", "activation2")
_FILTERS = 8  # shown, at most


def _liveliest(made: dict[str, Float32Array]) -> int:
    """The number of the filter whose pooled map varies most."""
    return int(made["pool1"].std(axis=(0, 1)).argmax())


def one_shifted(result: Result) -> dict[str, Any]:
    """What the networks call a test image that all of them recognise unshifted, shifted to the right step by step."""
    test, networks = result.splits.test, [result.trained[name][0].classifier for name in TITLES]

    def answers(row: int, by: int) -> list[int]:
        moved = shifted(test.images[row : row + 1], 0, by)
        return [int(network.predict_labels(moved, as_is=True)[0]) for network in networks]

    row = next((row for row in range(len(test)) if set(answers(row, 0)) == {test.labels[row]}), 0)
    return {
        "row": row,
        "class": test.classes[test.labels[row]],
        "answers": [
            {"pixels": by, "predicted": [test.classes[label] for label in answers(row, by)]}
            for by in range(0, result.most + 1, max(1, result.most // 3))
        ],
    }


MOVED = 2
"""Pixels by which images are moved here: one cell after the first pooling."""

_LOOKED_AT = 20  # images


def fields(classifier: Classifier) -> list[dict[str, Any]]:
    """Side of the square of pixels that one unit of each convolution and pooling sees, and the pixels between units.

    A window of k cells that lie j pixels apart sees (k − 1)·j pixels more than one of them does.
    """
    found, sees, apart = [], 1, 1
    for name, layer in classifier.network.named_children():
        if not hasattr(layer, "kernel_size"):
            continue
        kernel, stride = (int(np.max(getattr(layer, key))) for key in ("kernel_size", "stride"))
        sees, apart = sees + (kernel - 1) * apart, apart * stride
        found.append({"layer": name, "sees": sees, "apart": apart})
    return found


def changes(result: Result) -> dict[str, Any]:
    """How much each layer's values change when the image moves by ``MOVED`` pixels, and once they are moved back.

    ‖after − before‖ / ‖before‖ over some test images, with the networks trained without shifts. "stays" compares place
    with place; "moved_back" first moves the maps back by as many cells as the image was moved by, where that is a whole
    number, and leaves out what came in at the border.
    """
    images = result.splits.test.images[:_LOOKED_AT]
    moved = shifted(images, 0, MOVED)
    cnn, mlp = (result.trained[name][0].classifier for name in ("cnn", "mlp"))
    apart = {row["layer"]: row["apart"] for row in fields(cnn)}
    before, after = ([layers_of(cnn, image) for image in some] for some in (images, moved))
    found: dict[str, Any] = {
        "pixels": {"stays": _change(images.astype(np.float32), moved.astype(np.float32)), "moved_back": 0.0},
        "mlp hidden": {
            "stays": _change(*(mlp.features(some, as_is=True) for some in (images, moved))),
            "moved_back": None,
        },
    }
    for layer in apart:
        a, b = (np.stack([maps[layer] for maps in some]) for some in (before, after))
        cells, rest = divmod(MOVED, apart[layer])
        edge = 2 + cells  # where the border's black shows in the maps
        inner = slice(edge, -edge)
        found[layer] = {
            "stays": _change(a, b),
            "moved_back": None if rest else _change(a[:, inner, inner], np.roll(b, -cells, axis=2)[:, inner, inner]),
        }
    return found


def layers_of(classifier: Classifier, image: Any) -> dict[str, Float32Array]:
    """What each layer gives for an image (H, W, C), by its name."""
    as_it_is = replace(classifier, normalize=False)  # a moved drawing would be moved back
    return {layer.name: layer.values for layer in activations(as_it_is, image)}


def _change(before: Any, after: Any) -> float:
    return float(np.linalg.norm(after - before) / max(float(np.linalg.norm(before)), 1e-30))


# The figures of the page

_SIGNED = LinearSegmentedColormap.from_list("signed", [RED, "#f6f5f2", BLUE])
_MOST = 16  # maps of a layer
_LINES = {"mlp": (RED, "--", "s"), "cnn": (BLUE, "-", "o"), "cnn shifted": (INK, ":", "^")}


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = experiment(settings, progress)
    numbers = measure(result)
    figures = {
        "one-filter": _filter(result),
        "first-layers": _first_layers(result, numbers["filter"]["shown"]),
        "feature-maps": _maps(result),
        "receptive-field": _fields(result, numbers["fields"]),
        "one-shifted-digit": _one_shifted(result, numbers["one_shifted"]),
        "accuracy-by-shift": _accuracies(numbers["shifts"]),
    }
    return Findings(numbers, figures)


def _filter(result: Result) -> Figure:
    classifier, image = result.trained["cnn"][0].classifier, result.splits.test.images[0]
    made = layers_of(classifier, image)
    kernel = _liveliest(made)
    panels = (
        ("image", image[:, :, 0], "gray"),
        ("filter", first_layer_weights(classifier).images[kernel, :, :, 0], _SIGNED),
        ("its map", made["conv1"][:, :, kernel], _SIGNED),
        ("after ReLU", made["activation1"][:, :, kernel], "gray"),
        ("after pooling", made["pool1"][:, :, kernel], "gray"),
    )
    figure, axes = sheet(1, len(panels), height=1.95)
    for ax, (title, values, colours) in zip(axes[0], panels, strict=True):
        _show(ax, values, colours)
        ax.set_title(title, fontsize=TEXT)
        ax.set_xlabel("×".join(map(str, values.shape)), fontsize=TEXT - 1, color=SOFT)
    return figure


def _first_layers(result: Result, count: int) -> Figure:
    figure, axes = sheet(2, count, height=2.35)
    for line, name, what in zip(axes, ("cnn", "mlp"), ("filters", "units"), strict=True):
        images = first_layer_weights(result.trained[name][0].classifier).images[:count]
        limit = float(np.abs(images).max())
        for ax, weights in zip(line, images, strict=True):
            ax.imshow(weights[:, :, 0], cmap=_SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
            _bare(ax)
        line[0].set_title(what, fontsize=TEXT, loc="left")
    return figure


def _maps(result: Result) -> Figure:
    made = layers_of(result.trained["cnn"][0].classifier, result.splits.test.images[0])
    stages = [made[name].transpose(2, 0, 1) for name in _STAGES]
    columns = 8
    lines = [-(-min(_MOST, len(maps)) // columns) for maps in stages]
    figure, axes = sheet(sum(lines), columns, height=0.95 * sum(lines) + 0.5)
    for ax in axes.flat:
        ax.set_axis_off()
    for number, (maps, cells) in enumerate(zip(stages, np.split(axes, lines[:1]), strict=True), start=1):
        for values, ax in zip(maps[:_MOST], cells.flat, strict=False):
            ax.imshow(values, cmap="gray", interpolation="nearest")
        cells[0, 0].set_title(f"convolution {number}", fontsize=TEXT, loc="left")
    return figure


def _fields(result: Result, rows: list[dict[str, Any]]) -> Figure:
    image = result.splits.test.images[0][:, :, 0]
    figure, axes = sheet(1, len(rows), height=2.15)
    for ax, row in zip(axes[0], rows, strict=True):
        _show(ax, image, "gray")
        side, corner = row["sees"], (len(image) - row["sees"]) // 2 - 0.5
        ax.add_patch(Rectangle((corner, corner), side, side, edgecolor="#ffb300", facecolor="none", linewidth=2.5))
        ax.set_title(row["layer"], fontsize=TEXT)
        ax.set_xlabel(f"{side}×{side}", fontsize=TEXT, color=SOFT)
    return figure


def _one_shifted(result: Result, found: Numbers) -> Figure:
    image = result.splits.test.images[found["row"] : found["row"] + 1]
    figure, axes = sheet(1, len(found["answers"]), height=2.5)
    for ax, each in zip(axes[0], found["answers"], strict=True):
        _show(ax, shifted(image, 0, each["pixels"])[0, :, :, 0], "gray")
        ax.set_title(f"{each['pixels']} px", fontsize=TEXT)
        names = "full: {}\nconv: {}\nlearnt: {}".format(*each["predicted"])
        ax.set_xlabel(names, fontsize=TEXT, color=INK)
    return figure


def _accuracies(rows: list[dict[str, Any]]) -> Figure:
    figure, ax = panel(4.2)
    pixels = [row["pixels"] for row in rows]
    for name, (colour, style, marker) in _LINES.items():
        mean, half = (np.array([row["accuracy"][name][key] for row in rows]) for key in ("mean", "half_width"))
        bars: Any = [np.minimum(half, mean), np.minimum(half, 1 - mean)]
        ax.errorbar(
            pixels, mean, yerr=bars, color=colour, linestyle=style, marker=marker, linewidth=2, capsize=4,
            label=TITLES[name],
        )  # fmt: skip
    ax.set(xlabel="shift in pixels", ylabel="accuracy", ylim=(0, 1.02))
    ax.set_xticks(pixels)
    percent_axis(ax.yaxis)
    legend_above(ax, "left", columns=1)
    return figure


def _show(ax: Axes, values: Any, colours: Any) -> None:
    limit = float(np.abs(values).max()) or 1.0
    low = -limit if colours is _SIGNED else 0.0
    ax.imshow(values, cmap=colours, vmin=low, vmax=limit, interpolation="nearest")
    _bare(ax)


def _bare(ax: Axes) -> None:
    ax.grid(False)
    ax.set(xticks=[], yticks=[])


LAB = Lab("cnn", "What convolution does", TrainingSettings, investigate)
