"""The verbs: train, and go on with a training that was stopped."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from ..classifier import Classifier
from ..data import ImageDataset, Splits
from ..data.listing import Progress
from ..errors import DivergedError, RunFolderError
from ..evaluation import Evaluation, choose_threshold, fit_temperature
from ..files import FolderLock, atomic_write_text
from ..hardware import hardware
from ..history import HistoryWriter, write_history
from ..modelfile import Provenance, library_versions
from ..training import CheckpointWriter, Examples, FitResult, Fitting, HistoryRow, Recipe, Watcher
from ..training.device import using_threads
from .folder import RunFolder
from .judgement import accuracy_sentence, judge_after_training, write_judgement
from .preparation import Source, prepare, read, read_recipe


@dataclass(frozen=True, eq=False)
class Run:
    """A training that has ended or was stopped.

    Attributes:
        classifier: with the weights of the best epoch; None if it was stopped before the first was finished.
        evaluation: on the test data, or on the validation data where there are none; None if it was stopped,
            or no image was held out.
        recipe: what was trained.
        splits: the data.
        history: a row an epoch.
        best_epoch: whose weights were kept.
        ending: "finished", "early_stopping", "converged" or "stopped".
        seconds: of training.
        folder: where everything was written, or None.
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

    def __str__(self) -> str:
        """What came out, in a sentence."""
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


def train(
    data: Source | None = None,
    *,
    preset: str = "balanced",
    recipe: Recipe | None = None,
    changes: Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    device: str = "auto",
    watchers: Sequence[Watcher] = (),
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
    command: str = "",
    checkpoint_every: float = 1.0,
) -> Run:
    """Train a classifier on labelled images, judge it on test data, and write the run folder.

    Args:
        data: what `glyphnet.load` takes, or loaded splits; None for the recipe's data, or "digits".
        preset: "fast", "balanced" or "best", where no recipe is given.
        recipe: every setting.
        changes: settings to change, by dotted name: ``{"optimizer.lr": 0.01}``.
        out: the run folder to make; None writes nothing.
        overwrite: whether a run that is in ``out`` already may be replaced; it stays until the new one begins.
        device: "auto", "cpu", "cuda", "cuda:N", "mps".
        watchers: told of every step and epoch.
        progress: called as ``progress(done, total, what)`` while data are read and judged.
        said: called with sentences for the user: what was chosen, what has no effect; ``print`` will do.
        command: the command line that makes this again, for the report.
        checkpoint_every: least seconds between two checkpoints.

    Raises:
        RunFolderError: ``out`` is in use, or holds a run.
        DataError, SettingsError, DeviceError, DivergedError: see there. When a training diverges, the last
            good weights are in the folder all the same.
    """
    folder = None if out is None else RunFolder(Path(out))
    with contextlib.nullcontext() if folder is None else folder.held():
        if folder is not None and not overwrite:
            folder.refuse_if_used()
        changes = dict(changes or {})
        recipe, splits = prepare(data, preset, recipe, changes, progress)
        _tell(said, *splits.notes, *splits.warnings, *recipe.without_effect(given=tuple(changes)))
        fitting = _fitting(recipe, splits, device)
        if folder is not None:
            folder.clear()
            atomic_write_text(folder.recipe, recipe.to_yaml())
            _tell(said, f"The run is written to {folder.path}.")
        began = datetime.now(UTC).date().isoformat()
        result = _fit(fitting, splits, folder, watchers, checkpoint_every, began)
        return _conclude(result, recipe, splits, folder, progress, command, began)


def resume(
    out: str | os.PathLike[str],
    *,
    splits: Splits | None = None,
    device: str = "auto",
    watchers: Sequence[Watcher] = (),
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
    command: str = "",
    checkpoint_every: float = 1.0,
) -> Run:
    """Go on with the training in a run folder, to the same end, bit for bit, as if it had never been stopped.

    Args:
        out: the run folder.
        splits: the data, where the run was made from loaded splits and cannot load them itself.
        device, watchers, progress, said, command, checkpoint_every: as for `train`.

    Raises:
        RunFolderError: there is nothing to go on with, another process is at it, or the data have changed.
    """
    folder = RunFolder(Path(out))
    if not folder.recipe.is_file():
        raise RunFolderError(f"{folder.path}: no run to resume: there is no {folder.recipe.name} in it.")
    with FolderLock(folder.path):
        recipe = read_recipe(folder.recipe)
        if splits is None:
            if recipe.data is None:
                raise RunFolderError(
                    f"{folder.path}: this run was made from data in memory. Resume it from Python: "
                    "glyphnet.resume(folder, splits=...)."
                )
            splits = read(recipe.data, progress)
        _tell(said, *splits.notes, *splits.warnings)
        fitting = _fitting(recipe, splits, device)
        began = datetime.now(UTC).date().isoformat()
        if folder.checkpoint.exists():
            began = fitting.read_checkpoint(folder.checkpoint, _terms(fitting, splits, began))["began"]
        result = _fit(fitting, splits, folder, watchers, checkpoint_every, began)
        return _conclude(result, recipe, splits, folder, progress, command, began)


