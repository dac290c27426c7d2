"""``glyphnet train --seeds``: several trainings that differ only in their seed, and their ensemble."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import emit_json, printable, progress, say
from .runfolders import how_to_go_on

if TYPE_CHECKING:
    from ..studies.seeds import SeedRuns
    from ..training import DataSettings, Recipe

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
        "watchers": (stop, table), "said": say,
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
