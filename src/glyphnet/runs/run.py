"""What a training gives: the noun of this floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..classifier import Classifier
from ..data import Finding, Splits
from ..evaluation import Evaluation
from ..training import HistoryRow, Recipe
from .folder import RunFolder
from .judgement import accuracy_sentence
from .review import Review

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Run:
    """A training that has ended or was stopped.

    Attributes:
        classifier: with the weights of the best epoch; None if it was stopped before the first was finished.
        evaluation: on the test data, or on the validation data where there are none; None if it was stopped, if no
            image was held out, or in another of torchrun's processes than the first.
        recipe: what was trained.
        splits: the data.
        history: a row an epoch.
        best_epoch: whose weights were kept.
        ending: "finished", "early_stopping", "converged" or "stopped".
        seconds: of training.
        folder: where everything was written, or None.
        review: the labels that look wrong, where they were looked for.
        findings: what a reader of the figures must know: of the data, of the answers and of the training. Empty where
            nothing was judged.
    """

    classifier: Classifier | None = field(repr=False)
    evaluation: Evaluation | None = field(repr=False)
    recipe: Recipe = field(repr=False)
    splits: Splits = field(repr=False)
    history: list[HistoryRow] = field(repr=False)
    best_epoch: int
    ending: str
    seconds: float
    folder: RunFolder | None
    review: Review | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        """What came out, in a sentence."""
        if self.ending == "stopped":
            kept = f"the best weights so far (epoch {self.best_epoch}) are kept"
            epoch = len(self.history) + 1
            return f"Stopped in epoch {epoch}; {kept if self.best_epoch else 'no epoch was finished yet'}."
        if self.evaluation is None:
            return (
                f"{len(self.history):,} epochs in {self.seconds:.1f} s of training. "
                "No image was held out, so how accurate it is is not known."
            )
        return f"{accuracy_sentence(self.evaluation)}, {self.seconds:.1f} s of training."

    def plot_history(
        self, *, panels: Sequence[str] = ("loss", "accuracy"), axes: Sequence[Axes] | None = None
    ) -> tuple[Axes, ...]:
        """Draw the learning curves, training against validation: see `glyphnet.plots.learning_curves`."""
        from ..plots import learning_curves

        return learning_curves(self.history, best_epoch=self.best_epoch or None, panels=panels, axes=axes)
