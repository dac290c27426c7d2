"""The nouns of this floor: a lab, what it is asked, what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from matplotlib.figure import Figure
from pydantic import Field

from ..settings import Settings

Numbers: TypeAlias = Mapping[str, Any]
"""What was measured, as plain JSON values."""

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called as ``progress(done, total, what)``."""


class LabSettings(Settings):
    """What every lab can be asked; a lab with more to ask has a subclass of this.

    Each field is an option of ``glyphnet lab NAME``, with its description as help.
    """

    quick: bool = Field(False, description="A small version of the experiment, in seconds: for a first look.")
    seeds: int | None = Field(None, ge=1, description="Number of repetitions with other random numbers.")


@dataclass(frozen=True, eq=False)
class Picture:
    """One figure of a lab's page.

    Attributes:
        name: the stem of its PNG: "cost-by-epoch".
        figure: what is drawn, on a light background.
        alt: what it shows, for whoever cannot see it: the finding, not only the kind of plot.
        caption: one or two sentences under it.
    """

    name: str
    figure: Figure
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; numbers come as the text that is to be shown.

    Attributes:
        prose: whether the cells hold words, which begin at the left and break, and not numbers.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    prose: bool = False


@dataclass(frozen=True)
class Section:
    """A step of the explanation: some paragraphs, and what shows them.

    Attributes:
        title: a finding or a question, not a topic.
        text: paragraphs; ```code``` between backticks, all else is plain text.
        show: pictures and tables, in their order.
    """

    title: str
    text: tuple[str, ...] = ()
    show: tuple[Picture | Table, ...] = ()


@dataclass(frozen=True)
class Question:
    """A question at the end of a lab, answerable from its own figures.

    Attributes:
        text: the question.
        answer: makes the answer out of the lab's numbers, so that it is true of this very run.
    """

    text: str
    answer: Callable[[Numbers], str]


@dataclass(frozen=True, eq=False)
class Findings:
    """What a lab found.

    Attributes:
        lead: the finding in one or two sentences.
        sections: the explanation, step by step.
        numbers: what was measured, as numbers.json will hold it: plain JSON values, finite.
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
        settings: what it can be asked.
        investigate: does the experiment; called with the settings and the progress.
        questions: three, for the end of the page.
    """

    name: str
    title: str
    settings: type[S]
    investigate: Callable[[S, Progress], Findings]
    questions: tuple[Question, Question, Question]
