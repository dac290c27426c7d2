"""The child process of one fit: fits an estimator, lets it answer on the test images, and reports its progress."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...data.dataset import Splits, shared_splits
from ...files import new_file
from ...processes import Message, talk_with_parent
from ...units import reason
from .methods import Estimator

JOB, PROBABILITIES = "job.pickle", "probabilities.npy"
_WARM_UP = 8  # training images to answer on before the clock starts: a first call loads and lays out what it needs
_IGNORED = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)  # they do not concern the figures

Tell = Callable[[Message], None]


def main(data: str, job: str) -> None:
    """Run the job in the folder ``job`` on the splits in the folder ``data``."""
    tell = talk_with_parent()
    try:
        _run(Path(data), Path(job), tell)
    except Exception as error:
        tell({"phase": "failed", "reason": reason(error)})


def _run(data: Path, job: Path, tell: Tell) -> None:
    estimator: Estimator = pickle.loads((job / JOB).read_bytes())
    splits = shared_splits(data)
    no_test = splits.test.subset([False] * len(splits.test))
    tell({"phase": "fitting"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.perf_counter()
        estimator.fit(Splits(splits.name, splits.train, splits.validation, no_test))
        fit_seconds = time.perf_counter() - began
        estimator.predict_proba(splits.train.images[:_WARM_UP])
        tell({"phase": "predicting", "fit_seconds": fit_seconds})
        began = time.perf_counter()
        probabilities = estimator.predict_proba(splits.test.images)
        predict_seconds = time.perf_counter() - began
    with new_file(job / PROBABILITIES) as file:
        np.save(file, probabilities)
    tell(
        {
            "phase": "finished",
            "fit_seconds": fit_seconds,
            "predict_seconds": predict_seconds,
            "bytes": estimator.size(),
            "notes": _notes(caught),
        }
    )


def _notes(caught: list[warnings.WarningMessage]) -> list[str]:
    """The libraries' warnings, each once."""
    lines = [
        f"{each.category.__name__}: {str(each.message).strip().splitlines()[0].strip()}"
        for each in caught
        if not issubclass(each.category, _IGNORED) and str(each.message).strip()
    ]
    return list(dict.fromkeys(lines))
