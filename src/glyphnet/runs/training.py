"""The verbs: train, and resume a training that was stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .. import errors
from ..data import Splits, look_over
from ..data.corrections import refuse_to_lose_decisions
from ..data.dataset import share_splits, shared_splits
from ..errors import GlyphNetError, RunFolderError, SettingsError, TrainingError
from ..files import Replacing, atomic_write_text, new_file
from ..locks import FolderLock, temporary_folder
from ..progress import SILENT, Reporter
from ..training import Callback, Recipe
from ..training.collective import FAILED, LOST, PeerLostError, joined
from ..training.device import Place
from ..training.fit import check_parts
from ..training.launch import tell_end
from .conclusion import check_group_gap, conclude, make_classifier, measure_group_gap
from .preparation import (
    Source,
    candidates_for,
    inputs_of,
    prepare,
    read_again,
    read_recipe,
    with_pool_again,
)
from .run import Run, RunFolder, Trained
from .timed import TimedTraining, TimePlan, check_time, plan_time
from .trainer import Trainer
from .unlabelled import Pool


def train(
    data: Source | None = None,
    *,
    preset: str | None = None,
    seconds: float | None = None,
    recipe: Recipe | None = None,
    changes: Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    device: str = "auto",
    callbacks: Sequence[Callback] = (),
    reporter: Reporter = SILENT,
    command: str = "",
    check_labels: bool = False,
    checkpoint_every: float = 1.0,
    processes: int = 1,
    threads: int | None = None,
    group_gap: bool = False,
    unlabelled: Pool | None = None,
) -> Run:
    """Train a classifier on labelled images, judge it on test data, and write the run folder.

    Args:
        data: what `glyphnet.load` takes, or loaded splits; None for the recipe's data, or "digits".
        preset: "fast", "balanced", "best" or "robust", if no recipe is given; None for "balanced", or with ``seconds``
            for the best one for that time.
        seconds: about how long the training may take, checks before and after it left out. A small network comes
            first, then larger ones and more passes, as long as they fit and validation gains; with ``preset``,
            ``recipe``, a backbone or ``unlabelled`` only the number of passes is varied. Where validation images are
            few, the choice is cross-validated; where training images are few, networks of several seeds are averaged.
        changes: settings to change, by dotted name: ``{"optimizer.lr": 0.01}``.
        out: the run folder to make; None writes nothing.
        overwrite: whether to replace a run in ``out``; it stays until the new one begins.
        device: "auto", "cpu", "cuda", "cuda:N", "mps".
        callbacks: called after every step and epoch.
        reporter: is given sentences for the user, and the progress while data are read and judged; `glyphnet.Live`
            shows the training, too.
        command: the command line that makes this again, for the report.
        check_labels: look for wrong labels as well, by cross-validation after the training: see `review`. The report
            shows them, and the folder's ``suspects.csv`` lists them.
        checkpoint_every: least seconds between two checkpoints.
        processes: how many train together on this machine. PyTorch's elastic launch starts them if they are more than
            one; callbacks and reporter are called in the first of them, and must be picklable.
        threads: of each process; the same number gives the same bits. None chooses: one for small steps, and one where
            other programs leave less than two cores free.
        group_gap: train once more with a random division, and report both accuracies: see `measure_group_gap`.
        unlabelled: pictures without labels to learn from as well: the path of any that `glyphnet predict` reads, the
            name of a data set, or, if ``data`` is splits, images uint8 (N, H, W, C) or an ImageDataset. Labels of
            theirs are not read. None takes a folder "unlabelled" in that of the data, if there is one.

    Under torchrun all its processes call this alike, and train together; the first one writes and evaluates, and in
    the others the run has no evaluation.

    Raises:
        RunFolderError: ``out`` is in use, holds a run, or trainings of several seeds.
        TrainingError: another process has ended too early.
        DivergedError: the loss became NaN or infinite; the last good weights are in the folder.
        DataError, SettingsError, DeviceError: the data, a setting or the device cannot be used.
    """
    place = _place_of(processes)
    check_time(seconds, changes or {}, max(place.size, processes))
    if place.size < processes:
        return _train_together(
            processes, data, preset=preset, recipe=recipe, changes=changes, out=out, overwrite=overwrite,
            device=device, callbacks=callbacks, reporter=reporter, command=command, check_labels=check_labels,
            checkpoint_every=checkpoint_every, threads=threads, group_gap=group_gap, unlabelled=unlabelled,
        )  # fmt: skip
    changes, reporter = dict(changes or {}), SILENT if place.rank else reporter
    folder = None if out is None or place.rank else RunFolder(Path(out))
    if folder is not None:
        folder.check(overwrite=overwrite)
    with contextlib.ExitStack() as held:
        with joined(place, device) as collective:
            with collective.first_in_turn():
                given, asked = recipe, (data, preset or "balanced", recipe, changes, reporter.progress, unlabelled)
                recipe, splits = prepare(*asked)
            if group_gap:
                check_group_gap(recipe, splits, place.size)
            many = seconds is not None and not (given or preset)  # recipes to choose from: the chosen one is said then
            reporter.say(*look_over(splits).lines, *(() if given or many else recipe.about_pictures))
            reporter.say(*recipe.without_effect(given=tuple(changes)))
            trainer = Trainer(
                splits, folder, device, threads, collective, callbacks, checkpoint_every, reporter,
            )  # fmt: skip
            if folder is not None:
                folder.check(overwrite=overwrite, inputs=inputs_of(recipe))
                held.enter_context(folder.held())
            candidates = candidates_for(recipe, splits, changes) if many else {preset or "": recipe}
            begin = _training_of(recipe, trainer, seconds, candidates)
            if folder is not None:
                folder.clear()
                atomic_write_text(folder.recipe, recipe.to_yaml())
                reporter.say(f"The run is written to {folder.path}.")
            trained = begin()
        if place.rank:
            return trained.run(make_classifier(trained))
        how: dict[str, Any] = {"device": device, "threads": threads, "callbacks": callbacks, "reporter": reporter}
        more = partial(measure_group_gap, trained=trained, **how) if group_gap else None
        return _told(conclude(trained, folder, reporter, command, check_labels=check_labels, more=more), callbacks)


def resume(
    out: str | os.PathLike[str],
    *,
    splits: Splits | None = None,
    device: str = "auto",
    callbacks: Sequence[Callback] = (),
    reporter: Reporter = SILENT,
    command: str = "",
    check_labels: bool = False,
    checkpoint_every: float = 1.0,
    processes: int = 1,
    threads: int | None = None,
    report: bool = True,
) -> Run:
    """Resume the training in a run folder, to the same end, bit for bit, as if it had never been stopped.

    Args:
        splits: the data, if the run was made from loaded splits.
        device, callbacks, reporter, command, check_labels, checkpoint_every, processes: as for `train`. Another
            number of processes than before gives the same, but for rounding and for random numbers.
        threads: used if the run folder has no checkpoint yet, or one of another number of processes.
        report: write report.html, too, which takes most of the time of a small training.

    Raises:
        RunFolderError: there is nothing to resume, another process uses the folder, or the data have changed.
    """
    place = _place_of(processes)
    folder = RunFolder(Path(out))
    if place.rank:
        reporter = SILENT
    elif not folder.recipe.is_file():
        raise RunFolderError(f"{folder.path}: no run to resume: there is no {folder.recipe.name} in it.")
    if folder.time.is_file() and max(place.size, processes) > 1:
        check_time(1.0, {}, max(place.size, processes))
    if place.size < processes:
        return _resume_together(
            processes, folder, splits, device=device, callbacks=callbacks, reporter=reporter, command=command,
            check_labels=check_labels, checkpoint_every=checkpoint_every, threads=threads, report=report,
        )  # fmt: skip
    if not place.rank:
        Replacing(overwrite=True).check_in(folder.path, [path.name for path in folder.files()])
    with contextlib.nullcontext() if place.rank else FolderLock(folder.path):
        if check_labels and not place.rank:
            refuse_to_lose_decisions(folder.suspects)
        written = None if place.rank else read_recipe(folder.recipe).model_dump(mode="json")
        with joined(place, device) as collective:
            recipe = Recipe.parse(collective.from_first(written))  # the folder may be on the first machine's disk
            with collective.first_in_turn():
                splits = _read_again(folder, recipe, splits, reporter)
            reporter.say(*look_over(splits).lines)
            trainer = Trainer(
                splits, None if place.rank else folder, device, threads, collective, callbacks, checkpoint_every,
                reporter,
            )  # fmt: skip
            if not place.rank and folder.time.is_file():
                trained = TimedTraining(TimePlan.read(folder.time), trainer).run()
            else:
                fitting = trainer.fitting(recipe)
                if not place.rank:
                    trainer.read(fitting, folder.checkpoint)
                reporter.say(str(fitting.arithmetic))
                trained = trainer.train(fitting)
        if place.rank:
            return trained.run(make_classifier(trained))
        return _told(conclude(trained, folder, reporter, command, check_labels=check_labels, report=report), callbacks)


def _training_of(
    recipe: Recipe, trainer: Trainer, seconds: float | None, candidates: Mapping[str, Recipe]
) -> Callable[[], Trained]:
    """What trains the recipe, or for a given time the candidates; it refuses here what cannot work."""
    if seconds is not None:
        return TimedTraining(plan_time(seconds, candidates, trainer.splits), trainer).run
    fitting = trainer.fitting(recipe)
    trainer.reporter.say(str(fitting.arithmetic))
    return partial(trainer.train, fitting)


def _read_again(folder: RunFolder, recipe: Recipe, splits: Splits | None, reporter: Reporter) -> Splits:
    """The data of a run; ``splits``, if the caller has them in memory."""
    if splits is not None:
        return with_pool_again(splits, recipe, reporter.progress)
    if recipe.data is None:
        raise RunFolderError(
            f"{folder.path}: this run was made from data in memory. Resume it from Python: "
            "glyphnet.resume(folder, splits=...)."
        )
    return read_again(recipe, reporter.progress)


def _told(run: Run, callbacks: Sequence[Callback]) -> Run:
    """The run, once the callbacks have been told its result."""
    figures = run.headline_figures()
    for callback in callbacks:
        callback.at_result(figures)
    return run


def _place_of(processes: int) -> Place:
    """Which of torchrun's processes this is, if any; SettingsError if torchrun has started another number."""
    place = Place.from_environment()
    if place.size > 1 and processes not in (1, place.size):
        raise SettingsError(
            f"torchrun has started {place.size} processes, and processes={processes} asks for others: "
            "give the number to torchrun alone."
        )
    if processes < 1:
        raise SettingsError(f"processes is {processes}: it must be 1 at least.")
    return place


