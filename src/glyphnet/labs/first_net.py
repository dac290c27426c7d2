"""The lab of the first network: the published one, then with sigmoids instead of ReLU, and deeper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ..data import Splits
from ..explain import DeadUnits, dead_units
from ..nn import Preprocessing, build
from ..plots import confused_pairs, confusion_matrix, gallery, learning_curves
from ..plots.style import BLUE, RED, legend, percent_axis, whole_axis
from ..progress import Progress
from ..training import Recipe
from ..units import plural
from . import training
from .drawing import TEXT, by_epoch, panel, sheet
from .lab import Columns, Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .training import TrainedNetwork, TrainingSettings, spread_of, with_interval

ACTIVATIONS = ("relu", "sigmoid")
DEEP = 5  # hidden layers of the deep pair

SEEN = (("Keras on JAX", 1.0, 1.3), ("Keras on TensorFlow", 3.7, 3.7), ("Keras on PyTorch", 7.5, 7.5))
"""Seconds an epoch of this very network, seen on a 2-core AMD EPYC with Python 3.11; from, to."""

_KNOWN_PAIRS = (("4", "9"), ("7", "9"), ("2", "7"))  # that such a network mixes up on MNIST
_LOOKED_AT = 512  # images in the one batch whose gradients are measured


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained."""

    splits: Splits
    trained: dict[tuple[str, int], list[TrainedNetwork]]  # by activation and hidden layers, one per seed
    dead: list[DeadUnits]  # of the first ReLU network
    gradients: dict[str, list[float]]  # by activation: each layer's RMS gradient in the untrained deep network

    @property
    def main(self) -> TrainedNetwork:
        """The known network, with the first seed."""
        return self.trained["relu", 1][0]


def known_recipe(settings: TrainingSettings, activation: str, layers: int, seed: int) -> Recipe:
    """The published network, 784–128–dropout 0.2–10 by Adam; deeper: ``layers`` times 128."""
    network = {
        "kind": "mlp",
        "hidden": [128] * layers,
        "dropout": 0.2 if layers == 1 else 0.0,
        "activation": activation,
    }
    return training.recipe(
        network, preprocessing="unit_range", epochs=settings.passes(full=10, quick=15), batch_size=32, seed=seed
    )


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train all of it."""
    splits = settings.read(progress)
    kinds = [(activation, layers) for layers in (1, DEEP) for activation in ACTIVATIONS]
    recipes = {kind: known_recipe(settings, *kind, seed=0) for kind in kinds}
    seeds = settings.repetitions(full=1, quick=1)
    trained = training.train_each(splits, recipes, seeds, progress, {kind: f"({kind[0]})" for kind in kinds})
    dead = dead_units(trained["relu", 1][0].classifier, splits.test.images)
    deep = {name: gradients(recipes[name, DEEP], splits) for name in ACTIVATIONS}
    return Result(splits, trained, dead, deep)


def gradients(asked: Recipe, splits: Splits) -> list[float]:
    """Root mean square of the gradient of each layer's weights, for a first batch, before the first step."""
    images = torch.from_numpy(np.array(splits.train.images[:_LOOKED_AT]))
    labels = torch.from_numpy(splits.train.labels[:_LOOKED_AT])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(asked.seed)
        network = build(asked.network, splits.image_shape, len(splits.classes)).eval()
    F.cross_entropy(network(Preprocessing(mode=asked.preprocessing)(images)), labels).backward()
    weights = [each for each in network.parameters() if each.ndim == 2]
    return [float(each.grad.square().mean().sqrt()) for each in weights if each.grad is not None]


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    main, evaluation = result.main, result.main.evaluation
    losses = main.curve("val_loss")
    classes = result.splits.classes
    return {
        **training.data_numbers(result.splits, main),
        "parameters": main.classifier.summary().parameters,
        "accuracy": {"value": evaluation.accuracy, **main.test_interval},
        "wrong": int((~evaluation.correct).sum()),
        "seconds_per_epoch": main.seconds_per_epoch,
        "seen_seconds_per_epoch": {name: [low, high] for name, low, high in SEEN},
        "last": main.last,
        "best_epoch": main.best_epoch,
        "lowest_val_loss": {"epoch": int(np.argmin(losses)) + 1, "value": min(losses)},
        "confused": [
            {"true": classes[each.true], "predicted": classes[each.predicted], "count": each.count, "share": each.share}
            for each in evaluation.most_confused(10)
        ],
        "known_pairs": _known_pairs(result),
        "classes": {
            name: {key: getattr(row, key).value for key in ("precision", "recall", "f1")} | {"support": row.support}
            for name, row in evaluation.classification_report.items()
        },
        "dead": [{"layer": row.layer, "units": row.units, "dead": len(row.dead)} for row in result.dead],
        "activations": [
            {
                "activation": activation,
                "layers": layers,
                "accuracy": training.accuracies(runs),
                "first_loss": runs[0].curve("loss")[0],
                "first_val_accuracy": runs[0].curve("val_accuracy")[0],
            }
            for (activation, layers), runs in result.trained.items()
        ],
        "gradients": result.gradients,
    }


