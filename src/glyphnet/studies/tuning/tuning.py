"""Search settings by validation images, then train the winner and judge it once on the test images."""

from __future__ import annotations

import json
import math
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ... import runs, training
from ...data import Splits, look_over
from ...errors import DivergedError, SettingsError, TrainingError
from ...evaluation import fit_temperature
from ...evaluation.calibration import log_softmax
from ...evaluation.evaluate import part_of
from ...files import Replacing, read_input
from ...nn import logits_in_batches
from ...progress import SILENT, Reporter
from ...runs.preparation import Source, fitting_of, inputs_of, prepare
from ...training import Examples, FitResult, HistoryRow, Recipe, StepInfo, TrainingState, choose_device
from ...training import preset as recipe_of_preset
from ...training.device import Place, using_threads
from .results import Ending, Outcome, TestResult, Trial, TrialEnding, Tuning, score
from .sizes import check_size, networks_within
from .space import Search, Space, Value, default_search, read_space
from .study import PARTS, Peers, Study, check_places, quiet, require_optuna, start_over

if TYPE_CHECKING:
    import optuna

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
    max_parameters: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    callbacks: Sequence[SearchCallback] = (),
    winner_callbacks: Sequence[training.Callback] = (),
    reporter: Reporter = SILENT,
) -> Tuning:
    """Search for better settings of a recipe, then train the winner and judge it on the test images.

    Every trial is a training judged on the validation images, which `glyphnet.load` takes out of the training part.
    The first trial is the unchanged recipe; then Optuna's TPE draws. The objective is the accuracy, and between equal
    accuracies the log loss after temperature scaling: a few hundred validation images often cannot tell two trials
    apart by accuracy, and the training loss itself would favour less label smoothing. A trial in the worst quarter at
    the same point of its training is pruned.

    The same call with the same ``out`` resumes the search, and several processes may do so at once: they share the
    trials, and the last one to end trains the winner.

    Args:
        data, preset, recipe, changes: what the trials start from, as for `glyphnet.train`. The recipe's seed is also
            that of the search.
        search: what is searched, by dotted name: ``{"optimizer.lr": "1e-4..1e-1:log", "network.stem": "8..32:step8",
            "network.hidden": [[64], [128, 64]], "optimizer": "adamw,sgd"}``. None for `default_search`.
        trials: the budget in ended trials, including those of earlier calls and other processes; 30 if neither it nor
            ``seconds`` is given.
        seconds: the budget of this search in seconds; the winner's training comes on top.
        out: folder for the results, the study and the winner's run folder; None writes nothing.
        storage: the study's SQLite file; ``study.db`` in ``out`` unless given.
        replacing: what may be replaced in ``out``; with ``overwrite`` the search starts over. None for the files of an
            earlier search only.
        pruning: whether to stop trials that fall behind.
        max_parameters: how many numbers the network may learn. Then the network is searched, too: of several families
            the widest one within the limit, unless ``search`` says what to search. A trial that draws a larger one is
            not trained.
        device, threads: as for `glyphnet.train`.
        callbacks: called during the search; if one requests a stop, the search ends and the winner is not trained.
        winner_callbacks: called during the winner's training.
        reporter: as for `glyphnet.train`.

    Raises:
        MissingExtraError: Optuna is not installed.
        SettingsError: wrong settings or ranges, raised before anything is trained.
        RunFolderError: the study belongs to other data, another recipe or another search.
        OutputError: another file is in the way of one to be written.
        BadFileError: ``storage`` is not a study.
        TrainingError: no trial finished within the budget.
        DataError, DeviceError: as for `glyphnet.train`.
    """
    trials = DEFAULT_TRIALS if trials is None and seconds is None else trials
    _check_early(trials, seconds, max_parameters)
    folder = None if out is None else Path(out)
    file = Path(storage) if storage is not None else folder and folder / STUDY_FILE
    rules = replacing or Replacing(is_default=True)
    check_places(folder, file, rules)
    base, splits, space = _prepare(data, search, preset, recipe, dict(changes or {}), max_parameters, reporter)
    check_places(folder, file, replace(rules, inputs=(*rules.inputs, *inputs_of(base))))
    with quiet(), Peers(file) as peers:
        if rules.overwrite and file is not None:
            start_over(folder, file, peers)
        study = Study(file, base, splits, space, peers)
        if earlier := len(study.trials()):
            reporter.say(f"Resuming {file}: {earlier} trials have ended.")
        budget = Budget(trials, seconds)
        runner = TrialRunner(base, splits, device, threads, pruning, budget, callbacks, max_parameters)
        try:
            ending = search_for(study, runner, budget, callbacks)
        finally:
            for callback in callbacks:
                callback.search_ended()
        if ending != "stopped" and study.others_run():
            ending = "shared"
        found = Tuning(
            splits.name, {name: len(part) for name, part in splits}, base, space,
            study.trials(),  # only now: another process may have found something better meanwhile
            study.importances(), ending, budget.elapsed, folder, file,
        )  # fmt: skip
        if folder is not None and found.trials:
            from .picture import write_tuning  # Matplotlib, on demand

            write_tuning(found, folder)
        if ending in ("stopped", "shared"):
            return found
        if found.best is None:
            raise TrainingError(_why_nothing(found, seconds))
        return _train_winner(
            found, study, peers, splits, device=device, threads=threads, callbacks=winner_callbacks, reporter=reporter
        )


