"""`Run`, the result of a training, and `RunFolder`, its files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..classifier import Classifier
from ..data import Finding, Splits
from ..errors import RunFolderError
from ..evaluation import Evaluation, accuracy_sentence
from ..files import Replacing, atomic_write_csv, is_ours, remove, remove_empty_folder
from ..locks import FolderLock, refuse_if_in_use
from ..nn.networks import EnsembleSpec
from ..nn.spec import BaseSpec
from ..notebook import curves, render
from ..outputs import RunFiles
from ..training import HISTORY_KEYS, Callback, FitResult, HistoryRow, Recipe, TrainingState
from .review import Review

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Run:
    """A training that has ended or was stopped.

    Attributes:
        classifier: with the weights of the best epoch; None if it was stopped before the first was finished.
        evaluation: on the test data, or on the validation data where there are none; None if it was stopped, if no
            image was held out, or in another of torchrun's processes than the first.
        history: a row an epoch.
        best_epoch: whose weights were kept.
        ending: "finished", "early_stopping", "converged" or "stopped".
        seconds: of training.
        folder: where everything was written, or None.
        review: the labels that look wrong, if requested.
        findings: what a reader of the figures must know: of the data, of the answers and of the training. Empty where
            nothing was judged.
    """

    classifier: Classifier | None = field(repr=False)
    evaluation: Evaluation | None = field(repr=False)
    recipe: Recipe = field(repr=False)
    splits: Splits = field(repr=False)
    history: list[HistoryRow] = field(repr=False)
    best_epoch: int
    ending: str
    seconds: float
    folder: RunFolder | None
    review: Review | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        """The result in a sentence."""
        if self.ending == "stopped":
            kept = f"the best weights so far (epoch {self.best_epoch}) are kept"
            epoch = len(self.history) + 1
            return f"Stopped in epoch {epoch}; {kept if self.best_epoch else 'no epoch was finished yet'}."
        if self.evaluation is None:
            return (
                f"{len(self.history):,} epochs in {self.seconds:.1f} s of training. "
                "No image was held out, so how accurate it is is not known."
            )
        return f"{accuracy_sentence(self.evaluation)}, {self.seconds:.1f} s of training."

    def headline_figures(self) -> dict[str, float]:
        """Accuracy on held-out images, the ends of its 95 % interval and their number; empty where none was judged.

        The keys begin with the part of the data: ``test_accuracy``, ``test_accuracy_low``, …
        """
        if self.evaluation is None:
            return {}
        interval, part = self.evaluation.accuracy_interval, self.evaluation.part or "held_out"
        return {
            f"{part}_accuracy": self.evaluation.accuracy,
            f"{part}_accuracy_low": interval.low,
            f"{part}_accuracy_high": interval.high,
            f"{part}_images": len(self.evaluation),
        }

    def _repr_html_(self) -> str:
        """The result, the learning curves, and behind a click the evaluation and the classifier, for a notebook."""
        nouns = (("Evaluation", self.evaluation), ("Classifier", self.classifier), ("Data", self.splits))
        kept = f"The weights of epoch {self.best_epoch} of {len(self.history)} were kept." if self.best_epoch else ""
        return render(
            "run",
            title=str(self),
            findings=[str(finding) for finding in self.findings],
            curves=curves(self.history, self.best_epoch or None) if self.history else "",
            sentence=kept,
            parts=[(name, noun._repr_html_()) for name, noun in nouns if noun is not None],
            folder="" if self.folder is None else str(self.folder.path),
        )

    def plot_history(
        self, *, panels: Sequence[str] = ("loss", "accuracy"), axes: Sequence[Axes] | None = None
    ) -> tuple[Axes, ...]:
        """Draw the learning curves, training against validation: see `glyphnet.plots.learning_curves`."""
        from ..plots import learning_curves

        return learning_curves(self.history, best_epoch=self.best_epoch or None, panels=panels, axes=axes)


@dataclass(frozen=True, eq=False)
class Trained:
    """A training that has ended, before it is judged."""

    result: FitResult
    recipe: Recipe
    splits: Splits
    began: str  # the day
    members: int = 1  # networks of the recipe, of as many seeds or mirrored, that the result's network averages
    tried: tuple[str, ...] = ()  # what a training of a given time has tried, a sentence each
    mirrored: str = ""  # why pictures are answered together with their mirror images; "" where they are not

    @property
    def network(self) -> BaseSpec:
        """What the result's network is."""
        one = self.recipe.network
        return one if self.members == 1 else EnsembleSpec(members=self.members, member=one)

    def run(
        self,
        classifier: Classifier | None,
        evaluation: Evaluation | None = None,
        folder: RunFolder | None = None,
        review: Review | None = None,
        findings: tuple[Finding, ...] = (),
    ) -> Run:
        """The run: the training and what was made of it."""
        result = self.result
        return Run(
            classifier, evaluation, self.recipe, self.splits, result.history, result.best_epoch, result.ending,
            result.seconds, folder, review, findings,
        )  # fmt: skip


