"""What is to be trained, and how it is read again to go on."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..errors import RunFolderError, SettingsError
from ..files import read_input
from ..training import Recipe
from .folder import SeedsFolder


@dataclass(frozen=True)
class Plan:
    """Trainings that differ in their seed alone.

    Attributes:
        recipe: with the first seed.
        seeds: of all.
        ensemble: whether the networks are to be averaged.
        threads: with how many each computes; None in folders of an older version.
    """

    recipe: Recipe
    seeds: tuple[int, ...]
    ensemble: bool
    threads: int | None = None

    def of(self, seed: int) -> Recipe:
        """The recipe of one training."""
        return self.recipe.model_copy(update={"seed": seed})


def read_plan(folder: SeedsFolder) -> Plan:
    """The plan of the trainings in a folder.

    Raises:
        RunFolderError: there are none, or their file is damaged.
    """
    try:
        told = json.loads(read_input(folder.summary))
        seeds = tuple(int(seed) for seed in told["seeds"])
        threads = told.get("threads")
        if threads is not None and not (type(threads) is int and 0 < threads < 2**16):
            raise ValueError(f"threads is {threads!r}")
        return Plan(Recipe.parse(told["recipe"]), seeds, bool(told["ensemble_wanted"]), threads)
    except FileNotFoundError:
        raise RunFolderError(
            f"{folder.path}: no trainings of several seeds to resume: there is no {folder.summary.name} in it."
        ) from None
    except (SettingsError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{folder.summary}: is not what glyphnet train --seeds wrote ({str(error)[:200]}). "
            "Train anew with --overwrite, or in another folder."
        ) from None
