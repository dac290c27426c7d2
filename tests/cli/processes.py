"""Commands as real processes, and those that they start in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def started(*command: object) -> Iterator[subprocess.Popen[str]]:
    """A command in a session of its own; nothing of it is left after the block."""
    process = subprocess.Popen(
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
    return {each for each, words in _started(pid) if "start.py" in words or "glyphnet.studies.seeds.worker" in words}


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


def wait_for(condition: object, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