# The run folder

SEVERAL = "seeds.json"  # marks the folder of several trainings; see `glyphnet.studies.seeds`


@dataclass(frozen=True)
class RunFolder(RunFiles):
    """A run folder: what it holds, and who may write into it."""

    def check(self, *, overwrite: bool, inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
        """Check whether a run may be written into it; nothing is changed.

        Args:
            overwrite: whether its files may be replaced.
            inputs: files and folders that the training reads.

        Raises:
            RunFolderError: it is in use, or holds a run or trainings of several seeds.
            OutputError, OSError: it cannot be written, or holds an input, a link or something that is never replaced.
        """
        Replacing((*inputs,), overwrite=True).check_in(self.path, [path.name for path in self.files()])
        refuse_if_in_use(self.path)
        if (self.path / SEVERAL).exists():
            raise RunFolderError(
                f"{self.path}: holds trainings of several seeds ({SEVERAL}). "
                "Name another folder by --out, or train --seeds again with --overwrite."
            )
        if not overwrite:
            self.refuse_if_used()

    def refuse_if_used(self) -> None:
        """Raise RunFolderError if there is a run in it."""
        if there := self.files():
            raise RunFolderError(
                f"{self.path}: holds a run already ({', '.join(path.name for path in there)}). Resume it "
                f"by --resume {self.path}, name another folder by --out, or replace it with --overwrite."
            )

    def clear(self) -> None:
        """Remove the run that is in it, and no other file: what GlyphNet did not write stays."""
        remove(*filter(is_ours, self.files()))

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
            for folder in made:
                remove_empty_folder(folder)
            raise


def today() -> str:
    """The date, as recorded when a training begins."""
    return datetime.now(UTC).date().isoformat()


# The learning curves as a file: ``history.csv``, with Keras' column names


def write_history(path: str | os.PathLike[str], history: Sequence[HistoryRow]) -> None:
    """Write a line an epoch, all or nothing: epoch, loss, accuracy, val_loss, val_accuracy, lr, seconds.

    Numbers are written so that they are read back bit for bit; what was not measured is empty.
    """
    rows = ([_cell(key, row[key]) for key in HISTORY_KEYS] for row in history)
    atomic_write_csv(path, [HISTORY_KEYS, *rows])


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if key == "epoch":
        return str(int(value))
    return f"{value:.4f}" if key == "seconds" else repr(value)


class HistoryWriter(Callback):
    """Keeps ``history.csv`` up to date while a training runs, at most once a second."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._written = time.perf_counter()

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Write, if the last time is a second ago."""
        if time.perf_counter() - self._written > 1.0:
            self.at_end(state)
        return False

    def at_end(self, state: TrainingState) -> None:
        """Write all there is."""
        write_history(self._path, state.history)
        self._written = time.perf_counter()
