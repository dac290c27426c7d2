"""What the studio adds to a run folder, and asks of a training; the server starts without torch."""

from __future__ import annotations

ABOUT, PROGRESS, EPOCHS, LOG, LOCK = "studio.json", "progress.json", "epochs", "train.log", ".studio-lock"
"""What the studio adds to a run folder."""

STOP = ".studio-stop"
"""A file that asks the training to stop."""

PRESETS = ("fast", "balanced", "best", "robust")
