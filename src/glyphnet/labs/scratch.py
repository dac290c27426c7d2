"""The page: the published run, the gradient check, solvers, over-fitting and penalties."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ..plots import gallery
from ..plots.style import BLUE, INK, RED, legend, percent_axis, whole_axis
from ..progress import Progress
from .drawing import TEXT, sheet
from .lab import Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .scratch_experiment import EVERY, NEARLY_ZERO, Result, experiment, measure, rows
from .training import TrainingSettings, lead_with_note

_MANY = 32
_WRONG = (6, 5)  # columns and rows of misclassified images


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and write its findings."""
    result = experiment(settings, progress)
    numbers = measure(result)
    sections = [_data(result, numbers), _run(result, numbers), _accuracy(result, numbers)]
    if picture := wrong_picture(result):
        text = ("Some of these are hard for a person too; others show what the network missed.",)
        sections.append(Section(f"{numbers['known']['wrong']:,} test images are misclassified", text, (picture,)))
    sections += [_gradient(numbers), _solvers(numbers), _sizes(numbers), _penalties(numbers)]
    return Findings(_lead(settings, numbers), tuple(sections), numbers)


def _lead(settings: TrainingSettings, numbers: Numbers) -> str:
    known = numbers["known"]
    phrases = (
        f"A network of {numbers['hidden']} hidden units, written in NumPy alone, classifies "
        f"{percent(known['test_accuracy'], 1)} of {known['test_images']:,} new digits correctly "
        f"({percent(known['low'], 1)} to {percent(known['high'], 1)}) after {known['epochs']:,} epochs of "
        f"{known['seconds_per_epoch']:.2g} s."
    )
    return lead_with_note(phrases, numbers)


def _data(result: Result, numbers: Numbers) -> Section:
    height, width, _ = result.splits.image_shape
    text = (
        f"An image is {height} × {width} pixels from 0 to 255, a row of {height * width} numbers. The network is "
        f"trained on {numbers['known']['images']:,} such rows with their classes and tested on "
        f"{numbers['known']['test_images']:,} others. It is never taught what a stroke is.",
    )
    return Section("The task: one class, many handwritings", text, (classes_picture(result),))


def _run(result: Result, numbers: Numbers) -> Section:
    known, saturated = numbers["known"], numbers["saturated"]
    text = (
        "Each hidden unit weighs all pixels, adds a bias and applies a sigmoid. Ten output units do the same with "
        "the hidden units. The cost measures the error; `backpropagate` computes its gradient.",
        f"Settings: l2 {known['l2']:g}, l1 {known['l1']:g}, learning rate {known['learning_rate']:g}, momentum "
        f"{known['momentum']:g}, {known['minibatches']} mini-batches, decay {known['decay']:g}. The published code "
        "divides the rate again in every epoch, contrary to its documentation; the run repeats that as "
        f"`cumulative_decay`. It computes in {known['dtype']}.",
        f"Pixels are not scaled. Before training, {percent(saturated['as_they_are'])} of the hidden outputs are "
        "within 0.01 of 0 or 1, where the sigmoid is flat; with pixels divided by 255 it would be "
        f"{percent(saturated['divided_by_255'])}.",
    )
    falls = f"from {known['first_cost']:,.0f} to {known['last_cost']:,.0f}"
    title = f"The cost falls {falls}, in {known['steps']:,} jumpy steps"
    return Section(title, text, (cost_picture(result, numbers),))


def _accuracy(result: Result, numbers: Numbers) -> Section:
    known = numbers["known"]
    gap = 100 * (known["train_accuracy"] - known["test_accuracy"])
    title = (
        f"Training accuracy is {gap:.1f} points above test accuracy" if gap > 0
        else "Test accuracy is as high as training accuracy"
    )  # fmt: skip
    text = (
        f"Training accuracy is {percent(known['train_accuracy'], 1)}, test accuracy "
        f"{percent(known['test_accuracy'], 1)}. Only the second says what to expect on new images.",
    )
    return Section(title, text, (accuracy_picture(result, numbers),))