def _known_pairs(result: Result) -> list[dict[str, Any]]:
    """How often those were mixed up, either way round; empty where there are no such classes."""
    classes, matrix = result.splits.classes, result.main.evaluation.confusion_matrix
    places = [(classes.index(a), classes.index(b)) for a, b in _KNOWN_PAIRS if a in classes and b in classes]
    return [{"pair": [classes[a], classes[b]], "count": int(matrix[a, b] + matrix[b, a])} for a, b in places]


# The page

_COLOURS = dict(zip(ACTIVATIONS, (BLUE, RED), strict=True))
_LINES = dict(zip(ACTIVATIONS, ("-", "--"), strict=True))
_SHOWN = 24  # misclassified images
_NAMES = {"relu": "ReLU", "sigmoid": "sigmoid"}


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and write its findings."""
    result = experiment(settings, progress)
    numbers = measure(result)
    sections = (
        _network(result, numbers), _curves(result, numbers), _confusions(result, numbers), _report(numbers),
        _mistakes(result, numbers), _speed(numbers), _dead(result, numbers), _why_relu(result, numbers),
    )  # fmt: skip
    accuracy = numbers["accuracy"]
    lead = (
        f"{numbers['parameters']:,} numbers, learnt from {numbers['images']['train']:,} images in {numbers['epochs']} "
        f"epochs of {numbers['seconds_per_epoch']:.2f} s, name {percent(accuracy['value'], 2)} of {accuracy['n']:,} "
        f"test images rightly (95 % interval {percent(accuracy['low'], 2)} to {percent(accuracy['high'], 2)})."
    )
    return Findings(training.lead_with_note(lead, numbers), sections, numbers)


def _network(result: Result, numbers: Numbers) -> Section:
    height, width, channels = result.splits.image_shape
    text = (
        f"Each image becomes {height * width * channels} numbers, pixels divided by 255. Each of 128 hidden units "
        "weighs them all, and ReLU keeps positive sums. Ten output units weigh the hidden ones; softmax turns their "
        "sums into probabilities.",
        "In training, dropout drops a fifth of the hidden units at each step. The loss is cross-entropy: minus the "
        "logarithm of the probability of the right class. Adam takes a step for every 32 images, with a learning "
        "rate of 0.001.",
    )
    table = training.layer_table(result.main, "The network, layer by layer.")
    return Section(f"One hidden layer, {numbers['parameters']:,} parameters", text, (table,))


def _curves(result: Result, numbers: Numbers) -> Section:
    last, lowest, epochs = numbers["last"], numbers["lowest_val_loss"], numbers["epochs"]
    title = (
        f"After epoch {lowest['epoch']} it over-fits: the validation loss falls no further" if lowest["epoch"] < epochs
        else "The validation loss still falls in the last epoch"
    )  # fmt: skip
    text = (
        f"The network never trains on the validation images. Their loss was lowest in epoch {lowest['epoch']} "
        f"({lowest['value']:.3f}); after the last epoch it is {last['val_loss']:.3f}, and the training loss "
        f"{last['loss']:.3f}. Where the two diverge, training fits these images only.",
        f"The weights of epoch {numbers['best_epoch']} are kept, the most accurate on validation. The test images "
        "choose nothing.",
    )
    figure, axes = sheet(1, 2, height=3.4)
    learning_curves(result.main.history, best_epoch=result.main.best_epoch, axes=axes[0])
    picture = Picture(
        "curves", figure,
        alt=f"Loss and accuracy by epoch. After {numbers['epochs']} epochs training is at {last['loss']:.3f} and "
        f"{percent(last['accuracy'], 1)}, validation at {last['val_loss']:.3f} and {percent(last['val_accuracy'], 1)}; "
        f"the validation loss was lowest in epoch {lowest['epoch']}.",
        caption="Training is measured while dropout is at work and while the weights still change, validation after "
        "each epoch with the whole network: so validation can be the better of the two at first.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _confusions(result: Result, numbers: Numbers) -> Section:
    accuracy = numbers["accuracy"]
    text = (
        f"{numbers['wrong']} of {accuracy['n']:,} test images are misclassified. Wilson's 95 % interval of the "
        f"accuracy is {percent(accuracy['low'], 2)} to {percent(accuracy['high'], 2)}: smaller differences say little.",
    )
    return Section(f"{percent(accuracy['value'], 2)} right", text, _confusion_pictures(result, numbers))


def _report(numbers: Numbers) -> Section:
    worst = min(numbers["classes"], key=lambda name: numbers["classes"][name]["f1"])
    best = max(numbers["classes"], key=lambda name: numbers["classes"][name]["f1"])
    text = (
        "Precision: the share of the images predicted as a class that belong to it. Recall: the share of a class's "
        "images that were found. F1 is their harmonic mean, support the number of images.",
    )
    columns: Columns = {
        "Class": "{name}",
        "Precision": "{precision:.3f}",
        "Recall": "{recall:.3f}",
        "F1": "{f1:.3f}",
        "Support": "{support:,}",
    }
    rows = [{"name": name, **row} for name, row in numbers["classes"].items()]
    table = Table.of(rows, columns, "The classification report.")
    return Section(f"Easiest is the {best}, hardest the {worst}", text, (table,))


def _mistakes(result: Result, numbers: Numbers) -> Section:
    rows = numbers["confused"]
    text = [
        "Some of these are badly drawn or ambiguous, others are clear to a person. The network does not see strokes: "
        "it adds up pixels, so a loop that is not quite closed changes little."
    ]
    if numbers["known_pairs"]:
        facts = ", ".join(
            f"{each['pair'][0]} with {each['pair'][1]}: {each['count']}" for each in numbers["known_pairs"]
        )
        text.append(f"Pairs often confused are 4 and 9, 7 and 9, 2 and 7. Here, in either direction: {facts}.")
    first = rows[0] if rows else None
    title = (
        f"The most frequent mistake: {first['true']} taken for {first['predicted']}" if first else "No mistake at all"
    )
    evaluation = result.main.evaluation
    wrong = [row for row in evaluation.top_losses(len(evaluation)).tolist() if not evaluation.correct[row]][:_SHOWN]
    names = evaluation.classes
    titles = [
        f"{names[evaluation.labels[row]]}, predicted "
        f"{names[evaluation.predictions[row]]}\n{percent(evaluation.confidence[row])} sure"
        for row in wrong
    ]
    figure, ax = panel(6.6)
    gallery(np.asarray(evaluation.images[np.array(wrong, np.int64)]), titles, columns=6, ax=ax)
    picture = Picture(
        "misclassified", figure,
        alt=f"{len(wrong)} of the {numbers['wrong']} misclassified test images, those it was most wrong about: "
        + "; ".join(title.replace("\n", ", ") for title in titles[:4]) + ".",
        caption="Above each: true class, predicted class, confidence. The worst mistakes come first.",
    )  # fmt: skip
    return Section(title, text, (picture, _pairs_picture(numbers)))


def _speed(numbers: Numbers) -> Section:
    text = [
        "The same network, batch size and optimizer can take very different times: each step computes little, so most "
        "of the time is overhead.",
        f"Here an epoch is {numbers['images']['train']:,} images, and a look at {numbers['images']['validation']:,} "
        "for validation. The times of Keras are from another machine, a 2-core AMD EPYC with Python 3.11, with 60,000 "
        "images per epoch: compare orders of magnitude only.",
    ]
    if numbers["data"] != "mnist":
        text.append(f"This run used {numbers['data']}, not MNIST: its times are not comparable.")
    figure, ax = panel(2.6)
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
    ax.set_xlabel("seconds per epoch")
    facts = "; ".join(f"{name}: {label}" for (name, _, _), label in zip(rows, labels, strict=True))
    picture = Picture(
        "speed", figure, alt=f"Bars: seconds an epoch. {facts}.",
        caption="Blue: this run. Orange: another machine, the full data.",
    )  # fmt: skip
    return Section(f"{numbers['seconds_per_epoch']:.2f} s per epoch", text, (picture,))


def _dead(result: Result, numbers: Numbers) -> Section:
    row = numbers["dead"][0]
    text = (
        "A ReLU whose sum is negative outputs 0 and passes no gradient. If that holds for every image, its weights "
        "never change again: the unit is dead.",
        f"{row['dead']} of {row['units']} hidden units {'is' if row['dead'] == 1 else 'are'} dead: zero for all "
        f"{numbers['images']['test']:,} test images. Other images may still activate them.",
    )
    title = f"{row['dead']} of {row['units']} hidden units are dead"
    # The features are the outputs of the one hidden layer.
    features = result.main.classifier.features(result.splits.test.images, as_is=True)
    share = np.sort((features > 0).mean(axis=0))
    figure, ax = panel(3.2)
    dead = share == 0
    ax.bar(np.arange(len(share)), share, width=1.0, color=BLUE, alpha=0.8)
    ax.plot(np.flatnonzero(dead), share[dead], "x", color=RED, markersize=8, label="dead", clip_on=False)
    percent_axis(ax.yaxis)
    whole_axis(ax.xaxis)
    ax.set(xlabel="hidden units, least active first", ylabel="images that activate it", ylim=(0, 1.02))
    legend(ax)
    picture = Picture(
        "units", figure,
        alt=f"Bars: the share of the images that each of {len(share)} hidden units answers to; {int(dead.sum())} "
        f"answer to none, the median unit to {percent(np.median(share))}, the busiest to {percent(share[-1])}.",
        caption="A unit is active where its sum is positive.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _why_relu(result: Result, numbers: Numbers) -> Section:
    relu, sigmoid = (_deep(numbers, name)["accuracy"]["mean"] for name in _NAMES)
    kept = {name: values[0] / values[-1] for name, values in numbers["gradients"].items()}
    text = (
        "In backpropagation each layer's gradient is that of the next layer, times its weights, times the derivative "
        "of the activation. That derivative is 1 for an active ReLU, and at most a quarter for a sigmoid. With one "
        "hidden layer that costs little; with five the factors multiply.",
        f"Before the first step of the network with {DEEP} hidden layers, the first layer's gradient is "
        f"{kept['relu']:.2g} times the last one's with ReLU, and {kept['sigmoid']:.2g} times with sigmoids: the first "
        "layers hardly learn.",
    )
    columns: Columns = {
        "Network": lambda row: f"{_NAMES[row['activation']]}, {row['layers']} hidden",
        "Test accuracy": lambda row: with_interval(row["accuracy"]),
        "Spread": lambda row: spread_of(row["accuracy"]),
        "Seeds": "{accuracy[n]}",
        "Validation, epoch 1": lambda row: percent(row["first_val_accuracy"], 1),
    }
    caption = "Same data, same settings; ± is half the 95 % interval of the mean over the seeds."
    table = Table.of(numbers["activations"], columns, caption)
    title = f"With {DEEP} hidden layers ReLU reaches {percent(relu, 1)}, sigmoid {percent(sigmoid, 1)}"
    shown = (_derivatives_picture(), _gradients_picture(numbers), _activation_picture(result, numbers), table)
    return Section(title, text, shown)


def _deep(numbers: Numbers, activation: str) -> dict[str, Any]:
    """The row of the deep network with that activation."""
    return max(
        (row for row in numbers["activations"] if row["activation"] == activation), key=lambda row: int(row["layers"])
    )


def _when_to_stop(numbers: Numbers) -> str:
    last, lowest, epochs = numbers["last"], numbers["lowest_val_loss"], numbers["epochs"]
    gained = last["val_loss"] - lowest["value"]
    gap = last["accuracy"] - last["val_accuracy"]
    return (
        f"The validation loss was lowest in epoch {lowest['epoch']} of {epochs}, at {lowest['value']:.3f}; at the end "
        f"it is {last['val_loss']:.3f}, {gained:.3f} more. Training stands at {percent(last['accuracy'], 2)}, "
        f"validation at {percent(last['val_accuracy'], 2)}: a gap of {100 * gap:+.2f} points. By the loss one would "
        "stop at that lowest point, and train longer where it is the last."
    )


def _worth(numbers: Numbers) -> str:
    if not numbers["confused"]:
        return f"There was no mistake among {numbers['accuracy']['n']:,} images."
    first, accuracy = numbers["confused"][0], numbers["accuracy"]
    gain = first["count"] / accuracy["n"]
    width = accuracy["high"] - accuracy["low"]
    return (
        f"{first['true']} taken for {first['predicted']} happened {first['count']} times: without it the accuracy "
        f"would be {percent(gain, 2)} higher. The 95 % interval is {percent(width, 2)} wide, "
        + ("so these test images could hardly show the change." if gain < width / 2 else
           "so the change would be visible.")
    )  # fmt: skip


def _through_sigmoids(numbers: Numbers) -> str:
    relu, sigmoid = _deep(numbers, "relu"), _deep(numbers, "sigmoid")
    most = 0.25 ** sigmoid["layers"]
    return (
        f"0.25 multiplied {sigmoid['layers']} times is {most:.2g}, if every sigmoid stands at its steepest. Measured, "
        f"the first layer was left with {numbers['gradients']['sigmoid'][0]:.1e} and with ReLU with "
        f"{numbers['gradients']['relu'][0]:.1e}. After the first epoch validation stood at "
        f"{percent(sigmoid['first_val_accuracy'], 1)} with sigmoids and {percent(relu['first_val_accuracy'], 1)} with "
        f"ReLU; the test accuracies in the end are {percent(sigmoid['accuracy']['mean'], 2)} and "
        f"{percent(relu['accuracy']['mean'], 2)}."
    )


def _confusion_pictures(result: Result, numbers: Numbers) -> tuple[Picture, Picture]:
    evaluation = result.main.evaluation
    first = numbers["confused"][0] if numbers["confused"] else None
    facts = (
        f"the darkest is {first['true']} taken for {first['predicted']}, {first['count']} times" if first else "none"
    )
    hardest = min(numbers["classes"], key=lambda name: numbers["classes"][name]["recall"])
    found = numbers["classes"][hardest]["recall"]
    drawn = []
    for normalize in (None, "true"):
        figure, ax = panel(6.2)
        confusion_matrix(evaluation.confusion_matrix, evaluation.classes, normalize=normalize, ax=ax)
        drawn.append(figure)
    return (
        Picture(
            "confusion", drawn[0],
            alt=f"Confusion matrix in images. {numbers['wrong']} lie off the diagonal; of these cells {facts}.",
            caption="Rows: true class. Columns: predicted class. Blue is right, orange wrong.",
        ),
        Picture(
            "confusion-by-row", drawn[1],
            alt=f"The same in per cent of each row. Found least often: {hardest}, {percent(found, 1)} of its images.",
            caption="Each row divided by its sum: the diagonal is the recall of each class.",
        ),
    )  # fmt: skip


def _pairs_picture(numbers: Numbers) -> Picture:
    figure, ax = panel(3.8)
    rows = numbers["confused"]
    confused_pairs([(row["true"], row["predicted"]) for row in rows], [row["count"] for row in rows], ax=ax)
    facts = ", ".join(f"{row['true']} as {row['predicted']}: {row['count']}" for row in rows[:5])
    alt = f"Bars: the most frequent mistakes. {facts}."
    return Picture("pairs", figure, alt, "The most frequent kinds of mistake.")


def _derivatives_picture() -> Picture:
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
        caption="Backpropagation through a unit multiplies by the derivative on the right.",
    )  # fmt: skip


def _activation_picture(result: Result, numbers: Numbers) -> Picture:
    figure, axes = sheet(1, 2, height=3.3, sharey=True)
    facts = []
    for ax, layers in zip(axes[0], (1, DEEP), strict=True):
        for name in ACTIVATIONS:
            loss = result.trained[name, layers][0].curve("loss")
            by_epoch(ax, loss, _LINES[name], color=_COLOURS[name], label=_NAMES[name], linewidth=1.5)
            facts.append(f"{_NAMES[name]} {layers}: {loss[0]:.2f} to {loss[-1]:.3f}")
        ax.set(title=plural(layers, "hidden layer"), xlabel="epoch", yscale="log")
    axes[0, 0].set_ylabel("training loss")
    legend(axes[0, 0])
    return Picture(
        "activations", figure,
        alt=f"Training loss by epoch, first and last, by hidden layers: {'; '.join(facts)}.",
        caption="The training loss on a logarithmic scale, the same settings but for the activation.",
    )  # fmt: skip


def _gradients_picture(numbers: Numbers) -> Picture:
    figure, ax = panel(3.0)
    for name, values in numbers["gradients"].items():
        by_epoch(ax, values, _LINES[name], color=_COLOURS[name], label=_NAMES[name], marker="o", linewidth=1.5)
    ax.set(yscale="log", xlabel="layer, from the image to the answer", ylabel="gradient (RMS)")
    legend(ax)
    facts = "; ".join(
        f"{_NAMES[n]}: {v[0]:.1e} in the first, {v[-1]:.1e} in the last" for n, v in numbers["gradients"].items()
    )
    return Picture(
        "gradients", figure, alt=f"Gradient of each layer's weights before the first step. {facts}.",
        caption="Before the first step, on one batch of training images: the root mean square of each layer's "
        "gradient.",
    )  # fmt: skip


LAB = Lab(
    "first-net",
    "A first network, and what to look at in it",
    TrainingSettings,
    investigate,
    (
        Question("Were these too many epochs? Find the point in the curves.", _when_to_stop),
        Question("What would avoiding the most frequent mistake gain, and would it be visible?", _worth),
        Question(
            "How much of a gradient is left after five sigmoids, and what do the runs show of it?", _through_sigmoids
        ),
    ),
)
