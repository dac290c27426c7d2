"""The lab of dropout: the two known networks and a convolutional one, on the same division of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Splits
from ..evaluation import evaluate
from ..plots import gallery, learning_curves
from ..plots.style import BLUE, INK, RED, SOFT, dress, legend, percent_axis
from ..progress import Progress
from . import training
from .drawing import TEXT, by_epoch, legend_above, name_rows, panel, sheet
from .lab import Columns, Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .training import TrainedNetwork, TrainingSettings, points, repeats, with_interval

WITHOUT, WITH, CNN = "without", "with", "cnn"

TITLES = {WITHOUT: "(a) without dropout", WITH: "(b) with dropout", CNN: "convolutional"}

KNOWN = {WITHOUT: {"training": 0.9971, "validation": 0.9756}, WITH: {"training": 0.9780, "validation": 0.9783}}
"""What these two are known to reach on MNIST after 10 epochs."""

SEEN = {WITHOUT: 8.7, CNN: 11.1}
"""Seconds an epoch, seen with Keras on TensorFlow on a 2-core AMD EPYC with Python 3.11."""

FIRST = 4  # test images whose answers are shown


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained."""

    splits: Splits
    trained: dict[str, list[TrainedNetwork]]  # by kind, one per seed
    at_rest: dict[str, float]  # by kind: the first network's accuracy on the training images, with all units


def networks(splits: Splits) -> dict[str, dict[str, Any]]:
    """The three: a single wide layer, two layers with dropout behind each, and convolutions."""
    return {
        WITHOUT: {"kind": "mlp", "hidden": [784]},
        WITH: {"kind": "mlp", "hidden": [784, 130], "dropout": 0.5},
        CNN: training.classic_cnn(splits),
    }


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train all three. The last epoch's weights are kept, as in the published experiment."""
    splits = settings.read(progress, validation_fraction=0.2)
    common: dict[str, Any] = {
        "preprocessing": "unit_norm",
        "epochs": settings.passes(full=10, quick=15),
        "keep_best": False,
    }
    recipes = {
        # Few images make few steps.
        kind: training.recipe(network, batch_size=128 if kind == CNN and not settings.quick else 50, **common)
        for kind, network in networks(splits).items()
    }
    trained = training.train_each(splits, recipes, settings.repetitions(full=1, quick=1), progress, TITLES)
    at_rest = {kind: evaluate(runs[0].classifier, splits.train).accuracy for kind, runs in trained.items()}
    return Result(splits, trained, at_rest)


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        **training.data_numbers(result.splits, result.trained[WITHOUT][0]),
        "networks": {kind: _one(result, kind) for kind in result.trained},
        "first": _first_numbers(result),
    }


def _one(result: Result, kind: str) -> dict[str, Any]:
    runs = result.trained[kind]
    first = runs[0]
    counted = first.classifier.summary()
    return {
        "parameters": counted.parameters,
        "flops": counted.flops,
        "training": repeats([run.last["accuracy"] for run in runs]),
        "validation": repeats([run.last["val_accuracy"] for run in runs]),
        "test": training.accuracies(runs),
        "test_interval": first.test_interval,
        "gap": repeats([run.last["accuracy"] - run.last["val_accuracy"] for run in runs]),
        "training_at_rest": result.at_rest[kind],
        "gap_at_rest": result.at_rest[kind] - first.last["val_accuracy"],
        "last": first.last,
        "lowest_val_loss": min(first.curve("val_loss")),
        "seconds_per_epoch": first.seconds_per_epoch,
        "seen_seconds_per_epoch": SEEN.get(kind),
        "known": KNOWN.get(kind),
    }


def _first_numbers(result: Result) -> list[dict[str, Any]]:
    """The first test images: what they are, and what each network says of them."""
    classes = result.splits.classes
    return [
        {
            "label": classes[result.splits.test.labels[row]],
            "predicted": {
                kind: classes[runs[0].evaluation.predictions[row]] for kind, runs in result.trained.items()
            },
            "probabilities": {
                kind: [round(float(p), 6) for p in runs[0].evaluation.probabilities[row]]
                for kind, runs in result.trained.items()
            },
        }
        for row in range(min(FIRST, len(result.splits.test)))
    ]  # fmt: skip


