"""Applies a person's decisions on doubtful labels to a data set."""

from __future__ import annotations

import csv
import difflib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TextIO, TypeAlias

import numpy as np

from ..errors import DataError
from ..filekinds import check_suffix
from ..files import AnyPath, atomic_write_csv, open_text, separator_of
from ..units import plural
from .cache import images_at
from .dataset import ImageDataset, Splits
from .listing import check_classes

_Place: TypeAlias = tuple[str, int]
"""The part of an image, and its row there."""

_FEW = 20_000  # images: a name is compared with all others at once


def apply_decisions(splits: Splits, path: AnyPath) -> Splits:
    """The splits with labels changed and images left out as a table of decisions says.

    ``glyphnet data DATA --review FILE`` writes the table, whose column ``decision`` a person fills in. The division
    into parts stays, and images are found by their names. Decisions on test images are applied with a warning: only
    images that a model disagreed with were reviewed, so the test has become easier.

    A table that does not fit the data, and data of which too little would be left, are a DataError.
    """
    outcomes = _outcomes(splits, path)
    found: dict[str, Any] = {}
    changes: dict[str, str] = {}
    for name, part in splits:
        here = {row: outcome for (place, row), outcome in outcomes.items() if place == name}
        changed = {row: outcome for row, outcome in here.items() if outcome != part.classes[part.labels[row]]}
        found[name] = _corrected(part, changed) if changed else part
        if changed:
            changes[name] = _in_words(changed)
    labels = np.concatenate([part.labels for part in found.values()])
    numbers = np.repeat(np.arange(3, dtype=np.int8), [len(part) for part in found.values()])
    check_classes(splits.classes, labels, numbers, f"{os.fspath(path)}: with these decisions")
    words = "; ".join(f"{name}: {change}" for name, change in changes.items()) or "nothing is changed"
    note = f"Labels corrected as {os.fspath(path)} says; {words}."
    warnings = [_ABOUT_TEST.format(changes["test"])] if "test" in changes else []
    return replace(splits, **found, notes=(*splits.notes, note), warnings=(*splits.warnings, *warnings))


def _outcomes(splits: Splits, path: AnyPath) -> dict[_Place, str | None]:
    """The class of each image that the table names, None where it is to be dropped."""
    decisions = read_decisions(path)
    names = {decision.file for decision in decisions}
    places: dict[str, list[_Place]] = {}  # data made in memory may use a name once in every part
    for part, dataset in splits:
        for row, name in enumerate(dataset.names):
            if name in names:
                places.setdefault(name, []).append((part, row))
    parts = dict(splits)
    decided: dict[_Place, tuple[str | None, int]] = {}
    for decision in decisions:
        part, row = place = _place(decision, places.get(decision.file, []), splits, path)
        now = splits.classes[parts[part].labels[row]]
        if decision.given != now:
            raise DataError(
                f"{os.fspath(path)}: line {decision.line} was written when {decision.file!r} was labelled "
                f"{decision.given!r}; now the data say {now!r}. Remove the line, or review the data again."
            )
        outcome = decision.outcome(splits.classes, path)
        first, line = decided.setdefault(place, (outcome, decision.line))
        if first != outcome:
            raise DataError(
                f"{os.fspath(path)}: line {decision.line} decides otherwise on {decision.file!r} than line "
                f"{line}. Remove one of them."
            )
    return {place: outcome for place, (outcome, _) in decided.items()}


def _place(decision: Decision, named: Sequence[_Place], splits: Splits, path: AnyPath) -> _Place:
    """The one of the images with the decision's name that it means."""
    found = named if len(named) == 1 else [place for place in named if place[0] == decision.part]
    if len(found) == 1:
        return found[0]
    line = f"{os.fspath(path)}: line {decision.line} names {decision.file!r}"
    if named:
        raise DataError(f"{line}, and several images are called so. Give each image a name of its own.")
    known = [name for _, part in splits for name in part.names]
    near = difflib.get_close_matches(decision.file, known, n=1, cutoff=0.8) if len(known) <= _FEW else []
    remedy = "Remove the line, save the table as UTF-8, or review the data again."
    raise DataError(f"{line}, which is not among these data. {f'Did you mean {near[0]!r}?' if near else remedy}")


def _corrected(part: ImageDataset, changes: Mapping[int, str | None]) -> ImageDataset:
    labels = part.labels.copy()
    for row, outcome in changes.items():
        labels[row] = -1 if outcome is None else part.classes.index(outcome)
    if (labels >= 0).all():
        return replace(part, labels=labels)
    rows = np.flatnonzero(labels >= 0)
    names = [part.names[row] for row in rows.tolist()]
    groups = None if part.groups is None else part.groups[rows]
    images = images_at(part.images, rows, part.fingerprint)
    return replace(part, images=images, labels=labels[rows], names=names, groups=groups)


