"""Checkpoints: a training resumed from one ends bit for bit as if it had never stopped."""

from __future__ import annotations

import math
import os
import time
from typing import Any

import torch
from torch import Tensor

from ..errors import CorruptFileError, RunFolderError
from ..tensorfile import read_tensors, write_tensors
from .callbacks import Callback, StepInfo
from .state import HISTORY_KEYS, HistoryRow, TrainingState

VERSION = 3
"""1 had the state of PyTorch's Muon, which was then used; 2 that of an L-BFGS of our own."""

FREE = ("threads", "precision", "began", "processes")
"""Terms that may differ: a resumed training takes them over, or does as the checkpoint's but for rounding."""


def write_checkpoint(path: str | os.PathLike[str], state: TrainingState, terms: dict[str, Any]) -> None:
    """Write all that changes in ``state``, all or nothing.

    Args:
        terms: what must be the same to resume the training (data, threads, …): plain JSON values, compared by
            `read_checkpoint`.
    """
    state.keep_random()
    values = state.state_dict()
    # As one table: thousands of epochs as JSON would outgrow the header.
    values["history"] = torch.tensor(
        [[float("nan") if row[key] is None else row[key] for key in HISTORY_KEYS] for row in state.history],
        dtype=torch.float64,
    ).reshape(-1, len(HISTORY_KEYS))
    packed, tensors = pack(values)
    header = {
        "kind": "checkpoint",
        "format_version": VERSION,
        "recipe": state.recipe.model_dump(mode="json"),
        "terms": terms,
        "state": packed,
    }
    write_tensors(path, tensors, header)


def read_checkpoint(path: str | os.PathLike[str], state: TrainingState, terms: dict[str, Any]) -> dict[str, Any]:
    """Restore ``state`` from a checkpoint.

    Returns:
        The terms of then. Those in `FREE` may differ from those of now: the caller sees to them.

    Raises:
        RunFolderError: the checkpoint is of another recipe, other data, other terms or an earlier version: it names
            what differs.
        CorruptFileError: the file is damaged.
    """
    header, tensors = read_tensors(path, kind="checkpoint", newest=VERSION)
    if header["format_version"] < VERSION:
        raise RunFolderError(
            f"{path}: was written by an older GlyphNet with an incompatible optimizer state. Resume with that version, "
            "or start a new training in another folder."
        )
    now = {"recipe": state.recipe.model_dump(mode="json"), **terms}
    then = {"recipe": header.get("recipe"), **header.get("terms", {})}
    if differing := [name for name in now if now[name] != then.get(name) and name not in FREE]:
        raise RunFolderError(
            f"{path}: cannot resume, because {_differences(now, then, differing)}. Resume with what the "
            "training began with, or start a new one in another folder."
        )
    try:
        values = unpack(header["state"], tensors)
        values["history"] = [
            {key: None if cell != cell else cell for key, cell in zip(HISTORY_KEYS, row, strict=True)}
            for row in values["history"].tolist()
        ]
        state.load_state_dict(values)
    except (KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise CorruptFileError(f"{path}: not a checkpoint of this training ({error}).") from None
    return then


def _differences(now: dict[str, Any], then: dict[str, Any], names: list[str]) -> str:
    said = []
    for name in names:
        if name == "recipe":
            keys = [key for key in now[name] if now[name][key] != (then[name] or {}).get(key)]
            said.append(f"the recipe differs in {', '.join(keys)}")
        else:
            said.append(f"{name} was {then.get(name)!s:.20} and is {now[name]!s:.20}")
    return "; ".join(said)


PAUSE = 50
"""How many times as long as writing a checkpoint took none is written: 2 % of the training at most."""


class CheckpointWriter(Callback):
    """Writes ``path`` every few seconds, and when the training stops.

    The pause after a checkpoint is at least `PAUSE` times as long as the writing took. The first pause begins with the
    first step, however long that one took. The first checkpoint is written before the first step: a training that is
    killed at once resumes with the same number of threads and the same precision.

    Args:
        path: the checkpoint; replaced each time, all or nothing.
        terms: what must be the same to resume the training.
        every: least seconds between two checkpoints.
    """

    def __init__(self, path: str | os.PathLike[str], terms: dict[str, Any], *, every: float = 1.0) -> None:
        self._path, self._terms, self._every = path, terms, every
        self._due: float | None = None

    def at_start(self, state: TrainingState) -> None:
        """Write the initial state, unless the training resumes from a checkpoint."""
        if not os.path.lexists(self._path):
            write_checkpoint(self._path, state, self._terms)

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Write, if it is time."""
        # The last step of an epoch is written with what follows from it.
        return info.step < info.steps and self._write_if_due(state)

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Write, if it is time."""
        return self._write_if_due(state)

    def at_end(self, state: TrainingState) -> None:
        """Write the final state."""
        self._write(state)

    def _write_if_due(self, state: TrainingState) -> bool:
        """Write, if it is time; never asks to stop."""
        now = time.perf_counter()
        if self._due is None:
            self._due = now + self._every
        if now >= self._due:
            self._write(state)
        return False

    def _write(self, state: TrainingState) -> None:
        if not math.isfinite(state.totals[0].item()):
            return  # it is about to be found out; the last checkpoint is better than this one
        began = time.perf_counter()
        write_checkpoint(self._path, state, self._terms)
        now = time.perf_counter()
        self._due = now + max(self._every, PAUSE * (now - began))


# Nested states as plain JSON beside named tensors


def pack(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """``value`` as JSON, and its tensors by the names that the JSON refers to.

    Args:
        value: None, bool, int, float, str, tensors, and dicts, lists and tuples of such.

    Raises:
        TypeError: anything else, with its type and place.
    """
    tensors: dict[str, Tensor] = {}
    return _pack(value, "", tensors), tensors


def unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    """What `pack` was given."""
    if not isinstance(packed, dict):
        return packed
    (kind, content), *_ = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "float":
        return float.fromhex(content)
    if kind == "dict":
        return {unpack(key, tensors): unpack(value, tensors) for key, value in content}
    items = [unpack(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items


def _pack(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        # Positions, not paths, so that a name of a layer never makes a name of a tensor too long or odd.
        name = f"t{len(tensors):05d}"
        tensors[name] = value
        return {"tensor": name}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, dict):
        rows = [[_pack(key, place, tensors), _pack(item, f"{place}.{key}", tensors)] for key, item in value.items()]
        return {"dict": rows}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(item, f"{place}[{index}]", tensors) for index, item in enumerate(value)]}
    raise TypeError(f"{place or 'value'} is a {type(value).__name__}, which a checkpoint cannot hold")
