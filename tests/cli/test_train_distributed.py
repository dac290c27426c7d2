"""``glyphnet train --processes`` and torchrun: real processes, killed and interrupted."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ..processes import alive, children, started, wait_for, workers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
LONG = ["--network", "mlp", "--set", "epochs=100000", "--device", "cpu"]


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what is killed cleans nothing up


@pytest.mark.slow
def test_a_process_is_killed_and_the_run_goes_on_until_ctrl_c(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    with started("-m", "glyphnet", "train", "digits", *LONG, "--processes", 2, "--out", checkpoint.parent) as process:
        wait_for(checkpoint.exists, process)
        others = children(process.pid)
        assert len(others) == 2
        os.kill(max(others), signal.SIGKILL)
        began = time.monotonic()
        output, messages = process.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert process.returncode == 1
    assert output == ""
    assert not alive(*others)
    assert "Traceback" not in messages
    said = [line for line in messages.splitlines() if line.startswith("glyphnet: ")]
    assert said == messages.splitlines()[-1:]
    assert "of 2 was ended by SIGKILL (is there enough memory?), and the others have stopped. Resume with" in said[0]

    before = checkpoint.stat().st_mtime_ns
    with started("-m", "glyphnet", "train", "--resume", checkpoint.parent, "--processes", 2) as process:
        wait_for(lambda: checkpoint.stat().st_mtime_ns != before, process)
        others = children(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        began = time.monotonic()
        output, messages = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert process.returncode == 0, messages
    assert len(others) == 2
    assert not alive(*others)
    assert messages.splitlines()[-1].endswith(f"Resume with: glyphnet train --resume {checkpoint.parent}")
    assert "Stopped in epoch " in messages.splitlines()[-1]
    assert "Traceback" not in messages


def test_killing_the_first_process_ends_the_others_even_before_they_have_begun(tmp_path: Path) -> None:
    with started("-m", "glyphnet", "train", "digits", *LONG, "--processes", 2, "--out", tmp_path / "run") as process:
        wait_for(lambda: children(process.pid), process)
        others = children(process.pid)
        process.kill()
        wait_for(lambda: not alive(*others), seconds=30)


@pytest.mark.slow
def test_torchrun(tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2]
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8), dtype=np.uint8)
    np.savez(few := tmp_path / "few.npz", x_train=images[:160], y_train=np.arange(160) % 2,
             x_test=images[160:], y_test=np.arange(40) % 2)  # fmt: skip
    short = ["--network", "linear", "--set", "epochs=1", "--device", "cpu", "--json"]
    with started(*torchrun, "-m", "glyphnet", "train", few, *LONG, "--out", tmp_path / "stopped") as process:
        wait_for((tmp_path / "stopped" / "history.csv").exists, process)
        os.kill(min(workers(process.pid)), signal.SIGTERM)
        output, messages = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, ""), messages
    assert (tmp_path / "stopped" / "checkpoint.safetensors").exists()
    [last] = [line for line in messages.splitlines() if line.startswith("Stopped in epoch ")]
    assert last.endswith(f"Resume with: glyphnet train --resume {tmp_path / 'stopped'}")
    assert "Traceback" not in messages
    with started(*torchrun, "-m", "glyphnet", "train", few, *short, "--out", tmp_path / "run") as process:
        output, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    assert json.loads(output)["evaluation"]["accuracy"]["n"] == 40
    assert messages.count("The run is written to") == 1
    assert (tmp_path / "run" / "report.html").is_file()