def _train_together(processes: int, data: Source | None, **arguments: Any) -> Run:
    """Start processes that train together; refuse first what cannot work."""
    preset, changes = arguments.pop("preset") or "balanced", arguments.pop("changes") or {}
    pool = arguments.pop("unlabelled")
    recipe, splits = prepare(data, preset, arguments["recipe"], changes, arguments["reporter"].progress, pool)
    _check_together(processes, recipe, splits, arguments["device"])
    if arguments["recipe"] is None:
        arguments["reporter"].say(*recipe.about_pictures)
    arguments["recipe"] = recipe
    return run_together("train", processes, splits, arguments, carried=recipe.data is None)


def _resume_together(processes: int, folder: RunFolder, splits: Splits | None, **arguments: Any) -> Run:
    recipe, carried = read_recipe(folder.recipe), splits is not None
    splits = _read_again(folder, recipe, splits, arguments["reporter"])
    _check_together(processes, recipe, splits, arguments["device"])
    return run_together("resume", processes, splits, {"out": folder.path, **arguments}, carried=carried)


def _check_together(processes: int, recipe: Recipe, splits: Splits, device: str) -> None:
    check_parts(processes, len(splits.train), recipe)
    Place(0, processes, 0, processes).device(device)


# Several processes that Python starts: the job and its result travel in a private folder

