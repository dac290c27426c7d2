"""Folders that hold GlyphNet's own output, by the names of their files."""

from __future__ import annotations

from collections.abc import Iterable

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
