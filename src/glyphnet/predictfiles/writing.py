"""Predictions into a file, as they come; a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path

from .._version import __version__
from ..answers import Predictor
from ..data.decode import ImageShape
from ..data.traits import TraitCounts
from ..errors import BadFileError, OutputError, SettingsError
from ..files import (
    Replacing,
    atomic_write,
    atomic_write_text,
    is_left_behind,
    is_stream,
    read_input,
    remove,
    remove_empty_folder,
    subfolder,
)
from ..locks import FolderLock, temporary_folder
from ..onnxmodel import load_predictor
from .answers import Answer, Answering, Asked
from .formats import About, Format, format_of
from .pictures import OnBadFile, Picture, pictures_in
from .predicting import OnRemade, Prediction, predictions

PART_IMAGES = 8192  # answers that are in memory
PART_VALUES = 1 << 22  # or so many probabilities
PART_SECONDS = 30.0  # the work that is lost when a process is killed, at most, and a batch


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        path: the file.
        images: how many pictures have an answer in it, the unreadable included.
        unreadable: how many of these could not be read.
        resumed: how many were there from the run before.
    """

    path: Path
    images: int
    unreadable: int
    resumed: int = 0


@dataclass(frozen=True)
class Watching:
    """Who is told what while it goes on.

    Attributes:
        on_bad_file: the error of each picture that cannot be read.
        on_remade: once, when a picture was made like the training images by more than size and colour.
        on_resumed: how many pictures the run before has answered for.
        progress: called as ``progress(done, total, what)`` now and then; the total is 0, for it is not known.
        ignored: counts the files in folders that are not pictures, by their suffix.
        on_note: a sentence on what the model lacks, and, at the end, on what was done to pictures: see
            `data.traits.TraitCounts`.
    """

    on_bad_file: OnBadFile = lambda _: None
    on_remade: OnRemade | None = None
    on_resumed: Callable[[int], None] = lambda _: None
    progress: Callable[[int, int, str], None] = lambda *_: None
    ignored: Counter[str] = field(default_factory=Counter)
    on_note: Callable[[str], None] = lambda _: None


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
    watching: Watching | None = None,
) -> Written:
    """Classify pictures and write a table: file, label, probability, those of all classes if asked, error.

    However many they are, a few thousand answers are in memory. They are kept as they come in the folder
    ``OUT.parts``, and ``out`` takes its name, and the place of an older file, when it is complete. A row whose
    picture cannot be read has an error in place of a label.

    Args:
        model: a model file (``.safetensors`` or ``.onnx``).
        paths: see `pictures_in`.
        out: a ``.parquet``, ``.csv`` or ``.json`` file. A pipe or a device is written to at the end, as CSV where its
            name does not say; it cannot be resumed.
        asked: what to tell of each picture; the likeliest label unless given.
        as_is: see `predictions`.
        only: see `pictures_in`.
        device: see `load_predictor`.
        resume: go on with a run that did not finish; begin one if there is none. The file becomes what it would
            have been, to the last bit on the same machine.
        watching: who is told what.

    Raises:
        SettingsError: the name of the file is of no known kind; it lies in a folder that is to be classified; a run
            to it did not finish and ``resume`` is not given; what it was begun with is not what is given now.
        RunFolderError: another process is writing it.
        OutputError: something is there that may not be replaced.
        DataError: a table is damaged.
        ModelFileError, DeviceError, MissingExtraError: see `load_predictor`.
    """
    asked, watching = asked or Asked(), watching or Watching()
    rules = replacing or Replacing(overwrite=True)
    parent = Path(os.path.realpath(out)).parent
    if parent.exists():
        rules.check(out)
    else:  # it is made
        rules.check_in(parent, ())
    if is_stream(out):
        with temporary_folder() as folder:
            target = folder / f"answers{Path(out).suffix or '.csv'}"
            return _write(
                model, paths, out, Unfinished(target), format_of(target), asked, as_is, only, device, rules, watching
            )
    target = Path(os.path.realpath(out))  # the place of a link's file is taken, not the link's
    form = format_of(target)
    _check_place(target, paths)
    unfinished = Unfinished(target)
    unfinished.refuse_if_foreign()
    start_over = replacing is not None and replacing.overwrite and not resume
    if not start_over:
        _check_start(target, unfinished, resume)
    return _write(
        model, paths, out, unfinished, form, asked, as_is, only, device, rules, watching, start_over=start_over
    )


