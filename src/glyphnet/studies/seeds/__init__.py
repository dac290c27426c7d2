"""Several trainings that differ only in their seed: how accurate, how much of that is luck, and their ensemble."""

from .results import Ensemble, Plan, SeedProgress, SeedRun, SeedRuns, SeedsCallback, SeedsFolder, is_seeds_folder
from .training import resume_seeds, train_seeds

__all__ = [
    "Ensemble",
    "Plan",
    "SeedProgress",
    "SeedRun",
    "SeedRuns",
    "SeedsCallback",
    "SeedsFolder",
    "is_seeds_folder",
    "resume_seeds",
    "train_seeds",
]
