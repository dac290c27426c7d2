"""Train one seed, in this process or in a child process that trains one seed after another."""

from __future__ import annotations

import json
import queue
import shlex
import threading
import traceback
from pathlib import Path

from ... import runs
from ...data import Splits
from ...data.handover import take_over
from ...errors import GlyphNetError
from ...files import atomic_write_text, make_folder
from ...processes import Message, talk_with_parent
from ...runs import RunFolder
from ...runs.preparation import read
from ...training import Callback, Recipe
from ...units import reason
from .progress import SeedReporter


def train_one(
    recipe: Recipe,
    splits: Splits,
    folder: RunFolder,
    device: str,
    callback: Callback,
    *,
    report: bool,
    threads: int | None = None,
) -> str:
    """Train ``recipe``, validate and write the run folder, as `glyphnet.train` does; return the ending.

    A run of the same recipe in the folder is resumed; another run is removed.

    Args:
        report: whether to write report.html, too.
        threads: to compute with; None chooses.
    """
    if not _is_of(folder, recipe):
        folder.clear()
        make_folder(folder.path)
        atomic_write_text(folder.recipe, recipe.to_yaml())
    command = shlex.join(["glyphnet", "train", "--recipe", str(folder.recipe)])
    return runs.resume(
        folder.path,
        splits=splits,
        device=device,
        callbacks=[callback],
        command=command,
        report=report,
        threads=threads,
    ).ending


def _is_of(folder: RunFolder, recipe: Recipe) -> bool:
    try:
        return runs.read_recipe(folder.recipe) == recipe
    except (GlyphNetError, OSError):
        return False


def main(job: str) -> None:
    """The child process: follows the orders of its parent and reports its progress.

    An order is ``{"train": seed, "folder": path}``, ``{"stop": true}``, which stops the running training, or
    ``{"end": true}``.

    Args:
        job: JSON: the recipe, the device, the number of threads, whether to write reports, and the folder of the
            shared splits or null.
    """
    orders: queue.Queue[Message] = queue.Queue()
    stop = threading.Event()

    def heard(order: Message) -> None:
        if "stop" in order:
            stop.set()
        orders.put(order)

    tell = talk_with_parent(heard)
    given = json.loads(job)
    recipe, splits = Recipe.parse(given["recipe"]), None
    while "train" in (order := orders.get()):
        seed = order["train"]
        reporter = SeedReporter(seed, lambda progress: tell({"phase": "training", **progress.to_dict()}), stop.is_set)
        try:
            splits = splits or _splits(recipe, given["splits"])
            one = recipe.model_copy(update={"seed": seed})
            folder = RunFolder(Path(order["folder"]))
            ending = train_one(
                one, splits, folder, given["device"], reporter, report=given["report"], threads=given["threads"]
            )
        except Exception as error:
            traceback.print_exc()  # into the log
            tell({"phase": "failed", "reason": _reason(error)})
        else:
            tell({"phase": "ended", "ending": ending})


def _splits(recipe: Recipe, shared: str | None) -> Splits:
    """The shared splits; data on disk each process reads itself: large images are memory-mapped, so loaded once."""
    if shared is not None:
        return take_over(Path(shared))
    assert recipe.data is not None
    return read(recipe.data, None)


def _reason(error: Exception) -> str:
    """A sentence."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
        return "not enough memory: train fewer at once."
    return f"{reason(error).rstrip('.')}."