def _gradient(numbers: Numbers) -> Section:
    checked = numbers["gradient"]
    written = max(checked["as written here"].values())
    names = tuple(checked["as written here"])
    table = Table(
        ("Backpropagation", *names),
        tuple((what, *(f"{errors[name]:.0e}" for name in names)) for what, errors in checked.items()),
        "Relative error of each matrix, against central differences. Below 1e-07 it is right.",
    )
    text = (
        "A network with a wrong gradient often still learns, a little worse, and nobody notices. So check it: move "
        "one weight slightly up and down and measure the cost. That slope needs no calculus.",
        "Two errors were planted. The first is in the published code: its cost has `l1/2`, its gradient `l1`. The "
        "biases have no penalty, so they look right: check each matrix separately.",
    )
    return Section(f"The gradient is right to {written:.0e}, and the check finds two planted errors", text, (table,))


def _solvers(numbers: Numbers) -> Section:
    solvers = numbers["solvers"]
    sgd, lbfgs, bfgs = solvers["sgd"], solvers["lbfgs"], solvers["small bfgs"]
    reached = _passes_to(lbfgs["losses"], sgd["loss"])
    title = (
        f"L-BFGS needs {reached} iterations for the loss of {sgd['passes']} epochs of SGD" if reached
        else f"In {lbfgs['passes']} iterations L-BFGS does not reach the loss of SGD"
    )  # fmt: skip
    text = (
        f"The weights are a point in a space of {lbfgs['weights']:,} dimensions, and SciPy needs only the cost and "
        "the gradient at that point. All solvers start at the same weights, with pixels divided by 255 and the same "
        "penalty per epoch.",
        "L-BFGS uses all images and estimates the curvature from its last few steps. BFGS keeps the whole estimate, "
        f"a matrix of weights × weights: {8 * bfgs['weights'] ** 2 / 1e6:,.0f} MB for {bfgs['weights']:,} weights, "
        f"{8 * lbfgs['weights'] ** 2 / 1e6:,.0f} MB for the network on the left. Hence a small network on 8×8 digits.",
    )
    return Section(title, text, (solvers_picture(numbers),))


def _passes_to(losses: list[float], goal: float) -> int | None:
    return next((place for place, loss in enumerate(losses, start=1) if loss <= goal), None)


def _sizes(numbers: Numbers) -> Section:
    fits = numbers["by_size"]
    few, many = fits[0], fits[-1]
    title = (
        f"{few['images']:,} images are memorised: test loss {few['test_loss']['mean']:.2g}, with "
        f"{many['images']:,} it is {many['test_loss']['mean']:.2g}"
    )
    text = (
        "Here there is no penalty, pixels are divided by 255, and L-BFGS nearly reaches the minimum. With few images "
        "there are far more weights than facts, and every training image is fitted, noise included. The gap between "
        "the curves is over-fitting. More data reduce it best.",
    )
    return Section(title, text, (sizes_picture(numbers),))


def _penalties(numbers: Numbers) -> Section:
    penalties = numbers["by_penalty"]
    without = penalties["l2"][0]["test_loss"]["mean"]
    best = {name: _best(fits) for name, fits in penalties.items()}
    least = min(fit["test_loss"]["mean"] for fit in best.values())
    title = (
        f"A penalty on the weights brings the test loss from {without:.2g} down to {least:.2g}" if least < without
        else "No penalty tried here helps"
    )  # fmt: skip
    table = Table(
        ("Penalty", "Training loss", "Test loss", "Test accuracy", f"|w| < {NEARLY_ZERO:g}"),
        tuple(
            (
                f"{name} {fit[name]:g}" if fit[name] else "none",
                f"{fit['train_loss']['mean']:.2g}", f"{fit['test_loss']['mean']:.2g}",
                percent(fit["test_accuracy"]["mean"], 1), percent(fit["gone"]["mean"]),
            )
            for name, fits in penalties.items()
            for fit in (fits if name == "l2" else fits[1:])
        ),
    )  # fmt: skip
    text = (
        "A penalty makes large weights costly: the network fits a detail only if that lowers the loss by more. `l2` "
        "shrinks all weights. `l1` pulls each with the same force and so removes unneeded ones. With `l1` "
        f"{best['l1']['l1']:g}, {percent(best['l1']['gone']['mean'])} are nearly 0; with `l2` {best['l2']['l2']:g}, "
        f"{percent(best['l2']['gone']['mean'])}.",
    )
    return Section(title, text, (penalties_picture(numbers), table))


