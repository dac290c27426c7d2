"""How trainings run: side by side in processes, each given one seed after another, or one at a time in this process."""

from __future__ import annotations

import contextlib
import functools
import json
import queue
import shlex
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from ... import runs
from ...data import Splits
from ...data.dataset import share_splits, shared_splits
from ...errors import GlyphNetError, TrainingError
from ...files import atomic_write_text, make_folder
from ...locks import temporary_folder
from ...nn import summary
from ...processes import Child, Message, talk_with_parent, usable_cores
from ...runs import RunFolder
from ...runs.preparation import read
from ...training import Callback, Recipe, choose_device
from ...training.device import Arithmetic, Place
from ...training.examples import batch_count
from ...units import reason
from .results import Plan, SeedProgress, SeedReporter, SeedsCallback, SeedsFolder

_MAIN = f"{__name__}:main"
_TICK = 0.05  # seconds between two checks for a stop request
_GRACE_SECONDS = 10.0  # for the other processes to write a checkpoint after a stop request

START_SECONDS = 4.0
"""How much longer than this process a child process takes to its first step and its first report: imports."""

_REPORT_SECONDS = 0.5  # of a small report,
_REPORT_SECONDS_AN_IMAGE = 2e-4  # plus this for each image in it
_STEP_SECONDS = 1e-4  # of a step of the smallest networks, on any machine of today
_FLOPS_A_SECOND = 6e10  # of one core, forward and backward, in convolutions and products


