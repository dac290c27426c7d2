"""The other processes of a training on one machine: started, watched, and ended, whatever happens.

The process that asks for them is the first of the training: it alone hears Ctrl-C, shows and writes. They find one
another through a file in a folder that only the user can open, and talk through the loopback interface.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from torch.distributed.distributed_c10d import Store
from torch.multiprocessing.spawn import ProcessContext, start_processes

from ..errors import GlyphNetError, TrainingError
from ..parallel import interrupts_wait
from .distributed import PeerLostError, joined
from .places import Place

Work = Callable[..., Callable[[], object]]
"""Takes the arguments, reads what it needs, and returns what is to be done together."""

FAILED, LOST = 1, 3
"""Exit status of a follower that has failed, and of one that ends because another process has."""

_FAREWELL = 10.0  # seconds that followers get to end after the work is done
_A_MOMENT = 1.0  # seconds
_SET_FREE = 15.0  # seconds in which the first process hears of a loss, unless it never does


@contextmanager
def followers(count: int, device: str, work: Work, *arguments: Any) -> Iterator[None]:
    """Have ``count`` other processes do the same work as the block, as one group with this process.

    Args:
        count: 0 for none: then the block is as without.
        device: as for `device_at`.
        work: a function of a module, called with ``arguments`` in each, which must be picklable.

    Raises:
        TrainingError: one of them has ended before its time; it says which, and how. All have ended then.
    """
    if not count:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="glyphnet-") as folder, _loopback_only():
        store = _store(folder)
        fate = _SharedFate(store)
        try:
            with _interrupted_later():
                fate.of(_start(count, (folder, count + 1, device, work, arguments)).processes)
            try:
                _wait_until_ready(count, fate, store)
                with joined(Place(0, count + 1, 0, count + 1), store, device):
                    yield
            finally:
                fate.left.set()
            fate.join(_FAREWELL)
        except PeerLostError as error:
            fate.join(_FAREWELL)
            raise TrainingError(fate.obituary() or str(error)) from error
        finally:
            fate.end()


def _start(count: int, arguments: tuple[Any, ...]) -> ProcessContext:
    context = start_processes(_follow, arguments, nprocs=count, join=False, start_method="spawn")
    assert isinstance(context, ProcessContext)
    return context


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done, and never reach the processes that are started in it.

    A blocked signal stays blocked in a new process. In this one that is not enough: other threads take it.
    """
    with interrupts_wait():
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _follow(index: int, folder: str, size: int, device: str, work: Work, arguments: tuple[Any, ...]) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # forgets the one that may be waiting
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # PyTorch has asked the kernel for one should the first process die
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    first = multiprocessing.parent_process()
    if first is None or not first.is_alive():  # it died before PyTorch could ask
        sys.exit(LOST)
    store, rank = _store(folder), index + 1
    try:
        together = work(*arguments)
        store.set(f"ready/{rank}", "")
        with joined(Place(rank, size, rank, size), store, device):
            together()
    except PeerLostError:
        sys.exit(LOST)
    except Exception as error:
        # Not as PyTorch would tell it: the user reads a line, not a traceback of another process.
        store.set(
            f"failed/{rank}", str(error) if isinstance(error, GlyphNetError) else f"{type(error).__name__}: {error}"
        )
        sys.exit(FAILED)


def _store(folder: str) -> Store:
    from torch.distributed import FileStore  # type: ignore[attr-defined]  # torch has it

    return FileStore(os.path.join(folder, "store"))


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Have gloo use the interface that nobody else can reach, here and in processes started meanwhile."""
    name = "GLOO_SOCKET_IFNAME"
    interface = next((each for _, each in socket.if_nameindex() if each in ("lo", "lo0")), None)
    if interface is None or name in os.environ:
        yield
        return
    os.environ[name] = interface
    try:
        yield
    finally:
        del os.environ[name]


def _wait_until_ready(count: int, fate: _SharedFate, store: Store) -> None:
    keys = [f"ready/{rank}" for rank in range(1, count + 1)]
    while not store.check(keys):
        if fate.first is not None or not fate.is_alive():
            raise PeerLostError("another process of this training has ended before it began.")
        time.sleep(0.02)


class _SharedFate(threading.Thread):
    """Ends all followers when one has ended before its time.

    Left to themselves the others might wait for it as long as half an hour: what connects them tells only those of a
    loss who are just waiting for the lost one. It was seen not to tell even the first process, when all others had
    ended: as nothing else would free it, not even Ctrl-C, that one is then ended too.

    Attributes:
        first: the rank that ended first, and its exit status; None while none has failed.
        left: set when the first process does nothing together with the others any more.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(daemon=True, name="glyphnet-followers")
        self._store = store
        self._processes: list[BaseProcess] = []
        self.first: tuple[int, int] | None = None
        self.left = threading.Event()

    def of(self, processes: list[BaseProcess]) -> None:
        """Begin to watch them."""
        self._processes = processes
        self.start()

    def end(self) -> None:
        """End those that are left, whatever they are at."""
        for process in self._processes:
            process.kill()
            process.join()

    def run(self) -> None:
        """Wait for the ends of all."""
        running = list(self._processes)
        while running and self.first is None:
            ended = set(wait([process.sentinel for process in running]))
            for process in running:
                if process.sentinel in ended:
                    process.join()  # its status is there a little later than its end
            running = [process for process in running if process.sentinel not in ended]
            self._look()
            if self.first is None and any(process.exitcode == LOST for process in self._processes):
                wait(
                    [process.sentinel for process in running], _A_MOMENT
                )  # who ended because of another is a little quicker, at times
                self._look(lost_too=True)
        if self.first is not None:
            self.end()
            if not self.left.wait(_SET_FREE):
                print(f"glyphnet: {self.obituary()}", file=sys.stderr, flush=True)
                os._exit(FAILED)

    def obituary(self) -> str:
        """Who ended first, and how; empty if nobody is known to have ended."""
        if self.first is None or self.first[1] == LOST:
            return ""
        rank, code = self.first
        return (
            f"process {rank + 1} of {len(self._processes) + 1} {_cause(rank, code, self._store)}, and the others have "
            "stopped. Go on with --resume; the number of processes may be another."
        )

    def _look(self, *, lost_too: bool = False) -> None:
        codes = {rank: process.exitcode for rank, process in enumerate(self._processes, start=1)}
        failed = {rank: code for rank, code in codes.items() if code}
        by_itself = {rank: code for rank, code in failed.items() if code != LOST}
        found = by_itself or (failed if lost_too else {})
        self.first = next(iter(found.items()), None)


def _cause(rank: int, code: int, store: Store) -> str:
    if code < 0:
        hint = " (is there enough memory?)" if code == -signal.SIGKILL else ""
        return f"was ended by {signal.Signals(-code).name}{hint}"
    if store.check([f"failed/{rank}"]):
        return f"has failed ({store.get(f'failed/{rank}').decode()})"
    guard = 'if __name__ == "__main__":'
    return f"has ended with status {code} (a script that asks for processes needs the line {guard})"
