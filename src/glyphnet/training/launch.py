"""Starts the processes of a training on this machine by PyTorch's elastic launch; errors are one line."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from ..errors import TrainingError
from ..files import new_file, read_input
from ..locks import temporary_folder
from .collective import LAUNCHER, LOST, Watcher, environment

ENDED = "GLYPHNET_ENDED"
"""Environment variable with the file that the first process makes when it has ended or stopped in order."""

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)  # Windows has the first two


BEAT = 0.5
"""Seconds between two signs of life that each process gives this one."""
SILENCE = 50
"""Missing ones after which a process counts as stopped. While all train they notice it themselves, and sooner (see
`collective`); this holds also when they have left one another, to judge and to write."""

_START = """import atexit, contextlib, os, sys, threading, time
heart = os.path.join({folder!r}, "heart-" + os.environ["RANK"])
with open(heart, "w") as file:
    file.write(str(os.getpid()))
atexit.register(os.remove, heart)
def live():
    while os.getppid() == {launcher}:
        with contextlib.suppress(FileNotFoundError):
            os.utime(heart)
        time.sleep({beat})
    os._exit({lost})
threading.Thread(target=live, daemon=True).start()
sys.path[:] = {path!r}
sys.argv[:] = {argv!r}
{code}
"""
"""What each process runs: it shows that it lives, and ends when this one has gone, at whatever it is."""


class WorkerFailedError(TrainingError):
    """A process has failed with an exit status, and has reported why."""

    status = 1


def launch(processes: int, code: str) -> None:
    """Run Python ``code`` in so many new processes that train together, and wait for their end.

    They import from where this one does. Whatever happens, none is left: not even if this process is killed, or one of
    them is stopped (SIGSTOP).

    Raises:
        WorkerFailedError: one has failed, and has said why.
        TrainingError: one was ended or stopped, by the system or a person.
        KeyboardInterrupt: a signal has ended all before their training could be stopped in order.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with temporary_folder() as folder, _undisturbed():
        script, ended = folder / "start.py", folder / "ended"
        with new_file(script) as file:
            text = _START.format(
                folder=str(folder), beat=BEAT, lost=LOST, launcher=os.getpid(), path=sys.path, argv=sys.argv, code=code
            )
            file.write(text.encode())
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=processes, max_restarts=0, monitor_interval=0.1,
            run_id=f"glyphnet-{secrets.token_hex(8)}", rdzv_backend="c10d", rdzv_endpoint="localhost:0",
            local_addr="localhost", logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
        )  # fmt: skip
        watch = _Watch(folder)
        try:
            with environment({LAUNCHER: str(os.getpid()), ENDED: str(ended)}), watch:
                elastic_launch(config, sys.executable)(str(script))
        except SignalException as error:
            if not ended.exists():
                raise KeyboardInterrupt from error
        except ChildFailedError as error:
            raise _why(error, processes, watch.silent) from None


class _Watch(Watcher):
    """Ends a process that gives no sign of life.

    Its own beats are counted, not seconds: when all were stopped, this one with them, nobody is late.

    Args:
        folder: where each process has a file that it touches, removes when it ends, and in which its number stands.

    Attributes:
        silent: the ranks of those it has ended.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("glyphnet-watch")
        self._folder, self.silent = folder, set[int]()

    def run(self) -> None:
        """Look at each file once a beat until all have ended."""
        seen: dict[Path, tuple[int, int]] = {}  # when it was touched last, and how often that was seen
        while not self.over.wait(BEAT):
            for heart in self._folder.glob("heart-*"):
                with contextlib.suppress(OSError, ValueError):  # it has just ended, or just begun
                    touched = heart.stat().st_mtime_ns
                    before, times = seen.get(heart, (0, 0))
                    seen[heart] = touched, times + 1 if touched == before else 0
                    if seen[heart][1] == SILENCE:
                        self.silent.add(int(heart.name.removeprefix("heart-")))
                        os.kill(int(read_input(heart)), getattr(signal, "SIGKILL", signal.SIGTERM))


def tell_end() -> None:
    """In a launched process: report that it has ended or stopped in order."""
    if path := os.environ.get(ENDED):
        with contextlib.suppress(FileExistsError):
            new_file(path).close()


def _why(error: ChildFailedError, processes: int, silent: Collection[int]) -> TrainingError:
    failures: dict[int, ProcessFailure] = dict(error.failures)  # in the order in which they were noticed
    if silent:
        return TrainingError(
            f"process {min(silent) + 1} of {processes} has given no sign of life for {SILENCE * BEAT:.0f} s: it was "
            "stopped. All have ended. Resume with --resume; the number of processes may be another."
        )
    for rank, failure in failures.items():
        if failure.exitcode < 0:
            number = signal.Signals(-failure.exitcode)
            hint = " (is there enough memory?)" if number.name == "SIGKILL" else ""
            return TrainingError(
                f"process {rank + 1} of {processes} was ended by {number.name}{hint}, and the others have stopped. "
                "Resume with --resume; the number of processes may be another."
            )
        if failure.exitcode != LOST:
            failed = WorkerFailedError(f"process {rank + 1} of {processes} has failed; it has said why.")
            failed.status = failure.exitcode
            return failed
    return TrainingError(
        "the processes of this training have lost one another. Resume with --resume; the number of processes may be "
        "another."
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Silence PyTorch's log (one line says what went wrong), and restore the signal handlers that it leaves behind."""
    log = logging.getLogger("torch.distributed.elastic")
    level, handlers = log.level, {number: signal.getsignal(number) for number in _SIGNALS}
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
        for number, handler in handlers.items():
            with contextlib.suppress(ValueError):  # in another thread than the main one none was changed
                signal.signal(number, handler)
