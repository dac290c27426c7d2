"""The folder of several trainings: a run folder for each, one for the ensemble, and the tables of all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunFolderError
from ..files import Replacing, is_ours, refuse_if_in_use, remove, remove_empty_folder, subfolder
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
        return RunFolder(subfolder(self.path, "ensemble"))

    def of(self, seed: int) -> RunFolder:
        """The run folder of one training."""
        return RunFolder(subfolder(self.path, f"seed-{seed}"))

    def check(self, *, overwrite: bool, inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
        """Look whether trainings may be written into it; nothing is touched.

        Raises:
            RunFolderError: it is in use, or holds runs.
            OutputError, OSError: as `RunFolder.check`.
        """
        inputs = [*inputs]
        names = [path.name for path in (self.summary, self.table, *RunFolder(self.path).files())]
        Replacing((*inputs,), overwrite=True).check_in(self.path, names)
        refuse_if_in_use(self.path)
        for run in self._runs():
            run.check(overwrite=True, inputs=inputs)
        if not overwrite:
            self.refuse_if_used()

    def refuse_if_used(self) -> None:
        """Raise RunFolderError if there are runs in it."""
        RunFolder(self.path).refuse_if_used()
        if self.summary.exists():
            raise RunFolderError(
                f"{self.path}: holds trainings of several seeds already. Go on with them by --resume {self.path}, "
                "name another folder by --out, or replace them with --overwrite."
            )

    def clear(self) -> None:
        """Remove the runs that are in it, and no other file: what GlyphNet did not write stays."""
        RunFolder(self.path).clear()
        for run in self._runs():
            run.clear()
            remove_empty_folder(run.path)
        remove(*filter(is_ours, (self.summary, self.table)))

    def _runs(self) -> list[RunFolder]:
        """The run folders that are there."""
        seeds = [path.name for path in self.path.glob("seed-*") if re.fullmatch(r"seed-\d+", path.name)]
        return [RunFolder(subfolder(self.path, name)) for name in (*seeds, "ensemble")]


def is_seeds_folder(path: str | os.PathLike[str]) -> bool:
    """Whether trainings of several seeds were begun in a folder."""
    return SeedsFolder(Path(path)).summary.is_file()
