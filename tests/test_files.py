"""Files are whole or not there; a folder has one writer."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import glyphnet
from glyphnet.errors import OutputError, RunFolderError
from glyphnet.files import Replacing, atomic_write, atomic_write_text, read_input
from glyphnet.locks import FolderLock, temporary_folder

REWRITE_FOR_EVER = """
import sys
import tempfile
from glyphnet.files import atomic_write
path, letters = sys.argv[1], b"ABCDEFGH"
step = 0
while True:
    with atomic_write(path) as file:
        for _ in range(64):  # many small writes: a reader of the file itself would see some of them
            file.write(letters[step % 8 : step % 8 + 1] * 4096)
            file.flush()
    if step == 0:
        print("ready", flush=True)
    step += 1
"""

WRITE_AND_WAIT = """
import sys, time
from glyphnet.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    print("ready", flush=True)
    time.sleep(60)
"""

WAIT_IN_TEMPORARY_FOLDER = """
import sys, time
from glyphnet.locks import temporary_folder
with temporary_folder(sys.argv[1]):
    print("ready", flush=True)
    time.sleep(60)
"""

HOLD = """
import sys, time
from glyphnet.locks import FolderLock
with FolderLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() in {"ready", "held"}
    return process


@contextmanager
def as_nobody() -> Iterator[None]:
    """As a user for whom permissions count: root may write anywhere."""
    before = os.geteuid()
    if before:
        pytest.skip("only root can become somebody else")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_the_new_content_is_there_after_the_block_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["model"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_write(path) as file:
            file.write(b"half of the new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]


def test_a_failing_rename_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()  # a file cannot take the place of a folder
    with pytest.raises(OSError, match="directory"), atomic_write(tmp_path / "model") as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == ["model"]


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "nowhere" / "model"):
        pass


def test_text_is_utf_8_and_lines_end_as_they_were_written(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "t", "größe\n数字\n")
    assert (tmp_path / "t").read_bytes() == "größe\n数字\n".encode()


def test_a_name_that_is_no_unicode_is_written_escaped(tmp_path: Path) -> None:
    """A training must not fail at its end for a folder's name; JSON gives the name back."""
    name = os.fsdecode(b"caf\xe9")
    atomic_write_text(tmp_path / "t.json", json.dumps({"name": name}, ensure_ascii=False))
    assert (tmp_path / "t.json").read_text(encoding="utf-8") == '{"name": "caf\\udce9"}'
    assert json.loads((tmp_path / "t.json").read_bytes()) == {"name": name}


def test_the_mode_of_a_new_file_obeys_the_umask_and_an_old_file_keeps_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write_text(tmp_path / "new", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o604)
    atomic_write_text(tmp_path / "new", "y")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o604


def test_a_link_is_followed_only_where_the_user_named_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OutputError, match="link: is a link, which is not followed here. Remove"):
        atomic_write_text(tmp_path / "link", "new")
    assert (tmp_path / "real").read_text() == "old"
    with atomic_write(tmp_path / "link", follow=True) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_a_pipe_and_a_device_are_written_to_where_the_user_named_them_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    before = pipe.lstat()
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OutputError, match="pipe: is a named pipe, and is never replaced"):
        atomic_write_text(pipe, "new")
    with atomic_write(pipe, follow=True) as file:
        file.write(b"nxw")
        file.seek(1)
        file.write(b"e")
    assert os.read(reader, 100) == b"new"
    os.close(reader)
    assert os.path.samestat(before, pipe.lstat())
    with atomic_write("/dev/null", follow=True) as file:
        file.write(b"new")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_standard_output_is_appended_to_and_its_file_stays(tmp_path: Path) -> None:
    code = """if True:
        from glyphnet.files import atomic_write
        print("first")
        with atomic_write("/dev/stdout", follow=True) as file:
            file.write(b"second")
    """
    log = tmp_path / "log"
    log.write_text("before\n")
    with open(log, "ab") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert log.read_text() == "before\nfirst\nsecond"


