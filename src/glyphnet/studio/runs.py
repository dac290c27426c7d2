"""The trainings of a studio: found in their folders, started in processes of their own, stopped and resumed.

Nothing is remembered here that the run folders do not hold: a studio that is started again finds all of them.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..files import atomic_write_json, make_folder, open_text, read_input, remove_empty_folder
from ..locks import FileLock
from ..outputs import LOCK as FOLDER_LOCK
from ..outputs import RunFiles
from ..units import fault_of, plural, printable
from .errors import StudioError
from .folder import Folder
from .runfiles import ABOUT, EPOCHS, LOCK, LOG, PRESETS, PROGRESS, STOP
from .trainerprocess import TrainerProcess
from .versions import Versions

MOST_SECONDS, MOST_EPOCHS = 7 * 24 * 3600, 100_000
_EPOCH_FILE = re.compile(r"\d{6,9}\.json")


@dataclass
class _Kept:
    """What was read of a run's files, until they change."""

    state: object = None
    value: Any = None


@dataclass
class Runs:
    """All runs of a studio's folder."""

    folder: Folder
    versions: Versions
    _kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)
    _waiting: TrainerProcess | None = None
    _warm: bool = False
    _starting: set[str] = field(default_factory=set)  # from the first file of a run until its process holds the lock
    _lock: Any = field(default_factory=threading.Lock)

    def names(self) -> list[str]:
        """Folders that hold a run or the beginning of one, the oldest first."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self.folder.runs) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and not _fault(entry.name):
                    inside = RunFiles(Path(entry.path))
                    mark = next((path for path in (inside.path / ABOUT, inside.recipe) if path.is_file()), None)
                    if mark is not None:
                        found.append((self._began(entry.name, mark), entry.name))
        return [name for _, name in sorted(found)]

    def path(self, name: str) -> Path:
        """The folder of a run; StudioError if there is none of this name."""
        if name not in self.names():
            raise StudioError(404, f"There is no training {name[:60]!r}. Reload the page.")
        return self.folder.runs / name

    def all(self) -> list[dict[str, Any]]:
        """Every run as the page shows it."""
        return [self.run(name) for name in self.names()]

    def run(self, name: str) -> dict[str, Any]:
        """One run as the page shows it."""
        files, about = RunFiles(self.folder.runs / name), self._about(name)
        judged = self._read(name, files.evaluation)
        history = self._history(name)
        finished = None
        with contextlib.suppress(OSError):
            if judged is not None:
                stamp = os.stat(files.evaluation).st_mtime
                finished = datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds")
        return {
            "name": name,
            "preset": about.get("preset"),
            "status": self.status(name),
            "version": about.get("version"),
            "accuracy": _accuracy(judged),
            "finished": finished,
            "seconds": round(sum(row.get("seconds") or 0.0 for row in history), 3),
            "report": files.report.is_file(),
            "model": files.model.is_file(),
            "error": about.get("error"),
        }

    def status(self, name: str) -> str:
        """running, done, stopped or failed: by locks and files, whoever started it."""
        if name in self._starting or self.is_running(name):
            return "running"
        files, about = RunFiles(self.folder.runs / name), self._about(name)  # now: a training may just have ended
        if files.evaluation.is_file() or about.get("status") == "finished":
            return "done"
        return "failed" if about.get("status") == "failed" else "stopped"

    def is_running(self, name: str) -> bool:
        """Whether a process writes into the run's folder."""
        path = self.folder.runs / name
        for lock in (LOCK, FOLDER_LOCK):
            with contextlib.suppress(OutputError, OSError):
                if FileLock(path / lock).is_held():
                    return True
        return False

    def job(self, name: str) -> dict[str, Any]:
        """A training as a job."""
        status = self.status(name)
        told = self._read(name, self.folder.runs / name / PROGRESS) or {}
        rows = self._history(name)
        sentence = told.get("sentence", "starting") if status == "running" else plural(len(rows), "epoch")
        return {
            "id": f"train-{name}",
            "kind": "train",
            "title": name,
            "run": name,
            "status": status,
            "done": told.get("done") or 0,
            "total": told.get("total"),
            "sentence": sentence,
            "error": self._about(name).get("error"),
            "result": None,
        }

    # Starting and stopping

    def start(self, name: str | None, preset: str, seconds: float | None, epochs: int | None) -> str:
        """Take a version of the data, and train on it in a process of its own; the run's name.

        Raises:
            StudioError: the name is taken or impossible, or so are the settings.
        """
        if preset not in PRESETS:
            raise StudioError(422, f"preset (={preset[:40]!r}) is not known. Choose one of {', '.join(PRESETS)}.")
        if seconds is not None and not 1 <= seconds <= MOST_SECONDS:
            raise StudioError(422, f"seconds (={seconds:g}) must lie in 1 to {MOST_SECONDS:,}.")
        if epochs is not None and not 1 <= epochs <= MOST_EPOCHS:
            raise StudioError(422, f"epochs (={epochs}) must lie in 1 to {MOST_EPOCHS:,}.")
        if seconds is not None and epochs is not None:
            raise StudioError(422, "seconds and epochs both say how long to train. Send one of them.")
        with self.folder.lock:
            self.folder.check_reading()
            name = self._free(preset) if name is None else self._check(name)
            version = self.versions.take()
            path = self.folder.runs / name
            make_folder(path)
            request = {"preset": preset, "seconds": seconds, "epochs": epochs}
            about = {"status": "started", **request, "version": version.hash, "began": _now()}
            self._starting.add(name)
            try:
                atomic_write_json(path / ABOUT, about)
            except OSError:
                self._starting.discard(name)
                remove_empty_folder(path)
                raise
        self._launch(name, {**request, "list": os.fspath(version.path)})
        return name

    def resume(self, name: str) -> None:
        """Resume a run that was stopped; one that had not begun begins.

        Raises:
            StudioError: it is running, or it is finished.
        """
        path, status = self.path(name), self.status(name)
        if status == "running":
            raise StudioError(409, f"{name!r} is running.")
        if RunFiles(path).evaluation.is_file() and RunFiles(path).report.is_file():
            raise StudioError(409, f"{name!r} is finished. Train again to make another one.")
        about = self._about(name)
        self._launch(name, {**{key: about.get(key) for key in ("preset", "seconds", "epochs")}, "resume": True})

    def cancel(self, name: str) -> None:
        """Ask a training to stop after its step, so that it can be resumed; asked twice, the system ends its process.

        Raises:
            StudioError: it is not running.
        """
        path = self.path(name)
        if FileLock(path / LOCK).is_held() and not os.path.lexists(path / STOP):
            atomic_write_json(path / STOP, {"asked": _now()})
            return
        if not self.is_running(name):
            raise StudioError(409, f"{name!r} is not running.")
        holders = (FileLock(path / lock).holder() for lock in (LOCK, FOLDER_LOCK))
        process = next(filter(str.isdigit, holders), None)  # where a lock's file can be read, as not on Windows
        if process is None:
            raise StudioError(409, f"{name!r} was started on the command line. Stop it there, by Ctrl-C.")
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGTERM)

    # Processes

    def warm(self) -> None:
        """Start the process of the next training ahead: somebody has opened the page."""
        with self._lock:
            self._warm = True
            if self._waiting is None or self._waiting.has_ended():
                self._waiting = TrainerProcess()

    def close(self) -> None:
        """Let the process go that waits for a training; trainings go on."""
        with self._lock:
            self._warm, waiting, self._waiting = False, self._waiting, None
        if waiting is not None:
            waiting.dismiss()

    def _launch(self, name: str, request: dict[str, Any]) -> None:
        self._starting.add(name)
        try:
            process = self._begun(name, request)
        finally:
            self._starting.discard(name)
        threading.Thread(target=self._await, args=(name, process), daemon=True).start()

    def _begun(self, name: str, request: dict[str, Any]) -> TrainerProcess:
        """A process that trains a run."""
        with self._lock:
            process, self._waiting = self._waiting or TrainerProcess(), None
        begun = process.begin(self.folder.root, name, request)
        if not begun:  # one that waited may have ended meanwhile
            process.wait()
            process = TrainerProcess()
            begun = process.begin(self.folder.root, name, request)
        if not begun:
            error = f"The process of the training ended with status {process.wait()} before it began."
            self._failed(name, error)
            raise StudioError(500, f"{error} Run glyphnet doctor to see whether Python works here.")
        return process

    def _await(self, name: str, process: TrainerProcess) -> None:
        """Take note of the end of a process that was started here, also of one that could not say why."""
        status = process.wait()
        if status > 0 and self._about(name).get("status") == "started":
            lines: list[str] = []
            with contextlib.suppress(OSError):
                text = read_input(self.folder.runs / name / LOG).decode("utf-8", "replace")
                lines = text.strip().splitlines()
            self._failed(name, f"The training ended with status {status}: {lines[-1] if lines else 'no word'}")
        if self._warm:
            self.warm()

    def _failed(self, name: str, error: str) -> None:
        with contextlib.suppress(OSError):
            atomic_write_json(
                self.folder.runs / name / ABOUT, {**self._about(name), "status": "failed", "error": error}
            )

    def _free(self, preset: str) -> str:
        number = 1
        while os.path.lexists(self.folder.runs / f"{preset}-{number}"):
            number += 1
        return f"{preset}-{number}"

    def _check(self, name: str) -> str:
        if fault := _fault(name):
            raise StudioError(422, f"{printable(name[:60])!r} cannot be the name of a training: {fault}.")
        if os.path.lexists(self.folder.runs / name):
            raise StudioError(409, f"There is a training {name!r} already. Choose another name.")
        return name

    # What the run's files say

    def epochs(self, name: str, after: int = 0) -> list[dict[str, Any]]:
        """The epochs behind the given one, in order; the last one of each file has confusion, mistakes and filters."""
        path = self.folder.runs / name
        found: dict[int, dict[str, Any]] = {}
        for row in self._history(name):
            if (epoch := int(row.get("epoch") or 0)) > after:
                found[epoch] = _epoch(name, row, None)
        with contextlib.suppress(OSError):
            for file in sorted(os.listdir(path / EPOCHS)):
                if not _EPOCH_FILE.fullmatch(file) or int(file.partition(".")[0]) <= after:
                    continue
                told = self._read(name, path / EPOCHS / file)
                for row in (told or {}).get("rows", []):
                    epoch = int(row["epoch"])
                    if epoch > after:
                        found[epoch] = _epoch(
                            name, row, told if row is told["rows"][-1] else {"epochs": told["epochs"]}
                        )
        total = max((each["epochs"] or 0 for each in found.values()), default=0) or None
        return [{**found[epoch], "epochs": found[epoch]["epochs"] or total} for epoch in sorted(found)]

    def newest(self, name: str) -> int:
        """The number of the last epoch that is written down."""
        epochs = [int(row.get("epoch") or 0) for row in self._history(name)[-1:]]
        with contextlib.suppress(OSError):
            files = os.listdir(self.folder.runs / name / EPOCHS)
            epochs += [int(file.partition(".")[0]) for file in files if _EPOCH_FILE.fullmatch(file)]
        return max(epochs, default=0)

    def mistakes(self, name: str) -> dict[str, Any]:
        """The test pictures that a finished run named wrongly, the surest first, under their present ids."""
        where = self._where(name)
        wrong = [row for row in self.predictions(name) if row["correct"] != "1"]
        wrong.sort(key=lambda row: -float(row["probability"]))
        found = [
            {
                "id": where(row["file"]), "label": row["true"], "answer": row["predicted"],
                "probability": float(row["probability"]),
            }
            for row in wrong
        ]  # fmt: skip
        return {"mistakes": [each for each in found if each["id"]], "gone": sum(not each["id"] for each in found)}

    def report(self, name: str) -> bytes:
        """The report page of a finished run."""
        try:
            return read_input(RunFiles(self.path(name)).report)
        except FileNotFoundError:
            raise StudioError(409, f"{name!r} has no report: it is not finished.") from None

    def predictions(self, name: str) -> list[dict[str, str]]:
        """The lines of a run's predictions.csv; StudioError if it is not finished."""
        path = RunFiles(self.path(name)).predictions
        try:
            with open_text(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
                return list(csv.DictReader(file))
        except FileNotFoundError:
            raise StudioError(409, f"{name!r} is not finished, so no pictures have judged it yet.") from None

    def compare(self, a: str, b: str) -> dict[str, Any]:
        """McNemar's paired test of two runs, on the pictures that were in the test part of both.

        Pictures are known by their content, and their labels are those that each run was judged by; where these
        differ the picture does not count.
        """
        from ..evaluation.intervals import paired

        right: list[dict[str, tuple[str, bool]]] = []
        for name in (a, b):
            hashes = self._hashes(name)
            rows = self.predictions(name)
            right.append({hashes.get(row["file"], row["file"]): (row["true"], row["correct"] == "1") for row in rows})
        first, second = right
        shared = [key for key in first if key in second and first[key][0] == second[key][0]]
        if not shared:
            raise StudioError(
                409, f"No picture was in the test part of both {a!r} and {b!r}. Train both on the same version."
            )
        found = paired([first[key][1] for key in shared], [second[key][1] for key in shared])
        return {
            "a": a, "b": b, "n": found.n, "only_a": found.only_a, "only_b": found.only_b, "p": found.p_value,
            "accuracy_a": found.accuracy_a.value, "accuracy_b": found.accuracy_b.value,
            "sentence": found.sentence(a, b),
        }  # fmt: skip

    def model(self, name: str | None = None) -> tuple[str, Path] | None:
        """The name and model file of a run, None for the newest that has one; None if there is none."""
        names = self.names()[::-1] if name is None else [self.path(name).name]
        files = ((each, RunFiles(self.folder.runs / each).model) for each in names)
        return next(((each, path) for each, path in files if path.is_file()), None)

    def _where(self, name: str) -> Callable[[str], str | None]:
        """A function from a picture's file in a run to its present id, None where it is gone."""
        hashes, listing = self._hashes(name), self.folder.listing
        by_hash: dict[str, str] = {}

        def hash_of(id: str) -> str:
            with contextlib.suppress(OSError, KeyError):
                return listing.facts(id).hash
            return ""

        def where(file: str) -> str | None:
            hash = hashes.get(file)
            with self.folder.lock:
                if file in listing and hash in (None, hash_of(file)):
                    return file
                if hash is not None and not by_hash:  # it was moved, and may have another name
                    by_hash.update({hash_of(id): id for id in listing.all_ids()})
            return by_hash.get(hash or "")

        with self.folder.lock:
            self.folder.refresh()
        return where

    def _hashes(self, name: str) -> dict[str, str]:
        version = self.versions.of(self._about(name).get("version"))
        return version.files if version else {}

    def _about(self, name: str) -> dict[str, Any]:
        found = self._read(name, self.folder.runs / name / ABOUT)
        return found if isinstance(found, dict) else {}

    def _began(self, name: str, mark: Path) -> str:
        began = self._about(name).get("began")
        if isinstance(began, str):
            return began
        with contextlib.suppress(OSError):
            return datetime.fromtimestamp(os.stat(mark).st_mtime, UTC).isoformat()
        return ""

    def _history(self, name: str) -> list[dict[str, float | None]]:
        """The rows of history.csv; none where there is none yet."""
        found = self._read(name, RunFiles(self.folder.runs / name).history)
        return found if isinstance(found, list) else []

    def _read(self, name: str, path: Path) -> Any:
        """A small file of a run, read again where it has changed; None where it cannot be read."""
        key = (name, path.name)
        try:
            status = os.stat(path)
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            kept = self._kept.setdefault(key, _Kept())
            if kept.state != state:
                kept.value = _rows(path) if path.suffix == ".csv" else json.loads(read_input(path))
                kept.state = state
            return kept.value
        except (OSError, ValueError):
            return None


def _rows(path: Path) -> list[dict[str, float | None]]:
    with open_text(path, newline="") as file:
        return [
            {key: float(value) if value else None for key, value in row.items() if key} for row in csv.DictReader(file)
        ]


def _epoch(name: str, row: dict[str, Any], told: dict[str, Any] | None) -> dict[str, Any]:
    """The event of an epoch."""
    told = told or {}
    return {
        "run": name,
        "epoch": int(row["epoch"]),
        "epochs": told.get("epochs"),
        **{key: row.get(key) for key in ("loss", "accuracy", "val_loss", "val_accuracy")},
        "images_per_second": told.get("images_per_second"),
        "seconds_left": told.get("seconds_left"),
        "confusion": told.get("confusion"),
        "classes": told.get("classes"),
        "mistakes": told.get("mistakes", []),
        "filters": told.get("filters"),
    }


def _accuracy(judged: Any) -> dict[str, Any] | None:
    """The accuracy in evaluation.json, with its interval."""
    try:
        figure = judged["accuracy"]
        return {name: figure[name] for name in ("value", "low", "high", "n")}
    except (KeyError, TypeError):
        return None


def _fault(name: str) -> str:
    if fault := fault_of(name):
        return fault
    if not name.strip() or name.startswith(".") or "/" in name or "\\" in name or len(name.encode()) > 200:
        return "write up to 200 bytes without slashes, and no dot at the beginning"
    return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
