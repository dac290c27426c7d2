"""The verbs of ``glyphnet``, and how one is found, loaded and run.

One file a verb: a plain function with annotated parameters, called like its verb, and one row in ``VERBS``.
The file is imported when its verb is called, so that ``glyphnet --help`` waits for no torch.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import select
import signal
import sys
import threading
from _thread import interrupt_main
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from .._version import __version__
from .console import USAGE, report

VERBS: dict[str, tuple[str, str]] = {
    "train": (".train", "Train a classifier on labelled images and write its run folder."),
    "evaluate": (".evaluate", "Judge a model on labelled images: accuracy, mistakes, report."),
    "predict": (".predict", "Name the class of images, with probabilities."),
    "suggest": (".suggest", "Say which unlabelled pictures to label next."),
    "explain": (".explain", "Show what a model looked at: saliency, layers, weights, dead units."),
    "export": (".export", "Write a model as a web page, as ONNX, as a PyTorch program, or its card."),
    "push": (".push", "Push a model and its card to a model hub."),
    "pull": (".pull", "Pull a model from a model hub."),
    "serve": (".serve", "Serve a model over HTTP: an interface for programs, a page to draw on."),
    "compare": (".compare", "Compare methods on the same data, or two saved models: accuracy, time, size."),
    "tune": (".tune", "Search for better settings, then train the winner."),
    "lab": (".lab", "Guided experiments: how networks learn, shown on the real thing."),
    "playground": (".playground", "A page to build, train and watch a network in the browser, offline."),
    "studio": (".studio", "Collect, label, check, train and judge in the browser, offline."),
    "data": (".data", "Check data: counts, sizes, duplicates, leaks, bad files."),
    "doctor": (".doctor", "Show what is installed here, and test that it works."),
}
"""Verb → (module of this package that holds a function of the verb's name, line for ``glyphnet --help``)."""

READER_GONE = 141  # 128 + SIGPIPE: what the shell shows for any program whose reader (``| head``) has left


class VerbGroup(TyperGroup):
    """The verbs as Typer sees them: a name and a help line each, until one is called."""

    _interrupted = False

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for verb, (_, line) in VERBS.items():
            self.add_command(TyperCommand(verb, help=line, rich_markup_mode=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the verb that was called, in place of its help line."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else load_verb(name), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; the two endings on which Typer would say nothing are reported here."""
        try:
            if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
                signal.signal(signal.SIGINT, self._interrupt)  # see `__main__`
            return super().invoke(ctx)
        except (KeyboardInterrupt, OSError) as error:
            if isinstance(error, OSError) and _is_broken_pipe(error) and _reader_has_left():
                raise typer.Exit(READER_GONE) from None
            raise typer.Exit(report(error, debug=ctx.obj)) from error

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True
        signal.default_int_handler(number, frame)

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """Parse, run, end the process with the verb's status: the one place where errors become lines."""
        words, debug = _without_debug(sys.argv[1:] if args is None else args)
        _replace_closed_outputs()
        sys.unraisablehook = _never_lose_an_interrupt
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A file name may hold what the terminal's encoding has not: show it escaped, never fail.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            status = super().main(words, "glyphnet", standalone_mode=False, obj=debug) or 0
        except Exception as error:
            # Compiled code (pydantic) makes an error of its own of a Ctrl-C.
            status = report(KeyboardInterrupt() if self._interrupted else error, debug=debug)
        lost = _flush_output()
        if status == 0 and lost is not None:
            status = READER_GONE if _is_broken_pipe(lost) else report(lost, debug=debug)
        sys.exit(status)


def load_verb(verb: str) -> TyperCommand:
    """The command of a verb, made of the function of that name in the verb's file, and its CONTEXT_SETTINGS if any."""
    from .options import with_groups

    one = typer.Typer(add_completion=False, rich_markup_mode=None)
    file = import_module(VERBS[verb][0], __package__)
    one.command(verb, context_settings=getattr(file, "CONTEXT_SETTINGS", None))(with_groups(getattr(file, verb)))
    command = get_command(one)
    assert isinstance(command, TyperCommand)
    return command


def _without_debug(args: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without ``--debug``, which may stand anywhere but behind ``--``, where all are names."""
    end = args.index("--") if "--" in args else len(args)
    return [word for word in args[:end] if word != "--debug"] + list(args[end:]), "--debug" in args[:end]


def _never_lose_an_interrupt(lost: sys.UnraisableHookArgs) -> None:
    """Python drops a Ctrl-C that comes while compiled code (pydantic) calls it: raise it again."""
    if lost.exc_type is KeyboardInterrupt:
        again = threading.Timer(0.02, interrupt_main)  # seconds; at once, it would come in here, and be dropped again
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(lost)


def _replace_closed_outputs() -> None:
    """Where a shell has closed an output (``>&-``) Python has None in its place: write to nowhere instead."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _reader_has_left() -> bool:
    """Whether the broken pipe is standard output, not one to a worker process or over a network."""
    if not hasattr(select, "poll"):  # Windows
        return _flush_output() is not None
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # asks for no event: errors and hang-ups are reported anyway
    return bool(poll.poll(0))


def _is_broken_pipe(error: OSError) -> bool:
    """Whether the reader of standard output has left; Windows calls it an invalid argument."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def _flush_output() -> OSError | None:
    """Write out what was printed. If that fails, Python must not try again at exit: it would print a traceback."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"glyphnet {__version__}")
        raise typer.Exit


app = typer.Typer(cls=VerbGroup, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def glyphnet(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; also behind the verb.")
    ] = False,
) -> None:
    """Train, judge, explain and ship neural-network classifiers of small images."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help(), file=sys.stderr)
        raise typer.Exit(USAGE)


def main() -> None:
    """The command ``glyphnet``."""
    try:
        get_command(app).main()
    finally:
        gc.freeze()  # else Python looks for garbage among torch's objects once more as it ends, which takes 0.5 s
