"""The verb: run a lab and write its folder, with a page that is one HTML file without scripts."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from .._version import __version__
from ..files import Replacing, atomic_write, atomic_write_text
from ..locks import FolderLock, refuse_if_in_use
from ..modelfile import library_versions
from ..pages.assembly import environment, read
from ..runs.run import FileOf
from ..settings import parse_settings
from ..training.device import hardware
from .lab import Findings, Picture, Progress, load_lab

_DOTS_PER_INCH = 144  # twice what CSS calls an inch's 72 points: sharp on a phone


@dataclass(frozen=True)
class LabFolder:
    """The output of a lab: page, numbers, pictures."""

    path: Path

    page = FileOf("lab.html")  # the explanation with its pictures, in one file
    numbers = FileOf("numbers.json")  # the measured values


def run_lab(
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    out: str | os.PathLike[str],
    replacing: Replacing | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> LabFolder:
    """Run a lab, then write its page, numbers and pictures.

    Args:
        name: see ``LABS``.
        settings: see the lab's class of settings.
        out: the folder.
        replacing: which files in it may be replaced; None: all.
        progress: called as ``progress(done, total, what)``.
        command: the command line to reproduce this, for the page.

    Raises:
        SettingsError: an unknown lab or setting.
        RunFolderError: another process uses that folder.
        OutputError: a file there may not be replaced.
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
    # The answers come from the content of numbers.json, so that page and file agree.
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
    """All pictures of the page, in order."""
    return [shown for section in found.sections for shown in section.show if isinstance(shown, Picture)]


def _png(picture: Picture) -> bytes:
    file = BytesIO()
    picture.figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": "GlyphNet"})
    return file.getvalue()


def _silent(done: int, total: int, what: str) -> None:
    """No progress."""


STYLES = ("pages/house.css", "labs/page.css")


def render_page(
    title: str, found: Findings, pngs: Mapping[str, bytes], answers: Sequence[tuple[str, str]], made: Mapping[str, Any]
) -> str:
    """The page as text.

    Args:
        title: the lab's.
        found: its findings.
        pngs: PNG files by picture name.
        answers: (question, answer) pairs.
        made: settings, seconds, hardware, versions, command.
    """
    templates = environment("labs")
    templates.filters["code"] = _with_code
    return templates.get_template("page.html").render(
        title=title,
        found=found,
        images={name: base64.b64encode(png).decode() for name, png in pngs.items()},
        answers=answers,
        made=made,
        is_picture=lambda shown: isinstance(shown, Picture),
        style="\n".join(map(read, STYLES)),
        version=__version__,
    )


def _with_code(text: str) -> Markup:
    """Escape plain text and mark up `code` between backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