def _check_early(trials: int | None, seconds: float | None, max_parameters: int | None) -> None:
    require_optuna()
    if Place.from_environment().size > 1:
        raise SettingsError(
            "torchrun divides one training, not a search. Start the same command several times without it: the "
            "processes share the trials."
        )
    if trials is not None and trials < 1:
        raise SettingsError(f"trials (={trials}) must be 1 or more.")
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise SettingsError(f"seconds (={seconds:g}) must be above 0.")
    if max_parameters is not None and max_parameters < 1:
        raise SettingsError(f"max_parameters (={max_parameters}) must be 1 or more.")


def _prepare(
    data: Source | None,
    search: Search | None,
    preset: str,
    recipe: Recipe | None,
    changes: Mapping[str, Any],
    max_parameters: int | None,
    reporter: Reporter,
) -> tuple[Recipe, Splits, Space]:
    """The recipe that the trials start from, the images, and the search space; reports all that is wrong with them."""
    _check_search(search, preset, recipe, changes)
    base, splits = prepare(data, preset, recipe, changes, reporter.progress, own_network=True)
    if not len(splits.validation):
        raise SettingsError(
            "Trials are judged on validation images, and there are none. Set data.validation_fraction above 0."
        )
    if max_parameters is not None and search is None:
        networks = networks_within(max_parameters, splits.image_shape, len(splits.classes))
        base = base.override({"network": networks[0]})
        search = {**({"network": networks} if len(networks) > 1 else {}), **default_search(base)}
        search.pop("network.dropout", None)  # so few weights cannot learn images by heart
    space = read_space(default_search(base) if search is None else search, base)
    about = base.about_pictures if recipe is None else ()
    reporter.say(*look_over(splits).lines, *about, *base.without_effect(given=tuple(changes)), f"Searched: {space}.")
    if both := [name for name in space.to_dict() if name in changes]:
        reporter.say(f"{', '.join(both)}: searched, so the given value is only the starting point.")
    return base, splits, space


def _check_search(search: Search | None, preset: str, recipe: Recipe | None, changes: Mapping[str, Any]) -> None:
    """Refuse a wrong search before reading data takes minutes; a recipe for other data stands in for a preset's.

    `prepare` reports faults of the changes.
    """
    if search is None:
        return
    stand_in = recipe or recipe_of_preset(preset, (28, 28, 1), 10_000, 10)
    others = {name: value for name, value in changes.items() if name.partition(".")[0] != "data"}
    read_space(search, stand_in.override(others), effects=False)


def _why_nothing(found: Tuning, seconds: float | None) -> str:
    """Why there is no winner."""
    reasons = [trial.outcome.reason for trial in found.trials if trial.outcome.reason]
    if reasons:
        return f"No trial finished. The last one: {reasons[-1].rstrip('.')}."
    if seconds is None:
        return "No trial finished. Give more trials."
    return (
        f"No trial finished in {seconds:g} s. Give more time, or start from a faster recipe "
        "(--preset fast, --set epochs=5)."
    )


# The winner


