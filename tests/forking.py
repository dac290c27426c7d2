"""Commands as real processes that need not import PyTorch again: what starts most of the processes of these tests.

A start of ``glyphnet`` takes more than two seconds of a core, nearly all of it for imports, and a test of signals, exit
statuses or outputs needs dozens. `Popen` and `run` are those of `subprocess`, for commands that begin with
``sys.executable``. But the process is forked from one that has imported everything (`forkserver`). All else is real:
its number, its outputs, signals to it, its exit status, also its parent, which is this process.

Start with `subprocess` what asks how a process starts: what is imported and how long it takes, what an option or an
environment variable of Python's does, or of a library that reads it once; also where memory is measured.
"""

from __future__ import annotations

import atexit
import ctypes
import inspect
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakSet

import pytest

# Imported modules have read these: they must be what they were. (PyTorch's compiler sets its cache's folder itself.)
READ_EARLY = re.compile(
    "HOME|L[ACD].*|(CUDA|MKL|MPL|OMP|OPENBLAS|XDG).*|TORCHINDUCTOR_(?!CACHE_DIR).*|PYTHON(?!UNBUFFERED).*"
)
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
ENVIRONMENT = {**os.environ, **THREADS}
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux: a grandchild whose parent has ended becomes a child

_one = threading.Lock()
_forks: WeakSet[_Forked] = WeakSet()


class NotForkedError(AssertionError):
    """It is asked how Python starts: a fork cannot answer."""


@cache
def _server() -> socket.socket:
    """The connection to the process that forks: once it is closed, at the end of this process, that ends too."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, str(Path(__file__).with_name("forkserver.py")), str(theirs.fileno())]
        process = subprocess.Popen(command, env=ENVIRONMENT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    assert ours.recv(64) == b"loaded", "the process that forks did not start"
    atexit.register(process.wait)
    atexit.register(ours.close)  # first
    return ours


class _Forked(subprocess.Popen[Any]):
    """As `subprocess.Popen`, for ``[sys.executable, *words]``."""

    def _execute_child(self, *given: Any) -> None:
        asked = inspect.signature(subprocess.Popen._execute_child).bind(self, *given).arguments
        program, *words = map(os.fsdecode, asked["args"])
        environment = {**THREADS, **(os.environ if asked["env"] is None else asked["env"])}
        _check(program, words, environment)
        assert not [name for name in ("preexec_fn", "shell", "umask") if asked[name] not in (None, False, -1)]
        outputs = [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        fds = [number if each == -1 else each for number, each in enumerate(outputs)]
        passed = [*range(3), *asked["pass_fds"]]
        folder = os.path.abspath(asked["cwd"] or ".")
        question = [passed, words, folder, environment, asked["start_new_session"]]
        try:
            self.pid = _fork(json.dumps(question).encode(), [*fds, *asked["pass_fds"]])
        finally:
            ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
            self._close_pipe_fds(*(asked[name] for name in ends))  # type: ignore[attr-defined]
        self._child_created = True
        _forks.add(self)


class _ForkedOrNot(_Forked):
    """What needs a start of its own has one."""

    def _execute_child(self, *given: Any) -> None:
        try:
            super()._execute_child(*given)
        except NotForkedError:
            subprocess.Popen._execute_child(self, *given)  # type: ignore[attr-defined]


Popen: type[subprocess.Popen[Any]] = _Forked if sys.platform == "linux" else subprocess.Popen


def _check(program: str, words: Sequence[str], environment: Mapping[str, str]) -> None:
    if program != sys.executable or (words[0].startswith("-") and words[0] not in ("-m", "-c")):
        raise NotForkedError(f"{program} {words[0]}: start this with subprocess")
    early = [name for name in ENVIRONMENT.keys() | environment.keys() if READ_EARLY.fullmatch(name)]
    if changed := sorted(name for name in early if environment.get(name) != ENVIRONMENT.get(name)):
        raise NotForkedError(f"{changed} were read when modules were imported: start this with subprocess")


def _fork(question: bytes, fds: Sequence[int]) -> int:
    """The number of the new process, which is a child of this one."""
    with _one:
        server = _server()
        control = ctypes.CDLL(None).prctl
        control(SUBREAPER, 1, 0, 0, 0)
        try:
            socket.send_fds(server, [question], fds)
            number, ready = server.recv(64), server.recv(64)
        finally:
            control(SUBREAPER, 0, 0, 0, 0)  # what others leave behind is not ours
    assert ready == b"ready", "the process that forks has ended"
    return int(number)


def running() -> list[int]:
    """The numbers of the forked processes that have not ended, in the order of their start."""
    return sorted(each.pid for each in _forks if each.poll() is None)


@contextmanager
def forked_children() -> Iterator[None]:
    """What GlyphNet starts in this process is forked, too: for tests of what children do, not of how they start.

    Also the processes of a training on several, which PyTorch starts.
    """
    elastic = "torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler"
    module = ModuleType("subprocess")
    vars(module).update(vars(subprocess))
    if sys.platform == "linux":
        vars(module).update(Popen=_ForkedOrNot)
        _server()  # what waits for a child shall not wait for its start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glyphnet.processes.subprocess", module)
        patch.setattr(f"{elastic}.Popen", module.Popen)
        yield


def run(
    command: Sequence[Any], *, input: Any = None, capture_output: bool = False, timeout: float | None = None,
    check: bool = False, **options: Any,
) -> subprocess.CompletedProcess[Any]:  # fmt: skip
    """As `subprocess.run`."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **options) as process:
        try:
            stdout, stderr = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
    if check:
        done.check_returncode()
    return done