JOB, RESULT, FAILURE = "job.pickle", "run.pickle", "failure.pickle"


def run_together(verb: str, processes: int, splits: Splits, arguments: Mapping[str, Any], *, carried: bool) -> Run:
    """Call the function ``verb`` of `glyphnet.runs` in processes that train together; return the first one's run.

    ``carried`` says whether the processes get the data from here, not from what the arguments name.
    """
    from ..training.launch import WorkerFailedError, launch

    with temporary_folder() as folder:
        if carried:
            share_splits(splits, folder)
        try:
            write_first(folder / JOB, (verb, dict(arguments), carried))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise SettingsError(
                f"with several processes, callbacks and reporter are called in another one: give functions and "
                f"classes that a module defines ({error})."
            ) from None
        try:
            launch(processes, f"from {__name__} import main\nmain({str(folder)!r})")
        except WorkerFailedError as failed:
            if not (folder / FAILURE).exists():
                raise
            kind, message = pickle.loads((folder / FAILURE).read_bytes())
            raise getattr(errors, kind, TrainingError)(message) from failed
        run: Run = pickle.loads((folder / RESULT).read_bytes())
        return dataclasses.replace(run, splits=splits)


def write_first(path: Path, value: object) -> None:
    """Write ``value`` unless another process has written there."""
    try:
        with new_file(path) as file:
            pickle.dump(value, file)
    except FileExistsError:
        pass


def main(name: str) -> None:
    """The child process: run the job in the folder ``name``."""
    folder = Path(name)
    verb, arguments, carried = pickle.loads((folder / JOB).read_bytes())
    try:
        if carried:
            arguments["data" if verb == "train" else "splits"] = shared_splits(folder)
        run: Run = (train if verb == "train" else resume)(**arguments)
    except PeerLostError:
        sys.exit(LOST)
    except GlyphNetError as error:
        write_first(folder / FAILURE, (type(error).__name__, str(error)))
        sys.exit(FAILED)
    except Exception as error:
        write_first(folder / FAILURE, ("TrainingError", f"{type(error).__name__}: {error}"))
        raise
    if Place.from_environment().rank == 0:
        write_first(folder / RESULT, dataclasses.replace(run, splits=None))  # type: ignore[arg-type]
        tell_end()
