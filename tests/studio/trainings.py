"""A process that trains in forks of itself, so that each starts at once and can be killed alone.

It reads a folder, the name of a run and a request from standard input, tabs between them, and answers with the status
once the fork has ended. A request may have ``killed``: after how many of what the fork kills itself, as the system
would; "step" for steps of the training, "write" for files that get their names.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import torch

from glyphnet import files
from glyphnet.locks import FileLock
from glyphnet.studio import trainer
from glyphnet.studio.runfiles import LOCK
from glyphnet.training import checkpoint


def kill_at(what: str, count: int) -> None:
    """Let SIGKILL end this process at the given step, or between two of the file system's operations."""
    left = [count]

    def passed() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def stepped(before: Any, self: Any, info: Any, state: Any) -> bool:
        passed()
        return bool(before(self, info, state))

    def replaced(before: Any, source: Any, target: Any) -> None:
        passed()
        before(source, target)
        passed()

    if what == "write":
        files.os.replace = partial(replaced, os.replace)
    else:
        before = trainer.StopFile.after_step
        trainer.StopFile.after_step = lambda *given: stepped(before, *given)


def main() -> None:
    torch.set_num_threads(1)
    # A short life leaves something, on a quick machine as on a slow one.
    checkpoint.PAUSE = 0
    trainer.train = partial(trainer.train, checkpoint_every=0)
    trainer.resume = partial(trainer.resume, checkpoint_every=0)
    for line in sys.stdin:
        root, name, text = line.rstrip("\n").split("\t")
        request = json.loads(text)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                lock = FileLock(Path(root) / "runs" / name / LOCK)
                assert lock.acquire()
                if killed := request.pop("killed", None):
                    kill_at(*killed)
                status = trainer.run(root, name, request, lock)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
