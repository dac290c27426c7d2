"""One of several processes that train together: `run_together` starts it as ``worker.main(folder)``."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from pathlib import Path

from ..data.handover import take_over
from ..errors import GlyphNetError
from ..training.collective import FAILED, LOST, PeerLostError, Place
from ..training.launch import tell_end
from . import training
from .run import Run
from .together import FAILURE, JOB, RESULT, write_first


def main(name: str) -> None:
    """One of the processes: do the job in the folder ``name``."""
    folder = Path(name)
    verb, arguments, carried = pickle.loads((folder / JOB).read_bytes())
    try:
        if carried:
            arguments["data" if verb == "train" else "splits"] = take_over(folder)
        run: Run = getattr(training, verb)(**arguments)
    except PeerLostError:
        sys.exit(LOST)
    except GlyphNetError as error:
        write_first(folder / FAILURE, (type(error).__name__, str(error)))
        sys.exit(FAILED)
    except Exception as error:
        write_first(folder / FAILURE, ("TrainingError", f"{type(error).__name__}: {error}"))
        raise
    if Place.from_environment().rank == 0:
        write_first(folder / RESULT, dataclasses.replace(run, splits=None))  # type: ignore[arg-type]
        tell_end()
