"""Times the training of many models at once: one after another, side by side in processes, and batched as one.

    python benchmarks/many_models.py [--models 10] [--rounds 3] [--works 0 1 2] [--images N] [--record]

- One after another: GlyphNet's own training, with the threads that it chooses.
- Side by side: the same in as many processes as there are cores, one thread each; the processes have started before.
- As one computation: GlyphNet's own trainings, step by step together, where that is possible.
- Bare, bmm: as one computation, forward and backward written out with torch.bmm and one fused Adam, nothing else.
- Bare, vmap: torch.func.vmap over stacked parameters, autograd, and one fused Adam, nothing else.

The bare ones have all models' images gathered at once, as many threads as one training alone chooses, and do no
augmentation, no validation and no bookkeeping, which is to their favour: they show what there is to gain. At last the
whole of glyphnet.train_seeds: starts, judging and all, without a folder, and into one, with a report of each; one after
another, side by side, and as it chooses itself. Times are wall seconds for all models together, medians of rounds in
which the ways take turns.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from _results import arguments_parser, publish
from torch import Tensor, nn
from torch.func import functional_call, replace_all_batch_norm_modules_, stack_module_state, vmap

import glyphnet
from glyphnet.data import Splits
from glyphnet.nn import Preprocessing, build
from glyphnet.training import Examples, Fitting, Recipe, preset
from glyphnet.training.device import using_threads
from glyphnet.training.lockstep import run_in_lockstep

Made = TypeVar("Made")

MLP = {"optimizer": {"name": "adam", "lr": 0.001}, "precision": "fp32"}


@dataclass(frozen=True)
class Work:
    """What is trained: on which data, how, and what it is called; on how many of the images, None for all."""

    title: str
    data: str
    network: tuple[int, ...] = ()  # widths of an MLP; none for the preset "fast"
    batch_size: int = 0
    epochs: int = 0
    images: int | None = None

    @property
    def recipe(self) -> Recipe:
        train = splits(self).train
        if not self.network:
            return preset("fast", train.image_shape, len(train), len(train.classes))
        network = {"kind": "mlp", "hidden": self.network}
        return Recipe.parse({**MLP, "network": network, "batch_size": self.batch_size, "epochs": self.epochs})


WORKS = (
    Work("digits, 64–16–10, batch 16", "digits", (16,), batch_size=16, epochs=40),
    Work("MNIST, 784–128–10, batch 32", "mnist", (128,), batch_size=32, epochs=1),
    Work("MNIST, preset fast", "mnist"),
)


@cache
def splits(work: Work) -> Splits:
    whole = glyphnet.load(work.data)
    if work.images is None:
        return whole
    return Splits(whole.name, whole.train.subset(slice(work.images)), whole.validation, whole.test)


@cache
def examples(work: Work) -> tuple[Examples, Examples]:
    found = splits(work)
    return tuple(Examples.of(part.images, part.labels) for part in (found.train, found.validation))  # type: ignore[return-value]


def fitting(work: Work, **changes: int) -> Fitting:
    return Fitting(work.recipe.override(changes), *examples(work), len(splits(work).classes), "cpu")


def fit_one(work: Work, seed: int) -> None:
    fitting(work, seed=seed).run()


def begin(work: Work) -> None:
    """In a new process: one thread, and an epoch done, which loads and lays out what it needs."""
    torch.set_num_threads(1)
    fitting(work, epochs=1).run()


class Ready:
    """The data as a batched computation takes them: preprocessed float32, on the processor."""

    def __init__(self, work: Work) -> None:
        train, _ = examples(work)
        preprocessing = Preprocessing.measure(train.inputs, work.recipe.preprocessing)
        self.images = preprocessing(train.inputs).contiguous()
        self.labels = train.labels
        self.classes = len(splits(work).classes)

    def batches(self, models: int, recipe: Recipe) -> Callable[[], list[Tensor]]:
        """For each epoch the indices of its steps, (models, batch)."""
        steps = len(self.labels) // recipe.batch_size

        def epoch() -> list[Tensor]:
            orders = torch.stack([torch.randperm(len(self.labels)) for _ in range(models)])
            return list(orders[:, : steps * recipe.batch_size].split(recipe.batch_size, dim=1))

        return epoch

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        flat = index.reshape(-1)
        images, labels = self.images.index_select(0, flat), self.labels.index_select(0, flat)
        return images.reshape(*index.shape, *images.shape[1:]), labels.reshape(index.shape)


def fused_adam(weights: list[Tensor], gradients: list[Tensor]) -> Callable[[], None]:
    first, second = ([torch.zeros_like(each) for each in weights] for _ in range(2))
    steps = [torch.zeros(()) for _ in weights]

    def step() -> None:
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            weights, gradients, first, second, [], steps, lr=0.001, beta1=0.9, beta2=0.999, weight_decay=0.0,
            eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip

    return step


def batched_bmm(work: Work, models: int) -> None:
    """One hidden layer with ReLU; softmax and cross-entropy; all models in each product."""
    ready, recipe = Ready(work), work.recipe
    ready.images = ready.images.flatten(1)
    inputs, hidden, classes = ready.images.shape[1], recipe.network.hidden[0], ready.classes  # type: ignore[union-attr]
    shapes = ((models, inputs, hidden), (models, 1, hidden), (models, hidden, classes), (models, 1, classes))
    w1, b1, w2, b2 = weights = [torch.randn(shape) / shape[1] ** 0.5 for shape in shapes]
    g1, h1, g2, h2 = gradients = [torch.zeros_like(each) for each in weights]
    update = fused_adam([each.view(-1) for each in weights], [each.view(-1) for each in gradients])
    ones = torch.full((models, recipe.batch_size, 1), -1.0)
    epoch = ready.batches(models, recipe)
    with torch.no_grad():
        for _ in range(recipe.epochs):
            for index in epoch():
                x, y = ready.gather(index)
                a = torch.baddbmm(b1, x, w1).relu_()
                g = torch.softmax(torch.baddbmm(b2, a, w2), -1)
                g.scatter_add_(2, y.unsqueeze(-1), ones).mul_(1 / recipe.batch_size)
                torch.bmm(a.transpose(1, 2), g, out=g2)
                torch.sum(g, 1, keepdim=True, out=h2)
                d = torch.ops.aten.threshold_backward(torch.bmm(g, w2.transpose(1, 2)), a, 0.0)
                torch.bmm(x.transpose(1, 2), d, out=g1)
                torch.sum(d, 1, keepdim=True, out=h1)
                update()


def batched_vmap(work: Work, models: int) -> None:
    """Any network: stacked parameters, vmap, autograd."""
    ready, recipe = Ready(work), work.recipe
    networks = [build(recipe.network, splits(work).image_shape, ready.classes) for _ in range(models)]
    for network in networks:
        replace_all_batch_norm_modules_(network)  # vmap cannot keep the running means
    parameters, buffers = stack_module_state(networks)
    base = copy.deepcopy(networks[0]).to("meta")
    weights = list(parameters.values())

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(base, (parameters, buffers), (x,)), y)

    for each in weights:
        each.grad = torch.zeros_like(each)
    update = fused_adam([each.detach() for each in weights], [each.grad for each in weights])  # type: ignore[misc]
    epoch = ready.batches(models, recipe)
    for _ in range(recipe.epochs):
        for index in epoch():
            for each in weights:
                each.grad.zero_()  # type: ignore[union-attr]
            vmap(loss, randomness="different")(parameters, buffers, *ready.gather(index)).sum().backward()
            update()


def timed(work: Callable[[], Made]) -> tuple[float, Made]:
    """Seconds, and what was made."""
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made


def measure(work: Work, models: int, rounds: int, cores: int) -> dict[str, list[float]]:
    """Seconds for all models, by way and round."""
    threads = fitting(work).threads

    def one_after_another() -> None:
        for seed in range(models):
            fit_one(work, seed)

    def together() -> None:
        run_in_lockstep([fitting(work, seed=seed) for seed in range(models)], [[]] * models)

    def bare(way: Callable[[Work, int], None]) -> None:
        with using_threads(threads):
            way(work, models)

    with ProcessPoolExecutor(cores, get_context("spawn"), initializer=begin, initargs=(work,)) as pool:
        ways: dict[str, Callable[[], object]] = {
            "one after another": one_after_another,
            f"{cores} side by side": lambda: list(pool.map(fit_one, [work] * models, range(models))),
            "bare, vmap": lambda: bare(batched_vmap),
        }
        if work.network:
            ways |= {"as one computation": together, "bare, bmm": lambda: bare(batched_bmm)}
        fitting(work, epochs=1).run()
        list(pool.map(fit_one, [work] * cores, range(cores)))
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                times[name].append(timed(way)[0])
    data = work.data if work.images is None else splits(work)
    for at_once in (1, cores, None):
        no_folder: dict[str, Any] = {}
        call = partial(glyphnet.train_seeds, data, seeds=models, recipe=work.recipe, at_once=at_once)
        with TemporaryDirectory() as folder:
            for kind, given in (("", no_folder), (" with reports", {"out": Path(folder) / "runs"})):
                seconds, made = timed(partial(call, **given))
                chosen = "" if at_once else " (chosen)"
                times.setdefault(f"whole call{kind}, {made.way}{chosen}", []).append(seconds)
    return times


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--works", type=int, nargs="+", default=range(len(WORKS)), help="which, by number")
    parser.add_argument("--images", type=int, help="of the training images, for a quick look")
    arguments = parser.parse_args()
    models, cores = arguments.models, max(2, torch.get_num_threads())
    lines = [
        f"Seconds for {models} models: median (least–most) of {arguments.rounds} rounds, the whole calls once; a "
        "model's share; how many times as quick as one after another.",
        "",
        "| work | way | seconds | a model | times |",
        "|---|---|---|---|---|",
    ]
    for number in arguments.works:
        work = replace(WORKS[number], images=arguments.images)
        times = measure(work, models, arguments.rounds, cores)
        for name, seconds in times.items():
            middle = statistics.median(seconds)
            whole = name.partition(", ")[0]
            base = times[f"{whole}, one after another" if name.startswith("whole") else "one after another"]
            spread = f"{middle:.2f}" + (f" ({min(seconds):.2f}–{max(seconds):.2f})" if len(seconds) > 1 else "")
            ratio = statistics.median(base) / middle
            lines.append(f"| {work.title} | {name} | {spread} | {middle / models:.3f} | {ratio:.2f} |")
            print(lines[-1], flush=True)
    publish("many-models", lines, recorded=arguments.record)


if __name__ == "__main__":
    main()
