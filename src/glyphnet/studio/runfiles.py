"""The files of a run folder, without the training that writes them: the server starts without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ABOUT, PROGRESS, EPOCHS, LOG, LOCK = "studio.json", "progress.json", "epochs", "train.log", ".studio-lock"
"""What the studio adds to a run folder."""

STOP = ".studio-stop"
"""A file that asks the training to stop."""

PRESETS = ("fast", "balanced", "best", "robust")


@dataclass(frozen=True)
class RunFiles:
    """The files of a run, called as `glyphnet.runs.RunFolder` calls them."""

    path: Path

    @property
    def recipe(self) -> Path:
        """Every setting."""
        return self.path / "recipe.yaml"

    @property
    def history(self) -> Path:
        """The learning curves."""
        return self.path / "history.csv"

    @property
    def model(self) -> Path:
        """The classifier."""
        return self.path / "model.safetensors"

    @property
    def evaluation(self) -> Path:
        """Every figure on the test data."""
        return self.path / "evaluation.json"

    @property
    def predictions(self) -> Path:
        """A line a test image."""
        return self.path / "predictions.csv"

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / "report.html"
