"""Child processes that never outlive what has started them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from glyphnet import processes
from glyphnet.processes import Child, Workers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_child_whose_start_is_interrupted_is_ended(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    class InterruptedWhileStarting(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            started.append(self)
            signal.raise_signal(number)

    monkeypatch.setattr(processes.subprocess, "Popen", InterruptedWhileStarting)
    before = {each: signal.signal(each, signal.default_int_handler) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            Child("signal:pause", [], threads=1, log=tmp_path / "log.txt", heard=lambda message: None),
        ):
            pytest.fail("the interrupt was lost")
        assert [process.poll() for process in started] == [-signal.SIGKILL]
        assert all(signal.getsignal(each) is signal.default_int_handler for each in before)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def idle_or_work(head: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """In a worker: wait as one does whose processor others use; or use it."""
    end = time.monotonic() + head["seconds"]
    while time.monotonic() < end:
        if head["is_idle"]:
            time.sleep(0.01)
    return {"pid": os.getpid()}, body


def test_the_time_of_a_task_is_that_of_a_processor_and_has_an_end_all_the_same() -> None:
    workers = Workers(f"{__name__}:idle_or_work", most=1, memory=1 << 30)
    impatient = Workers(f"{__name__}:idle_or_work", most=1, memory=1 << 30, busy=1)
    try:
        workers.start()
        workers.wait(60)
        idle = {"is_idle": True, "seconds": 1.5}
        assert workers(idle, b"whole", time.monotonic() + 1)[1] == b"whole", "another program had the processor"
        for endless in ({"is_idle": False, "seconds": 600}, {"is_idle": True, "seconds": 600}):
            with pytest.raises(TimeoutError):
                workers(endless, b"", time.monotonic() + 0.4)
        assert workers(idle, b"the next", time.monotonic() + 1)[1] == b"the next"
        impatient.start()
        impatient.wait(60)
        with pytest.raises(TimeoutError):
            impatient(idle, b"", time.monotonic() + 1)
    finally:
        workers.close()
        impatient.close()
