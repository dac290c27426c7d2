"""The verb: search settings by validation images, then train the winner and judge it once by the test images."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import training
from ..data import Splits, look_over
from ..data.listing import Progress
from ..errors import SettingsError, TrainingError
from ..files import Replacing, make_folder
from ..runs.preparation import Source, inputs_of, prepare
from ..training import Recipe
from ..training import preset as recipe_of_preset
from ..training.collective import Place
from .defaults import default_search
from .reading import Search, read_space
from .results import Ending, Importance, Tuning
from .search import Budget, SearchEnding
from .search import search as run_search
from .space import Space
from .study import Study, check_places, quiet, require_optuna, start_over
from .trial import TrialRunner
from .watching import Watcher
from .winner import conclude
from .workers import Workers

STUDY_FILE = "study.db"


def tune(
    data: Source | None = None,
    *,
    search: Search | None = None,
    preset: str = "balanced",
    recipe: Recipe | None = None,
    changes: Mapping[str, Any] | None = None,
    trials: int | None = None,
    seconds: float | None = None,
    out: str | os.PathLike[str] | None = None,
    storage: str | os.PathLike[str] | None = None,
    replacing: Replacing | None = None,
    pruning: bool = True,
    device: str = "auto",
    threads: int | None = None,
    watchers: Sequence[Watcher] = (),
    winner_watchers: Sequence[training.Watcher] = (),
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
) -> Tuning:
    """Search for better settings of a recipe, then train the winner and judge it on the test images.

    Every trial is a training judged on the validation images, which `glyphnet.load` takes out of the training part.
    The first trial is the recipe as it is; then Optuna's TPE draws. What counts is the accuracy, and between equal
    accuracies the log loss after temperature scaling: accuracy is what a classifier is for, a few hundred
    validation images often cannot tell two trials apart by it, and the loss of the training itself would favour
    less label smoothing. A trial in the worst quarter at the same part of its training is pruned.

    The same call with the same ``out`` goes on with the search, and several processes may do so at once: they
    share the trials, and the last one to end trains the winner.

    Args:
        data, preset, recipe, changes: what the trials begin from, as for `glyphnet.train`. The recipe's seed is that of
            the search, too.
        search: what is searched, by dotted name: ``{"optimizer.lr": "1e-4..1e-1:log", "network.stem": "8..32:step8",
            "network.hidden": [[64], [128, 64]], "optimizer": "adamw,sgd"}``. None for `default_search`.
        trials: that shall have ended, those of earlier calls and other processes included; 30 where neither it nor
            ``seconds`` is given.
        seconds: that this search may take; the winner's training comes on top.
        out: folder for what was found, the study and the winner's run folder; None writes nothing.
        storage: the study's SQLite file; ``study.db`` in ``out`` unless given.
        replacing: what may be replaced in ``out``; with ``overwrite`` the search starts over. None for the files of an
            earlier search, and no other.
        pruning: whether to stop trials that are behind.
        device, threads: as for `glyphnet.train`.
        watchers: told of the search; if one asks to stop, the search ends and the winner is not trained.
        winner_watchers: told of the winner's training.
        progress, said: as for `glyphnet.train`.

    Raises:
        MissingExtraError: Optuna is not installed.
        SettingsError: wrong settings or ranges, told before anything is trained.
        RunFolderError: the study is one of other data, another recipe or another search.
        OutputError: something else is in the place of a file that is to be written.
        BadFileError: ``storage`` is no study.
        TrainingError: no trial came to its end within the budget.
        DataError, DeviceError: as for `glyphnet.train`.
    """
    require_optuna()
    if Place.from_environment().size > 1:
        raise SettingsError(
            "torchrun divides one training, not a search. Start the same command without it as many times as you "
            "like: the processes share the trials."
        )
    budget, tell = Budget.of(trials, seconds), said or _say_nothing
    folder = None if out is None else Path(out)
    file = _storage(folder, storage)
    rules = replacing or Replacing(is_default=True)
    check_places(folder, file, rules)
    base, splits, space = _prepare(data, search, preset, recipe, dict(changes or {}), progress, tell)
    check_places(folder, file, replace(rules, inputs=(*rules.inputs, *inputs_of(base))))
    if file is not None:
        make_folder(file.parent)
    with quiet(), Workers(file) as workers:
        if rules.overwrite and file is not None:
            start_over(folder, file, workers)
        study = Study(file, base, splits, space, workers)
        if earlier := len(study.trials()):
            tell(f"Going on with {file}: {earlier} trials have ended.")
        began = time.monotonic()
        deadline = None if budget.seconds is None else began + budget.seconds
        runner = TrialRunner(
            base, splits, device=device, pruning=pruning, deadline=deadline, watchers=watchers, threads=threads
        )
        ending: Ending = _search(study, runner, budget, began, watchers)
        seconds = time.monotonic() - began
        if ending != "stopped" and study.others_run():
            ending = "shared"
        # Only now: what another process has found meanwhile may be better.
        found = replace(_gather(study, base, splits, ending, seconds), folder=folder, storage=file)
        if folder is not None and found.trials:
            found.write(folder)
        if ending in ("stopped", "shared"):
            return found
        _refuse_nothing(found, budget)
        return conclude(
            found,
            study,
            workers,
            splits,
            device=device,
            threads=threads,
            watchers=winner_watchers,
            progress=progress,
            said=tell,
        )


def _prepare(
    data: Source | None,
    search: Search | None,
    preset: str,
    recipe: Recipe | None,
    changes: Mapping[str, Any],
    progress: Progress | None,
    tell: Callable[[str], None],
) -> tuple[Recipe, Splits, Space]:
    """The recipe that the trials begin from, the images, and what is searched; all that is wrong with them is told."""
    _check_early(search, preset, recipe, changes)
    base, splits = prepare(data, preset, recipe, changes, progress)
    if not len(splits.validation):
        raise SettingsError(
            "Trials are judged by validation images, and there are none. Set data.validation_fraction above 0."
        )
    space = read_space(default_search(base) if search is None else search, base)
    for sentence in (*look_over(splits).lines, *base.without_effect(given=tuple(changes))):
        tell(sentence)
    for sentence in _introduction(space, changes):
        tell(sentence)
    return base, splits, space


def _search(
    study: Study, runner: TrialRunner, budget: Budget, began: float, watchers: Sequence[Watcher]
) -> SearchEnding:
    try:
        return run_search(study, runner, budget, began, watchers)
    finally:
        for watcher in watchers:
            watcher.search_ended()


def _check_early(search: Search | None, preset: str, recipe: Recipe | None, changes: Mapping[str, Any]) -> None:
    """Refuse a wrong search before minutes are spent on reading data; a recipe for other data stands in for a preset's.

    What the changes do to it is told by whoever prepares the training.
    """
    if search is None:
        return
    stand_in = recipe or recipe_of_preset(preset, (28, 28, 1), 10_000, 10)
    others = {name: value for name, value in changes.items() if name.partition(".")[0] != "data"}
    read_space(search, stand_in.override(others), effects=False)


def _introduction(space: Space, changes: Mapping[str, Any]) -> list[str]:
    """What is searched, and which of the user's settings it searches over."""
    both = [name for name in space.to_dict() if name in changes]
    overlap = f"{', '.join(both)}: searched, so the value given is only where the search begins."
    return ["Searched: " + "; ".join(space.lines()) + ".", *([overlap] if both else [])]


def _storage(folder: Path | None, storage: str | os.PathLike[str] | None) -> Path | None:
    if storage is None:
        return None if folder is None else folder / STUDY_FILE
    return Path(storage)


def _gather(study: Study, base: Recipe, splits: Splits, ending: Ending, seconds: float) -> Tuning:
    return Tuning(
        data=splits.name,
        counts={name: len(part) for name, part in splits},
        base=base,
        space=study.space,
        trials=study.trials(),
        importances=tuple(Importance(name, share) for name, share in study.importances().items()),
        ending=ending,
        seconds=seconds,
    )


def _refuse_nothing(found: Tuning, budget: Budget) -> None:
    """Raise TrainingError if there is no winner."""
    if found.best is not None:
        return
    reasons = [trial.outcome.reason for trial in found.trials if trial.outcome.reason]
    if reasons:
        raise TrainingError(f"No trial came to its end. The last one: {reasons[-1].rstrip('.')}.")
    raise TrainingError(
        f"No trial came to its end in {budget.seconds:g} s. Give more time, or begin from a faster recipe "
        "(--preset fast, --set epochs=5)."
        if budget.seconds
        else "No trial came to its end. Give more trials."
    )


def _say_nothing(sentence: str) -> None:
    pass
