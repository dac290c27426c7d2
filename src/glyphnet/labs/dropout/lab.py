"""The lab: what it asks, what it tells."""

from __future__ import annotations

from typing import Any

from ...nn import summary
from ..lab import Findings, Lab, Numbers, Progress, Question, Section, Table
from ..repeats import percent
from ..training import SMALL, TrainingSettings
from . import pictures
from .experiment import CNN, TITLES, WITH, WITHOUT, Experiment, experiment, measure

_CAPTIONS = {
    WITHOUT: "The network (a), without dropout.",
    WITH: "The network (b), with dropout.",
    CNN: "The convolutional network.",
}


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Train all three; tell what came of it."""
    done = experiment(settings, progress)
    numbers = measure(done)
    sections = (_networks(done), _gap(done, numbers), _rest(numbers), _first(done, numbers), _promised(done, numbers))
    without, with_ = (numbers["networks"][kind] for kind in (WITHOUT, WITH))
    lead = (
        f"After {numbers['epochs']} epochs training is {_points(without['gap']['mean'])} ahead of validation without "
        f"dropout and {_points(with_['gap']['mean'])} with it; validation itself stands at "
        f"{percent(without['validation'])} and {percent(with_['validation'])}."
    )
    if numbers["data"] == "digits":
        lead += f" {SMALL}"
    return Findings(lead, sections, numbers)


def _networks(done: Experiment) -> Section:
    text = (
        "Every image is scaled to length 1: its pixels are divided by the root of the sum of their squares, so a "
        "faint digit and a bold one of the same shape become the same. A fifth of the training images is held out for "
        "validation. Both networks learn for the same number of epochs, 50 images a step, by Adam.",
        "The one without dropout has a single hidden layer, as wide as MNIST has pixels. The one with dropout has a "
        "second layer, and behind each a dropout of one half: at every step half of the units, others each time, "
        "answer nothing.",
        "So the two differ in more than dropout. It is the known experiment as it is; the lab `regularisation` "
        "changes one thing at a time.",
    )
    tables = tuple(_layers(done, kind) for kind in (WITHOUT, WITH))
    sizes = [_count(done, kind) for kind in (WITHOUT, WITH)]
    return Section(f"Two networks, of {sizes[0]:,} and {sizes[1]:,} numbers", text, tables)


def _layers(done: Experiment, kind: str) -> Table:
    counted = summary(done.trained[kind][0].classifier.spec, done.splits.image_shape, len(done.splits.classes))
    rows = [(row.name, row.layer, "×".join(map(str, row.output_shape)), f"{row.parameters:,}") for row in counted.rows]
    total = ("total", "", "", f"{counted.parameters:,}")
    return Table(("Name", "Layer", "Output", "Parameters"), (*rows, total), _CAPTIONS[kind])


def _count(done: Experiment, kind: str) -> int:
    spec = done.trained[kind][0].classifier.spec
    return summary(spec, done.splits.image_shape, len(done.splits.classes)).parameters


def _gap(done: Experiment, numbers: Numbers) -> Section:
    without, with_ = (numbers["networks"][kind]["gap"]["mean"] for kind in (WITHOUT, WITH))
    closes = abs(with_) < abs(without)
    title = f"The gap {'closes' if closes else 'stays'}: {_points(without)} without dropout, {_points(with_)} with it"
    rows = tuple(_gap_row(kind, numbers["networks"][kind]) for kind in (WITHOUT, WITH))
    text = [
        "The gap is the accuracy on training images less that on validation images. A network that learns its images "
        "by heart has a wide one: it knows what it has seen, not what is to come.",
        f"Without dropout the validation loss was {numbers['networks'][WITHOUT]['lowest_val_loss']:.3f} at its lowest "
        f"and {numbers['networks'][WITHOUT]['last']['val_loss']:.3f} at the end; with it "
        f"{numbers['networks'][WITH]['lowest_val_loss']:.3f} and {numbers['networks'][WITH]['last']['val_loss']:.3f}.",
    ]
    if numbers["data"] == "mnist":
        text.append(
            "Known from elsewhere, after 10 epochs: (a) 99.71% training and 97.56% validation, (b) 97.80% and 97.83%."
        )
    table = Table(
        ("Network", "Training", "Validation", "Gap, points", "Test", "Seeds", "s an epoch"), rows,
        "After the last epoch; over several seeds the mean ± half its 95 % interval.",
    )  # fmt: skip
    return Section(title, tuple(text), (pictures.curves_picture(done, numbers), table))


def _gap_row(kind: str, row: Numbers) -> tuple[str, ...]:
    return (
        TITLES[kind],
        percent(row["training"]),
        percent(row["validation"]),
        f"{100 * row['gap']['mean']:+.2f}",
        percent(row["test"]),
        str(row["gap"]["n"]),
        f"{row['seconds_per_epoch']:.2f}",
    )


def _rest(numbers: Numbers) -> Section:
    row = numbers["networks"][WITH]
    text = (
        "Training accuracy is counted while the network learns: over the whole epoch, and with half of the units "
        "silenced. Validation is measured afterwards, with all of them. A hindered runner and a free one are compared.",
        "Asked once more after training, with all units at work, the network with dropout names "
        f"{row['training_at_rest']:.2%} of its training images rightly, not {row['last']['accuracy']:.2%}. The gap "
        f"measured alike on both sides is {_points(row['gap_at_rest'])}; without dropout it is "
        f"{_points(numbers['networks'][WITHOUT]['gap_at_rest'])}.",
    )
    title = f"Measured alike on both sides, the gap with dropout is {_points(row['gap_at_rest'])}"
    return Section(title, text, (pictures.gap_picture(numbers),))


def _first(done: Experiment, numbers: Numbers) -> Section:
    rows = numbers["first"]
    classes = done.splits.classes
    cells = tuple(
        (name, *(f"{row['probabilities'][WITH][place]:.4f}" for row in rows)) for place, name in enumerate(classes)
    )
    table = Table(
        ("Class", *(f"Image {number}" for number in range(1, len(rows) + 1))), cells,
        "What the network with dropout gives each class, image by image.",
    )  # fmt: skip
    truth, said = (
        " ".join(each) for each in ([row["label"] for row in rows], [row["predicted"][WITH] for row in rows])
    )
    text = [
        "A classifier's answer is a row of ten numbers that add up to 1. The greatest is the class it names, and how "
        "great it is says how sure it is.",
        f"The labels of these images are {truth}; the network with dropout says {said}.",
    ]
    title = f"The first {len(rows)} test images: {truth}; the answers: {said}"
    return Section(title, tuple(text), (pictures.first_picture(done, numbers), table))


def _promised(done: Experiment, numbers: Numbers) -> Section:
    row = numbers["networks"][CNN]
    dense = numbers["networks"][WITH]
    text = [
        "The known text announces a convolutional network and stops before it. Here it is: twice a convolution of "
        "3×3, ReLU and pooling, then dropout and the head. Its weights are shared by all places of the image, so it "
        f"needs {row['parameters']:,} of them where (b) has {dense['parameters']:,}; but each is used many times, "
        f"{row['flops']:,} FLOPs an image against {dense['flops']:,}.",
        f"It reaches {percent(row['validation'])} on validation and {percent(row['test'])} on test images "
        f"(of the first seed: 95 % interval {row['test_interval']['low']:.2%} to {row['test_interval']['high']:.2%}), "
        f"in {row['seconds_per_epoch']:.2f} s an epoch.",
    ]
    if numbers["data"] == "mnist":
        text.append(
            f"Seen elsewhere, with Keras on TensorFlow: {row['seen_seconds_per_epoch']:.1f} s an epoch for this "
            f"network, and {numbers['networks'][WITHOUT]['seen_seconds_per_epoch']:.1f} s for (a), which takes "
            f"{numbers['networks'][WITHOUT]['seconds_per_epoch']:.2f} s here."
        )
    title = f"The convolutional network that was promised: {row['test']['mean']:.2%} of the test images"
    return Section(title, tuple(text), (_layers(done, CNN), pictures.accuracy_picture(done, numbers)))


def _points(share: float) -> str:
    return f"{100 * share:.2f} points".replace("-", "−")


def _worth_it(numbers: Numbers) -> str:
    """Whether a closed gap is a better network."""
    without, with_ = (numbers["networks"][kind] for kind in (WITHOUT, WITH))
    closed = without["gap"]["mean"] - with_["gap"]["mean"]
    gained = with_["validation"]["mean"] - without["validation"]["mean"]
    return (
        f"The gap shrank by {_points(closed)}, the validation accuracy changed by {100 * gained:+.2f} points. The gap "
        "tells how much is learnt by heart, not how good the network is: it also closes when training gets worse, and "
        f"training went from {without['training']['mean']:.2%} to {with_['training']['mean']:.2%}."
    )


def _better_than_training(numbers: Numbers) -> str:
    """How validation can be better than training."""
    row = numbers["networks"][WITH]
    return (
        f"While it learnt, half of the units were silenced: {row['last']['accuracy']:.2%}. With all of them the same "
        f"training images give {row['training_at_rest']:.2%}, and validation {row['last']['val_accuracy']:.2%}. "
        f"Validation is {'ahead' if row['last']['val_accuracy'] > row['last']['accuracy'] else 'behind'} of the first "
        f"figure and {'ahead' if row['last']['val_accuracy'] > row['training_at_rest'] else 'behind'} of the second: "
        "only the second compares like with like."
    )


def _shared_weights(numbers: Numbers) -> str:
    """How often each weight is used."""
    rows: list[dict[str, Any]] = [numbers["networks"][kind] for kind in (WITH, CNN)]
    used = [row["flops"] / 2 / row["parameters"] for row in rows]
    return (
        f"A multiplication and its addition are 2 FLOPs. Fully connected: {rows[0]['flops']:,} FLOPs for "
        f"{rows[0]['parameters']:,} parameters, each used {used[0]:.1f} times an image. Convolutional: "
        f"{rows[1]['flops']:,} for {rows[1]['parameters']:,}, each used {used[1]:.1f} times. What is learnt at one "
        "place of the image serves at all others."
    )


LAB = Lab(
    "dropout",
    "What dropout does to the gap",
    TrainingSettings,
    investigate,
    (
        Question("A narrower gap: is that a better network?", _worth_it),
        Question(
            "Can a network be better on validation images than on those that it learns from?", _better_than_training
        ),
        Question("How often is each weight used for one image, fully connected and convolutional?", _shared_weights),
    ),
)