def _write(
    model: str | os.PathLike[str],
    paths: Sequence[str],
    out: str | os.PathLike[str],
    unfinished: Unfinished,
    form: Format,
    asked: Asked,
    as_is: bool,
    only: str | None,
    device: str,
    rules: Replacing,
    watching: Watching,
    *,
    start_over: bool = False,
) -> Written:
    classifier = load_predictor(model, device)
    answering = Answering(classifier, asked)
    if classifier.lacking:
        watching.on_note(classifier.lacking)
    job = {
        "model": _digest([read_input(model)]),
        "list of images": _digest(os.fsencode(path) + b"\0" for path in paths),
        "choice of options": {**asdict(asked), "as_is": as_is, "only": only},
        "version of GlyphNet": __version__,
    }
    with unfinished.held():
        if start_over or not unfinished.exists:
            unfinished.clear(job)
        begun = unfinished.read()
        unfinished.check(begun, job)
        run = _Run(classifier, answering, form, unfinished, watching)
        done = run.answer(paths, begun, as_is, only)
        rules.check(out)
        with atomic_write(out, follow=True) as file:
            parts = [unfinished.part(number) for number in range(done.parts)]
            form.join(file, parts, answering, About(os.fspath(model), done.unreadable))
        unfinished.clear(job)
    return Written(Path(out), done.images, done.unreadable, begun.images)


def _check_place(target: Path, paths: Sequence[str]) -> None:
    for path in paths:
        if os.path.isdir(path) and target.is_relative_to(os.path.realpath(path)):
            raise SettingsError(
                f"{target}: lies in {path}, and all that is in there is classified. Write it elsewhere."
            )


