"""The lab: what it asks, what it tells."""

from __future__ import annotations

from typing import Any

from ...classifier import Classifier
from ...nn import summary
from ..lab import Findings, Lab, Numbers, Progress, Question, Section, Table
from ..repeats import percent
from ..training import SMALL, TrainingSettings
from . import pictures
from .experiment import DEEP, Experiment, experiment, measure

_NAMES = {"relu": "ReLU", "sigmoid": "sigmoid"}


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Train the known network and its relatives; tell what came of it."""
    done = experiment(settings, progress)
    numbers = measure(settings, done)
    sections = (
        _network(done, numbers), _curves(done, numbers), _confusions(done, numbers), _report(numbers),
        _mistakes(done, numbers), _speed(numbers), _dead(done, numbers), _why_relu(done, numbers),
    )  # fmt: skip
    accuracy = numbers["accuracy"]
    lead = (
        f"{numbers['parameters']:,} numbers, learnt from {numbers['images']['train']:,} images in {numbers['epochs']} "
        f"epochs of {numbers['seconds_per_epoch']:.2f} s, name {accuracy['value']:.2%} of {accuracy['n']:,} test "
        f"images rightly (95 % interval {accuracy['low']:.2%} to {accuracy['high']:.2%})."
    )
    if numbers["data"] == "digits":
        lead += f" {SMALL}"
    return Findings(lead, sections, numbers)


def _layer_table(done: Experiment, classifier: Classifier, caption: str) -> Table:
    """The layers of a network: shapes and parameters."""
    counted = summary(classifier.spec, done.splits.image_shape, len(done.splits.classes))
    rows = [(row.name, row.layer, "×".join(map(str, row.output_shape)), f"{row.parameters:,}") for row in counted.rows]
    return Table(
        ("Name", "Layer", "Output", "Parameters"), (*rows, ("total", "", "", f"{counted.parameters:,}")), caption
    )


def _network(done: Experiment, numbers: Numbers) -> Section:
    height, width, channels = done.splits.image_shape
    text = (
        f"Each image is laid out as {height * width * channels} numbers, pixels divided by 255. Every one of 128 "
        "hidden units weighs them all; ReLU keeps what is above zero. Ten output units weigh the hidden ones, and "
        "softmax makes probabilities of their sums.",
        "While it learns, dropout silences a fifth of the hidden units at random, others at each step, so that none "
        "can rely on another. The loss is cross-entropy: minus the logarithm of the probability given to the right "
        "class. Adam takes a step for every 32 images, with a learning rate of 0.001.",
    )
    table = _layer_table(done, done.main.classifier, "The network, layer by layer.")
    return Section(f"One hidden layer, {numbers['parameters']:,} numbers to learn", text, (table,))


def _curves(done: Experiment, numbers: Numbers) -> Section:
    last, lowest, epochs = numbers["last"], numbers["lowest_val_loss"], numbers["epochs"]
    if lowest["epoch"] < epochs:
        title = f"After epoch {lowest['epoch']} it learns by heart: the validation loss falls no further"
    else:
        title = "The validation loss still falls in the last epoch"
    text = (
        f"Validation images are held out: the network never learns from them. Their loss was lowest in epoch "
        f"{lowest['epoch']} ({lowest['value']:.3f}); after the last it is {last['val_loss']:.3f}, while the training "
        f"loss has gone down to {last['loss']:.3f}. Where the two part, further training fits the images that are "
        "there, not those to come.",
        f"What is kept are the weights of epoch {numbers['best_epoch']}, the most accurate on validation. The test "
        "images had no say in that.",
    )
    return Section(title, text, (pictures.curves_picture(done, numbers),))


def _confusions(done: Experiment, numbers: Numbers) -> Section:
    accuracy = numbers["accuracy"]
    text = (
        f"{numbers['wrong']} of {accuracy['n']:,} test images are named wrongly. With other images drawn in the same "
        f"way the accuracy would lie between {accuracy['low']:.2%} and {accuracy['high']:.2%} (Wilson's 95 % "
        "interval): a difference smaller than that says little.",
    )
    return Section(f"{accuracy['value']:.2%} right", text, pictures.confusion_pictures(done, numbers))


def _report(numbers: Numbers) -> Section:
    rows = tuple(
        (name, f"{row['precision']:.3f}", f"{row['recall']:.3f}", f"{row['f1']:.3f}", f"{row['support']:,}")
        for name, row in numbers["classes"].items()
    )
    worst = min(numbers["classes"], key=lambda name: numbers["classes"][name]["f1"])
    best = max(numbers["classes"], key=lambda name: numbers["classes"][name]["f1"])
    text = (
        "Precision: of the images that it called so, how many are. Recall: of those that are, how many it found. F1 "
        "is their harmonic mean, support the number of images.",
    )
    table = Table(("Class", "Precision", "Recall", "F1", "Support"), rows, "The classification report.")
    return Section(f"Easiest is the {best}, hardest the {worst}", text, (table,))


def _mistakes(done: Experiment, numbers: Numbers) -> Section:
    rows = numbers["confused"]
    text = [
        "Look at each and say what you would have said. Some are drawn badly, some could be either; of others one "
        "wonders. The network does not know strokes. It adds up pixels, so a loop that is not quite closed is to it "
        "nearly the same picture."
    ]
    if numbers["known_pairs"]:
        told = ", ".join(
            f"{each['pair'][0]} with {each['pair'][1]}: {each['count']}" for each in numbers["known_pairs"]
        )
        text.append(f"Known to be mixed up are 4 and 9, 7 and 9, 2 and 7. Either way round, here: {told}.")
    first = rows[0] if rows else None
    title = (
        f"The most frequent mistake: {first['true']} taken for {first['predicted']}" if first else "No mistake at all"
    )
    return Section(title, tuple(text), (pictures.wrong_picture(done, numbers), pictures.pairs_picture(numbers)))


def _speed(numbers: Numbers) -> Section:
    text = [
        "The same network, batch size and optimizer, written by the same hand, can take very different times: what is "
        "computed is small, so most of the time goes into starting each of the many steps.",
        f"Here an epoch is {numbers['images']['train']:,} images, and a look at {numbers['images']['validation']:,} "
        "for validation. The seconds for Keras were seen elsewhere, on a 2-core AMD EPYC with Python 3.11, 60,000 "
        "images an epoch: read them as orders of magnitude.",
    ]
    if numbers["data"] != "mnist":
        text.append(f"This run looked at {numbers['data']}, not at MNIST: its seconds cannot be set beside those.")
    return Section(f"{numbers['seconds_per_epoch']:.2f} s an epoch", tuple(text), (pictures.speed_picture(numbers),))


def _dead(done: Experiment, numbers: Numbers) -> Section:
    row = numbers["dead"][0]
    text = (
        "A ReLU whose sum is below zero answers 0, and lets no gradient through. If that is so for every image, its "
        "weights never change again: the unit is dead, a place in the network that computes nothing.",
        f"Of {row['units']} hidden units {row['dead']} {'is' if row['dead'] == 1 else 'are'} dead: not above zero for "
        f"any of the {numbers['images']['test']:,} test images. It may still answer to an image that is not among "
        "them.",
    )
    title = f"{row['dead']} of {row['units']} hidden units are dead"
    return Section(title, text, (pictures.dead_picture(done, numbers),))


def _why_relu(done: Experiment, numbers: Numbers) -> Section:
    rows = tuple(
        (
            f"{_NAMES[row['activation']]}, {row['layers']} hidden",
            percent(row["accuracy"]),
            f"{100 * row['accuracy']['spread']:.2f}" if row["accuracy"]["n"] > 1 else "–",
            f"{row['accuracy']['n']}",
            f"{row['first_val_accuracy']:.1%}",
        )
        for row in numbers["activations"]
    )
    relu, sigmoid = (_deep(numbers, name)["accuracy"]["mean"] for name in _NAMES)
    kept = {name: values[0] / values[-1] for name, values in numbers["gradients"].items()}
    text = (
        "Learning goes backwards: each layer's gradient is that of the layer behind it, times its weights, times the "
        "derivative of the activation. A ReLU's derivative is 1 wherever it answers. A sigmoid's is a quarter at "
        "best. With one hidden layer that costs little; with five the quarters multiply.",
        f"Measured before the first step in the network with {DEEP} hidden layers: the first layer's gradient is "
        f"{kept['relu']:.2g} times the last one's with ReLU, and {kept['sigmoid']:.2g} times with sigmoids. With so "
        "little the layers next to the image hardly learn.",
    )
    table = Table(
        ("Network", "Test accuracy", "Spread", "Seeds", "Validation, epoch 1"), rows,
        "Same data, same settings; ± is half the 95 % interval of the mean over the seeds.",
    )  # fmt: skip
    title = f"With {DEEP} hidden layers ReLU reaches {relu:.1%}, sigmoid {sigmoid:.1%}"
    shown = (
        pictures.derivatives_picture(),
        pictures.gradients_picture(numbers),
        pictures.activation_picture(done, numbers),
        table,
    )
    return Section(title, text, shown)


def _deep(numbers: Numbers, activation: str) -> dict[str, Any]:
    """The row of the deep network with that activation."""
    return max(
        (row for row in numbers["activations"] if row["activation"] == activation), key=lambda row: int(row["layers"])
    )


def _when_to_stop(numbers: Numbers) -> str:
    """Whether ten epochs were too many."""
    last, lowest, epochs = numbers["last"], numbers["lowest_val_loss"], numbers["epochs"]
    gained = last["val_loss"] - lowest["value"]
    gap = last["accuracy"] - last["val_accuracy"]
    return (
        f"The validation loss was lowest in epoch {lowest['epoch']} of {epochs}, at {lowest['value']:.3f}; at the end "
        f"it is {last['val_loss']:.3f}, {gained:.3f} more. Training stands at "
        f"{last['accuracy']:.2%}, validation at {last['val_accuracy']:.2%}: a gap of {100 * gap:+.2f} points. "
        "By the loss one would stop at that lowest point, and train longer where it is the last."
    )


def _worth(numbers: Numbers) -> str:
    """What avoiding the most frequent mistake would bring."""
    if not numbers["confused"]:
        return f"There was no mistake among {numbers['accuracy']['n']:,} images: nothing is left to be gained here."
    first, accuracy = numbers["confused"][0], numbers["accuracy"]
    gain = first["count"] / accuracy["n"]
    width = accuracy["high"] - accuracy["low"]
    return (
        f"{first['true']} taken for {first['predicted']} happened {first['count']} times: without it the accuracy "
        f"would be {gain:.2%} higher. The 95 % interval is {width:.2%} wide, "
        + ("so on these test images the change could hardly be told from chance." if gain < width / 2 else
           "so that would be seen.")
    )  # fmt: skip


def _through_sigmoids(numbers: Numbers) -> str:
    """What is left of a gradient after five sigmoids, and what that does."""
    relu, sigmoid = _deep(numbers, "relu"), _deep(numbers, "sigmoid")
    most = 0.25 ** sigmoid["layers"]
    return (
        f"0.25 multiplied {sigmoid['layers']} times is {most:.2g}, if every sigmoid stands at its steepest. Measured, "
        f"the first layer was left with {numbers['gradients']['sigmoid'][0]:.1e} and with ReLU with "
        f"{numbers['gradients']['relu'][0]:.1e}. After the first epoch validation stood at "
        f"{sigmoid['first_val_accuracy']:.1%} with sigmoids and {relu['first_val_accuracy']:.1%} with ReLU; the test "
        f"accuracies in the end are {sigmoid['accuracy']['mean']:.2%} and {relu['accuracy']['mean']:.2%}."
    )


LAB = Lab(
    "first-net",
    "A first network, and what to look at in it",
    TrainingSettings,
    investigate,
    (
        Question("Were these too many epochs? Find the place in the curves.", _when_to_stop),
        Question(
            "If the most frequent mistake never happened again, how much would be gained, and would one see it?", _worth
        ),
        Question(
            "How much of a gradient is left after five sigmoids, and what do the runs show of it?",
            _through_sigmoids,
        ),
    ),
)
