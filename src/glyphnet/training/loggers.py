"""Where the figures of a training go while it runs: TensorBoard, MLflow, Weights & Biases, CSV, JSON lines.

`LogTo` is the callback for all of them; a `Logger` is one kind, and `LOGGERS` the table, to which other packages add.
What a logger writes is complete by itself: a resumed training begins it again with all epochs so far.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from ..errors import GlyphNetError, MissingExtraError, SettingsError, TrainingError
from ..filekinds import check_suffix
from ..files import atomic_write_csv, atomic_write_text
from ..plugins import Table
from ..settings import suggestion
from ..units import reason
from .callbacks import Callback
from .recipe import Recipe
from .state import HISTORY_KEYS, HistoryRow, TrainingState

_log = logging.getLogger("glyphnet")

Figures: TypeAlias = Mapping[str, float]
LogEnding: TypeAlias = Literal["finished", "stopped", "failed"]


class Logger:
    """One kind of log; a subclass overrides what it needs. Its methods are called in this order.

    Args:
        place: what stands behind the colon of ``--log KIND:PLACE``, or ``default`` in the run folder; may be "".
        name: what the run is called.
    """

    about: ClassVar[str] = ""
    """A line of help."""
    default: ClassVar[str] = ""
    """Name of the file or folder in the run folder that it writes unless given another place; "" for none."""
    needs: ClassVar[tuple[str, str]] = ("", "")
    """The module that it imports, and the extra of GlyphNet that brings it."""
    writes: ClassVar[Literal["file", "folder", ""]] = ""
    """What its place is; "" where that is no path."""

    def __init__(self, place: str, name: str) -> None:
        self.place, self.name = place, name

    def start(self, recipe: Recipe, history: Sequence[HistoryRow]) -> None:
        """Begin, with the rows of the epochs that are done: none unless the training is resumed."""

    def epoch(self, row: HistoryRow) -> None:
        """Log an epoch: the keys of `HISTORY_KEYS`; None where nothing was measured."""

    def result(self, figures: Figures) -> None:
        """Log what was measured after the training, on images that were held out."""

    def close(self, ending: LogEnding) -> None:
        """Finish."""


class LogTo(Callback):
    """Logs one training; the first, if several are made with the same callback. A context manager, which closes it.

    Args:
        kind: a name in `LOGGERS`, and maybe a place: "csv", "tensorboard:runs/board".
        folder: the run folder, where there is one.
        say: called with a sentence if a log fails while the training runs, which goes on; None for `logging`.

    Raises:
        SettingsError: there is no such kind.
        MissingExtraError: its package is not installed.
        OutputError: the place is the name of another kind of file.
        TrainingError: at the first step: the log cannot begin.
    """

    def __init__(
        self, kind: str, folder: str | os.PathLike[str] | None = None, say: Callable[[str], None] | None = None
    ) -> None:
        name, _, place = kind.partition(":")
        if name not in LOGGERS:
            raise SettingsError(f'unknown log "{name:.60}"{suggestion(name, LOGGERS)}')
        made = LOGGERS[name]
        module, extra = made.needs
        if module and find_spec(module) is None:
            raise MissingExtraError(f"Logging to {name}", extra)
        self.kind, self.is_default = name, not place
        if not place and made.default:
            place = os.path.join(os.fspath(folder or ""), made.default)
        if made.writes == "file":
            check_suffix(place, [os.path.splitext(made.default)[1]])
        self.place = place
        self.writes = made.writes
        self._title = Path(folder).name if folder else "glyphnet"
        self._say = say or _log.warning
        self._logger: Logger | None = None  # opened at the first step: a callback may travel to another process
        self._ending: LogEnding | None = None

    def __enter__(self) -> LogTo:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close("stopped" if kind is KeyboardInterrupt else "failed" if kind else self._ending or "finished")

    def at_start(self, state: TrainingState) -> None:
        """Open it; a later training of the same call, which measures something, is none of its business."""
        if self._ending is not None or self._logger is not None:
            return
        logger = LOGGERS[self.kind](self.place, self._title)
        try:
            logger.start(state.recipe, state.history)
        except (GlyphNetError, OSError):
            raise
        except Exception as error:  # whatever another program's library raises
            raise TrainingError(
                f"--log {self.kind}: cannot begin ({reason(error)}). Check its place, or leave it out."
            ) from error
        self._logger = logger

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Log the epoch."""
        if self._ending is None:
            self._try(lambda logger: logger.epoch(row), f"in epoch {row['epoch']:.0f}")
        return False

    def at_end(self, state: TrainingState) -> None:
        """From here on only the result is logged."""
        self._ending = self._ending or "finished"

    def at_result(self, figures: Figures) -> None:
        """Log what was measured, and close; nothing was if the training was stopped."""
        if figures:
            self._try(lambda logger: logger.result(figures), "at the end")
        self._close("finished" if figures else "stopped")

    def _close(self, ending: LogEnding) -> None:
        self._try(lambda logger: logger.close(ending), "at the end")
        self._logger, self._ending = None, ending

    def _try(self, work: Callable[[Logger], None], when: str) -> None:
        """Do it; a log that fails ends, and is told, but a training of hours does not end with it."""
        if self._logger is None:
            return
        try:
            work(self._logger)
        except Exception as error:
            self._logger = None
            self._say(f"--log {self.kind} failed {when} ({reason(error)}). The training goes on without it.")


