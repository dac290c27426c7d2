"""The lab of convolution: two kinds of network, one also trained on shifted images, tested on shifted images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from ..classifier import Classifier, Float32Array
from ..data import ImageDataset, Splits
from ..data.dataset import UInt8Array
from ..explain import activations, first_layer_weights
from ..plots.style import BLUE, INK, RED, SOFT, percent_axis
from ..progress import Progress
from ..units import plural
from .drawing import TEXT, legend_above, panel, sheet
from .lab import Columns, Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .training import TrainedNetwork, TrainingSettings, recipe, repeats, train_each, with_interval

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
    return {
        "data": result.splits.name,
        "images": len(result.splits.train),
        "asked": min(_ASKED, len(result.splits.test)),
        "side": result.splits.image_shape[0],
        "margin": result.margin,
        "epochs": len(result.trained["mlp"][0].history),
        "seeds": len(result.trained["mlp"]),
        "parameters": {"mlp": mlp.summary().parameters, "cnn": cnn.summary().parameters},
        "first_layer": {
            name: sum(weights.numel() for weights in list(classifier.network.parameters())[:2])  # weights and biases
            for name, classifier in (("mlp", mlp), ("cnn", cnn))
        },
        "fields": fields(cnn),
        "changes": changes(result),
        "shifts": [
            {
                "pixels": by,
                "accuracy": {name: repeats(accuracy[:, by].tolist()) for name, accuracy in result.accuracy.items()},
            }
            for by in range(result.most + 1)
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


# The page


_SMALL = "This is the small version, on the embedded 8×8 digits in a black frame."
_SIGNED = LinearSegmentedColormap.from_list("signed", [RED, "#f6f5f2", BLUE])
_MOST = 16
_LINES = {"mlp": (RED, "--", "s"), "cnn": (BLUE, "-", "o"), "cnn shifted": (INK, ":", "^")}


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and write its findings."""
    result = experiment(settings, progress)
    numbers = measure(result)
    sections = (
        _filter(result), _first_layers(result, numbers), _maps(result), _fields(result, numbers), _changes(numbers),
        _shifted(result, numbers),
    )  # fmt: skip
    lead = _lead(numbers)
    return Findings(f"{lead} {_SMALL}" if settings.quick else lead, sections, numbers)


def _lead(numbers: Numbers) -> str:
    row = _telling(numbers)
    mlp, cnn, learnt = (row["accuracy"][name]["mean"] for name in ("mlp", "cnn", "cnn shifted"))
    pixels = plural(row["pixels"], "pixel")
    return (
        f"For digits shifted by {pixels}, a fully connected network is right on {percent(mlp)}, a convolutional one on "
        f"{percent(cnn)}, both trained on the same unshifted images. One trained on shifted images reaches "
        f"{percent(learnt)}."
    )


def _telling(numbers: Numbers) -> Any:
    """The shift at which the two kinds are furthest apart."""
    return max(numbers["shifts"], key=lambda row: _mean(row, "cnn") - _mean(row, "mlp"))


def _mean(row: Numbers, name: str) -> float:
    return float(row["accuracy"][name]["mean"])


def _filter(result: Result) -> Section:
    text = (
        "A filter is a small square of weights. At each position it multiplies each pixel by a weight and adds up: "
        "one number. The numbers of all positions form its map, which shows where the image contains what the filter "
        "detects.",
        "This is convolution. ReLU keeps the positive values. Max-pooling keeps the largest value of each 2×2, so "
        "the next layer has a quarter as many.",
    )
    classifier, image = result.trained["cnn"][0].classifier, result.splits.test.images[0]
    made = layers_of(classifier, image)
    kernel = int(made["pool1"].std(axis=(0, 1)).argmax())
    weights = first_layer_weights(classifier).images[kernel, :, :, 0]
    raw = made["conv1"][:, :, kernel]
    panels = (
        ("image", image[:, :, 0], "gray"),
        ("filter", weights, _SIGNED),
        ("its map", raw, _SIGNED),
        ("after ReLU", made["activation1"][:, :, kernel], "gray"),
        ("after pooling", made["pool1"][:, :, kernel], "gray"),
    )
    figure, axes = sheet(1, len(panels), height=1.95)
    for ax, (title, values, colours) in zip(axes[0], panels, strict=True):
        _show(ax, values, colours)
        ax.set_title(title, fontsize=TEXT)
        ax.set_xlabel("×".join(map(str, values.shape)), fontsize=TEXT - 1, color=SOFT)
    share = float(np.mean(raw > 0))
    picture = Picture(
        "one-filter", figure,
        alt=f"A digit, one filter of {weights.shape[0]}×{weights.shape[1]} weights, and its map, above 0 at "
        f"{percent(share)} of all places; then without what is below 0, and at half the size.",
        caption="Blue is above 0, vermilion below. ReLU drops what is below; pooling keeps the greatest of each 2×2.",
    )  # fmt: skip
    return Section("A filter asks one small question everywhere", text, (picture,))


