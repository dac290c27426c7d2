"""``glyphnet train``: from labelled images to a run folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import basename
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..progress import Reporter
from .console import INTERRUPTED, emit_json, printable, progress, say
from .data import tell_suspects
from .options import (
    AS_DEFAULT,
    DataArgument,
    DataOptions,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    RecipeOptions,
    ThreadsOption,
    given_parameters,
    parse_duration,
    reads_data,
    replacing,
)

if TYPE_CHECKING:
    from ..runs import Run
    from ..studies.seeds import SeedRuns
    from ..training.device import Place


@dataclass(frozen=True)
class TrainOptions(RecipeOptions):
    """The options of ``glyphnet train``."""

    seconds: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="TIME",
            parser=parse_duration,
            help="Train as well as possible in this time (90s, 10m, 2h): chooses the preset, unless given, and the "
            "number of epochs.",
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The run folder to make; runs/DATA-PRESET unless given."),
    ] = None
    overwrite: OverwriteOption = False
    resume: Annotated[Path | None, typer.Option("--resume", metavar="DIR", help="Resume the run in this folder.")] = (
        None
    )
    check_labels: Annotated[
        bool,
        typer.Option("--check-labels", help="Look for wrong labels as well, and write the suspects beside the model."),
    ] = False
    group_gap: Annotated[
        bool,
        typer.Option(
            "--group-gap",
            help="Train once more with a random split, and report both accuracies: how much pictures of one group on "
            "both sides would flatter. Takes twice the time.",
        ),
    ] = False
    device: DeviceOption = "auto"
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            metavar="N",
            min=1,
            help="Train with N processes on this machine, each on its share of every batch. "
            "For several machines: torchrun … -m glyphnet train …",
        ),
    ] = 1
    threads: ThreadsOption = None
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            metavar="N",
            min=2,
            help="Train N times, with the seeds --seed, --seed + 1, …, and report mean and spread of the accuracy.",
        ),
    ] = None
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="With --seeds: also average the N networks into one model.")
    ] = False
    at_once: Annotated[
        int | None,
        typer.Option(
            "--at-once",
            metavar="N",
            min=1,
            help="With --seeds: how many side by side, each with its share of the cores. Default: one for each core, "
            "or 1 for trainings so short that starting processes takes longer.",
        ),
    ] = None
    as_json: JsonOption = False


@reads_data()
def train(
    ctx: typer.Context, *, data: DataArgument = "digits", options: TrainOptions, how: DataOptions = AS_DEFAULT
) -> None:
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
    out = options.out
    if options.resume is None and out is None:
        out = free_folder(
            source.source, how_made(given, options.preset) + (f"-{options.seeds}-seeds" if several else "")
        )
    if out is not None:
        from ..runs import RunFolder

        replacing(ctx, True).check_in(out, map(basename, RunFolder(out).files()))
    preset = None if options.seconds and "preset" not in given else options.preset
    what: dict[str, Any] = {
        "data": source, "preset": preset, "recipe": recipe, "changes": changes, "out": out,
        "overwrite": options.overwrite, "command": shlex.join(["glyphnet", *sys.argv[1:]]),
    }  # fmt: skip
    if several:
        train_seeds(options, what)
    else:
        _train_one(options, what, place)


def _train_one(options: TrainOptions, what: dict[str, Any], place: Place) -> None:
    """Train or resume one run, and print the result.

    Args:
        what: arguments of `glyphnet.train` that `glyphnet.resume` does not have.
    """
    from .. import runs
    from ..training import StopOnSignal
    from ..training.collective import is_launched
    from ..training.launch import tell_end
    from .live import TrainingDisplay

    first, resume = place.rank == 0, options.resume  # the first process reports
    common: dict[str, Any] = {
        "device": options.device, "check_labels": options.check_labels, "processes": options.processes,
        "threads": options.threads,
    }  # fmt: skip
    try:
        with (
            _told_once(),
            progress() as reading,
            StopOnSignal(patient=place.size > 1) as stop,
            TrainingDisplay() as bar,
        ):
            common |= {"callbacks": (stop, bar) if first else (stop,), "reporter": Reporter(say, reading)}
            if resume is not None:
                again = shlex.join(["glyphnet", "train", "--recipe", str(resume / "recipe.yaml")])
                run = runs.resume(resume, command=again, **common)
            else:
                run = runs.train(seconds=options.seconds, group_gap=options.group_gap, **what, **common)
    except KeyboardInterrupt:
        folder = runs.RunFolder(resume or what["out"])
        if folder.checkpoint.exists() and first:
            say(how_to_continue(folder.path))
        if is_launched():
            raise typer.Exit(INTERRUPTED) from None
        raise
    if not first:
        return
    tell_end()
    if options.as_json:
        emit_json(_as_dict(run))
    elif run.ending != "stopped":
        _tell(run)
        tell_suspects(run)
    if run.ending == "stopped":
        assert run.folder is not None
        say(f"{run} {how_to_continue(run.folder.path)}")


def _launch(processes: int) -> None:
    """Run this very command in several processes."""
    from ..training.launch import WorkerFailedError, launch

    try:
        launch(processes, "from glyphnet.cli import main\nmain()")
    except WorkerFailedError as failed:
        raise typer.Exit(failed.status) from failed


@contextmanager
def _told_once() -> Iterator[None]:
    """Let one of several processes report what went wrong, and the others end silently."""
    from ..training.collective import LOST, PeerLostError, is_launched

    try:
        yield
    except PeerLostError as error:
        if not error.told and not is_launched():
            raise
        raise typer.Exit(LOST) from error


_WITH_RESUME = ("resume", "device", "processes", "threads", "check_labels", "ensemble", "at_once", "as_json")
"""Parameters that change nothing of what is trained, and may stand beside --resume."""


def _refuse_beside_resume(given: dict[str, str]) -> None:
    """Refuse options that would be ignored."""
    if "resume" in given:
        ignored = [name for parameter, name in given.items() if parameter not in _WITH_RESUME]
        if ignored:
            raise typer.BadParameter(
                f"--resume keeps the recipe of the run: {', '.join(ignored)} cannot be given with it."
            )


def _tell(run: Run) -> None:
    """What came out, for a person."""
    from ..data import look_over

    if run.ending == "early_stopping":
        print(f"Stopped early: nothing better since epoch {run.best_epoch}.")
    print(printable(str(run)))
    told = look_over(run.splits).findings  # before the training
    for finding in run.findings:
        if finding not in told:
            print(printable(f"Warning: {finding}"))
    assert run.folder is not None
    model = printable(shlex.quote(str(run.folder.model)))
    print(f"\nModel:   {model}")
    if run.evaluation is not None:
        print(f"Report:  {printable(str(run.folder.report))}")
    print("\nWhat to try next:")
    if run.evaluation is not None:
        print("  open the report in a browser: it shows where the model fails, image by image")
    for verb, rest, what in _NEXT:
        command = f"glyphnet {verb} {model}{rest}"
        print(f"  {command}\n      {what}")


_NEXT = (
    ("predict", " IMAGE...", "name the class of your own images"),
    ("explain", " IMAGE...", "show what it looked at"),
    ("export", " --format html", "a page to draw on, in one file that works offline"),
)
"""Verb, what follows the model, what for."""


def _as_dict(run: Run) -> dict[str, object]:
    return {
        "ending": run.ending,
        "epochs": len(run.history),
        "best_epoch": run.best_epoch,
        "seconds": round(run.seconds, 3),
        "folder": None if run.folder is None else str(run.folder.path),
        "findings": [finding.to_dict() for finding in run.findings],
        "evaluation": None if run.evaluation is None else run.evaluation.to_dict(),
        "labels": None if run.review is None else run.review.to_dict(),
    }


# The default name of a run folder, and the command that resumes its run


def data_name(data: str) -> str:
    """What output is called after the data: the last part of a path, or the name of a data set."""
    name = data.removeprefix("name:")
    return Path(data).resolve().name if name == data and Path(data).exists() else name.replace("/", "-")


def free_folder(data: str, how: str) -> Path:
    """``runs/mnist-fast``, or the first of ``runs/mnist-fast-2``, … that is not there."""
    name = f"{data_name(data)}-{how}".lstrip(".")
    number = 1
    while (folder := Path("runs") / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def how_made(given: dict[str, str], preset: str) -> str:
    """What the run is called after, beside the data.

    Args:
        given: the parameters on the command line, with what they are called there.
    """
    if "recipe" in given:
        return "recipe"
    return "timed" if "seconds" in given and "preset" not in given else preset


def how_to_continue(folder: Path) -> str:
    """The command that resumes, as a sentence."""
    return f"Resume with: glyphnet train --resume {shlex.quote(str(folder))}"


# ``glyphnet train --seeds``: several trainings that differ only in their seed, and their ensemble

_ALONE = ("group_gap", "seconds", "processes", "check_labels")
"""Parameters of one training that do not apply to several."""


def concerns_seeds(given: dict[str, str], resume: Path | None) -> bool:
    """Whether several trainings are requested; options that do not apply are refused.

    Args:
        given: the parameters on the command line, with their names there.
        resume: the folder to resume.
    """
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


def train_seeds(options: TrainOptions, what: dict[str, Any]) -> None:
    """Train or resume them, and print the results.

    Args:
        what: arguments of `glyphnet.train_seeds` that `glyphnet.resume_seeds` does not have.
    """
    from ..studies import seeds as verbs
    from .live import SeedsDisplay, StopSeedsOnSignal

    resume, folder = options.resume, options.resume or what["out"]
    stop, table = StopSeedsOnSignal(), SeedsDisplay()
    common: dict[str, Any] = {
        "ensemble": options.ensemble, "at_once": options.at_once, "device": options.device,
        "threads": options.threads, "callbacks": (stop, table),
    }  # fmt: skip
    try:
        with progress() as reading, stop, table:
            common["reporter"] = Reporter(say, reading)
            if resume is not None:
                again = shlex.join(["glyphnet", "train", "--resume", str(resume)])
                found = verbs.resume_seeds(resume, command=again, **common)
            else:
                found = verbs.train_seeds(seeds=options.seeds or 0, **what, **common)
    except KeyboardInterrupt:
        if verbs.is_seeds_folder(folder):
            say(how_to_continue(folder))
        raise
    if options.as_json:
        emit_json(found.to_dict())
    elif found.ending == "finished":
        _show(found, folder)
    if found.ending == "stopped":
        say(f"Stopped; {len(found.runs)} of {len(found.seeds)} seeds are finished. {how_to_continue(folder)}")


def _show(found: SeedRuns, folder: Path) -> None:
    """Print the results for a person."""
    from ..studies.seeds.results import sentences

    print(*map(printable, sentences(found)), sep="\n")
    print(f"\nRuns:    {printable(str(folder / 'seed-*'))}, with seeds.csv and seeds.json")
    model = (found.runs[0].folder if found.ensemble is None else found.ensemble.folder) or folder
    if found.ensemble is not None:
        print(f"Model:   {printable(shlex.quote(str(model / 'model.safetensors')))}")
        print(f"Report:  {printable(str(model / 'report.html'))}")
        return
    print("\nWhat to try next:")
    again = shlex.join(["glyphnet", "train", "--resume", str(folder), "--ensemble"])
    print(f"  {printable(again)}\n      one model that averages all of them, mostly better than each")
