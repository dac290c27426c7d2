"""``glyphnet train``: from labelled images to a run folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from ..runs import Run

STOPPED = 130  # what a shell shows for a program that Ctrl-C has ended


def train(
    ctx: typer.Context,
    data: DataArgument = "digits",
    preset: Annotated[
        str, typer.Option("--preset", help="fast (seconds), balanced (a minute) or best (as good as it gets).")
    ] = "balanced",
    network: Annotated[
        str | None,
        typer.Option(
            "--network", metavar="KIND", help="Another network than the preset's: linear, mlp, cnn, cnn-classic, …"
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
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a classifier on labelled images and write its run folder: model, figures, report.

    DATA is divided into training, validation and test images; the test images are looked at once, at the end. Ctrl-C
    stops after the step that is running, and --resume goes on from there to the very same result.
    """
    if resume is not None:
        _refuse_with_resume(ctx)
    changes = _changes(settings or [])
    if network is not None:
        changes["network"] = network
    if seed is not None:
        changes["seed"] = seed
    from .. import runs
    from ..training import DataSettings, Recipe, StopOnSignal
    from .trainingbar import TrainingBar

    command = shlex.join(["glyphnet", *sys.argv[1:]])
    with StopOnSignal() as stop, progress() as reading:
        bar = TrainingBar()
        watch: dict[str, Any] = {"device": device, "watchers": (stop, bar), "progress": reading, "said": say, "command": command}
        if resume is not None:
            with bar:
                run = runs.resume(resume, **watch)
        else:
            source = DataSettings(source=data, size=size, color=color, on_bad_file=on_bad_file)
            described = None if recipe is None else Recipe.from_yaml(recipe.read_text(encoding="utf-8"))
            out = out or _free_folder(Path("runs"), data, "recipe" if recipe else preset)
            with bar:
                run = runs.train(
                    source, preset_name=preset, recipe=described, changes=changes, out=out, overwrite=overwrite,
                    **watch,
                )  # fmt: skip
    if as_json:
        emit_json(_as_dict(run))
    else:
        _tell(run)
    if run.ending == "stopped":
        say(_how_to_go_on(run))
        raise typer.Exit(STOPPED)


def _changes(settings: list[str]) -> dict[str, object]:
    """``["optimizer.lr=0.01"]`` → ``{"optimizer.lr": "0.01"}``."""
    changes: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"--set {setting}: write NAME=VALUE, such as optimizer.lr=0.01.")
        changes[name.strip()] = value
    return changes


def _refuse_with_resume(ctx: typer.Context) -> None:
    """A resumed run has its recipe: what is given beside --resume would be ignored, so it is refused."""
    own = {"resume", "device", "as_json"}
    given = [
        parameter.opts[0]
        for parameter in ctx.command.params
        if parameter.name not in own
        and str(getattr(ctx.get_parameter_source(parameter.name or ""), "name", "DEFAULT")) != "DEFAULT"
    ]
    if given:
        raise typer.BadParameter(
            f"--resume goes on with the recipe of the run: {', '.join(given)} cannot be given with it."
        )


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
    if run.classifier is None or run.evaluation is None:
        return
    accuracy = run.evaluation.figures["accuracy"]
    interval = accuracy.interval
    between = f" (95 % interval {100 * interval.low:.2f} to {100 * interval.high:.2f} %)" if interval else ""
    print(
        f"Accuracy on {printable(run.evaluation.data)}: {100 * accuracy.value:.2f} %{between}, "
        f"{accuracy.n:,} images, {run.seconds:.1f} s of training."
    )
    if run.folder is None:
        return
    model = shlex.quote(str(run.folder.model))
    print(f"\nModel:   {printable(model)}\nReport:  {printable(str(run.folder.report))}")
    print("\nWhat to try next:")
    print(f"  glyphnet predict {printable(model)} IMAGE...      name the class of your own images")
    print("  open the report in a browser                 see where it fails, image by image")


def _as_dict(run: Run) -> dict[str, object]:
    return {
        "ending": run.ending,
        "epochs": len(run.history),
        "best_epoch": run.best_epoch,
        "seconds": round(run.seconds, 3),
        "folder": None if run.folder is None else str(run.folder.path),
        "evaluation": None if run.evaluation is None else run.evaluation.to_dict(),
    }


def _how_to_go_on(run: Run) -> str:
    kept = f"the best weights so far (epoch {run.best_epoch}) are kept" if run.best_epoch else "no epoch was finished yet"
    folder = "DIR" if run.folder is None else shlex.quote(str(run.folder.path))
    return f"Stopped in epoch {len(run.history) + 1}; {kept}. Go on with: glyphnet train --resume {folder}"