def choose_at_once(recipe: Recipe, splits: Splits, seeds: int, device: str, *, reports: bool) -> int:
    """How many trainings to run at the same time, each in its own process; 1 for one after another in this one.

    Depends on the work and the number of cores only, so the same command always does the same. On a GPU, which one
    training can fill, one after another. On a CPU one for each core, unless that saves less time than the processes
    take to start.

    Raises:
        SettingsError: the network does not fit the images.
    """
    seconds_each = expected_seconds(recipe, splits, reports=reports)
    cores = min(seeds, torch.get_num_threads(), usable_cores()) if choose_device(device).type == "cpu" else 1
    saved = seconds_each * (seeds - -(-seeds // cores))
    return cores if saved > START_SECONDS else 1


def choose_arithmetic(recipe: Recipe, splits: Splits, at_once: int, device: str, threads: int | None) -> Arithmetic:
    """How each training computes: as a single one does with its share of the cores.

    Raises:
        DeviceError, SettingsError: as `Arithmetic.choose`.
    """
    place = Place(local_size=at_once)
    return Arithmetic.choose(recipe, splits.image_shape, len(splits.classes), len(splits.train), device, place, threads)


def expected_seconds(recipe: Recipe, splits: Splits, *, reports: bool) -> float:
    """A rough estimate for one training and its report, if any, on one core, without early stopping.

    Raises:
        SettingsError: the network does not fit the images.
    """
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
    callback: SeedsCallback,
    finished: Callable[[int], None],
) -> bool:
    """Train each of ``seeds`` in one of ``at_once`` processes; return whether all are finished.

    Whatever happens, no process is left behind. The next call resumes stopped trainings.

    Args:
        finished: called with each finished seed.

    Raises:
        TrainingError: a training has failed, or its process has died; it says which, and why. All others are
            stopped.
    """
    started = _children(plan, min(at_once, len(seeds)), splits, device, reports=folder.stays)
    with started as (children, messages):
        pool = _Pool(children, deque(seeds), folder, callback, finished)
        while pool.is_busy:
            if callback.stop_requested():
                pool.stop()
            with contextlib.suppress(queue.Empty):
                pool.hear(*messages.get(timeout=_TICK))
            if pool.is_late:
                break
    if pool.failure:
        raise TrainingError(pool.failure)
    return not pool.stopped


@contextmanager
def _children(
    plan: Plan, count: int, splits: Splits, device: str, *, reports: bool
) -> Iterator[tuple[list[Child], queue.Queue[tuple[int, Message]]]]:
    """Running workers, and the queue of their messages, each with its worker's number."""
    messages: queue.Queue[tuple[int, Message]] = queue.Queue()
    with temporary_folder() as temporary, contextlib.ExitStack() as stack:
        if plan.recipe.data is None:
            share_splits(splits, temporary)
        job = json.dumps(
            {
                "recipe": plan.recipe.model_dump(mode="json"),
                "device": device,
                "threads": plan.threads,
                "report": reports,
                "splits": str(temporary) if plan.recipe.data is None else None,
            }
        )
        children = [
            stack.enter_context(
                Child(_MAIN, [job], threads=plan.threads or 1, log=temporary / f"{number}.log",
                      heard=functools.partial(_put, messages, number))
            )
            for number in range(count)
        ]  # fmt: skip
        yield children, messages


def _put(messages: queue.Queue[tuple[int, Message]], number: int, message: Message) -> None:
    messages.put((number, message))


class _Pool:
    """Which worker trains which seed, the seeds left, and the first failure.

    Attributes:
        stopped: whether the workers were told to stop.
        failure: a sentence on the first failure, or "".
    """

    def __init__(
        self,
        children: Sequence[Child],
        left: deque[int],
        folder: SeedsFolder,
        callback: SeedsCallback,
        finished: Callable[[int], None],
    ) -> None:
        self._children, self._left, self._folder = children, left, folder
        self._callback, self._finished = callback, finished
        self._seeds: dict[int, int] = {}
        self._deadline = float("inf")
        self.stopped, self.failure = False, ""
        for number in range(len(children)):
            self._give_work(number)

    @property
    def is_busy(self) -> bool:
        """Whether a seed is being trained."""
        return bool(self._seeds)

    @property
    def is_late(self) -> bool:
        """Whether the workers were told to stop, and the grace period is over."""
        return time.monotonic() > self._deadline

    def stop(self) -> None:
        """Tell all workers to stop after the running step; a running validation is completed."""
        if not self.stopped:
            self.stopped = True
            self._deadline = time.monotonic() + _GRACE_SECONDS
            for child in self._children:
                child.tell({"stop": True})

    def hear(self, number: int, message: Message) -> None:
        """Handle a message."""
        seed = self._seeds.get(number)
        if seed is not None:
            getattr(self, f"_{message['phase']}")(number, seed, message)

    def _training(self, number: int, seed: int, message: Message) -> None:
        progress = {name: message[name] for name in SeedProgress.__dataclass_fields__}
        self._callback.running(SeedProgress(**progress))

    def _ended(self, number: int, seed: int, message: Message) -> None:
        if message["ending"] != "stopped":
            self._finished(seed)
        self._give_work(number)

    def _failed(self, number: int, seed: int, message: Message) -> None:
        self._fail(number, f"seed {seed}: {message['reason']} The other seeds were stopped; finished ones are kept.")

    def _gone(self, number: int, seed: int, message: Message) -> None:
        cause = self._children[number].how_it_ended()
        resume = f" Resume with --resume {self._folder.path}" if self._folder.stays else ""
        self._fail(number, f"seed {seed}: its process {cause}. The other seeds were stopped.{resume}")

    def _fail(self, number: int, failure: str) -> None:
        self.failure = self.failure or failure
        del self._seeds[number]
        self.stop()

    def _give_work(self, number: int) -> None:
        self._seeds.pop(number, None)
        if self._left and not self.stopped:
            self._seeds[number] = seed = self._left.popleft()
            self._children[number].tell({"train": seed, "folder": str(self._folder.of(seed).path)})
        else:
            self._children[number].tell({"end": True})


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

    Args:
        report: whether to write report.html, too.
        threads: to compute with; None chooses.
    """
    if not _is_of(folder, recipe):
        folder.clear()
        make_folder(folder.path)
        atomic_write_text(folder.recipe, recipe.to_yaml())
    command = shlex.join(["glyphnet", "train", "--recipe", str(folder.recipe)])
    return runs.resume(
        folder.path,
        splits=splits,
        device=device,
        callbacks=[callback],
        command=command,
        report=report,
        threads=threads,
    ).ending


def _is_of(folder: RunFolder, recipe: Recipe) -> bool:
    try:
        return runs.read_recipe(folder.recipe) == recipe
    except (GlyphNetError, OSError):
        return False


def main(job: str) -> None:
    """The child process: follows the orders of its parent and reports its progress.

    An order is ``{"train": seed, "folder": path}``, ``{"stop": true}``, which stops the running training, or
    ``{"end": true}``.

    Args:
        job: JSON: the recipe, the device, the number of threads, whether to write reports, and the folder of the
            shared splits or null.
    """
    orders: queue.Queue[Message] = queue.Queue()
    stop = threading.Event()

    def heard(order: Message) -> None:
        if "stop" in order:
            stop.set()
        orders.put(order)

    tell = talk_with_parent(heard)
    given = json.loads(job)
    recipe, splits = Recipe.parse(given["recipe"]), None
    while "train" in (order := orders.get()):
        seed = order["train"]
        reporter = SeedReporter(seed, lambda progress: tell({"phase": "training", **progress.to_dict()}), stop.is_set)
        try:
            splits = splits or _splits(recipe, given["splits"])
            one = recipe.model_copy(update={"seed": seed})
            folder = RunFolder(Path(order["folder"]))
            ending = train_one(
                one, splits, folder, given["device"], reporter, report=given["report"], threads=given["threads"]
            )
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
    return read(recipe.data, None)


def _reason(error: Exception) -> str:
    """A sentence."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
        return "not enough memory: train fewer at once."
    return f"{reason(error).rstrip('.')}."
