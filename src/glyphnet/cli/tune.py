"""``glyphnet tune``: search for better settings, then train the winner."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..progress import Reporter
from ..units import plural
from .console import command_line, emit_json, progress, say, show, show_table
from .options import (
    DataArgument,
    DataOptions,
    DeviceOption,
    JsonOption,
    RecipeOptions,
    ThreadsOption,
    given_parameters,
    parse_duration,
    replacing,
)
from .train import data_name

if TYPE_CHECKING:
    from ..studies.tuning import Tuning


@dataclass(frozen=True)
class TuneOptions(RecipeOptions):
    """The options of ``glyphnet tune``."""

    searched: Annotated[list[str] | None, typer.Option(
        "--search", metavar="NAME=WHAT", help="Search a setting: optimizer.lr=1e-4..1e-1:log, "
        "network.stem=8..32:step8, optimizer=adamw,sgd. Default: learning rate, weight decay, dropout, label "
        "smoothing and augmentation, around the preset's values.",
    )] = None  # fmt: skip
    trials: Annotated[int | None, typer.Option(
        "--trials", metavar="N", min=1, help="Trials in all, including those of earlier and other processes; 30 "
        "unless this or --time is given.",
    )] = None  # fmt: skip
    seconds: Annotated[float | None, typer.Option(
        "--time", metavar="TIME", parser=parse_duration, help="Time to search: 90s, 10m, 2h. The winner's training "
        "comes on top.",
    )] = None  # fmt: skip
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="DIR", help="Where to write; runs/tune-DATA-PRESET unless given. An earlier search there is "
        "resumed.",
    )] = None  # fmt: skip
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start over: delete the earlier trials.")] = False
    storage: Annotated[Path | None, typer.Option(
        "--storage", metavar="FILE", help="SQLite file of the study, which several processes may share; study.db in "
        "--out unless given.",
    )] = None  # fmt: skip
    pruning: Annotated[
        bool, typer.Option("--pruning/--no-pruning", help="Stop trials that fall into the worst quarter.")
    ] = True
    max_parameters: Annotated[int | None, typer.Option(
        "--max-parameters", metavar="N", min=1, help="How many numbers the network may learn; its kind and widths are "
        "then searched as well, unless --search says what to search.",
    )] = None  # fmt: skip
    device: DeviceOption = "auto"
    threads: ThreadsOption = None
    as_json: JsonOption = False


def tune(ctx: typer.Context, *, data: DataArgument = "digits", options: TuneOptions, how: DataOptions) -> None:
    """Search for better settings by validation images, then train the winner and judge it once on the test images.

    Writes the study, the table of all trials, what mattered, best.yaml (for "glyphnet train --recipe") and the
    winner's run folder. The same command again resumes the search, and several processes may run it at once:
    they share the trials. --preset, --network, --set, --recipe and --seed say what the trials start from.
    """
    rules, given = replacing(ctx, options.overwrite), given_parameters(ctx)
    changes, search = options.changes(), _search(options.searched or [])
    recipe = options.read(given)
    from ..live import SearchDisplay, TrainingDisplay
    from ..studies.tuning import tune as run
    from ..studies.tuning.study import require_optuna
    from ..studies.tuning.tuning import STUDY_FILE
    from ..training import StopOnSignal
    from .stopping import StopSearchOnSignal

    require_optuna()
    source = how.settings(data if "data" in given else None, recipe.data if recipe else None)
    # The same name for the same arguments, so that the same command resumes.
    out = options.out or Path("runs") / f"tune-{data_name(source.source)}-{'recipe' if recipe else options.preset}"
    stop, bar, end, winner_bar = StopSearchOnSignal(), SearchDisplay(), StopOnSignal(), TrainingDisplay()
    try:
        with progress() as reading, stop, bar, end, winner_bar:
            found = run(
                source, search=search, preset=options.preset, recipe=recipe, changes=changes, trials=options.trials,
                seconds=options.seconds, out=out, storage=options.storage, replacing=rules, pruning=options.pruning,
                max_parameters=options.max_parameters, device=options.device, threads=options.threads,
                callbacks=(stop, bar), winner_callbacks=(end, winner_bar), reporter=Reporter(say, reading),
            )  # fmt: skip
    except KeyboardInterrupt:
        if (options.storage or out / STUDY_FILE).exists():
            say(_how_to_continue())
        raise
    if options.as_json:
        emit_json(found.to_dict())
    else:
        _show(found)
    if found.ending == "stopped":
        say(f"Stopped; {plural(len(found.trials), 'trial is', 'trials are')} kept. {_how_to_continue()}")
    if found.ending == "shared":
        say("Other processes are still running trials: the last one to end trains the winner.")


def _search(searched: list[str]) -> dict[str, str] | None:
    """``["optimizer.lr=1e-4..1e-1:log"]`` → ``{"optimizer.lr": "1e-4..1e-1:log"}``; None where none is given."""
    found: dict[str, str] = {}
    for each in searched:
        name, equals, what = each.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"--search {each}: write NAME=WHAT, such as optimizer.lr=1e-4..1e-1:log.")
        if name.strip() in found:
            raise typer.BadParameter(f"--search {name.strip()} is given twice.")
        found[name.strip()] = what
    return found or None


def _show(found: Tuning) -> None:
    """Print the table, the lines below it, and what was written."""
    from ..studies.tuning.results import HEADINGS, LEFT, below, cells, heading

    if found.best is None:
        show(heading(found))
        return
    show_table([HEADINGS, *cells(found)], left=LEFT, title=heading(found), below=below(found))
    if found.folder is not None:
        folder = found.folder
        show(
            "",
            f"Trials:  {folder / 'trials.csv'}, history.png, slices.png",
            f"Recipe:  {shlex.quote(str(folder / 'best.yaml'))}, for glyphnet train --recipe",
        )
        if found.test is not None and (winner := found.winner_folder) is not None:
            show(f"Model:   {shlex.quote(str(winner / 'model.safetensors'))}", f"Report:  {winner / 'report.html'}")


def _how_to_continue() -> str:
    return f"Resume with the same command: {command_line()}"