def _train_winner(
    tuning: Tuning,
    study: Study,
    peers: Peers,
    splits: Splits,
    *,
    device: str,
    threads: int | None,
    callbacks: Sequence[training.Callback],
    reporter: Reporter,
) -> Tuning:
    """Train the winner of an ended search, unless it is trained already, and judge it on the test images.

    Only one process does so at a time; another one waits for it.
    """
    if peers.is_taken("winner"):
        reporter.say("Another process is training the winner: waiting for it.")
    with peers.exclusive("winner"):
        best, recipe = tuning.best, tuning.recipe
        assert best is not None
        assert recipe is not None
        folder = tuning.winner_folder
        found = None if folder is None else _judged_before(runs.RunFolder(folder), recipe)
        if found is not None:
            return replace(tuning, test=found)
        notes = tuning.notes
        if others := [str(number) for number in study.judged if number != best.number]:
            notes += (
                f"The test images were looked at before, for an earlier winner (trial {', '.join(others)}): "
                "if their result made you continue the search, they are no longer independent.",
            )
        again = shlex.join(["glyphnet", "train", "--recipe", str(tuning.folder / "best.yaml")]) if tuning.folder else ""
        reporter.say(f"Training the winner (trial {best.number}) once more, for its run folder.")
        run = runs.train(
            splits if recipe.data is None else None, recipe=recipe, out=folder, overwrite=True, device=device,
            threads=threads, callbacks=callbacks, reporter=replace(reporter, sentence=None), command=again,
        )  # fmt: skip
        if run.ending == "stopped":
            return replace(tuning, ending="stopped", run=run, notes=notes)
        study.remember_judged(best.number)
        test = None
        if (judged := run.evaluation) is not None:
            low, high = judged.accuracy_interval.low, judged.accuracy_interval.high
            test = TestResult(judged.data, judged.part, judged.accuracy, low, high, len(judged))
        return replace(tuning, run=run, test=test, notes=notes)


def _judged_before(folder: runs.RunFolder, recipe: training.Recipe) -> TestResult | None:
    """The figures in a run folder, if a run of this recipe came to its end there."""
    try:
        if not folder.evaluation.is_file() or runs.read_recipe(folder.recipe) != recipe:
            return None
        figures = json.loads(read_input(folder.evaluation))
        data, accuracy = figures["data"], figures["accuracy"]
        low, high = accuracy["low"], accuracy["high"]
        return TestResult(data, part_of(figures, data), accuracy["value"], low, high, figures["n"])
    except (SettingsError, OSError, ValueError, KeyError, TypeError):
        return None  # not a file of ours: the winner is trained again


# The search: trials one after another, each trained and validated, until a budget is used up


DEFAULT_TRIALS = 30
_REPEATS = 20  # consecutive repeated draws after which a small space counts as exhausted


@dataclass(frozen=True)
class SearchProgress:
    """The progress of a search when a trial starts."""

    number: int  # of the starting trial, from 0
    ended: int  # trials, in all processes
    trials: int | None  # the budget in trials
    elapsed: float  # seconds since this search started
    seconds: float | None  # the budget in seconds
    best: Trial | None  # so far


class SearchCallback(training.Callback):
    """Called during the search and the training of every trial; a subclass overrides what it needs.

    Stopping a training stops the search: the trial counts as never started.
    """

    def trial_began(self, progress: SearchProgress) -> None:
        """Called before each trial."""

    def trial_ended(self, trial: Trial, best: Trial | None) -> None:
        """Called after each trial, however it ended, with the best so far."""

    def search_ended(self) -> None:
        """Called once, after the last trial."""

    def stop_requested(self) -> bool:
        """Called between trials: true stops the search."""
        return False


@dataclass(frozen=True)
class Budget:
    """How long to search; the first limit that is reached counts, and None is no limit."""

    trials: int | None  # ended ones, including those of earlier commands and other processes
    seconds: float | None  # of this search
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return time.monotonic() - self.began

    @property
    def is_over(self) -> bool:
        """Whether the time is used up."""
        return self.seconds is not None and self.elapsed >= self.seconds


