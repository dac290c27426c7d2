"""What a training keeps up to date in its folder while it runs, and how it goes on from there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..data import Splits
from ..history import HistoryWriter
from ..training import CheckpointWriter, Fitting, Watcher
from .folder import RunFolder


def today() -> str:
    """The day, as it is written down when a training begins."""
    return datetime.now(UTC).date().isoformat()


def go_on(fitting: Fitting, splits: Splits, folder: RunFolder) -> str:
    """Go to where the folder's checkpoint was written, if there is one.

    Returns:
        The day on which the training began.

    Raises:
        RunFolderError, CorruptFileError: as `Fitting.read_checkpoint`.
    """
    if not folder.checkpoint.exists():
        return today()
    began: str = fitting.read_checkpoint(folder.checkpoint, _terms(fitting, splits, today()))["began"]
    return began


def writers(fitting: Fitting, splits: Splits, folder: RunFolder, began: str, every: float = 1.0) -> list[Watcher]:
    """What writes the checkpoint and the history while the training runs. To be told before all other watchers, so
    that what those do with the state is never ahead of what is written down.

    Args:
        began: the day on which the training began.
        every: least seconds between two checkpoints.
    """
    return [
        CheckpointWriter(folder.checkpoint, _terms(fitting, splits, began), every=every),
        HistoryWriter(folder.history),
    ]


def _terms(fitting: Fitting, splits: Splits, began: str) -> dict[str, Any]:
    """What must be the same for the training to go on, and the day on which it began, which is kept."""
    data = {"training data": splits.train.fingerprint, "validation data": splits.validation.fingerprint}
    return {**fitting.terms, **data, "began": began}
