"""What long work reports while it runs: sentences for the user, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int, str], None]
"""``progress(done, total, what)``: ``what`` names the work ("reading images"); ``total`` 0 means unknown."""


@dataclass(frozen=True)
class Reporter:
    """Where long work reports to; without arguments, nowhere.

    A training also calls a reporter that is a `Callback` after each step and epoch, as `glyphnet.Live` is.

    Attributes:
        sentence: called with each sentence for the user: what was chosen, what has no effect. ``print`` will do.
        progress: called as ``progress(done, total, what)`` while data are read and judged.
    """

    sentence: Callable[[str], None] | None = None
    progress: Progress | None = None

    def say(self, *sentences: str) -> None:
        """Report sentences, in this order."""
        if self.sentence is not None:
            for sentence in sentences:
                self.sentence(sentence)


SILENT = Reporter()
