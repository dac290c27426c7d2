"""A process that trains in forks of itself, so that each starts at once and can be killed alone.

It reads a folder, the name of a run and a request from standard input, tabs between them, and answers with the number
of the fork; once that has ended, with its status.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import torch

from glyphnet.locks import FileLock
from glyphnet.studio import trainer
from glyphnet.studio.runfiles import LOCK


def main() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        root, name, request = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                lock = FileLock(Path(root) / "runs" / name / LOCK)
                assert lock.acquire()
                status = trainer.run(root, name, json.loads(request), lock)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
