"""The other processes of a training: that no loss of one is waited for, even where the first one never hears of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

DEAF = """
import os, signal, threading
from glyphnet.training import followers

def work():
    return lambda: os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    followers._SET_FREE = 1.0
    with followers.followers(2, "cpu", work):
        threading.Event().wait()
"""


def test_a_first_process_that_hears_of_no_loss_is_ended_with_a_word(tmp_path: Path) -> None:
    script = tmp_path / "deaf.py"
    script.write_text(DEAF)
    began = time.monotonic()
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert time.monotonic() - began < 30
    assert run.returncode == 1
    [said] = [line for line in run.stderr.splitlines() if line.startswith("glyphnet: ")]
    assert "of 3 was ended by SIGKILL (is there enough memory?), and the others have stopped. Go on with" in said
