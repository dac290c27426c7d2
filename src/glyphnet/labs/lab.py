"""The nouns of this package: a lab, its settings, its findings; and the table of labs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Generic, TypeAlias, TypeVar

from matplotlib.figure import Figure
from pydantic import Field

from .. import units
from ..errors import SettingsError
from ..progress import Progress as Progress
from ..settings import Settings, suggestion

Numbers: TypeAlias = Mapping[str, Any]
"""Measured values, as plain JSON."""


class LabSettings(Settings):
    """Settings of every lab; a lab with more settings has a subclass.

    Each field is an option of ``glyphnet lab NAME``; its description is the help.
    """

    quick: bool = Field(False, description="A small version of the experiment, in seconds.")
    seeds: int | None = Field(None, ge=1, description="Number of repetitions with different seeds.")


@dataclass(frozen=True, eq=False)
class Picture:
    """One figure of a lab's page.

    Attributes:
        name: the stem of its PNG: "cost-by-epoch".
        figure: on a light background.
        alt: alternative text that states the finding, not only the kind of plot.
        caption: one or two sentences under it.
    """

    name: str
    figure: Figure
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; numbers are formatted text.

    Attributes:
        prose: whether cells hold words, left-aligned and wrapped, instead of numbers.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    prose: bool = False


@dataclass(frozen=True)
class Section:
    """A step of the explanation: paragraphs, pictures and tables.

    Attributes:
        title: a finding or a question, not a topic.
        text: paragraphs; ```code``` between backticks, otherwise plain text.
        show: pictures and tables, in their order.
    """

    title: str
    text: tuple[str, ...] = ()
    show: tuple[Picture | Table, ...] = ()


@dataclass(frozen=True)
class Question:
    """A question at the end of a lab, answered from its own figures.

    Attributes:
        text: the question.
        answer: computes the answer from the numbers of this run.
    """

    text: str
    answer: Callable[[Numbers], str]


@dataclass(frozen=True, eq=False)
class Findings:
    """Findings of a lab.

    Attributes:
        lead: the finding in one or two sentences.
        sections: the explanation, step by step.
        numbers: the content of numbers.json: plain JSON values, finite.
    """

    lead: str
    sections: tuple[Section, ...]
    numbers: dict[str, Any] = field(default_factory=dict)


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
