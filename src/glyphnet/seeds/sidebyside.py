"""Trainings side by side: processes that are started, given one seed after another, watched, and ended."""

from __future__ import annotations

import contextlib
import functools
import json
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..childprocess import Child, Message
from ..data import Splits
from ..data.handover import hand_over
from ..errors import TrainingError
from ..files import temporary_folder
from .folder import SeedsFolder
from .plan import Plan
from .watching import Standing, Watcher

_MAIN = "glyphnet.seeds.worker:main"
_TICK = 0.05  # seconds between two looks at whether to stop
_FAREWELL = 10.0  # seconds that the others get to write down where they stand


def train_side_by_side(
    plan: Plan,
    seeds: Sequence[int],
    at_once: int,
    splits: Splits,
    folder: SeedsFolder,
    device: str,
    watcher: Watcher,
    finished: Callable[[int], None],
) -> bool:
    """Train each of ``seeds`` in one of ``at_once`` processes; whether all have come to their end.

    Whatever happens, no process is left. Of those that were stopped the next call goes on with what they wrote.

    Args:
        finished: called with each seed that has come to its end.

    Raises:
        TrainingError: one of them has failed, or its process has ended; it says which, and why. The others have
            stopped then.
    """
    started = _children(plan, min(at_once, len(seeds)), splits, device, reports=folder.stays)
    with started as (children, messages):
        crew = _Crew(children, deque(seeds), folder, watcher, finished)
        while crew.at_work:
            if watcher.stop_asked():
                crew.stop()
            with contextlib.suppress(queue.Empty):
                crew.hear(*messages.get(timeout=_TICK))
            if crew.is_late:
                break
    if crew.failure:
        raise TrainingError(crew.failure)
    return not crew.stopped


@contextmanager
def _children(
    plan: Plan, count: int, splits: Splits, device: str, *, reports: bool
) -> Iterator[tuple[list[Child], queue.Queue[tuple[int, Message]]]]:
    """So many running workers, and the queue of their messages, each with its worker's number."""
    messages: queue.Queue[tuple[int, Message]] = queue.Queue()
    with temporary_folder() as place, contextlib.ExitStack() as stack:
        if plan.recipe.data is None:
            hand_over(splits, place)
        job = json.dumps(
            {
                "recipe": plan.recipe.model_dump(mode="json"),
                "device": device,
                "threads": plan.threads,
                "report": reports,
                "splits": str(place) if plan.recipe.data is None else None,
            }
        )
        children = [
            stack.enter_context(
                Child(_MAIN, [job], threads=plan.threads or 1, log=place / f"{number}.log",
                      heard=functools.partial(_put, messages, number))
            )
            for number in range(count)
        ]  # fmt: skip
        yield children, messages


def _put(messages: queue.Queue[tuple[int, Message]], number: int, message: Message) -> None:
    messages.put((number, message))


class _Crew:
    """Who is at which seed, what is left to do, and what went wrong first.

    Attributes:
        stopped: whether they were asked to stop.
        failure: a sentence on the first that failed, or "".
    """

    def __init__(
        self,
        children: Sequence[Child],
        left: deque[int],
        folder: SeedsFolder,
        watcher: Watcher,
        finished: Callable[[int], None],
    ) -> None:
        self._children, self._left, self._folder = children, left, folder
        self._watcher, self._finished = watcher, finished
        self._seeds: dict[int, int] = {}
        self._deadline = float("inf")
        self.stopped, self.failure = False, ""
        for number in range(len(children)):
            self._give_work(number)

    @property
    def at_work(self) -> bool:
        """Whether one is at a seed still."""
        return bool(self._seeds)

    @property
    def is_late(self) -> bool:
        """Whether they were asked to stop, and have had the time for it."""
        return time.monotonic() > self._deadline

    def stop(self) -> None:
        """Ask all to stop after the step that is running; what is being judged comes to its end."""
        if not self.stopped:
            self.stopped = True
            self._deadline = time.monotonic() + _FAREWELL
            for child in self._children:
                child.tell({"stop": True})

    def hear(self, number: int, message: Message) -> None:
        """Take note of a message."""
        seed = self._seeds.get(number)
        if seed is not None:
            getattr(self, f"_{message['phase']}")(number, seed, message)

    def _training(self, number: int, seed: int, message: Message) -> None:
        self._watcher.moved(Standing(**{name: message[name] for name in Standing.__dataclass_fields__}))

    def _ended(self, number: int, seed: int, message: Message) -> None:
        if message["ending"] != "stopped":
            self._finished(seed)
        self._give_work(number)

    def _failed(self, number: int, seed: int, message: Message) -> None:
        self._fail(number, f"seed {seed}: {message['reason']} The other seeds have stopped; finished ones are kept.")

    def _gone(self, number: int, seed: int, message: Message) -> None:
        cause = self._children[number].how_it_ended()
        go_on = f" Go on with --resume {self._folder.path}" if self._folder.stays else ""
        self._fail(number, f"seed {seed}: its process {cause}. The other seeds have stopped.{go_on}")

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
