"""Processes that share a study: who is alive, and whose turn it is.

Every process holds the lock of a file of its own beside the study. The kernel gives it back when the process ends,
however it ends, so a trial whose process was killed is known at once, with no clock and no waiting.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from ..files import FileLock, make_folder, remove_empty_folder


class Workers:
    """This process among those that work on the same study file; a context manager, for as long as it does.

    Args:
        storage: the study's file, or None for a study in memory, which has one process.

    Attributes:
        token: what this process is called in the study.
    """

    def __init__(self, storage: Path | None) -> None:
        self.token = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._folder = None if storage is None else storage.with_name(f".{storage.name}.workers")
        self._own = None if self._folder is None else FileLock(self._folder / self.token)

    def __enter__(self) -> Workers:
        if self._folder is not None and self._own is not None:
            while True:
                make_folder(self._folder)
                with contextlib.suppress(FileNotFoundError):  # the last of the others has removed it just now
                    self._own.acquire()
                    break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None and self._own is not None:
            self._own.release()
            remove_empty_folder(self._folder)

    def is_alive(self, token: str) -> bool:
        """Whether the process of that name still works on the study."""
        if token == self.token:
            return True
        if self._folder is None or not token or Path(token).name != token:
            return False
        lock = FileLock(self._folder / token)
        if lock.is_held():
            return True
        if lock.exists() and lock.acquire():
            lock.release()  # which removes what a killed process left
        return False

    def have_company(self) -> bool:
        """Whether other processes work on the study."""
        others = [] if self._folder is None else [path.name for path in self._folder.iterdir()]
        return any(name != self.token and not name.endswith(".lock") and self.is_alive(name) for name in others)

    @contextmanager
    def alone(self, what: str = "study") -> Iterator[None]:
        """Wait until no other process is in such a block, and keep the others out of it.

        Args:
            what: the study itself, or the "winner" that is trained when the search has ended.
        """
        if self._folder is None:
            yield
            return
        lock = FileLock(self._folder / f"{what}.lock")
        lock.acquire(wait=True)
        try:
            yield
        finally:
            lock.release()

    def others_are_at(self, what: str) -> bool:
        """Whether another process is in such a block now."""
        return self._folder is not None and FileLock(self._folder / f"{what}.lock").is_held()
