"""The lab of the remedies: each on few and on many images, over the same seeds as no remedy at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from pydantic import Field

from ..augment import Augmenter
from ..data import Splits
from ..plots import gallery
from ..plots.style import BLUE, INK, RED, SOFT, legend
from ..progress import Progress
from ..training import Recipe
from . import training
from .drawing import TEXT, by_epoch, mean_and_interval, name_rows, panel, sheet
from .lab import Findings, Lab, Numbers, percent
from .training import TrainedNetwork, Trainer, TrainingSettings, repeats

NONE, FLIP, TOGETHER = "none", "flip", "together"
FEW, MANY = "few", "many"

TITLES = {
    NONE: "no remedy",
    "dropout": "dropout 0.5",
    "l1": "L1",
    "l2": "L2",
    "batch_norm": "batch norm",
    "augment": "augmentation",
    "early_stopping": "early stopping",
    TOGETHER: "all together",
    FLIP: "flipping",
}
_REMEDIES = [name for name in TITLES if name != NONE]
_ALONE = [name for name in _REMEDIES if name not in (FLIP, TOGETHER)]

_LARGE = 16  # pixels: smaller images are not shifted, for a pixel is much of them, and need fewer units


class RegularisationSettings(TrainingSettings):
    """What the lab can be asked."""

    few: int | None = Field(None, ge=10, description="How many images are few: 1,000, or 100 if quick.")


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained."""

    splits: Splits
    trained: dict[tuple[str, str], list[TrainedNetwork]]  # by amount of images and remedy, one per seed
    images: dict[str, int]  # for training, by amount
    judges: dict[str, int]  # images for validation, by amount
    mirrored: dict[str, float]  # by class: share of mirrored test images that the network without remedy gets right


def augmentation(splits: Splits) -> dict[str, float]:
    """Turn, scale, shear and shift a little, as handwriting differs; small images have no pixel to shift by."""
    shift = {"shift": 2} if min(splits.image_shape[:2]) >= _LARGE else {}
    return {"rotate": 10, "scale": 0.1, "shear": 5, **shift}


def remedies(splits: Splits) -> dict[str, dict[str, Any]]:
    """What each changes in the recipe of the network without any."""
    alone: dict[str, dict[str, Any]] = {
        "dropout": {"network.dropout": 0.5},
        "l1": {"l1": 1e-5},
        "l2": {"l2": 1e-4},
        "batch_norm": {"network.batch_norm": True},
        "augment": {"augment": augmentation(splits)},
        "early_stopping": {"early_stopping": {"patience": 5}, "keep_best": True},
    }
    together = {key: value for changes in alone.values() for key, value in changes.items()}
    return {NONE: {}, **alone, TOGETHER: together, FLIP: {"augment": {"flip": 0.5}}}


def base(splits: Splits, settings: TrainingSettings, amount: str, seed: int) -> Recipe:
    """A wide network without any remedy; the weights of the last epoch are kept, whatever validation says."""
    large = min(splits.image_shape[:2]) >= _LARGE
    epochs = settings.passes(full=60, quick=20) if amount == FEW else settings.passes(full=15, quick=8)
    batch_size = 32 if amount == FEW else 128
    return training.recipe(
        {"kind": "mlp", "hidden": [512 if large else 128]},
        preprocessing="unit_range",
        # The small version has time for few steps only: it takes more and larger ones.
        optimizer={"name": "adam", "lr": 0.005 if settings.quick else 0.001},
        batch_size=batch_size // 2 if settings.quick else batch_size,
        epochs=epochs,
        keep_best=False,
        seed=seed,
    )


def experiment(settings: RegularisationSettings, progress: Progress) -> Result:
    """Train all of it. Each seed has other weights, and draws other images where they are few."""
    splits = settings.read(progress)
    seeds = range(settings.repetitions(full=5, quick=2))
    few = settings.few or (100 if settings.quick else 1000)
    known = remedies(splits)
    trainer = Trainer(progress, 2 * len(known) * len(seeds))
    trained: dict[tuple[str, str], list[TrainedNetwork]] = {}
    images, judges = {}, {}
    for amount in (FEW, MANY):
        for seed in seeds:
            part = training.fewer(splits, few, seed) if amount == FEW else splits
            images[amount], judges[amount] = len(part.train), len(part.validation)
            for remedy, changes in known.items():
                asked = base(splits, settings, amount, seed).override(changes)
                run = trainer.train(part, asked, f"{amount} images, {TITLES[remedy]}")
                trained.setdefault((amount, remedy), []).append(run)
    return Result(splits, trained, images, judges, _mirrored(trained[MANY, NONE][0], splits))


