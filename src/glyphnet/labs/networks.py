"""The lab of the kinds of network: each trained in the same way on the same images, over several seeds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Splits
from ..plots.style import BLUE, HEAT, INK, RED, SOFT, percent_axis
from ..progress import Progress
from ..units import plural
from . import training
from .drawing import TEXT, by_epoch, legend_above, mean_and_interval, name_rows, panel, sheet
from .lab import Columns, Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .training import TrainedNetwork, TrainingSettings, spread_of, with_interval

TITLES = {"linear": "no hidden layer", "mlp": "fully connected", "cnn": "convolutional", "rnn": "recurrent (LSTM)"}

_TIMED = 1000  # test images that are answered while the clock runs
_TIMINGS = 3


@dataclass(frozen=True, eq=False)
class Result:
    """The data, the networks by kind, one per seed, and the seconds of one prediction where many are asked at once."""

    splits: Splits
    trained: dict[str, list[TrainedNetwork]]
    answer_seconds: dict[str, float]


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train every kind with every seed; time its answers."""
    splits = settings.read(progress)
    networks: dict[str, dict[str, Any]] = {  # one of each kind, of the sizes that textbooks give them
        "linear": {"kind": "linear"},
        "mlp": {"kind": "mlp", "hidden": [128], "dropout": 0.2},
        "cnn": training.classic_cnn(splits),
        "rnn": {"kind": "rnn", "hidden": 128},
    }
    common: dict[str, Any] = {
        "preprocessing": "unit_range",
        "epochs": settings.passes(full=10, quick=8),
        "batch_size": 32 if settings.quick else 128,  # few images make few steps
    }
    recipes = {kind: training.recipe(network, **common) for kind, network in networks.items()}
    trained = training.train_each(splits, recipes, settings.repetitions(full=3, quick=2), progress, TITLES)
    return Result(splits, trained, {kind: _time_answers(runs[0], splits) for kind, runs in trained.items()})


def _time_answers(trained: TrainedNetwork, splits: Splits) -> float:
    """Seconds for one image, of the fastest of a few rounds."""
    images = np.asarray(splits.test.images[:_TIMED])
    trained.classifier.logits(images, as_is=True)  # the first call prepares
    seconds = []
    for _ in range(_TIMINGS):
        began = time.perf_counter()
        trained.classifier.logits(images, as_is=True)
        seconds.append(time.perf_counter() - began)
    return min(seconds) / len(images)


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        **training.data_numbers(result.splits, result.trained["mlp"][0]),
        "networks": {kind: _one(result, kind) for kind in result.trained},
    }


def _one(result: Result, kind: str) -> dict[str, Any]:
    runs = result.trained[kind]
    counted = runs[0].classifier.summary()
    return {
        "title": TITLES[kind],
        "parameters": counted.parameters,
        "flops": counted.flops,
        "seconds_per_epoch": float(np.median([run.seconds_per_epoch for run in runs])),
        "seconds_per_answer": result.answer_seconds[kind],
        "accuracy": training.accuracies(runs),
        "test_interval": runs[0].test_interval,
        "validation_by_epoch": runs[0].curve("val_accuracy"),
    }


# The page


