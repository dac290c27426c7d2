"""The noun for everything that a reader of a figure must know: a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or may be, with data, a training or a model's answers.

    Attributes:
        code: its kind, the same wherever it is shown: "imbalance", "blank", "overfitting".
        sentence: what was found, and what to do.
        numbers: the evidence, ready for JSON.
    """

    code: str
    sentence: str
    numbers: Mapping[str, int | float | str | None] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.sentence

    def to_dict(self) -> dict[str, Any]:
        """Code, sentence and numbers, ready for JSON."""
        return asdict(self)
