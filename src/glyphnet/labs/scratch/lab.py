"""The lab: what it asks, what it tells."""

from __future__ import annotations

from typing import Any

from ..lab import Findings, Lab, Numbers, Progress, Question, Section, Table
from ..training import SMALL, TrainingSettings
from ..wording import percent
from . import pictures
from .experiment import Done, experiment, measure
from .overfitting import NEARLY_ZERO


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Train, doubt, over-fit; tell what came of it."""
    done = experiment(settings, progress)
    numbers = measure(done)
    sections = [_data(done, numbers), _run(done, numbers), _accuracy(done, numbers)]
    if picture := pictures.wrong_picture(done):
        text = (
            "Look at them before you blame the network. Some are hard for you as well; others show what it missed.",
        )
        sections.append(Section(f"{numbers['known']['wrong']:,} test images are taken for another", text, (picture,)))
    sections += [_gradient(numbers), _solvers(numbers), _sizes(numbers), _penalties(numbers)]
    return Findings(_lead(settings, numbers), tuple(sections), numbers)


def _lead(settings: TrainingSettings, numbers: Numbers) -> str:
    known = numbers["known"]
    said = (
        f"A network of {numbers['hidden']} hidden units, written in NumPy alone, reads "
        f"{percent(known['test_accuracy'], 1)} of {known['test_images']:,} new digits right "
        f"({percent(known['low'], 1)} to {percent(known['high'], 1)}) after {known['epochs']:,} epochs of "
        f"{known['seconds_per_epoch']:.2g} s."
    )
    return f"{said} {SMALL}" if settings.quick else said


def _data(done: Done, numbers: Numbers) -> Section:
    height, width, _ = done.splits.image_shape
    text = (
        f"An image is {height} × {width} pixels from 0 to 255: a row of {height * width} numbers. The network is given "
        f"{numbers['known']['images']:,} such rows with their classes, and is asked about "
        f"{numbers['known']['test_images']:,} others.",
        "Nothing tells it what a stroke is. It must find what all images of a class share, and what parts them from "
        "the rest.",
    )
    return Section("What there is to learn: one class, many hands", text, (pictures.classes_picture(done),))


def _run(done: Done, numbers: Numbers) -> Section:
    known, saturated = numbers["known"], numbers["saturated"]
    text = (
        "Each hidden unit weighs all pixels, adds a bias, and bends the sum by a sigmoid. Ten output units do the "
        "same with the hidden units' answers. The cost says how wrong they are; `backpropagate` says which way each "
        "weight should go.",
        f"The settings: l2 {known['l2']:g}, l1 {known['l1']:g}, learning rate {known['learning_rate']:g}, momentum "
        f"{known['momentum']:g}, {known['minibatches']} mini-batches, decay {known['decay']:g}. The known code "
        "divides the rate anew in every epoch, which is not what it says of itself; the run repeats that, as "
        f"`cumulative_decay`. The arithmetic is {known['dtype']}, half as many bytes as float64.",
        f"Pixels go in as they are, and that has a price. Before training, {percent(saturated['as_they_are'])} of the "
        "hidden answers are within 0.01 of 0 or 1, where the sigmoid is flat and little can be learnt; with pixels "
        f"divided by 255 it would be {percent(saturated['divided_by_255'])}.",
    )
    falls = f"from {known['first_cost']:,.0f} to {known['last_cost']:,.0f}"
    title = f"The cost falls {falls}, in {known['steps']:,} jumpy steps"
    return Section(title, text, (pictures.cost_picture(done, numbers),))


def _accuracy(done: Done, numbers: Numbers) -> Section:
    known = numbers["known"]
    gap = 100 * (known["train_accuracy"] - known["test_accuracy"])
    title = (
        f"It knows what it has seen {gap:.1f} points better than what it has not" if gap > 0
        else "It reads new images as well as those it has seen"
    )  # fmt: skip
    text = (
        f"Of the training images {percent(known['train_accuracy'], 1)} are right, of the test images "
        f"{percent(known['test_accuracy'], 1)}. Only the second figure says what to expect of it.",
    )
    return Section(title, text, (pictures.accuracy_picture(done, numbers),))


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
        "A wrong gradient often still learns, a little worse: nothing crashes, and nobody notices. So doubt it. Move "
        "one weight a little up, then a little down, and see what the cost does: that slope needs no calculus.",
        "Below are two slips, made on purpose. The first is in the known code: its cost has `l1/2`, its gradient "
        "`l1`. The biases have no penalty, so they look right: each matrix must be checked by itself.",
    )
    return Section(f"The gradient is right to {written:.0e}, and the check finds two planted slips", text, (table,))


def _solvers(numbers: Numbers) -> Section:
    solvers = numbers["solvers"]
    sgd, lbfgs, bfgs = solvers["sgd"], solvers["lbfgs"], solvers["small bfgs"]
    reached = _passes_to(lbfgs["losses"], sgd["loss"])
    title = (
        f"L-BFGS is in {reached} iterations where SGD is in {sgd['passes']} epochs" if reached
        else f"In {lbfgs['passes']} iterations L-BFGS does not come to where SGD is"
    )  # fmt: skip
    text = (
        f"All weights together are one point in a space of {lbfgs['weights']:,} dimensions, and the cost is a "
        "landscape over it. Any method that finds low places will do: SciPy needs only the cost and the gradient of "
        "a flat vector. Here all begin at the same weights, with pixels divided by 255 and the same penalty over an "
        "epoch.",
        "L-BFGS looks at all images, remembers its last few steps, and guesses from them how the valley bends. BFGS "
        f"keeps the whole guess, a matrix of weights × weights: for {bfgs['weights']:,} weights "
        f"{8 * bfgs['weights'] ** 2 / 1e6:,.0f} MB, for the network on the left "
        f"{8 * lbfgs['weights'] ** 2 / 1e6:,.0f} MB. Hence a small one, on 8×8 digits.",
    )
    return Section(title, text, (pictures.solvers_picture(numbers),))


def _passes_to(losses: list[float], goal: float) -> int | None:
    return next((place for place, loss in enumerate(losses, start=1) if loss <= goal), None)


def _sizes(numbers: Numbers) -> Section:
    fits = numbers["by_size"]
    few, many = fits[0], fits[-1]
    title = (
        f"{few['images']:,} images are learnt by heart: test loss {few['test_loss']['mean']:.2g}, with "
        f"{many['images']:,} it is {many['test_loss']['mean']:.2g}"
    )
    text = (
        "Here there is no penalty, pixels are divided by 255, and L-BFGS goes nearly to the bottom. With few images "
        "there are far more weights than facts, and every training image is fitted almost without loss, whatever its "
        "noise.",
        "The gap between the two curves is over-fitting. More data close it best.",
    )
    return Section(title, text, (pictures.sizes_picture(numbers),))


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
        "A penalty asks a price for large weights: the network fits a detail only where that lowers the loss by more "
        "than it costs. `l2` makes all weights smaller. `l1` pulls each with the same force however small it is, and "
        f"so clears away those that are not needed. With `l1` {best['l1']['l1']:g}, "
        f"{percent(best['l1']['gone']['mean'])} are nearly 0; with `l2` {best['l2']['l2']:g}, "
        f"{percent(best['l2']['gone']['mean'])}.",
    )
    return Section(title, text, (pictures.penalties_picture(numbers), table))


def _best(fits: list[dict[str, Any]]) -> dict[str, Any]:
    return min(fits, key=lambda fit: float(fit["test_loss"]["mean"]))


def _memory(numbers: Numbers) -> str:
    """Whether training accuracy can be trusted."""
    fit = numbers["by_size"][0]
    known = numbers["known"]
    return (
        f"No. With {fit['images']:,} images the training loss is {fit['train_loss']['mean']:.1g}, as good as perfect, "
        f"and the test loss {fit['test_loss']['mean']:.2g}. In the long run above the two accuracies are "
        f"{percent(known['train_accuracy'], 2)} and {percent(known['test_accuracy'], 2)}: the first one flatters."
    )


def _slip(numbers: Numbers) -> str:
    """Which matrices give a slip away."""
    parts = []
    for name, errors in numbers["gradient"].items():
        wrong = [f"{matrix} ({error:.1e})" for matrix, error in errors.items() if error >= 1e-7]
        parts.append(f"{name}: {', '.join(wrong) if wrong else 'none'}")
    return (
        f"Those with relative errors of 1e-7 or more. {'; '.join(parts)}. Where it is wrong says what is wrong: a "
        "slip in the penalty cannot touch the biases, and one on the way back from the outputs cannot touch the last "
        "layer."
    )


def _strength(numbers: Numbers) -> str:
    """Which penalty one would take."""
    parts = []
    for name, fits in numbers["by_penalty"].items():
        best, most = _best(fits), fits[-1]
        parts.append(
            f"{name}: {best[name]:g} (test loss {best['test_loss']['mean']:.2g}, training loss "
            f"{best['train_loss']['mean']:.2g}); at {most[name]:g} both are high "
            f"({most['test_loss']['mean']:.2g} and {most['train_loss']['mean']:.2g})"
        )
    return (
        f"{'; '.join(parts)}. Where both losses are high it under-fits; where only the test loss is, it over-fits. To "
        "choose in earnest, take validation images: a strength chosen by the test images flatters them."
    )


LAB = Lab(
    "scratch",
    "A network written from scratch",
    TrainingSettings,
    investigate,
    (
        Question("Nearly every training image is right. Is the network good?", _memory),
        Question("Which matrices give a slip in backpropagation away, and why those?", _slip),
        Question("How strong a penalty would you take, and how do you see that it is too strong?", _strength),
    ),
)