_STYLES = {"linear": (SOFT, ":", "s"), "mlp": (RED, "--", "D"), "cnn": (BLUE, "-", "o"), "rnn": (HEAT, "-.", "^")}
_COSTS = {"parameters": "parameters", "flops": "FLOPs an image", "seconds_per_epoch": "seconds an epoch"}


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and write its findings."""
    result = experiment(settings, progress)
    numbers = measure(result)
    best = _ranked(numbers)[0]
    lead = (
        f"Trained in the same way on the same {numbers['images']['train']:,} images for {numbers['epochs']} epochs, "
        f"the {best['title']} network is the most accurate: {with_interval(best['accuracy'])} of the test images, over "
        f"{plural(best['accuracy']['n'], 'seed')}."
    )
    sections = (_kinds(result), _accuracy(numbers), _costs(numbers), _curves(numbers))
    return Findings(training.lead_with_note(lead, numbers), sections, numbers)


def _kinds(result: Result) -> Section:
    height, width, _ = result.splits.image_shape
    text = (
        "Fully connected: every unit weighs every pixel. It does not know which pixels are neighbours: shuffled "
        "images are as easy. Without a hidden layer it learns one template per class.",
        "Convolutional: a small window of weights slides over the image, so an edge is found at every position with "
        "the same weights.",
        f"Recurrent: an LSTM reads the image as {height} rows of {width} pixels from top to bottom. It keeps a state "
        "and decides after each row what to forget and what to add. The last state is classified.",
    )
    table = training.layer_table(result.trained["rnn"][0], "The recurrent network, layer by layer.")
    return Section("Three ways to look at an image", text, (table,))


def _accuracy(numbers: Numbers) -> Section:
    ranked = _ranked(numbers)
    interval = ranked[0]["test_interval"]
    text = (
        "Other seeds mean other initial weights and another order of the images. Differences within their spread may "
        "be chance.",
        f"The test images are a sample too: for {interval['n']:,} of them, Wilson's 95 % interval of the best "
        f"network's first seed is {percent(interval['low'], 2)} to {percent(interval['high'], 2)}.",
    )
    columns: Columns = {
        "Network": "{title}",
        "Test accuracy": lambda row: with_interval(row["accuracy"]),
        "Spread": lambda row: spread_of(row["accuracy"]),
        "Seeds": "{accuracy[n]}",
    }
    caption = "± is half the 95 % interval of the mean over the seeds; spread is their standard deviation, in points."
    table = Table.of(ranked, columns, caption)
    title = f"Most accurate: {ranked[0]['title']}; least: {ranked[-1]['title']}"
    figure, ax = panel(2.6)
    rows = numbers["networks"]
    for place, (kind, row) in enumerate(rows.items()):
        colour, _, marker = _STYLES[kind]
        values = row["accuracy"]["values"]
        ax.plot(values, np.full(len(values), place), "o", color=colour, markersize=4, alpha=0.6)
        mean_and_interval(ax, place, row["accuracy"], marker, colour)
    name_rows(ax, [TITLES[kind] for kind in rows])
    percent_axis(ax.xaxis)
    ax.set_xlabel("test accuracy")
    facts = "; ".join(f"{TITLES[kind]} {percent(row['accuracy']['mean'], 2)}" for kind, row in rows.items())
    picture = Picture(
        "accuracy", figure, alt=f"Test accuracy of each kind, mean over the seeds: {facts}.",
        caption="Small dots: one seed each. Large: their mean, with its 95 % interval (Student's t); none for one "
        "seed.",
    )  # fmt: skip
    return Section(title, text, (picture, table))


def _costs(numbers: Numbers) -> Section:
    rows = numbers["networks"]
    mlp, cnn = rows["mlp"], rows["cnn"]
    slowest = max(rows.values(), key=lambda row: row["seconds_per_epoch"])
    text = (
        "Parameters are stored; FLOPs are computed per image. The convolutional network has "
        f"{cnn['parameters'] / mlp['parameters']:.2g} times the parameters of the fully connected one and "
        f"{cnn['flops'] / mlp['flops']:.2g} times its FLOPs, because it reuses its weights at every position.",
        "Time does not follow FLOPs: a convolution computes all positions in parallel, an LSTM must finish one row "
        "before the next.",
    )
    title = f"The {slowest['title']} network takes longest: {slowest['seconds_per_epoch']:.2f} s an epoch"
    columns: Columns = {
        "Network": "{title}",
        "Parameters": "{parameters:,}",
        "FLOPs": "{flops:,}",
        "An epoch": "{seconds_per_epoch:.2f} s",
        "An answer": lambda row: f"{1e6 * row['seconds_per_answer']:.0f} µs",
    }
    table = Table.of(rows.values(), columns, "What each kind costs.")
    figure, axes = sheet(1, len(_COSTS), height=2.9, sharey=True)
    facts = []
    for ax, (key, heading) in zip(axes[0], _COSTS.items(), strict=True):
        values = [row[key] for row in rows.values()]
        bars = ax.barh(range(len(rows)), values, height=0.6, color=[_STYLES[kind][0] for kind in rows], alpha=0.85)
        ax.bar_label(bars, [short_number(value) for value in values], padding=3, fontsize=TEXT - 2, color=INK)
        ax.set(xlabel=heading, xticks=[])
        ax.margins(x=0.3)
        ax.grid(False)
        facts.append(f"{heading}: most for {TITLES[max(rows, key=lambda kind: rows[kind][key])]}")
    name_rows(axes[0, 0], [TITLES[kind] for kind in rows])
    picture = Picture(
        "costs", figure, alt=f"Bars side by side. {'; '.join(facts)}.",
        caption="Memory, computation and time, each on its own scale.",
    )  # fmt: skip
    return Section(title, text, (picture, table))


def _curves(numbers: Numbers) -> Section:
    head_start = max(numbers["networks"].values(), key=lambda row: row["validation_by_epoch"][0])
    text = (
        f"After one epoch the {head_start['title']} network leads with "
        f"{percent(head_start['validation_by_epoch'][0], 1)} of the validation images. The early leader need not lead "
        "at the end.",
    )
    figure, ax = panel()
    facts = []
    for kind, row in numbers["networks"].items():
        colour, line, marker = _STYLES[kind]
        curve = row["validation_by_epoch"]
        by_epoch(ax, curve, line, color=colour, label=TITLES[kind], marker=marker, markersize=4, linewidth=1.6)
        facts.append(f"{TITLES[kind]} {percent(curve[0], 1)} to {percent(curve[-1], 1)}")
    percent_axis(ax.yaxis)
    ax.set(xlabel="epoch", ylabel="validation accuracy")
    legend_above(ax)
    picture = Picture(
        "curves", figure, alt=f"Validation accuracy, first to last epoch: {'; '.join(facts)}.",
        caption="The first seed of each, with the same images, steps and optimizer.",
    )  # fmt: skip
    return Section(f"Fastest to learn: {head_start['title']}", text, (picture,))


def _ranked(numbers: Numbers) -> list[dict[str, Any]]:
    return sorted(numbers["networks"].values(), key=lambda row: -float(row["accuracy"]["mean"]))


def _is_it_luck(numbers: Numbers) -> str:
    first, second = _ranked(numbers)[:2]
    ahead = first["accuracy"]["mean"] - second["accuracy"]["mean"]
    start = f"The {first['title']} network is {100 * ahead:.2f} points ahead of the {second['title']} one. "
    if first["accuracy"]["n"] < 2:
        return start + "One seed cannot show how much of it is chance: run it with `--seeds 3`."
    widths = [row["accuracy"]["half_width"] for row in (first, second)]
    if not all(widths):
        return start + "Equal results of all seeds say nothing about chance: run it with more seeds."
    verdict = "so they differ" if ahead > sum(widths) else "so these seeds do not decide it"
    return (
        start
        + f"The intervals of the two means reach {100 * widths[0]:.2f} and {100 * widths[1]:.2f} points, {verdict}."
    )


def _errors_left(numbers: Numbers) -> str:
    mlp, cnn = numbers["networks"]["mlp"], numbers["networks"]["cnn"]
    wrong = [row["test_interval"]["n"] * (1 - row["accuracy"]["mean"]) for row in (mlp, cnn)]
    return (
        f"Of {mlp['test_interval']['n']:,} test images the fully connected network gets {wrong[0]:.0f} wrong on "
        f"average, the convolutional one {wrong[1]:.0f}: {wrong[1] / wrong[0] if wrong[0] else 1:.2f} times as many, "
        f"with {cnn['parameters']:,} parameters instead of {mlp['parameters']:,}. Near 100 %, compare mistakes."
    )


def _speed_of_flops(numbers: Numbers) -> str:
    rates = {
        row["title"]: row["flops"] / row["seconds_per_answer"] / 1e9
        for row in numbers["networks"].values()
        if row["title"] != "no hidden layer"
    }
    listed = ", ".join(f"{title} {rate:.3g}" for title, rate in rates.items())
    fast, slow = max(rates, key=lambda title: rates[title]), min(rates, key=lambda title: rates[title])
    return (
        f"FLOPs of an image divided by the seconds of a prediction, in 10⁹ per second: {listed}. The {fast} network "
        f"computes {rates[fast] / rates[slow]:.1f} times as many as the {slow} one: FLOPs do not determine the time."
    )


def short_number(value: float) -> str:
    """``102 k``, ``4.8 M``, ``1.23``."""
    for scale, unit in ((1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.3g}"


LAB = Lab(
    "networks",
    "Fully connected, convolutional, recurrent",
    TrainingSettings,
    investigate,
    (
        Question("Is the best network really better than the second, or is it chance?", _is_it_luck),
        Question("How many mistakes does convolution save, and at what cost in parameters?", _errors_left),
        Question("Do twice the FLOPs take twice the time? Compute the FLOPs per second of each kind.", _speed_of_flops),
    ),
)