# Files of ours


class _FileLogger(Logger):
    """Writes a whole file at most once a second, in one step: a reader never sees half of it."""

    def __init__(self, place: str, name: str) -> None:
        super().__init__(place, name)
        self._rows: list[dict[str, Any]] = []
        self._written = -1.0

    def start(self, recipe: Recipe, history: Sequence[HistoryRow]) -> None:
        self._rows += map(self._row, history)
        self._write()

    def epoch(self, row: HistoryRow) -> None:
        self._rows.append(self._row(row))
        if time.monotonic() - self._written > 1.0:
            self._write()

    def close(self, ending: LogEnding) -> None:
        self._write()

    def _write(self) -> None:
        self._save()
        self._written = time.monotonic()

    def _row(self, row: HistoryRow) -> dict[str, Any]:
        return dict(row)

    def _save(self) -> None:
        raise NotImplementedError


class CSVLog(_FileLogger):
    """A line an epoch, with the columns of history.csv, and a last line with what was measured afterwards."""

    about = "a table"
    default, writes = "log.csv", "file"

    def __init__(self, place: str, name: str) -> None:
        super().__init__(place, name)
        self._result: dict[str, float] = {}

    def result(self, figures: Figures) -> None:
        """Keep it for the last line."""
        self._result = dict(figures)

    def _save(self) -> None:
        columns = [*HISTORY_KEYS, *self._result]
        rows = [*self._rows, *([self._result] if self._result else [])]
        cells = ([_cell(row.get(column)) for column in columns] for row in rows)
        atomic_write_csv(self.place, [columns, *cells])


class JSONLinesLog(_FileLogger):
    """A JSON object a line; its ``event`` is "start" (with the recipe), "epoch", "result" or "end"."""

    about = "JSON lines"
    default, writes = "log.jsonl", "file"

    def start(self, recipe: Recipe, history: Sequence[HistoryRow]) -> None:
        """Begin with the recipe."""
        self._rows.append({"event": "start", "run": self.name, "recipe": recipe.model_dump(mode="json")})
        super().start(recipe, history)

    def result(self, figures: Figures) -> None:
        """A line of its own."""
        self._rows.append({"event": "result", **figures})

    def close(self, ending: LogEnding) -> None:
        """End with how the training ended."""
        self._rows.append({"event": "end", "ending": ending})
        super().close(ending)

    def _save(self) -> None:
        lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in self._rows)
        atomic_write_text(self.place, "".join(f"{line}\n" for line in lines))

    def _row(self, row: HistoryRow) -> dict[str, Any]:
        return {"event": "epoch", **row, "epoch": int(row["epoch"] or 0)}


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


# Other programs


class TensorBoardLog(Logger):
    """Scalars and the recipe for TensorBoard; ``tensorboard --logdir runs`` shows those of all runs in that folder."""

    about = "TensorBoard"
    default, writes = "tensorboard", "folder"
    needs = "tensorboard", "tensorboard"
    _TAGS: ClassVar[dict[str, str]] = {
        "loss": "loss/train",
        "accuracy": "accuracy/train",
        "val_loss": "loss/validation",
        "val_accuracy": "accuracy/validation",
    }  # two curves in one chart

    def start(self, recipe: Recipe, history: Sequence[HistoryRow]) -> None:
        """Write the recipe as text, and the epochs so far."""
        from torch.utils.tensorboard import SummaryWriter

        # What was logged there before, of a run that is now replaced or resumed, is dropped by purge_step.
        self._writer: Any = SummaryWriter(self.place, purge_step=0)
        self._writer.add_text("recipe", "\n".join(f"    {line}" for line in recipe.to_yaml().splitlines()), 0)
        for row in history:
            self.epoch(row)

    def epoch(self, row: HistoryRow) -> None:
        """A scalar for each figure."""
        self._last = int(row["epoch"] or 0)
        for key, value in _measured(row):
            self._writer.add_scalar(self._TAGS.get(key, key), value, self._last)
        self._writer.flush()

    def result(self, figures: Figures) -> None:
        """Scalars below ``result``."""
        for key, value in figures.items():
            self._writer.add_scalar(f"result/{key}", value, self._last)

    def close(self, ending: LogEnding) -> None:
        """Close the file."""
        self._writer.close()


