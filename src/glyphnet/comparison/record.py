"""A comparison as files: comparison.json and comparison.png."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..evaluation.intervals import Figure
from ..files import atomic_write, atomic_write_text, make_folder
from .comparison import Comparison, Row
from .picture import picture

JSON_FILE, PICTURE_FILE = "comparison.json", "comparison.png"
_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1")
_BEST_AND_THIS = {"only_a_right": "only_best_right", "only_b_right": "only_this_right"}


def to_dict(comparison: Comparison) -> dict[str, object]:
    """Everything, in types that JSON knows."""
    return {
        "data": comparison.data,
        "images": dict(comparison.counts),
        "best": None if comparison.best is None else comparison.best.name,
        "verdict": comparison.verdict,
        "budget_seconds": comparison.budget,
        "seed": comparison.seed,
        "threads": comparison.threads,
        "device": comparison.device,
        "learns_from": {"presets": "train, epoch chosen by validation", "others": "train and validation"},
        "methods": [_row(comparison, row) for row in comparison.rows],
        "notes": list(comparison.notes),
        "warnings": list(comparison.warnings),
        **comparison.provenance,
    }


def write(comparison: Comparison, folder: str | os.PathLike[str]) -> None:
    """Write both files, each all or nothing; the folder is made."""
    target = Path(folder)
    make_folder(target)
    text = json.dumps(comparison.to_dict(), ensure_ascii=False, allow_nan=False, indent=2)
    atomic_write_text(target / JSON_FILE, text + "\n")
    with atomic_write(target / PICTURE_FILE) as file:
        picture(comparison).savefig(file, format="png", metadata={"Software": "GlyphNet"})


def _row(comparison: Comparison, row: Row) -> dict[str, object]:
    found: dict[str, object] = {
        "method": row.name,
        "title": row.method.title,
        "maker": row.method.maker,
        "settings": row.method.settings,
        "status": row.status,
        "reason": row.reason,
        "notes": list(row.notes),
        "fit_seconds": _rounded(row.fit_seconds, 4),
        "predict_seconds_per_image": _rounded(row.seconds_per_image, 9),
        "model_bytes": row.size,
    }
    if row.evaluation is not None:
        figures = row.evaluation.figures
        names = (*_FIGURES, "log_loss") if row.method.probabilistic else _FIGURES
        found |= {name: _figure(figures[name]) for name in names}
    if row.name in comparison.against_best:
        pair = comparison.against_best[row.name]
        told = {_BEST_AND_THIS.get(name, name): value for name, value in pair.to_dict().items()}
        found["against_best"] = {**told, "p_value_holm": comparison.p_values[row.name]}
    return found


def _figure(figure: Figure) -> dict[str, object]:
    interval = figure.interval
    ends = {} if interval is None else {"low": round(interval.low, 6), "high": round(interval.high, 6)}
    return {"value": round(figure.value, 6), **ends, "n": figure.n}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
