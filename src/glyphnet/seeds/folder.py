"""The folder of several trainings: a run folder for each, one for the ensemble, and the tables of all."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunFolderError
from ..runs import RunFolder
from ..runs.folder import SEVERAL


@dataclass(frozen=True)
class SeedsFolder:
    """The files of such a folder.

    Attributes:
        path: where it is.
        stays: False for a temporary one, which is gone when the trainings have ended.
    """

    path: Path
    stays: bool = True

    @property
    def summary(self) -> Path:
        """Everything, for programs; it is there from the beginning, and says how to go on."""
        return self.path / SEVERAL

    @property
    def table(self) -> Path:
        """A line a finished training."""
        return self.path / "seeds.csv"

    @property
    def ensemble(self) -> RunFolder:
        """The run folder of the ensemble."""
        return RunFolder(self.path / "ensemble")

    def of(self, seed: int) -> RunFolder:
        """The run folder of one training."""
        return RunFolder(self.path / f"seed-{seed}")

    def refuse_if_used(self) -> None:
        """Raise RunFolderError if there are runs in it."""
        RunFolder(self.path).refuse_if_used()
        if self.summary.exists():
            raise RunFolderError(
                f"{self.path}: holds trainings of several seeds already. Go on with them by --resume {self.path}, "
                "name another folder by --out, or replace them with --overwrite."
            )

    def clear(self) -> None:
        """Remove the runs that are in it, and no other file."""
        runs = [path for path in self.path.glob("seed-*") if re.fullmatch(r"seed-\d+", path.name)]
        for run in (RunFolder(self.path), self.ensemble, *map(RunFolder, runs)):
            run.clear()
        for run in (self.ensemble, *map(RunFolder, runs)):
            with contextlib.suppress(OSError):  # there is something else in it
                (run.path / ".lock").unlink(missing_ok=True)
                run.path.rmdir()
        for path in (self.summary, self.table):
            path.unlink(missing_ok=True)


def is_seeds_folder(path: str | os.PathLike[str]) -> bool:
    """Whether trainings of several seeds were begun in a folder."""
    return SeedsFolder(Path(path)).summary.is_file()
