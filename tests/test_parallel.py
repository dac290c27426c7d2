"""Work in threads, in order, that Ctrl-C can end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from glyphnet import processes as parallel
from glyphnet.processes import map_in_order


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_everything_comes_in_order(count: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))  # seconds; later ones are ready earlier
        return item * item

    assert list(map_in_order(work, range(count))) == [item * item for item in range(count)]


def test_several_are_worked_on_at_once_and_few_are_taken_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "WORKERS", 2)
    meeting = threading.Barrier(2, timeout=30)
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    def work(item: int) -> int:
        if item < 2:
            meeting.wait()
        return item

    made = map_in_order(work, items())
    assert next(made) == 0
    assert len(taken) == 2 * 2 + 1


def test_an_error_comes_in_its_turn_and_nothing_else_is_begun() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise ValueError("three")
        return item

    made = map_in_order(work, range(1000))
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(made)
    assert len(begun) < 1000
    assert not any("glyphnet-parallel" in thread.name for thread in threading.enumerate())


CTRL_C_AT_EVERY_LOCK = """
import os, signal, threading, time
from glyphnet.processes import map_in_order

signal.signal(signal.SIGINT, signal.default_int_handler)
usual, main = threading.Condition.__enter__, threading.get_ident()
taken = at = 0

def enter(condition):
    global taken
    result = usual(condition)
    if threading.get_ident() == main:
        taken += 1
        if taken == at:
            os.kill(os.getpid(), signal.SIGINT)  # raises here, the lock being taken
    return result

threading.Condition.__enter__ = enter
interrupted = finished = 0
while not finished:
    taken, at = 0, at + 1
    try:
        for made in map_in_order(lambda item: time.sleep(0.001), range(40)):
            pass
        finished = taken < at
    except KeyboardInterrupt:
        interrupted += 1
assert interrupted == at - 1, (interrupted, at)
print(interrupted, threading.active_count())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
def test_ctrl_c_never_leaves_a_lock_taken() -> None:
    run = subprocess.run([sys.executable, "-c", CTRL_C_AT_EVERY_LOCK], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    interrupted, threads = map(int, run.stdout.split())
    assert interrupted > 40
    assert threads == 1


def test_who_ignores_ctrl_c_goes_on() -> None:
    code = """
import os, signal
from glyphnet.processes import map_in_order
signal.signal(signal.SIGINT, signal.SIG_IGN)
for made in map_in_order(lambda item: item, range(40)):
    os.kill(os.getpid(), signal.SIGINT)
print(made)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (0, "39\n"), run.stderr
