"""The lab: what it asks, what it tells."""

from __future__ import annotations

from typing import Any

from ..lab import Findings, Lab, Numbers, Progress, Question, Section, Table
from ..repeats import percent
from ..training import TrainingSettings
from . import pictures
from .experiment import Experiment, experiment, measure


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Train every kind; tell what came of it."""
    done = experiment(settings, progress)
    numbers = measure(done)
    best = _best(numbers)
    lead = (
        f"Learnt in the same way from the same {numbers['images']['train']:,} images for {numbers['epochs']} epochs, "
        f"the {best['title']} network is the most accurate: {percent(best['accuracy'])} of the test images, over "
        f"{best['accuracy']['n']} seed{'s' * (best['accuracy']['n'] > 1)}."
    )
    if numbers["data"] == "digits":
        lead += " This is the small version, on the embedded 8×8 digits: other images, other figures."
    sections = (_kinds(done), _accuracy(numbers), _costs(numbers), _curves(numbers))
    return Findings(lead, sections, numbers)


def _kinds(done: Experiment) -> Section:
    height, width, _ = done.splits.image_shape
    text = (
        "Fully connected: every unit weighs every pixel. It knows nothing of images; shuffle the pixels, all in the "
        "same way, and it learns just as well. Without a hidden layer it weighs pixels once, a template for each "
        "class.",
        "Convolutional: a small window of weights slides over the image, so an edge is found wherever it is. "
        "Neighbours are looked at together, and each weight serves at all places.",
        f"Recurrent: an LSTM reads the image as {height} rows of {width} pixels, from top to bottom, as one reads a "
        "line of text. It keeps a state, and after each row decides what to forget and what to add. What it ends with "
        "is classified.",
    )
    rows = tuple((name, *cells) for name, cells in (_layer_row(row) for row in done.summary("rnn").rows))
    table = Table(("Name", "Layer", "Output", "Parameters", "FLOPs"), rows, "The recurrent network, layer by layer.")
    return Section("Three ways to look at an image", text, (table,))


def _layer_row(row: Any) -> tuple[str, tuple[str, ...]]:
    return row.name, (row.layer, "×".join(map(str, row.output_shape)), f"{row.parameters:,}", f"{row.flops:,}")


def _accuracy(numbers: Numbers) -> Section:
    ranked = sorted(numbers["networks"].values(), key=lambda row: -row["accuracy"]["mean"])
    rows = tuple(
        (
            row["title"],
            percent(row["accuracy"]),
            f"{100 * row['accuracy']['spread']:.2f}" if row["accuracy"]["n"] > 1 else "–",
            str(row["accuracy"]["n"]),
        )
        for row in ranked
    )
    interval = ranked[0]["test_interval"]
    text = (
        "Other seeds begin with other weights and another order of the images. Their spread says how much of a "
        "difference is luck; what is left over may be the network.",
        f"The test images are a sample as well: for {interval['n']:,} of them, Wilson's 95 % interval of the best "
        f"network's first seed goes from {interval['low']:.2%} to {interval['high']:.2%}.",
    )
    table = Table(
        ("Network", "Test accuracy", "Spread", "Seeds"), rows,
        "± is half the 95 % interval of the mean over the seeds; spread is their standard deviation, in points.",
    )  # fmt: skip
    title = f"Most accurate: {ranked[0]['title']}; least: {ranked[-1]['title']}"
    return Section(title, text, (pictures.accuracy_picture(numbers), table))


def _costs(numbers: Numbers) -> Section:
    rows = numbers["networks"]
    mlp, cnn = rows["mlp"], rows["cnn"]
    slowest = max(rows.values(), key=lambda row: row["seconds_per_epoch"])
    text = (
        f"Parameters are what is stored. FLOPs are what is computed for one image: the convolutional network has "
        f"{cnn['parameters'] / mlp['parameters']:.2g} times the parameters of the fully connected one, and "
        f"{cnn['flops'] / mlp['flops']:.2g} times its FLOPs, for its weights are used again at every place.",
        "Seconds are something else again. A convolution is done for all places at once; an LSTM must finish one row "
        "before it can begin the next.",
    )
    title = f"The {slowest['title']} network takes longest: {slowest['seconds_per_epoch']:.2f} s an epoch"
    cells = tuple(
        (
            row["title"],
            f"{row['parameters']:,}",
            f"{row['flops']:,}",
            f"{row['seconds_per_epoch']:.2f} s",
            f"{1e6 * row['seconds_per_answer']:.0f} µs",
        )
        for row in rows.values()
    )
    table = Table(("Network", "Parameters", "FLOPs", "An epoch", "An answer"), cells, "What each kind costs.")
    return Section(title, text, (pictures.costs_picture(numbers), table))


def _curves(numbers: Numbers) -> Section:
    head_start = max(numbers["networks"].values(), key=lambda row: row["validation_by_epoch"][0])
    text = (
        f"After one epoch the {head_start['title']} network leads with {head_start['validation_by_epoch'][0]:.1%} of "
        "the validation images. Which is ahead early need not be ahead late: compare the ends as well as the "
        "beginnings.",
    )
    return Section(f"Fastest to learn: {head_start['title']}", text, (pictures.curves_picture(numbers),))


def _best(numbers: Numbers) -> dict[str, Any]:
    return max(numbers["networks"].values(), key=lambda row: float(row["accuracy"]["mean"]))


def _is_it_luck(numbers: Numbers) -> str:
    """Whether the best two can be told apart."""
    first, second = sorted(numbers["networks"].values(), key=lambda row: -row["accuracy"]["mean"])[:2]
    ahead = first["accuracy"]["mean"] - second["accuracy"]["mean"]
    said = f"The {first['title']} network is {100 * ahead:.2f} points ahead of the {second['title']} one. "
    if first["accuracy"]["n"] < 2:
        return said + "With one seed there is no telling how much of it is luck: run it with `--seeds 3`."
    widths = [row["accuracy"]["half_width"] for row in (first, second)]
    if not all(widths):
        return said + "Seeds that came out all alike say nothing of luck: run it with more of them."
    verdict = "so they are apart" if ahead > sum(widths) else "so these seeds alone do not settle it"
    return (
        said
        + f"The intervals of the two means reach {100 * widths[0]:.2f} and {100 * widths[1]:.2f} points, {verdict}."
    )


def _errors_left(numbers: Numbers) -> str:
    """What convolution saves, in mistakes."""
    mlp, cnn = numbers["networks"]["mlp"], numbers["networks"]["cnn"]
    wrong = [row["test_interval"]["n"] * (1 - row["accuracy"]["mean"]) for row in (mlp, cnn)]
    return (
        f"Of {mlp['test_interval']['n']:,} test images the fully connected network gets {wrong[0]:.0f} wrong on "
        f"average, the convolutional one {wrong[1]:.0f}: {wrong[1] / wrong[0] if wrong[0] else 1:.2f} times as many, "
        f"with {cnn['parameters']:,} parameters for {mlp['parameters']:,}. Near the top, count mistakes, not "
        "accuracies."
    )


def _speed_of_flops(numbers: Numbers) -> str:
    """How fast each kind computes."""
    rates = {
        row["title"]: row["flops"] / row["seconds_per_answer"] / 1e9
        for row in numbers["networks"].values()
        if row["title"] != "no hidden layer"
    }
    told = ", ".join(f"{title} {rate:.3g}" for title, rate in rates.items())
    fast, slow = max(rates, key=lambda title: rates[title]), min(rates, key=lambda title: rates[title])
    return (
        f"Divide the FLOPs of an image by the seconds of an answer, in thousand millions a second: {told}. The {fast} "
        f"network computes {rates[fast] / rates[slow]:.1f} times as many in the same time as the {slow} one: FLOPs "
        "alone do not tell the time."
    )


LAB = Lab(
    "networks",
    "Fully connected, convolutional, recurrent",
    TrainingSettings,
    investigate,
    (
        Question("Is the best network really better than the second, or was it luck?", _is_it_luck),
        Question("How many mistakes does convolution save, and what does it pay in parameters?", _errors_left),
        Question("Twice the FLOPs, twice the time? Compute how many each kind does in a second.", _speed_of_flops),
    ),
)
