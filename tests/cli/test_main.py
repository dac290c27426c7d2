"""The frame of the command line: finding verbs, exit statuses, one line an error, pipes, --debug, --json."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glyphnet import __version__
from glyphnet.cli import VERBS, app
from glyphnet.cli.console import printable
from glyphnet.cli.options import Size, parse_size

from .. import forking

# A verb of the test's own, in the table beside the real ones, run through the real entry point.
TRIAL = """
import errno, os, sys, time
import typer
from glyphnet import errors
from glyphnet.cli import console, options

FAILURES = {
    "glyphnet": errors.DataError("/data/a\\nb\\x1b[31m.png: truncated. Save it again."),
    "file": FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/no such.png"),
    "disk": OSError(errno.ENOSPC, "No space left on device", "runs/a/model.safetensors"),
    "memory": MemoryError(),
    "torch-memory": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 GB"),
    "fault": ZeroDivisionError("division\\nby zero"),
    "text-error": OSError("no number"),
    "interrupt": KeyboardInterrupt(),
    "exit": typer.Exit(1),
}

def trial(
    *,
    what: str = "nothing",
    data: options.DataArgument = "digits",
    how: options.DataOptions,
    seed: options.SeedOption = 0,
    as_json: options.JsonOption = False,
) -> None:
    '''Try something.'''
    if what == "torch-memory":
        import torch
    if what in FAILURES:
        raise FAILURES[what]
    if what == "lines":
        for number in range(100_000):
            print(number, "x" * 60)
    if what == "wait":
        console.say("waiting")
        time.sleep(60)
    if what == "progress":
        with console.progress() as report:
            for done in range(5):
                report(done, 4, "reading [red]images[/red]")
                time.sleep(0.15)
    if what == "name":
        print("caf\\u00e9 \\udcff.png")
    if as_json:
        console.say("for people")
        console.emit_json({"data": data, **how.settings(data).model_dump(include={"size", "color"}), "seed": seed})
"""
START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job would not have
from glyphnet.cli import VERBS, main
VERBS["trial"] = ("trial", "Try something.")
main()
"""
NO_MEMORY = "not enough memory. Close other programs, or choose smaller images (--size), a smaller network or batch."
Run = subprocess.CompletedProcess[str]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """For commands that are started in the folder, where it puts the module ``trial``."""
    (tmp_path / "trial.py").write_text(TRIAL, encoding="utf-8")
    return {**os.environ, "PYTHONUNBUFFERED": "", "COLUMNS": "100"}


