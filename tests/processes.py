"""Commands as real processes, those that they start in turn, and waiting for what processes do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import forking


@contextmanager
def started(*command: object) -> Iterator[subprocess.Popen[str]]:
    """A command in a session of its own; nothing of it is left after the block."""
    process = forking.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    seen: set[int] = set()
    try:
        yield process
        seen = children(process.pid)
    finally:
        for each in {*seen, *children(process.pid)}:
            os.kill(each, signal.SIGKILL)
        process.kill()
        process.communicate()


def children(pid: int) -> set[int]:
    """The processes that ``pid`` has started to train with it, or for it."""
    return {each for each, words in _started(pid) if "start.py" in words or "glyphnet.studies.seeds.strategy" in words}


def workers(pid: int) -> set[int]:
    """The processes of GlyphNet that torchrun has started."""
    return {each for each, words in _started(pid) if "glyphnet" in words.split("\0")}


def _started(pid: int) -> list[tuple[int, str]]:
    """The children of a process, each with its command line."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [(int(each), Path(f"/proc/{each}/cmdline").read_text()) for each in found]
    except FileNotFoundError:
        return []


def alive(*pids: int) -> bool:
    """Whether one of them runs. A dead one that nobody has waited for does not; in a container it may stay for good."""
    states = (Path(f"/proc/{pid}/stat") for pid in pids)
    return any(state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z" for state in states)


def wait_for(
    condition: Callable[[], object], process: subprocess.Popen[str] | None = None, *, seconds: float = 120.0
) -> None:
    """Wait until the condition holds, and fail if it does not in time, or if the process that should see to it ends.

    The time is generous: it is for what would never happen, not for a machine that others use.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.stderr and process.communicate()[1]
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(0.02)
