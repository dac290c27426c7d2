"""What can be taken back: changes of a studio's folder, with a journal in `.trash/`, so that a restart forgets none.

Each line of the journal is JSON: ``{"do": change}``, ``{"undo": {…}}`` or ``{"redo": {}}``, written before its work. A
killed process leaves at most one line whose work was not done, or only in part: the folder says which.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..data.corrections import Decision
from ..errors import DataError
from ..files import atomic_write_text, open_text, remove
from ..places import append_line, cut
from .names import TRASH

MOST_UNDONE = 200
"""Changes that can be taken back."""

MOST_MOVED = 100_000
"""Pictures in all of these; the newest change may have more."""

_MOST_BYTES = 256 << 20
_LINES = 3 * MOST_UNDONE  # after so many the journal is written again
_WORDS = ("do", "undo", "redo")


@dataclass(eq=False)
class Change:
    """Something that was done, and how to take it back.

    Attributes:
        title: what it was, for the button that takes it back.
        moves: old and new path of each picture or folder, from the studio's folder on; old is "" where it was added.
        groups: id → group before and after.
        made: class folders that it made.
        decision: the line that it added to labels.csv.
        dropped: the lines that it removed there.
        trashed: where added pictures lie since their adding was taken back.
    """

    title: str
    moves: list[tuple[str, str]] = field(default_factory=list)
    groups: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    decision: Decision | None = None
    dropped: list[Decision] = field(default_factory=list)
    trashed: dict[str, str] = field(default_factory=dict)


class Journal:
    """The changes that can be taken back, and those that can be made again.

    Args:
        root: the studio's folder.
        part_of: what of a change without moves is there now; None for nothing.
    """

    def __init__(self, root: Path, part_of: Callable[[Change], Change | None]) -> None:
        self.undoable: list[Change] = []
        self.redoable: list[Change] = []
        self._root, self._path = root, root / TRASH / ".undo"
        self._lines: int | None = None
        self._size: int | None = None  # before the last line
        with contextlib.suppress(OSError, DataError, ValueError, LookupError, TypeError, AttributeError):
            self._read(part_of)  # else nothing can be undone
        try:
            self._write_again()
        except OSError:
            self.give_up()

    def begin(self, word: str, value: Mapping[str, Any]) -> None:
        """Write down what is going to be done.

        Raises:
            OSError: the disk is full; the journal is as it was.
        """
        self._size = None
        if self._lines is None or self._lines > _LINES:
            self._write_again()
        size = os.stat(self._path).st_size
        append_line(self._path, _line(word, value).encode(), durable=False)
        self._size, self._lines = size, (self._lines or 0) + 1

    def take_back(self) -> None:
        """Forget what was begun: it has failed."""
        if self._size is not None:
            with contextlib.suppress(OSError):
                cut(self._path, self._size)
        self._size = None

    def give_up(self) -> None:
        """Remove the journal, as it could not follow a change; the next change writes it again."""
        self._lines = None
        with contextlib.suppress(OSError):
            remove(self._path)

    def done(self, change: Change) -> None:
        """A change was made, and its line is written."""
        self._size = None
        self.undoable.append(change)
        self.redoable.clear()
        self._shorten()

    def travelled(self, source: list[Change], target: list[Change]) -> None:
        """The last change of ``source`` was undone or redone."""
        self._size = None
        target.append(source.pop())

    def _shorten(self) -> None:
        del self.undoable[:-MOST_UNDONE]
        count = 0
        for place, change in enumerate(reversed(self.undoable)):
            count += len(change.moves) + len(change.groups)
            if place and count > MOST_MOVED:
                del self.undoable[:-place]
                return

    def _write_again(self) -> None:
        """Write what can be undone or redone now, and nothing else."""
        lines = [_line("do", asdict(change)) for change in (*self.undoable, *reversed(self.redoable))]
        lines += [_line("undo", {"trashed": change.trashed}) for change in self.redoable]
        atomic_write_text(self._path, "".join(lines))
        self._lines = len(lines)

    # Reading: the folder may come from somebody else, and so may this file

    def _read(self, part_of: Callable[[Change], Change | None]) -> None:
        if not self._path.exists() or self._path.is_symlink() or self._path.stat().st_size > _MOST_BYTES:
            return
        with open_text(self._path, encoding="utf-8") as file:
            lines = [line for line in file if line.endswith("\n")]
        undoable: list[Change] = []
        redoable: list[Change] = []
        word = ""
        for line in lines:
            [(word, value)] = json.loads(line).items()
            if word == "do":
                undoable.append(self._change(value))
                redoable.clear()
            elif word == "undo":
                redoable.append(undoable.pop())
                redoable[-1].trashed = self._paths(value["trashed"])
            elif word == "redo":
                undoable.append(redoable.pop())
            else:
                return
        if word:
            self._settle(word, undoable, redoable, part_of)
        self.undoable, self.redoable = undoable, redoable
        self._shorten()

    def _settle(
        self, word: str, undoable: list[Change], redoable: list[Change], part_of: Callable[[Change], Change | None]
    ) -> None:
        """Let the last change be where the folder shows it: its process may have been killed."""
        change = (redoable if word == "undo" else undoable).pop()
        there = self._moved(change) if change.moves else part_of(change)
        if there is not None:
            undoable.append(there)
        elif word != "do":
            redoable.append(change)

    def _moved(self, change: Change) -> Change | None:
        """The part of a change whose pictures lie where it moves them; None where there are none."""

        def is_there(path: str) -> bool:
            return os.path.lexists(self._root / path)

        moves = [(old, new) for old, new in change.moves if is_there(new) and not (old and is_there(old))]
        if len(moves) == len(change.moves) or not moves:
            return change if moves else None
        names = {name for pair in moves for name in pair}
        groups = {id: pair for id, pair in change.groups.items() if id in names or is_there(id)}
        return replace(change, moves=moves, groups=groups)

    def _change(self, value: Mapping[str, Any]) -> Change:
        decision = value["decision"]
        moves = [(str(old), str(new)) for old, new in value["moves"]]
        self._check(name for pair in moves for name in pair if name)
        made = [str(name) for name in value["made"]]
        self._check(made)
        return Change(
            title=str(value["title"])[:300], moves=moves, made=made,
            groups={str(id): (_text(before), _text(after)) for id, (before, after) in value["groups"].items()},
            decision=None if decision is None else _decision(decision),
            dropped=[_decision(row) for row in value["dropped"]],
            trashed=self._paths(value["trashed"]),
        )  # fmt: skip

    def _paths(self, value: Mapping[str, str]) -> dict[str, str]:
        self._check(path for pair in value.items() for path in pair)
        return dict(value)

    def _check(self, paths: Any) -> None:
        """Raise ValueError for a path that leads out of the folder, or through a link."""
        folders: set[str] = set()
        for path in paths:
            parts = path.split("/")
            is_own = parts[0] == TRASH or not parts[0].startswith(".")
            if not is_own or any(part in ("", ".", "..") or _ODD.search(part) for part in parts):
                raise ValueError(path)
            folders.update("/".join(parts[:count]) for count in range(1, len(parts)))
        if any(os.path.islink(self._root / folder) for folder in folders):
            raise ValueError("a link")


_ODD = re.compile(r"[\\:\x00-\x1f]" if os.name == "nt" else r"[\x00-\x1f]")


def _line(word: str, value: Mapping[str, Any]) -> str:
    return json.dumps({word: value}, separators=(",", ":")) + "\n"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _decision(value: Mapping[str, Any]) -> Decision:
    names = ("part", "file", "given", "suggested", "score", "decision")
    return Decision(**{name: str(value[name]) for name in names}, line=int(value["line"]))