def test_an_error_names_the_file_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with as_nobody(), pytest.raises(PermissionError) as refused, atomic_write(tmp_path / "sub" / "model"):
        pass
    assert refused.value.filename == str(tmp_path / "sub" / "model")

    def full() -> None:
        with atomic_write(tmp_path / "model"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space") as failed:
        full()
    assert failed.value.filename == str(tmp_path / "model")


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("foreign", "f.csv: is there already. Choose another place by --out, or pass --overwrite"),
        ("input", "f.csv: is an input of this command, and is never replaced"),
        ("hard link", "f.csv: is an input of this command"),
        ("link", "f.csv: is an input of this command"),
        ("in a folder", "f.csv: is an input of this command"),
        ("linked into a folder", "f.csv: is an input of this command"),
        ("foreign at the default place", "f.csv: is there already, and GlyphNet did not write it"),
        ("socket", "f.csv: is a socket, and is never replaced"),
    ],
)
def test_what_may_not_be_replaced(tmp_path: Path, what: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "photo.csv").write_text("mine")
    path, rules = tmp_path / "f.csv", Replacing(overwrite=True)
    if what.startswith("foreign"):
        path.write_text("mine")
        rules = Replacing(is_default=what != "foreign")
    elif what == "input":
        path.write_text("mine")
        rules = Replacing(("./f.csv",), overwrite=True)
    elif what == "in a folder":
        path.write_text("mine")
        rules = Replacing((".",), overwrite=True)
    elif what == "linked into a folder":
        os.link("in/photo.csv", path)
        rules = Replacing(("in",), overwrite=True)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("f.csv")
    else:
        (os.link if what == "hard link" else os.symlink)("in/photo.csv", path)
        rules = Replacing(("digits", "in/photo.csv"), overwrite=True)
    with pytest.raises(OutputError, match=re.escape(told)):
        rules.check("f.csv", (".csv",))


def test_what_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    Replacing().check(path, (".json",))
    path.touch()
    Replacing().check(path, (".json",))  # an empty file holds nothing
    path.write_text('{\n  "data": "digits, test part",\n  "n": 359,\n')
    Replacing(is_default=True).check(path, (".json",))
    Replacing(overwrite=True).check(path, (".json",))
    Replacing(is_default=True).check_in(tmp_path / "new" / "folder", ["evaluation.json"])
    Replacing().check_in(tmp_path, ["report.html"])
    with pytest.raises(OutputError, match="is an input of this command. Choose another folder"):
        Replacing((tmp_path,)).check_in(tmp_path, ["report.html"])
    with pytest.raises(OutputError, match="evaluation.json: is a file, where a folder is needed"):
        Replacing(overwrite=True).check_in(path, [])
    assert os.listdir(tmp_path) == ["evaluation.json"]


def test_a_folder_of_the_data_is_not_written_into(tmp_path: Path) -> None:
    """With a run in it, a class's folder would count as output, and its pictures would no longer be read."""
    rules = Replacing((tmp_path,), overwrite=True)
    (tmp_path / "a").mkdir()
    rules.check_in(tmp_path / "a", [])  # empty
    rules.check_in(tmp_path / "runs" / "new", ["recipe.yaml"])
    (tmp_path / "a" / "1.png").touch()
    (tmp_path / "link").symlink_to("a")
    for folder in ("a", "link"):
        with pytest.raises(OutputError, match=f"{folder}: is an input of this command. Choose another folder"):
            rules.check_in(tmp_path / folder, ["recipe.yaml"])
    run = tmp_path / "runs" / "1"
    run.mkdir(parents=True)
    for name in ("history.csv", "notes.txt"):
        (run / name).touch()
    (run / "recipe.yaml").write_text("data: x\nnetwork:\n  kind: mlp\n")
    rules.check_in(run, ["recipe.yaml"])  # a run among the data, with something of the user's
    rules.check_in(run.parent, ["seeds.json"])


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files_are_opened_for_reading(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "in"
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](path)
    with pytest.raises(OSError, match="not a regular file|directory") as refused:
        read_input(path, piped=True)
    assert refused.value.filename == str(path)


def test_a_pipe_that_the_shell_has_opened_is_read() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"seed: 1")
    os.close(writer)
    assert read_input(f"/dev/fd/{reader}", piped=True) == b"seed: 1"
    with pytest.raises(OSError, match="it is a named pipe, not a regular file"):
        read_input(f"/dev/fd/{reader}")
    os.close(reader)


def test_the_longest_file_name_works(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / ("n" * 255), "x")
    assert os.listdir(tmp_path) == ["n" * 255]


@pytest.mark.parametrize("wait", [0.0, 0.011, 0.037, 0.07, 0.13])
def test_a_kill_in_the_middle_of_writing_leaves_one_whole_content(tmp_path: Path, wait: float) -> None:
    path = tmp_path / "model"
    process = start(REWRITE_FOR_EVER, path)
    deadline = time.monotonic() + wait
    while True:  # what a reader sees while it is being rewritten is whole as well
        content = path.read_bytes()
        assert len(content) == 64 * 4096
        assert len(set(content)) == 1
        if time.monotonic() >= deadline:
            break
    kill(process)
    content = path.read_bytes()
    assert len(content) == 64 * 4096
    assert len(set(content)) == 1