def _best(fits: list[dict[str, Any]]) -> dict[str, Any]:
    return min(fits, key=lambda fit: float(fit["test_loss"]["mean"]))


def _memory(numbers: Numbers) -> str:
    """Whether training accuracy can be trusted."""
    fit = numbers["by_size"][0]
    known = numbers["known"]
    return (
        f"No. With {fit['images']:,} images the training loss is {fit['train_loss']['mean']:.1g}, nearly perfect, "
        f"and the test loss {fit['test_loss']['mean']:.2g}. In the long run above the two accuracies are "
        f"{percent(known['train_accuracy'], 2)} and {percent(known['test_accuracy'], 2)}."
    )


def _slip(numbers: Numbers) -> str:
    """Which matrices give a slip away."""
    parts = []
    for name, errors in numbers["gradient"].items():
        wrong = [f"{matrix} ({error:.1e})" for matrix, error in errors.items() if error >= 1e-7]
        parts.append(f"{name}: {', '.join(wrong) if wrong else 'none'}")
    return (
        f"Those with relative errors of 1e-7 or more. {'; '.join(parts)}. Where it is wrong says what is wrong: a slip "
        "in the penalty cannot touch the biases, and one on the way back from the outputs cannot touch the last layer."
    )


def _strength(numbers: Numbers) -> str:
    """Which penalty one would take."""
    parts = []
    for name, fits in numbers["by_penalty"].items():
        best, most = _best(fits), fits[-1]
        parts.append(
            f"{name}: {best[name]:g} (test loss {best['test_loss']['mean']:.2g}, training loss "
            f"{best['train_loss']['mean']:.2g}); at {most[name]:g} both are high ({most['test_loss']['mean']:.2g} and "
            f"{most['train_loss']['mean']:.2g})"
        )
    return (
        f"{'; '.join(parts)}. Two high losses mean under-fitting, a high test loss alone over-fitting. A real choice "
        "needs validation images."
    )


def classes_picture(result: Result) -> Picture:
    """One of each class, then many of one class."""
    train = result.splits.train
    first = [int(np.flatnonzero(train.labels == label)[0]) for label in range(len(train.classes))]
    last = 3 * len(train.classes) // 4  # of ten digits 7, with and without a bar
    many = np.flatnonzero(train.labels == last)[:_MANY]
    figure, axes = sheet(2, 1, height=6.3, height_ratios=[1, 1.35])
    _tiles(axes[0, 0], train.images[first], list(train.classes), columns=5)
    gallery(train.images[many], [""] * len(many), columns=8, ax=axes[1, 0])
    return Picture(
        "images", figure,
        alt=f"One image of each of {len(first)} classes, then {len(many)} images of class {train.classes[last]}, "
        "each drawn otherwise.",
        caption=f"Above: the first image of each class. Below: {len(many)} of class {train.classes[last]}, by many "
        "hands.",
    )  # fmt: skip


