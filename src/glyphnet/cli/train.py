"""``glyphnet train``: from labelled images to a run folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os.path import basename
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files import Replacing
from ..progress import Reporter
from ..units import portable_name
from .console import INTERRUPTED, command_line, emit_json, printable, progress, say, show
from .data import show_suspects
from .options import (
    DataArgument,
    DataOptions,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    RecipeOptions,
    ThreadsOption,
    given_parameters,
    parse_duration,
    replacing,
)

if TYPE_CHECKING:
    from ..data.settings import DataSettings
    from ..runs import Run
    from ..studies.seeds import SeedRuns
    from ..training import LogTo, Recipe
    from ..training.device import Place


@dataclass(frozen=True)
class TrainOptions(RecipeOptions):
    """The options of ``glyphnet train``."""

    seconds: Annotated[float | None, typer.Option(
        "--time", metavar="TIME", parser=parse_duration, help="Train as well as possible in this time (90s, 10m, 2h): "
        "a small network first, then larger ones and more passes, as long as they fit and validation gains; the best "
        "is kept. With --preset, --recipe, --backbone or --unlabelled it varies the passes alone.",
    )] = None  # fmt: skip
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="DIR", help="The run folder to make; runs/DATA-PRESET unless given.",
    )] = None  # fmt: skip
    overwrite: OverwriteOption = False
    resume: Annotated[Path | None, typer.Option("--resume", metavar="DIR", help="Resume the run in this folder.")] = (
        None
    )
    check_labels: Annotated[bool, typer.Option(
        "--check-labels", help="Look for wrong labels as well, and write the suspects beside the model.",
    )] = False  # fmt: skip
    group_gap: Annotated[bool, typer.Option(
        "--group-gap", help="Train once more with a random split, and report both accuracies: how much pictures of "
        "one group on both sides would flatter. Takes twice the time.",
    )] = False  # fmt: skip
    device: DeviceOption = "auto"
    processes: Annotated[int, typer.Option(
        "--processes", metavar="N", min=1, help="Train with N processes on this machine, each on its share of every "
        "batch. For several machines: torchrun … -m glyphnet train …",
    )] = 1  # fmt: skip
    threads: ThreadsOption = None
    seeds: Annotated[int | None, typer.Option(
        "--seeds", metavar="N", min=2, help="Train N times, with the seeds --seed, --seed + 1, …, and report mean and "
        "spread of the accuracy.",
    )] = None  # fmt: skip
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="With --seeds: also average the N networks into one model.")
    ] = False
    at_once: Annotated[int | None, typer.Option(
        "--at-once", metavar="N", min=1, help="With --seeds: how many side by side, each with its share of the cores. "
        "Default: one for each core, or 1 for trainings so short that starting processes takes longer.",
    )] = None  # fmt: skip
    log: Annotated[list[str] | None, typer.Option(
        "--log", metavar="KIND[:PLACE]", help="Log the figures of each epoch: tensorboard, mlflow, wandb, csv or "
        "jsonl; may be repeated. PLACE is a file, a folder, an address or a project; in the run folder unless given.",
    )] = None  # fmt: skip
    as_json: JsonOption = False


def train(ctx: typer.Context, *, data: DataArgument = "digits", options: TrainOptions, how: DataOptions) -> None:
    """Train a classifier on labelled images and write its run folder: model, figures, report.

    DATA is divided into training, validation and test images; the test images are looked at once, at the
    end. Ctrl-C or SIGTERM stops after the running step, with status 0; --resume continues from there to the
    very same result.
    """
    given = given_parameters(ctx)
    several = concerns_seeds(given, options.resume)
    _refuse_beside_resume(given)
    changes, recipe = options.changes(), options.read(given)
    source = how.settings(data if "data" in given else None, recipe.data if recipe else None)
    from ..training.device import Place

    place = Place.from_environment()
    if options.processes > place.size == 1 and not several:
        _launch(options.processes)
        return
    start = None
    if options.resume is None:
        how_made = _how_made(given, options.preset) + (f"-{options.seeds}-seeds" if several else "")
        out = options.out or free_folder(source.source, how_made)
        preset = None if options.seconds and "preset" not in given else options.preset
        from ..runs import RunFolder

        replacing(ctx, True).check_in(out, map(basename, RunFolder(out).files()))
        start = Start(source, preset, recipe, changes, out)
    if several:
        train_seeds(options, start)
    else:
        _train_one(options, start, place)


@dataclass(frozen=True)
class Start:
    """What a new training starts from; see `glyphnet.train`."""

    data: DataSettings
    preset: str | None
    recipe: Recipe | None
    changes: Mapping[str, object]
    out: Path


def _train_one(options: TrainOptions, start: Start | None, place: Place) -> None:
    """Train one run, or resume the one of --resume, and print the result."""
    from ..training.collective import is_launched
    from ..training.launch import tell_end

    first = place.rank == 0  # it reports
    try:
        run = _run(options, start, place)
    except KeyboardInterrupt:
        from ..runs import RunFolder

        folder = options.resume if start is None else start.out
        begun = folder is not None and (RunFolder(folder).checkpoint.exists() or RunFolder(folder).time.exists())
        if first and folder is not None and begun:
            say(how_to_continue(folder))
        if is_launched():
            raise typer.Exit(INTERRUPTED) from None
        raise
    if not first:
        return
    tell_end()
    if options.as_json:
        emit_json(_as_dict(run))
    elif run.ending != "stopped":
        _show(run)
        show_suspects(run)
    if run.ending == "stopped":
        assert run.folder is not None
        say(f"{run} {how_to_continue(run.folder.path)}")


def _run(options: TrainOptions, start: Start | None, place: Place) -> Run:
    from .. import runs
    from ..live import TrainingDisplay
    from ..training import StopOnSignal

    logs = _logs(options, start) if place.rank == 0 else []
    with (
        _reported_once(),
        progress() as reading,
        StopOnSignal(patient=place.size > 1) as stop,
        TrainingDisplay() as bar,
        ExitStack() as logging,
    ):
        opened = [logging.enter_context(log) for log in logs]
        callbacks, reporter = (stop, bar, *opened) if place.rank == 0 else (stop,), Reporter(say, reading)
        if start is None:
            assert options.resume is not None
            return runs.resume(
                options.resume, device=options.device, callbacks=callbacks, reporter=reporter,
                command=shlex.join(["glyphnet", "train", "--recipe", str(options.resume / "recipe.yaml")]),
                check_labels=options.check_labels, processes=options.processes, threads=options.threads,
            )  # fmt: skip
        return runs.train(
            start.data, preset=start.preset, seconds=options.seconds, recipe=start.recipe, changes=start.changes,
            out=start.out, overwrite=options.overwrite, device=options.device, callbacks=callbacks, reporter=reporter,
            command=command_line(), check_labels=options.check_labels, processes=options.processes,
            threads=options.threads, group_gap=options.group_gap,
        )  # fmt: skip


def _logs(options: TrainOptions, start: Start | None) -> list[LogTo]:
    """The logs that are asked for; what they would replace is checked before the work begins."""
    from ..training.loggers import LogTo

    folder = options.resume if start is None else start.out
    logs = [LogTo(kind, folder, say) for kind in options.log or ()]
    for log in logs:
        overwrite = options.overwrite or start is None
        where = Path(log.place)
        if log.writes == "file" and (log.is_default or where.parent.is_dir()):
            Replacing((), overwrite, log.is_default).check_in(where.parent, [where.name])
        elif log.writes == "file":
            raise typer.BadParameter(f"--log {log.kind}:{log.place}: there is no folder {where.parent}. Make it first.")
        elif log.writes == "folder":
            Replacing().check_in(where, ())
    return logs


def _launch(processes: int) -> None:
    """Run this very command in several processes."""
    from ..training.launch import WorkerFailedError, launch

    try:
        launch(processes, "from glyphnet.cli import main\nmain()")
    except WorkerFailedError as failed:
        raise typer.Exit(failed.status) from failed


@contextmanager
def _reported_once() -> Iterator[None]:
    """Let one of several processes report what went wrong, and the others end silently."""
    from ..training.collective import LOST, PeerLostError, is_launched

    try:
        yield
    except PeerLostError as error:
        if not error.reported and not is_launched():
            raise
        raise typer.Exit(LOST) from error


_WITH_RESUME = ("resume", "log", "device", "processes", "threads", "check_labels", "ensemble", "at_once", "as_json")
"""Parameters that change nothing of what is trained, and may stand beside --resume."""


def _refuse_beside_resume(given: dict[str, str]) -> None:
    """Refuse options that would be ignored."""
    if "resume" in given:
        ignored = [name for parameter, name in given.items() if parameter not in _WITH_RESUME]
        if ignored:
            raise typer.BadParameter(
                f"--resume keeps the recipe of the run: {', '.join(ignored)} cannot be given with it."
            )


def _show(run: Run) -> None:
    """Print the result for a person."""
    from ..data import look_over

    if run.ending == "early_stopping":
        print(f"Stopped early: nothing better since epoch {run.best_epoch}.")
    known = look_over(run.splits).findings  # said before the training
    show(str(run), *(f"Warning: {finding}" for finding in run.findings if finding not in known))
    assert run.folder is not None
    model = printable(shlex.quote(str(run.folder.model)))
    print(f"\nModel:   {model}")
    if run.evaluation is not None:
        show(f"Report:  {run.folder.report}")
    print("\nWhat to try next:")
    if run.evaluation is not None:
        print("  open the report in a browser: it shows where the model fails, image by image")
    from ..nn.efficientnet import EfficientNetLiteSpec

    export = _EXPORT_LARGE if isinstance(run.recipe.network, EfficientNetLiteSpec) else _EXPORT
    for verb, rest, what in (*_NEXT, export):
        command = f"glyphnet {verb} {model}{rest}"
        print(f"  {command}\n      {what}")


_NEXT = (
    ("predict", " IMAGE...", "name the class of your own images"),
    ("explain", " IMAGE...", "show what it looked at"),
)
"""Verb, what follows the model, what for."""
_EXPORT = "export", " --format html", "a page to draw on, in one file that works offline"
_EXPORT_LARGE = "export", " --format onnx", "for ONNX Runtime, without PyTorch"  # a page cannot hold that network


def _as_dict(run: Run) -> dict[str, object]:
    return {
        "ending": run.ending,
        "epochs": len(run.history),
        "best_epoch": run.best_epoch,
        "seconds": round(run.seconds, 3),
        "folder": run.folder and str(run.folder.path),
        "findings": [finding.to_dict() for finding in run.findings],
        "evaluation": None if run.evaluation is None else run.evaluation.to_dict(),
        "labels": None if run.review is None else run.review.to_dict(),
    }


# The default name of a run folder, and the command that resumes its run


def data_name(data: str) -> str:
    """What output is called after the data: the last part of a path, or the name of a data set."""
    name = data.removeprefix("name:")
    return portable_name(Path(data).resolve().name if name == data and Path(data).exists() else name)


def free_folder(data: str, how: str) -> Path:
    """``runs/mnist-fast``, or the first of ``runs/mnist-fast-2``, … that is not there."""
    name = f"{data_name(data)}-{how}".lstrip(".")
    number = 1
    while (folder := Path("runs") / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def _how_made(given: Mapping[str, str], preset: str) -> str:
    """What the run is called after, beside the data: see `given_parameters`."""
    if "recipe" in given:
        return "recipe"
    return "timed" if "seconds" in given and "preset" not in given else preset


def how_to_continue(folder: Path) -> str:
    """The command that resumes, as a sentence."""
    return f"Resume with: glyphnet train --resume {shlex.quote(str(folder))}"


# ``glyphnet train --seeds``: several trainings that differ only in their seed, and their ensemble

_ALONE = ("log", "group_gap", "seconds", "processes", "check_labels")
"""Parameters of one training that do not apply to several."""


def concerns_seeds(given: dict[str, str], resume: Path | None) -> bool:
    """Whether several trainings are requested; options that do not apply are refused. See `given_parameters`."""
    several = "seeds" in given
    if resume is not None:
        from ..studies.seeds import is_seeds_folder

        several = is_seeds_folder(resume)
    names = [name for parameter, name in given.items() if parameter in (_ALONE if several else ("ensemble", "at_once"))]
    if names and several:
        raise typer.BadParameter(f"{', '.join(names)}: for one training, not for several seeds. Leave it out.")
    if names:
        raise typer.BadParameter(f"{', '.join(names)}: for several seeds. Give --seeds 10 as well.")
    return several


def train_seeds(options: TrainOptions, start: Start | None) -> None:
    """Train with several seeds, or resume such trainings, and print the results."""
    from ..live import SeedsDisplay
    from ..studies import seeds as verbs
    from .stopping import StopSeedsOnSignal

    folder = options.resume if start is None else start.out
    assert folder is not None
    stop, table = StopSeedsOnSignal(), SeedsDisplay()
    try:
        with progress() as reading, stop, table:
            reporter = Reporter(say, reading)
            if start is None:
                found = verbs.resume_seeds(
                    folder, ensemble=options.ensemble, at_once=options.at_once, device=options.device,
                    threads=options.threads, callbacks=(stop, table), reporter=reporter,
                    command=shlex.join(["glyphnet", "train", "--resume", str(folder)]),
                )  # fmt: skip
            else:
                found = verbs.train_seeds(
                    start.data, seeds=options.seeds or 0, ensemble=options.ensemble, at_once=options.at_once,
                    preset=options.preset, recipe=start.recipe, changes=start.changes, out=folder,
                    overwrite=options.overwrite, device=options.device, threads=options.threads,
                    callbacks=(stop, table), reporter=reporter, command=command_line(),
                )  # fmt: skip
    except KeyboardInterrupt:
        if verbs.is_seeds_folder(folder):
            say(how_to_continue(folder))
        raise
    if options.as_json:
        emit_json(found.to_dict())
    elif found.ending == "finished":
        _show_seeds(found, folder)
    if found.ending == "stopped":
        say(f"Stopped; {len(found.runs)} of {len(found.seeds)} seeds are finished. {how_to_continue(folder)}")


def _show_seeds(found: SeedRuns, folder: Path) -> None:
    """Print the results for a person."""
    from ..studies.seeds.results import sentences

    show(*sentences(found), "", f"Runs:    {folder / 'seed-*'}, with seeds.csv and seeds.json")
    if found.ensemble is not None:
        model = found.ensemble.folder or folder
        show(f"Model:   {shlex.quote(str(model / 'model.safetensors'))}", f"Report:  {model / 'report.html'}")
        return
    again = shlex.join(["glyphnet", "train", "--resume", str(folder), "--ensemble"])
    show("", "What to try next:", f"  {again}", "      one model that averages all of them, mostly better than each")