@pytest.fixture
def trial(environment: dict[str, str], tmp_path: Path):
    """Run the command in a process of its own: one that starts from nothing where its environment is another."""

    def run(*words: str, **changes: str) -> Run:
        start = subprocess.run if changes else forking.run
        command = [sys.executable, "-c", START, *words]
        return start(
            command, env={**environment, **changes}, cwd=tmp_path, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    return run


def invoke(*words: str):
    return CliRunner().invoke(app, list(words))


def test_the_help_names_every_verb_and_loads_nothing_heavy():
    code = """
        import sys
        from glyphnet.cli import main
        try:
            main()
        finally:
            heavy = {"torch", "sklearn", "scipy", "matplotlib", "numpy", "PIL", "rich", "pydantic"}
            print("loaded:", sorted(heavy & set(sys.modules)))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), "--help"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    assert run.stderr == ""
    assert re.findall(r"^  ([a-z]+)  ", run.stdout.partition("Commands:")[2], re.MULTILINE) == list(VERBS)
    assert run.stdout.endswith("loaded: []\n")


def test_the_version():
    assert invoke("--version").output == f"glyphnet {__version__}\n"


def test_python_m_glyphnet_is_the_same_command():
    run = subprocess.run([sys.executable, "-m", "glyphnet", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"glyphnet {__version__}\n"


def test_without_a_verb_the_help_goes_to_standard_error_and_the_status_is_usage():
    result = invoke()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: glyphnet" in result.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["evalute"], "no such command 'evalute'. Did you mean 'evaluate'? See: glyphnet --help"),
        (["xyzzy"], "no such command 'xyzzy'. See: glyphnet --help"),
        (["--versoin"], "no such option: --versoin. Did you mean --version? See: glyphnet --help"),
        (
            ["trial", "--colour", "rgb"],
            "no such option: --colour. Did you mean --color or --layout? See: glyphnet trial --help",
        ),
        (["trial", "--zzz"], "no such option: --zzz. See: glyphnet trial --help"),
        (["trial", "--size"], "option '--size' requires an argument. See: glyphnet --help"),
        (["trial", "a", "b"], "got unexpected extra argument(s) (b). See: glyphnet trial --help"),
        (
            ["trial", "--color", "gray"],
            "invalid value for '--color': 'gray' is not one of 'auto', 'grey', 'rgb'. See: glyphnet trial --help",
        ),
        (
            ["trial", "--size", "28,28"],
            "invalid value for '--size': '28,28' is not a size: write one number (28), "
            "or height x width (28x32). See: glyphnet trial --help",
        ),
        (
            ["trial", "--size", "0x28"],
            "invalid value for '--size': '0x28' is not a size: each side must lie in 1 to 4096 pixels. "
            "See: glyphnet trial --help",
        ),
        (["a\nb\x1b[2J"], r"no such command 'a\nb\x1b[2J'. See: glyphnet --help"),
    ],
)
def test_a_usage_error_is_one_line_with_the_near_miss(trial, words: list[str], line: str):
    run = trial(*words)
    assert (run.returncode, run.stdout, run.stderr) == (2, "", f"glyphnet: {line}\n")


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("glyphnet", r"/data/a\nb\x1b[31m.png: truncated. Save it again."),
        ("file", "/data/no such.png: No such file or directory. Check the spelling of the path."),
        (
            "disk",
            "runs/a/model.safetensors: No space left on device. Make room on this disk, or choose another place.",
        ),
        ("memory", NO_MEMORY),
        ("torch-memory", NO_MEMORY),
        (
            "fault",
            r"internal error: ZeroDivisionError: division\nby zero. This is a fault in GlyphNet: "
            "run the command again with --debug, and report what it prints.",
        ),
        (
            "text-error",
            "internal error: OSError: no number. This is a fault in GlyphNet: "
            "run the command again with --debug, and report what it prints.",
        ),
    ],
)
def test_a_failure_is_one_line_and_status_1(trial, what: str, line: str):
    run = trial("trial", "--what", what)
    assert (run.returncode, run.stdout, run.stderr) == (1, "", f"glyphnet: {line}\n")


@pytest.mark.parametrize("words", [["--debug", "trial", "--what", "fault"], ["trial", "--what", "fault", "--debug"]])
def test_debug_before_or_behind_the_verb_shows_the_traceback(trial, words: list[str]):
    run = trial(*words)
    assert run.returncode == 1
    assert "Traceback (most recent call last)" in run.stderr
    assert "trial.py" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("glyphnet: internal error: ZeroDivisionError")


def test_debug_shows_the_traceback_of_the_systems_errors_too(trial):
    assert "Traceback (most recent call last)" in trial("trial", "--what", "file", "--debug").stderr


def test_behind_two_dashes_debug_is_a_name(trial):
    run = trial("trial", "--json", "--", "--debug")
    assert json.loads(run.stdout)["data"] == "--debug"


def test_a_verb_that_has_said_what_failed_ends_with_its_own_status(trial):
    run = trial("trial", "--what", "exit")
    assert (run.returncode, run.stdout, run.stderr) == (1, "", "")


def test_an_interrupt_is_one_line_and_status_130(environment: dict[str, str], tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", START, "trial", "--what", "wait"],
        env=environment,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert (process.returncode, rest) == (130, "glyphnet: interrupted\n")


def test_an_interrupt_while_the_commands_are_built_shows_no_traceback():
    code = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from glyphnet import __main__
from glyphnet.cli import verbs
build = verbs.get_command
def interrupted(app):
    os.kill(os.getpid(), signal.SIGINT)
    return build(app)
verbs.get_command = interrupted
verbs.main()
"""
    run = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_leaves_is_no_error(environment: dict[str, str], tmp_path: Path, unbuffered: str):
    command = [sys.executable, "-c", START, "trial", "--what", "lines"]
    with subprocess.Popen(
        command,
        env={**environment, "PYTHONUNBUFFERED": unbuffered},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["trial", "--json"], ["trial", "--what", "lines"]])
