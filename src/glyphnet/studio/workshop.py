"""What an open studio holds beside the folder: the pages that listen, previews, jobs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from ..errors import DataError
from ..files import new_file
from ..locks import temporary_folder
from ..serving.bodies import File
from .adding import Added, Given, add_all, in_zip
from .errors import StudioError
from .events import Event, Hub
from .folder import Folder
from .pictures import Thumbs
from .uploads import Spool

LOOK_SECONDS = 0.7
"""Between two looks at what was changed by hand."""


class Workshop:
    """An open folder with all that serves it; made on the event loop."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.hub = Hub(self._present)
        self.thumbs = Thumbs()
        self._told = -1  # the edition of the last state that the pages heard of

    async def watch(self) -> None:
        """Tell the pages of changes that were made by hand; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(OSError, DataError):
                await run_in_threadpool(self._look)

    def close(self) -> None:
        """End the streams, and let another studio open the folder."""
        self.hub.stop()
        self.folder.close()

    def state(self) -> dict[str, Any]:
        """All that the page shows at first."""
        found = self.folder.state()
        return {**found, "version": None, "changed": True, "jobs": [], "runs": [], "known": [], "camera": True}

    def fresh_state(self) -> dict[str, Any]:
        """The state, after a look at the disk."""
        self.folder.refresh()
        return self.state()

    def changed(self) -> dict[str, Any]:
        """Tell all pages of a change; the new state."""
        with self.folder.lock:
            self._told = self.folder.edition
            state = self.state()
        self.hub.publish("state", state)
        return state

    def decide(self, id: str, label: str | None) -> str:
        """Label a picture; its new id."""
        return self.folder.decide(id, label)

    def add(self, files: Sequence[File], label: str | None, tray: bool, group: str | None) -> dict[str, Any]:
        """Add uploaded pictures and archives; see `adding.Added`."""
        if label is not None and tray:
            raise StudioError(422, "class and tray=1 exclude each other: send one of them.")
        if label is not None:
            self.folder.check_class(label)
        found = Added()
        with contextlib.ExitStack() as held:
            given = self._given(files, label, tray, group, found, held)
            return add_all(self.folder, given, create=label is None and not tray, found=found).to_dict()

    def _given(
        self, files: Sequence[File], label: str | None, tray: bool, group: str | None, found: Added,
        held: contextlib.ExitStack,
    ) -> Iterator[Given]:  # fmt: skip
        folder: Path | None = None
        for number, file in enumerate(files):
            spool: Spool = file.content
            if spool.head(4) in (b"PK\3\4", b"PK\5\6"):
                folder = folder or held.enter_context(temporary_folder())
                path = folder / f"{number}.zip"
                with new_file(path) as target:
                    for piece in spool.pieces():
                        target.write(piece)
                yield from in_zip(path, file.name or "archive", label, tray, group, found)
            elif label is None and not tray:
                found.refuse(file.name, "it has no class. Choose one, or put it into the tray")
            else:
                yield Given(file.name, spool.content, label, group)

    def _look(self) -> None:
        self.folder.refresh()
        if self.folder.edition != self._told:
            self.changed()

    def _present(self) -> Iterator[Event]:
        yield "state", self.fresh_state()
