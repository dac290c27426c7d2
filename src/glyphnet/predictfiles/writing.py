"""Predictions into a file, as they come; a run that was killed resumes where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path

from .._version import __version__
from ..answers import Predictor
from ..data.ink import InkSpec
from ..data.traits import TraitCounts
from ..errors import BadFileError, OutputError, SettingsError
from ..files import (
    Replacing,
    atomic_write,
    atomic_write_json,
    is_left_behind,
    is_stream,
    read_input,
    remove,
    remove_empty_folder,
    subfolder,
)
from ..locks import FolderLock, temporary_folder
from ..predictor import load_predictor
from ..progress import SILENT, Reporter
from .answers import FORMATS, About, Answer, Answering, Asked, Format, format_of
from .pictures import OnBadFile, Picture, left_out, pictures_in
from .predicting import Prediction, predictions

PART_IMAGES = 8192  # answers that are in memory
PART_VALUES = 1 << 22  # or so many probabilities
PART_SECONDS = 30.0  # the work that is lost when a process is killed, at most, and a batch


@dataclass(frozen=True)
class Written:
    """What was written."""

    path: Path
    images: int  # that have an answer in the file, the unreadable included
    unreadable: int
    resumed: int = 0  # answered by the run before


def write_predictions(
    model: str | os.PathLike[str],
    paths: Sequence[str],
    out: str | os.PathLike[str],
    *,
    asked: Asked | None = None,
    as_is: bool = False,
    only: str | None = None,
    device: str = "cpu",
    resume: bool = False,
    replacing: Replacing | None = None,
    on_bad_file: OnBadFile = lambda _: None,
    reporter: Reporter = SILENT,
) -> Written:
    """Classify pictures and write a table: file, label, probability, those of all classes if requested, error.

    However many there are, a few thousand answers are in memory. They are kept as they come in the folder
    ``OUT.parts``; ``out`` appears, or replaces an older file, when it is complete. A row whose picture cannot be read
    has an error in place of a label.

    Args:
        model: a model file (``.safetensors`` or ``.onnx``).
        paths: see `pictures_in`, also for ``only``.
        out: a ``.parquet``, ``.csv`` or ``.json`` file. A pipe or a device is written to at the end, as CSV where its
            name does not say; it cannot be resumed.
        asked: what to answer about each picture; the likeliest label unless given.
        as_is: see `predictions`.
        resume: resume a run that did not finish; begin one if there is none. The file becomes what it would have been,
            to the last bit on the same machine.
        on_bad_file: called with the error of each picture that cannot be read.
        reporter: is given sentences on the model and the pictures, and the number of answers now and then.

    Raises:
        SettingsError: the suffix of ``out`` is unknown; it lies in a folder that is to be classified; a run to it did
            not finish and ``resume`` is not given; what it was begun with is not what is given now.
        RunFolderError: another process is writing it.
        OutputError: something is there that may not be replaced.
        DataError: a table is damaged.
        ModelFileError, DeviceError, MissingExtraError: see `load_predictor`.
    """
    asked, rules = asked or Asked(), replacing or Replacing(overwrite=True)
    start_over = replacing is not None and replacing.overwrite and not resume
    target = Path(os.path.realpath(out))  # a link stays, and its file is replaced
    if target.parent.exists():
        rules.check(out, FORMATS)
    else:  # it is made
        rules.check_in(target.parent, ())
    with contextlib.ExitStack() as stack:
        if is_stream(out):
            target = stack.enter_context(temporary_folder()) / f"answers{Path(out).suffix or '.csv'}"
        form, unfinished = format_of(target), Unfinished(target)
        if not is_stream(out):
            _check_place(target, paths)
            unfinished.refuse_if_foreign()
            if not start_over:
                _check_start(target, unfinished, resume)
        classifier = load_predictor(model, device)
        answering = Answering(classifier, asked)
        if classifier.lacking:
            reporter.say(classifier.lacking)
        job = {
            "model": hashlib.sha256(read_input(model)).hexdigest(),
            "list of images": hashlib.sha256(b"".join(os.fsencode(path) + b"\0" for path in paths)).hexdigest(),
            "choice of options": {**asdict(asked), "as_is": as_is, "only": only},
            "version of GlyphNet": __version__,
        }
        stack.enter_context(unfinished.held())
        if start_over or not unfinished.exists:
            unfinished.clear(job)
        begun = unfinished.read()
        unfinished.check(begun, job)
        run = _Run(classifier, answering, form, unfinished, on_bad_file, reporter)
        done = run.answer(paths, begun, as_is, only)
        rules.check(out, FORMATS)
        with atomic_write(out, follow=True) as file:
            parts = [unfinished.part(number) for number in range(done.parts)]
            form.join(file, parts, answering, About(os.fspath(model), done.unreadable))
        unfinished.clear(job)
    return Written(Path(out), done.images, done.unreadable, begun.images)


def _check_place(target: Path, paths: Sequence[str]) -> None:
    for path in paths:
        if os.path.isdir(path) and target.is_relative_to(os.path.realpath(path)):
            raise SettingsError(f"{target}: lies in {path}, whose files are all classified. Write it elsewhere.")


def _check_start(target: Path, unfinished: Unfinished, resume: bool) -> None:
    if unfinished.exists and not resume:
        raise SettingsError(
            f"{unfinished.folder}: holds {unfinished.read().images:,} answers of a run that did not finish. Resume it "
            "with --resume, or start over with --overwrite."
        )
    if resume and not unfinished.exists and target.exists():
        raise SettingsError(f"{target}: is finished. Leave out --resume, and pass --overwrite to write it again.")


@dataclass(frozen=True)
class _Run:
    """The answers for some pictures, part by part."""

    classifier: Predictor
    answering: Answering
    form: Format
    unfinished: Unfinished
    on_bad_file: OnBadFile
    reporter: Reporter

    def answer(self, paths: Iterable[str], begun: Progress, as_is: bool, only: str | None) -> Progress:
        """Write the missing parts; return the progress then."""
        places, ignored, traits = Places(), Counter[str](), TraitCounts()
        waiting = pictures_in(
            paths, skip=begun.images, on_skipped=places.add, image_shape=self.classifier.input_shape, ignored=ignored,
            only=only,
        )  # fmt: skip
        remaining = self.unfinished.remaining(waiting, begun, places)
        if begun.images:
            self.reporter.say(f"{begun.images:,} images are done.")
        done, part = begun, _Part()
        most = min(PART_IMAGES, PART_VALUES // len(self.classifier.classes))
        for batch in predictions(self.classifier, remaining, as_is=as_is, on_remade=self._say_remade, traits=traits):
            for prediction in batch:
                self._take(prediction, part, places)
            if self.reporter.progress is not None:
                self.reporter.progress(done.images + len(part.answers), 0, "Classifying images")
            if len(part.answers) >= most or time.monotonic() - part.begun >= PART_SECONDS:
                done, part = self._written(part, done, places), _Part()
        self.reporter.say(*traits.predicted_sentences(self.classifier.reading), *left_out(ignored))
        return self._written(part, done, places) if part.answers else done

    def _say_remade(self, ink: InkSpec) -> None:
        self.reporter.say(f"{ink} Pass --as-is to leave them as they are.")

    def _take(self, prediction: Prediction, part: _Part, places: Places) -> None:
        places.add(prediction.place)
        part.answers.append(self.answering(prediction))
        if isinstance(prediction.outcome, BadFileError):
            part.unreadable += 1
            self.on_bad_file(prediction.outcome)

    def _written(self, part: _Part, done: Progress, places: Places) -> Progress:
        with atomic_write(self.unfinished.part(done.parts)) as file:
            self.form.write(file, part.answers, self.answering)
        images, unreadable = done.images + len(part.answers), done.unreadable + part.unreadable
        done = replace(done, parts=done.parts + 1, images=images, unreadable=unreadable, places=str(places))
        self.unfinished.write(done)
        return done


@dataclass
class _Part:
    answers: list[Answer] = field(default_factory=list)
    unreadable: int = 0
    begun: float = field(default_factory=time.monotonic)


# What a run that did not finish leaves: its answers in parts, and its progress

_START_AGAIN = "Delete that folder to start again."


@dataclass(frozen=True)
class Progress:
    """The progress of a run."""

    job: Mapping[str, object]  # names and values; where one differs, it is another run
    parts: int = 0  # that are written
    images: int = 0  # that they answer for, the unreadable included
    unreadable: int = 0
    places: str = ""  # see `Places`


class Places:
    """A digest of where pictures lie, in order: whether the same ones are still there."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)

    def add(self, place: str) -> None:
        """Add the next one."""
        self._digest.update(os.fsencode(place) + b"\0")

    def __str__(self) -> str:
        return self._digest.hexdigest()