def cost_picture(result: Result, numbers: Numbers) -> Picture:
    """The cost of every 50th step, and averaged over each epoch."""
    net, known = result.net, numbers["known"]
    figure, axes = sheet(2, 1, height=5.2)
    steps = range(EVERY, len(net.cost_) + 1, EVERY)
    axes[0, 0].plot(steps, net.cost_[EVERY - 1 :: EVERY], color=BLUE, linewidth=0.8)
    axes[0, 0].set(xlabel=f"step (every {EVERY}th)", ylabel="cost J", yscale="log")
    axes[1, 0].plot(range(1, net.n_iter_ + 1), net.epoch_cost_, color=BLUE, linewidth=2)
    axes[1, 0].set(xlabel="epoch", ylabel="mean cost of its steps", yscale="log")
    whole_axis(axes[1, 0].xaxis)
    for ax in axes.flat:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    return Picture(
        "cost", figure,
        alt=f"Cost by step and by epoch: the mean of an epoch falls from {known['first_cost']:,.0f} to "
        f"{known['last_cost']:,.0f}.",
        caption=f"Each step sees another mini-batch, so its cost jumps. The mean over the {known['minibatches']} steps "
        "of an epoch, below, is smooth. Both scales are logarithmic.",
    )  # fmt: skip


def accuracy_picture(result: Result, numbers: Numbers) -> Picture:
    """Accuracy by epoch, on what was learnt and on what was not."""
    known = numbers["known"]
    figure, axes = sheet(height=3.4)
    ax = axes[0, 0]
    ax.plot(range(1, result.net.n_iter_ + 1), result.net.train_accuracy_, color=BLUE, linewidth=2, label="training")
    looks = known["looks"]
    ax.plot(
        [look["epoch"] for look in looks], [look["test_accuracy"] for look in looks],
        color=RED, linestyle="--", linewidth=2, label="test",
    )  # fmt: skip
    ax.set(xlabel="epoch", ylabel="accuracy", ylim=(max(0.0, looks[-1]["test_accuracy"] - 0.25), 1.0))
    percent_axis(ax.yaxis)
    whole_axis(ax.xaxis)
    _legend(ax)
    return Picture(
        "accuracy", figure,
        alt=f"Accuracy by epoch, at the end {percent(known['train_accuracy'], 1)} in training and "
        f"{percent(known['test_accuracy'], 1)} on test images.",
        caption="The training curve is counted during each epoch, while the weights still move.",
    )  # fmt: skip


def wrong_picture(result: Result) -> Picture | None:
    """Test images that it takes for something else; None where there are none."""
    test = result.splits.test
    predicted = result.net.predict(rows(test))
    columns, lines = _WRONG
    wrong = np.flatnonzero(predicted != test.labels)[: columns * lines]
    if not len(wrong):
        return None
    names = [f"t: {test.classes[test.labels[row]]}  p: {test.classes[predicted[row]]}" for row in wrong]
    figure, axes = sheet(height=1.45 * math.ceil(len(wrong) / columns))
    _tiles(axes[0, 0], test.images[wrong], names, columns=columns)
    return Picture(
        "misclassified", figure,
        alt=f"{len(wrong)} test images taken for another class, the first one a {test.classes[test.labels[wrong[0]]]} "
        f"taken for a {test.classes[predicted[wrong[0]]]}.",
        caption="t: the true class; p: the predicted one. The first ones in the order of the test images.",
    )  # fmt: skip


def solvers_picture(numbers: Numbers) -> Picture:
    """The loss by pass over the data, for each solver."""
    solvers = numbers["solvers"]
    figure, axes = sheet(1, 2, height=3.3)
    panels = (
        (f"{numbers['hidden']} hidden units", (("sgd", "SGD", RED, "--"), ("lbfgs", "L-BFGS", BLUE, "-"))),
        ("a small network", (("small bfgs", "BFGS", RED, "--"), ("small lbfgs", "L-BFGS", BLUE, "-"))),
    )
    for ax, (title, lines) in zip(axes[0], panels, strict=True):
        for key, label, colour, style in lines:
            losses = solvers[key]["losses"]
            ax.plot(range(1, len(losses) + 1), losses, color=colour, linestyle=style, linewidth=2, label=label)
        ax.set(xlabel="epoch or iteration", title=title, yscale="log")
        _legend(ax)
    axes[0, 0].set_ylabel("loss an image")
    facts = "; ".join(f"{key} {row['loss']:.3g} after {row['passes']}" for key, row in solvers.items())
    return Picture(
        "solvers", figure,
        alt=f"Loss by pass over the data, from the same weights: {facts}.",
        caption="Cross-entropy of the training images, without the penalty. An iteration of L-BFGS or BFGS looks at "
        "all images at once, at times more than once; an epoch of SGD takes a step for each mini-batch.",
    )  # fmt: skip