def _mirrored(trained: TrainedNetwork, splits: Splits) -> dict[str, float]:
    test = splits.test
    predicted = trained.classifier.predict_labels(np.ascontiguousarray(test.images[:, :, ::-1]), as_is=True)
    return {
        name: float((predicted[test.labels == label] == label).mean())
        for label, name in enumerate(test.classes)
        if test.counts[label]
    }


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    remedies_of = {amount: {remedy: _one(result, amount, remedy) for remedy in TITLES} for amount in (FEW, MANY)}
    return {
        "data": result.splits.name,
        "images": {**result.images, "test": len(result.splits.test)},
        "validation_images": result.judges,
        "seeds": len(result.trained[FEW, NONE]),
        "epochs": {amount: len(result.trained[amount, NONE][0].history) for amount in (FEW, MANY)},
        **remedies_of,
        "more_on_few": sum(
            remedies_of[FEW][name]["gain"]["mean"] > remedies_of[MANY][name]["gain"]["mean"] for name in _ALONE
        ),
        "augmentation": [*augmentation(result.splits), FLIP],
        "mirrored": result.mirrored,
    }


def _one(result: Result, amount: str, remedy: str) -> dict[str, Any]:
    runs, without = result.trained[amount, remedy], result.trained[amount, NONE]
    gain = repeats([a.evaluation.accuracy - b.evaluation.accuracy for a, b in zip(runs, without, strict=True)])
    return {
        "name": remedy,
        "title": TITLES[remedy],
        "alone": remedy in _ALONE,
        "accuracy": training.accuracies(runs),
        "gain": gain,
        "decision": verdict(gain),
        "training": repeats([run.last["accuracy"] for run in runs]),
        "seconds": repeats([sum(run.curve("seconds")) for run in runs]),
        "epochs": repeats([len(run.history) for run in runs]),
        "last": runs[0].last,
    }


def verdict(gain: dict[str, Any]) -> str:
    """Whether the interval of the mean gain leaves zero out: "helps", "harms", or "not known"."""
    half = gain["half_width"]
    if half and gain["mean"] - half > 0:
        return "helps"
    if half and gain["mean"] + half < 0:
        return "harms"
    return "not known"


# The figures of the page

_COLOURS = {"helps": BLUE, "harms": RED, "not known": SOFT}
_MARKERS = {"helps": "o", "harms": "D", "not known": "s"}
_EACH = 6  # images a row of the gallery


def investigate(settings: RegularisationSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = experiment(settings, progress)
    numbers = measure(result)
    figures = {
        "curves": _curves(result),
        "gains": _gains(numbers),
        "augmented": _augmented(result.splits),
        "mirrored": _mirrored_bars(result.mirrored),
    }
    return Findings(numbers, figures)


def _curves(result: Result) -> Figure:
    figure, axes = sheet(1, 2, height=3.3, sharey=True)
    for ax, name in zip(axes[0], (NONE, TOGETHER), strict=True):
        run = result.trained[FEW, name][0]
        by_epoch(ax, run.curve("loss"), color=BLUE, label="training")
        by_epoch(ax, run.curve("val_loss"), "--", color=RED, label="validation")
        ax.set(title=TITLES[name], xlabel="epoch", yscale="log")
    axes[0, 0].set_ylabel("loss", fontsize=TEXT)
    legend(axes[0, 0])
    return figure


def _gains(numbers: Numbers) -> Figure:
    figure, axes = sheet(1, 2, height=4.0, sharey=True)
    for ax, amount in zip(axes[0], (FEW, MANY), strict=True):
        ax.axvline(0, color=INK, linewidth=1)
        for place, name in enumerate(_REMEDIES):
            row = numbers[amount][name]
            decision, values = row["decision"], 100 * np.array(row["gain"]["values"])
            ax.plot(values, np.full(len(values), place), "|", color=_COLOURS[decision], markersize=7, alpha=0.7)
            mean_and_interval(ax, place, row["gain"], _MARKERS[decision], _COLOURS[decision], scale=100)
        ax.set(title=f"{numbers['images'][amount]:,} images", xlabel="points gained")
    name_rows(axes[0, 0], [TITLES[name] for name in _REMEDIES])
    return figure


def _augmented(splits: Splits) -> Figure:
    rows = np.linspace(0, len(splits.train) - 1, _EACH).astype(int)
    images = torch.from_numpy(np.array(splits.train.images[rows])).permute(0, 3, 1, 2).float() / 255
    shown, titles = [images], ["as it is"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, strength in {**augmentation(splits), FLIP: 1.0}.items():
            shown.append(Augmenter({name: strength})(images))
            titles.append(name)
    pixels = (torch.cat(shown).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    figure, ax = panel(1.35 * len(titles))
    gallery(pixels, [title for title in titles for _ in range(_EACH)], columns=_EACH, ax=ax)
    return figure


def _mirrored_bars(shares: Numbers) -> Figure:
    figure, ax = panel(2.8)
    bars = ax.bar(list(shares), [100 * share for share in shares.values()], color=BLUE, alpha=0.85, width=0.7)
    ax.bar_label(bars, [percent(share) for share in shares.values()], fontsize=TEXT - 2, padding=2)
    ax.set(ylim=(0, 112), xlabel="class", ylabel="still named rightly, %")
    ax.grid(False, axis="x")
    return figure


LAB = Lab("regularisation", "Remedies against over-fitting: what helps when", RegularisationSettings, investigate)
