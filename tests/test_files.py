"""Files are whole or not there; a folder has one writer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glyphnet.errors import RunFolderError
from glyphnet.files import FolderLock, atomic_write, atomic_write_text

REWRITE_FOR_EVER = """
import sys
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

HOLD = """
import sys, time
from glyphnet.files import FolderLock
with FolderLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() in {"ready", "held"}
    return process


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


def test_a_symbolic_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    atomic_write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


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
    dead = tmp_path / ".unfinished-0123456789abcdef"
    dead.write_bytes(b"half")
    with atomic_write(tmp_path / "evaluation.json") as file:
        with FolderLock(tmp_path):
            assert not dead.exists()
        file.write(b"{}")
    assert sorted(os.listdir(tmp_path)) == [".lock", "evaluation.json"]
