"""Processes that take turns: each does a piece of work when it is asked, tells how long it took, and waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TextIO, TypeVar

LIMIT = 900
"""Seconds after which a process that has not answered is ended."""


class TrialError(Exception):
    """A process that ended instead of answering; with the end of what it said."""


class Trial:
    """A process beside this one, asked for one piece of work after another.

    Args:
        name: for what is told of it.
        command: Python's arguments: a script that uses `Turns`, and what it is to do.
        environment: variables to add.
    """

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, *command], text=True, encoding="utf-8", env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
        )  # fmt: skip

    def ask(self, *, go: bool = True) -> dict[str, Any]:
        """Let it work on; what it tells when it stops to wait. ``go=False`` only listens.

        Raises:
            TrialError: it has ended, or has not answered in ``LIMIT`` seconds.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        clock = threading.Timer(LIMIT, self._process.kill)
        clock.start()
        try:
            if go:
                self._process.stdin.write("go\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            clock.cancel()
        if not line:
            self._process.wait()
            self._said.seek(0)
            last = [text for text in self._said.read().splitlines() if text.strip()][-1:]
            raise TrialError(f"{self.name} ended with status {self._process.returncode}: {' '.join(last)[:300]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *raised: object) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.communicate()
        self._said.close()


class HasTrial(Protocol):
    """A row of a table that a process fills."""

    trial: Trial


AnyRow = TypeVar("AnyRow", bound=HasTrial)
Trained = TypeVar("Trained")


def in_turn(rows: list[AnyRow], ask: Callable[[AnyRow], None]) -> None:
    """Ask one after another, and strike out whoever breaks down."""
    for row in list(rows):
        try:
            ask(row)
        except TrialError as error:
            print(f"  {error}", file=sys.stderr, flush=True)
            rows.remove(row)


class Turns:
    """The other side: in the process that works.

    What frameworks print goes to standard error: standard output is for the answers alone.

    Args:
        epochs: passes over the data that make a turn.
    """

    def __init__(self, epochs: int = 1) -> None:
        self._answers: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._epochs, self._done = epochs, 0
        self._began = 0.0

    def tell(self, **answer: Any) -> None:
        """Answer, and wait for the next turn."""
        print(json.dumps(answer), file=self._answers, flush=True)
        if not sys.stdin.readline():
            sys.exit("the other side has ended")
        self._began = time.perf_counter()

    def epoch_over(self) -> None:
        """A pass is done; the last one of a turn ends it."""
        self._done += 1
        if self._done == self._epochs:
            self._done = 0
            self.turn_over(self._epochs)

    def of_fits(self, wanted: int, fits: int, fit: Callable[[int], tuple[Trained, int]]) -> Trained:
        """So many turns, each of ``fits`` trainings from the start; the last one's outcome.

        Args:
            fit: trains with a seed; gives what came of it, and after how many passes it ended.
        """
        for turn in range(wanted):
            done = [fit(turn * fits + number) for number in range(fits)]
            self.turn_over(sum(passes for _, passes in done))
        return done[-1][0]

    def turn_over(self, epochs: int) -> None:
        """The turn is done, after so many passes."""
        self.tell(seconds=time.perf_counter() - self._began, epochs=epochs)


def script(name: str) -> str:
    """The path of a script in this folder."""
    return str(Path(__file__).with_name(name))


def versions(packages: Mapping[str, str]) -> dict[str, str]:
    """Which versions are loaded, by distribution, from the names of import by distribution."""
    return {package: str(import_module(name).__version__) for package, name in packages.items()}
