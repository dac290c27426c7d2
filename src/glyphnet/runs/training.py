"""The verbs: train, and go on with a training that was stopped."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..data import ImageDataset, Splits
from ..data.decisions import refuse_to_lose_decisions
from ..data.ink import measure_ink
from ..data.listing import Progress
from ..errors import DivergedError, RunFolderError
from ..files import FolderLock, atomic_write_text
from ..history import HistoryWriter, write_history
from ..training import CheckpointWriter, Examples, FitResult, Fitting, Recipe, Watcher
from .conclusion import conclude, make_classifier
from .folder import RunFolder
from .preparation import Source, prepare, read, read_recipe
from .run import Run


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
    check_labels: bool = False,
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
        check_labels: look for wrong labels as well, by cross-validation after the training: see `review`. They are
            shown in the report and listed in the folder's ``suspects.csv``.
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
        _tell(said, str(measure_ink(splits.train.images)))
        fitting = _fitting(recipe, splits, device)
        if folder is not None:
            folder.clear()
            atomic_write_text(folder.recipe, recipe.to_yaml())
            _tell(said, f"The run is written to {folder.path}.")
        began = datetime.now(UTC).date().isoformat()
        result = _fit(fitting, splits, folder, watchers, checkpoint_every, began)
        return conclude(result, recipe, splits, folder, progress, command, began, check_labels=check_labels)


def resume(
    out: str | os.PathLike[str],
    *,
    splits: Splits | None = None,
    device: str = "auto",
    watchers: Sequence[Watcher] = (),
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
    command: str = "",
    check_labels: bool = False,
    checkpoint_every: float = 1.0,
) -> Run:
    """Go on with the training in a run folder, to the same end, bit for bit, as if it had never been stopped.

    Args:
        out: the run folder.
        splits: the data, where the run was made from loaded splits and cannot load them itself.
        device, watchers, progress, said, command, check_labels, checkpoint_every: as for `train`.

    Raises:
        RunFolderError: there is nothing to go on with, another process is at it, or the data have changed.
    """
    folder = RunFolder(Path(out))
    if not folder.recipe.is_file():
        raise RunFolderError(f"{folder.path}: no run to resume: there is no {folder.recipe.name} in it.")
    with FolderLock(folder.path):
        if check_labels:
            refuse_to_lose_decisions(folder.suspects)
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
        return conclude(result, recipe, splits, folder, progress, command, began, check_labels=check_labels)


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
            make_classifier(error.result, fitting.recipe, splits, began).save(folder.model)
        raise
