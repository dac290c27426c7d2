"""``glyphnet train``: from labelled images to a run folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from os.path import basename
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import emit_json, printable, progress, say
from .failures import INTERRUPTED
from .options import (
    AS_DEFAULT,
    DataArgument,
    DataOptions,
    DeviceOption,
    JsonOption,
    NetworkOption,
    OverwriteOption,
    RecipeOption,
    SettingsOption,
    ThreadsOption,
    changes_from,
    given_parameters,
    parse_duration,
    reads_data,
    replacing,
)
from .reviewing import tell_suspects

if TYPE_CHECKING:
    from ..runs import Run
    from ..studies.seeds import SeedRuns
    from ..training import DataSettings, Recipe


# Before the verb: its decorator evaluates the annotations.
SeedsOption = Annotated[
    int | None,
    typer.Option(
        "--seeds",
        metavar="N",
        min=2,
        help="Train N times, with the seeds --seed, --seed + 1, …, and report mean and spread of the accuracy.",
    ),
]
EnsembleOption = Annotated[
    bool, typer.Option("--ensemble", help="With --seeds: also average the N networks into one model.")
]
AtOnceOption = Annotated[
    int | None,
    typer.Option(
        "--at-once",
        metavar="N",
        min=1,
        help="With --seeds: how many side by side, each with its share of the cores. Default: one for each core, or 1 "
        "for trainings so short that starting processes takes longer.",
    ),
]


@reads_data()
def train(
    ctx: typer.Context,
    data: DataArgument = "digits",
    preset: Annotated[
        str,
        typer.Option("--preset", help="fast (seconds), balanced (a minute) or best (as good as it gets)."),
    ] = "balanced",
    seconds: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="TIME",
            parser=parse_duration,
            help="Train as well as is possible in so much time (90s, 10m, 2h): chooses the preset, unless one is "
            "given, and the number of epochs.",
        ),
    ] = None,
    network: NetworkOption = None,
    settings: SettingsOption = None,
    recipe: RecipeOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The run folder to make; runs/DATA-PRESET unless given."),
    ] = None,
    overwrite: OverwriteOption = False,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="DIR", help="Go on with the run in this folder.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", min=0, help="Seed of weights, order, dropout and augmentation."),
    ] = None,
    how: DataOptions = AS_DEFAULT,
    check_labels: Annotated[
        bool,
        typer.Option("--check-labels", help="Look for wrong labels as well, and write the suspects beside the model."),
    ] = False,
    group_gap: Annotated[
        bool,
        typer.Option(
            "--group-gap",
            help="Train once more with a random split, and report both accuracies: how much pictures of one group on "
            "both sides would flatter. Takes twice the time.",
        ),
    ] = False,
    device: DeviceOption = "auto",
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            metavar="N",
            min=1,
            help="Train with so many processes on this machine, each on its share of every batch. "
            "For several machines: torchrun … -m glyphnet train …",
        ),
    ] = 1,
    threads: ThreadsOption = None,
    seeds: SeedsOption = None,
    ensemble: EnsembleOption = False,
    at_once: AtOnceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier on labelled images and write its run folder: model, figures, report.

    DATA is divided into training, validation and test images; the test images are looked at once, at the
    end. Ctrl-C or SIGTERM stops after the step that is running, with status 0, and --resume goes on from there to the
    very same result.
    """
    given = given_parameters(ctx)
    several = concerns_seeds(given, resume)
    _refuse_together(given)
    changes = changes_from(settings or [])
    if network is not None:
        changes["network"] = network
    if seed is not None:
        changes["seed"] = seed
    from .. import runs
    from ..training import StopOnSignal
    from ..training.collective import Place, is_launched
    from ..training.launch import tell_end
    from .live import TrainingDisplay

    described = None if recipe is None else runs.read_recipe(recipe)
    source = how.settings(data if "data" in given else None, described.data if described else None)
    place = Place.from_environment()
    if processes > place.size == 1 and not several:
        _launch(processes)
        return
    if resume is None and out is None:
        out = free_folder(source.source, how_made(given, preset) + (f"-{seeds}-seeds" if several else ""))
    if out is not None:
        replacing(ctx, True).check_in(out, map(basename, runs.RunFolder(out).files()))
    if several:
        train_seeds(
            source, seeds=seeds, ensemble=ensemble, at_once=at_once, preset=preset, recipe=described, changes=changes,
            out=out, overwrite=overwrite, resume=resume, device=device, threads=threads, as_json=as_json,
        )  # fmt: skip
        return
    try:
        first = place.rank == 0  # it shows how it goes
        with (
            _told_once(),
            progress() as reading,
            StopOnSignal(patient=place.size > 1) as stop,
            TrainingDisplay() as bar,
        ):
            callbacks = (stop, bar) if first else (stop,)
            if resume is not None:
                run = runs.resume(
                    resume, device=device, callbacks=callbacks, progress=reading, said=say, check_labels=check_labels,
                    processes=processes, threads=threads,
                    command=shlex.join(["glyphnet", "train", "--recipe", str(resume / "recipe.yaml")]),
                )  # fmt: skip
            else:
                run = runs.train(
                    source, preset=None if seconds and "preset" not in given else preset, seconds=seconds,
                    recipe=described, changes=changes, out=out, overwrite=overwrite,
                    device=device, callbacks=callbacks, progress=reading, said=say, check_labels=check_labels,
                    processes=processes, threads=threads, group_gap=group_gap,
                    command=shlex.join(["glyphnet", *sys.argv[1:]]),
                )  # fmt: skip
    except KeyboardInterrupt:
        folder = runs.RunFolder(resume or out or Path())
        if folder.checkpoint.exists() and first:
            say(how_to_go_on(folder.path))
        if is_launched():
            raise typer.Exit(INTERRUPTED) from None
        raise
    if not first:
        return
    tell_end()
    if as_json:
        emit_json(_as_dict(run))
    elif run.ending != "stopped":
        _tell(run)
        tell_suspects(run)
    if run.ending == "stopped":
        assert run.folder is not None
        say(f"{run} {how_to_go_on(run.folder.path)}")