def _check_start(target: Path, unfinished: Unfinished, resume: bool) -> None:
    if unfinished.exists and not resume:
        raise SettingsError(
            f"{unfinished.folder}: holds {unfinished.read().images:,} answers of a run that did not finish. Go on with "
            f"it by --resume, or start over with --overwrite."
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
    watching: Watching

    def answer(self, paths: Iterable[str], begun: Progress, as_is: bool, only: str | None) -> Progress:
        """Write the parts that are missing; how far it has come then."""
        places = Places()
        shape, ignored = self.classifier.input_shape, self.watching.ignored
        remaining = self.unfinished.remaining(paths, begun, places, shape, ignored, only)
        if begun.images:
            self.watching.on_resumed(begun.images)
        done = begun
        part = _Part()
        most = min(PART_IMAGES, PART_VALUES // len(self.classifier.classes))
        traits = TraitCounts()
        on_remade = self.watching.on_remade
        for batch in predictions(self.classifier, remaining, as_is=as_is, on_remade=on_remade, traits=traits):
            for prediction in batch:
                self._take(prediction, part, places)
            self.watching.progress(done.images + len(part.answers), 0, "Classifying images")
            if len(part.answers) >= most or time.monotonic() - part.begun >= PART_SECONDS:
                done, part = self._written(part, done, places), _Part()
        for sentence in traits.predicted_sentences(self.classifier.reading):
            self.watching.on_note(sentence)
        return self._written(part, done, places) if part.answers else done

    def _take(self, prediction: Prediction, part: _Part, places: Places) -> None:
        places.add(prediction.place)
        part.answers.append(self.answering(prediction))
        if isinstance(prediction.outcome, BadFileError):
            part.unreadable += 1
            self.watching.on_bad_file(prediction.outcome)

    def _written(self, part: _Part, done: Progress, places: Places) -> Progress:
        with atomic_write(self.unfinished.part(done.parts)) as file:
            self.form.write(file, part.answers, self.answering)
        counted = replace(
            done,
            parts=done.parts + 1,
            images=done.images + len(part.answers),
            unreadable=done.unreadable + part.unreadable,
            places=str(places),
        )
        self.unfinished.write(counted)
        return counted


@dataclass
class _Part:
    answers: list[Answer] = field(default_factory=list)
    unreadable: int = 0
    begun: float = field(default_factory=time.monotonic)


def _digest(contents: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


# What a run that did not finish leaves: its answers in parts, and how far it came

_BEGIN_ANEW = "Delete that folder to begin anew."


@dataclass(frozen=True)
class Progress:
    """How far a run came.

    Attributes:
        job: what it is to do: names and values of which a difference means another run.
        parts: how many parts are written.
        images: how many pictures these answer for, the unreadable included.
        unreadable: how many of them could not be read.
        places: the digest of their places, see `Places`.
    """

    job: Mapping[str, object]
    parts: int = 0
    images: int = 0
    unreadable: int = 0
    places: str = ""


class Places:
    """A digest of where pictures lie, in order: whether the same ones are still there."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)

    def add(self, place: str) -> None:
        """Take one more."""
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
    """The folder ``OUT.parts`` beside the file that is to be written.

    Every file in it is written all or nothing, a part before the progress that counts it: whenever the process is
    killed, what the progress counts is there, and what it does not count is written again. The progress is the first
    file that is written and the last that is removed: a folder without it is somebody else's.

    Args:
        out: the file.
        folder: where to make the folder; beside the file unless given.
    """

    def __init__(self, out: Path, folder: Path | None = None) -> None:
        self._out = out
        self.folder = subfolder(out.parent if folder is None else folder, f"{out.name}.parts")
        self._progress = self.folder / "progress.json"

    def part(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"part-{number:06d}{self._out.suffix}"

    @property
    def exists(self) -> bool:
        """Whether there is anything to go on with."""
        return self._progress.exists() and self.read().images > 0

    def refuse_if_foreign(self) -> None:
        """Raise OutputError if the folder is there, and holds something that no run of ours left."""
        if os.path.lexists(self.folder) and not self._progress.exists():
            there = (
                [name for name in os.listdir(self.folder) if not is_left_behind(name)]
                if self.folder.is_dir()
                else ["a file"]
            )
            if there:
                raise OutputError(
                    f"{self.folder}: is needed for unfinished answers, and holds {there[0]}. Move it away, or choose "
                    "another name by --out."
                )

    def read(self) -> Progress:
        """How far it came.

        Raises:
            SettingsError: that cannot be read.
        """
        try:
            return Progress(**json.loads(read_input(self._progress)))
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{self._progress}: cannot be read ({error}). {_BEGIN_ANEW}") from error

    def write(self, progress: Progress) -> None:
        """Count what is written."""
        atomic_write_text(self._progress, json.dumps(asdict(progress), indent=2) + "\n")

    def remaining(
        self,
        paths: Iterable[str],
        progress: Progress,
        places: Places,
        image_shape: ImageShape | None = None,
        ignored: Counter[str] | None = None,
        only: str | None = None,
    ) -> Iterator[Picture]:
        """The pictures that are not answered for yet; ``places`` takes the others. For the rest see `pictures_in`.

        Raises:
            SettingsError: those that were are no longer the first ones.
        """
        waiting = pictures_in(
            paths, skip=progress.images, on_skipped=places.add, image_shape=image_shape, ignored=ignored, only=only
        )
        first = next(waiting, None)  # all before it have been passed over
        if progress.images and str(places) != progress.places:
            raise SettingsError(
                f"{self.folder}: has answers for {progress.images:,} images, and these are not the first ones now: "
                f"some came, went or were renamed since. {_BEGIN_ANEW}"
            )
        return iter(()) if first is None else chain((first,), waiting)

    def check(self, progress: Progress, job: Mapping[str, object]) -> None:
        """Refuse to go on with something else.

        Raises:
            SettingsError: the run was begun with another job; it says what differs.
        """
        different = [name for name in job if progress.job.get(name) != job[name]]
        if different:
            raise SettingsError(
                f"{self.folder}: was begun with another {' and another '.join(different)}. "
                f"Give the same again, or delete that folder to begin anew."
            )

    def clear(self, job: Mapping[str, object]) -> None:
        """Remove the parts, once nothing counts them any more; files that are not ours stay."""
        self.write(Progress(job))
        parts = self.folder.glob("part-*")
        remove(*(path for path in parts if re.fullmatch(r"part-\d{6}", path.stem) and path.suffix == self._out.suffix))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep other processes out of it; it goes where there is nothing to go on with."""
        try:
            with FolderLock(self.folder):
                try:
                    yield
                finally:
                    if not self.exists:
                        remove(self._progress)
        finally:
            remove_empty_folder(self.folder)
