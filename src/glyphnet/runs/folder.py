"""The run folder: which files it has, and how one is made, cleared and given up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunFolderError
from ..files import FolderLock

SEVERAL = "seeds.json"
"""The file by which the folder of several trainings is known; see `glyphnet.seeds`."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run folder."""

    path: Path

    @property
    def recipe(self) -> Path:
        """Every setting, as YAML."""
        return self.path / "recipe.yaml"

    @property
    def history(self) -> Path:
        """The learning curves."""
        return self.path / "history.csv"

    @property
    def model(self) -> Path:
        """The classifier, with the weights of the best epoch."""
        return self.path / "model.safetensors"

    @property
    def checkpoint(self) -> Path:
        """What is needed to go on."""
        return self.path / "checkpoint.safetensors"

    @property
    def evaluation(self) -> Path:
        """Every figure on the test data."""
        return self.path / "evaluation.json"

    @property
    def predictions(self) -> Path:
        """A line a test image."""
        return self.path / "predictions.csv"

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / "report.html"

    @property
    def suspects(self) -> Path:
        """Labels that look wrong, with a column for decisions: where they were looked for."""
        return self.path / "suspects.csv"

    def files(self) -> list[Path]:
        """Those of its files that are there."""
        names = [name for name, value in vars(RunFolder).items() if isinstance(value, property)]
        paths: list[Path] = [getattr(self, name) for name in names]
        return [path for path in paths if path.exists()]

    def refuse_if_used(self) -> None:
        """Raise RunFolderError if there is a run in it."""
        if there := self.files():
            raise RunFolderError(
                f"{self.path}: holds a run already ({', '.join(path.name for path in there)}). Go on with it "
                f"by --resume {self.path}, name another folder by --out, or replace it with --overwrite."
            )

    def refuse_if_of_several(self) -> None:
        """Raise RunFolderError if it is the folder of several trainings, one below it for each seed."""
        if (self.path / SEVERAL).exists():
            raise RunFolderError(
                f"{self.path}: holds trainings of several seeds ({SEVERAL}), among which one run cannot stand. "
                "Name another folder by --out, or train --seeds again with --overwrite."
            )

    def clear(self) -> None:
        """Remove the run that is in it, and no other file."""
        for path in self.files():
            path.unlink()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep others from writing into it.

        If the block raises before it has written anything, the folders that were made for it are removed: a
        data set's misspelt name leaves nothing behind.
        """
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            with FolderLock(self.path):
                yield
        except BaseException:
            self._give_up(made)
            raise

    def _give_up(self, made: list[Path]) -> None:
        """Remove the folders that were made, if there is nothing in them and nobody else has come."""
        with contextlib.suppress(RunFolderError, OSError):
            if made and made[0].exists():
                with FolderLock(self.path):
                    if [path.name for path in self.path.iterdir()] == [".lock"]:
                        (self.path / ".lock").unlink()
                        for folder in made:
                            folder.rmdir()
