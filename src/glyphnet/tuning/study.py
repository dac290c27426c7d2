"""The study: Optuna's record of the trials, in a SQLite file that several processes share, or in memory."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data import Splits
from ..errors import BadFileError, MissingExtraError, RunFolderError
from ..files import Replacing, refuse_if_in_use, remove, subfolder
from ..runs import RunFolder
from ..training import Recipe
from .results import LEAST_TRIALS, Trial
from .space import Space, Value
from .trial import PARTS, Outcome, score
from .workers import Workers

if TYPE_CHECKING:
    import optuna

WRITTEN = ("trials.csv", "importance.json", "best.yaml", "history.png", "slices.png", "importance.png")
"""What stands in the folder of a search beside the study."""

WINNER = "winner"
"""The run folder of the winner in it."""

_JOURNALS = ("-journal", "-wal", "-shm")  # SQLite's own files beside the study
_NAME = "glyphnet tune"
_WAIT = 60.0  # seconds for another process's turn to write
_SAYS_NOTHING = ("stopped", "out of time", "abandoned")
# One cycle brings the best trials forward late: half-way, the final five best of 24 lay down to the median
# (digits, preset fast), so the median would prune winners. The worst quarter held none of them from a third on.
_KEPT, _WARM_UP = 75.0, PARTS // 3
_REMEDY = "Name another file by --storage."
_MOST_NAMED = 4  # differing settings in a message


def require_optuna() -> None:
    """Raise MissingExtraError if Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Tuning", "tune") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's log, which goes to standard error, to errors."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