def test_a_full_disk_under_standard_output_is_told_once(environment: dict[str, str], tmp_path: Path, words: list[str]):
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-c", START, *words],
            env=environment,
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 1
    assert run.stderr.removeprefix("for people\n") == (
        "glyphnet: No space left on device. Make room on this disk, or choose another place.\n"
    )


def test_json_stands_alone_on_standard_output(trial):
    run = trial("trial", "a folder", "--json", "--size", "28x32", "--seed", "7")
    assert json.loads(run.stdout) == {"data": "a folder", "size": [28, 32], "color": "auto", "seed": 7}
    assert run.stderr == "for people\n"


def test_a_name_that_the_encoding_has_not_is_shown_escaped(trial):
    assert trial("trial", "--what", "name", PYTHONIOENCODING="ascii").stdout == "caf\\xe9 \\udcff.png\n"
    assert trial("trial", "--what", "name", PYTHONIOENCODING="utf-8").stdout == "café \\udcff.png\n"


def test_quick_work_says_nothing_where_there_is_no_terminal(trial):
    run = trial("trial", "--what", "progress")
    assert (run.returncode, run.stderr) == (0, "")


def test_slow_work_says_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from glyphnet.cli import console

    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with console.progress() as report:
        for now, done in ((0.0, 1), (4.9, 2), (5.0, 3), (9.9, 4), (10.0, 5000)):
            clock[0] = now
            report(done, 60_000, "reading\nimages")
    assert capsys.readouterr().err == ("reading\\nimages: 3 of 60,000\nreading\\nimages: 5,000 of 60,000\n")


def test_a_terminal_shows_a_bar_and_reads_no_markup_in_it(environment: dict[str, str], tmp_path: Path):
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-c", START, "trial", "--what", "progress"],
        env={**environment, "TERM": "xterm"},
        cwd=tmp_path,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert run.wait() == 0
    assert b"reading [red]images[/red]" in shown
    assert b"3/4" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain — naïve 日本 👩‍🔬", "plain — naïve 日本 👩‍🔬"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("line\u2028end\x85", r"line\u2028end\x85"),
        ("\udcff", r"\udcff"),
    ],
)
def test_printable_escapes_what_would_steer_a_terminal(text: str, shown: str):
    assert printable(text) == shown


@pytest.mark.parametrize(("text", "size"), [("28", Size(28, 28)), ("28x32", Size(28, 32)), (" 8×16 ", Size(8, 16))])
def test_sizes(text: str, size: Size):
    assert parse_size(text) == size


def test_bash_completes_verbs_and_options():
    def complete(line: str, position: int) -> str:
        environment = {"COMP_WORDS": line, "COMP_CWORD": str(position), "_GLYPHNET_COMPLETE": "complete_bash"}
        command = [sys.executable, "-m", "glyphnet"]
        return subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
        ).stdout

    assert complete("glyphnet tra", 1).split() == ["train"]


@pytest.mark.parametrize("options", [["--preset", "x" * 5000], ["--set", "x" * 5000 + "=1"], ["--recipe", "x" * 5000]])
def test_a_message_stays_short_whatever_was_given(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run = invoke("train", "digits", *options)
    assert run.exit_code != 0
    assert "…" in run.stderr
    assert len(run.stderr) < 1000
