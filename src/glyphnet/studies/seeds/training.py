"""Train with several seeds, resume such trainings, and average their networks into an ensemble."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...classifier import Classifier
from ...data import Splits, look_over
from ...errors import DivergedError, SettingsError, TrainingError
from ...evaluation.evaluate import findings_of
from ...evaluation.normalizing import decide_normalizing
from ...files import atomic_write_text, make_folder
from ...locks import FolderLock, temporary_folder
from ...modelfile import library_versions
from ...nn.modules import join, summands
from ...nn.networks import MOST_MEMBERS, EnsembleSpec
from ...progress import SILENT, Reporter
from ...runs import RunFolder, write_judgement
from ...runs.conclusion import calibrated, judge_after_training
from ...runs.preparation import Source, inputs_of, prepare, read_again
from ...training import Examples, Recipe
from ...training.device import Place, hardware
from ...training.fit import check_together
from .results import (
    Ending,
    Ensemble,
    Plan,
    SeedProgress,
    SeedReporter,
    SeedRun,
    SeedRuns,
    SeedsCallback,
    SeedsFolder,
    read_plan,
    read_run,
)
from .strategy import choose_arithmetic, choose_at_once, train_one, train_side_by_side


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
    callbacks: Sequence[SeedsCallback] = (),
    reporter: Reporter = SILENT,
    command: str = "",
) -> SeedRuns:
    """Train several times and change nothing but the seed: how accurate, and how much of that is luck.

    The first seed is the recipe's; each further one is the next number. The data and their split are the same for all;
    the initial weights, the order, dropout and augmentation differ. Each training equals that of `glyphnet.train` with
    that seed, and has its own complete run folder.

    Args:
        seeds: how many trainings, 2 or more.
        ensemble: also average the networks: one classifier whose logits are the mean of theirs.
        at_once: how many side by side, each in its own process with its share of the cores; 1 for one after another
            in this process. None chooses: see `choose_at_once`. The number of threads changes how the sums of a large
            network are rounded.
        out: folder to write into: ``seed-0`` and so on, ``ensemble``, seeds.csv and seeds.json; None writes nothing.
        overwrite: whether to replace trainings in ``out``.
        callbacks: called during the trainings; if one requests a stop, all trainings stop and can be resumed.
        data, preset, recipe, changes, device, threads, reporter, command: as for `glyphnet.train`.

    Raises:
        SettingsError: wrong settings, or no held-out images to judge by; raised before anything is trained.
        RunFolderError: ``out`` is in use, or holds trainings.
        TrainingError: one has diverged, or its process has died. The others were stopped; `resume_seeds` resumes them.
        DataError, DeviceError: as for `glyphnet.train`.
    """
    _check(seeds, at_once, ensemble)
    folder = None if out is None else SeedsFolder(Path(out))
    if folder is not None:
        folder.check(overwrite=overwrite)
    changes = dict(changes or {})
    given = recipe
    recipe, splits = prepare(data, preset, recipe, changes, reporter.progress)
    about = recipe.about_pictures if given is None else ()
    reporter.say(*look_over(splits).lines, *about, *recipe.without_effect(given=tuple(changes)))
    plan = Plan(recipe, tuple(range(recipe.seed, recipe.seed + seeds)), ensemble)
    at_once = _how_many(at_once, plan, splits, device, reports=folder is not None)
    plan = _with_threads(plan, splits, at_once, device, threads, reporter)
    if folder is None:
        with temporary_folder() as temporary:
            work = _Work(plan, splits, SeedsFolder(temporary, stays=False), at_once, device, callbacks)
            return work.run(reporter, command)
    folder.check(overwrite=overwrite, inputs=inputs_of(recipe))
    with FolderLock(folder.path):
        folder.clear()
        reporter.say(f"The runs are written to {folder.path}.")
        return _Work(plan, splits, folder, at_once, device, callbacks).run(reporter, command)


def resume_seeds(
    out: str | os.PathLike[str],
    *,
    splits: Splits | None = None,
    ensemble: bool = False,
    at_once: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    callbacks: Sequence[SeedsCallback] = (),
    reporter: Reporter = SILENT,
    command: str = "",
) -> SeedRuns:
    """Resume the trainings in a folder: finished ones stay, the others end with the same bits as without the stop.

    Args:
        splits: the data, if the trainings were started with loaded splits.
        ensemble: average the networks, even if that was not requested at the start.
        at_once, device, callbacks, reporter, command: as for `train_seeds`.
        threads: to compute with if the folder does not say; only folders of older versions do not.

    Raises:
        RunFolderError: there is nothing to resume, or another process uses the folder.
        SettingsError, TrainingError, DataError, DeviceError: as for `train_seeds`.
    """
    folder = SeedsFolder(Path(out))
    folder.check(overwrite=True)
    plan = read_plan(folder)
    plan = replace(plan, ensemble=plan.ensemble or ensemble)
    _check(len(plan.seeds), at_once, plan.ensemble)
    if splits is None:
        if plan.recipe.data is None:
            raise SettingsError(
                f"{folder.path}: these trainings were started with data in memory. Resume them from Python: "
                "glyphnet.resume_seeds(folder, splits=...)."
            )
        splits = read_again(plan.recipe, reporter.progress)
    reporter.say(*look_over(splits).lines)
    at_once = _how_many(at_once, plan, splits, device, reports=True)
    plan = _with_threads(plan, splits, at_once, device, threads, reporter)
    with FolderLock(folder.path):
        return _Work(plan, splits, folder, at_once, device, callbacks).run(reporter, command)


def _with_threads(
    plan: Plan, splits: Splits, at_once: int, device: str, threads: int | None, reporter: Reporter
) -> Plan:
    """The plan with its number of threads: that of the start, or one that is chosen and reported now."""
    if plan.threads is not None:
        return plan
    arithmetic = choose_arithmetic(plan.recipe, splits, at_once, device, threads)
    reporter.say(str(arithmetic))
    return replace(plan, threads=arithmetic.threads)


def _check(seeds: int, at_once: int | None, ensemble: bool) -> None:
    """Refuse impossible settings before any data are read."""
    if seeds < 2:
        raise SettingsError(f"seeds is {seeds}: it must be 2 or more. One training is glyphnet train --seed N.")
    if at_once is not None and at_once < 1:
        raise SettingsError(f"at_once is {at_once}: it must be 1 or more.")
    if ensemble and seeds > MOST_MEMBERS:
        raise SettingsError(f"an ensemble has {MOST_MEMBERS} members at most, not {seeds}: train fewer seeds.")
    if Place.from_environment().size > 1:
        raise SettingsError("torchrun divides one training, not several seeds. Use --seeds without torchrun.")


def _how_many(at_once: int | None, plan: Plan, splits: Splits, device: str, *, reports: bool) -> int:
    """How many trainings run at the same time; refuses a recipe that does not fit the data."""
    if plan.ensemble and plan.recipe.augment.get("flip") and 2 * len(plan.seeds) > MOST_MEMBERS:
        raise SettingsError(
            f"an ensemble has {MOST_MEMBERS} members at most, and each of {len(plan.seeds)} networks may have its "
            "mirror image with it: train fewer seeds."
        )
    if not len(splits.test) and not len(splits.validation):
        raise SettingsError(
            "no image is held out, so there is no accuracy to average. Set data.test_fraction or "
            "data.validation_fraction above 0."
        )
    train, validation = (Examples.of(part.images, part.labels) for part in (splits.train, splits.validation))
    check_together(plan.recipe, train, validation, len(splits.classes))
    best = choose_at_once(plan.recipe, splits, len(plan.seeds), device, reports=reports)
    return best if at_once is None else min(at_once, len(plan.seeds))


@dataclass(eq=False)
class _Work:
    """The trainings that are left to do, with the tables kept up to date in a folder that this process has locked."""

    plan: Plan
    splits: Splits
    folder: SeedsFolder
    at_once: int
    device: str
    callbacks: Sequence[SeedsCallback]

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.runs = {seed: self._read(seed) for seed in self.plan.seeds}

    def run(self, reporter: Reporter, command: str) -> SeedRuns:
        """Train the unfinished seeds, and average the networks if requested."""
        self._write("running")
        left = [seed for seed, run in self.runs.items() if run is None]
        for each in self.callbacks:
            each.began(left, self.at_once)
        try:
            done = self._train(left)
        except TrainingError:
            self._write("failed")
            raise
        finally:
            for each in self.callbacks:
                each.ended()
        ensemble = None
        if done and self.plan.ensemble:
            members = [run.classifier for run in self._finished()]
            folder = self.folder.ensemble if self.folder.stays else None
            ensemble = _conclude(members, self.plan, self.splits, folder, reporter, command)
        found = self._write("finished" if done else "stopped", ensemble)
        if found.runs:  # each model decides by itself how it reads pictures
            first, on = found.runs[0], sum(run.classifier.normalize is True for run in found.runs)
            differ = f" {on} of {len(found.runs)} seeds normalise pictures." if 0 < on < len(found.runs) else ""
            reporter.say(f"Seed {first.seed}: {first.classifier.about_normalizing}{differ}")
        return found

    def _train(self, seeds: Sequence[int]) -> bool:
        """Train ``seeds``; return whether all are finished."""
        if self.at_once == 1 or self._stop_requested():
            return all(map(self._train_here, seeds))
        return train_side_by_side(
            self.plan, seeds, self.at_once, self.splits, self.folder, self.device,
            running=self._running, finished=self._record, stop_requested=self._stop_requested,
        )  # fmt: skip

    def _train_here(self, seed: int) -> bool:
        if self._stop_requested():
            return False
        callback = SeedReporter(seed, self._running, self._stop_requested)
        try:
            ending = train_one(
                self.plan.of(seed), self.splits, self.folder.of(seed), self.device, callback,
                report=self.folder.stays, threads=self.plan.threads,
            )  # fmt: skip
        except DivergedError as error:
            raise TrainingError(f"seed {seed}: {error}") from error
        if ending == "stopped":
            return False
        self._record(seed)
        return True

    def _running(self, progress: SeedProgress) -> None:
        for each in self.callbacks:
            each.running(progress)

    def _stop_requested(self) -> bool:
        return any(each.stop_requested() for each in self.callbacks)

    def _record(self, seed: int) -> None:
        """Record a finished training."""
        run = self.runs[seed] = self._read(seed)
        if run is None:
            raise TrainingError(f"{self.folder.of(seed).path}: holds no finished training, though it was just made.")
        self._write("running")
        for each in self.callbacks:
            each.finished(run)

    def _read(self, seed: int) -> SeedRun | None:
        return read_run(self.folder.of(seed), self.plan.of(seed), keep=self.folder.stays)

    def _finished(self) -> list[SeedRun]:
        return [run for run in self.runs.values() if run is not None]

    def _write(self, ending: Ending, ensemble: Ensemble | None = None) -> SeedRuns:
        """The results so far, also written as files."""
        found = SeedRuns(
            plan=self.plan,
            runs=tuple(self._finished()),
            ensemble=ensemble,
            ending=ending,
            seconds=time.monotonic() - self.began,
            at_once=self.at_once,
            images={name: len(part) for name, part in self.splits},
            folder=self.folder.path if self.folder.stays else None,
        )
        found.write()
        return found


# The ensemble


def _average(members: Sequence[Classifier], plan: Plan, splits: Splits) -> Classifier:
    """The classifier whose logits are the mean of those of ``members``.

    How it reads pictures and when it rejects an answer is chosen on the validation images, as it was for them.
    """
    first, joined = members[0], join([member.network for member in members])
    plain = replace(
        first,
        network=joined,
        spec=EnsembleSpec(members=len(summands(joined)), member=plan.recipe.network),
        temperature=1.0,
        threshold=None,
        prototypes=None,
        foreign_threshold=None,
        conformal=None,
        metrics={"seeds": list(plan.seeds), "members": [member.metrics["accuracy"] for member in members]},
    )
    return calibrated(decide_normalizing(plain, splits.train, splits.validation), splits, plan.recipe)


def _conclude(
    members: Sequence[Classifier],
    plan: Plan,
    splits: Splits,
    folder: RunFolder | None,
    reporter: Reporter,
    command: str,
) -> Ensemble:
    """Make the ensemble, judge it, and write it if there is a folder."""
    judged = judge_after_training(_average(members, plan, splits), splits, reporter.progress)
    assert judged is not None  # `_how_many` refuses data without held-out images
    classifier, evaluation, held = judged
    if folder is not None:
        make_folder(folder.path)
        atomic_write_text(folder.recipe, plan.recipe.to_yaml())
        classifier.save(folder.model)
        write_judgement(
            folder, classifier, evaluation, history=None, findings=(*findings_of(evaluation), *held.findings),
            command=command, splits=splits, model=shlex.quote(str(folder.model)),
            provenance={
                "seeds of the members": json.dumps(plan.seeds),
                "hardware": hardware(),
                "versions": library_versions(),
                "data": {name: len(part) for name, part in splits},
                "fingerprint of the training data": splits.train.fingerprint,
            },
        )  # fmt: skip
    return Ensemble(classifier, evaluation, None if folder is None else Path(folder.path))
