"""The verb of this floor: run a lab and write its folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from ..files import FolderLock, Replacing, atomic_write, atomic_write_text, refuse_if_in_use
from ..hardware import hardware
from ..modelfile import library_versions
from ..settings import parse_settings
from .catalogue import load_lab
from .lab import Findings, Picture, Progress
from .page import render_page

_DOTS_PER_INCH = 144  # twice what CSS calls an inch's 72 points: sharp on a phone


@dataclass(frozen=True)
class LabFolder:
    """What a lab left: the page, the numbers, the pictures."""

    path: Path

    @property
    def page(self) -> Path:
        """The explanation with its pictures, in one file."""
        return self.path / "lab.html"

    @property
    def numbers(self) -> Path:
        """What was measured."""
        return self.path / "numbers.json"


def run_lab(
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    out: str | os.PathLike[str],
    replacing: Replacing | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> LabFolder:
    """Run a lab; write its page, its numbers and its pictures when all of it is done.

    Args:
        name: see ``LABS``.
        settings: what the lab is asked; see its class of settings.
        out: the folder.
        replacing: what may be replaced in it, file by file, after the work is done; None for whatever is there.
        progress: called as ``progress(done, total, what)``.
        command: the command line that makes this again, for the page.

    Raises:
        SettingsError: an unknown lab or setting.
        RunFolderError: another process is at work in that folder.
        OutputError: something is there that may not be replaced.
    """
    lab = load_lab(name)
    asked = parse_settings(lab.settings, dict(settings or {}), where=f"lab {name}")
    folder = LabFolder(Path(out))
    rules = replacing or Replacing(overwrite=True)
    rules.check_in(folder.path, (folder.page.name, folder.numbers.name))
    refuse_if_in_use(folder.path)
    began = time.perf_counter()
    found = lab.investigate(asked, progress or _silent)
    made = {
        "settings": asked.model_dump(mode="json"),
        "command": command,
        "seconds": round(time.perf_counter() - began, 2),
        "hardware": hardware(),
        "versions": library_versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    numbers = json.dumps(
        {"lab": name, "made": made, "numbers": found.numbers}, ensure_ascii=False, allow_nan=False, indent=2
    )
    # The page is made of what numbers.json holds, not of what was in memory: they cannot tell two stories.
    read_back = json.loads(numbers)["numbers"]
    answers = [(question.text, question.answer(read_back)) for question in lab.questions]
    pngs = {picture.name: _png(picture) for picture in pictures(found)}
    page = render_page(lab.title, found, pngs, answers, made)
    with FolderLock(folder.path):
        rules.check_in(folder.path, (folder.page.name, folder.numbers.name, *(f"{picture}.png" for picture in pngs)))
        for picture, png in pngs.items():
            with atomic_write(folder.path / f"{picture}.png") as file:
                file.write(png)
        atomic_write_text(folder.numbers, numbers + "\n")
        atomic_write_text(folder.page, page)
    return folder


def pictures(found: Findings) -> list[Picture]:
    """All pictures of the page, in its order."""
    return [shown for section in found.sections for shown in section.show if isinstance(shown, Picture)]


def _png(picture: Picture) -> bytes:
    file = BytesIO()
    picture.figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": "GlyphNet"})
    return file.getvalue()


def _silent(done: int, total: int, what: str) -> None:
    """No progress."""