class MLflowLog(Logger):
    """A run of the experiment "glyphnet"; its place is a folder or the address of a server.

    Without a place it goes where MLFLOW_TRACKING_URI says, else to the folder ``mlruns`` in the working folder.
    """

    about = "MLflow"
    needs = "mlflow", "mlflow"
    experiment: ClassVar[str] = "glyphnet"

    def start(self, recipe: Recipe, history: Sequence[HistoryRow]) -> None:
        """Make a run with the recipe as parameters."""
        from mlflow import MlflowClient

        place = self.place or os.environ.get("MLFLOW_TRACKING_URI") or "mlruns"
        if "://" not in place:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # else a folder is refused since MLflow 3.7
            place = Path(place).absolute().as_uri()
        self._client = MlflowClient(tracking_uri=place)
        there = self._client.get_experiment_by_name(self.experiment)
        number = there.experiment_id if there else self._client.create_experiment(self.experiment)
        self._run: str = self._client.create_run(number, run_name=self.name).info.run_id
        settings = _flat(recipe.model_dump(mode="json"))
        self._log("param", [(key, str(value)[:6000]) for key, value in settings.items()])
        for row in history:
            self.epoch(row)

    def epoch(self, row: HistoryRow) -> None:
        """A metric for each figure."""
        self._last = int(row["epoch"] or 0)
        self._log("metric", _measured(row))

    def result(self, figures: Figures) -> None:
        """A metric for each figure."""
        self._log("metric", list(figures.items()))

    def close(self, ending: LogEnding) -> None:
        """Mark the run as finished, killed or failed."""
        status = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[ending]
        self._client.set_terminated(self._run, status)

    def _log(self, kind: str, items: Sequence[tuple[str, Any]]) -> None:
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        for start in range(0, len(items), 100):  # MLflow takes at most 100 parameters at once
            part = items[start : start + 100]
            if kind == "param":
                self._client.log_batch(self._run, params=[Param(key, value) for key, value in part])
            else:
                self._client.log_batch(self._run, metrics=[Metric(key, value, now, self._last) for key, value in part])


class WandbLog(Logger):
    """A run of Weights & Biases; its place is the project. WANDB_MODE=offline keeps it on this machine."""

    about = "Weights & Biases"
    needs = "wandb", "wandb"

    def start(self, recipe: Recipe, history: Sequence[HistoryRow]) -> None:
        """Make a run with the recipe as its configuration."""
        import wandb

        settings = recipe.model_dump(mode="json")
        self._run: Any = wandb.init(project=self.place or "glyphnet", name=self.name, config=settings)
        for row in history:
            self.epoch(row)

    def epoch(self, row: HistoryRow) -> None:
        """A step of the run."""
        self._run.log(dict(_measured(row)), step=int(row["epoch"] or 0))

    def result(self, figures: Figures) -> None:
        """The run's summary."""
        self._run.summary.update(dict(figures))

    def close(self, ending: LogEnding) -> None:
        """Finish the run, as failed if it did."""
        self._run.finish(exit_code=0 if ending != "failed" else 1)


def _measured(row: HistoryRow) -> list[tuple[str, float]]:
    """What a row holds but for its number, without what was not measured."""
    return [(key, value) for key, value in row.items() if key != "epoch" and value is not None]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


def _fault(name: str, row: object) -> str:
    if isinstance(row, type) and issubclass(row, Logger):
        return ""
    return f"{row!r:.80} is no subclass of {Logger.__module__}.{Logger.__name__}"


LOGGERS: Table[type[Logger]] = Table(
    "loggers",
    {"tensorboard": TensorBoardLog, "mlflow": MLflowLog, "wandb": WandbLog, "csv": CSVLog, "jsonl": JSONLinesLog},
    _fault,
)
"""Name of ``--log`` → its logger."""
