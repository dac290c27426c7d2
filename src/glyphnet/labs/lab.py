"""The nouns of this package: a lab, its settings, its findings; and the table of labs."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from markupsafe import Markup, escape
from matplotlib.figure import Figure
from pydantic import Field

from .. import units
from .._version import __version__
from ..errors import SettingsError
from ..files import Replacing, atomic_write, atomic_write_text
from ..locks import FolderLock, refuse_if_in_use
from ..modelfile import library_versions
from ..pages.bundle import environment, read
from ..progress import Progress
from ..runs.run import FileOf
from ..settings import Settings, parse_settings, suggestion
from ..training.device import hardware

Numbers: TypeAlias = Mapping[str, Any]
"""Measured values, as plain JSON."""

Columns: TypeAlias = Mapping[str, str | Callable[[Any], str]]
"""Heading → the cell of a row of numbers: a format string over its values ("{error[lowest]:.3f}"), or a function."""


class LabSettings(Settings):
    """Settings of every lab; a lab with more settings has a subclass.

    Each field is an option of ``glyphnet lab NAME``; its description is the help.
    """

    quick: bool = Field(False, description="A small version of the experiment, in seconds.")
    seeds: int | None = Field(None, ge=1, description="Number of repetitions with different seeds.")

    def repetitions(self, full: int, quick: int) -> int:
        """Number of seeds: the setting, or else these."""
        return self.seeds or (quick if self.quick else full)


@dataclass(frozen=True, eq=False)
class Picture:
    """One figure of a lab's page, saved as ``name``.png. ``alt`` states the finding, not only the kind of plot."""

    name: str
    figure: Figure
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of formatted cells under a header; ``prose`` cells hold words, left-aligned and wrapped."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    prose: bool = False

    @classmethod
    def of(cls, rows: Iterable[Numbers], columns: Columns, caption: str = "") -> Table:
        """A table of rows of numbers.json: see `Columns`."""
        cells = [
            [cell.format_map(row) if isinstance(cell, str) else cell(row) for cell in columns.values()] for row in rows
        ]
        return cls(list(columns), cells, caption)


@dataclass(frozen=True)
class Section:
    """A step of the explanation.

    Attributes:
        title: a finding or a question, not a topic.
        text: paragraphs; ```code``` between backticks, otherwise plain text.
        show: pictures and tables, in their order.
    """

    title: str
    text: Sequence[str] = ()
    show: Sequence[Picture | Table] = ()


@dataclass(frozen=True)
class Question:
    """A question at the end of a lab, answered from the numbers of this run."""

    text: str
    answer: Callable[[Numbers], str]


@dataclass(frozen=True, eq=False)
class Findings:
    """Findings of a lab: the lead in one or two sentences, the explanation, and the content of numbers.json."""

    lead: str
    sections: Sequence[Section]
    numbers: dict[str, Any]


S = TypeVar("S", bound=LabSettings)


@dataclass(frozen=True)
class Lab(Generic[S]):
    """One guided experiment.

    Attributes:
        name: as in ``glyphnet lab NAME``.
        title: of its page.
        settings: its settings.
        investigate: runs the experiment, given settings and progress.
        questions: three, for the end of the page.
    """

    name: str
    title: str
    settings: type[S]
    investigate: Callable[[S, Progress], Findings]
    questions: tuple[Question, Question, Question]


_ABOUT = {
    "digits": "a small network on 8×8 digits: when it converges, what a stop and a split do",
    "xor": "how many hidden units XOR needs, from many starts at once; other points too",
    "pulse": "a square pulse out of sigmoids: what each hidden unit adds",
    "first-net": "a first network on MNIST: curves, confusions, dead units, ReLU against sigmoid",
    "dropout": "the gap between training and validation, with and without dropout; and convolutions",
    "regularisation": "dropout, L1, L2, batch norm, augmentation, early stopping: what helps when",
    "networks": "fully connected, convolutional, recurrent: parameters, FLOPs, time, accuracy",
    "classical": "the table of methods, from K-means to our networks, by accuracy and time",
    "scratch": "a network in NumPy alone on MNIST: cost curves, gradient check, solvers, over-fitting",
    "cnn": "what convolution does, and why a shifted digit breaks a fully connected network",
}
LABS = {name: (f".{name.replace('-', '_')}", about) for name, about in _ABOUT.items()}
"""Name → (module of this package that holds ``LAB``, line for the list). Modules are imported on use."""


def load_lab(name: str) -> Lab[Any]:
    """The lab of that name.

    Raises:
        SettingsError: unknown name.
    """
    if name not in LABS:
        raise SettingsError(f'There is no lab "{name}"{suggestion(name, LABS)}')
    lab = import_module(LABS[name][0], __package__).LAB
    assert isinstance(lab, Lab)
    return lab


def percent(share: float, digits: int = 0) -> str:
    """A percentage as the pages write it: 0.955 is "95.5 %" with one digit."""
    return units.page_percent(share, digits)


# Running a lab: its folder, with a page that is one HTML file without scripts

STYLES = ("pages/house.css", "labs/page.css")
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
        name: a row of ``LABS``.
        settings: of the lab's class of settings.
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
    found = lab.investigate(asked, progress or (lambda done, total, what: None))
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
    shown = [each for section in found.sections for each in section.show if isinstance(each, Picture)]
    pngs = {picture.name: _png(picture) for picture in shown}
    page = _page(lab.title, found, pngs, answers, made)
    with FolderLock(folder.path):
        rules.check_in(folder.path, (folder.page.name, folder.numbers.name, *(f"{picture}.png" for picture in pngs)))
        for picture, png in pngs.items():
            with atomic_write(folder.path / f"{picture}.png") as file:
                file.write(png)
        atomic_write_text(folder.numbers, numbers + "\n")
        atomic_write_text(folder.page, page)
    return folder


def _png(picture: Picture) -> bytes:
    file = BytesIO()
    picture.figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": "GlyphNet"})
    return file.getvalue()


def _page(
    title: str, found: Findings, pngs: Mapping[str, bytes], answers: Sequence[tuple[str, str]], made: Mapping[str, Any]
) -> str:
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
