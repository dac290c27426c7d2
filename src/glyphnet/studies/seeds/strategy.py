"""How trainings run: side by side in processes, each given one seed after another, or one at a time in this process."""

from __future__ import annotations

import contextlib
import json
import math
import queue
import shlex
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from ... import runs
from ...data import Splits, load
from ...data.dataset import share_splits, shared_splits
from ...errors import GlyphNetError, TrainingError
from ...files import atomic_write_text, make_folder
from ...locks import temporary_folder
from ...nn import summary
from ...processes import Child, Message, talk_with_parent, usable_cores
from ...runs import RunFolder
from ...training import Callback, Recipe, choose_device
from ...training.device import Arithmetic, Place
from ...training.examples import batch_count
from ...units import reason
from .results import Plan, SeedProgress, SeedReporter, SeedsFolder

_MAIN = f"{__name__}:main"
_TICK = 0.05  # seconds between two checks for a stop request
_GRACE_SECONDS = 10.0  # for the other processes to write a checkpoint after a stop request

START_SECONDS = 4.0  # of a child process, for its imports
_REPORT_SECONDS = 0.5  # of a small report,
_REPORT_SECONDS_AN_IMAGE = 2e-4  # plus this for each image in it
_STEP_SECONDS = 1e-4  # of a step of the smallest networks, on any machine of today
_FLOPS_A_SECOND = 6e10  # of one core, forward and backward, in convolutions and products


