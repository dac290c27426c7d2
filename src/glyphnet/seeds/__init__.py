"""Several trainings that differ in their seed alone: how accurate, how far that is luck, and their ensemble."""

from .folder import SeedsFolder, is_seeds_folder
from .plan import Plan
from .results import Ensemble, SeedRun, SeedRuns
from .training import resume_seeds, train_seeds
from .watching import Standing, Watcher

__all__ = [
    "Ensemble",
    "Plan",
    "SeedRun",
    "SeedRuns",
    "SeedsFolder",
    "Standing",
    "Watcher",
    "is_seeds_folder",
    "resume_seeds",
    "train_seeds",
]
