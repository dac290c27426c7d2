"""One of the trainings: begun, or gone on with where it was stopped, by the usual path."""

from __future__ import annotations

import shlex

from .. import runs
from ..data import Splits
from ..errors import GlyphNetError
from ..files import atomic_write_text, make_folder
from ..runs import RunFolder
from ..training import Recipe, Watcher


def train_one(
    recipe: Recipe,
    splits: Splits,
    folder: RunFolder,
    device: str,
    watcher: Watcher,
    *,
    report: bool,
    threads: int | None = None,
) -> str:
    """Train as ``recipe`` says, judge and write the run folder, as `glyphnet.train` does; its ending.

    What a run of the same recipe has left in the folder is gone on with; another run is removed.

    Args:
        report: whether to write report.html, too.
        threads: with how many to compute; None chooses.
    """
    make_ready(folder, recipe)
    command = shlex.join(["glyphnet", "train", "--recipe", str(folder.recipe)])
    return runs.resume(
        folder.path,
        splits=splits,
        device=device,
        watchers=[watcher],
        command=command,
        report=report,
        threads=threads,
    ).ending


def make_ready(folder: RunFolder, recipe: Recipe) -> None:
    """Make the folder one in which such a training can be gone on with; another run in it is removed."""
    if not _is_of(folder, recipe):
        folder.clear()
        make_folder(folder.path)
        atomic_write_text(folder.recipe, recipe.to_yaml())


def _is_of(folder: RunFolder, recipe: Recipe) -> bool:
    try:
        return runs.read_recipe(folder.recipe) == recipe
    except (GlyphNetError, OSError):
        return False