def _tell(said: Callable[[str], None] | None, *sentences: str) -> None:
    for sentence in sentences:
        if said:
            said(sentence)


def _fitting(recipe: Recipe, splits: Splits, device: str) -> Fitting:
    validation = _examples(splits.validation) if len(splits.validation) else None
    return Fitting(recipe, _examples(splits.train), validation, len(splits.classes), device)


def _examples(dataset: ImageDataset) -> Examples:
    return Examples.of(dataset.images, dataset.labels)


def _terms(fitting: Fitting, splits: Splits, began: str) -> dict[str, Any]:
    """What must be the same when the training is gone on with, and the day on which it began, which is kept."""
    data = {"training data": splits.train.fingerprint, "validation data": splits.validation.fingerprint}
    return {**fitting.terms, **data, "began": began}


def _fit(
    fitting: Fitting,
    splits: Splits,
    folder: RunFolder | None,
    watchers: Sequence[Watcher],
    checkpoint_every: float,
    began: str,
) -> FitResult:
    """Train, with the folder kept up to date; where the training diverges, what was good is written down."""
    if folder is None:
        return fitting.run(watchers=watchers)
    # First, so that what the others do with the state is never ahead of what is written down.
    writers = [
        CheckpointWriter(folder.checkpoint, _terms(fitting, splits, began), every=checkpoint_every),
        HistoryWriter(folder.history),
    ]
    try:
        return fitting.run(watchers=[*writers, *watchers])
    except DivergedError as error:
        if isinstance(error.result, FitResult):
            write_history(folder.history, error.result.history)
            _classifier(error.result, fitting.recipe, splits, began).save(folder.model)
        raise


def _conclude(
    result: FitResult,
    recipe: Recipe,
    splits: Splits,
    folder: RunFolder | None,
    progress: Progress | None,
    command: str,
    began: str,
) -> Run:
    """Make a classifier of what was trained, judge it if it was trained to the end, write both down."""
    classifier = _classifier(result, recipe, splits, began) if result.best_epoch else None
    if folder is not None:
        write_history(folder.history, result.history)
        if classifier is not None:
            classifier.save(folder.model)  # judging may be interrupted: the model is there then
    judged = None
    if classifier is not None and result.ending != "stopped":
        with using_threads(result.threads):
            judged = judge_after_training(classifier, splits, progress)
    if judged is not None:
        classifier, evaluation, held = judged
        if folder is not None:
            classifier.save(folder.model)
            write_judgement(
                folder,
                classifier,
                evaluation,
                history=result.history,
                warnings=held.warnings,
                command=command,
                provenance=_provenance(result, recipe, splits),
            )
    return Run(
        classifier=classifier,
        evaluation=judged[1] if judged else None,
        recipe=recipe,
        splits=splits,
        history=result.history,
        best_epoch=result.best_epoch,
        ending=result.ending,
        seconds=result.seconds,
        folder=folder,
    )


def _classifier(result: FitResult, recipe: Recipe, splits: Splits, began: str) -> Classifier:
    """The classifier that a training gave; its temperature and threshold are chosen on validation data."""
    plain = Classifier(
        network=result.network,
        spec=recipe.network,
        input_shape=splits.image_shape,
        classes=splits.classes,
        preprocessing=result.preprocessing,
        recipe=recipe.model_dump(mode="json"),
        metrics={"best_epoch": result.best_epoch, "ending": result.ending},
        provenance=Provenance(
            data=splits.name,
            fingerprint=splits.train.fingerprint,
            created=began,
            versions=library_versions(),
        ),
    )
    if not len(splits.validation):
        return plain
    with using_threads(result.threads):  # sums in another order have other last bits
        logits, labels = plain.logits(splits.validation.images), splits.validation.labels
    temperature = fit_temperature(logits, labels)
    threshold = choose_threshold(softmax(logits / np.float32(temperature), axis=1), labels)
    return replace(plain, temperature=temperature, threshold=threshold)


def _provenance(result: FitResult, recipe: Recipe, splits: Splits) -> dict[str, Any]:
    """Where and when, for the report."""
    return {
        "seed": recipe.seed,
        "training time": f"{result.seconds:.1f} s",
        "hardware": hardware(),
        "device": result.device,
        "precision": result.precision,
        "threads": result.threads,
        "versions": library_versions(),
        "data": {name: len(part) for name, part in splits},
        "data as read": " ".join(splits.notes),
        "fingerprint of the training data": splits.train.fingerprint,
    }
