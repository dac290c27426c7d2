"""The study: Optuna's record of the trials, in memory or in a SQLite file that several processes share.

Every process holds the lock of its own file beside the study. The kernel releases it when the process ends, however
it ends, so a trial whose process was killed is detected at once, without clocks or waiting.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...data import Splits
from ...errors import BadFileError, MissingExtraError, RunFolderError
from ...files import Replacing, make_folder, remove, remove_empty_folder, subfolder
from ...locks import FileLock, refuse_if_in_use
from ...runs import RunFolder
from ...seeding import derived_seed
from ...training import Recipe
from ...units import first_line
from .results import LEAST_TRIALS, WINNER, WRITTEN, Outcome, Trial, score
from .space import Space, Value

if TYPE_CHECKING:
    import optuna

PARTS = 20
"""Points of its training at which a trial is compared with the others, however many epochs it has."""

STARTUP = 8
"""Trials drawn uniformly from the whole space, before TPE has enough to learn from."""

_JOURNALS = ("-journal", "-wal", "-shm")  # SQLite's own files beside the study
_NAME = "glyphnet tune"
_WAIT = 60.0  # seconds to wait for another process to write
_UNINFORMATIVE = ("stopped", "out of time", "abandoned")
# With one cycle the best trials get ahead late: half-way, the final best five of 24 reached down to the median
# (digits, preset fast), so the median would prune winners. From a third on, the worst quarter held none of them.
_KEPT, _WARM_UP = 75.0, PARTS // 3
_REMEDY = "Choose another file with --storage."
_MOST_NAMED = 4  # differing settings in a message


def require_optuna() -> None:
    """Raise MissingExtraError if Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Tuning", "tune") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Restrict Optuna's log, which goes to standard error, to errors."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


