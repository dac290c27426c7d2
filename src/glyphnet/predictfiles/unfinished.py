"""What a run that did not finish leaves: its answers in parts, and how far it came."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

from ..data.decode import ImageShape
from ..errors import OutputError, SettingsError
from ..files import (
    FolderLock,
    atomic_write_text,
    is_left_behind,
    is_stream,
    read_input,
    remove,
    remove_empty_folder,
    subfolder,
)
from .pictures import Picture, pictures_in

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
