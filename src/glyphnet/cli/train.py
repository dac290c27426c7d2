"""``glyphnet train``: from labelled images to a run folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import emit_json, printable, progress, say
from .options import (
    ColorOption,
    DataArgument,
    DeviceOption,
    JsonOption,
    OnBadFileOption,
    SizeOption,
)
from .reviewing import tell_suspects

if TYPE_CHECKING:
    from ..runs import Run
    from ..training import DataSettings, Recipe

STOPPED = 130  # what a shell shows for a program that Ctrl-C has ended


def train(
    ctx: typer.Context,
    data: DataArgument = "digits",
    preset: Annotated[
        str,
        typer.Option("--preset", help="fast (seconds), balanced (a minute) or best (as good as it gets)."),
    ] = "balanced",
    network: Annotated[
        str | None,
        typer.Option(
            "--network",
            metavar="KIND",
            help="Another network than the preset's: linear, mlp, cnn, cnn-classic, …",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the recipe: optimizer.lr=0.01."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="A recipe.yaml instead of a preset.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The run folder to make; runs/DATA-PRESET unless given."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that is in the folder already.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="DIR", help="Go on with the run in this folder.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", min=0, help="Seed of weights, order, dropout and augmentation."),
    ] = None,
    size: SizeOption = None,
    color: ColorOption = "auto",
    on_bad_file: OnBadFileOption = "error",
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Correct labels first, as the decisions in this table say: glyphnet data --review writes one.",
        ),
    ] = None,
    check_labels: Annotated[
        bool,
        typer.Option("--check-labels", help="Look for wrong labels as well, and write the suspects beside the model."),
    ] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a classifier on labelled images and write its run folder: model, figures, report.

    DATA is divided into training, validation and test images; the test images are looked at once, at the
    end. Ctrl-C stops after the step that is running, and --resume goes on from there to the very same result.
    """
    given = _given(ctx)
    _refuse_together(given)
    changes = _changes(settings or [])
    if network is not None:
        changes["network"] = network
    if seed is not None:
        changes["seed"] = seed
    from .. import runs
    from ..training import StopOnSignal
    from .trainingbar import TrainingBar

    described = None if recipe is None else runs.read_recipe(recipe)
    source = _data_settings(described, {name: ctx.params[name] for name in _DATA_OPTIONS if name in given})
    if resume is None and out is None:
        out = _free_folder(Path("runs"), source.source, "recipe" if recipe else preset)
    try:
        with progress() as reading, StopOnSignal() as stop, TrainingBar() as bar:
            if resume is not None:
                run = runs.resume(
                    resume, device=device, watchers=(stop, bar), progress=reading, said=say, check_labels=check_labels,
                    command=shlex.join(["glyphnet", "train", "--recipe", str(resume / "recipe.yaml")]),
                )  # fmt: skip
            else:
                run = runs.train(
                    source, preset=preset, recipe=described, changes=changes, out=out, overwrite=overwrite,
                    device=device, watchers=(stop, bar), progress=reading, said=say, check_labels=check_labels,
                    command=shlex.join(["glyphnet", *sys.argv[1:]]),
                )  # fmt: skip
    except KeyboardInterrupt:
        folder = runs.RunFolder(resume or out or Path())
        if folder.checkpoint.exists():
            say(_how_to_go_on(folder.path))
        raise
    if as_json:
        emit_json(_as_dict(run))
    elif run.ending != "stopped":
        _tell(run)
        tell_suspects(run)
    if run.ending == "stopped":
        assert run.folder is not None
        say(f"{run} {_how_to_go_on(run.folder.path)}")
        raise typer.Exit(STOPPED)


_DATA_OPTIONS = {"data": "source", "size": "size", "color": "color", "on_bad_file": "on_bad_file", "labels": "labels"}
"""Parameter of the verb → setting of the recipe's section ``data``."""


def _given(ctx: typer.Context) -> dict[str, str]:
    """The parameters that stand on the command line, with what they are called there."""
    return {
        parameter.name: parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.opts[0].upper()
        for parameter in ctx.command.params
        if parameter.name and str(getattr(ctx.get_parameter_source(parameter.name), "name", "DEFAULT")) != "DEFAULT"
    }


_WITH_RESUME = ("resume", "device", "check_labels", "as_json")
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


def _data_settings(recipe: Recipe | None, given: dict[str, object]) -> DataSettings:
    """The data of the recipe, or the default ones, with what stands on the command line."""
    from ..training import DataSettings

    base = (recipe.data if recipe else None) or DataSettings()
    return base.model_copy(update={_DATA_OPTIONS[name]: value for name, value in given.items()})


def _changes(settings: list[str]) -> dict[str, object]:
    """``["optimizer.lr=0.01"]`` → ``{"optimizer.lr": "0.01"}``."""
    changes: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"--set {setting}: write NAME=VALUE, such as optimizer.lr=0.01.")
        changes[name.strip()] = value
    return changes


def _free_folder(parent: Path, data: str, how: str) -> Path:
    """``runs/mnist-fast``, or the first of ``runs/mnist-fast-2``, … that is not there."""
    name = f"{Path(data).resolve().name if Path(data).exists() else data}-{how}".lstrip(".")
    number = 1
    while (folder := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def _tell(run: Run) -> None:
    """What came out, for a person."""
    if run.ending == "early_stopping":
        print(f"Stopped early: nothing better since epoch {run.best_epoch}.")
    print(printable(str(run)))
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
        "evaluation": None if run.evaluation is None else run.evaluation.to_dict(),
        "labels": None if run.review is None else run.review.to_dict(),
    }


def _how_to_go_on(folder: Path) -> str:
    return f"Go on with: glyphnet train --resume {shlex.quote(str(folder))}"
