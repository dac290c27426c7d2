"""Long work of the studio beside trainings: each job in a thread, visible, and stopped where it stands."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import GlyphNetError
from ..units import reason
from .errors import StudioError

TOLD_SECONDS = 0.2
"""Between two words on the progress of a job."""

_KEPT = 50  # finished jobs


@dataclass(eq=False)
class Job:
    """One piece of long work."""

    id: str
    kind: str
    title: str
    tell: Callable[[dict[str, Any]], None] = field(repr=False)
    status: str = "running"
    done: int = 0
    total: int | None = None
    sentence: str = ""
    error: str | None = None
    result: Any = None
    stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    _told: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For the page."""
        names = ("id", "kind", "title", "status", "done", "total", "sentence", "error", "result")
        return {**{name: getattr(self, name) for name in names}, "run": None}

    def report(self, done: int, total: int, sentence: str) -> None:
        """How far it is; ``total`` 0 means unknown."""
        self.done, self.total, self.sentence = done, total or None, sentence
        if time.monotonic() - self._told > TOLD_SECONDS:
            self._told = time.monotonic()
            self.tell(self.to_dict())


class Jobs:
    """The jobs of this studio's process.

    Args:
        tell: is given each job whenever it has changed.
    """

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)

    def start(self, kind: str, title: str, work: Callable[[Job], Any]) -> dict[str, Any]:
        """Do ``work`` in a thread; the job. One of a kind that is running already is the job."""
        for job in self._jobs.values():
            if job.kind == kind and job.title == title and job.status == "running":
                return job.to_dict()
        job = Job(f"{kind}-{next(self._numbers)}", kind, title, self._tell)
        self._jobs[job.id] = job
        for old in list(self._jobs)[:-_KEPT]:
            if self._jobs[old].status != "running":
                del self._jobs[old]
        threading.Thread(target=self._run, args=(job, work), name=job.id, daemon=True).start()
        return job.to_dict()

    def all(self) -> list[dict[str, Any]]:
        """Every job; of each kind only the newest has its result, which may be large."""
        jobs = list(self._jobs.values())
        newest = {job.kind: job for job in jobs}
        return [{**job.to_dict(), **({} if newest[job.kind] is job else {"result": None})} for job in jobs]

    def cancel(self, id: str) -> None:
        """Ask a job to stop; StudioError if there is none."""
        if id not in self._jobs:
            raise StudioError(404, f"There is no job {id[:60]!r}.")
        self._jobs[id].stopping.set()

    def stop(self) -> None:
        """Ask all jobs to stop."""
        for job in list(self._jobs.values()):
            job.stopping.set()

    def _run(self, job: Job, work: Callable[[Job], Any]) -> None:
        try:
            job.result = work(job)
            job.status = "stopped" if job.stopping.is_set() else "done"
        except GlyphNetError as error:
            job.status, job.error = "failed", str(error)
        except Exception as error:  # the page shows it, and the next job may go well
            job.status, job.error = "failed", reason(error)
        if job.stopping.is_set() and job.status == "failed":
            job.status, job.error = "stopped", None
        with contextlib.suppress(RuntimeError):
            self._tell(job.to_dict())
