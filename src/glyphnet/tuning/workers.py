"""Processes that share a study: who is alive, and whose turn it is.

Every process holds an ``flock`` on a file of its own beside the study. The kernel gives it back when the process ends,
however it ends, so a trial whose process was killed is known at once, with no clock and no waiting.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO


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
        self._file: BinaryIO | None = None

    def __enter__(self) -> Workers:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = open(self._folder / self.token, "wb")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and self._folder is not None:
            (self._folder / self.token).unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def is_alive(self, token: str) -> bool:
        """Whether the process of that name still works on the study."""
        if token == self.token:
            return True
        if self._folder is None or not token or Path(token).name != token:
            return False
        path = self._folder / token
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def alone(self, what: str = "study") -> Iterator[None]:
        """Wait until no other process is in such a block, and keep the others out of it.

        Args:
            what: the study itself, or the "winner" that is trained when the search has ended.
        """
        if self._folder is None:
            yield
            return
        with open(self._folder / f"{what}.lock", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def others_are_at(self, what: str) -> bool:
        """Whether another process is in such a block now."""
        if self._folder is None:
            return False
        with open(self._folder / f"{what}.lock", "ab") as file, contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        return True
