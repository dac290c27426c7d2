"""Runs of several processes that are started from Python: the job and its result travel in a private folder."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import errors
from ..data import Splits
from ..data.handover import hand_over, take_over
from ..errors import GlyphNetError, SettingsError, TrainingError
from ..files import new_file, temporary_folder
from ..training.collective import FAILED, LOST, PeerLostError, Place
from .run import Run

_JOB, _RESULT, _FAILURE = "job.pickle", "run.pickle", "failure.pickle"


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
            _write(folder / _JOB, (verb, dict(arguments), carried))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise SettingsError(
                f"with several processes, watchers, progress and said are called in another one: give functions and "
                f"classes that a module defines ({error})."
            ) from None
        try:
            launch(processes, f"from {__name__} import main\nmain({str(folder)!r})")
        except WorkerFailedError as failed:
            if not (folder / _FAILURE).exists():
                raise
            kind, message = pickle.loads((folder / _FAILURE).read_bytes())
            raise getattr(errors, kind, TrainingError)(message) from failed
        run: Run = pickle.loads((folder / _RESULT).read_bytes())
        return dataclasses.replace(run, splits=splits)


def main(name: str) -> None:
    """One of the processes: do the job in the folder ``name``."""
    from ..training.launch import tell_end
    from . import training

    folder = Path(name)
    verb, arguments, carried = pickle.loads((folder / _JOB).read_bytes())
    try:
        if carried:
            arguments["data" if verb == "train" else "splits"] = take_over(folder)
        run: Run = getattr(training, verb)(**arguments)
    except PeerLostError:
        sys.exit(LOST)
    except GlyphNetError as error:
        _write(folder / _FAILURE, (type(error).__name__, str(error)))
        sys.exit(FAILED)
    except Exception as error:
        _write(folder / _FAILURE, ("TrainingError", f"{type(error).__name__}: {error}"))
        raise
    if Place.from_environment().rank == 0:
        _write(folder / _RESULT, dataclasses.replace(run, splits=None))  # type: ignore[arg-type]
        tell_end()


def _write(path: Path, value: object) -> None:
    """Write ``value`` unless another process has written there."""
    try:
        with new_file(path) as file:
            pickle.dump(value, file)
    except FileExistsError:
        pass
