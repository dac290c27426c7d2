"""The process of a training: the verb ``train`` with callbacks that write down what the page shows.

It knows nothing of the server that started it, and goes on when that ends. What it writes lies in the run folder.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data import ImageDataset, load
from ..data.dataset import evenly_spaced
from ..data.decode import ImageShape
from ..errors import GlyphNetError
from ..evaluation.calibration import softmax
from ..explain import weights_of_first_layer
from ..files import atomic_write_json, make_folder, read_input, remove
from ..locks import FileLock
from ..nn import logits_in_batches
from ..progress import Reporter
from ..runs import RunFolder, resume, train
from ..runs.preparation import read_recipe
from ..training import Callback, HistoryRow, StepInfo, StopOnSignal, TrainingState
from ..units import percent, reason
from .listing import Listing
from .names import RUNS
from .pictures import data_url
from .runfiles import ABOUT, EPOCHS, PROGRESS, STOP
from .versions import differs, version_at

STOP_SECONDS = 0.1
"""Between two looks for the file that asks to stop."""

PROGRESS_SECONDS = 0.4
EPOCH_SECONDS = 0.5
"""Between two writings of an epoch's figures."""

DETAIL_SHARE = 0.1
"""Of the time of the training that confusion matrix, mistakes and filters may take."""

MOST_JUDGED = 2000
"""Validation images in the confusion matrix of an epoch."""

MOST_MISTAKES, MOST_FILTERS = 24, 64


def run(root: str, name: str, request: dict[str, Any], lock: FileLock) -> int:
    """Train or resume a run of a studio's folder; the status is 0 for an end or a stop that was asked for.

    Args:
        root: the studio's folder.
        name: of the run.
        request: preset, seconds, epochs, the list of the version, and whether to resume.
        lock: the run's, held; it is released at the end.
    """
    folder = RunFolder(Path(root) / RUNS / name)
    told = Told(Path(root), folder.path)
    status: dict[str, Any] = {"status": "failed", "error": None}
    ending = 1
    try:
        _note(folder.path, {"status": "started", "error": None})
        status["status"] = "stopped" if _train(root, folder, request, told) == "stopped" else "finished"
        ending = 0
    except KeyboardInterrupt:
        status["status"], ending = "stopped", 0
    except GlyphNetError as error:
        status["error"] = str(error)
    except BaseException as error:
        status["error"] = reason(error)
        raise
    finally:
        _note(folder.path, status)
        with contextlib.suppress(OSError):
            remove(folder.path / STOP)
        lock.release()
    return ending


def _train(root: str, folder: RunFolder, request: dict[str, Any], told: Told) -> str:
    reporter = Reporter(told.say, told.working)
    command = ["glyphnet", "train", root]
    with StopOnSignal() as signalled:
        callbacks = (signalled, told.stop, EpochWriter(folder, told), told)
        if request.get("resume") and folder.recipe.is_file():
            command = ["glyphnet", "train", "--recipe", str(folder.recipe)]
            return resume(folder.path, callbacks=callbacks, reporter=reporter, command=shlex.join(command)).ending
        told.listed = Path(request["list"]) if request.get("list") else None
        preset, seconds, epochs = (request.get(key) for key in ("preset", "seconds", "epochs"))
        command += ["--preset", preset] if preset else []
        command += ["--time", f"{seconds:g}s"] if seconds else []
        changes: dict[str, Any] = {"epochs": epochs} if epochs else {}
        if seconds or preset == "fast":  # to learn from the tray as well takes many times as long
            changes["unlabelled"] = None
        command += [word for name, value in changes.items() for word in ("--set", f"{name}={value or 'null'}")]
        return train(
            root, preset=preset, seconds=seconds, changes=changes, out=folder.path,
            overwrite=True, callbacks=callbacks, reporter=reporter, command=shlex.join(command),
        ).ending  # fmt: skip


def _note(path: Path, news: dict[str, Any]) -> None:
    """Write something down about the run, beside what is known of it."""
    about: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        about = json.loads(read_input(path / ABOUT))
    with contextlib.suppress(OSError):
        atomic_write_json(path / ABOUT, {**about, **news})


