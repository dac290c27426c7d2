"""The lab of the remedies: each on few and on many images, over the same seeds as no remedy at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field

from ..augment import Augmenter
from ..data import Splits
from ..plots import gallery
from ..plots.style import BLUE, INK, RED, SOFT, legend
from ..progress import Progress
from ..training import Recipe
from . import training
from .drawing import TEXT, by_epoch, mean_and_interval, name_rows, panel, sheet
from .lab import Columns, Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .training import TrainedNetwork, Trainer, TrainingSettings, points, repeats, spread_of, with_interval

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
    return {
        "data": result.splits.name,
        "images": {**result.images, "test": len(result.splits.test)},
        "validation_images": result.judges,
        "seeds": len(result.trained[FEW, NONE]),
        "epochs": {amount: len(result.trained[amount, NONE][0].history) for amount in (FEW, MANY)},
        **{amount: {remedy: _one(result, amount, remedy) for remedy in TITLES} for amount in (FEW, MANY)},
        "mirrored": result.mirrored,
    }


def _one(result: Result, amount: str, remedy: str) -> dict[str, Any]:
    runs, without = result.trained[amount, remedy], result.trained[amount, NONE]
    return {
        "accuracy": training.accuracies(runs),
        "gain": repeats([a.evaluation.accuracy - b.evaluation.accuracy for a, b in zip(runs, without, strict=True)]),
        "training": repeats([run.last["accuracy"] for run in runs]),
        "seconds": repeats([sum(run.curve("seconds")) for run in runs]),
        "epochs": repeats([len(run.history) for run in runs]),
    }


def verdict(gain: dict[str, Any]) -> str:
    """Whether the interval of the mean gain leaves zero out: "helps", "harms", or "not known"."""
    half = gain["half_width"]
    if half and gain["mean"] - half > 0:
        return "helps"
    if half and gain["mean"] + half < 0:
        return "harms"
    return "not known"


# The page


_COLOURS = {"helps": BLUE, "harms": RED, "not known": SOFT}
_MARKERS = {"helps": "o", "harms": "D", "not known": "s"}
_EACH = 6  # images a row of the gallery


def investigate(settings: RegularisationSettings, progress: Progress) -> Findings:
    """Run the experiment and write its findings."""
    result = experiment(settings, progress)
    numbers = measure(result)
    best = {amount: _best(numbers, amount) for amount in (FEW, MANY)}
    images = numbers["images"]
    lead = (
        f"On {images[FEW]:,} images the best was {TITLES[best[FEW]]}, {_points(numbers, FEW, best[FEW])} over no "
        f"remedy; on {images[MANY]:,} {TITLES[best[MANY]]}, {_points(numbers, MANY, best[MANY])}. Flipping changed "
        f"the accuracy by {_points(numbers, FEW, FLIP)} and {_points(numbers, MANY, FLIP)}."
    )
    sections = (_disease(result, numbers), _gains(numbers), _augmentation(result, numbers), _flipping(numbers))
    return Findings(training.lead_with_note(lead, numbers), sections, numbers)


def _disease(result: Result, numbers: Numbers) -> Section:
    few = numbers[FEW][NONE]
    text = (
        f"A wide network can memorise {numbers['images'][FEW]:,} images: without any remedy its training accuracy is "
        f"{percent(few['training']['mean'], 1)}, its test accuracy only {percent(few['accuracy']['mean'], 1)}.",
        "Remedies make memorising harder. Dropout drops half of the units at random. L1 and L2 penalise large "
        "weights; L1 pushes many of them to zero. Batch norm scales each unit by its mini-batch, which adds noise. "
        "Augmentation changes the images a little each time. Early stopping ends when the validation loss has not "
        "fallen for 5 epochs, and keeps the best weights.",
    )
    training, test = (percent(few[name]["mean"], 1) for name in ("training", "accuracy"))
    title = f"Over-fitting: {training} in training, {test} on test images"
    figure, axes = sheet(1, 2, height=3.3, sharey=True)
    facts = []
    for ax, name in zip(axes[0], (NONE, TOGETHER), strict=True):
        run = result.trained[FEW, name][0]
        by_epoch(ax, run.curve("loss"), color=BLUE, label="training")
        by_epoch(ax, run.curve("val_loss"), "--", color=RED, label="validation")
        ax.set(title=TITLES[name], xlabel="epoch", yscale="log")
        facts.append(f"{TITLES[name]}: training {run.last['loss']:.3f}, validation {run.last['val_loss']:.3f}")
    axes[0, 0].set_ylabel("loss", fontsize=TEXT)
    legend(axes[0, 0])
    picture = Picture(
        "curves", figure,
        alt=f"Training and validation loss by epoch on {numbers['images'][FEW]:,} images; at the end "
        f"{'; '.join(facts)}.",
        caption="First seed, logarithmic scale. Remedies make training harder: compare validation losses.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _gains(numbers: Numbers) -> Section:
    text = (
        f"Every remedy used the same {numbers['seeds']} seeds as no remedy: the same initial weights where the layers "
        "are equal, and the same draw of the few images. So the comparison is paired.",
        f"On few images {_sorted_out(numbers, FEW)}.",
        f"On many images {_sorted_out(numbers, MANY)}.",
        f"Early stopping chooses by the validation images: {numbers['validation_images'][FEW]:,} of them with few "
        f"images, {numbers['validation_images'][MANY]:,} with many. The fewer, the more its choice is chance.",
        "A gain whose interval includes zero is undecided. Strengths are usual values, not tuned: others may do "
        "better.",
    )
    tables = tuple(_table(numbers, amount) for amount in (FEW, MANY))
    helped = {amount: len(_those(numbers, amount, "helps")) for amount in (FEW, MANY)}
    title = f"{helped[FEW]} of {len(TITLES) - 1} help on few images, {helped[MANY]} on many"
    figure, axes = sheet(1, 2, height=4.0, sharey=True)
    facts = []
    for ax, amount in zip(axes[0], (FEW, MANY), strict=True):
        ax.axvline(0, color=INK, linewidth=1)
        for place, name in enumerate(_REMEDIES):
            gain = numbers[amount][name]["gain"]
            decision = verdict(gain)
            values = 100 * np.array(gain["values"])
            ax.plot(values, np.full(len(values), place), "|", color=_COLOURS[decision], markersize=7, alpha=0.7)
            mean_and_interval(ax, place, gain, _MARKERS[decision], _COLOURS[decision], scale=100)
            facts.append(f"{TITLES[name]} on {amount} {100 * gain['mean']:+.2f}")
        ax.set(title=f"{numbers['images'][amount]:,} images", xlabel="points gained")
    name_rows(axes[0, 0], [TITLES[name] for name in _REMEDIES])
    picture = Picture(
        "gains", figure, alt=f"Points of test accuracy gained over no remedy: {'; '.join(facts)}.",
        caption="Right of the line is better. Mean over the seeds with its 95 % interval; ticks are single seeds. "
        "Round and blue: it helps. Diamond and red: it harms. Square and grey: these seeds do not say.",
    )  # fmt: skip
    return Section(title, text, (picture, *tables))


def _table(numbers: Numbers, amount: str) -> Table:
    def gain(row: Numbers) -> str:
        half = f" ± {100 * row['gain']['half_width']:.2f}" if row["gain"]["half_width"] else ""
        return "–" if row["title"] == TITLES[NONE] else f"{100 * row['gain']['mean']:+.2f}{half}"

    columns: Columns = {
        "Remedy": "{title}",
        "Test accuracy": lambda row: with_interval(row["accuracy"]),
        "Spread": lambda row: spread_of(row["accuracy"]),
        "Seeds": "{accuracy[n]}",
        "Gain, points": gain,
    }
    rows = [{"title": TITLES[name], **row} for name, row in numbers[amount].items()]
    caption = "training images; ± is half the 95 % interval of the mean, spread from seed to seed."
    ranked = sorted(rows, key=lambda row: -row["accuracy"]["mean"])
    return Table.of(ranked, columns, f"{numbers['images'][amount]:,} {caption}")


def _augmentation(result: Result, numbers: Numbers) -> Section:
    few, many = (numbers[amount]["augment"] for amount in (FEW, MANY))
    text = (
        "A digit that is turned, shifted, scaled or slanted a little remains the same digit, and handwriting differs "
        "in these ways. Each change teaches the network what does not matter.",
        f"Training takes {few['seconds']['mean']:.1f} instead of {numbers[FEW][NONE]['seconds']['mean']:.1f} s on few "
        f"images, {many['seconds']['mean']:.1f} instead of {numbers[MANY][NONE]['seconds']['mean']:.1f} s on many.",
    )
    title = (
        f"Augmentation: {_points(numbers, FEW, 'augment')} on few images, {_points(numbers, MANY, 'augment')} on many"
    )
    rows = np.linspace(0, len(result.splits.train) - 1, _EACH).astype(int)
    images = torch.from_numpy(np.array(result.splits.train.images[rows])).permute(0, 3, 1, 2).float() / 255
    shown, titles = [images], ["as it is"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, strength in {**augmentation(result.splits), FLIP: 1.0}.items():
            shown.append(Augmenter({name: strength})(images))
            titles.append(name)
    pixels = (torch.cat(shown).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    figure, ax = panel(1.35 * len(titles))
    gallery(pixels, [title for title in titles for _ in range(_EACH)], columns=_EACH, ax=ax)
    picture = Picture(
        "augmented", figure,
        alt=f"Training images as they are, and changed: {', '.join(titles[1:])}. All but the mirrored ones are still "
        "what they were.",
        caption="A fresh change each time an image comes up: the network never sees quite the same one twice. Last "
        "row: mirrored, and no longer what it was.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _flipping(numbers: Numbers) -> Section:
    shares = numbers["mirrored"]
    worst, best = min(shares, key=lambda name: shares[name]), max(shares, key=lambda name: shares[name])
    text = (
        "A mirrored cat is a cat. A mirrored 2 is no digit, or resembles another. Flipping training images teaches "
        "the network that direction does not matter, and uses capacity for images that never occur.",
        f"Of mirrored test images, the network without remedy recognises {percent(shares[best])} of class {best} and "
        f"{percent(shares[worst])} of class {worst}. Flipping half of the training images changed test accuracy by "
        f"{_points(numbers, FEW, FLIP)} on few images and {_points(numbers, MANY, FLIP)} on many.",
    )
    known = [f"{percent(shares[name])} of the {name}s" for name in (worst, best)]
    title = f"Mirrored, {known[0]} are still recognised, and {known[1]}"
    figure, ax = panel(2.8)
    bars = ax.bar(list(shares), [100 * share for share in shares.values()], color=BLUE, alpha=0.85, width=0.7)
    ax.bar_label(bars, [f"{percent(share)}" for share in shares.values()], fontsize=TEXT - 2, padding=2)
    ax.set(ylim=(0, 112), xlabel="class", ylabel="still named rightly, %")
    ax.grid(False, axis="x")
    facts = ", ".join(f"{name}: {percent(share)}" for name, share in shares.items())
    picture = Picture(
        "mirrored", figure, alt=f"Bars: mirrored test images that are still named rightly, by class. {facts}.",
        caption="The network without any remedy, trained on all images, asked about mirrored test images.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _those(numbers: Numbers, amount: str, decision: str) -> list[str]:
    return [TITLES[name] for name in _REMEDIES if verdict(numbers[amount][name]["gain"]) == decision]


def _sorted_out(numbers: Numbers, amount: str) -> str:
    words = {"helps": "these help", "harms": "these harm", "not known": "these are undecided"}
    named = {decision: ", ".join(_those(numbers, amount, decision)) for decision in words}
    return "; ".join(f"{words[decision]}: {names}" for decision, names in named.items() if names)


def _best(numbers: Numbers, amount: str) -> str:
    return max(_REMEDIES, key=lambda name: float(numbers[amount][name]["gain"]["mean"]))


def _points(numbers: Numbers, amount: str, name: str) -> str:
    return points(numbers[amount][name]["gain"]["mean"], "+")


def _few_or_many(numbers: Numbers) -> str:
    facts = "; ".join(
        f"{TITLES[name]} {_points(numbers, FEW, name)} and {_points(numbers, MANY, name)}"
        for name in (*_ALONE, TOGETHER)
    )
    more = sum(numbers[FEW][name]["gain"]["mean"] > numbers[MANY][name]["gain"]["mean"] for name in _ALONE)
    return f"On few images and on many: {facts}. {more} of the {len(_ALONE)} single remedies gain more on few. " + (
        "With many images there is less over-fitting."
        if 2 * more > len(_ALONE)
        else "One would expect more, since many images are hard to memorise: these runs do not show it."
    )


def _adds_up(numbers: Numbers) -> str:
    gains = {name: float(numbers[FEW][name]["gain"]["mean"]) for name in _ALONE}
    best = max(gains, key=gains.__getitem__)
    return (
        f"The {len(gains)} gains on few images sum to {points(sum(gains.values()), '+')}, all together bring "
        f"{_points(numbers, FEW, TOGETHER)}; the best alone, {TITLES[best]}, {_points(numbers, FEW, best)}. Remedies "
        "against the same problem need not add up."
    )


def _worth_data(numbers: Numbers) -> str:
    few: dict[str, Any] = numbers[FEW]
    more = numbers[MANY][NONE]["accuracy"]["mean"] - few[NONE]["accuracy"]["mean"]
    best = _best(numbers, FEW)
    return (
        f"From {numbers['images'][FEW]:,} images to {numbers['images'][MANY]:,}, without any remedy: "
        f"{100 * more:+.2f} points. The best remedy on few images ({TITLES[best]}): {_points(numbers, FEW, best)}, "
        f"{percent(few[best]['gain']['mean'] / more if more else 0)} of that. Compare it with the cost of more images."
    )


LAB = Lab(
    "regularisation",
    "Remedies against over-fitting: what helps when",
    RegularisationSettings,
    investigate,
    (
        Question("Do remedies help more where images are few, or where they are many?", _few_or_many),
        Question("Do the gains of the single remedies add up when all are used together?", _adds_up),
        Question("What is worth more: the best remedy, or more images?", _worth_data),
    ),
)
