"""The lab's pictures, each with what it shows in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...plots import confused_pairs, confusion_matrix, gallery, learning_curves
from ...plots.style import BLUE, RED, legend, percent_axis, whole_axis
from ..lab import Numbers, Picture
from ..sheet import TEXT, sheet
from .experiment import ACTIVATIONS, DEEP, Experiment

_COLOURS = dict(zip(ACTIVATIONS, (BLUE, RED), strict=True))
_LINES = dict(zip(ACTIVATIONS, ("-", "--"), strict=True))
_SHOWN = 24  # misclassified images
_NAMES = {"relu": "ReLU", "sigmoid": "sigmoid"}


def curves_picture(done: Experiment, numbers: Numbers) -> Picture:
    """Loss and accuracy, training against validation."""
    figure, axes = sheet(1, 2, height=3.4)
    learning_curves(done.main.history, best_epoch=done.main.best_epoch, axes=axes[0])
    last, lowest = numbers["last"], numbers["lowest_val_loss"]
    return Picture(
        "curves", figure,
        alt=f"Loss and accuracy by epoch. After {numbers['epochs']} epochs training is at {last['loss']:.3f} and "
        f"{last['accuracy']:.1%}, validation at {last['val_loss']:.3f} and {last['val_accuracy']:.1%}; the validation "
        f"loss was lowest in epoch {lowest['epoch']}.",
        caption="Training is measured while dropout is at work and while the weights still change, validation after "
        "each epoch with the whole network: so validation can be the better of the two at first.",
    )  # fmt: skip


def confusion_pictures(done: Experiment, numbers: Numbers) -> tuple[Picture, Picture]:
    """The confusion matrix, in counts and in shares of each true class."""
    evaluation = done.main.evaluation
    first = numbers["confused"][0] if numbers["confused"] else None
    told = f"the darkest is {first['true']} taken for {first['predicted']}, {first['count']} times" if first else "none"
    hardest = min(numbers["classes"], key=lambda name: numbers["classes"][name]["recall"])
    found = numbers["classes"][hardest]["recall"]
    drawn = []
    for normalize in (None, "true"):
        figure, axes = sheet(height=6.2)
        confusion_matrix(evaluation.confusion_matrix, evaluation.classes, normalize=normalize, ax=axes[0, 0])
        drawn.append(figure)
    return (
        Picture(
            "confusion", drawn[0],
            alt=f"Confusion matrix in images. {numbers['wrong']} lie off the diagonal; of these cells {told}.",
            caption="Rows: what it is. Columns: what the network said. Blue is right, orange wrong.",
        ),
        Picture(
            "confusion-by-row", drawn[1],
            alt=f"The same in per cent of each row. Found least often: {hardest}, {found:.1%} of its images.",
            caption="Each row divided by its sum: the diagonal is the recall of each class.",
        ),
    )  # fmt: skip


def pairs_picture(numbers: Numbers) -> Picture:
    """The kinds of mistake that happened most often."""
    figure, axes = sheet(height=3.8)
    rows = numbers["confused"]
    confused_pairs([(row["true"], row["predicted"]) for row in rows], [row["count"] for row in rows], ax=axes[0, 0])
    told = ", ".join(f"{row['true']} as {row['predicted']}: {row['count']}" for row in rows[:5])
    return Picture(
        "pairs", figure, alt=f"Bars: the most frequent mistakes. {told}.", caption="The most frequent kinds of mistake."
    )


def wrong_picture(done: Experiment, numbers: Numbers) -> Picture:
    """Misclassified test images, the surest mistakes first."""
    evaluation = done.main.evaluation
    wrong = [row for row in evaluation.top_losses(len(evaluation)).tolist() if not evaluation.correct[row]][:_SHOWN]
    names = evaluation.classes
    titles = [
        f"{names[evaluation.labels[row]]}, said "
        f"{names[evaluation.predictions[row]]}\n{evaluation.confidence[row]:.0%} sure"
        for row in wrong
    ]
    figure, axes = sheet(height=6.6)
    images = evaluation.images[wrong] if wrong else evaluation.images[:0]
    gallery(np.asarray(images), titles, columns=6, ax=axes[0, 0])
    return Picture(
        "misclassified", figure,
        alt=f"{len(wrong)} of the {numbers['wrong']} misclassified test images, those it was most wrong about: "
        + "; ".join(title.replace("\n", ", ") for title in titles[:4]) + ".",
        caption="Above each: what it is, what the network said, and how sure it was. The worst mistakes come first.",
    )  # fmt: skip


def speed_picture(numbers: Numbers) -> Picture:
    """Seconds an epoch, ours beside those seen for Keras."""
    figure, axes = sheet(height=2.6)
    ax = axes[0, 0]
    own = numbers["seconds_per_epoch"]
    rows = [("GlyphNet, this run", own, own)]
    rows += [(name, low, high) for name, (low, high) in numbers["seen_seconds_per_epoch"].items()]
    places = np.arange(len(rows))
    bars = ax.barh(places, [high for _, _, high in rows], height=0.6, color=[BLUE, *[RED] * (len(rows) - 1)], alpha=0.8)
    labels = [f"{low:.2f} s" if low == high else f"{low:.2f} to {high:.2f} s" for _, low, high in rows]
    ax.bar_label(bars, labels, padding=4, fontsize=TEXT - 1)
    ax.set_yticks(places, [name for name, _, _ in rows])
    ax.invert_yaxis()
    ax.margins(x=0.18)
    ax.grid(False, axis="y")
    ax.set_xlabel("seconds an epoch")
    told = "; ".join(f"{name}: {label}" for (name, _, _), label in zip(rows, labels, strict=True))
    return Picture(
        "speed", figure, alt=f"Bars: seconds an epoch. {told}.",
        caption="Blue was measured in this run. Orange was seen elsewhere: another machine, the full data.",
    )  # fmt: skip


def dead_picture(done: Experiment, numbers: Numbers) -> Picture:
    """How many of the test images each hidden unit answers to."""
    share = np.sort(active_shares(done))
    figure, axes = sheet(height=3.2)
    ax = axes[0, 0]
    dead = share == 0
    ax.bar(np.arange(len(share)), share, width=1.0, color=BLUE, alpha=0.8)
    ax.plot(np.flatnonzero(dead), share[dead], "x", color=RED, markersize=8, label="dead", clip_on=False)
    percent_axis(ax.yaxis)
    whole_axis(ax.xaxis)
    ax.set(xlabel="hidden units, the laziest first", ylabel="images it answers to", ylim=(0, 1.02))
    legend(ax)
    return Picture(
        "units", figure,
        alt=f"Bars: the share of the images that each of {len(share)} hidden units answers to; {int(dead.sum())} "
        f"answer to none, the median unit to {np.median(share):.0%}, the busiest to {share[-1]:.0%}.",
        caption="A unit answers where its sum is above zero. For which images it does is all that it can tell.",
    )  # fmt: skip


def active_shares(done: Experiment) -> np.ndarray[Any, np.dtype[np.float64]]:
    """For each hidden unit the share of the test images that it is above zero for: float64 (units,)."""
    answers = done.main.classifier.features(
        done.splits.test.images, as_is=True
    )  # the one hidden layer is what the head is given
    return np.asarray((answers > 0).mean(axis=0), dtype=np.float64)


def derivatives_picture() -> Picture:
    """Both functions, and their slopes."""
    figure, axes = sheet(1, 2, height=3.1)
    x = np.linspace(-6, 6, 601)
    sigmoid = 1 / (1 + np.exp(-x))
    curves = {"relu": (np.maximum(x, 0), (x > 0) * 1.0), "sigmoid": (sigmoid, sigmoid * (1 - sigmoid))}
    for ax, title, place in zip(axes[0], ("The function", "Its derivative"), (0, 1), strict=True):
        for name, pair in curves.items():
            ax.plot(x, pair[place], color=_COLOURS[name], linestyle=_LINES[name], linewidth=1.8, label=_NAMES[name])
        ax.set(title=title, xlabel="sum of a unit's weighted inputs", ylim=(-0.05, 3 if place == 0 else 1.15))
    legend(axes[0, 0], "upper left")
    return Picture(
        "derivatives", figure,
        alt="ReLU is 0 to the left and the identity to the right; its derivative 0 or 1. The sigmoid's derivative is "
        f"{sigmoid[300] * (1 - sigmoid[300]):.2f} at most, at 0, and nearly 0 beyond ±5.",
        caption="What comes back through a unit is multiplied by the derivative at the right.",
    )  # fmt: skip


def activation_picture(done: Experiment, numbers: Numbers) -> Picture:
    """Loss by epoch with either activation, shallow and deep."""
    figure, axes = sheet(1, 2, height=3.3, sharey=True)
    told = []
    for ax, layers in zip(axes[0], (1, DEEP), strict=True):
        for name in ACTIVATIONS:
            loss = done.trained[name, layers][0].curve("loss")
            dot = "o" if len(loss) == 1 else None
            ax.plot(range(1, len(loss) + 1), loss, _LINES[name], color=_COLOURS[name], label=_NAMES[name], marker=dot)
            told.append(f"{_NAMES[name]} {layers}: {loss[0]:.2f} to {loss[-1]:.3f}")
        ax.set(title=f"{layers} hidden layer{'s' * (layers > 1)}", xlabel="epoch", yscale="log")
        whole_axis(ax.xaxis)
    axes[0, 0].set_ylabel("training loss")
    legend(axes[0, 0])
    return Picture(
        "activations", figure,
        alt=f"Training loss by epoch, first and last, by hidden layers: {'; '.join(told)}.",
        caption="The training loss on a logarithmic scale, the same settings but for the activation.",
    )  # fmt: skip


def gradients_picture(numbers: Numbers) -> Picture:
    """How much gradient reaches each layer of the deep pair."""
    figure, axes = sheet(height=3.0)
    ax = axes[0, 0]
    for name in ACTIVATIONS:
        values = numbers["gradients"][name]
        ax.plot(range(1, len(values) + 1), values, _LINES[name], color=_COLOURS[name], label=_NAMES[name], marker="o")
    ax.set(yscale="log", xlabel="layer, from the image to the answer", ylabel="gradient (RMS)")
    whole_axis(ax.xaxis)
    legend(ax)
    told = "; ".join(
        f"{_NAMES[n]}: {v[0]:.1e} in the first, {v[-1]:.1e} in the last" for n, v in numbers["gradients"].items()
    )
    return Picture(
        "gradients", figure, alt=f"Gradient of each layer's weights before the first step. {told}.",
        caption="Before the first step, on one batch of training images: the root mean square of each layer's "
        "gradient.",
    )  # fmt: skip