class Study:
    """The trials of one search over one recipe, whose seed is also that of the search, and one data set.

    They are in the SQLite file ``storage``, or in memory without one. RunFolderError if the file holds another search,
    BadFileError if it is not a study.
    """

    def __init__(self, storage: Path | None, recipe: Recipe, splits: Splits, space: Space, peers: Peers) -> None:
        self.space, self.images = space, len(splits.validation)
        self._seed, self._peers = recipe.seed, peers
        with peers.exclusive():
            self._study = _open(storage)
            terms = _terms(recipe, splits, space)
            then = self._study.user_attrs.get("terms")
            if then is None:
                self._study.set_user_attr("terms", terms)
                if (values := space.values_of(recipe)) is not None:  # the first trial is the baseline
                    self._study.enqueue_trial(values, user_attrs={"base": True})
            elif then != terms:
                raise RunFolderError(
                    f"{storage}: holds another search: {_differences(then, terms)}. Use the same settings, or start a "
                    "new search with another --out or --storage."
                )

    def begin(self, most: int | None) -> tuple[optuna.Trial, dict[str, Value]] | None:
        """A new trial with its settings; None if ``most`` trials have ended or are running."""
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        with self._peers.exclusive():
            self._abandon_dead()
            counted = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
            if most is not None and len(self._study.get_trials(deepcopy=False, states=counted)) >= most:
                return None
            # The random numbers depend on the seed and the trial's number only: an interrupted search resumes as it
            # would have continued, and processes that share a study never draw the same.
            queued = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            number = queued[0].number if queued else len(self._study.get_trials(deepcopy=False))
            seed = derived_seed(self._seed, "search", number) % 2**32  # NumPy's RandomState takes 32 bits
            # The tree-structured Parzen estimator (Bergstra et al., 2011; Watanabe, 2023).
            self._study.sampler = TPESampler(seed=seed, n_startup_trials=STARTUP)
            trial = self._study.ask()
            trial.set_user_attr("worker", self._peers.token)
            return trial, self.space.suggest(trial)

    def end(self, trial: optuna.Trial, outcome: Outcome) -> Trial:
        """Record how a trial ended."""
        from optuna.trial import TrialState

        trial.set_user_attr("outcome", asdict(outcome))
        if outcome.ending == "finished":
            assert outcome.correct is not None
            assert outcome.log_loss is not None
            value = score(outcome.correct, self.images, outcome.log_loss)
            return self._trial(self._study.tell(trial, value))
        state = TrialState.FAIL if outcome.ending in _UNINFORMATIVE else TrialState.PRUNED
        return self._trial(self._study.tell(trial, state=state))

    def outcome_of(self, settings: Mapping[str, Value]) -> Outcome | None:
        """The outcome of an earlier finished trial with equal settings: the same training gives the same result."""
        for trial in self.trials():
            if trial.ending == "finished" and trial.settings == settings:
                return trial.outcome
        return None

    def trials(self) -> tuple[Trial, ...]:
        """All ended trials, in the order of their starts."""
        return tuple(self._trial(each) for each in self._study.get_trials(deepcopy=False) if each.state.is_finished())

    def others_run(self) -> bool:
        """Whether another process is running a trial."""
        from optuna.trial import TrialState

        with self._peers.exclusive():
            self._abandon_dead()
            return bool(self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    @property
    def judged(self) -> tuple[int, ...]:
        """Numbers of the trials whose settings have been judged on the test images."""
        return tuple(self._study.user_attrs.get("judged", ()))

    def remember_judged(self, number: int) -> None:
        """Record that the test images have judged a trial's settings."""
        self._study.set_user_attr("judged", sorted({*self.judged, number}))

    def importances(self) -> dict[str, float]:
        """How much each setting mattered: see `Tuning.importances`."""
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        finished = [trial.score for trial in self.trials() if trial.ending == "finished"]
        if len(finished) < LEAST_TRIALS or len(set(finished)) == 1:
            return {}
        # The method needs five trials in the top group, and others to compare them with.
        evaluator = PedAnovaImportanceEvaluator(target_quantile=max(0.1, min(0.5, 5 / len(finished))))
        return get_param_importances(self._study, evaluator=evaluator)

    def _abandon_dead(self) -> None:
        """End the trials of dead processes. Call it only while no other process can start one."""
        from optuna.trial import TrialState

        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not self._peers.is_alive(trial.user_attrs.get("worker", "")):
                with contextlib.suppress(ValueError):  # it has ended meanwhile
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


class Peers:
    """This process among those that share a study file; a context manager, held while it works on the study.

    Of a study in memory (``storage`` None) this process is alone. ``token`` is the name of this process in the study.
    """

    def __init__(self, storage: Path | None) -> None:
        self.token = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._folder = None if storage is None else storage.with_name(f".{storage.name}.workers")
        self._own = None if self._folder is None else FileLock(self._folder / self.token)

    def __enter__(self) -> Peers:
        if self._folder is not None and self._own is not None:
            while True:
                make_folder(self._folder)
                with contextlib.suppress(FileNotFoundError):  # the last of the other processes has just removed it
                    self._own.acquire()
                    break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None and self._own is not None:
            self._own.release()
            remove_empty_folder(self._folder)

    def is_alive(self, token: str) -> bool:
        """Whether the process of that name is still working on the study."""
        if token == self.token:
            return True
        if self._folder is None or not token or Path(token).name != token:
            return False
        lock = FileLock(self._folder / token)
        if lock.is_held():
            return True
        if lock.exists() and lock.acquire():
            lock.release()  # removes the file of a killed process
        return False

    def others_alive(self) -> bool:
        """Whether other processes are working on the study."""
        others = [] if self._folder is None else [path.name for path in self._folder.iterdir()]
        return any(name != self.token and not name.endswith(".lock") and self.is_alive(name) for name in others)

    @contextmanager
    def exclusive(self, what: str = "study") -> Iterator[None]:
        """Keep other processes out of such a block: of the "study", or of the "winner", trained after the search."""
        if self._folder is None:
            yield
            return
        lock = FileLock(self._folder / f"{what}.lock")
        lock.acquire(wait=True)
        try:
            yield
        finally:
            lock.release()

    def is_taken(self, what: str) -> bool:
        """Whether another process is in such a block."""
        return self._folder is not None and FileLock(self._folder / f"{what}.lock").is_held()


def _open(storage: Path | None) -> optuna.Study:
    import optuna
    import sqlalchemy

    kept: optuna.storages.BaseStorage = optuna.storages.InMemoryStorage()
    try:
        if storage is not None:
            kept = optuna.storages.RDBStorage(
                "sqlite://",
                # Our own connection: a URL cannot hold every character of a path.
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
            pruner=optuna.pruners.PercentilePruner(_KEPT, n_startup_trials=STARTUP, n_warmup_steps=_WARM_UP),
        )
    except (sqlalchemy.exc.DatabaseError, sqlite3.DatabaseError, RuntimeError) as error:
        assert storage is not None
        raise _unusable(storage, error) from error


def check_places(folder: Path | None, storage: Path | None, rules: Replacing) -> None:
    """Check whether a search may be written there, over files of an earlier search only; nothing is changed."""
    if storage is not None:
        files = tuple(each for each in rules.inputs if not os.path.isdir(each))
        own = replace(rules, inputs=files, overwrite=True)
        own.check(storage, (".db",), follow=folder is None or storage.parent != folder, in_place=True)
        for end in _JOURNALS:
            own.check(f"{storage}{end}", (".db",), follow=False, in_place=True)
        refuse_if_no_study(storage)
    if folder is not None:
        own = replace(rules, is_default=rules.is_default or (storage is not None and storage.exists()))
        own.check_in(folder, WRITTEN)
        refuse_if_in_use(folder)
        winner = RunFolder(subfolder(folder, WINNER))
        own.check_in(winner.path, [path.name for path in winner.files()])
        refuse_if_in_use(winner.path)


def start_over(folder: Path | None, storage: Path, peers: Peers) -> None:
    """Remove an earlier search; RunFolderError if another process uses it."""
    if peers.others_alive():
        raise RunFolderError(
            f"{storage}: another process searches there. Wait until it ends, or choose another folder."
        )
    remove(storage, *(f"{storage}{end}" for end in _JOURNALS))
    if folder is not None:
        RunFolder(subfolder(folder, WINNER)).clear()


def refuse_if_no_study(storage: Path) -> None:
    """Raise BadFileError if the file exists and is not a study."""
    if not storage.exists() or (storage.is_file() and not storage.stat().st_size):
        return
    try:
        with contextlib.closing(sqlite3.connect(storage, timeout=_WAIT)) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'studies'").fetchone()
    except sqlite3.Error as error:
        raise _unusable(storage, error) from error
    if found is None:
        raise BadFileError(storage, "it is a database, but not a study", _REMEDY)


def _terms(recipe: Recipe, splits: Splits, space: Space) -> dict[str, Any]:
    """What must be equal for trials to be comparable."""
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
    return BadFileError(storage, f"it cannot be used as a study: {first_line(error)}", _REMEDY)
