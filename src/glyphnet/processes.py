"""Child processes that never outlive their parent: `Child` exchanges lines of JSON, `Workers` JSON and bytes.

`start_detached` is for those that shall: a training goes on when the studio is closed.

Not `multiprocessing`: it would run the user's own script again in the child, which the script would have to guard.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from queue import Empty, Queue
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar

from .files import new_file

if TYPE_CHECKING:
    from concurrent.futures import Future

# Of glibc: large blocks go back to the system as soon as they are freed, small ones stay for the next piece of work.
# With the first setting alone, memory is given back and asked for dozens of times for each picture of 280×280.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(8 << 20)}

Message: TypeAlias = Mapping[str, Any]
"""Plain JSON values. ``{"phase": "gone"}`` is the last one of every child."""

_SIGKILL = getattr(signal, "SIGKILL", 9)  # on Windows no process ends by a signal

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def usable_cores() -> int:
    """How many cores this process may use, by its affinity and its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # also where the quota is "max": no limit
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


WORKERS = min(8, usable_cores())
"""Threads of `map_in_order`."""


def _start(code: str, threads: int, errors: int | IO[bytes], **environment: str) -> subprocess.Popen[bytes]:
    """A fresh interpreter that runs ``code``, in a session of its own: Ctrl-C is for the parent."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **dict.fromkeys(_THREADS, str(threads)), **environment},
        start_new_session=True,
    )


def start_detached(main: str) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter that runs one function, and that goes on when this process ends.

    Neither Ctrl-C nor the end of the terminal reaches it. It inherits its standard files alone, two of them pipes.

    Args:
        main: the function, ``package.module:name``.
    """
    return subprocess.Popen(
        [sys.executable, "-c", _code(main)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **_detached(),
    )


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _kill(*processes: subprocess.Popen[bytes]) -> None:
    """End processes, all at once, and those that they have started."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError, AttributeError):  # macOS of the dead; Windows
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    for process in processes:
        process.wait()


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            pipe.close()  # type: ignore[union-attr]


class Child:
    """A fresh interpreter that runs one function; a context manager that always ends it.

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
        self._code = _code(main, *arguments)
        self._threads, self._log, self._heard = threads, log, heard

    def __enter__(self) -> Child:
        with contextlib.ExitStack() as undoing:
            with interrupts_wait():  # during its start nobody would know of the child
                with new_file(self._log) as errors:
                    self._process = _start(self._code, self._threads, errors)
                self._listener = threading.Thread(target=self._listen, daemon=True)
                self._listener.start()
                undoing.callback(self.__exit__)
            undoing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        _kill(self._process)
        self._listener.join()
        _close(self._process)

    def tell(self, message: Message) -> None:
        """Send the child a message, if it still lives."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def how_it_ended(self) -> str:
        """Wait for the end; describe it without a full stop: "was killed by the system, …"."""
        status = self._process.wait()
        if status == -_SIGKILL:
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


def _code(main: str, *arguments: object) -> str:
    """Python that calls a function, ``package.module:name``, with this process's module path."""
    module, _, name = main.partition(":")
    return f"import sys; sys.path[:] = {sys.path!r}\nfrom {module} import {name}\n{name}(*{list(arguments)!r})"


Work: TypeAlias = Callable[[Mapping[str, Any], bytes], tuple[Mapping[str, Any], "bytes | memoryview"]]
"""What a worker runs: from JSON values and bytes to JSON values and bytes."""


class WorkerDiedError(Exception):
    """The worker crashed, or was not ready in time: its task is at fault, or the machine is busy."""


BUSY = 4
"""How many times its time a task of `Workers` may take where nobody waits for it, while other programs run."""


class Workers:
    """Processes for work that may take too long, need too much memory or crash.

    A worker forks for each task, and timers of the system end the fork at its deadline, even if the parent is dead. So
    the next task needs no new interpreter and imports, and all memory is released. Where there is no fork (Windows) the
    worker itself ends, and is replaced.

    Args:
        work: the function, a `Work` as ``package.module:name``.
        most: processes at once; they start when they are needed.
        memory: bytes that a task may take beyond its body; systems without such limits ignore it.
        prepare: called in each worker before it is ready, as ``package.module:name``: loads what work needs.
        forks: whether to fork. Without, memory is not limited and a task starts some milliseconds sooner.
        busy: how many times the time until its deadline may pass for a task in a fork, while others keep the processors
            busy: the time itself is that of a processor. 1: somebody waits.
    """

    def __init__(
        self, work: str, *, most: int, memory: int, prepare: str | None = None, forks: bool = True, busy: int = BUSY
    ) -> None:  # fmt: skip
        self._code = _code(f"{__name__}:work_for_parent", work, memory, prepare, forks)
        self._most, self._busy = most, busy
        self._lock = threading.Lock()
        self._closed = False
        self._pid = os.getpid()
        self._idle: Queue[subprocess.Popen[bytes]] = Queue()
        self._all: set[subprocess.Popen[bytes]] = set()
        atexit.register(self.close)

    def __call__(self, head: Mapping[str, Any], body: bytes, end: float) -> tuple[dict[str, Any], bytes]:
        """The result of the work.

        Args:
            end: its deadline, by `time.monotonic`, which all processes of a machine share.

        Raises:
            TimeoutError: it took longer, or no worker was free in time.
            WorkerDiedError: the worker crashed.
        """
        worker = self._take(end)
        try:
            answer = _ask(worker, {**head, "until": end, "busy": self._busy}, body)
        except BaseException:
            self._replace(worker)
            raise
        if answer is None:
            self._replace(worker)
            raise TimeoutError if time.monotonic() >= end - 0.01 else WorkerDiedError
        self._idle.put(worker)
        if "signal" in answer[0]:
            raise TimeoutError if answer[0]["signal"] in (signal.SIGPROF, signal.SIGALRM) else WorkerDiedError
        return answer

    def start(self) -> None:
        """Start all workers; they are ready some tenths of a second later."""
        for _ in range(self._most):
            self._start_one()

    def wait(self, seconds: float) -> None:
        """Wait until all that were started are ready: a first task with a short deadline shall not pay for that."""
        end = time.monotonic() + seconds
        while self._idle.qsize() < len(self._all) and time.monotonic() < end and not self._closed:
            time.sleep(0.01)

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            self._closed = True
            if self._pid == os.getpid():
                _kill(*self._all)
                for worker in self._all:
                    _close(worker)
            self._all = set()

    def _take(self, end: float) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._pid != os.getpid():  # a fork: the workers are the parent's
                self._idle, self._all, self._pid = Queue(), set(), os.getpid()
        if self._idle.empty():
            self._start_one()
        try:
            return self._idle.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            raise TimeoutError from None

    def _start_one(self) -> None:
        """Start one more, up to the most; it is idle once it has reported that it is ready."""
        with self._lock, interrupts_wait():
            if self._closed or len(self._all) >= self._most:
                return
            worker = _start(self._code, 1, subprocess.DEVNULL, **_MALLOC)
            self._all.add(worker)
        threading.Thread(target=self._await, args=(worker, self._idle), daemon=True).start()

    def _await(self, worker: subprocess.Popen[bytes], idle: Queue[subprocess.Popen[bytes]]) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            if worker.stdout is not None and _read(worker.stdout) is not None:
                idle.put(worker)

    def _replace(self, worker: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._all.discard(worker)
        _kill(worker)
        _close(worker)
        self._start_one()


def _ask(worker: subprocess.Popen[bytes], head: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes] | None:
    """The answer of a worker; None if it is gone."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        _write(worker.stdin, head, body)
    except (BrokenPipeError, ValueError):  # the latter where it was closed
        return None
    return _read(worker.stdout)


def _write(pipe: IO[bytes], head: Mapping[str, Any], body: bytes | memoryview) -> None:
    text = json.dumps(head).encode()
    pipe.write(struct.pack("<IQ", len(text), len(body)) + text)
    pipe.write(body)
    pipe.flush()


def _read(pipe: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """A message, or None at the end."""
    beginning = pipe.read(12)
    if len(beginning) < 12:
        return None
    sizes = struct.unpack("<IQ", beginning)
    text, body = (pipe.read(size) for size in sizes)
    return (json.loads(text), body) if (len(text), len(body)) == sizes else None


def work_for_parent(work: str, memory: int, prepare: str | None, forks: bool) -> None:
    """Run a worker until its parent closes the pipe or ends."""
    do: Work = _function(work)
    if prepare is not None:
        _function(prepare)()
    with os.fdopen(os.dup(0), "rb") as asked, os.fdopen(os.dup(1), "wb") as answered:
        os.dup2(2, 1)  # libraries must not print between the answers
        _write(answered, {}, b"")  # ready
        while (message := _read(asked)) is not None:
            if forks and hasattr(os, "fork"):
                _work_in_fork(do, message, memory, answered)
            else:
                _work(do, message, answered)
            del message


def _work_in_fork(do: Work, message: tuple[dict[str, Any], bytes], memory: int, answered: IO[bytes]) -> None:
    """Work in a fork, which the system ends at its deadline; the answer is then its signal."""
    if (child := os.fork()) == 0:
        status = 1
        try:
            seconds = max(0.001, message[0]["until"] - time.monotonic())
            signal.setitimer(signal.ITIMER_PROF, seconds)
            signal.setitimer(signal.ITIMER_REAL, message[0]["busy"] * seconds)
            _limit_memory(memory)
            answer = do(*message)
            for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):  # half an answer would spoil the next
                signal.setitimer(timer, 0)
            _write(answered, *answer)
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if ended:
        _write(answered, {"signal": os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0}, b"")


def _work(do: Work, message: tuple[dict[str, Any], bytes], answered: IO[bytes]) -> None:
    """Work here; a watchdog thread that needs no interpreter ends this process at the deadline."""
    faulthandler.dump_traceback_later(max(0.001, message[0]["until"] - time.monotonic()), exit=True)
    _write(answered, *do(*message))
    faulthandler.cancel_dump_traceback_later()


def _function(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def _limit_memory(more: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # neither Windows nor macOS can do it
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)


def talk_with_parent(heard: Callable[[Message], None] = lambda _: None) -> Callable[[Message], None]:
    """For a child, at its start: from here on it ends when its parent does, even by SIGKILL.

    Args:
        heard: called with each message of the parent, in another thread.

    Returns:
        A function that sends the parent a message.
    """
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries must not print between the messages

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


# Work on several items at once, in threads, in order

_INTERRUPTS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


def map_in_order(work: Callable[[_Given], _Made], items: Iterable[_Given]) -> Iterator[_Made]:
    """The results of ``work`` for each item, in order; twice as many items as workers are in progress.

    Closing the iterator, an error or Ctrl-C waits for the items in progress, and starts no others. An error of ``work``
    is raised in the item's turn.
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
    """Delay Ctrl-C, and signals that act like it, until after the block.

    During `threading.Condition.__enter__` it would leave the lock taken for ever, and the next worker that wants it
    would wait as long: the command would hang instead of ending.
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
