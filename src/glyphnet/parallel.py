"""Work on several items at once, in threads, handed over in order.

Threads rather than processes: Pillow and NumPy let go of the interpreter for most of what is done here, small items
are faster than any process could be started, and a script needs no ``__main__`` guard.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

WORKERS = min(8, os.cpu_count() or 1)

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


def map_in_order(work: Callable[[_Given], _Made], items: Iterable[_Given]) -> Iterator[_Made]:
    """What ``work`` makes of each item, in order; twice as many as there are workers are under way.

    Closing the iterator, an error or Ctrl-C waits for the items that have been begun, and begins no others.

    Raises:
        Exception: whatever ``work`` raises for an item, in the item's turn.
    """
    items = iter(items)
    head = list(islice(items, 2))
    if len(head) < 2:  # not worth a thread
        yield from map(work, head)
        return
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[Future[_Made]] = deque()
    workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="glyphnet-parallel")

    def taken() -> _Made:
        with interrupts_wait():
            return waiting.popleft().result()

    try:
        for item in chain(head, items):
            with interrupts_wait():
                waiting.append(workers.submit(work, item))
            if len(waiting) > 2 * WORKERS:
                yield taken()
        while waiting:
            yield taken()
    finally:
        with interrupts_wait():
            workers.shutdown(wait=True, cancel_futures=True)


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C, and what else is told to end a command as that does, come after the block only.

    In the midst of `threading.Condition.__enter__` it would leave the lock taken for ever, and the worker that wants it
    next would wait as long: the command would hang instead of ending.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no other thread is ever interrupted
        return
    came: list[int] = []
    usual = {number: handler for number in _INTERRUPTS if callable(handler := signal.getsignal(number))}
    for number in usual:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for each in came:
            signal.raise_signal(each)
