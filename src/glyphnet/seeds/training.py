"""The verbs: train with several seeds, and go on with such trainings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data import Splits, look_over
from ..data.listing import Progress
from ..errors import SettingsError
from ..files import FolderLock, temporary_folder
from ..runs.preparation import Source, inputs_of, prepare, read_again
from ..runs.training import tell
from ..training import Examples, Recipe
from ..training.collective import Place
from ..training.fit import check_together
from .ensemble import check_members
from .folder import SeedsFolder
from .plan import Plan, read_plan
from .results import SeedRuns
from .strategy import choose_arithmetic, choose_at_once
from .watching import Watcher
from .work import Work


def train_seeds(
    data: Source | None = None,
    *,
    seeds: int = 10,
    ensemble: bool = False,
    at_once: int | None = None,
    preset: str = "balanced",
    recipe: Recipe | None = None,
    changes: Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
    watchers: Sequence[Watcher] = (),
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
    command: str = "",
) -> SeedRuns:
    """Train several times, with nothing but the seed changed: how accurate, and how far that is luck.

    The first seed is the recipe's, and each next one is one more. The data and their division are the same for all:
    what differs are the first weights, the order, dropout and augmentation. Each training is the very one that
    `glyphnet.train` does with that seed, and has its own complete run folder.

    Args:
        seeds: how many trainings, 2 or more.
        ensemble: also average the networks: one classifier whose logits are the mean of theirs.
        at_once: how many side by side, each in a process of its own with its share of the cores; 1 for one after
            another in this process. None chooses: see `choose_at_once`. With another number of threads than alone a
            large network's sums are rounded otherwise.
        out: folder to write into: ``seed-0`` and so on, ``ensemble``, seeds.csv and seeds.json; None writes nothing.
        overwrite: whether trainings that are in ``out`` already may be replaced.
        watchers: told how the trainings go; if one asks to stop, all stop where they can be gone on with.
        data, preset, recipe, changes, device, threads, progress, said, command: as for `glyphnet.train`.

    Raises:
        SettingsError: wrong settings, or no image is held out to judge by; told before anything is trained.
        RunFolderError: ``out`` is in use, or holds trainings.
        TrainingError: one has diverged, or its process has ended. The others have stopped; `resume_seeds` goes on.
        DataError, DeviceError: as for `glyphnet.train`.
    """
    _check(seeds, at_once, ensemble)
    folder = None if out is None else SeedsFolder(Path(out))
    if folder is not None:
        folder.check(overwrite=overwrite)
    changes = dict(changes or {})
    recipe, splits = prepare(data, preset, recipe, changes, progress)
    tell(said, *look_over(splits).lines, *recipe.without_effect(given=tuple(changes)))
    plan = Plan(recipe, tuple(range(recipe.seed, recipe.seed + seeds)), ensemble)
    at_once = _how_many(at_once, plan, splits, device, reports=folder is not None)
    plan = _with_threads(plan, splits, at_once, device, threads, said)
    if folder is not None:
        folder.check(overwrite=overwrite, inputs=inputs_of(recipe))
    with _held(folder) as place:
        if folder is not None:
            folder.clear()
            tell(said, f"The runs are written to {folder.path}.")
        return _told(Work(plan, splits, place, at_once, device, watchers).run(progress, command), said)


def resume_seeds(
    out: str | os.PathLike[str],
    *,
    splits: Splits | None = None,
    ensemble: bool = False,
    at_once: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    watchers: Sequence[Watcher] = (),
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
    command: str = "",
) -> SeedRuns:
    """Go on with the trainings in a folder: the finished ones stay, the others come to the very same end.

    Args:
        out: the folder.
        splits: the data, where the trainings were begun with loaded splits.
        ensemble: average the networks, also if that was not asked for at the beginning.
        at_once, device, watchers, progress, said, command: as for `train_seeds`.
        threads: with how many to compute if the folder does not say; it does unless an older version wrote it.

    Raises:
        RunFolderError: there is nothing to go on with, or another process is at it.
        The others: as for `train_seeds`.
    """
    folder = SeedsFolder(Path(out))
    folder.check(overwrite=True)
    plan = read_plan(folder)
    plan = replace(plan, ensemble=plan.ensemble or ensemble)
    _check(len(plan.seeds), at_once, plan.ensemble)
    if splits is None:
        if plan.recipe.data is None:
            raise SettingsError(
                f"{folder.path}: these trainings were begun with data in memory. Go on with them from Python: "
                "glyphnet.resume_seeds(folder, splits=...)."
            )
        splits = read_again(plan.recipe.data, progress)
    tell(said, *look_over(splits).lines)
    at_once = _how_many(at_once, plan, splits, device, reports=True)
    plan = _with_threads(plan, splits, at_once, device, threads, said)
    with FolderLock(folder.path):
        return _told(Work(plan, splits, folder, at_once, device, watchers).run(progress, command), said)


def _with_threads(
    plan: Plan, splits: Splits, at_once: int, device: str, threads: int | None, said: Callable[[str], None] | None
) -> Plan:
    """The plan with the number of threads: that of the beginning, or one that is chosen now, and said."""
    if plan.threads is not None:
        return plan
    arithmetic = choose_arithmetic(plan.recipe, splits, at_once, device, threads)
    tell(said, str(arithmetic))
    return replace(plan, threads=arithmetic.threads)


def _told(found: SeedRuns, said: Callable[[str], None] | None) -> SeedRuns:
    """Say how the models read pictures: each decided that by itself."""
    if found.runs:
        first, on = found.runs[0], sum(run.classifier.normalize is True for run in found.runs)
        differ = f" {on} of {len(found.runs)} seeds normalise pictures." if 0 < on < len(found.runs) else ""
        tell(said, f"Seed {first.seed}: {first.classifier.about_normalizing}{differ}")
    return found


@contextmanager
def _held(folder: SeedsFolder | None) -> Iterator[SeedsFolder]:
    """The folder, locked; one that is gone afterwards where nothing is to be written."""
    if folder is None:
        with temporary_folder() as place:
            yield SeedsFolder(place, stays=False)
    else:
        with FolderLock(folder.path):
            yield folder


def _check(seeds: int, at_once: int | None, ensemble: bool) -> None:
    """Refuse what cannot be before any data are read."""
    if seeds < 2:
        raise SettingsError(f"seeds is {seeds}: it must be 2 or more. One training is glyphnet train --seed N.")
    if at_once is not None and at_once < 1:
        raise SettingsError(f"at_once is {at_once}: it must be 1 or more.")
    check_members(seeds, ensemble)
    if Place.from_environment().size > 1:
        raise SettingsError("torchrun divides one training, not several seeds. Give --seeds without torchrun.")


def _how_many(at_once: int | None, plan: Plan, splits: Splits, device: str, *, reports: bool) -> int:
    """How many trainings run at the same time, once it is sure that the recipe goes with the data."""
    if not len(splits.test) and not len(splits.validation):
        raise SettingsError(
            "no image is held out, so there is no accuracy to average. Set data.test_fraction or "
            "data.validation_fraction above 0."
        )
    train, validation = (Examples.of(part.images, part.labels) for part in (splits.train, splits.validation))
    check_together(plan.recipe, train, validation, len(splits.classes))
    # Refuses a network that the images do not fit.
    best = choose_at_once(plan.recipe, splits, len(plan.seeds), device, reports=reports)
    return best if at_once is None else min(at_once, len(plan.seeds))