class Study:
    """The trials of one search over one recipe and one data set.

    Args:
        storage: SQLite file, made if it is not there; None keeps the study in memory.
        recipe: what the trials begin from; its seed is the search's too.
        splits: the images.
        space: what is searched.
        workers: this process among those at work.

    Raises:
        RunFolderError: the file holds a search of something else: it names what differs.
        BadFileError: the file is no study.
    """

    def __init__(self, storage: Path | None, recipe: Recipe, splits: Splits, space: Space, workers: Workers) -> None:
        self.space, self.images = space, len(splits.validation)
        self._storage, self._workers = storage, workers
        with workers.alone():
            self._study = _open(storage, recipe.seed)
            terms = _terms(recipe, splits, space)
            then = self._study.user_attrs.get("terms")
            if then is None:
                self._study.set_user_attr("terms", terms)
                self._enqueue(recipe)
            elif then != terms:
                raise RunFolderError(
                    f"{storage}: holds a search of something else: {_differences(then, terms)}. Give the settings as "
                    "they were, or begin anew in another place by --out or --storage."
                )

    def begin(self, most: int | None) -> tuple[optuna.Trial, dict[str, Value]] | None:
        """A new trial with its settings; None if ``most`` trials have ended or are running."""
        from optuna.trial import TrialState

        with self._workers.alone():
            self._bury()
            counted = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
            if most is not None and len(self._study.get_trials(deepcopy=False, states=counted)) >= most:
                return None
            trial = self._study.ask()
            trial.set_user_attr("worker", self._workers.token)
            return trial, self.space.suggest(trial)

    def end(self, trial: optuna.Trial, outcome: Outcome) -> Trial:
        """Write down how a trial ended."""
        from optuna.trial import TrialState

        trial.set_user_attr("outcome", outcome.to_dict())
        if outcome.ending == "finished":
            assert outcome.correct is not None
            assert outcome.log_loss is not None
            value = score(outcome.correct, self.images, outcome.log_loss)
            return self._trial(self._study.tell(trial, value))
        state = TrialState.FAIL if outcome.ending in _SAYS_NOTHING else TrialState.PRUNED
        return self._trial(self._study.tell(trial, state=state))

    def outcome_of(self, settings: Mapping[str, Value]) -> Outcome | None:
        """How an earlier trial with the very same settings finished: the same training gives the same again."""
        for trial in self.trials():
            if trial.ending == "finished" and trial.settings == settings:
                return trial.outcome
        return None

    def trials(self) -> tuple[Trial, ...]:
        """All trials that have ended, in the order in which they began."""
        return tuple(self._trial(each) for each in self._study.get_trials(deepcopy=False) if each.state.is_finished())

    def others_run(self) -> bool:
        """Whether another process is at a trial."""
        from optuna.trial import TrialState

        with self._workers.alone():
            self._bury()
            return bool(self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    @property
    def judged(self) -> tuple[int, ...]:
        """Numbers of the trials whose settings have been judged on the test images."""
        return tuple(self._study.user_attrs.get("judged", ()))

    def remember_judged(self, number: int) -> None:
        """Write down that a trial's settings have been judged on the test images."""
        self._study.set_user_attr("judged", sorted({*self.judged, number}))

    def importances(self) -> dict[str, float]:
        """How much each setting mattered: shares that sum to 1, the largest first. See `results.Importance`.

        Empty below `LEAST_TRIALS` finished trials, and where all are equally good.
        """
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        finished = [trial.score for trial in self.trials() if trial.ending == "finished"]
        if len(finished) < LEAST_TRIALS or len(set(finished)) == 1:
            return {}
        # The method wants five trials in the top group; there must be others to hold them against.
        evaluator = PedAnovaImportanceEvaluator(target_quantile=max(0.1, min(0.5, 5 / len(finished))))
        return get_param_importances(self._study, evaluator=evaluator)

    def _enqueue(self, recipe: Recipe) -> None:
        """Let the first trial be the recipe as it is, so that there is something to be better than."""
        values = self.space.values_of(recipe)
        if values is not None:
            self._study.enqueue_trial(values, user_attrs={"base": True})

    def _bury(self) -> None:
        """End the trials of processes that are gone. Only where no other process begins one."""
        from optuna.trial import TrialState

        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not self._workers.is_alive(trial.user_attrs.get("worker", "")):
                with contextlib.suppress(ValueError):  # it had ended after all
                    self._study.tell(trial.number, state=TrialState.FAIL)

    def _trial(self, frozen: optuna.trial.FrozenTrial) -> Trial:
        outcome = frozen.user_attrs.get("outcome")
        return Trial(
            number=frozen.number,
            settings=dict(frozen.params),
            outcome=Outcome(**outcome) if outcome else Outcome("abandoned", "its process was killed"),
            images=self.images,
            is_base=bool(frozen.user_attrs.get("base")),
        )


def _open(storage: Path | None, seed: int) -> optuna.Study:
    import optuna
    import sqlalchemy

    from .sampling import STARTUP, SeededTPE

    kept: optuna.storages.BaseStorage = optuna.storages.InMemoryStorage()
    try:
        if storage is not None:
            kept = optuna.storages.RDBStorage(
                "sqlite://",
                # A connection of our own: in an address, a path may not hold every character.
                engine_kwargs={
                    "creator": lambda: sqlite3.connect(storage, timeout=_WAIT),
                    "poolclass": sqlalchemy.pool.NullPool,
                },
            )
        return optuna.create_study(
            study_name=_NAME,
            storage=kept,
            direction="maximize",
            load_if_exists=True,
            sampler=SeededTPE(seed),
            pruner=optuna.pruners.PercentilePruner(_KEPT, n_startup_trials=STARTUP, n_warmup_steps=_WARM_UP),
        )
    except (sqlalchemy.exc.DatabaseError, sqlite3.DatabaseError, RuntimeError) as error:
        assert storage is not None
        raise _unusable(storage, error) from error


def check_places(folder: Path | None, storage: Path | None, rules: Replacing) -> None:
    """Look whether a search may be written there; nothing is touched. The files of an earlier search may be replaced.

    Raises:
        OutputError: something else is there.
        BadFileError: the storage is no study.
        RunFolderError: a training runs in the folder.
    """
    if storage is not None:
        files = tuple(each for each in rules.inputs if not os.path.isdir(each))
        own = replace(rules, inputs=files, overwrite=True)
        own.check(storage, follow=folder is None or storage.parent != folder, in_place=True)
        for end in _JOURNALS:
            own.check(f"{storage}{end}", follow=False, in_place=True)
        refuse_if_no_study(storage)
    if folder is not None:
        own = replace(rules, is_default=rules.is_default or (storage is not None and storage.exists()))
        own.check_in(folder, WRITTEN)
        refuse_if_in_use(folder)
        winner = RunFolder(subfolder(folder, WINNER))
        own.check_in(winner.path, [path.name for path in winner.files()])
        refuse_if_in_use(winner.path)


def start_over(folder: Path | None, storage: Path, workers: Workers) -> None:
    """Remove an earlier search.

    Raises:
        RunFolderError: another process is at it.
    """
    if workers.have_company():
        raise RunFolderError(
            f"{storage}: another process searches there. Wait until it ends, or choose another folder."
        )
    remove(storage, *(f"{storage}{end}" for end in _JOURNALS))
    if folder is not None:
        RunFolder(subfolder(folder, WINNER)).clear()


def refuse_if_no_study(storage: Path) -> None:
    """Never write into somebody else's file.

    Raises:
        BadFileError: there is a file, and it is no study.
    """
    if not storage.exists() or (storage.is_file() and not storage.stat().st_size):
        return
    try:
        with contextlib.closing(sqlite3.connect(storage, timeout=_WAIT)) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'studies'").fetchone()
    except sqlite3.Error as error:
        raise _unusable(storage, error) from error
    if found is None:
        raise BadFileError(storage, "it is a database, but no study", _REMEDY)


def _terms(recipe: Recipe, splits: Splits, space: Space) -> dict[str, Any]:
    """What must be the same for trials to be compared."""
    settings = recipe.model_dump(mode="json", exclude={"data"})
    data = {"training images": splits.train.fingerprint, "validation images": splits.validation.fingerprint}
    return {"data": {"name": splits.name, **data}, "recipe": _flat(settings), "search": space.to_dict()}


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= {f"{name}.{rest}": each for rest, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, in words."""
    said = []
    if then["data"] != now["data"]:
        same = then["data"]["name"] == now["data"]["name"]
        said.append(
            f"other images of {now['data']['name']}" if same else f"{then['data']['name']}, not {now['data']['name']}"
        )
    for part, called in (("search", "--search {}"), ("recipe", "{}")):
        names = sorted(then[part].keys() | now[part].keys())
        for name in names:
            was, is_now = then[part].get(name, "nothing"), now[part].get(name, "nothing")
            if was != is_now:
                said.append(f"{called.format(name)} was {was} and is {is_now}")
    more = len(said) - _MOST_NAMED
    return "; ".join(said[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _unusable(storage: Path, error: Exception) -> BadFileError:
    return BadFileError(storage, f"it cannot be used as a study: {_first_line(error)}", _REMEDY)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