def _in_words(changes: Mapping[int, str | None]) -> str:
    """``"3 relabelled, 1 left out"``."""
    counts = Counter("left out" if outcome is None else "relabelled" for outcome in changes.values())
    return ", ".join(f"{counts[what]:,} {what}" for what in ("relabelled", "left out") if counts[what])


_ABOUT_TEST = (
    "The test part was changed after a model had disagreed with it ({}): its figures look better than they are and "
    "must not be compared with others'. Removing test images because a model disagrees is not honest; decide on test "
    "images without looking at predictions, or leave them as they are."
)

# The table of decisions on doubtful labels: written for a person to fill in, read strictly

COLUMNS = ("part", "file", "given", "suggested", "score", "decision")
NEEDED = ("file", "given", "suggested", "decision")
KEEP, RELABEL, DROP = DECISIONS = ("keep", "relabel", "drop")


@dataclass(frozen=True)
class Decision:
    """One line of the table."""

    part: str  # "train", "validation" or "test", where several parts have an image of that name
    file: str  # the image's name, as in `ImageDataset.names`
    given: str  # the name of its class as the data say
    suggested: str  # the name of the class that it seems to be
    score: str = ""  # how certain that is, as text
    decision: str = ""  # "" or "keep", "relabel" (to what is suggested), "drop", or the name of a class
    line: int = 0  # its number in the file, from 1

    def outcome(self, classes: Sequence[str], path: AnyPath) -> str | None:
        """The class that the image gets, None where it is to be dropped.

        Where a class has the name of a decision the word means the decision; ``relabel`` with the class in the
        column ``suggested`` reaches it. A decision that is neither a word nor a class is a DataError.
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


def write_decisions(path: AnyPath, decisions: Iterable[Decision]) -> None:
    """Write the table, all or nothing, in UTF-8; a file name that is no valid Unicode keeps its bytes."""
    check_suffix(path, (".csv",))
    rows = ([getattr(decision, name) for name in COLUMNS] for decision in decisions)
    atomic_write_csv(path, (COLUMNS, *rows), follow=True, line_end="\r\n")


def read_decisions(path: AnyPath) -> list[Decision]:
    """Read the table; commas, semicolons (as spreadsheets write them) or tabs between the columns.

    A column that is missing, unknown or repeated, and an incomplete line, are a DataError.
    """
    try:
        with open_text(path, encoding="utf-8-sig", errors="surrogateescape", newline="", piped=True) as file:
            return list(_rows(path, file))
    except OSError as error:
        raise DataError(f"{os.fspath(path)}: cannot be read ({error.strerror}). Check the path.") from error


def refuse_to_lose_decisions(path: AnyPath) -> None:
    """Raise DataError if there is a file that holds decisions, or that is no table of decisions at all."""
    if not os.path.lexists(path):
        return
    try:
        decided = sum(bool(decision.decision) for decision in read_decisions(path))
    except DataError as error:
        raise DataError(f"{error} It is there already: name another file, or replace it with --overwrite.") from None
    if decided:
        raise DataError(
            f"{os.fspath(path)}: holds {plural(decided, 'decision')} already. Name another file, or replace it with "
            "--overwrite."
        )


def _rows(path: AnyPath, file: TextIO) -> Iterator[Decision]:
    head = file.readline()
    file.seek(0)
    reader = csv.reader(file, delimiter=separator_of(head) or ",", strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_columns(path, names)
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _decision(path, names, cells, line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{os.fspath(path)}: line {reader.line_num} is not sound CSV ({error}). Correct it.") from error


def _decision(path: AnyPath, names: Sequence[str], cells: Sequence[str], line: int) -> Decision:
    where = f"{os.fspath(path)}: line {line} has"
    if len(cells) != len(names):
        raise DataError(f"{where} {len(cells)} columns, and the first line {len(names)}. Correct it.")
    values = dict.fromkeys(COLUMNS, "") | dict(zip(names, cells, strict=True))
    for name, what in (("file", "file"), ("given", "given label")):
        if not values[name]:
            raise DataError(f"{where} no {what}. Fill it in, or remove the line.")
    return Decision(**values | {"decision": values["decision"].strip()}, line=line)


def _check_columns(path: AnyPath, names: Sequence[str]) -> None:
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
