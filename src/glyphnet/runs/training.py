"""The verbs: train, and go on with a training that was stopped."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..data import Splits, look_over
from ..data.corrections import refuse_to_lose_decisions
from ..data.listing import Progress
from ..errors import DivergedError, RunFolderError, SettingsError
from ..files import FolderLock, Replacing, atomic_write_text
from ..training import Callback, CheckpointWriter, FitResult, Fitting, Recipe
from ..training.collective import Place, check_parts, joined
from .conclusion import conclude, make_classifier
from .groupgap import check_group_gap, measure_group_gap
from .preparation import Source, check_time, fit_into, fitting_of, inputs_of, prepare, read_again, read_recipe
from .run import HistoryWriter, Run, RunFolder, today, write_history
from .slowdown import Slowdown
from .together import run_together


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
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
    command: str = "",
    check_labels: bool = False,
    checkpoint_every: float = 1.0,
    processes: int = 1,
    threads: int | None = None,
    group_gap: bool = False,
) -> Run:
    """Train a classifier on labelled images, judge it on test data, and write the run folder.

    Args:
        data: what `glyphnet.load` takes, or loaded splits; None for the recipe's data, or "digits".
        preset: "fast", "balanced" or "best", where no recipe is given; None for "balanced", or with ``seconds`` for
            whichever does best in that time.
        seconds: how long the training may take, about: the number of epochs is chosen so that it fits.
        recipe: every setting.
        changes: settings to change, by dotted name: ``{"optimizer.lr": 0.01}``.
        out: the run folder to make; None writes nothing.
        overwrite: whether a run that is in ``out`` already may be replaced; it stays until the new one begins.
        device: "auto", "cpu", "cuda", "cuda:N", "mps".
        callbacks: called after every step and epoch.
        progress: called as ``progress(done, total, what)`` while data are read and judged.
        said: called with sentences for the user: what was chosen, what has no effect; ``print`` will do.
        command: the command line that makes this again, for the report.
        check_labels: look for wrong labels as well, by cross-validation after the training: see `review`. They are
            shown in the report and listed in the folder's ``suspects.csv``.
        checkpoint_every: least seconds between two checkpoints.
        processes: how many train together on this machine. With more than one, all are started by PyTorch's
            elastic launch and end with the training; callbacks, progress and said are called in the first of them,
            and must be picklable.
        threads: with how many threads each process computes; the same number gives the same bits. None chooses: one
            for small steps, and one where other programs leave less than two cores free.
        group_gap: train once more with a random division, and report both accuracies: see `measure_group_gap`.

    Under torchrun all its processes call this alike, and train together; the first one writes, shows and judges,
    and in the others the run has no evaluation.

    Raises:
        RunFolderError: ``out`` is in use, holds a run, or trainings of several seeds.
        TrainingError: another process has ended before its time.
        DataError, SettingsError, DeviceError, DivergedError: see there. When a training diverges, the last
            good weights are in the folder all the same.
    """
    place = _place_of(processes)
    check_time(seconds, changes or {}, max(place.size, processes))
    if place.size < processes:
        return _train_together(
            processes, data, preset=preset, recipe=recipe, changes=changes, out=out, overwrite=overwrite,
            device=device, callbacks=callbacks, progress=progress, said=said, command=command,
            check_labels=check_labels, checkpoint_every=checkpoint_every, threads=threads, group_gap=group_gap,
        )  # fmt: skip
    if place.rank:
        out = progress = said = None
    folder = None if out is None else RunFolder(Path(out))
    if folder is not None:
        folder.check(overwrite=overwrite)
    with contextlib.ExitStack() as held:
        changes = dict(changes or {})
        with joined(place, device) as collective:
            with collective.first_in_turn():
                chosen = recipe or preset
                recipe, splits = prepare(data, preset or "balanced", recipe, changes, progress)
            if group_gap:
                check_group_gap(recipe, splits, place.size)
            tell(said, *look_over(splits).lines, *recipe.without_effect(given=tuple(changes)))
            if seconds is not None:
                recipe, sentence = fit_into(seconds, recipe, None if chosen else changes, splits, device)
                tell(said, sentence)
            began = today()
            if folder is not None:
                folder.check(overwrite=overwrite, inputs=inputs_of(recipe))
                held.enter_context(folder.held())
            fitting = fitting_of(recipe, splits, device, collective, threads)
            tell(said, str(fitting.arithmetic))
            if folder is not None:
                folder.clear()
                atomic_write_text(folder.recipe, recipe.to_yaml())
                tell(said, f"The run is written to {folder.path}.")
            result = _fit(fitting, splits, folder, callbacks, checkpoint_every, began, said)
        if place.rank:
            return _unjudged(result, recipe, splits, began)
        gap = partial(
            measure_group_gap, recipe=recipe, splits=splits, device=device, threads=threads, callbacks=callbacks,
            progress=progress,
        )  # fmt: skip
        return conclude(
            result, recipe, splits, folder, progress, command, began, check_labels=check_labels, said=said,
            more=gap if group_gap else None,
        )  # fmt: skip


def resume(
    out: str | os.PathLike[str],
    *,
    splits: Splits | None = None,
    device: str = "auto",
    callbacks: Sequence[Callback] = (),
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
    command: str = "",
    check_labels: bool = False,
    checkpoint_every: float = 1.0,
    processes: int = 1,
    threads: int | None = None,
    report: bool = True,
) -> Run:
    """Go on with the training in a run folder, to the same end, bit for bit, as if it had never been stopped.

    Args:
        out: the run folder.
        splits: the data, where the run was made from loaded splits and cannot load them itself.
        device, callbacks, progress, said, command, check_labels, checkpoint_every, processes: as for `train`. Another
            number of processes than before gives the same, but for rounding and for what is drawn at random.
        threads: with how many to compute if the run folder does not say: it has no checkpoint yet, or one of another
            number of processes.
        report: write report.html, too, which takes most of the time of a small training.

    Raises:
        RunFolderError: there is nothing to go on with, another process is at it, or the data have changed.
    """
    place = _place_of(processes)
    folder = RunFolder(Path(out))
    if place.rank:
        progress = said = None
    elif not folder.recipe.is_file():
        raise RunFolderError(f"{folder.path}: no run to resume: there is no {folder.recipe.name} in it.")
    if place.size < processes:
        return _resume_together(
            processes, folder, splits, device=device, callbacks=callbacks, progress=progress, said=said,
            command=command, check_labels=check_labels, checkpoint_every=checkpoint_every, threads=threads,
            report=report,
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
                splits = splits or _read_again(folder, recipe, progress)
            tell(said, *look_over(splits).lines)
            fitting = fitting_of(recipe, splits, device, collective, threads)
            began = today() if place.rank else go_on(fitting, splits, folder)
            tell(said, str(fitting.arithmetic))
            result = _fit(fitting, splits, None if place.rank else folder, callbacks, checkpoint_every, began, said)
        if place.rank:
            return _unjudged(result, recipe, splits, began)
        return conclude(
            result,
            recipe,
            splits,
            folder,
            progress,
            command,
            began,
            check_labels=check_labels,
            report=report,
            said=said,
        )


def _read_again(folder: RunFolder, recipe: Recipe, progress: Progress | None) -> Splits:
    """The data of a run."""
    if recipe.data is None:
        raise RunFolderError(
            f"{folder.path}: this run was made from data in memory. Resume it from Python: "
            "glyphnet.resume(folder, splits=...)."
        )
    return read_again(recipe.data, progress)


def tell(said: Callable[[str], None] | None, *sentences: str) -> None:
    """Say sentences to the user, if anybody listens."""
    for sentence in sentences:
        if said:
            said(sentence)


def _fit(
    fitting: Fitting,
    splits: Splits,
    folder: RunFolder | None,
    callbacks: Sequence[Callback],
    checkpoint_every: float,
    began: str,
    said: Callable[[str], None] | None,
) -> FitResult:
    """Train, with the folder kept up to date; where the training diverges, what was good is written down."""
    if said is not None:
        callbacks = [*callbacks, Slowdown(said)]
    if folder is None:
        return fitting.run(callbacks=callbacks)
    try:
        return fitting.run(callbacks=[*writers(fitting, splits, folder, began, checkpoint_every), *callbacks])
    except DivergedError as error:
        if isinstance(error.result, FitResult):
            write_history(folder.history, error.result.history)
            make_classifier(error.result, fitting.recipe, splits, began).save(folder.model)
        raise


def _place_of(processes: int) -> Place:
    """Which of torchrun's processes this is, if any.

    Raises:
        SettingsError: torchrun has started processes, and another number is asked for.
        TrainingError: torchrun's environment makes no sense.
    """
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
    """Start processes that train together; what cannot work is refused before."""
    progress, chosen = arguments["progress"], arguments.pop("preset")
    recipe, splits = prepare(data, chosen or "balanced", arguments["recipe"], arguments.pop("changes") or {}, progress)
    _check_together(processes, recipe, splits, arguments["device"])
    arguments["recipe"] = recipe
    return run_together("train", processes, splits, arguments, carried=recipe.data is None)


def _resume_together(processes: int, folder: RunFolder, splits: Splits | None, **arguments: Any) -> Run:
    recipe, carried = read_recipe(folder.recipe), splits is not None
    splits = splits or _read_again(folder, recipe, arguments["progress"])
    _check_together(processes, recipe, splits, arguments["device"])
    return run_together("resume", processes, splits, {"out": folder.path, **arguments}, carried=carried)


def _check_together(processes: int, recipe: Recipe, splits: Splits, device: str) -> None:
    check_parts(processes, len(splits.train), recipe)
    Place(0, processes, 0, processes).device(device)


def _unjudged(result: FitResult, recipe: Recipe, splits: Splits, began: str) -> Run:
    """The run as the processes other than the first have it."""
    return Run(
        classifier=make_classifier(result, recipe, splits, began) if result.best_epoch else None,
        evaluation=None,
        recipe=recipe,
        splits=splits,
        history=result.history,
        best_epoch=result.best_epoch,
        ending=result.ending,
        seconds=result.seconds,
        folder=None,
    )


# What a training keeps up to date in its folder while it runs, and how it goes on from there


def go_on(fitting: Fitting, splits: Splits, folder: RunFolder) -> str:
    """Go to where the folder's checkpoint was written, if there is one.

    Returns:
        The day on which the training began.

    Raises:
        RunFolderError, CorruptFileError: as `Fitting.read_checkpoint`.
    """
    if not folder.checkpoint.exists():
        return today()
    began: str = fitting.read_checkpoint(folder.checkpoint, _terms(fitting, splits, today()))["began"]
    return began


def writers(fitting: Fitting, splits: Splits, folder: RunFolder, began: str, every: float = 1.0) -> list[Callback]:
    """What writes the checkpoint and the history while the training runs. To be told before all other callbacks, so
    that what those do with the state is never ahead of what is written down.

    Args:
        began: the day on which the training began.
        every: least seconds between two checkpoints.
    """
    return [
        CheckpointWriter(folder.checkpoint, _terms(fitting, splits, began), every=every),
        HistoryWriter(folder.history),
    ]


def _terms(fitting: Fitting, splits: Splits, began: str) -> dict[str, Any]:
    """What must be the same for the training to go on, and the day on which it began, which is kept."""
    data = {"training data": splits.train.fingerprint, "validation data": splits.validation.fingerprint}
    return {**fitting.terms, **data, "began": began}