def search_for(study: Study, runner: TrialRunner, budget: Budget, callbacks: Sequence[SearchCallback]) -> Ending:
    """Run trials until the budget is used up, a callback requests a stop, or the space is exhausted; say which."""
    repeats = 0
    best = _best(study.trials())
    while repeats < _REPEATS:
        if any(each.stop_requested() for each in callbacks):
            return "stopped"
        if budget.is_over:
            return "time"
        begun = study.begin(budget.trials)
        if begun is None:
            return "trials"
        trial, settings = begun
        outcome = study.outcome_of(settings)
        repeats = 0 if outcome is None else repeats + 1
        if outcome is None:
            progress = SearchProgress(
                trial.number, len(study.trials()), budget.trials, budget.elapsed, budget.seconds, best
            )
            for each in callbacks:
                each.trial_began(progress)
            try:
                outcome = runner.run(trial, settings)
            except BaseException as error:
                # This process stays alive, so the others would wait for the trial.
                study.end(trial, Outcome("stopped", type(error).__name__))
                raise
        ended = study.end(trial, outcome)
        best = _best(study.trials())
        for each in callbacks:
            each.trial_ended(ended, best)
        if outcome.ending == "stopped":
            return "stopped"
    return "repeats"


def _best(trials: Sequence[Trial]) -> Trial | None:
    finished = [trial for trial in trials if trial.ending == "finished"]
    return max(finished, key=lambda trial: (trial.score, -trial.number), default=None)


# One trial


@dataclass(frozen=True, eq=False)
class TrialRunner:
    """Trains one trial after another on the same images; the test images are never read.

    When the time of the budget is over, every trial stops, and if a callback requests a stop, the trial is "stopped".
    """

    recipe: Recipe
    splits: Splits
    device: str
    threads: int | None
    pruning: bool
    budget: Budget
    callbacks: Sequence[training.Callback]
    max_parameters: int | None = None

    def run(self, trial: optuna.Trial, settings: Mapping[str, Value]) -> Outcome:
        """Train and validate. A failure that the settings cause is an outcome, not an error."""
        splits = self.splits
        validation = Examples.of(splits.validation.images, splits.validation.labels)
        watch = _Watch(trial, len(validation), self.budget, pruning=self.pruning)
        try:
            recipe = self.recipe.override(settings)
            check_size(recipe.network, self.max_parameters, splits.image_shape, len(splits.classes))
            fitting = fitting_of(recipe, splits, self.device, threads=self.threads)
            result = fitting.run(callbacks=(watch, *self.callbacks))
        except SettingsError as error:
            return Outcome("impossible", str(error))
        except DivergedError as error:
            return Outcome("diverged", str(error), epochs=watch.epochs)
        except (MemoryError, torch.OutOfMemoryError) as error:
            return Outcome("no memory", str(error) or "not enough memory")
        if result.ending == "stopped":
            ending: TrialEnding = "pruned" if watch.pruned else "out of time" if watch.expired else "stopped"
            return Outcome(ending, "", watch.correct, None, result.best_epoch, watch.epochs, result.seconds)
        return self._validate(result, validation)

    def _validate(self, result: FitResult, validation: Examples) -> Outcome:
        """The weights of the best epoch on the validation images, as the classifier will use them."""
        inputs, labels = validation.inputs, validation.labels.numpy()
        network = result.network.to(choose_device(self.device))
        with using_threads(result.threads):
            answers = list(logits_in_batches(network, result.preprocessing, inputs))
        logits = torch.cat(answers).double().cpu().numpy()
        scaled = log_softmax(logits / fit_temperature(logits, labels))
        return Outcome(
            ending="finished",
            correct=int((logits.argmax(axis=1) == labels).sum()),
            log_loss=float(-scaled[np.arange(len(labels)), labels].mean()),
            best_epoch=result.best_epoch,
            epochs=len(result.history),
            seconds=result.seconds,
        )


class _Watch(training.Callback):
    """Stops a trial when the time is up, and reports its score to the study, which decides whether to prune it."""

    def __init__(self, trial: optuna.Trial, images: int, budget: Budget, *, pruning: bool) -> None:
        self._trial, self._images, self._budget, self._pruning = trial, images, budget, pruning
        self._reported = self.epochs = 0
        self.correct: int | None = None
        self.pruned = self.expired = False

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Stop, if the time is up."""
        self.expired = self._budget.is_over
        return self.expired

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop, if the trial has fallen behind the others at this point of its training."""
        self.epochs = state.epoch
        self.correct = round((row["val_accuracy"] or 0.0) * self._images)
        part = PARTS * state.epoch // state.recipe.epochs
        if part <= self._reported:
            return False
        self._reported = part
        self._trial.report(score(self.correct, self._images, row["val_loss"] or 0.0), part)
        self.pruned = self._pruning and part < PARTS and self._trial.should_prune()
        return self.pruned
