"""What an open studio holds beside the folder: the pages that listen, previews, jobs, trainings, models."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from ..errors import GlyphNetError
from ..files import new_file
from ..locks import temporary_folder
from ..serving.bodies import File
from .adding import Added, Given, add_all, in_zip
from .errors import StudioError
from .events import Event, Hub
from .folder import Folder
from .jobs import Job, Jobs
from .known import add_known, known_sets
from .models import Models, Suggester
from .pictures import Thumbs
from .runs import Runs
from .uploads import Spool
from .versions import Versions, history

TRAINING_SECONDS = 0.35
"""Between two looks at the files of trainings; at every second of them what was changed by hand is seen too."""

LOOKS = 2
WHOLE_LOOKS = 60
"""At every so many of them every file is looked at, for pictures that were changed in place."""

TOLD_SECONDS = 0.15
"""Between two states that the pages are sent after quick changes."""


class Workshop:
    """An open folder with all that serves it; made on the event loop."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.hub = Hub(self._present)
        self.thumbs = Thumbs()
        self.versions = Versions(folder)
        self.runs = Runs(folder, self.versions)
        self.models = Models()
        self.suggester = Suggester(folder, self.runs, self.models)
        self.jobs = Jobs(lambda job: self.hub.publish("job", job))
        self._told = -1  # the edition of the last state that the pages heard of
        self._is_changed: tuple[int, bool] = (-1, True)  # the edition, and whether it differs from the latest version
        self._trainings: dict[str, _Training] = {}
        self._seen: set[str] = set()  # trainings that have run while this studio is open: their jobs stay in the list
        self._news = asyncio.Event()

    async def watch(self) -> None:
        """Tell the pages of trainings, and of changes that were made by hand; runs until cancelled."""
        for turn in itertools.count():
            await asyncio.sleep(TRAINING_SECONDS)
            with _going_on():
                await run_in_threadpool(self._follow_trainings)
                if turn % LOOKS == 0:
                    await run_in_threadpool(self._look, turn % WHOLE_LOOKS == 0)

    async def tell(self) -> None:
        """Tell the pages of quick changes, many at once; runs until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            with _going_on():
                await run_in_threadpool(self.changed)
            await asyncio.sleep(TOLD_SECONDS)

    def tell_soon(self) -> None:
        """Let the pages hear of a change in a moment; on the event loop."""
        self._news.set()

    def close(self) -> None:
        """End the streams and the jobs, not the trainings, and let another studio open the folder."""
        self.hub.stop()
        self.jobs.stop()
        self.runs.close()
        self.folder.close()

    def state(self) -> dict[str, Any]:
        """All that the page shows at first."""
        with self.folder.lock:
            latest = self.versions.latest()
            if self._is_changed[0] != self.folder.edition:
                self._is_changed = self.folder.edition, self.versions.is_changed()
            runs = self.runs.all()
            shown = [run["name"] for run in runs if run["status"] == "running" or run["name"] in self._seen]
            trainings = [self.runs.job(name) for name in shown]
            return {
                **self.folder.state(),
                "version": {"hash": latest.hash, "name": latest.name} if latest else None,
                "changed": self._is_changed[1],
                "edition": self.folder.edition,
                "jobs": [*trainings, *self.jobs.all()],
                "runs": runs,
                "known": known_sets(),
                "camera": True,
            }

    def fresh_state(self) -> dict[str, Any]:
        """The state, after a look at the disk."""
        self.folder.refresh()
        return self.state()

    def changed(self) -> dict[str, Any]:
        """Tell all pages of a change; the new state."""
        with self.folder.lock:
            self._told = self.folder.edition
            state = self.state()
        self.hub.publish("state", state)
        return state

    def decide(self, id: str, label: str | None) -> str:
        """Label a picture; its new id."""
        with self.folder.lock:
            self.folder.check_ids([id])
            return self.folder.decide(id, label, *self.suggester.decided(id, label))

    def check(self) -> dict[str, Any]:
        """Look for what would spoil a training; a job."""

        def work(job: Job) -> Any:
            from .checking import check

            job.result = {"findings": []}
            check(self.folder.root, job.report, job.result["findings"], job.stopping)
            return job.result

        return self.jobs.start("checks", "Check the data", work)

    def add_known(self, name: object, per_class: object, tray: object) -> dict[str, Any]:
        """Add pictures of a known set; a job."""
        if per_class is not None and (type(per_class) is not int or not 1 <= per_class <= 1_000_000):
            raise StudioError(422, f"per_class (={str(per_class)[:20]}) must be a whole number from 1 up, or null.")
        if name not in [each["name"] for each in known_sets()]:
            raise StudioError(404, f"The data set {str(name)[:40]!r} is not on this machine. Choose one of the list.")

        def work(job: Job) -> Any:
            try:
                return add_known(self.folder, str(name), per_class, bool(tray), job)
            finally:
                self.changed()

        return self.jobs.start("known", f"Add {name}", work)

    def train(self, value: dict[str, Any]) -> dict[str, Any]:
        """Start a training; a job."""
        name, preset, seconds, epochs = (value.get(key) for key in ("name", "preset", "seconds", "epochs"))
        if not (name is None or isinstance(name, str)) or not isinstance(preset, str):
            raise StudioError(422, "preset must be text, and name too where it is given.")
        if not (seconds is None or type(seconds) in (int, float)) or not (epochs is None or type(epochs) is int):
            raise StudioError(422, "seconds must be a number, and epochs a whole number.")
        started = self.runs.start(name or None, preset, seconds, epochs)
        self._trainings[started] = _Training()
        self.changed()
        return self.runs.job(started)

    def resume(self, name: str) -> dict[str, Any]:
        """Resume a training; a job."""
        self.runs.resume(name)
        self._trainings[name] = _Training(self.runs.newest(name))
        self.changed()
        return self.runs.job(name)

    def delete_run(self, name: str) -> None:
        """Move a training that has ended into the trash."""
        self.folder.delete_run(self.runs.path(name).name, self.runs.is_running)
        self._seen.discard(name)

    def cancel(self, id: str) -> None:
        """Stop a job, or a training so that it can be resumed."""
        if id.startswith("train-"):
            self.runs.cancel(id.removeprefix("train-"))
        else:
            self.jobs.cancel(id)

    def history(self) -> list[dict[str, Any]]:
        """The versions of the data, and what was trained on each."""
        runs: dict[str, list[dict[str, Any]]] = {}
        for run in self.runs.all():
            if run["version"]:
                runs.setdefault(run["version"], []).append({"name": run["name"], "accuracy": run["accuracy"]})
        return history(self.versions.all(), runs)

    def add(self, files: Sequence[File], label: str | None, tray: bool, group: str | None) -> dict[str, Any]:
        """Add uploaded pictures and archives; see `adding.Added`."""
        if label is not None and tray:
            raise StudioError(422, "class and tray=1 exclude each other: send one of them.")
        if label is not None:
            self.folder.check_class(label)
        found = Added()
        with contextlib.ExitStack() as held:
            given = self._given(files, label, tray, group, found, held)
            return add_all(self.folder, given, create=label is None and not tray, found=found).to_dict()

    def _given(
        self, files: Sequence[File], label: str | None, tray: bool, group: str | None, found: Added,
        held: contextlib.ExitStack,
    ) -> Iterator[Given]:  # fmt: skip
        folder: Path | None = None
        for number, file in enumerate(files):
            spool: Spool = file.content
            if spool.head(4) in (b"PK\3\4", b"PK\5\6"):
                folder = folder or held.enter_context(temporary_folder())
                path = folder / f"{number}.zip"
                with new_file(path) as target:
                    for piece in spool.pieces():
                        target.write(piece)
                yield from in_zip(path, file.name or "archive", label, tray, group, found)
            elif label is None and not tray:
                found.refuse(file.name, "it has no class. Choose one, or put it into the tray")
            else:
                yield Given(file.name, spool.content, label, group)

    def _look(self, whole: bool) -> None:
        self.folder.refresh(whole=whole)
        if self.folder.edition != self._told:
            self.changed()

    def _follow_trainings(self) -> None:
        """Tell of the epochs and the ends of trainings, also of those that another studio or a person has started."""
        for name in self.runs.names():
            is_running = self.runs.is_running(name)
            if is_running and name not in self._trainings:
                self._trainings[name] = _Training(self.runs.newest(name))
            if (training := self._trainings.get(name)) is None:
                continue
            self._seen.add(name)
            if self.runs.newest(name) < training.epoch:
                training.epoch = 0  # of a given time, another training begins
            for epoch in self.runs.epochs(name, training.epoch):
                training.epoch = epoch["epoch"]
                self.hub.publish("epoch", epoch)
            job = self.runs.job(name)
            if job != training.job:
                training.job = job
                self.hub.publish("job", job)
            if not is_running:
                del self._trainings[name]
                for epoch in self.runs.epochs(name)[-1:]:  # its details may have come at the end
                    self.hub.publish("epoch", epoch)
                self.changed()

    def _present(self) -> Iterator[Event]:
        yield "state", self.fresh_state()
        for name in list(self._trainings):
            yield "job", self.runs.job(name)
            for epoch in self.runs.epochs(name)[-1:]:
                yield "epoch", epoch


@contextlib.contextmanager
def _going_on() -> Iterator[None]:
    """Let no error end what tells the pages; one that is not the disk's is logged."""
    try:
        yield
    except (OSError, GlyphNetError):  # the folder is not there for a moment, or is being changed by hand
        pass
    except Exception as error:
        logging.getLogger("uvicorn.error").error("The studio could not look at its folder.", exc_info=error)


@dataclass
class _Training:
    """What the pages have heard of a training: the last epoch, and the job."""

    epoch: int = 0
    job: object = None