def sizes_picture(numbers: Numbers) -> Picture:
    """Training and test loss as the data shrink."""
    fits = numbers["by_size"]
    figure, axes = sheet(height=3.6)
    ax = axes[0, 0]
    _losses(ax, [fit["images"] for fit in fits], fits)
    ax.set(xlabel="training images", ylabel="loss an image", xscale="log")
    ax.set_xticks([fit["images"] for fit in fits], [f"{fit['images']:,}" for fit in fits])
    ax.minorticks_off()
    few, many, draws = fits[0], fits[-1], fits[0]["test_loss"]["n"]
    return Picture(
        "fewer-images", figure,
        alt=f"Test loss {few['test_loss']['mean']:.2g} with {few['images']:,} images and "
        f"{many['test_loss']['mean']:.2g} with {many['images']:,}; training loss never above "
        f"{max(fit['train_loss']['mean'] for fit in fits):.1g}.",
        caption="No penalty. " + (
            f"Bars: the 95 % interval of the mean over {draws} draws of images and weights." if draws > 1
            else "One draw of images and weights."
        ),
    )  # fmt: skip


def penalties_picture(numbers: Numbers) -> Picture:
    """Training and test loss with more and more penalty."""
    figure, axes = sheet(1, 2, height=3.5, sharey=True)
    phrases = []
    for ax, (name, fits) in zip(axes[0], numbers["by_penalty"].items(), strict=True):
        _losses(ax, list(range(len(fits))), fits)
        ax.set_xticks(range(len(fits)), [f"{fit[name]:g}" for fit in fits])
        ax.set(xlabel=name)
        best = min(fits, key=lambda fit: fit["test_loss"]["mean"])
        phrases.append(f"{name} {best[name]:g} has the lowest test loss, {best['test_loss']['mean']:.2g}")
    axes[0, 0].set_ylabel("loss an image")
    without = numbers["by_penalty"]["l2"][0]
    return Picture(
        "penalties", figure,
        alt=f"{'; '.join(phrases)}; without any it is {without['test_loss']['mean']:.2g}.",
        caption=f"{without['images']:,} training images. To the left no penalty; to the right so much that the network "
        "cannot even fit what it sees.",
    )  # fmt: skip


def _losses(ax: Axes, places: list[Any], fits: list[Any]) -> None:
    kinds = (("train_loss", "training", BLUE, "-", "o"), ("test_loss", "test", RED, "--", "s"))
    for key, label, colour, style, marker in kinds:
        means = np.array([fit[key]["mean"] for fit in fits])
        half = np.array([fit[key]["half_width"] for fit in fits])
        ax.errorbar(
            places, means, yerr=[np.minimum(half, 0.9 * means), half],  # a log scale has no place for 0
            color=colour, linestyle=style, marker=marker, linewidth=2, capsize=3, label=label,
        )  # fmt: skip
    ax.set_yscale("log")
    _legend(ax)


def _tiles(ax: Axes, images: Any, names: list[str], columns: int) -> None:
    gallery(images, names, columns=columns, ax=ax)
    for text in ax.texts:
        text.set(fontsize=TEXT, color=INK)


def _legend(ax: Axes) -> None:
    legend(ax)
    for text in ax.get_legend().get_texts():  # type: ignore[union-attr]  # there is something to name
        text.set_fontsize(TEXT - 1)


LAB = Lab(
    "scratch",
    "A network written from scratch",
    TrainingSettings,
    investigate,
    (
        Question("Nearly every training image is right. Is the network good?", _memory),
        Question("Which matrices reveal an error in backpropagation, and why those?", _slip),
        Question("How strong a penalty is best, and how do you see that it is too strong?", _strength),
    ),
)
