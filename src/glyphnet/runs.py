"""From data to a run folder: load, train, judge, write everything down; and go on where a run was stopped."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from .classifier import Classifier
from .data import ImageDataset, Splits, load
from .errors import DivergedError, RunFolderError
from .evaluation import Evaluation, choose_threshold, evaluate, fit_temperature
from .files import FolderLock, atomic_write_text
from .hardware import hardware
from .history import HistoryWriter, write_history
from .modelfile import Provenance, library_versions
from .report import write_report
from .training import (
    CheckpointWriter,
    DataSettings,
    Examples,
    FitResult,
    Fitting,
    HistoryRow,
    Recipe,
    Watcher,
    preset,
)

Progress = Callable[[int, int, str], None]


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


@dataclass(frozen=True, eq=False)
class Run:
    """A training that has ended or was stopped.

    Attributes:
        classifier: with the weights of the best epoch; None if it was stopped before the first was finished.
        evaluation: on the test data; None if it was stopped, or there are no data to judge by.
        recipe: what was trained.
        splits: the data.
        history: a row an epoch.
        best_epoch: whose weights were kept.
        ending: "finished", "early_stopping", "converged" or "stopped".
        seconds: of training.
        folder: where everything was written, or None.
    """

    classifier: Classifier | None
    evaluation: Evaluation | None
    recipe: Recipe
    splits: Splits
    history: list[HistoryRow]
    best_epoch: int
    ending: str
    seconds: float
    folder: RunFolder | None


def train(
    data: str | os.PathLike[str] | DataSettings | Splits = "digits",
    *,
    preset_name: str = "balanced",
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
        data: what `glyphnet.load` takes, or loaded splits.
        preset_name: "fast", "balanced" or "best", where no recipe is given.
        recipe: every setting; its own ``data`` is used if it has one.
        changes: settings to change, by dotted name: ``{"optimizer.lr": 0.01}``.
        out: the run folder to make; None writes nothing.
        overwrite: whether a run that is in ``out`` already may be replaced.
        device: "auto", "cpu", "cuda", "cuda:N", "mps".
        watchers: told of every step and epoch.
        progress: called as ``progress(done, total, what)`` while data are read.
        said: called with sentences for the user: what was chosen, what has no effect.
        command: the command line that makes this again, for the report.
        checkpoint_every: least seconds between two checkpoints.

    Raises:
        RunFolderError: ``out`` is in use, or holds a run.
        DataError, SettingsError, DeviceError, DivergedError: see there. When a training diverges, the last good
            weights are in the folder all the same.
    """
    folder = None if out is None else RunFolder(Path(out))
    with contextlib.ExitStack() as stack:
        if folder is not None:
            stack.enter_context(FolderLock(folder.path))
            _make_room(folder, overwrite)
        changes = dict(changes or {})
        settings, splits = _data(data, recipe, progress, changes)
        if recipe is None:
            recipe = preset(preset_name, splits.image_shape, len(splits.train), len(splits.classes))
        recipe = recipe.model_copy(update={"data": settings}).override(changes)
        if said:
            for sentence in (*splits.notes, *recipe.without_effect(given=tuple(changes))):
                said(sentence)
        if folder is not None:
            atomic_write_text(folder.recipe, recipe.to_yaml())
        return _run(recipe, splits, folder, device, watchers, progress, command, checkpoint_every, go_on=False)


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

    Raises:
        RunFolderError: there is nothing to go on with, another process is at it, or the data have changed.
    """
    folder = RunFolder(Path(out))
    if not folder.recipe.is_file():
        raise RunFolderError(f"{folder.path}: no run to resume: there is no {folder.recipe.name} in it.")
    with FolderLock(folder.path):
        recipe = Recipe.from_yaml(folder.recipe.read_text(encoding="utf-8"))
        if splits is None:
            if recipe.data is None:
                raise RunFolderError(
                    f"{folder.path}: this run was made from data in memory. Resume it from Python: "
                    "glyphnet.resume(folder, splits=...)."
                )
            _, splits = _data(recipe.data, None, progress, {})
        if said:
            for sentence in splits.notes:
                said(sentence)
        return _run(recipe, splits, folder, device, watchers, progress, command, checkpoint_every, go_on=True)


def _data(
    data: str | os.PathLike[str] | DataSettings | Splits,
    recipe: Recipe | None,
    progress: Progress | None,
    changes: Mapping[str, Any],
) -> tuple[DataSettings | None, Splits]:
    """The data, and the settings that load them again; None for data that are in memory already."""
    if isinstance(data, Splits):
        return None, data
    if recipe is not None and recipe.data is not None:
        data = recipe.data
    settings = data if isinstance(data, DataSettings) else DataSettings(source=os.fspath(data))
    own = {name: value for path, value in changes.items() for section, _, name in [path.partition(".")] if section == "data"}
    settings = settings.override(own)
    return settings, load(**settings.model_dump(), progress=progress)


def _make_room(folder: RunFolder, overwrite: bool) -> None:
    """Refuse a folder that holds a run, or clear that run away."""
    files = [
        getattr(folder, name).name for name, value in vars(RunFolder).items() if isinstance(value, property)
    ]
    there = [name for name in files if (folder.path / name).exists()]
    if there and not overwrite:
        raise RunFolderError(
            f"{folder.path}: holds a run already ({', '.join(there)}). Go on with it by --resume {folder.path}, "
            "name another folder by --out, or replace it with --overwrite."
        )
    for name in there:
        (folder.path / name).unlink()


def _run(
    recipe: Recipe,
    splits: Splits,
    folder: RunFolder | None,
    device: str,
    watchers: Sequence[Watcher],
    progress: Progress | None,
    command: str,
    checkpoint_every: float,
    *,
    go_on: bool,
) -> Run:
    """Train, or go on training; then judge and write down, if it came to its end."""
    validation = _examples(splits.validation) if len(splits.validation) else None
    fitting = Fitting(recipe, _examples(splits.train), validation, len(splits.classes), device)
    watching = list(watchers)
    if folder is not None:
        terms = {**fitting.terms, "data": splits.train.fingerprint}
        if go_on and folder.checkpoint.exists():
            fitting.read_checkpoint(folder.checkpoint, terms)
        # First, so that what the others do with the state is never ahead of what is written down.
        watching[:0] = [CheckpointWriter(folder.checkpoint, terms, every=checkpoint_every), HistoryWriter(folder.history)]
    try:
        result = fitting.run(watchers=watching)
    except DivergedError as error:
        if folder is not None and isinstance(error.result, FitResult):
            write_history(folder.history, error.result.history)
            _classifier(error.result, recipe, splits).save(folder.model)
        raise
    classifier = _classifier(result, recipe, splits) if result.best_epoch else None
    evaluation = None
    if classifier is not None and result.ending != "stopped":
        evaluation = _judge(classifier, splits, progress)
        if evaluation is not None:
            classifier = _with_metrics(classifier, evaluation)
    run = Run(
        classifier, evaluation, recipe, splits, result.history, result.best_epoch, result.ending, result.seconds,
        folder,
    )  # fmt: skip
    if folder is not None:
        _write(run, folder, result, command)
    return run


def _examples(dataset: ImageDataset) -> Examples:
    return Examples.of(dataset.images, dataset.labels)


def _classifier(result: FitResult, recipe: Recipe, splits: Splits) -> Classifier:
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
            created=datetime.now(UTC).date().isoformat(),
            versions=library_versions(),
        ),
    )
    if not len(splits.validation):
        return plain
    logits, labels = plain.logits(splits.validation.images), splits.validation.labels
    temperature = fit_temperature(logits, labels)
    threshold = choose_threshold(softmax(logits / np.float32(temperature), axis=1), labels)
    return replace(plain, temperature=temperature, threshold=threshold)


def _judge(classifier: Classifier, splits: Splits, progress: Progress | None) -> Evaluation | None:
    """The evaluation on test data, or on validation data where there is no test part, or None without either."""
    for part, dataset in (("test", splits.test), ("validation", splits.validation)):
        if len(dataset):
            return evaluate(classifier, dataset, data=f"{splits.name}, {part} part", progress=progress)
    return None


def _with_metrics(classifier: Classifier, evaluation: Evaluation) -> Classifier:
    """The classifier with its accuracy written into it."""
    accuracy = evaluation.figures["accuracy"]
    interval = accuracy.interval
    measured = {
        "judged_on": evaluation.data,
        "accuracy": accuracy.value,
        "interval": [interval.low, interval.high] if interval else None,
        "n": accuracy.n,
    }
    return replace(classifier, metrics={**classifier.metrics, **measured})


def _write(run: Run, folder: RunFolder, result: FitResult, command: str) -> None:
    """Everything that a run leaves behind, beside the recipe and the checkpoint that are there already."""
    write_history(folder.history, run.history)
    if run.classifier is None:
        return
    run.classifier.save(folder.model)
    if run.evaluation is None:
        return
    atomic_write_text(
        folder.evaluation, json.dumps(run.evaluation.to_dict(), ensure_ascii=False, indent=2) + "\n"
    )
    run.evaluation.write_predictions_csv(folder.predictions)
    write_report(
        folder.report,
        run.evaluation,
        classifier=run.classifier,
        history=run.history,
        best_epoch=run.best_epoch,
        recipe=run.classifier.recipe,
        notes=run.splits.notes,
        command=command,
        provenance={
            "seed": run.recipe.seed,
            "training time": f"{run.seconds:.1f} s",
            "hardware": hardware(),
            "device": result.device,
            "precision": result.precision,
            "threads": result.threads,
            "versions": library_versions(),
            "data": {name: len(part) for name, part in run.splits},
            "fingerprint of the training data": run.splits.train.fingerprint,
        },
    )