def choose_at_once(recipe: Recipe, splits: Splits, seeds: int, device: str, *, reports: bool) -> int:
    """How many trainings to run at the same time, each in its own process; 1 for one after another in this one.

    Depends on the work and the number of cores only, so the same command always does the same. On a GPU, which one
    training can fill, one after another. On a CPU one for each core, unless that saves less time than the processes
    take to start. SettingsError if the network does not fit the images.
    """
    seconds_each = expected_seconds(recipe, splits, reports=reports)
    cores = min(seeds, torch.get_num_threads(), usable_cores()) if choose_device(device).type == "cpu" else 1
    saved = seconds_each * (seeds - -(-seeds // cores))
    return cores if saved > START_SECONDS else 1


def choose_arithmetic(recipe: Recipe, splits: Splits, at_once: int, device: str, threads: int | None) -> Arithmetic:
    """How each training computes: as a single one does with its share of the cores. Raises as `Arithmetic.choose`."""
    place = Place(local_size=at_once)
    return Arithmetic.choose(recipe, splits.image_shape, len(splits.classes), len(splits.train), device, place, threads)


def expected_seconds(recipe: Recipe, splits: Splits, *, reports: bool) -> float:
    """A rough estimate for one training and its report, if any, on one core, without early stopping."""
    images = len(splits.train)
    flops = 3 * summary(recipe.network, splits.image_shape, len(splits.classes)).flops  # backward: twice the forward
    steps = 1 if recipe.optimizer.full_batch else batch_count(images, recipe.batch_size)
    training = recipe.epochs * (steps * _STEP_SECONDS + images * flops / _FLOPS_A_SECOND)
    return training + reports * (_REPORT_SECONDS + _REPORT_SECONDS_AN_IMAGE * len(splits.test))


def in_words(at_once: int) -> str:
    """How the trainings run, to follow their number: ``"2 side by side"`` or ``"one after another"``."""
    return f"{at_once} side by side" if at_once > 1 else "one after another"


# Side by side


def train_side_by_side(
    plan: Plan,
    seeds: Sequence[int],
    at_once: int,
    splits: Splits,
    folder: SeedsFolder,
    device: str,
    *,
    running: Callable[[SeedProgress], None],
    finished: Callable[[int], None],
    stop_requested: Callable[[], bool],
) -> bool:
    """Train each of ``seeds`` in one of ``at_once`` processes; return whether all are finished.

    Whatever happens, no process is left behind. The next call resumes stopped trainings. If a training fails, or its
    process dies, all others are stopped, and a TrainingError says which, and why.
    """
    left, trained_by, failure, deadline = deque(seeds), dict[int, int](), "", math.inf

    def give_work(worker: int) -> None:
        trained_by.pop(worker, None)
        if left and deadline == math.inf:
            trained_by[worker] = seed = left.popleft()
            children[worker].tell({"train": seed, "folder": str(folder.of(seed).path)})
        else:
            children[worker].tell({"end": True})

    with _children(plan, min(at_once, len(seeds)), splits, device, reports=folder.stays) as (children, messages):
        for worker in range(len(children)):
            give_work(worker)
        while trained_by and time.monotonic() < deadline:
            if deadline == math.inf and (failure or stop_requested()):
                deadline = time.monotonic() + _GRACE_SECONDS
                for child in children:  # after the running step; a running validation is completed
                    child.tell({"stop": True})
            with contextlib.suppress(queue.Empty):
                worker, message = messages.get(timeout=_TICK)
                seed = trained_by.get(worker)
                if seed is None:
                    continue
                if message["phase"] == "training":
                    running(SeedProgress(**message["progress"]))
                elif message["phase"] == "ended":
                    if message["ending"] != "stopped":
                        finished(seed)
                    give_work(worker)
                else:
                    failure = failure or f"seed {seed}: {_failure(message, children[worker], folder)}"
                    del trained_by[worker]
    if failure:
        raise TrainingError(failure)
    return deadline == math.inf


@contextmanager
def _children(
    plan: Plan, count: int, splits: Splits, device: str, *, reports: bool
) -> Iterator[tuple[list[Child], queue.Queue[tuple[int, Message]]]]:
    """Running workers, and the queue of their messages, each with its worker's number."""
    messages: queue.Queue[tuple[int, Message]] = queue.Queue()
    with temporary_folder() as temporary, contextlib.ExitStack() as stack:
        shared = None
        if plan.recipe.data is None:
            share_splits(splits, temporary)
            shared = str(temporary)
        job = {
            "recipe": plan.recipe.model_dump(mode="json"), "device": device, "threads": plan.threads,
            "report": reports, "splits": shared,
        }  # fmt: skip

        def start(number: int) -> Child:
            def heard(message: Message) -> None:
                messages.put((number, message))

            log = temporary / f"{number}.log"
            child = Child(_MAIN, [json.dumps(job)], threads=plan.threads or 1, log=log, heard=heard)
            return stack.enter_context(child)

        yield [start(number) for number in range(count)], messages


def _failure(message: Message, child: Child, folder: SeedsFolder) -> str:
    """Why a training has failed, or how its process has ended."""
    if message["phase"] == "failed":
        return f"{message['reason']} The other seeds were stopped; finished ones are kept."
    resume = f" Resume with --resume {folder.path}" if folder.stays else ""
    return f"its process {child.how_it_ended()}. The other seeds were stopped.{resume}"


# Train one seed, in this process or in a child process that trains one seed after another


def train_one(
    recipe: Recipe,
    splits: Splits,
    folder: RunFolder,
    device: str,
    callback: Callback,
    *,
    report: bool,
    threads: int | None = None,
) -> str:
    """Train ``recipe``, validate and write the run folder, as `glyphnet.train` does; return the ending.

    A run of the same recipe in the folder is resumed; another run is removed.
    """
    begun = None
    with contextlib.suppress(GlyphNetError, OSError):
        begun = runs.read_recipe(folder.recipe)
    if begun != recipe:
        folder.clear()
        make_folder(folder.path)
        atomic_write_text(folder.recipe, recipe.to_yaml())
    command = shlex.join(["glyphnet", "train", "--recipe", str(folder.recipe)])
    return runs.resume(
        folder.path, splits=splits, device=device, callbacks=[callback], command=command, report=report, threads=threads
    ).ending


def main(job: str) -> None:
    """The child process: follows the orders of its parent and reports its progress.

    An order is ``{"train": seed, "folder": path}``, ``{"stop": true}``, which stops the running training, or
    ``{"end": true}``. ``job`` is JSON: see `_children`.
    """
    orders: queue.Queue[Message] = queue.Queue()
    stop = threading.Event()

    def heard(order: Message) -> None:
        if "stop" in order:
            stop.set()
        orders.put(order)

    def report(progress: SeedProgress) -> None:
        tell({"phase": "training", "progress": asdict(progress)})

    tell = talk_with_parent(heard)
    given = json.loads(job)
    recipe, splits = Recipe.parse(given["recipe"]), None
    while "train" in (order := orders.get()):
        seed = order["train"]
        reporter = SeedReporter(seed, report, stop.is_set)
        try:
            splits = splits or _splits(recipe, given["splits"])
            ending = train_one(
                recipe.model_copy(update={"seed": seed}), splits, RunFolder(Path(order["folder"])), given["device"],
                reporter, report=given["report"], threads=given["threads"],
            )  # fmt: skip
        except Exception as error:
            traceback.print_exc()  # into the log
            tell({"phase": "failed", "reason": _reason(error)})
        else:
            tell({"phase": "ended", "ending": ending})


def _splits(recipe: Recipe, shared: str | None) -> Splits:
    """The shared splits; data on disk each process reads itself: large images are memory-mapped, so loaded once."""
    if shared is not None:
        return shared_splits(Path(shared))
    assert recipe.data is not None
    return load(recipe.data)


def _reason(error: Exception) -> str:
    """A sentence."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
        return "not enough memory: train fewer at once."
    return f"{reason(error).rstrip('.')}."
