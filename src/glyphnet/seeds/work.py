"""The work itself: seed after seed, or side by side, with the tables kept up to date."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..data import Splits
from ..data.listing import Progress
from ..errors import DivergedError, TrainingError
from .ensemble import conclude
from .folder import SeedsFolder
from .one import train_one
from .plan import Plan
from .record import write
from .results import Ending, Ensemble, SeedRun, SeedRuns, read_run
from .sidebyside import train_side_by_side
from .watching import Teller, Watcher, Watchers


class Work:
    """What is to be done, and how far it is.

    Args:
        plan: what is trained.
        splits: the data.
        folder: where; this process has its lock.
        at_once: how many trainings run at the same time.
        device: as for `glyphnet.train`.
        watchers: told how it goes.
    """

    def __init__(
        self,
        plan: Plan,
        splits: Splits,
        folder: SeedsFolder,
        at_once: int,
        device: str,
        watchers: Sequence[Watcher],
    ) -> None:
        self._plan, self._splits, self._folder = plan, splits, folder
        self._at_once, self._device, self._watcher = at_once, device, Watchers(watchers)
        self._began = time.monotonic()
        self._runs = {seed: self._read(seed) for seed in plan.seeds}

    def run(self, progress: Progress | None, command: str) -> SeedRuns:
        """Train the seeds that are not finished, and average them if that was asked for."""
        self._write("running")
        left = [seed for seed, run in self._runs.items() if run is None]
        self._watcher.began(left, self._at_once)
        try:
            done = self._train(left)
        except TrainingError:
            self._write("failed")
            raise
        finally:
            self._watcher.ended()
        if not done:
            return self._write("stopped")
        ensemble = None
        if self._plan.ensemble:
            members = [run.classifier for run in self._finished()]
            folder = self._folder.ensemble if self._folder.stays else None
            ensemble = conclude(members, self._plan, self._splits, folder, progress, command)
        return self._write("finished", ensemble)

    def _train(self, seeds: Sequence[int]) -> bool:
        """Whether all of ``seeds`` have come to their end."""
        at_once = self._at_once
        if at_once == 1 or self._watcher.stop_asked():
            return all(self._train_here(seed) for seed in seeds)
        return train_side_by_side(
            self._plan, seeds, at_once, self._splits, self._folder, self._device, self._watcher, self._note,
        )  # fmt: skip

    def _train_here(self, seed: int) -> bool:
        if self._watcher.stop_asked():
            return False
        teller = Teller(seed, self._watcher.moved, self._watcher.stop_asked)
        try:
            ending = train_one(
                self._plan.of(seed), self._splits, self._folder.of(seed), self._device, teller,
                report=self._folder.stays, threads=self._plan.threads,
            )  # fmt: skip
        except DivergedError as error:
            raise TrainingError(f"seed {seed}: {error}") from error
        if ending == "stopped":
            return False
        self._note(seed)
        return True

    def _note(self, seed: int) -> None:
        """Take note of a training that has come to its end."""
        run = self._runs[seed] = self._read(seed)
        if run is None:
            raise TrainingError(f"{self._folder.of(seed).path}: holds no finished training, though it was just made.")
        self._write("running")
        self._watcher.finished(run)

    def _read(self, seed: int) -> SeedRun | None:
        return read_run(self._folder.of(seed), self._plan.of(seed), keep=self._folder.stays)

    def _finished(self) -> list[SeedRun]:
        return [run for run in self._runs.values() if run is not None]

    def _write(self, ending: Ending, ensemble: Ensemble | None = None) -> SeedRuns:
        """How it stands, also as files."""
        found = SeedRuns(
            plan=self._plan,
            runs=tuple(self._finished()),
            ensemble=ensemble,
            ending=ending,
            seconds=time.monotonic() - self._began,
            at_once=self._at_once,
            images={name: len(part) for name, part in self._splits},
            folder=self._folder.path if self._folder.stays else None,
        )
        write(found)
        return found
