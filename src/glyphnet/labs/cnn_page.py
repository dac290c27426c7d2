"""The page: what convolution does, and how accuracy falls with a shift."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from ..explain import first_layer_weights
from ..plots.style import BLUE, INK, RED, SOFT, percent_axis
from ..units import plural
from .cnn_experiment import MOVED, TITLES, Result, experiment, layers_of, measure, shifted
from .drawing import TEXT, sheet
from .lab import Findings, Lab, Numbers, Picture, Progress, Question, Section, Table, percent
from .training import TrainingSettings, with_interval

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
    return Section("A filter asks one small question everywhere", text, (one_filter_picture(result),))


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
    return Section(title, text, (filters_picture(result),))


def _maps(result: Result) -> Section:
    text = (
        "The first maps still resemble the digit: edges of one direction each. The second layer combines all of "
        "them, and its maps are coarser: bends, ends, crossings.",
    )
    return Section("Maps of edges become maps of parts", text, (maps_picture(result),))


def _fields(result: Result, numbers: Numbers) -> Section:
    first, last = numbers["fields"][0], numbers["fields"][-1]
    text = (
        "A 3×3 filter sees three pixels across. A filter of the second layer sees 3×3 cells that each saw more, and "
        "pooling doubles the distance between cells. So each layer sees more of the image without any large filter: "
        "its receptive field grows.",
    )
    title = f"A unit sees {first['sees']}×{first['sees']} pixels at first, {last['sees']}×{last['sees']} at the end"
    return Section(title, text, (fields_picture(result, numbers),))


def _changes(numbers: Numbers) -> Section:
    found = numbers["changes"]
    table = Table(
        ("Layer", "By position", "Shifted back"),
        tuple(
            (
                name if name != "mlp hidden" else "fully connected, hidden", percent(row["stays"]),
                "–" if row["moved_back"] is None else percent(row["moved_back"]),
            )
            for name, row in found.items()
        ),
        f"Relative change when the image moves by {MOVED} pixels.",
    )  # fmt: skip
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
    header = ("Shift", *(TITLES[name] for name in TITLES))
    table = Table(
        header,
        tuple(
            (f"{each['pixels']} px", *(with_interval(each["accuracy"][name], 1) for name in TITLES))
            for each in numbers["shifts"]
        ),
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
    return Section(title, text, (shifted_picture(result), accuracy_picture(numbers), table))


def _price(numbers: Numbers) -> str:
    """What learning from shifted images costs on unshifted ones."""
    plain = numbers["shifts"][0]
    learnt, without = _mean(plain, "cnn shifted"), _mean(plain, "cnn")
    text = f"On unshifted images it then reaches {percent(learnt, 1)}, the one without shifts {percent(without, 1)}"
    return f"{text}: there was more to learn in the same number of epochs." if learnt < without else f"{text}."


def _break(numbers: Numbers) -> str:
    """How far each can be shifted before half is lost."""
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
    """Why a receptive field grows."""
    parts = [f"{row['layer']} {row['sees']} px, units {row['apart']} px apart" for row in numbers["fields"]]
    return (
        f"{'; '.join(parts)}. A window of k cells sees (k − 1) × their distance more than one cell, and each pooling "
        "doubles the distance."
    )


def _why(numbers: Numbers) -> str:
    """Why a convolutional network is not invariant."""
    found, last = numbers["changes"], numbers["shifts"][-1]
    return (
        f"The maps do move along: shifted back, `conv1` has changed by {percent(found['conv1']['moved_back'], 1)}. But "
        f"by position `pool2` has changed by {percent(found['pool2']['stays'])}, and the last layer has a weight for "
        f"each position. Training on shifted images raises {percent(_mean(last, 'cnn'), 1)} to "
        f"{percent(_mean(last, 'cnn shifted'), 1)} at {last['pixels']} px."
    )


def one_filter_picture(result: Result) -> Picture:
    """One kernel's way: image, weights, its map, after ReLU, after pooling."""
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
    return Picture(
        "one-filter", figure,
        alt=f"A digit, one filter of {weights.shape[0]}×{weights.shape[1]} weights, and its map, above 0 at "
        f"{percent(share)} of all places; then without what is below 0, and at half the size.",
        caption="Blue is above 0, vermilion below. ReLU drops what is below; pooling keeps the greatest of each 2×2.",
    )  # fmt: skip


def filters_picture(result: Result) -> Picture:
    """The first layers side by side: small filters, and weights over the whole image."""
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
    return Picture(
        "first-layers", figure,
        alt=f"{count} filters of {small} weights, and {count} units of the fully connected network with {large} "
        "weights each, a weight for every pixel.",
        caption="Above: filters of the convolutional network. Below: all weights of units of the fully connected "
        "one. Blue: a bright pixel there excites; vermilion: it inhibits. The first of each, not chosen.",
    )  # fmt: skip


def maps_picture(result: Result) -> Picture:
    """All maps of both stages for one digit."""
    made = layers_of(result.trained["cnn"][0].classifier, result.splits.test.images[0])
    names = ("activation1", "activation2")
    counts = [min(_MOST, made[name].shape[2]) for name in names]
    columns = 8
    lines = [-(-count // columns) for count in counts]
    figure, axes = sheet(sum(lines), columns, height=0.95 * sum(lines) + 0.5)
    for ax in axes.flat:
        ax.set_axis_off()
    first = 0
    for number, (name, count, some) in enumerate(zip(names, counts, lines, strict=True), start=1):
        cells = axes[first : first + some].flat
        for place, ax in zip(range(count), cells, strict=False):
            ax.imshow(made[name][:, :, place], cmap="gray", interpolation="nearest")
        axes[first, 0].set_title(f"convolution {number}", fontsize=TEXT, loc="left")
        first += some
    silent = [int((made[name].max(axis=(0, 1)) <= 0).sum()) for name in names]
    facts = "; ".join(
        f"convolution {number}: {made[name].shape[2]} maps, {quiet} of them silent"
        for number, (name, quiet) in enumerate(zip(names, silent, strict=True), start=1)
    )
    return Picture(
        "feature-maps", figure,
        alt=f"What each filter finds in one digit. {facts}.",
        caption=f"Bright: found here. At most {_MOST} maps of each; each has its own scale.",
    )  # fmt: skip


def fields_picture(result: Result, numbers: Numbers) -> Picture:
    """The square of pixels that one unit of each layer sees."""
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
    return Picture(
        "receptive-field", figure,
        alt=f"The pixels that one unit sees: {facts}, of an image of {numbers['side']}×{numbers['side']}.",
        caption="The frame holds all that one unit of that layer can know of the image.",
    )  # fmt: skip


def shifted_picture(result: Result) -> Picture:
    """One digit at every shift, and what each network calls it."""
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
    return Picture(
        "one-shifted-digit", figure,
        alt=f"A {test.classes[test.labels[kept]]} shifted to the right, and what the three networks call it. "
        f"{'; '.join(phrases)}.",
        caption=f"A {test.classes[test.labels[kept]]}, and what it is called. full: fully connected; conv: "
        "convolutional; learnt: convolutional, learnt from shifted images.",
    )  # fmt: skip


def accuracy_picture(numbers: Numbers) -> Picture:
    """Accuracy against shift."""
    figure, axes = sheet(height=4.2)
    ax = axes[0, 0]
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
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", frameon=False, fontsize=TEXT)
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
