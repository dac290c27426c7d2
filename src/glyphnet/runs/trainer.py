"""One training of a run: its fitting, its checkpoint, and the files that it keeps up to date while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data import Splits
from ..errors import DivergedError
from ..progress import SILENT, Reporter
from ..training import Callback, CheckpointWriter, FitResult, Fitting, Recipe
from ..training.callbacks import Slowdown
from ..training.checkpoint import write_checkpoint
from ..training.collective import ALONE, Collective
from ..units import plural
from .conclusion import make_classifier
from .preparation import fitting_of
from .run import HistoryWriter, RunFolder, Trained, today, write_history


@dataclass
class Trainer:
    """Trains recipes on the same data, with the same device, callbacks and folder.

    Attributes:
        splits: the data.
        folder: where checkpoint, history and the last good weights of a training are written; None for nowhere.
        device, threads, collective: how it computes.
        callbacks, checkpoint_every, reporter: as for `glyphnet.train`.
        began: the day on which the first training began; a checkpoint that is read brings its own.
    """

    splits: Splits
    folder: RunFolder | None = None
    device: str = "auto"
    threads: int | None = None
    collective: Collective = ALONE
    callbacks: Sequence[Callback] = ()
    checkpoint_every: float = 1.0
    reporter: Reporter = SILENT
    began: str = field(default_factory=today)

    def fitting(self, recipe: Recipe) -> Fitting:
        """The training of a recipe, before its first step; see `fitting_of` for what is raised."""
        return fitting_of(recipe, self.splits, self.device, self.collective, self.threads)

    def read(self, fitting: Fitting, checkpoint: Path) -> None:
        """Restore the state of a checkpoint, and the day on which the training began, where there is one."""
        if checkpoint.exists():
            self.began = fitting.read_checkpoint(checkpoint, self._terms(fitting))["began"]

    def write(self, fitting: Fitting, checkpoint: Path) -> None:
        """Write where a training stands."""
        write_checkpoint(checkpoint, fitting.state, self._terms(fitting))

    def train(self, fitting: Fitting, *, written: bool = True) -> Trained:
        """Train, and keep the folder up to date; if the training diverges, write the last good weights.

        Args:
            written: whether this training's checkpoint and history go to the folder.
        """
        callbacks, reporter = list(self.callbacks), self.reporter
        if reporter.sentence is not None:
            callbacks.append(Slowdown(reporter.sentence))
        if isinstance(reporter, Callback):
            callbacks.append(reporter)
        folder = self.folder if written else None
        if folder is not None:
            # First: what other callbacks do with the state is never ahead of what is written.
            checkpoints = CheckpointWriter(folder.checkpoint, self._terms(fitting), every=self.checkpoint_every)
            callbacks = [checkpoints, HistoryWriter(folder.history), *callbacks]
        try:
            result = fitting.run(callbacks=callbacks)
            if (features := fitting.features) is not None and features.read:
                reporter.say(
                    f"The backbone's features of {plural(features.read, 'image')} were in the cache, of "
                    f"{features.computed:,} they were computed."
                )
            return Trained(result, fitting.recipe, self.splits, self.began)
        except DivergedError as error:
            if folder is not None and isinstance(error.result, FitResult):
                write_history(folder.history, error.result.history)
                if classifier := make_classifier(Trained(error.result, fitting.recipe, self.splits, self.began)):
                    classifier.save(folder.model)
            raise

    def _terms(self, fitting: Fitting) -> dict[str, Any]:
        """What must be the same to resume the training, and the day on which it began, which is kept."""
        splits = self.splits
        data = {"training data": splits.train.fingerprint, "validation data": splits.validation.fingerprint}
        if splits.unlabelled is not None:
            data["unlabelled images"] = splits.unlabelled.fingerprint
        return {**fitting.terms, **data, "began": self.began}
