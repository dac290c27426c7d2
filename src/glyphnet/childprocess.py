"""Child processes that talk with their parent in lines of JSON, and never outlive it.

Not `multiprocessing`: that would run the user's own script again in the child, and need it to be guarded.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from .parallel import interrupts_wait

Message: TypeAlias = Mapping[str, Any]
"""Plain JSON values. ``{"phase": "gone"}`` is the last one of every child."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Child:
    """A fresh interpreter that runs one function; a context manager, after which it is dead, whatever happened.

    Args:
        main: the function, ``package.module:name``; it calls `talk_with_parent` first.
        arguments: of the function.
        threads: how many the process may compute with.
        log: the file for what it, or a library, prints.
        heard: called with each of its messages, in a thread of this process.
    """

    def __init__(
        self, main: str, arguments: Sequence[str], *, threads: int, log: Path, heard: Callable[[Message], None]
    ) -> None:
        module, _, name = main.partition(":")
        self._code = (
            f"import sys; sys.path[:] = {sys.path!r}\nfrom {module} import {name}\n{name}(*{list(arguments)!r})"
        )
        self._threads, self._log, self._heard = threads, log, heard

    def __enter__(self) -> Child:
        with contextlib.ExitStack() as undoing:
            with interrupts_wait():  # in the midst of its start nobody would know of the child yet
                self._start()
                undoing.callback(self._end)
            undoing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self) -> None:
        with open(self._log, "wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", self._code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env={**os.environ, **dict.fromkeys(_THREADS, str(self._threads))},
                start_new_session=True,  # Ctrl-C is for us; and with the child we can kill what it has started
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of the dead
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._listener.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()

    def tell(self, message: Message) -> None:
        """Send the child a message; of one that is gone nothing is heard any more."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def how_it_ended(self) -> str:
        """Waits for the end, and says how it was: "was killed by the system, …", without a full stop."""
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return "was killed by the system, most likely because memory ran out"
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        if status < 0:
            return f"crashed ({signal.Signals(-status).name}){said}"
        return f"ended with status {status}{said}"

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._heard(json.loads(line))
        self._heard({"phase": "gone"})


def talk_with_parent(heard: Callable[[Message], None] = lambda _: None) -> Callable[[Message], None]:
    """For a child, at its beginning: from here on it ends when its parent does, even by SIGKILL.

    Args:
        heard: called with each message of the parent, in another thread.

    Returns:
        What tells the parent something.
    """
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not come between the messages

    def tell(message: Message) -> None:
        print(json.dumps(message), file=channel, flush=True)

    threading.Thread(target=_hear, args=(heard,), daemon=True).start()
    return tell


def _hear(heard: Callable[[Message], None]) -> None:
    rest = b""
    while part := os.read(0, 4096):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            heard(json.loads(line))
    os._exit(1)  # the pipe to standard input is closed: the parent is gone
