"""Runs of several processes that are started from Python: the job and its result travel in a private folder."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import errors
from ..data import Splits
from ..data.handover import hand_over
from ..errors import SettingsError, TrainingError
from ..files import new_file, temporary_folder
from .run import Run

JOB, RESULT, FAILURE = "job.pickle", "run.pickle", "failure.pickle"


def run_together(verb: str, processes: int, splits: Splits, arguments: Mapping[str, Any], *, carried: bool) -> Run:
    """Call ``glyphnet.runs``'s function ``verb`` in so many processes that train together.

    Args:
        splits: the data.
        arguments: of the function; the first process also gets what listens.
        carried: whether the processes get the data from here; else they read what the arguments name.

    Returns:
        The first process' run.
    """
    from ..training.launch import WorkerFailedError, launch

    with temporary_folder() as folder:
        if carried:
            hand_over(splits, folder)
        try:
            write_first(folder / JOB, (verb, dict(arguments), carried))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise SettingsError(
                f"with several processes, callbacks, progress and said are called in another one: give functions and "
                f"classes that a module defines ({error})."
            ) from None
        try:
            launch(processes, f"from {__package__}.worker import main\nmain({str(folder)!r})")
        except WorkerFailedError as failed:
            if not (folder / FAILURE).exists():
                raise
            kind, message = pickle.loads((folder / FAILURE).read_bytes())
            raise getattr(errors, kind, TrainingError)(message) from failed
        run: Run = pickle.loads((folder / RESULT).read_bytes())
        return dataclasses.replace(run, splits=splits)


def write_first(path: Path, value: object) -> None:
    """Write ``value`` unless another process has written there."""
    try:
        with new_file(path) as file:
            pickle.dump(value, file)
    except FileExistsError:
        pass