def _launch(processes: int) -> None:
    """Run this very command in several processes."""
    from ..training.launch import WorkerFailedError, launch

    try:
        launch(processes, "from glyphnet.cli import main\nmain()")
    except WorkerFailedError as failed:
        raise typer.Exit(failed.status) from failed


@contextmanager
def _told_once() -> Iterator[None]:
    """Let one of several processes tell what went wrong, and the others end without a word."""
    from ..training.collective import LOST, PeerLostError, is_launched

    try:
        yield
    except PeerLostError as error:
        if not error.told and not is_launched():
            raise
        raise typer.Exit(LOST) from error


_WITH_RESUME = ("resume", "device", "processes", "threads", "check_labels", "ensemble", "at_once", "as_json")
"""Parameters that change nothing of what is trained, and may stand beside --resume."""


def _refuse_together(given: dict[str, str]) -> None:
    """Refuse options that would be ignored beside others."""
    if "resume" in given:
        ignored = [name for parameter, name in given.items() if parameter not in _WITH_RESUME]
        if ignored:
            raise typer.BadParameter(
                f"--resume goes on with the recipe of the run: {', '.join(ignored)} cannot be given with it."
            )
    if "recipe" in given and "preset" in given:
        raise typer.BadParameter("--recipe and --preset exclude each other: choose one.")


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


# What a run folder is called unless the user says so, and how its run is gone on with


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


def how_to_go_on(folder: Path) -> str:
    """The command that resumes, as a sentence."""
    return f"Go on with: glyphnet train --resume {shlex.quote(str(folder))}"


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


def train_seeds(
    source: DataSettings,
    *,
    seeds: int | None,
    ensemble: bool,
    at_once: int | None,
    preset: str,
    recipe: Recipe | None,
    changes: dict[str, object],
    out: Path | None,
    overwrite: bool,
    resume: Path | None,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train or resume them, and print the results."""
    from ..studies import seeds as verbs
    from .live import SeedsDisplay, StopSeedsOnSignal

    folder = resume or out
    assert folder is not None
    stop, table = StopSeedsOnSignal(), SeedsDisplay()
    common: dict[str, Any] = {
        "ensemble": ensemble, "at_once": at_once, "device": device, "threads": threads,
        "callbacks": (stop, table), "said": say,
    }  # fmt: skip
    try:
        with progress() as reading, stop, table:
            if resume is not None:
                command = shlex.join(["glyphnet", "train", "--resume", str(resume)])
                found = verbs.resume_seeds(resume, **common, progress=reading, command=command)
            else:
                assert seeds is not None
                found = verbs.train_seeds(
                    source, seeds=seeds, preset=preset, recipe=recipe, changes=changes, out=out, overwrite=overwrite,
                    **common, progress=reading, command=shlex.join(["glyphnet", *sys.argv[1:]]),
                )  # fmt: skip
    except KeyboardInterrupt:
        if verbs.is_seeds_folder(folder):
            say(how_to_go_on(folder))
        raise
    if as_json:
        emit_json(found.to_dict())
    elif found.ending == "finished":
        _show(found, folder)
    if found.ending == "stopped":
        say(f"Stopped; {len(found.runs)} of {len(found.seeds)} seeds are finished. {how_to_go_on(folder)}")


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
