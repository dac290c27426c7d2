"""The process of a training, from both sides: started ahead, given one request, then left to itself.

It imports PyTorch while it waits for one line of standard input, and ends if that closes first. With the line it takes
the run's lock, says on standard output whether it could, and needs the studio no more: neither the end of the page nor
that of the server reaches it. Nothing but the standard files is inherited, so this is the same on every system.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..files import remove
from ..locks import FileLock
from ..places import appended
from ..processes import start_detached
from .errors import StudioError
from .names import RUNS
from .runfiles import LOCK, LOG, STOP

IDLE_SECONDS = 900.0
"""A process that was started ahead, and that nobody has asked to train, ends and frees its memory."""

ANSWER_SECONDS = 120.0
"""For a new interpreter to start and to take a lock, also where the machine is busy."""


class TrainerProcess:
    """A process that waits for the training that it shall do."""

    def __init__(self) -> None:
        self._process = start_detached(f"{__name__}:main")

    def begin(self, root: Path, name: str, request: dict[str, Any]) -> bool:
        """Let it train a run; whether it has begun. It has not where it had ended before it was asked.

        Raises:
            StudioError: the run is being trained already, or its folder cannot be used.
        """
        asked = json.dumps({"root": os.fspath(root), "name": name, **request}).encode() + b"\n"
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(ANSWER_SECONDS, process.kill)
        timer.start()
        try:
            process.stdin.write(asked)
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:  # it has ended
            answer = b""
        finally:
            timer.cancel()
            self._close()
        if answer and (refusal := json.loads(answer)["refused"]) is not None:
            process.wait()
            raise StudioError(409, refusal)
        return bool(answer)

    def wait(self) -> int:
        """Wait for its end; the status."""
        return self._process.wait()

    def has_ended(self) -> bool:
        """Whether it is there no more, as after having waited for long."""
        return self._process.poll() is not None

    def dismiss(self) -> None:
        """Let it end, as it is not needed."""
        self._close()
        self._process.wait()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


# In the process

_AHEAD = ("glyphnet.studio.trainer", "scipy.ndimage", "glyphnet.report")
"""What takes long to import, the module that trains first."""


def main() -> None:
    """Wait for a request, and train."""
    engine = _Imported(*_AHEAD)
    idle = threading.Timer(IDLE_SECONDS, os._exit, (0,))
    idle.daemon = True
    idle.start()
    line = sys.stdin.buffer.readline()
    idle.cancel()
    if not line.endswith(b"\n"):
        os._exit(0)  # the studio has ended; the import would be waited for
    request = json.loads(line)
    root, name = request.pop("root"), request.pop("name")
    lock = FileLock(Path(root) / RUNS / name / LOCK)
    try:
        refusal = None if lock.acquire() else f"{name!r} is running already."
        if refusal is None:
            remove(Path(root) / RUNS / name / STOP)  # before the answer: whoever asks to stop from then on is heard
    except (OSError, OutputError) as error:
        refusal = str(error)
    with contextlib.suppress(OSError):  # the studio was killed since it asked: the training begins nevertheless
        os.write(1, json.dumps({"refused": refusal}).encode() + b"\n")
    if refusal is not None:
        os._exit(0)
    _print_to(Path(root) / RUNS / name / LOG)
    sys.exit(engine.module().run(root, name, request, lock))


def _print_to(path: Path) -> None:
    """Let everything that is printed from here on, also by libraries, go to a file; nothing is read any more."""
    nothing, end = os.pipe()
    os.close(end)
    os.dup2(nothing, 0)
    os.close(nothing)
    with appended(path) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


class _Imported:
    """Modules that are imported in another thread, and what went wrong then."""

    def __init__(self, *names: str) -> None:
        self._found: list[Any] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._import, args=(names,), daemon=True)
        self._thread.start()

    def _import(self, names: tuple[str, ...]) -> None:
        try:
            self._found = [import_module(name) for name in names]
        except BaseException as error:
            self._error = error

    def module(self) -> Any:
        """The first module, once all are there."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found[0]