def _first_layers(result: Result, numbers: Numbers) -> Section:
    first = numbers["first_layer"]
    text = (
        "A unit of a fully connected layer has its own weight for every pixel. What it learns about the centre does "
        "not help it at the border.",
        f"A filter uses the same few weights everywhere, so there is less to learn: {first['cnn']:,} numbers in the "
        f"first layer, against {first['mlp']:,} in the fully connected network; {numbers['parameters']['cnn']:,} and "
        f"{numbers['parameters']['mlp']:,} in total.",
    )
    title = f"Shared weights: {first['cnn']:,} numbers in the first layer instead of {first['mlp']:,}"
    found = {name: first_layer_weights(result.trained[name][0].classifier).images for name in ("cnn", "mlp")}
    count = min(8, *(len(images) for images in found.values()))
    figure, axes = sheet(2, count, height=2.35)
    for line, images in zip(axes, found.values(), strict=True):
        limit = float(np.abs(images[:count]).max())
        for ax, weights in zip(line, images, strict=False):
            ax.imshow(weights[:, :, 0], cmap=_SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
            _bare(ax)
    axes[0, 0].set_title("filters", fontsize=TEXT, loc="left")
    axes[1, 0].set_title("units", fontsize=TEXT, loc="left")
    (small, large) = (f"{images.shape[1]}×{images.shape[2]}" for images in found.values())
    picture = Picture(
        "first-layers", figure,
        alt=f"{count} filters of {small} weights, and {count} units of the fully connected network with {large} "
        "weights each, a weight for every pixel.",
        caption="Above: filters of the convolutional network. Below: all weights of units of the fully connected "
        "one. Blue: a bright pixel there excites; vermilion: it inhibits. The first of each, not chosen.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _maps(result: Result) -> Section:
    text = (
        "The first maps still resemble the digit: edges of one direction each. The second layer combines all of "
        "them, and its maps are coarser: bends, ends, crossings.",
    )
    made = layers_of(result.trained["cnn"][0].classifier, result.splits.test.images[0])
    stages = [made[name].transpose(2, 0, 1) for name in ("activation1", "activation2")]
    columns = 8
    lines = [-(-min(_MOST, len(maps)) // columns) for maps in stages]
    figure, axes = sheet(sum(lines), columns, height=0.95 * sum(lines) + 0.5)
    for ax in axes.flat:
        ax.set_axis_off()
    facts = []
    for number, (maps, cells) in enumerate(zip(stages, np.split(axes, lines[:1]), strict=True), start=1):
        for values, ax in zip(maps[:_MOST], cells.flat, strict=False):
            ax.imshow(values, cmap="gray", interpolation="nearest")
        cells[0, 0].set_title(f"convolution {number}", fontsize=TEXT, loc="left")
        silent = int((maps.max(axis=(1, 2)) <= 0).sum())
        facts.append(f"convolution {number}: {len(maps)} maps, {silent} of them silent")
    picture = Picture(
        "feature-maps", figure,
        alt=f"What each filter finds in one digit. {'; '.join(facts)}.",
        caption=f"Bright: found here. At most {_MOST} maps of each; each has its own scale.",
    )  # fmt: skip
    return Section("Maps of edges become maps of parts", text, (picture,))


def _fields(result: Result, numbers: Numbers) -> Section:
    first, last = numbers["fields"][0], numbers["fields"][-1]
    text = (
        "A 3×3 filter sees three pixels across. A filter of the second layer sees 3×3 cells that each saw more, and "
        "pooling doubles the distance between cells. So each layer sees more of the image without any large filter: "
        "its receptive field grows.",
    )
    title = f"A unit sees {first['sees']}×{first['sees']} pixels at first, {last['sees']}×{last['sees']} at the end"
    image = result.splits.test.images[0][:, :, 0]
    rows = numbers["fields"]
    figure, axes = sheet(1, len(rows), height=2.15)
    for ax, row in zip(axes[0], rows, strict=True):
        _show(ax, image, "gray")
        corner = (len(image) - row["sees"]) // 2 - 0.5
        ax.add_patch(
            Rectangle((corner, corner), row["sees"], row["sees"], edgecolor="#ffb300", facecolor="none", linewidth=2.5)
        )
        ax.set_title(row["layer"], fontsize=TEXT)
        ax.set_xlabel(f"{row['sees']}×{row['sees']}", fontsize=TEXT, color=SOFT)
    facts = ", ".join(f"{row['layer']} {row['sees']}×{row['sees']}" for row in rows)
    picture = Picture(
        "receptive-field", figure,
        alt=f"The pixels that one unit sees: {facts}, of an image of {numbers['side']}×{numbers['side']}.",
        caption="The frame holds all that one unit of that layer can know of the image.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _changes(numbers: Numbers) -> Section:
    found = numbers["changes"]
    columns: Columns = {
        "Layer": lambda row: "fully connected, hidden" if row["layer"] == "mlp hidden" else row["layer"],
        "By position": lambda row: percent(row["stays"]),
        "Shifted back": lambda row: "–" if row["moved_back"] is None else percent(row["moved_back"]),
    }
    rows = [{"layer": layer, **row} for layer, row in found.items()]
    table = Table.of(rows, columns, f"Relative change when the image moves by {MOVED} pixels.")
    text = (
        f"Shift an image by {MOVED} pixels. Position by position everything changes: the pixels by "
        f"{percent(found['pixels']['stays'])}, `conv1` by {percent(found['conv1']['stays'])}. Shift the maps back, "
        f"and `conv1` has changed by {percent(found['conv1']['moved_back'], 1)}, `pool1` by "
        f"{percent(found['pool1']['moved_back'], 1)}: the map only moved. This is equivariance. The hidden units of "
        "the fully connected network have no positions to shift back.",
        "Convolution does not give invariance. The last layer is fully connected and depends on positions. Pooling "
        "reduces this: where cells are four pixels apart, a shift by two is half a cell and cannot be undone exactly.",
    )
    return Section("A shifted image gives shifted maps", text, (table,))


def _shifted(result: Result, numbers: Numbers) -> Section:
    row = _telling(numbers)
    table = Table(
        ("Shift", *TITLES.values()),
        [
            (f"{each['pixels']} px", *(with_interval(each["accuracy"][name], 1) for name in TITLES))
            for each in numbers["shifts"]
        ],
        "Accuracy on shifted test images",
    )
    lead = _mean(row, "cnn") - _mean(row, "mlp")
    title = (
        f"Shifted by {row['pixels']} px, the convolutional network is {100 * lead:.0f} points ahead" if lead > 0
        else "At no shift is the convolutional network ahead"
    )  # fmt: skip
    last = numbers["shifts"][-1]
    text = (
        f"Every image has a black frame of {numbers['margin']} pixels, so that a shift cuts off no stroke. The first "
        f"two networks were trained for {numbers['epochs']} epochs on the same {numbers['images']:,} images without "
        "augmentation: they never saw a shift.",
        f"The convolutional network loses less: at {last['pixels']} pixels it is right on "
        f"{percent(_mean(last, 'cnn'))}. Trained on shifted images it reaches {percent(_mean(last, 'cnn shifted'))} "
        f"there. {_price(numbers)}",
    )
    test = result.splits.test
    first = [result.trained[name][0].classifier for name in TITLES]
    kept = next((row for row in range(len(test)) if all(
        net.predict_labels(test.images[row : row + 1], as_is=True)[0] == test.labels[row] for net in first
    )), 0)  # fmt: skip
    steps = range(0, result.most + 1, max(1, result.most // 3))
    figure, axes = sheet(1, len(steps), height=2.5)
    phrases = []
    for ax, by in zip(axes[0], steps, strict=True):
        moved = shifted(test.images[kept : kept + 1], 0, by)
        names = [test.classes[int(net.predict_labels(moved, as_is=True)[0])] for net in first]
        _show(ax, moved[0, :, :, 0], "gray")
        ax.set_title(f"{by} px", fontsize=TEXT)
        ax.set_xlabel(f"full: {names[0]}\nconv: {names[1]}\nlearnt: {names[2]}", fontsize=TEXT, color=INK)
        phrases.append(f"by {by}: {', '.join(names)}")
    picture = Picture(
        "one-shifted-digit", figure,
        alt=f"A {test.classes[test.labels[kept]]} shifted to the right, and what the three networks call it. "
        f"{'; '.join(phrases)}.",
        caption=f"A {test.classes[test.labels[kept]]}, and what it is called. full: fully connected; conv: "
        "convolutional; learnt: convolutional, learnt from shifted images.",
    )  # fmt: skip
    return Section(title, text, (picture, _accuracy_picture(numbers), table))


def _price(numbers: Numbers) -> str:
    """What learning from shifted images costs on unshifted ones."""
    plain = numbers["shifts"][0]
    learnt, without = _mean(plain, "cnn shifted"), _mean(plain, "cnn")
    text = f"On unshifted images it then reaches {percent(learnt, 1)}, the one without shifts {percent(without, 1)}"
    return f"{text}: there was more to learn in the same number of epochs." if learnt < without else f"{text}."


def _break(numbers: Numbers) -> str:
    parts = []
    for name, title in TITLES.items():
        gone = next((row for row in numbers["shifts"] if _mean(row, name) < 0.5), None)
        first = _mean(numbers["shifts"][0], name)
        parts.append(
            f"{title}: {percent(first, 1)} unshifted, "
            + (f"{percent(_mean(gone, name), 1)} at {gone['pixels']} px" if gone
               else f"still {percent(_mean(numbers['shifts'][-1], name), 1)} at {numbers['shifts'][-1]['pixels']} px")
        )  # fmt: skip
    facts = "; ".join(parts)
    return f"{facts[:1].upper()}{facts[1:]}."


def _field(numbers: Numbers) -> str:
    parts = [f"{row['layer']} {row['sees']} px, units {row['apart']} px apart" for row in numbers["fields"]]
    return (
        f"{'; '.join(parts)}. A window of k cells sees (k − 1) × their distance more than one cell, and each pooling "
        "doubles the distance."
    )


def _why(numbers: Numbers) -> str:
    found, last = numbers["changes"], numbers["shifts"][-1]
    return (
        f"The maps do move along: shifted back, `conv1` has changed by {percent(found['conv1']['moved_back'], 1)}. But "
        f"by position `pool2` has changed by {percent(found['pool2']['stays'])}, and the last layer has a weight for "
        f"each position. Training on shifted images raises {percent(_mean(last, 'cnn'), 1)} to "
        f"{percent(_mean(last, 'cnn shifted'), 1)} at {last['pixels']} px."
    )


def _accuracy_picture(numbers: Numbers) -> Picture:
    figure, ax = panel(4.2)
    pixels = [row["pixels"] for row in numbers["shifts"]]
    for name, (colour, style, marker) in _LINES.items():
        mean, half = (
            np.array([row["accuracy"][name][key] for row in numbers["shifts"]]) for key in ("mean", "half_width")
        )
        bars: Any = [np.minimum(half, mean), np.minimum(half, 1 - mean)]
        ax.errorbar(
            pixels, mean, yerr=bars, color=colour, linestyle=style, marker=marker, linewidth=2, capsize=4,
            label=TITLES[name],
        )  # fmt: skip
    ax.set(xlabel="shift in pixels", ylabel="accuracy", ylim=(0, 1.02))
    ax.set_xticks(pixels)
    percent_axis(ax.yaxis)
    legend_above(ax, "left", columns=1)
    last = numbers["shifts"][-1]
    facts = ", ".join(f"{TITLES[name]} {percent(last['accuracy'][name]['mean'])}" for name in TITLES)
    return Picture(
        "accuracy-by-shift", figure,
        alt=f"Accuracy falls with the shift. At {last['pixels']} pixels: {facts}.",
        caption=f"Mean over four directions, {numbers['asked']:,} test images. " + (
            f"Bars: the mean's 95 % interval, over {numbers['seeds']} networks of each kind." if numbers["seeds"] > 1
            else "One network of each kind."
        ),
    )  # fmt: skip


def _show(ax: Axes, values: Any, colours: Any) -> None:
    limit = float(np.abs(values).max()) or 1.0
    low = -limit if colours is _SIGNED else 0.0
    ax.imshow(values, cmap=colours, vmin=low, vmax=limit, interpolation="nearest")
    _bare(ax)


def _bare(ax: Axes) -> None:
    ax.grid(False)
    ax.set(xticks=[], yticks=[])


LAB = Lab(
    "cnn",
    "What convolution does",
    TrainingSettings,
    investigate,
    (
        Question("How far can a digit be moved before each network reads fewer than half of them?", _break),
        Question("All filters are 3×3. How does a unit come to see more than that?", _field),
        Question("If the maps only move along with the image, why does accuracy fall at all?", _why),
    ),
)
