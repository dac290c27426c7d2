"""Folders that hold GlyphNet's own output, by the names of their files; nothing here loads torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCK = ".lock"
"""The lock of a folder: see `glyphnet.locks`."""

# A folder with all files of one of these sets is the output of train (also before its first epoch, and with several
# seeds), of a training of the studio that begins, evaluate, tune, compare or lab.
_OUTPUTS = (
    {"recipe.yaml", "history.csv"},
    {"recipe.yaml", "model.safetensors"},
    {"recipe.yaml", "checkpoint.safetensors"},
    {"recipe.yaml", "time.json"},
    {"studio.json", "train.log"},
    {"seeds.json"},
    {"evaluation.json", "predictions.csv"},
    {"trials.csv", "best.yaml"},
    {"comparison.json"},
    {"lab.html", "numbers.json"},
)


def is_output_folder(names: Iterable[str]) -> bool:
    """Whether a folder with files of these names holds GlyphNet's own output, which is never data.

    With ``.lock`` alone, a process has just begun to write.
    """
    there = set(names)
    return there == {LOCK} or any(output <= there for output in _OUTPUTS)


class FileOf:
    """A file of a folder: in a class with a ``path``, ``recipe = FileOf("recipe.yaml")`` is the path of that file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: Any, owner: type) -> Path:
        path: Path = folder.path
        return path / self.name


@dataclass(frozen=True)
class RunFiles:
    """The files of a run folder."""

    path: Path

    recipe = FileOf("recipe.yaml")  # every setting
    history = FileOf("history.csv")  # the learning curves
    model = FileOf("model.safetensors")  # the classifier, with the weights of the best epoch
    checkpoint = FileOf("checkpoint.safetensors")  # what is needed to resume
    time = FileOf("time.json")  # what a training of a given time has tried; only with --time
    best = FileOf("best.safetensors")  # the checkpoint of the best try, while others follow it
    evaluation = FileOf("evaluation.json")  # every figure on the test data
    predictions = FileOf("predictions.csv")  # a line a test image
    report = FileOf("report.html")  # the page to look at
    suspects = FileOf("suspects.csv")  # labels that look wrong, with a column for decisions; only with check_labels

    def files(self) -> list[Path]:
        """Its files that exist."""
        paths = [self.path / each.name for each in vars(RunFiles).values() if isinstance(each, FileOf)]
        return [path for path in paths if os.path.lexists(path)]
