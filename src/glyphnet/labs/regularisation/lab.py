"""The lab: what it asks, what it tells."""

from __future__ import annotations

from typing import Any

from ..lab import Findings, Lab, Numbers, Progress, Question, Section, Table
from ..repeats import percent
from ..training import SMALL
from . import pictures
from .experiment import (
    FEW,
    FLIP,
    MANY,
    NONE,
    TITLES,
    TOGETHER,
    Experiment,
    RegularisationSettings,
    experiment,
    measure,
    verdict,
)


def investigate(settings: RegularisationSettings, progress: Progress) -> Findings:
    """Train with every remedy on few and many images; tell what helps when."""
    done = experiment(settings, progress)
    numbers = measure(done)
    best = {amount: _best(numbers, amount) for amount in (FEW, MANY)}
    images = numbers["images"]
    lead = (
        f"On {images[FEW]:,} images the best was {TITLES[best[FEW]]}, {_points(numbers, FEW, best[FEW])} over no "
        f"remedy; on {images[MANY]:,} {TITLES[best[MANY]]}, {_points(numbers, MANY, best[MANY])}. Flipping changed "
        f"the accuracy by {_points(numbers, FEW, FLIP)} and {_points(numbers, MANY, FLIP)}."
    )
    if numbers["data"] == "digits":
        lead += f" {SMALL}"
    sections = (_disease(done, numbers), _gains(numbers), _augmentation(done, numbers), _flipping(numbers))
    return Findings(lead, sections, numbers)


def _disease(done: Experiment, numbers: Numbers) -> Section:
    few = numbers[FEW][NONE]
    text = (
        f"A wide network can learn {numbers['images'][FEW]:,} images by heart: without any remedy it names "
        f"{few['training']['mean']:.1%} of them rightly, but only {few['accuracy']['mean']:.1%} of the test images. "
        "What it has learnt is these images, not digits.",
        "Remedies make it harder to learn by heart. Dropout silences half of the units at random. L1 and L2 make "
        "large weights cost something; L1 pushes many of them towards zero. Batch norm scales what every unit sees by "
        "its mini-batch, which brings noise. Augmentation changes the images a little each time. Early stopping "
        "watches the validation loss, stops when it has not fallen for 5 epochs, and keeps the weights of the best "
        "epoch.",
    )
    title = f"Learnt by heart: {few['training']['mean']:.1%} in training, {few['accuracy']['mean']:.1%} on test images"
    return Section(title, text, (pictures.curves_picture(done, numbers),))


def _gains(numbers: Numbers) -> Section:
    text = (
        f"Every remedy learnt with the same {numbers['seeds']} seeds as no remedy: the same first weights where the "
        "layers are the same, and the same draw of the few images. So what is compared are pairs, and the luck of the "
        "draw falls out.",
        f"On few images {_sorted_out(numbers, FEW)}.",
        f"On many images {_sorted_out(numbers, MANY)}.",
        f"Early stopping judges by the validation images: {numbers['validation_images'][FEW]:,} of them where images "
        f"are few, {numbers['validation_images'][MANY]:,} where they are many. The fewer, the more of its choice is "
        "luck.",
        "A gain whose interval holds zero is not known to be one. Strengths were taken as textbooks have them, not "
        "searched for: another strength may do better.",
    )
    tables = tuple(_table(numbers, amount) for amount in (FEW, MANY))
    helped = {amount: len(_those(numbers, amount, "helps")) for amount in (FEW, MANY)}
    title = f"{helped[FEW]} of {len(TITLES) - 1} surely help on few images, {helped[MANY]} on many"
    return Section(title, text, (pictures.gains_picture(numbers), *tables))


def _table(numbers: Numbers, amount: str) -> Table:
    rows = []
    for name, row in sorted(numbers[amount].items(), key=lambda pair: -pair[1]["accuracy"]["mean"]):
        half = f" ± {100 * row['gain']['half_width']:.2f}" if row["gain"]["half_width"] else ""
        gain = "–" if name == NONE else f"{100 * row['gain']['mean']:+.2f}{half}"
        spread = f"{100 * row['accuracy']['spread']:.2f}" if row["accuracy"]["n"] > 1 else "–"
        rows.append((TITLES[name], percent(row["accuracy"]), spread, str(row["accuracy"]["n"]), gain))
    return Table(
        ("Remedy", "Test accuracy", "Spread", "Seeds", "Gain, points"), tuple(rows),
        f"{numbers['images'][amount]:,} training images; ± is half the 95 % interval of the mean, spread from seed to "
        "seed.",
    )  # fmt: skip


