"""The child process of a trial: fits one contestant, lets it answer, and tells its parent how far it is."""

from __future__ import annotations

import pickle
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..childprocess import Message, talk_with_parent
from ..data.handover import take_over
from ..errors import GlyphNetError
from ..files import new_file
from .contestants import Contestant
from .handover import without_test

JOB, PROBABILITIES = "job.pickle", "probabilities.npy"
_WARM_UP = 8  # training images to answer on before the clock runs: a first call loads and lays out what it needs
_BY_THE_WAY = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)  # of no matter for the figures

Tell = Callable[[Message], None]


def main(data: str, trial: str) -> None:
    """Run the job in the folder ``trial`` on the splits in the folder ``data``."""
    tell = talk_with_parent()
    try:
        _run(Path(data), Path(trial), tell)
    except Exception as error:
        tell({"phase": "failed", "reason": _reason(error)})


def _run(data: Path, trial: Path, tell: Tell) -> None:
    contestant: Contestant = pickle.loads((trial / JOB).read_bytes())
    splits = take_over(data)
    tell({"phase": "fitting"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.perf_counter()
        contestant.fit(without_test(splits))
        fit_seconds = time.perf_counter() - began
        contestant.predict_proba(splits.train.images[:_WARM_UP])
        tell({"phase": "predicting", "fit_seconds": fit_seconds})
        began = time.perf_counter()
        probabilities = contestant.predict_proba(splits.test.images)
        predict_seconds = time.perf_counter() - began
    with new_file(trial / PROBABILITIES) as file:
        np.save(file, probabilities)
    tell(
        {
            "phase": "finished",
            "fit_seconds": fit_seconds,
            "predict_seconds": predict_seconds,
            "bytes": contestant.size(),
            "notes": _notes(caught),
        }
    )


def _notes(caught: list[warnings.WarningMessage]) -> list[str]:
    """What the libraries warned of, each once."""
    said = [
        f"{each.category.__name__}: {str(each.message).strip().splitlines()[0].strip()}"
        for each in caught
        if not issubclass(each.category, _BY_THE_WAY) and str(each.message).strip()
    ]
    return list(dict.fromkeys(said))


def _reason(error: Exception) -> str:
    if isinstance(error, GlyphNetError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


if __name__ == "__main__":
    main(*sys.argv[1:])
