"""The studio's folder: its pictures, its tables, and every change of them, each one short and undoable."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..data.corrections import Decision
from ..data.filetree import folder_tree
from ..data.layouts import arrange
from ..data.listing import TRAIN
from ..errors import DataError, OutputError
from ..filekinds import check_folder_name, looks_like_picture
from ..files import make_folder, remove, remove_empty_folder
from ..locks import FileLock
from ..places import add_file, rename_all
from ..units import listed, plural
from .errors import StudioError, of_disk
from .journal import Change, Journal
from .listing import Entry, Listing, facts_of, state_of
from .names import RUNS, TRASH, TRAY, VERSIONS, check_class_name
from .tables import Decisions, Groups


class Folder:
    """A folder of class folders that is open in a studio.

    Args:
        root: made if it is absent.

    Raises:
        OutputError: another studio has it open, a folder of its own is a link, or it is to be made by the name of a
            file.
        StudioError: its folders are not its classes; see `check_reading`.
        DataError, OSError: it cannot be read or written.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser().absolute()
        if not self.root.exists():
            check_folder_name(root)
        make_folder(self.root)
        self.lock = threading.RLock()
        self.trash = self.root / TRASH
        self.versions = self.root / VERSIONS
        self.runs = self.root / RUNS
        for folder in (self.trash, self.versions, self.runs):
            if folder.is_symlink():
                raise OutputError(f"{folder}: is a link, which is not followed here. Remove it.")
            make_folder(folder)
        self._held = FileLock(self.trash / ".lock")
        if not self._held.acquire():
            raise OutputError(
                f"{self.root}: another studio has it open (process {self._held.holder()}). Use that one, or end it."
            )
        try:
            self.listing = Listing(self.root)
            if self.listing.tray == TRAY:
                make_folder(self.root / TRAY)
            self.groups = Groups(self.root)
            self.decisions = Decisions(self.root)
            self.check_reading()
            self.journal = Journal(self.root, self._part_of)
        except BaseException:
            self._held.release()
            raise
        self.edition = 0  # raised by each change

    def close(self) -> None:
        """Let another studio open it."""
        self._held.release()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One short change, alone; errors of the disk become sentences."""
        with self.lock:
            self.refresh()
            try:
                yield
            except OSError as error:
                self.listing.refresh(whole=True)
                raise of_disk(error, self.root) from error
            finally:
                self.edition += 1

    def refresh(self, *, whole: bool = False) -> bool:
        """See what was changed by hand; whether anything was.

        Args:
            whole: look at every file: the times of folders tell of new names, not of new content.
        """
        with self.lock:
            changed = [self.listing.refresh(whole=whole), self.groups.refresh(), self.decisions.refresh()]
            if any(changed):
                self.edition += 1
            return any(changed)

    def check_reading(self) -> None:
        """Check that `load` takes for classes what the studio shows as classes.

        Raises:
            StudioError: what it would read otherwise, and what to do.
        """
        for name in (RUNS, VERSIONS):
            names = folder_tree(self.root / name).names  # without those in runs
            if (found := next(filter(looks_like_picture, names), None)) is not None:
                where = f"{self.root / name}: holds pictures ({found}), and the studio keeps its {name} there."
                raise StudioError(409, f"{where} If it is a class, give it another name.")
        if self.groups.fault:
            raise StudioError(409, self.groups.fault)
        listing = self.listing
        ids = [id for name in listing.classes for id in listing.shelves[name].entries]
        try:
            rows = arrange(ids, os.fspath(self.root)).rows if ids else []
        except DataError as error:
            raise StudioError(409, f"{error} The studio works on class folders alone.") from None
        if any(part != TRAIN or id.partition("/")[0] != label for id, label, part in rows) or len(rows) < len(ids):
            labels = listed(sorted({label for _, label, _ in rows}), 3)
            raise StudioError(
                409, f"{self.root}: the folders directly in it are not its classes; every verb reads {labels} as the "
                "classes. Open the folder in which these lie, or lay the pictures out as FOLDER/class/picture.png."
            )  # fmt: skip

    # Classes

    def check_class(self, name: object) -> str:
        """The name of a class that there is."""
        if not isinstance(name, str) or name == self.listing.tray or name not in self.listing.shelves:
            raise StudioError(404, f"There is no class {str(name)[:60]!r}. Make it first.")
        return name

    def add_class(self, name: str) -> None:
        """Make an empty class."""
        check_class_name(name)
        with self.changing():
            taken = {each.lower(): each for each in self.listing.shelves}
            if name.lower() in taken:
                raise StudioError(409, f"There is a class {taken[name.lower()]!r} already. Choose another name.")
            self.make_class(name)
            self._done(Change(f"Make the class {name!r}", made=[name]))

    def make_class(self, name: str) -> None:
        """Make the folder of a class; the caller holds the lock."""
        make_folder(self.root / name)
        self.listing.refresh()

    def rename_class(self, name: str, to: str) -> None:
        """Give a class another name."""
        check_class_name(to)
        with self.changing():
            self.check_class(name)
            if any(to.lower() == each.lower() and each != name for each in self.listing.shelves):
                raise StudioError(409, f"There is a class {to!r} already. Move the pictures into it instead.")
            if name != to:
                self._do(Change(f"Rename {name!r} to {to!r}", moves=[(name, to)]))

    def delete_class(self, name: str) -> None:
        """Move a class with all its pictures into the trash."""
        with self.changing():
            self.check_class(name)
            count = len(self.listing.shelves[name].entries)
            target = self._free(f"{TRASH}/{name}")
            change = Change(f"Delete the class {name!r} with {plural(count, 'picture')}", moves=[(name, target)])
            inside = (id for id in self.groups.of if id.startswith(f"{name}/"))
            change.groups = {id: (self.groups.of[id], None) for id in inside}
            self._do(change)

    # Pictures

    def check_ids(self, ids: object) -> list[str]:
        """Ids that are listed, each once."""
        if not isinstance(ids, list) or not ids or not all(isinstance(id, str) for id in ids):
            raise StudioError(422, "ids must be a list of pictures. Send at least one.")
        for id in ids:
            if id not in self.listing:
                raise StudioError(404, f"There is no picture {id[:100]!r} any more. Reload the page.")
        return list(dict.fromkeys(ids))

    def move(self, ids: object, name: str | None, group: str | None = None) -> list[str]:
        """Move pictures to a class, None for the tray; their new ids."""
        with self.changing():
            if name is not None:
                self.check_class(name)
            found = self.check_ids(ids)
            where = repr(name) if name is not None else "the tray"
            change = Change(f"Move {plural(len(found), 'picture')} to {where}")
            new = self._plan(change, found, name)
            if group is not None:
                change.groups = {id: (self.groups.of.get(old), group) for old, id in zip(found, new, strict=True)}
            self._do(change)
            return new

    def delete(self, ids: object) -> None:
        """Move pictures into the trash."""
        with self.changing():
            found = self.check_ids(ids)
            change = Change(f"Delete {plural(len(found), 'picture')}")
            taken: set[str] = set()
            for id in found:
                change.moves.append((id, self._free(f"{TRASH}/{id}", taken)))
            change.groups = {id: (self.groups.of[id], None) for id in found if id in self.groups.of}
            self._do(change)

    def delete_run(self, name: str, is_running: Callable[[str], bool]) -> None:
        """Move the folder of a training into the trash, unless it is running."""
        with self.changing():
            change = Change(f"Delete the training {name!r}")
            change.moves = [(f"{RUNS}/{name}", self._free(f"{TRASH}/{RUNS}/{name}"))]
            if not is_running(name):
                self._do(change)
                if not is_running(f"../{change.moves[0][1]}"):
                    return
                self.undo()  # it has begun in this moment
            raise StudioError(409, f"{name!r} is running. Stop it first.")

    def set_group(self, ids: object, group: str | None) -> None:
        """Say that pictures belong together, or with None that they do not."""
        with self.changing():
            found = self.check_ids(ids)
            change = Change(f"Group {plural(len(found), 'picture')}")
            change.groups = {id: (self.groups.of.get(id), group) for id in found}
            self._do(change)

    def decide(self, id: str, label: str | None, suggested: str = "", score: str = "") -> str:
        """Label a picture, None to skip it; its new id. On the disk when this returns."""
        with self.changing():
            self.check_ids([id])
            if label is None:
                skipped = Decision("", id, id.partition("/")[0], suggested, score, "")
                self.decisions.append(skipped)
                self._done(Change(f"Skip {id!r}", decision=skipped))
                return id
            self.check_class(label)
            change = Change(f"Label {id!r} as {label!r}")
            [new] = self._plan(change, [id], label)
            change.decision = Decision("", new, label, suggested, score, label)
            self._do(change)
            return new

    def added(self, title: str, ids: Sequence[str], groups: dict[str, str], made: Sequence[str]) -> None:
        """Record pictures that `store` has written as one change; the caller holds the lock."""
        if ids or made:
            changed: dict[str, tuple[str | None, str | None]] = {id: (None, group) for id, group in groups.items()}
            if groups:
                self.groups.change(dict(groups))
            self._done(Change(title, [("", id) for id in ids], changed, [*made]))

    def store(self, name: str | None, file: str | None, suffix: str, content: bytes) -> str:
        """Write a new picture; its id. The caller holds the lock.

        Args:
            name: of the class; None for the tray.
            file: its name; None for the next number.
        """
        top = self.listing.tray if name is None else name
        if name is None:
            make_folder(self.root / top)
        shelf = self.listing.shelf(name)
        was_current = self.listing.is_current(top)
        number = len(shelf.entries)
        stem, _, ending = (file or "").rpartition(".")
        for attempt in range(1_000_000):
            if file is None:
                id = f"{top}/{number + attempt + 1:05d}{suffix}"
            else:
                id = f"{top}/{file}" if not attempt else f"{top}/{stem}-{attempt + 1}.{ending}"
            if id in shelf.entries:
                continue
            try:
                add_file(self.root / id, content)
            except FileExistsError:
                continue
            shelf.put(id, Entry(state_of(os.lstat(self.root / id)), facts_of(content)))
            if was_current:
                self.listing.noted(top)
            return id
        raise StudioError(409, f"{top}: there are too many pictures of one name. Rename some.")

    def discard(self, ids: Sequence[str], made: Sequence[str]) -> None:
        """Remove pictures that were written a moment ago, as the disk has no room for all of them."""
        for id in reversed(ids):
            with contextlib.suppress(OSError, KeyError):
                remove(self.root / id)
                self.listing.shelves[id.partition("/")[0]].take(id)
        for name in made:
            remove_empty_folder(self.root / name)
        self.listing.refresh(whole=True)

    # Taking back

    def undo(self) -> None:
        """Take the last change back, also one of an earlier studio."""
        self._travel(self.journal.undoable, self.journal.redoable, self._take_back, "undo")

    def redo(self) -> None:
        """Make the last change that was taken back again."""

        def make(change: Change) -> None:
            self._note("redo", {})
            self._make(change)

        self._travel(self.journal.redoable, self.journal.undoable, make, "redo")

    def _travel(self, source: list[Change], target: list[Change], step: Callable[[Change], None], what: str) -> None:
        with self.changing():
            if not source:
                raise StudioError(409, f"There is nothing to {what}.")
            try:
                step(source[-1])
            except OSError as error:
                self.journal.take_back()
                raise StudioError(
                    409, f"{source[-1].title}: cannot {what} it, as the folder was changed meanwhile ({error})."
                ) from error
            except BaseException:
                self.journal.take_back()
                raise
            self.journal.travelled(source, target)

    def _note(self, word: str, value: dict[str, Any]) -> None:
        """Write down what is going to be undone or redone; on a full disk it is done nevertheless."""
        try:
            self.journal.begin(word, value)
        except OSError:
            self.journal.give_up()

    def _do(self, change: Change) -> None:
        self._name_dropped(change)
        self.journal.begin("do", asdict(change))
        try:
            self._make(change)
        except BaseException:
            self.journal.take_back()
            raise
        self.journal.done(change)

    def _done(self, change: Change) -> None:
        """Record a change that was made already."""
        self._note("do", asdict(change))
        self.journal.done(change)

    def _part_of(self, change: Change) -> Change | None:
        """What is there of a change without moves."""
        groups = {id: pair for id, pair in change.groups.items() if self.groups.of.get(id) == pair[1]}
        made = [name for name in change.made if name in self.listing.shelves]
        is_decided = change.decision is not None and change.decision.file in {row.file for row in self.decisions.rows}
        return replace(change, groups=groups, made=made) if groups or made or is_decided else None

    def _make(self, change: Change) -> None:
        for name in change.made:
            make_folder(self.root / name)
        back = [(change.trashed[new], new) for old, new in change.moves if not old and new in change.trashed]
        moves = [*back, *((old, new) for old, new in change.moves if old)]
        with self._moved(moves):
            self._follow({old: new for old, new in change.moves if old})
            self._regroup({id: after for id, (_, after) in change.groups.items()})
            if change.decision is not None:
                self.decisions.append(change.decision)

    def _take_back(self, change: Change) -> None:
        moves: list[tuple[str, str]] = []
        taken: set[str] = set()
        for old, new in reversed(change.moves):
            target = old or self._free(f"{TRASH}/{new}", taken)
            if not old:
                change.trashed[new] = target
            moves.append((new, target))
        self._note("undo", {"trashed": change.trashed})
        before = {id: group for id, (group, _) in change.groups.items()}
        again = {new: target for new, target in moves if new in before}  # they have moved back when they are regrouped
        with self._moved(moves):
            if change.decision is not None:
                line = replace(change.decision, line=0)
                self.decisions.rewrite(lambda row: None if replace(row, line=0) == line else row)
            self._follow(dict(moves))
            self.decisions.add_again(change.dropped)
            self._regroup(dict.fromkeys(again) | {again.get(id, id): group for id, group in before.items()})
        for name in change.made:
            remove_empty_folder(self.root / name)
        self.listing.refresh()

    @contextmanager
    def _moved(self, moves: Sequence[tuple[str, str]]) -> Iterator[None]:
        """Move, and move back if what follows fails: on a full disk a rename still works."""
        named = self._grouped(moves)
        self._move(moves, named)
        try:
            yield
            self.groups.change({old: None for old, _ in named})  # last: until here both names have the group
        except BaseException:
            with contextlib.suppress(OSError):
                rename_all([(self.root / new, self.root / old) for old, new in reversed(moves)])
                self.groups.change({new: None for _, new in named})
            self.listing.refresh(whole=True)
            raise

    def _regroup(self, groups: dict[str, str | None]) -> None:
        """Set the groups of pictures that are in a class or in the tray."""
        self.groups.change({id: group for id, group in groups.items() if not id.startswith(f"{TRASH}/")})

    def _plan(self, change: Change, ids: Sequence[str], name: str | None) -> list[str]:
        """Plan the moves of pictures to a class; their new ids."""
        top = self.listing.tray if name is None else name
        if name is None:
            make_folder(self.root / top)
        taken: set[str] = set()
        new = []
        for id in ids:
            if id.partition("/")[0] == top:
                new.append(id)
                continue
            target = self._free(f"{top}/{id.rpartition('/')[2]}", taken)
            change.moves.append((id, target))
            new.append(target)
        return new

    def _free(self, path: str, taken: set[str] | None = None) -> str:
        """A path that nothing has, like the one that is wanted."""
        folder, _, base = path.rpartition("/")
        stem, dot, ending = base.rpartition(".")
        if not stem:
            stem, dot, ending = base, "", ""
        number, found = 1, path
        while os.path.lexists(self.root / found) or (taken is not None and found in taken):
            number += 1
            found = f"{folder}/{stem}-{number}{dot}{ending}"
        if taken is not None:
            taken.add(found)
        return found

    def _move(self, moves: Sequence[tuple[str, str]], named: dict[tuple[str, str], str]) -> None:
        """Rename on the disk and in the listing; pictures with a group get it under the new name too."""
        if not moves:
            return
        tops = {path.partition("/")[0] for pair in moves for path in pair} - {TRASH}
        current = {top for top in tops if self.listing.is_current(top)}
        if named:  # before the files: killed in between, both names have the group
            self.groups.change({new: group for (_, new), group in named.items() if new.partition("/")[0] != TRASH})
        for _, new in moves:
            make_folder((self.root / new).parent)
        rename_all([(self.root / old, self.root / new) for old, new in moves])
        self._relist(moves)
        for top in tops:
            if top in current:
                self.listing.noted(top)
        self.listing.refresh()

    def _grouped(self, moves: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The pictures with a group among those that move: old and new id → group."""
        if not self.groups.of:
            return {}
        found = {}
        for old, new in moves:
            if old in self.groups.of:
                found[old, new] = self.groups.of[old]
            elif "/" not in old or "/" not in new.removeprefix(f"{TRASH}/"):
                inside = [id for id in self.groups.of if id.startswith(f"{old}/")]
                found.update({(id, new + id[len(old) :]): self.groups.of[id] for id in inside})
        return found

    def _relist(self, moves: Sequence[tuple[str, str]]) -> None:
        shelves = self.listing.shelves
        for old, new in moves:
            top, to = old.partition("/")[0], new.partition("/")[0]
            entry = None
            if top in shelves and old in shelves[top].entries:
                entry = shelves[top].take(old)
            if to in shelves and "/" in new:
                state = state_of(os.lstat(self.root / new))
                shelves[to].put(new, Entry(state, entry.facts if entry else None))

    def _follow(self, names: dict[str, str]) -> None:
        """Let labels.csv follow pictures that were moved; the lines of those that were deleted go."""
        if names and self.decisions.rows:
            self.decisions.renamed(self._followed(names))

    def _name_dropped(self, change: Change) -> None:
        """Note the lines of labels.csv that a change will remove."""
        names = {old: new for old, new in change.moves if old}
        found = self._followed(names) if names and self.decisions.rows else {}
        change.dropped = [row for row in self.decisions.rows if found.get(row.file, "") is None]

    def _followed(self, names: dict[str, str]) -> dict[str, str | None]:
        """The new names of the files in labels.csv, None for those that are deleted."""
        found: dict[str, str | None] = {}
        for row in self.decisions.rows:
            new = names.get(row.file)
            if new is None:
                top = row.file.partition("/")[0]
                new = names[top] + row.file[len(top) :] if top in names else None
            if new is not None:
                found[row.file] = None if new.startswith(f"{TRASH}/") else new
        return found

    # What the page shows

    def state(self) -> dict[str, Any]:
        """Classes with their counts, the tray, and what can be taken back."""
        with self.lock:
            shelves = self.listing.shelves
            faults = [table.fault for table in (self.groups, self.decisions) if table.fault]
            return {
                "folder": os.fspath(self.root),
                "classes": [{"name": name, "count": len(shelves[name].entries)} for name in self.listing.classes],
                "tray": len(self.listing.shelf(None).entries),
                "undo": self.journal.undoable[-1].title if self.journal.undoable else None,
                "redo": self.journal.redoable[-1].title if self.journal.redoable else None,
                "notes": [*self.listing.notes, *faults],
            }

    def pictures(self, name: str | None, start: int, count: int) -> dict[str, Any]:
        """A page of the pictures of a class, None for the tray, in a stable order."""
        with self.lock:
            self.refresh()
            if name is not None:
                self.check_class(name)
            ids = self.listing.shelf(name).ids()
            found = []
            for id in ids[start : start + count]:
                with contextlib.suppress(OSError, KeyError):
                    hash, width, height = self.listing.facts(id)
                    group = self.groups.of.get(id)
                    found.append({"id": id, "hash": hash, "group": group, "width": width, "height": height})
            return {"total": len(ids), "pictures": found}