# The page


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and write its findings."""
    result = experiment(settings, progress)
    numbers = measure(result)
    sections = (
        _networks(result, numbers),
        _gap(result, numbers),
        _rest(numbers),
        _first_section(result, numbers),
        _promised(result, numbers),
    )
    without, with_ = (numbers["networks"][kind] for kind in (WITHOUT, WITH))
    lead = (
        f"After {numbers['epochs']} epochs training is {points(without['gap']['mean'])} ahead of validation without "
        f"dropout and {points(with_['gap']['mean'])} with it; validation itself stands at "
        f"{with_interval(without['validation'])} and {with_interval(with_['validation'])}."
    )
    return Findings(training.lead_with_note(lead, numbers), sections, numbers)


def _networks(result: Result, numbers: Numbers) -> Section:
    text = (
        "Every image is scaled to Euclidean length 1, so a faint and a bold digit of the same shape become equal. A "
        "fifth of the training images is held out for validation. Both networks are trained by Adam for the same "
        "number of epochs, 50 images per step.",
        "The network without dropout has one hidden layer, as wide as MNIST has pixels. The other has a second "
        "layer, and after each a dropout of one half: each step sets half of the units to zero, chosen at random.",
        "So the two differ in more than dropout, as in the published experiment; the lab `regularisation` changes "
        "one thing at a time.",
    )
    tables = (
        training.layer_table(result.trained[WITHOUT][0], "The network (a), without dropout."),
        training.layer_table(result.trained[WITH][0], "The network (b), with dropout."),
    )
    sizes = [numbers["networks"][kind]["parameters"] for kind in (WITHOUT, WITH)]
    return Section(f"Two networks, of {sizes[0]:,} and {sizes[1]:,} parameters", text, tables)


def _gap(result: Result, numbers: Numbers) -> Section:
    without, with_ = (numbers["networks"][kind]["gap"]["mean"] for kind in (WITHOUT, WITH))
    closes = abs(with_) < abs(without)
    title = f"The gap {'closes' if closes else 'stays'}: {points(without)} without dropout, {points(with_)} with it"
    text = [
        "The gap is training accuracy minus validation accuracy. A network that memorises its images has a wide gap.",
        f"Without dropout the validation loss was {numbers['networks'][WITHOUT]['lowest_val_loss']:.3f} at its lowest "
        f"and {numbers['networks'][WITHOUT]['last']['val_loss']:.3f} at the end; with it "
        f"{numbers['networks'][WITH]['lowest_val_loss']:.3f} and {numbers['networks'][WITH]['last']['val_loss']:.3f}.",
    ]
    if numbers["data"] == "mnist":
        text.append("Published, after 10 epochs: (a) 99.71 % training and 97.56 % validation, (b) 97.80 % and 97.83 %.")
    columns: Columns = {
        "Network": "{title}",
        "Training": lambda row: with_interval(row["training"]),
        "Validation": lambda row: with_interval(row["validation"]),
        "Gap, points": lambda row: f"{100 * row['gap']['mean']:+.2f}",
        "Test": lambda row: with_interval(row["test"]),
        "Seeds": "{gap[n]}",
        "s per epoch": "{seconds_per_epoch:.2f}",
    }
    rows = [{"title": TITLES[kind], **numbers["networks"][kind]} for kind in (WITHOUT, WITH)]
    table = Table.of(rows, columns, "After the last epoch; over several seeds the mean ± half its 95 % interval.")
    figure, axes = sheet(2, 2, height=6.2, sharey="row", sharex=True)
    facts = []
    for column, kind in enumerate((WITHOUT, WITH)):
        learning_curves(result.trained[kind][0].history, axes=list(axes[:, column]))
        axes[0, column].set(title=TITLES[kind], xlabel="")
        axes[1, column].set_title("")
        row = numbers["networks"][kind]
        facts.append(
            f"{TITLES[kind]}: training {percent(row['training']['mean'], 2)}, validation "
            f"{percent(row['validation']['mean'], 2)}"
        )
    axes[0, 0].set_ylabel("loss", fontsize=TEXT)
    axes[1, 0].set_ylabel("accuracy", fontsize=TEXT)
    picture = Picture(
        "curves", figure,
        alt=f"Loss and accuracy by epoch, side by side. At the end {'; '.join(facts)}.",
        caption="Left without dropout, right with it, on the same scales. Look at how far the two lines of a panel "
        "part.",
    )  # fmt: skip
    return Section(title, text, (picture, table))


def _rest(numbers: Numbers) -> Section:
    row = numbers["networks"][WITH]
    text = (
        "Training accuracy is measured during the epoch, with half of the units dropped. Validation is measured "
        "after it, with all units. So the two are not comparable.",
        f"Measured after training with all units, the network with dropout has {percent(row['training_at_rest'], 2)} "
        f"training accuracy, not {percent(row['last']['accuracy'], 2)}. Then its gap is "
        f"{points(row['gap_at_rest'])}; without dropout it is {points(numbers['networks'][WITHOUT]['gap_at_rest'])}.",
    )
    title = f"Measured with all units, the gap with dropout is {points(row['gap_at_rest'])}"
    figure, ax = panel(2.9)
    names: list[str] = []
    for kind in (WITHOUT, WITH):
        measured = numbers["networks"][kind]
        validation = measured["last"]["val_accuracy"]
        ways = {"during training": measured["last"]["accuracy"], "all units": measured["training_at_rest"]}
        for how, accuracy in ways.items():
            place = len(names)
            ax.plot([accuracy, validation], [place, place], color=SOFT, linewidth=3, alpha=0.4, zorder=1)
            ax.plot(accuracy, place, "o", color=BLUE, markersize=8, label=None if place else "training")
            ax.plot(validation, place, "D", color=RED, markersize=7, label=None if place else "validation")
            names.append(f"{TITLES[kind]},\n{how}")
    name_rows(ax, names)
    percent_axis(ax.xaxis)
    ax.set_xlabel("accuracy after the last epoch")
    legend_above(ax)
    facts = "; ".join(f"{TITLES[kind]}: {100 * numbers['networks'][kind]['gap']['mean']:+.2f} points" for kind in KNOWN)
    picture = Picture(
        "gap", figure,
        alt=f"Training and validation accuracy joined by a line; the gap is {facts}.",
        caption="The length of the line is the gap. Below for each network: the training images once more, after "
        "training, with no unit dropped.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _first_section(result: Result, numbers: Numbers) -> Section:
    rows = numbers["first"]
    table = Table(
        ["Class", *(f"Image {number}" for number in range(1, len(rows) + 1))],
        [
            (name, *(f"{row['probabilities'][WITH][place]:.4f}" for row in rows))
            for place, name in enumerate(result.splits.classes)
        ],
        "Probabilities of the network with dropout, image by image.",
    )
    truth = " ".join(row["label"] for row in rows)
    predicted = " ".join(row["predicted"][WITH] for row in rows)
    text = (
        "A prediction is one probability per class. The highest gives the predicted class and says how confident the "
        "network is.",
        f"The labels of these images are {truth}; the network with dropout predicts {predicted}.",
    )
    title = f"The first {len(rows)} test images: {truth}; predicted: {predicted}"
    test = result.splits.test
    figure, grid = sheet(2, len(rows), height=3.9, gridspec_kw={"height_ratios": (1, 1.1)})
    right = 0
    for column, row in enumerate(rows):
        above, below = grid[:, column]
        answer, label = row["predicted"][WITH], row["label"]
        right += answer == label
        gallery(np.asarray(test.images[column : column + 1]), [""], ax=above)
        above.set_title(f"is {label}, predicted {answer}", fontsize=TEXT, color=RED if answer != label else INK)
        dress(below).bar(range(len(test.classes)), row["probabilities"][WITH], color=BLUE, alpha=0.85)
        below.set_xticks(range(len(test.classes)), test.classes, fontsize=8)
        below.set_ylim(0, 1.02)
        below.grid(False, axis="x")
        percent_axis(below.yaxis)
        below.tick_params(labelleft=column == 0)
    picture = Picture(
        "first-four", figure,
        alt=f"The first {len(rows)} test images and the probabilities of each class; the network with dropout says "
        f"{predicted}, {right} of {len(rows)} rightly.",
        caption="Above the image, below what the network with dropout gives each class.",
    )  # fmt: skip
    return Section(title, text, (picture, table))


def _promised(result: Result, numbers: Numbers) -> Section:
    row = numbers["networks"][CNN]
    dense, plain = numbers["networks"][WITH], numbers["networks"][WITHOUT]
    text = [
        "The published text announces a convolutional network but omits it. Here it is: twice a 3×3 convolution, ReLU "
        f"and pooling, then dropout and the head. It shares weights across positions: {row['parameters']:,} parameters "
        f"and {row['flops']:,} FLOPs per image, against {dense['parameters']:,} and {dense['flops']:,} for (b).",
        f"It reaches {with_interval(row['validation'])} on validation and {with_interval(row['test'])} on test images "
        f"(of the first seed: 95 % interval {percent(row['test_interval']['low'], 2)} to "
        f"{percent(row['test_interval']['high'], 2)}), in {row['seconds_per_epoch']:.2f} s an epoch.",
    ]
    if numbers["data"] == "mnist":
        text.append(
            f"Keras on TensorFlow took {row['seen_seconds_per_epoch']:.1f} s per epoch for this network and "
            f"{plain['seen_seconds_per_epoch']:.1f} s for (a) on another machine; (a) takes "
            f"{plain['seconds_per_epoch']:.2f} s here."
        )
    title = f"The announced convolutional network: {percent(row['test']['mean'], 2)} of the test images"
    table = training.layer_table(result.trained[CNN][0], "The convolutional network.")
    figure, ax = panel(3.2)
    styles = {WITHOUT: (RED, "--"), WITH: (BLUE, ":"), CNN: (BLUE, "-")}
    for kind, (colour, line) in styles.items():
        by_epoch(ax, result.trained[kind][0].curve("val_accuracy"), line, color=colour, label=TITLES[kind])
    percent_axis(ax.yaxis)
    ax.set(xlabel="epoch", ylabel="validation accuracy")
    legend(ax, "lower right")
    facts = "; ".join(
        f"{TITLES[kind]} {percent(numbers['networks'][kind]['validation']['mean'], 2)}" for kind in styles
    )
    picture = Picture(
        "three", figure, alt=f"Validation accuracy by epoch of the three networks; at the end {facts}.",
        caption="The same images, the same number of epochs.",
    )  # fmt: skip
    return Section(title, text, (table, picture))


def _worth_it(numbers: Numbers) -> str:
    without, with_ = (numbers["networks"][kind] for kind in (WITHOUT, WITH))
    closed = without["gap"]["mean"] - with_["gap"]["mean"]
    gained = with_["validation"]["mean"] - without["validation"]["mean"]
    return (
        f"The gap shrank by {points(closed)}, validation accuracy changed by {100 * gained:+.2f} points. The gap "
        "measures memorisation, not quality: it also shrinks if training gets worse, and training accuracy went from "
        f"{percent(without['training']['mean'], 2)} to {percent(with_['training']['mean'], 2)}."
    )


def _better_than_training(numbers: Numbers) -> str:
    row = numbers["networks"][WITH]
    training, full, validation = row["last"]["accuracy"], row["training_at_rest"], row["last"]["val_accuracy"]
    places = ["above" if validation > other else "below" for other in (training, full)]
    return (
        f"During training half of the units are dropped: {percent(training, 2)}. With all units the same images give "
        f"{percent(full, 2)}, and validation images {percent(validation, 2)}: {places[0]} the first figure and "
        f"{places[1]} the second. Only the second comparison uses the same network on both sides."
    )


def _shared_weights(numbers: Numbers) -> str:
    rows: list[dict[str, Any]] = [numbers["networks"][kind] for kind in (WITH, CNN)]
    used = [row["flops"] / 2 / row["parameters"] for row in rows]
    return (
        f"One multiplication and addition are 2 FLOPs. Fully connected: {rows[0]['flops']:,} FLOPs for "
        f"{rows[0]['parameters']:,} parameters, each used {used[0]:.1f} times per image. Convolutional: "
        f"{rows[1]['flops']:,} for {rows[1]['parameters']:,}, each used {used[1]:.1f} times."
    )


LAB = Lab(
    "dropout",
    "What dropout does to the gap",
    TrainingSettings,
    investigate,
    (
        Question("A narrower gap: is that a better network?", _worth_it),
        Question("Can validation accuracy be higher than training accuracy?", _better_than_training),
        Question("How often is each weight used for one image, fully connected and convolutional?", _shared_weights),
    ),
)
