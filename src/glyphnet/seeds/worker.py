"""The child process that trains one seed after another, as its parent says, and tells how far it is."""

from __future__ import annotations

import json
import queue
import threading
import traceback
from pathlib import Path

from ..childprocess import Message, talk_with_parent
from ..data import Splits
from ..data.handover import take_over
from ..errors import GlyphNetError
from ..runs import RunFolder
from ..runs.preparation import read
from ..training import Recipe
from .one import train_one
from .watching import Teller


def main(job: str) -> None:
    """Do what is ordered: ``{"train": seed, "folder": path}``, ``{"stop": true}``, which ends the training that runs,
    or ``{"end": true}``.

    Args:
        job: JSON: the recipe, the device, the number of threads, whether to write reports, and the folder of the
            handed-over splits or null.
    """
    orders: queue.Queue[Message] = queue.Queue()
    stop = threading.Event()

    def heard(order: Message) -> None:
        if "stop" in order:
            stop.set()
        orders.put(order)

    tell = talk_with_parent(heard)
    told = json.loads(job)
    recipe, splits = Recipe.parse(told["recipe"]), None
    while "train" in (order := orders.get()):
        seed = order["train"]
        teller = Teller(seed, lambda standing: tell({"phase": "training", **standing.to_dict()}), stop.is_set)
        try:
            splits = splits or _splits(recipe, told["splits"])
            one = recipe.model_copy(update={"seed": seed})
            folder = RunFolder(Path(order["folder"]))
            ending = train_one(
                one, splits, folder, told["device"], teller, report=told["report"], threads=told["threads"]
            )
        except Exception as error:
            traceback.print_exc()  # into the log
            tell({"phase": "failed", "reason": _reason(error)})
        else:
            tell({"phase": "ended", "ending": ending})


def _splits(recipe: Recipe, handed_over: str | None) -> Splits:
    """What is on disk each process reads for itself: large images are mapped, and in memory once."""
    if handed_over is not None:
        return take_over(Path(handed_over))
    assert recipe.data is not None
    return read(recipe.data, None)


def _reason(error: Exception) -> str:
    if isinstance(error, GlyphNetError):
        return str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
        return "there is not enough memory: train fewer at once."
    return f"{type(error).__name__}: {error}."
