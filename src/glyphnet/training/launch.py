"""Starts the processes of a training on this machine by PyTorch's elastic launch; errors are one line."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from ..errors import TrainingError
from ..files import new_file
from ..locks import temporary_folder
from .collective import LAUNCHER, LOST, environment

ENDED = "GLYPHNET_ENDED"
"""Environment variable with the file that the first process makes when it has ended or stopped in order."""

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)  # Windows has the first two


_START = """import os, sys, threading, time
def watch():
    while os.getppid() == {launcher}:
        time.sleep(0.5)
    os._exit({lost})
threading.Thread(target=watch, daemon=True).start()
sys.path[:] = {path!r}
sys.argv[:] = {argv!r}
{code}
"""
"""What each process runs: it ends when this one has gone, at whatever it is."""


class WorkerFailedError(TrainingError):
    """A process has failed with an exit status, and has reported why."""

    status = 1


def launch(processes: int, code: str) -> None:
    """Run Python ``code`` in so many new processes that train together, and wait for their end.

    They import from where this one does. Whatever happens, none is left: not even if this process is killed.

    Raises:
        WorkerFailedError: one has failed, and has said why.
        TrainingError: one was ended, by the system or a person.
        KeyboardInterrupt: a signal has ended all before their training could be stopped in order.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with temporary_folder() as folder, _undisturbed():
        script, ended = Path(folder) / "start.py", Path(folder) / "ended"
        with new_file(script) as file:
            text = _START.format(lost=LOST, launcher=os.getpid(), path=sys.path, argv=sys.argv, code=code)
            file.write(text.encode())
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=processes, max_restarts=0, monitor_interval=0.1,
            run_id=f"glyphnet-{secrets.token_hex(8)}", rdzv_backend="c10d", rdzv_endpoint="localhost:0",
            local_addr="localhost", logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
        )  # fmt: skip
        try:
            with environment({LAUNCHER: str(os.getpid()), ENDED: str(ended)}):
                elastic_launch(config, sys.executable)(str(script))
        except SignalException as error:
            if not ended.exists():
                raise KeyboardInterrupt from error
        except ChildFailedError as error:
            raise _why(error, processes) from None


def tell_end() -> None:
    """In a launched process: report that it has ended or stopped in order."""
    if path := os.environ.get(ENDED):
        with contextlib.suppress(FileExistsError):
            new_file(path).close()


def _why(error: ChildFailedError, processes: int) -> TrainingError:
    failures: dict[int, ProcessFailure] = dict(error.failures)  # in the order in which they were noticed
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