class StopFile(Callback):
    """Stops the training when a file asks for it: a signal would not do so on every system."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked = -1.0

    def is_there(self) -> bool:
        """Whether a stop is asked for; the folder is looked at now and then only."""
        now = time.monotonic()
        if now - self._looked < STOP_SECONDS:
            return False
        self._looked = now
        return self._path.exists()

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Stop after the running step."""
        return self.is_there()

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop after the epoch."""
        return self.is_there()


class Told(Callback):
    """Keeps a small file up to date with what the process does now.

    Attributes:
        listed: the version of the data that was taken for this training; None where it is not known.
        stop: what asks it to stop.
    """

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._folder = path
        self._path = path / PROGRESS
        self.stop = StopFile(path / STOP)
        self.listed: Path | None = None
        self._written = 0.0
        self._began: float | None = None
        self._share = 0.0
        self.speed: float | None = None
        self.left: float | None = None

    def say(self, sentence: str) -> None:
        """A sentence for the log."""
        print(sentence, flush=True)

    def working(self, done: int, total: int, what: str) -> None:
        """Reading or judging; before and after the steps nothing but this can stop it."""
        if self.stop.is_there():
            raise KeyboardInterrupt
        self._write({"sentence": what, "done": done, "total": total or None}, now=False)

    def at_start(self, state: TrainingState) -> None:
        """Name no version for the run if pictures were changed between its list and their reading."""
        if self.listed is not None and differs(Listing(self._root), version_at(self.listed)):
            self.say("The pictures were changed while they were read, so no version of the data is named for this run.")
            _note(self._folder, {"version": None})

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Measure speed and the time left."""
        now = time.monotonic()
        if self._began is None:
            self._began, self._share = now, info.share
        done, took = info.share - self._share, now - self._began
        self.speed = info.images_per_second
        self.left = took / done * (1.0 - info.share) if done > 0 and took > 0.2 else None
        self._write(self._training(info.epoch, info.epochs, info.share), now=False)
        return False

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Count the epoch."""
        done, total = int(row["epoch"] or 0), state.recipe.epochs
        self._write(self._training(done, total, done / total), now=done == total)
        return False

    def at_end(self, state: TrainingState) -> None:
        """Say that the training is judged now."""
        self._write({"sentence": "judging the model", "done": state.epoch, "total": state.recipe.epochs}, now=True)
        self._began = self.left = None  # of a given time, another training may follow

    def _training(self, epoch: int, epochs: int, share: float) -> dict[str, Any]:
        return {
            "sentence": f"epoch {epoch} of {epochs}", "done": round(share * epochs, 3), "total": epochs,
            "images_per_second": self.speed, "seconds_left": self.left,
        }  # fmt: skip

    def _write(self, value: dict[str, Any], *, now: bool) -> None:
        if now or time.monotonic() - self._written > PROGRESS_SECONDS:
            with contextlib.suppress(OSError):  # a full disk stops what must be written, not what may
                atomic_write_json(self._path, value)
            self._written = time.monotonic()


class EpochWriter(Callback):
    """Writes a file for an epoch: the rows of the history since the last one, and what validation images show now."""

    def __init__(self, folder: RunFolder, told: Told) -> None:
        self._folder, self._told = folder, told
        self._rows: list[HistoryRow] = []
        self._plain: list[HistoryRow] = []  # the rows of the last file, if that is without details
        self._written = 0.0
        self._trainings = 0
        self._details_took = 0.0
        self._began = time.monotonic()
        self._judged: ImageDataset | None = None

    def at_start(self, state: TrainingState) -> None:
        """Remove the epochs of a training before this one: of a given time, several follow one another."""
        self._trainings += 1
        if not state.history:
            self._forget()

    def at_result(self, figures: Mapping[str, float]) -> None:
        """Of several trainings another one than the last may have been kept: the history tells of that."""
        if self._trainings > 1:
            self._forget()

    def _forget(self) -> None:
        self._rows, self._plain = [], []
        with contextlib.suppress(OSError):
            remove(*(self._folder.path / EPOCHS).glob("*.json"))

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Write, unless the last time was a moment ago."""
        self._rows.append(row)
        now = time.monotonic()
        if now - self._written > EPOCH_SECONDS or row["epoch"] == state.recipe.epochs:
            self._write(state)
        return False

    def at_end(self, state: TrainingState) -> None:
        """Write what is left, and the details of the last epoch, also where a busy machine had no time for them."""
        self._rows = self._rows or self._plain
        if self._rows:
            self._write(state, is_end=True)

    def _write(self, state: TrainingState, *, is_end: bool = False) -> None:
        row = self._rows[-1]
        details = self._details(state, is_end)
        value = {
            "rows": self._rows,
            "epochs": state.recipe.epochs,
            "images_per_second": self._told.speed,
            "seconds_left": self._told.left,
            "sentence": _sentence(row),
            **details,
        }
        with contextlib.suppress(OSError):
            make_folder(self._folder.path / EPOCHS)
            atomic_write_json(self._folder.path / EPOCHS / f"{int(row['epoch'] or 0):06d}.json", value)
        self._plain, self._rows = [] if details["confusion"] else self._rows, []
        self._written = time.monotonic()

    def _details(self, state: TrainingState, is_end: bool) -> dict[str, Any]:
        """Confusion matrix, mistakes and filters, as long as they take only a share of the time, and at the end."""
        began = time.monotonic()
        if self._details_took > DETAIL_SHARE * (began - self._began) and not is_end:
            return {"confusion": None, "mistakes": [], "filters": None}
        found = {**self._judge(state), "filters": _filters(state.network, self._validation().image_shape)}
        self._details_took += time.monotonic() - began
        return found

    def _judge(self, state: TrainingState) -> dict[str, Any]:
        images = self._validation()
        if not len(images):
            return {"confusion": None, "mistakes": []}
        pixels = torch.from_numpy(np.require(images.images, requirements=["C", "W"]))
        logits = list(logits_in_batches(state.eval_model(), state.preprocessing, pixels, device=state.device))
        probabilities = softmax(torch.cat(logits).float().cpu().numpy())
        answers = probabilities.argmax(axis=1)
        count = len(images.classes)
        confusion = np.bincount(count * images.labels + answers, minlength=count * count).reshape(count, count)
        wrong = np.flatnonzero(answers != images.labels)
        surest = wrong[np.argsort(-probabilities[wrong, answers[wrong]], kind="stable")][:MOST_MISTAKES]
        mistakes = [
            {
                "id": images.names[row],
                "label": images.classes[images.labels[row]],
                "answer": images.classes[answers[row]],
                "probability": round(float(probabilities[row, answers[row]]), 4),
            }
            for row in surest.tolist()
        ]
        return {"confusion": confusion.tolist(), "mistakes": mistakes, "classes": list(images.classes)}

    def _validation(self) -> ImageDataset:
        """The validation images of the run, some of very many."""
        if self._judged is None:
            settings = read_recipe(self._folder.recipe).data
            assert settings is not None  # the studio trains on its folder
            found = load(settings).validation
            self._judged = found.subset(evenly_spaced(len(found), MOST_JUDGED)) if len(found) > MOST_JUDGED else found
        return self._judged


def _sentence(row: HistoryRow) -> str:
    accuracy = row["accuracy"] if row["val_accuracy"] is None else row["val_accuracy"]
    return f"loss {row['loss']:.4f}, accuracy {percent(accuracy or 0.0, 2)}"


def _filters(network: nn.Module, shape: ImageShape) -> dict[str, Any] | None:
    """The first filters, one below the other: 128 is 0, brighter where a bright pixel excites."""
    found = weights_of_first_layer(network, shape)
    if found is None or found.images.shape[-1] not in (1, 3):
        return None
    images = found.images[:MOST_FILTERS]
    limit = max(float(np.abs(images).max()), 1e-12)
    pixels = np.clip(128 + 127 * images / limit, 0, 255).round().astype(np.uint8)
    count, height, width, channels = pixels.shape
    return {"shape": [count, height, width, channels], "png": data_url(pixels.reshape(count * height, width, channels))}
