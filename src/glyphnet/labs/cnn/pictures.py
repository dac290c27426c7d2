"""The lab's pictures, each with what it shows in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from ...explain import first_layer_weights
from ...plots.style import BLUE, INK, RED, SOFT, percent_axis
from ..lab import Numbers, Picture
from ..sheet import TEXT, sheet
from ..wording import percent
from .experiment import TITLES, Done, shifted
from .layers import layers_of

_SIGNED = LinearSegmentedColormap.from_list("signed", [RED, "#f6f5f2", BLUE])
_MOST = 16
_LINES = {"mlp": (RED, "--", "s"), "cnn": (BLUE, "-", "o"), "cnn shifted": (INK, ":", "^")}


def one_filter_picture(done: Done) -> Picture:
    """One kernel's way: image, weights, its map, after ReLU, after pooling."""
    classifier, image = done.trained["cnn"][0].classifier, done.splits.test.images[0]
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


def filters_picture(done: Done) -> Picture:
    """The first layers side by side: small filters, and weights over the whole image."""
    found = {name: first_layer_weights(done.trained[name][0].classifier).images for name in ("cnn", "mlp")}
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


def maps_picture(done: Done) -> Picture:
    """All maps of both stages for one digit."""
    made = layers_of(done.trained["cnn"][0].classifier, done.splits.test.images[0])
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
    told = "; ".join(
        f"convolution {number}: {made[name].shape[2]} maps, {quiet} of them silent"
        for number, (name, quiet) in enumerate(zip(names, silent, strict=True), start=1)
    )
    return Picture(
        "feature-maps", figure,
        alt=f"What each filter finds in one digit. {told}.",
        caption=f"Bright: found here. At most {_MOST} maps of each; each has its own scale.",
    )  # fmt: skip


def fields_picture(done: Done, numbers: Numbers) -> Picture:
    """The square of pixels that one unit of each layer sees."""
    image = done.splits.test.images[0][:, :, 0]
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
    told = ", ".join(f"{row['layer']} {row['sees']}×{row['sees']}" for row in rows)
    return Picture(
        "receptive-field", figure,
        alt=f"The pixels that one unit sees: {told}, of an image of {numbers['side']}×{numbers['side']}.",
        caption="The frame holds all that one unit of that layer can know of the image.",
    )  # fmt: skip


def shifted_picture(done: Done) -> Picture:
    """One digit at every shift, and what each network calls it."""
    test = done.splits.test
    first = [done.trained[name][0].classifier for name in TITLES]
    kept = next((row for row in range(len(test)) if all(
        net.predict_labels(test.images[row : row + 1], as_is=True)[0] == test.labels[row] for net in first
    )), 0)  # fmt: skip
    steps = range(0, done.most + 1, max(1, done.most // 3))
    figure, axes = sheet(1, len(steps), height=2.5)
    said = []
    for ax, by in zip(axes[0], steps, strict=True):
        moved = shifted(test.images[kept : kept + 1], 0, by)
        names = [test.classes[int(net.predict_labels(moved, as_is=True)[0])] for net in first]
        _show(ax, moved[0, :, :, 0], "gray")
        ax.set_title(f"{by} px", fontsize=TEXT)
        ax.set_xlabel(f"full: {names[0]}\nconv: {names[1]}\nlearnt: {names[2]}", fontsize=TEXT, color=INK)
        said.append(f"by {by}: {', '.join(names)}")
    return Picture(
        "one-shifted-digit", figure,
        alt=f"A {test.classes[test.labels[kept]]} shifted to the right, and what the three networks call it. "
        f"{'; '.join(said)}.",
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
    told = ", ".join(f"{TITLES[name]} {percent(last['accuracy'][name]['mean'])}" for name in TITLES)
    return Picture(
        "accuracy-by-shift", figure,
        alt=f"Accuracy falls with the shift. At {last['pixels']} pixels: {told}.",
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
