"""What the command line says: messages and progress on standard error, results on standard output.

rich is imported only where a terminal shows it, and never reads markup in what the user wrote.
"""

from __future__ import annotations

import errno
import json
import re
import shlex
import sys
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from ..bars import progress as progress  # the verbs have these from here
from ..bars import say as say
from ..errors import GlyphNetError
from ..units import printable as printable
from ..units import table as plain_table

if TYPE_CHECKING:
    from ..answers import Predictor


def say_lacking(model: Predictor) -> None:
    """Say what an older model lacks, if anything."""
    if model.lacking:
        say(model.lacking)


def show(*lines: str) -> None:
    """Print lines on standard output."""
    print(*map(printable, lines), sep="\n")


def command_line() -> str:
    """The command that is running, as it is written in a shell."""
    return shlex.join(["glyphnet", *sys.argv[1:]])


def emit_json(value: Mapping[str, object]) -> None:
    """Print one JSON object, which may not hold NaN or infinity, on standard output: what ``--json`` promises."""
    has_all = (sys.stdout.encoding or "").lower().startswith("utf")  # Windows' pipes have not: escape there
    print(json.dumps(value, ensure_ascii=not has_all, allow_nan=False, indent=2), flush=True)


def show_table(
    rows: Sequence[Sequence[str]],
    *,
    left: Collection[int] = (0,),
    title: str = "",
    below: Iterable[str] = (),
    mark_first: bool = True,
) -> None:
    """Print a table on standard output: fitted to the terminal, or as plain text in full where there is none.

    Args:
        rows: the first holds the headings.
        left: columns of text, aligned to the left, which may wrap; the others hold numbers, and may not.
        title: a line above it.
        below: sentences below it, wrapped to the terminal.
        mark_first: show the first row in bold, as the best one.
    """
    titled = [title] if title else []
    if not sys.stdout.isatty():
        show(*titled, *plain_table(rows, left), *below)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for at, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if at in left else "right", no_wrap=at not in left)
    for number, row in enumerate(rows[1:]):
        cells = (Text(printable(cell)) for cell in row)
        table.add_row(*cells, style="bold" if mark_first and not number else "")
    for each in [*(Text(printable(line)) for line in titled), table, *(Text(printable(line)) for line in below)]:
        console.print(each)


# What went wrong, in one line and an exit status; the traceback only with ``--debug``


FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit statuses. A training or search that Ctrl-C or SIGTERM stops in order, to be resumed, is no failure: it ends with
0. INTERRUPTED is for what a signal cuts off: data being read, a classifier being judged, answers not yet complete."""

_OS_REMEDIES = {
    errno.ENOENT: "Check the spelling of the path.",
    errno.EACCES: "Change its permissions, or choose another place.",
    errno.EPERM: "Change its permissions, or choose another place.",
    errno.EEXIST: "It is a file, where a folder is needed: choose another name.",
    errno.EISDIR: "Name a file, not a folder.",
    errno.ENOTDIR: "A part of this path is a file, not a folder: choose another path.",
    errno.ENOSPC: "Make room on this disk, or choose another place.",
    errno.EDQUOT: "Your quota is used up: make room, or choose another place.",
    errno.EROFS: "This disk is read-only: choose another place.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EMFILE: "Allow more open files: ulimit -n 4096.",
    errno.EOPNOTSUPP: "Name a regular file, or save what it gives as one.",
    errno.EFBIG: "Make it smaller.",
    errno.EADDRINUSE: "Choose another port.",
}
_LONGEST = 255  # characters of a word in a message: values may come from anywhere
_NO_MEMORY = "not enough memory. Close other programs, or choose smaller images (--size), a smaller network or batch."


def report(error: BaseException, *, debug: bool = False) -> int:
    """Say in one line on standard error what went wrong, after the traceback with ``debug``; return the exit status."""
    if debug:
        traceback.print_exception(error)
    say(f"glyphnet: {_shortened(describe(error))}")
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.exit_code if isinstance(error, typer.TyperException) else FAILED


def describe(error: BaseException) -> str:
    """The one line for an exception: what was wrong and what to do."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, typer.TyperException):
        return _describe_usage(error)
    if isinstance(error, GlyphNetError):
        return str(error)
    if _is_out_of_memory(error):
        return _NO_MEMORY
    if isinstance(error, OSError) and error.errno is not None:
        return _describe_os(error)
    return (
        f"internal error: {type(error).__name__}: {error}. This is a fault in GlyphNet: "
        "run the command again with --debug, and report what it prints."
    )


def _shortened(message: str) -> str:
    """The message with the middle of each overlong word left out: a name, a path, a value that the user gave."""
    return re.sub(rf"\S{{{_LONGEST + 1},}}", lambda word: f"{word[0][:120]}…{word[0][-120:]}", message)


def _describe_usage(error: typer.TyperException) -> str:
    # Typer spells its suggestions in two ways, and over several lines: here they become one sentence.
    message = " ".join(error.format_message().split())
    head, found, options = message.partition(" (Possible options: ")
    if found:
        message = f"{head}. Did you mean {options.rstrip(')').replace(', ', ' or ')}?"
    message = message.replace("Value error, ", "", 1)  # pydantic's word, which Typer hands on
    message = message[:1].lower() + message[1:]
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "glyphnet"
    return f"{message if message.endswith(('.', '?')) else message + '.'} See: {command} --help"


def _describe_os(error: OSError) -> str:
    reason = error.strerror or errno.errorcode.get(error.errno or 0, "error of the operating system")
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    remedy = _OS_REMEDIES.get(error.errno or 0, "Run the command again with --debug to see where.")
    return ": ".join([*(" → ".join(names),) * bool(names), reason]) + f". {remedy}"


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    torch = sys.modules.get("torch")  # its errors exist only when it is loaded, and loading it takes a second
    # On a GPU torch has a class for it; on a processor only a RuntimeError with this text.
    return torch is not None and (
        isinstance(error, torch.OutOfMemoryError)
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error))
    )
