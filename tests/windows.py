"""A stand-in for Windows, for a process and those that it starts: what exists on POSIX alone is not there for GlyphNet.

Only imports by modules of GlyphNet are answered so; other libraries have versions of their own for Windows. Files that
are open or mapped can be neither renamed nor removed. It is no Windows: paths stay those of this system.
"""

from __future__ import annotations

import builtins
import os
import select
import signal
import socket
import subprocess
import sys
import time
import types
from typing import Any

BLOCKED = frozenset(
    {"crypt", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
)
"""Modules that do not exist there."""

_OS_NAMES = """
fork forkpty mkfifo mknod killpg setsid getpgid setpgid getpgrp setpgrp getsid tcgetpgrp tcsetpgrp getuid geteuid getgid
getegid getgroups setuid setgid initgroups sched_getaffinity sched_setaffinity sched_yield fchmod fchown chown lchown
chroot O_NONBLOCK O_CLOEXEC O_NOFOLLOW O_NOCTTY O_DIRECTORY O_SYNC O_DSYNC O_PATH O_TMPFILE pread pwrite preadv pwritev
posix_fallocate posix_fadvise posix_spawn posix_spawnp getloadavg uname statvfs fstatvfs nice wait wait3 wait4 waitid
register_at_fork sysconf confstr WIFSIGNALED WTERMSIG WEXITSTATUS WIFEXITED sync fdatasync ttyname openpty ctermid lockf
sendfile pipe2 memfd_create splice eventfd getxattr setxattr fchdir
"""
_OS = set(_OS_NAMES.split())
_SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}
_TIMERS = {"alarm", "getitimer", "setitimer", "pause", "siginterrupt", "sigwait", "sigpending", "set_wakeup_fd"}


def _without(module: types.ModuleType, names: Any, **more: Any) -> types.ModuleType:
    """A module without some of its names."""
    other = types.ModuleType(module.__name__, module.__doc__)
    vars(other).update({name: value for name, value in vars(module).items() if name not in names}, **more)
    return other


def _in_use(path: Any) -> bool:
    """Whether this process has a file open or mapped."""
    place = os.path.realpath(path)
    held = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    if any(os.path.exists(link) and os.path.realpath(link) == place for link in held):
        return True
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        return any(line.rstrip("\n").endswith(f" {place}") for line in maps)


def _guarded(function: Any) -> Any:
    def guarded(path: Any, *more: Any, **named: Any) -> Any:
        for each in (path, *more[:1]):
            if not isinstance(each, int) and os.path.isfile(each) and _in_use(each):
                raise PermissionError(13, "The file is being used by another process", os.fspath(each))
        return function(path, *more, **named)

    return guarded


class _Sys(types.ModuleType):
    """The real `sys`, but for the name of the platform."""

    def __getattribute__(self, name: str) -> Any:
        return "win32" if name == "platform" else getattr(sys, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(sys, name, value)


def _popen(*arguments: Any, creationflags: int = 0, **named: Any) -> Any:
    """As there: it refuses what is of POSIX; a detached process has nothing to do with the console of this one."""
    assert not named.get("pass_fds"), "pass_fds not supported on Windows."
    if named.get("preexec_fn") is not None:
        raise ValueError("preexec_fn is not supported on Windows platforms")
    return subprocess.Popen(*arguments, **named | {"start_new_session": bool(creationflags & _DETACHED)})


_DETACHED = 8  # DETACHED_PROCESS


def install() -> None:
    """From here on modules of GlyphNet are imported as on Windows."""
    changing = {name: _guarded(getattr(os, name)) for name in ("rename", "replace", "unlink", "remove")}
    posix_signals = {name for name in vars(signal) if name.startswith("SIG") and name not in _SIGNALS}
    timers = {name for name in vars(signal) if name.startswith(("ITIMER", "pthread_"))} | _TIMERS
    answers = {
        "os": _without(os, _OS, name="nt", O_BINARY=0, **changing),
        "signal": _without(signal, posix_signals | timers, SIGBREAK=21),
        "select": _without(select, {"poll", "epoll", "kqueue"}),
        "socket": _without(socket, {"AF_UNIX", "SO_REUSEPORT"}),
        "subprocess": _without(
            subprocess, set(), Popen=_popen, DETACHED_PROCESS=_DETACHED, CREATE_NEW_PROCESS_GROUP=512
        ),
        "time": _without(time, {"tzset", "clock_gettime"}),
        "sys": _Sys("sys"),
    }
    real = builtins.__import__

    def imported(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> types.ModuleType:
        if level or not str((globals or {}).get("__name__", "")).startswith("glyphnet"):
            return real(name, globals, locals, fromlist, level)
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}: Windows has none", name=name)
        return answers[name] if name in answers else real(name, globals, locals, fromlist, level)

    builtins.__import__ = imported
