"""Tables to which other installed packages add rows, by entry points.

A package names its rows in its own ``pyproject.toml``, one group a table::

    [project.entry-points."glyphnet.networks"]
    stripes = "glyphnet_stripes:StripesSpec"

All rows of a table are loaded when the table is first read; nothing is ever loaded because a file (a recipe, a model)
names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from difflib import get_close_matches
from functools import cache
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Row = TypeVar("Row")

GROUPS = (
    "networks", "layers", "sources", "optimizers", "losses", "schedules", "regularizers", "augmentations",
    "loggers",
)  # fmt: skip
"""The tables that take rows, without the prefix ``glyphnet.`` of their entry points."""


class Table(MutableMapping[str, Row]):
    """A table by name: GlyphNet's own rows in their order, then those of other packages in the order of their names.

    Args:
        group: one of `GROUPS`.
        rows: GlyphNet's own.
        fault: from a row's name and the object of an entry point to what is wrong with it, or "".

    Reading raises `PluginError` if a row of another package cannot be loaded, does not fit, or has a taken name.
    """

    def __init__(self, group: str, rows: Mapping[str, Row], fault: Callable[[str, object], str]) -> None:
        assert group in GROUPS
        self._group, self._rows, self._fault = group, dict(rows), fault
        self._added: dict[str, str] = {}  # name → the package of each row that was added
        self._complete = False
        self._loading: set[int] = set()  # threads: a package that reads the table while it loads sees our own rows

    def package(self, name: str) -> str | None:
        """The package, with its version, that added a row; None for GlyphNet's own and for unknown names."""
        self._all()
        return self._added.get(name)

    def _all(self) -> dict[str, Row]:
        thread = get_ident()
        if self._complete or thread in self._loading:
            return self._rows
        self._loading.add(thread)
        try:
            found = self._from_packages()
        finally:
            self._loading.discard(thread)
        if not self._complete:
            self._rows.update({name: row for name, (row, _) in found.items()})
            self._added = {name: package for name, (_, package) in found.items()}
            self._complete = True
        return self._rows

    def _from_packages(self) -> dict[str, tuple[Any, str]]:
        found: dict[str, tuple[Any, str]] = {}
        for entry in _installed()[self._group]:
            where = f'{_package(entry)}: the entry point "{entry.name} = {entry.value}" of {entry.group}'
            if entry.name in self._rows or entry.name in found:
                owner = found[entry.name][1] if entry.name in found else "GlyphNet itself"
                raise PluginError(
                    f"{where} takes a name that {owner} has already. Uninstall one of the packages, or rename it there."
                )
            try:
                row = entry.load()
            except Exception as error:  # whatever a stranger's code raises
                reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                raise PluginError(f"{where} cannot be loaded ({reason}). Repair or uninstall the package.") from error
            if fault := self._fault(entry.name, row):
                raise PluginError(f"{where} does not fit: {fault}. Repair or uninstall the package.")
            found[entry.name] = row, _package(entry)
        return found

    def __getitem__(self, name: str) -> Row:
        # Our own rows are found without a look at other packages.
        return self._rows[name] if name in self._rows else self._all()[name]

    def __setitem__(self, name: str, row: Row) -> None:
        self._rows[name] = row

    def __delitem__(self, name: str) -> None:
        del self._rows[name]

    def __contains__(self, name: object) -> bool:
        return name in self._rows or name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._all()))

    def __len__(self) -> int:
        return len(self._all())


def packages() -> dict[str, str]:
    """Name and version of every installed package that adds what a model may be made of, without loading any."""
    entries = [entry for group, rows in _installed().items() if group != "loggers" for entry in rows]
    return {entry.dist.name: entry.dist.version for entry in entries if entry.dist is not None}


@cache
def _installed() -> dict[str, list[EntryPoint]]:
    """The entry points of each group, by one look through the installed packages.

    Raises:
        PluginError: a group is called almost as one of ours, so that its rows would be missed.
    """
    from importlib.metadata import entry_points

    found = entry_points()
    ours = [f"glyphnet.{group}" for group in GROUPS]
    for group in sorted(found.groups - set(ours)):
        if group.startswith("glyphnet.") and (near := get_close_matches(group, ours, n=1, cutoff=0.9)):
            [entry, *_] = found.select(group=group)
            raise PluginError(
                f'{_package(entry)}: its entry points of "{group}" add to no table. Call the group "{near[0]}".'
            )
    return {
        group: sorted(found.select(group=f"glyphnet.{group}"), key=lambda entry: (entry.name, _package(entry)))
        for group in GROUPS
    }


def _package(entry: EntryPoint) -> str:
    return "an unnamed package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
