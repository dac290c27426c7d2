"""Applies a person's decisions on doubtful labels to a data set."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TextIO, TypeAlias

import numpy as np

from ..errors import DataError
from ..files import atomic_write, open_text
from .cache import images_at
from .dataset import ImageDataset, Splits
from .listing import check_classes

AnyPath: TypeAlias = str | os.PathLike[str]


class _Place(NamedTuple):
    """Where an image is: its part, and its row there."""

    part: str
    row: int


def apply_decisions(splits: Splits, path: AnyPath) -> Splits:
    """The splits with labels changed and images left out as a table of decisions says.

    The division into parts stays as it is. Images are found by their names. Decisions on test images are carried
    out, with a warning: only images that a model disagreed with were looked at, so the test has become easier.

    Args:
        splits: the data, as they were when the table was written.
        path: a table as `glyphnet data DATA --review FILE` writes it, with its column ``decision`` filled in.

    Raises:
        DataError: the table cannot be read or does not fit the data, with its line; or what would be left of
            the data is of no use.
    """
    outcomes = _outcomes(splits, path)
    found: dict[str, Any] = {}
    said: dict[str, str] = {}
    for name, part in splits:
        here = {place.row: outcome for place, outcome in outcomes.items() if place.part == name}
        changed = {row: outcome for row, outcome in here.items() if outcome != part.classes[part.labels[row]]}
        found[name] = _corrected(part, changed) if changed else part
        if changed:
            said[name] = _in_words(changed)
    labels = np.concatenate([part.labels for part in found.values()])
    numbers = np.repeat(np.arange(3, dtype=np.int8), [len(part) for part in found.values()])
    check_classes(splits.classes, labels, numbers, f"{os.fspath(path)}: with these decisions")
    told = "; ".join(f"{name}: {words}" for name, words in said.items()) or "nothing is changed"
    note = f"Labels corrected as {os.fspath(path)} says; {told}."
    warnings = [_about_test(said["test"])] if "test" in said else []
    notes, warnings = (*splits.notes, note), [*splits.warnings, *warnings]
    return replace(splits, **found, notes=notes, warnings=tuple(warnings))


def _outcomes(splits: Splits, path: AnyPath) -> dict[_Place, str | None]:
    """The class of each image that the table names, None where it is to be dropped."""
    decisions = read_decisions(path)
    places = _places(splits, {decision.file for decision in decisions})
    parts = dict(splits)
    outcomes: dict[_Place, str | None] = {}
    lines: dict[_Place, int] = {}
    for decision in decisions:
        place = _place(decision, places, splits, path)
        now = splits.classes[parts[place.part].labels[place.row]]
        if decision.given != now:
            raise DataError(
                f"{os.fspath(path)}: line {decision.line} was written when {decision.file!r} was labelled "
                f"{decision.given!r}; now the data say {now!r}. Remove the line, or review the data anew."
            )
        outcome = decision.outcome(splits.classes, path)
        if outcomes.setdefault(place, outcome) != outcome:
            raise DataError(
                f"{os.fspath(path)}: line {decision.line} decides otherwise on {decision.file!r} than line "
                f"{lines[place]}. Remove one of them."
            )
        lines.setdefault(place, decision.line)
    return outcomes


def _places(splits: Splits, names: set[str]) -> dict[str, list[_Place]]:
    """Where the images of these names are; data made in memory may use a name once in every part."""
    places: dict[str, list[_Place]] = {}
    for part, dataset in splits:
        for row, name in enumerate(dataset.names):
            if name in names:
                places.setdefault(name, []).append(_Place(part, row))
    return places


def _place(decision: Decision, places: Mapping[str, list[_Place]], splits: Splits, path: AnyPath) -> _Place:
    found = places.get(decision.file, [])
    if len(found) > 1:
        found = [place for place in found if place.part == decision.part]
    if len(found) == 1:
        return found[0]
    line = f"{os.fspath(path)}: line {decision.line} names {decision.file!r}"
    if decision.file in places:
        raise DataError(f"{line}, and several images are called so. Give each image a name of its own.")
    known = (name for _, part in splits for name in part.names)
    near = difflib.get_close_matches(decision.file, known, n=1, cutoff=0.8) if _few(splits) else []
    remedy = (
        f"Did you mean {near[0]!r}?" if near else "Remove the line, save the table as UTF-8, or review the data anew."
    )
    raise DataError(f"{line}, which is not among these data. {remedy}")


def _few(splits: Splits) -> bool:
    """Whether comparing a name with all names takes no time to speak of."""
    return sum(len(part) for _, part in splits) <= 20_000


def _corrected(part: ImageDataset, changes: Mapping[int, str | None]) -> ImageDataset:
    labels, number = part.labels.copy(), {name: label for label, name in enumerate(part.classes)}
    stays = np.ones(len(part), dtype=np.bool_)
    for row, outcome in changes.items():
        if outcome is None:
            stays[row] = False
        else:
            labels[row] = number[outcome]
    if stays.all():
        return replace(part, labels=labels)
    rows = np.flatnonzero(stays)
    names = [part.names[row] for row in rows.tolist()]
    groups = None if part.groups is None else part.groups[rows]
    return replace(
        part, images=images_at(part.images, rows, part.fingerprint), labels=labels[rows], names=names, groups=groups
    )


def _in_words(changes: Mapping[int, str | None]) -> str:
    """``"3 relabelled, 1 left out"``."""
    counts = Counter("left out" if outcome is None else "relabelled" for outcome in changes.values())
    return ", ".join(f"{counts[what]:,} {what}" for what in ("relabelled", "left out") if counts[what])


def _about_test(words: str) -> str:
    return (
        f"The test part was changed after a model had disagreed with it ({words}): its figures look better than they "
        "are and must not be compared with others'. Removing test images because a model disagrees is not honest; "
        "decide on test images without looking at predictions, or leave them as they are."
    )


# The table of decisions on doubtful labels: written for a person to fill in, read strictly

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
