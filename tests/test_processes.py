"""Child processes that never outlive what has started them."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from glyphnet import processes
from glyphnet.processes import Child


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