def unfinished_folder(out: Path) -> Path | None:
    """The folder with the answers of a run to ``out`` that did not finish, if there is one."""
    if is_stream(out):
        return None
    unfinished = Unfinished(Path(os.path.realpath(out)))
    return unfinished.folder if unfinished.exists else None


class Unfinished:
    """The folder ``OUT.parts`` beside the file ``out`` that is to be written.

    Every file in it is written all or nothing, a part before the progress that counts it: whenever the process is
    killed, what the progress counts is there, and what it does not count is written again. The progress is the first
    file that is written and the last that is removed: a folder without it is not ours.
    """

    def __init__(self, out: Path) -> None:
        self._suffix = out.suffix
        self.folder = subfolder(out.parent, f"{out.name}.parts")
        self._progress = self.folder / "progress.json"

    def part(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"part-{number:06d}{self._suffix}"

    @property
    def exists(self) -> bool:
        """Whether there is anything to resume."""
        return self._progress.exists() and self.read().images > 0

    def refuse_if_foreign(self) -> None:
        """Raise OutputError if the folder holds something that no run of ours left."""
        if not os.path.lexists(self.folder) or self._progress.exists():
            return
        names = os.listdir(self.folder) if self.folder.is_dir() else ["a file"]
        if there := [name for name in names if not is_left_behind(name)]:
            raise OutputError(
                f"{self.folder}: is needed for unfinished answers, and holds {there[0]}. Move it away, or choose "
                "another name by --out."
            )

    def read(self) -> Progress:
        """The progress; SettingsError if it cannot be read."""
        try:
            return Progress(**json.loads(read_input(self._progress)))
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{self._progress}: cannot be read ({error}). {_START_AGAIN}") from error

    def write(self, progress: Progress) -> None:
        """Count what is written."""
        atomic_write_json(self._progress, asdict(progress))

    def remaining(self, waiting: Iterator[Picture], progress: Progress, places: Places) -> Iterator[Picture]:
        """The pictures without an answer, which ``waiting`` gives after it has added the others to ``places``."""
        first = next(waiting, None)  # all before it have been skipped
        if progress.images and str(places) != progress.places:
            raise SettingsError(
                f"{self.folder}: has answers for {progress.images:,} images, and these are not the first ones now: "
                f"some came, went or were renamed since. {_START_AGAIN}"
            )
        return iter(()) if first is None else chain((first,), waiting)

    def check(self, progress: Progress, job: Mapping[str, object]) -> None:
        """Raise SettingsError, which says what differs, if the run was begun with another job."""
        different = [name for name in job if progress.job.get(name) != job[name]]
        if different:
            raise SettingsError(
                f"{self.folder}: was begun with another {' and another '.join(different)}. "
                "Give the same again, or delete that folder to start again."
            )

    def clear(self, job: Mapping[str, object]) -> None:
        """Remove the parts, once nothing counts them any more; files that are not ours stay."""
        self.write(Progress(job))
        parts = self.folder.glob("part-*")
        remove(*(path for path in parts if re.fullmatch(r"part-\d{6}", path.stem) and path.suffix == self._suffix))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep other processes out of it; remove it if there is nothing to resume."""
        try:
            with FolderLock(self.folder):
                try:
                    yield
                finally:
                    if not self.exists:
                        remove(self._progress)
        finally:
            remove_empty_folder(self.folder)