def test_a_second_process_is_refused_at_once_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    process = start(HOLD, tmp_path / "run")
    try:
        began = time.monotonic()
        expected = f"{re.escape(str(tmp_path / 'run'))}: in use by another run \\(process {process.pid}\\)\\. Wait"
        with pytest.raises(RunFolderError, match=expected), FolderLock(tmp_path / "run"):
            pytest.fail("the folder was locked twice")
        assert time.monotonic() - began < 10
    finally:
        kill(process)
    with FolderLock(tmp_path / "run"):  # the kernel gave the lock back when its holder was killed
        pass


def test_a_second_lock_in_one_process_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        for _ in range(2):
            with pytest.raises(RunFolderError, match=f"process {os.getpid()}"), FolderLock(tmp_path):
                pytest.fail("the folder was locked twice")
    with FolderLock(tmp_path):
        pass


def test_the_lock_is_given_back_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), FolderLock(tmp_path):
        raise ZeroDivisionError
    with FolderLock(tmp_path):
        pass


def test_the_lock_removes_what_killed_writers_left_and_spares_living_ones(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-0123456789abcdef").write_bytes(b"somebody else's")
    process = start(WRITE_AND_WAIT, tmp_path / "model")
    (dead,) = {*tmp_path.glob(".unfinished-*")} - {tmp_path / ".unfinished-0123456789abcdef"}
    kill(process)
    with atomic_write(tmp_path / "evaluation.json") as file:
        with FolderLock(tmp_path):
            assert not dead.exists()
        file.write(b"{}")
    assert sorted(os.listdir(tmp_path)) == [".unfinished-0123456789abcdef", "evaluation.json"]


@pytest.mark.parametrize("kind", ["file", "link", "hard link", "pipe", "folder"])
def test_a_lock_of_somebody_else_is_never_opened_changed_or_removed(tmp_path: Path, kind: str) -> None:
    (tmp_path / "run").mkdir()
    lock, outside = tmp_path / "run" / ".lock", tmp_path / "outside"
    outside.write_text("12\n" if kind == "hard link" else "somebody else's")
    if kind == "file":
        lock.write_text("somebody else's")
    elif kind == "link":
        lock.symlink_to(outside)
    elif kind == "hard link":
        lock.hardlink_to(outside)
    else:
        (os.mkfifo if kind == "pipe" else os.mkdir)(lock)
    before = lock.lstat()
    with pytest.raises(OutputError, match=r"\.lock: is needed for a lock, and holds something else. Move it"):
        FolderLock(tmp_path / "run").__enter__()
    assert os.path.samestat(before, lock.lstat())
    assert outside.read_text() == ("12\n" if kind == "hard link" else "somebody else's")


def test_the_temporary_folder_of_a_killed_process_is_removed_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "glyphnet-abcdefgh").mkdir(0o700)
    (tmp_path / "glyphnet-abcdefgh" / "thesis.txt").touch()
    process = start(WAIT_IN_TEMPORARY_FOLDER, tmp_path)
    with temporary_folder(tmp_path) as folder:
        assert len(os.listdir(tmp_path)) == 3  # of the living, nothing is removed
    kill(process)
    with temporary_folder(tmp_path) as folder:
        assert sorted(os.listdir(tmp_path)) == sorted(["glyphnet-abcdefgh", folder.name])
    assert os.listdir(tmp_path) == ["glyphnet-abcdefgh"]


def test_temporary_folders_that_are_made_at_the_same_time_leave_each_other_alone(tmp_path: Path) -> None:
    """A lock's file is there a moment before the lock: the others must not take its folder for abandoned."""

    def work(number: int) -> None:
        for turn in range(60):
            with temporary_folder(tmp_path) as folder:
                (folder / "own").write_text(f"{number} {turn}")
                assert (folder / "own").read_text() == f"{number} {turn}"

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, number) for number in range(8)]:
            done.result()
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_of_a_process_that_was_killed_before_it_had_its_lock_is_removed_later(tmp_path) -> None:
    old, full, new = (Path(tempfile.mkdtemp(prefix="glyphnet-", dir=tmp_path)) for _ in range(3))
    (full / "somebody's").touch()
    for folder in (old, full):
        os.utime(folder, (0, 0))
    with temporary_folder(tmp_path):
        assert not old.exists()
        assert full.exists()
        assert new.exists(), "its process may be about to lock it"


