"""The table of decisions on doubtful labels: written for a person to fill in, read strictly."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from ..errors import DataError
from ..files import atomic_write, open_text

COLUMNS = ("part", "file", "given", "suggested", "score", "decision")
NEEDED = ("file", "given", "suggested", "decision")
KEEP, RELABEL, DROP = "keep", "relabel", "drop"
DECISIONS = (KEEP, RELABEL, DROP)


@dataclass(frozen=True)
class Decision:
    """One line of the table.

    Attributes:
        part: "train", "validation" or "test"; for the reader: images are found by their file.
        file: the image's name, as in `ImageDataset.names`.
        given: the name of its class as the data say.
        suggested: the name of the class that it seems to be.
        score: how sure that is, as text.
        decision: "" or "keep", "relabel" (to what is suggested), "drop", or the name of a class.
        line: where it stands in the file, from 1.
    """

    part: str
    file: str
    given: str
    suggested: str
    score: str = ""
    decision: str = ""
    line: int = 0

    def outcome(self, classes: Sequence[str], path: str | os.PathLike[str]) -> str | None:
        """The class that the image gets, None where it is to be dropped.

        Where a class is called like a decision the word means the decision; ``relabel`` with the class in the
        column ``suggested`` reaches it.

        Raises:
            DataError: the decision is neither a word nor a class.
        """
        word = self.decision if self.decision in classes else self.decision.lower()
        if word in ("", KEEP):
            return self.given
        if word == DROP:
            return None
        wanted, column = (self.suggested, "suggested") if word == RELABEL else (self.decision, "decision")
        if wanted in classes:
            return wanted
        known = list(classes) if column == "suggested" else [*DECISIONS, *classes]
        near = difflib.get_close_matches(wanted, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Write keep, relabel, drop, or the name of a class."
        raise DataError(
            f"{os.fspath(path)}: line {self.line} has {wanted!r} in the column {column}, which is no class"
            f"{'' if column == 'suggested' else ' and no decision'}. {hint}"
        )


def write_decisions(path: str | os.PathLike[str], decisions: Iterable[Decision]) -> None:
    """Write the table, all or nothing, in UTF-8; a file name that is no valid Unicode keeps its bytes.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_write(path, follow=True) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows([getattr(decision, name) for name in COLUMNS] for decision in decisions)
        text.detach()  # flushes, and leaves the file open for whoever opened it


def read_decisions(path: str | os.PathLike[str]) -> list[Decision]:
    """Read the table; commas, semicolons (as spreadsheets write them) or tabs between the columns.

    Raises:
        DataError: it cannot be read, a column is missing, unknown or there twice, or a line is incomplete.
    """
    try:
        with open_text(path, encoding="utf-8-sig", errors="surrogateescape", newline="", piped=True) as file:
            return list(_rows(path, file))
    except OSError as error:
        raise DataError(f"{os.fspath(path)}: cannot be read ({error.strerror}). Check the path.") from error


def refuse_to_lose_decisions(path: str | os.PathLike[str]) -> None:
    """Raise DataError if there is a file that holds decisions, or that is no table of decisions at all."""
    if not os.path.lexists(path):
        return
    try:
        decided = sum(bool(decision.decision) for decision in read_decisions(path))
    except DataError as error:
        raise DataError(f"{error} It is there already: name another file, or replace it with --overwrite.") from None
    if decided:
        raise DataError(
            f"{os.fspath(path)}: holds {decided:,} {'decision' if decided == 1 else 'decisions'} already. Name another "
            "file, or replace it with --overwrite."
        )


def _rows(path: str | os.PathLike[str], file: TextIO) -> Iterator[Decision]:
    head = file.readline()
    file.seek(0)
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_columns(path, names)
        line = reader.line_num + 1
        for cells in reader:
            if cells:  # blank lines are none
                yield _decision(path, names, cells, line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{os.fspath(path)}: line {reader.line_num} is not sound CSV ({error}). Correct it.") from error


def _decision(path: str | os.PathLike[str], names: Sequence[str], cells: Sequence[str], line: int) -> Decision:
    if len(cells) != len(names):
        raise DataError(
            f"{os.fspath(path)}: line {line} has {len(cells)} columns, and the first line {len(names)}. Correct it."
        )
    values = dict(zip(names, cells, strict=True))
    found = Decision(
        part=values.get("part", ""),
        file=values["file"],
        given=values["given"],
        suggested=values["suggested"],
        score=values.get("score", ""),
        decision=values["decision"].strip(),
        line=line,
    )
    if not found.file or not found.given:
        raise DataError(
            f"{os.fspath(path)}: line {line} has no {'file' if not found.file else 'given label'}. Fill it in, or "
            "remove the line."
        )
    return found


def _check_columns(path: str | os.PathLike[str], names: Sequence[str]) -> None:
    wrong = [f"no column {name!r}" for name in NEEDED if name not in names]
    for name in dict.fromkeys(names):
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, [each for each in COLUMNS if each not in names], n=1)
            wrong.append(f"an unknown column {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
        elif names.count(name) > 1:
            wrong.append(f"the column {name!r} twice")
    if wrong:
        raise DataError(
            f"{os.fspath(path)}: there is {', '.join(wrong)}. A table of decisions has the columns "
            f"{', '.join(COLUMNS)}; `glyphnet data DATA --review FILE` writes one."
        )
