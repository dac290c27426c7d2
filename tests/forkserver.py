"""The process that forks for each command of `forking.Popen`: it has imported what commands import, and nothing more.

It runs no thread, holds no file and has drawn no random number: what a command finds is a Python that has just started,
with modules in memory.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import re
import runpy
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import glyphnet
from glyphnet.onnxmodel import without_telemetry

# Beside all of GlyphNet but what imports scikit-learn or Arrow, which start threads of their own.
IMPORTED = (
    *("fastapi", "matplotlib.backends.backend_agg", "matplotlib.figure", "onnxruntime", "scipy.optimize"),
    *("scipy.stats", "torch.onnx", "uvicorn"),
)
WITHOUT = re.compile(r"glyphnet\.(labs|predictfiles\.raydata|scratch|sklearn)\b|.*\.__main__")
MESSAGE = 1 << 20  # bytes


def main() -> None:
    asked = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asks: this process ends with it
    load()
    asked.send(b"loaded")
    while True:
        content, fds, *_ = socket.recv_fds(asked, MESSAGE, 16)
        if not content:
            return
        between = os.fork()
        if not between:
            # The parent of the command ends at once: the system gives the command to the one that has asked.
            parent = os.getpid()
            if command := os.fork():
                asked.send(str(command).encode())
                os._exit(0)
            while os.getppid() == parent:  # a command may remember whose child it is
                time.sleep(0.001)
            break
        os.waitpid(between, 0)
        asked.send(b"ready")
        for each in fds:
            os.close(each)
    asked.close()
    be(fds, *json.loads(content))


def load() -> None:
    without_telemetry()
    for name in IMPORTED:
        import_module(name)
    folder = Path(glyphnet.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        name = ".".join(("glyphnet", *file.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
        if not WITHOUT.match(name):
            import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1, "an import has started a thread, which forks would not have"
    opened = {os.readlink(each) for each in Path("/proc/self/fd").iterdir() if int(each.name) > 2 and each.exists()}
    assert all(each.startswith("socket:") for each in opened), f"an import has opened {opened}, which forks would share"
    gc.collect()
    gc.freeze()  # each fork would copy what it looks at


def be(
    fds: Sequence[int], passed: Sequence[int], words: Sequence[str], folder: str, environment: Mapping[str, str],
    session: bool,
) -> None:  # fmt: skip
    """From here on this process is ``python WORDS``; it ends as that does."""
    out_of_the_way = [fcntl.fcntl(each, fcntl.F_DUPFD, 256) for each in fds]
    for each in fds:
        os.close(each)
    for number, each in zip(passed, out_of_the_way, strict=True):
        os.dup2(each, number)
        os.close(each)
    if session:
        os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None  # it is chosen again, by TMPDIR
    signal.signal(signal.SIGINT, signal.default_int_handler)
    open_outputs()
    try:
        python(words)
    except SystemExit as end:
        if isinstance(end.code, str):  # for people: Python prints it
            raise
        finish(end.code or 0)
    finish(0)


def python(words: Sequence[str]) -> None:
    """Run what these words name: ``-m MODULE``, ``-c CODE`` or ``SCRIPT``, and its arguments."""
    first, *rest = words
    if first == "-m":
        sys.argv, sys.path[0] = rest, os.getcwd()
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(main))
    else:
        sys.argv, sys.path[0] = list(words), str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


def finish(status: int) -> None:
    """End as Python does, but for taking its thousands of modules apart, which would copy them all: half a second."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()  # where this fails Python ends the process itself, and says so
    sys.stderr.flush()
    os._exit(status)


def open_outputs() -> None:
    """Those of Python know since its start whether they are a terminal's."""
    whole = 0 if os.environ.get("PYTHONUNBUFFERED") else -1
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        was = getattr(sys, name)
        raw = open(number, "wb" if number else "rb", whole if number else -1, closefd=False)  # noqa: SIM115
        now = type(was)(
            raw, was.encoding, was.errors,
            line_buffering=number == 2 or os.isatty(number), write_through=bool(number) and whole == 0,
        )  # fmt: skip
        setattr(sys, name, now)
        setattr(sys, f"__{name}__", now)


if __name__ == "__main__":
    main()
