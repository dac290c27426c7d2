"""How trainings run: side by side in processes, each given one seed after another, or one at a time in this process."""

from __future__ import annotations

import contextlib
import functools
import json
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from ...data import Splits
from ...data.handover import hand_over
from ...errors import TrainingError
from ...locks import temporary_folder
from ...nn import summary
from ...processes import Child, Message, usable_cores
from ...training import Recipe, choose_device
from ...training.arithmetic import Arithmetic
from ...training.collective import Place
from ...training.examples import batch_count
from .progress import SeedProgress, SeedsCallback
from .results import Plan, SeedsFolder

_MAIN = f"{__package__}.worker:main"
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
            hand_over(splits, temporary)
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
