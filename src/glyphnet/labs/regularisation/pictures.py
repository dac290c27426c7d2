"""The lab's pictures, each with what it shows in words."""

from __future__ import annotations

import numpy as np
import torch

from ...augment import Augmenter
from ...plots import gallery
from ...plots.style import BLUE, INK, RED, SOFT, legend, whole_axis
from ..lab import Numbers, Picture
from ..sheet import TEXT, sheet
from .experiment import FEW, FLIP, MANY, NONE, TITLES, TOGETHER, Experiment, augmentation, verdict

_COLOURS = {"helps": BLUE, "harms": RED, "not known": SOFT}
_MARKERS = {"helps": "o", "harms": "D", "not known": "s"}
_EACH = 6  # images a row of the gallery


def gains_picture(numbers: Numbers) -> Picture:
    """What each remedy gains over none, on few and on many images."""
    names = [name for name in TITLES if name != NONE]
    figure, axes = sheet(1, 2, height=4.0, sharey=True)
    told = []
    for ax, amount in zip(axes[0], (FEW, MANY), strict=True):
        ax.axvline(0, color=INK, linewidth=1)
        for place, name in enumerate(names):
            gain = numbers[amount][name]["gain"]
            said = verdict(gain)
            values = 100 * np.array(gain["values"])
            ax.plot(values, np.full(len(values), place), "|", color=_COLOURS[said], markersize=7, alpha=0.7)
            ax.errorbar(
                100 * gain["mean"], place, xerr=100 * gain["half_width"], fmt=_MARKERS[said], color=_COLOURS[said],
                markersize=7, capsize=3,
            )  # fmt: skip
            told.append(f"{TITLES[name]} on {amount} {100 * gain['mean']:+.2f}")
        ax.set(title=f"{numbers['images'][amount]:,} images", xlabel="points gained")
    axes[0, 0].set_yticks(range(len(names)), [TITLES[name] for name in names])
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    return Picture(
        "gains", figure, alt=f"Points of test accuracy gained over no remedy: {'; '.join(told)}.",
        caption="Right of the line is better. Mean over the seeds with its 95 % interval; ticks are single seeds. "
        "Round and blue: it helps. Diamond and red: it harms. Square and grey: these seeds do not say.",
    )  # fmt: skip


def curves_picture(done: Experiment, numbers: Numbers) -> Picture:
    """Training and validation loss on few images, without remedy and with all."""
    figure, axes = sheet(1, 2, height=3.3, sharey=True)
    told = []
    for ax, name in zip(axes[0], (NONE, TOGETHER), strict=True):
        run = done.trained[FEW, name][0]
        epochs = range(1, len(run.history) + 1)
        ax.plot(epochs, run.curve("loss"), color=BLUE, linewidth=1.8, label="training")
        ax.plot(epochs, run.curve("val_loss"), "--", color=RED, linewidth=1.8, label="validation")
        ax.set(title=TITLES[name], xlabel="epoch", yscale="log")
        whole_axis(ax.xaxis)
        told.append(f"{TITLES[name]}: training {run.last['loss']:.3f}, validation {run.last['val_loss']:.3f}")
    axes[0, 0].set_ylabel("loss", fontsize=TEXT)
    legend(axes[0, 0])
    return Picture(
        "curves", figure,
        alt=f"Training and validation loss by epoch on {numbers['images'][FEW]:,} images; at the end "
        f"{'; '.join(told)}.",
        caption="First seed, logarithmic scale. With remedies at work training is harder: its loss is no measure of "
        "them.",
    )  # fmt: skip


def augmented_picture(done: Experiment) -> Picture:
    """Some training images, changed in each of the ways by the strength that was used; mirrored last."""
    rows = np.linspace(0, len(done.splits.train) - 1, _EACH).astype(int)
    images = torch.from_numpy(np.array(done.splits.train.images[rows])).permute(0, 3, 1, 2).float() / 255
    shown, titles = [images], ["as it is"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, strength in {**augmentation(done.splits), FLIP: 1.0}.items():
            shown.append(Augmenter({name: strength})(images))
            titles.append(name)
    pixels = (torch.cat(shown).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    figure, axes = sheet(height=1.35 * len(titles))
    gallery(pixels, [title for title in titles for _ in range(_EACH)], columns=_EACH, ax=axes[0, 0])
    return Picture(
        "augmented", figure,
        alt=f"Training images as they are, and changed: {', '.join(titles[1:])}. All but the mirrored ones are still "
        "what they were.",
        caption="A fresh change each time an image comes up: the network never sees quite the same one twice. Last "
        "row: mirrored, and no longer what it was.",
    )  # fmt: skip


def mirrored_picture(numbers: Numbers) -> Picture:
    """Which classes are still known when they are mirrored."""
    figure, axes = sheet(height=2.8)
    ax = axes[0, 0]
    names, shares = list(numbers["mirrored"]), list(numbers["mirrored"].values())
    bars = ax.bar(names, [100 * share for share in shares], color=BLUE, alpha=0.85, width=0.7)
    ax.bar_label(bars, [f"{share:.0%}" for share in shares], fontsize=TEXT - 2, padding=2)
    ax.set(ylim=(0, 112), xlabel="class", ylabel="still named rightly, %")
    ax.grid(False, axis="x")
    told = ", ".join(f"{name}: {share:.0%}" for name, share in numbers["mirrored"].items())
    return Picture(
        "mirrored", figure, alt=f"Bars: mirrored test images that are still named rightly, by class. {told}.",
        caption="The network without any remedy, trained on all images, asked about mirrored test images.",
    )  # fmt: skip
