"""Trainings as one batched computation: they learn together, and are judged as any others."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ..data import Splits
from ..files import FolderLock
from ..runs.keeping import go_on, writers
from ..runs.processes import fitting_of
from ..training.lockstep import run_in_lockstep
from .folder import SeedsFolder
from .one import make_ready
from .plan import Plan
from .watching import Teller, Watcher

AT_ONCE = 32
"""Networks in one computation: more do not gain, and each has all its weights and moments in memory."""


def train_batched(
    plan: Plan, seeds: Sequence[int], splits: Splits, folder: SeedsFolder, device: str, watcher: Watcher
) -> None:
    """Take each training to its end, or to where it is stopped, and leave it in its folder as a checkpoint.

    To go on with each from there does the rest: judging, reports, and the words on one that has diverged.
    """
    for first in range(0, len(seeds), AT_ONCE):
        if not watcher.stop_asked():
            _train(plan, seeds[first : first + AT_ONCE], splits, folder, device, watcher)


def _train(
    plan: Plan, seeds: Sequence[int], splits: Splits, folder: SeedsFolder, device: str, watcher: Watcher
) -> None:
    fittings, watchers = [], []
    with contextlib.ExitStack() as locks:
        for seed in seeds:
            run = folder.of(seed)
            make_ready(run, plan.of(seed))
            locks.enter_context(FolderLock(run.path))
            fitting = fitting_of(plan.of(seed), splits, device)
            began = go_on(fitting, splits, run)
            teller = Teller(seed, watcher.moved, watcher.stop_asked)
            fittings.append(fitting)
            watchers.append([*writers(fitting, splits, run, began), teller])
        run_in_lockstep(fittings, watchers)