def _augmentation(done: Experiment, numbers: Numbers) -> Section:
    few, many = (numbers[amount]["augment"] for amount in (FEW, MANY))
    text = (
        "To turn, shift, scale or slant a digit a little leaves it what it is: handwriting differs in just these "
        "ways. Each change tells the network what does not matter.",
        f"In seconds it costs {few['seconds']['mean']:.1f} instead of {numbers[FEW][NONE]['seconds']['mean']:.1f} s "
        f"for a training on few images, {many['seconds']['mean']:.1f} s instead of "
        f"{numbers[MANY][NONE]['seconds']['mean']:.1f} s on many.",
    )
    title = (
        f"Augmentation: {_points(numbers, FEW, 'augment')} on few images, {_points(numbers, MANY, 'augment')} on many"
    )
    return Section(title, text, (pictures.augmented_picture(done),))


def _flipping(numbers: Numbers) -> Section:
    shares = numbers["mirrored"]
    worst, best = min(shares, key=lambda name: shares[name]), max(shares, key=lambda name: shares[name])
    text = (
        "A mirrored cat is a cat. A mirrored 2 is nothing, or looks like another digit; writing has a left and a "
        "right. To flip training images tells the network that it does not matter, and it spends units on images that "
        "never come.",
        f"Asked about mirrored test images, the network without remedy still names {shares[best]:.0%} of the class "
        f"{best}, and {shares[worst]:.0%} of the class {worst}. Flipping half of the training images changed the test "
        f"accuracy by {_points(numbers, FEW, FLIP)} on few images and {_points(numbers, MANY, FLIP)} on many.",
    )
    title = f"Mirrored, {shares[worst]:.0%} of the {worst}s are still known, and {shares[best]:.0%} of the {best}s"
    return Section(title, text, (pictures.mirrored_picture(numbers),))


def _those(numbers: Numbers, amount: str, said: str) -> list[str]:
    return [TITLES[name] for name in TITLES if name != NONE and verdict(numbers[amount][name]["gain"]) == said]


def _sorted_out(numbers: Numbers, amount: str) -> str:
    words = {"helps": "these surely help", "harms": "these surely harm", "not known": "these seeds do not settle"}
    named = {said: ", ".join(_those(numbers, amount, said)) for said in words}
    return "; ".join(f"{words[said]}: {names}" for said, names in named.items() if names)


def _best(numbers: Numbers, amount: str) -> str:
    return max((name for name in TITLES if name != NONE), key=lambda name: float(numbers[amount][name]["gain"]["mean"]))


def _points(numbers: Numbers, amount: str, name: str) -> str:
    return f"{_signed(numbers[amount][name]['gain']['mean'])} points"


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", "−")


def _few_or_many(numbers: Numbers) -> str:
    """Where remedies help more."""
    alone = [name for name in TITLES if name not in (NONE, FLIP, TOGETHER)]
    told = "; ".join(
        f"{TITLES[name]} {_points(numbers, FEW, name)} and {_points(numbers, MANY, name)}"
        for name in (*alone, TOGETHER)
    )
    more = sum(numbers[FEW][name]["gain"]["mean"] > numbers[MANY][name]["gain"]["mean"] for name in alone)
    return f"On few images and on many: {told}. {more} of the {len(alone)} single remedies gain more on few. " + (
        "With many images there is less left that could be learnt by heart."
        if 2 * more > len(alone)
        else "One would expect more to, since many images are hard to learn by heart: these runs do not show it."
    )


def _adds_up(numbers: Numbers) -> str:
    """Whether the gains add up."""
    alone = [name for name in TITLES if name not in (NONE, FLIP, TOGETHER)]
    total = sum(numbers[FEW][name]["gain"]["mean"] for name in alone)
    return (
        f"The {len(alone)} gains on few images sum to {_signed(total)} points, all together bring "
        f"{_points(numbers, FEW, TOGETHER)}; the best alone, {TITLES[_best_alone(numbers)]}, "
        f"{_points(numbers, FEW, _best_alone(numbers))}. Remedies for the same thing need not add up: what one has "
        "mended the next need not mend again."
    )


def _best_alone(numbers: Numbers) -> str:
    alone = [name for name in TITLES if name not in (NONE, FLIP, TOGETHER)]
    return max(alone, key=lambda name: float(numbers[FEW][name]["gain"]["mean"]))


def _worth_data(numbers: Numbers) -> str:
    """What more images bring, beside the best remedy."""
    few: dict[str, Any] = numbers[FEW]
    more = numbers[MANY][NONE]["accuracy"]["mean"] - few[NONE]["accuracy"]["mean"]
    best = _best(numbers, FEW)
    return (
        f"From {numbers['images'][FEW]:,} images to {numbers['images'][MANY]:,}, without any remedy: "
        f"{100 * more:+.2f} points. The best remedy on few images ({TITLES[best]}): {_points(numbers, FEW, best)}, "
        f"{few[best]['gain']['mean'] / more if more else 0:.0%} of that. Set that beside what it costs to collect them."
    )


LAB = Lab(
    "regularisation",
    "Remedies against learning by heart: what helps when",
    RegularisationSettings,
    investigate,
    (
        Question("Do remedies help more where images are few, or where they are many?", _few_or_many),
        Question("Do the gains of the single remedies add up when all are used together?", _adds_up),
        Question("What is worth more: the best remedy, or more images?", _worth_data),
    ),
)