WRITES = {
    "mkdir", "makedirs", "mkdtemp", "mkstemp", "NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile",
    "SpooledTemporaryFile", "write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "symlink", "link",
    "unlink", "rmdir", "removedirs", "rmtree", "copyfile", "copytree", "copy2", "truncate", "mkfifo", "extractall",
    "rename", "renames", "to_csv", "to_parquet", "tofile",
}  # fmt: skip
OF_MODULES = {
    "os": {"open", "replace", "remove"},
    "shutil": {"move", "copy"},
    "io": {"open"},
    "fcntl": {"flock", "lockf"},
}
SAVES = {
    ("np", "save"),
    ("np", "savez"),
    ("np", "savez_compressed"),
    ("np", "savetxt"),
    ("torch", "save"),
    ("figure", "savefig"),
}
"""Allowed into an open file, which has a name of its own."""
READS = {"rb", "r", "rt"}
ELSEWHERE = {
    ("cli/verbs.py", "open"),  # /dev/null in place of a closed standard output
}
"""(module, call) → why there."""


def writes(path: Path) -> set[str]:
    """The calls in a module that write to the disk by a name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function, name = node.func, getattr(node.func, "attr", getattr(node.func, "id", ""))
        owner = (
            function.value.id if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) else ""
        )
        if name in WRITES or name in OF_MODULES.get(owner, ()):
            found.add(name)
        elif name == "open":
            modes = [*node.args[:2], *(word.value for word in node.keywords if word.arg == "mode")]
            texts = {mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)}
            if any(re.fullmatch("[rwxabt+]+", text) for text in texts - READS):
                found.add(name)
        elif (owner, name) in SAVES and not isinstance(node.args[0], ast.Name):
            found.add(name)
    return found


BY_NAME = {
    ("np", "load"),
    ("np", "memmap"),
    ("np", "loadtxt"),
    ("zipfile", "ZipFile"),
    ("tarfile", "open"),
    ("h5py", "File"),
    ("Image", "open"),
    ("", "loadmat"),
    ("", "whosmat"),
}
"""Functions of libraries that open a file by its name, if one is given."""
OPENED = ("openable", "BytesIO", "StringIO", "_stream", "file", "source")
"""What they are given instead."""
READ_ELSEWHERE = {
    # files of the system
    ("processes.py", "read_text"),
    ("training/fast/layers.py", "read_text"),
    ("training/device.py", "read_text"),
    # files of this package
    ("data/assemble.py", "read_bytes"),
    ("data/ink/spec.py", "read_bytes"),
    ("templates.py", "read_text"),
    # files in a temporary folder, or parts of an output, that this program has just written
    ("studies/comparison/comparing.py", "load"),
    ("studies/comparison/methods.py", "read_bytes"),
    ("data/dataset.py", "load"),
    ("data/dataset.py", "read_bytes"),
    ("export/onnx.py", "read_bytes"),
    ("predictfiles/answers.py", "ParquetFile"),
    ("predictfiles/answers.py", "read_bytes"),
    ("runs/training.py", "read_bytes"),
    # mapped by name once `open_input` has read them
    ("data/cache.py", "load"),
    ("data/idx.py", "memmap"),
}
"""(module, call) where a pipe or a device cannot be."""


def reads(path: Path) -> set[str]:
    """What a module reads from the disk by a name and not through `glyphnet.files`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in ("read_bytes", "read_text"):
            found.add(node.attr)
        if not isinstance(node, ast.Call):
            continue
        name, owner = called(node.func)
        given = node.args[0] if node.args else None
        if (owner, name) in BY_NAME or name == "ParquetFile":
            if called(given.func if isinstance(given, ast.Call) else given)[0] not in OPENED:
                found.add(name)
        elif name == "open" and (not owner or given is None or getattr(given, "value", "") in READS):
            found.add(name)
    return found


def called(function: ast.expr | None) -> tuple[str, str]:
    """The name of a function, and of the module or object that has it; "" where there is none."""
    owner = getattr(function, "value", None)
    return getattr(function, "attr", getattr(function, "id", "")), getattr(owner, "id", "?" if owner else "")


DOORS = ("files.py", "locks.py", "places.py")


@pytest.mark.parametrize(("calls", "elsewhere"), [(writes, ELSEWHERE), (reads, {*ELSEWHERE, *READ_ELSEWHERE})])
def test_only_one_module_opens_files(calls, elsewhere) -> None:
    root = Path(glyphnet.__file__).parent
    modules = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    others = {name: path for name, path in modules.items() if name not in DOORS}
    found = {(name, call) for name, path in others.items() for call in calls(path)}
    assert found <= elsewhere, "use glyphnet.files: it knows what may be replaced, and what never ends"
    if calls is writes:
        assert writes(modules["files.py"]) | writes(modules["locks.py"]) >= {
            "open",
            "replace",
            "unlink",
            "mkdtemp",
            "rmtree",
        }
    else:
        assert elsewhere <= found, "no longer needed"
