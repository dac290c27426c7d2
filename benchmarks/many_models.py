"""Times the training of several models: one after another, and side by side in processes.

    python benchmarks/many_models.py [--models 10] [--rounds 3] [--works 0 1 2] [--images N] [--record]

- One after another: GlyphNet's own training, with the threads that it chooses.
- Side by side: the same in as many processes as there are cores, one thread each; the processes have started before.
- Whole call: `glyphnet.train_seeds` with starts, judging and all, without a folder, and into one with a report of each;
  one after another, side by side, and as it chooses itself.

Times are wall seconds for all models, medians of rounds in which the ways take turns; the whole calls once.
"""

from __future__ import annotations

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

import glyphnet
from glyphnet.data import Splits
from glyphnet.studies.seeds.strategy import in_words
from glyphnet.training import Examples, Fitting, Recipe, preset

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


def timed(work: Callable[[], Made]) -> tuple[float, Made]:
    """Seconds, and what was made."""
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made


def measure(work: Work, models: int, rounds: int, cores: int) -> dict[str, list[float]]:
    """Seconds for all models, by way and round."""

    def one_after_another() -> None:
        for seed in range(models):
            fit_one(work, seed)

    with ProcessPoolExecutor(cores, get_context("spawn"), initializer=begin, initargs=(work,)) as pool:
        ways: dict[str, Callable[[], object]] = {
            "one after another": one_after_another,
            f"{cores} side by side": lambda: list(pool.map(fit_one, [work] * models, range(models))),
        }
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
                times.setdefault(f"whole call{kind}, {in_words(made.at_once)}{chosen}", []).append(seconds)
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
