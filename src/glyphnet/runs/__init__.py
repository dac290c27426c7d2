"""Runs: from data to a trained and evaluated classifier in a run folder; and resuming a stopped run."""

from .conclusion import judgement_to_dict, write_judgement
from .preparation import read_recipe
from .review import Review, ReviewedPart
from .run import Run, RunFolder
from .training import resume, train

__all__ = [
    "Review",
    "ReviewedPart",
    "Run",
    "RunFolder",
    "judgement_to_dict",
    "read_recipe",
    "resume",
    "train",
    "write_judgement",
]
