"""The two tables of a studio's folder: groups of pictures (metadata.csv), and decisions on labels (labels.csv)."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..data.corrections import COLUMNS, Decision, read_decisions, write_decisions
from ..data.find_groups import read_group_table
from ..errors import DataError
from ..files import atomic_write_csv, open_text, remove, separator_of
from ..places import append_line
from .errors import StudioError
from .names import DECISIONS, GROUPS


class _Table:
    """A file that a person may change at any time: read again when it has changed.

    Attributes:
        fault: why it cannot be read now, or "".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fault = ""
        self._state: object = ()

    def refresh(self) -> bool:
        """Read it again if it has changed; whether it had."""
        try:
            status = os.lstat(self.path)
            state: object = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        except FileNotFoundError:
            state = None
        if state == self._state:
            return False
        self._state, self.fault = state, ""
        try:
            self._read(state is not None)
        except DataError as error:
            self.fault = str(error)
        return True

    def _read(self, exists: bool) -> None:
        raise NotImplementedError

    def _changed_here(self) -> None:
        """Take the file's state as it is now: what was read is what was written."""
        status = os.lstat(self.path) if os.path.lexists(self.path) else None
        self._state = status and (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)

    def _refuse_fault(self) -> None:
        if self.fault:
            raise StudioError(409, self.fault)


class Groups(_Table):
    """metadata.csv: which pictures belong together.

    Attributes:
        of: id → group.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root / GROUPS)
        self.of: dict[str, str] = {}
        self.refresh()

    def _read(self, exists: bool) -> None:
        self.of = {}
        if exists:
            self.of = read_group_table(os.fspath(self.path))
            if more := [name for name in _columns(self.path) if name not in ("file_name", "group")]:
                raise DataError(
                    f"{self.path.name}: has the column {more[0]!r} beside file_name and group, which would be lost. "
                    "Remove the column, or keep it in another file."
                )

    def change(self, changes: Mapping[str, str | None]) -> dict[str, str | None]:
        """Write the groups of some pictures, None for none; what they were before.

        Raises:
            StudioError: the table that is there cannot be read: it is never overwritten.
        """
        before = {id: self.of.get(id) for id in changes}
        if before == dict(changes):
            return before
        self._refuse_fault()
        now = {**self.of, **{id: group for id, group in changes.items() if group is not None}}
        now = {id: group for id, group in now.items() if changes.get(id, "") is not None}
        if now:
            atomic_write_csv(self.path, [("file_name", "group"), *sorted(now.items())])
        else:
            remove(self.path)
        self.of = now
        self._changed_here()
        return before


class Decisions(_Table):
    """labels.csv: a record of what a person decided; the folders hold the outcome."""

    def __init__(self, root: Path) -> None:
        super().__init__(root / DECISIONS)
        self.rows: list[Decision] = []
        self.refresh()

    def _read(self, exists: bool) -> None:
        self.rows = read_decisions(self.path) if exists else []

    def append(self, decision: Decision) -> None:
        """Add a line, and wait until it is on the disk.

        Raises:
            StudioError: the table that is there cannot be read.
            OSError: the disk is full; the table is as it was.
        """
        self._refuse_fault()
        if not os.path.lexists(self.path):
            write_decisions(self.path, [decision])
        else:
            text = io.StringIO(newline="")
            columns = self._columns()
            csv.writer(text, lineterminator="\r\n").writerow(getattr(decision, name, "") for name in columns)
            append_line(self.path, text.getvalue().encode(errors="surrogateescape"))
        self.rows.append(decision)
        self._changed_here()

    def rewrite(self, change: Callable[[Decision], Decision | None]) -> list[Decision]:
        """Change lines, None to remove one; those that were removed. Nothing is written where nothing changes."""
        if not self.rows or self.fault:
            return []
        pairs = [(row, change(row)) for row in self.rows]
        if all(new is row for row, new in pairs):
            return []
        kept = [new for _, new in pairs if new is not None]
        write_decisions(self.path, kept)
        self.rows = kept
        self._changed_here()
        return [row for row, new in pairs if new is None]

    def renamed(self, names: Mapping[str, str | None]) -> list[Decision]:
        """Follow pictures that were moved, None for those that were deleted; the lines of these."""

        def change(row: Decision) -> Decision | None:
            new = names.get(row.file, row.file)
            if new is None or new == row.file:
                return None if new is None else row
            label = new.partition("/")[0]
            decided = row.decision if not row.decision or label == row.given else label
            return replace(row, file=new, given=label, decision=decided)

        return self.rewrite(change) if names else []

    def add_again(self, rows: Iterable[Decision]) -> None:
        """Put back lines that were removed."""
        for row in rows:
            self.append(row)

    def _columns(self) -> tuple[str, ...]:
        """The columns of the file, which is first written again if it is not as this program writes it."""
        names = _columns(self.path)
        with open_text(self.path, encoding="utf-8-sig") as file:
            separator = separator_of(file.readline())
        if separator != "," or not set(names) <= set(COLUMNS):
            write_decisions(self.path, self.rows)
            return COLUMNS
        return names


def _columns(path: Path) -> tuple[str, ...]:
    with open_text(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        head = file.readline()
    cells = next(csv.reader([head], delimiter=separator_of(head) or ","), [])
    return tuple(name.strip().lower() for name in cells)
