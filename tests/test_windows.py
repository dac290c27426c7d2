"""What can be known of Windows without one: nothing that exists on POSIX alone is needed, and names are portable."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from PIL import Image

import glyphnet
from glyphnet import files, locks
from glyphnet.cli.train import data_name
from glyphnet.locks import FileLock
from glyphnet.units import portable_name

from .conftest import files_for_posix

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `windows_session` found, in a process where POSIX is blocked for GlyphNet, as in those that it starts."""
    folder = tmp_path_factory.mktemp("windows")
    site, work = folder / "site", folder / "work"
    site.mkdir()
    work.mkdir()
    shutil.copy(HERE / "windows.py", site / "stand_in_for_windows.py")
    (site / "sitecustomize.py").write_text("import stand_in_for_windows as w\nw.install()\n", encoding="utf-8")
    paths = os.pathsep.join([str(site), str(HERE.parent / "src")])
    environment = os.environ | {"PYTHONPATH": paths, "GLYPHNET_CACHE": str(folder / "cache"), "TMPDIR": str(folder)}
    command = [sys.executable, str(HERE / "windows_session.py")]
    run = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_every_module_is_imported(told: dict[str, Any]) -> None:
    there = [path for path in Path(glyphnet.__file__).parent.rglob("*.py") if path.name != "__main__.py"]
    assert told["modules"] >= len(there)


@pytest.mark.slow
def test_a_run_is_trained_stopped_replaced_resumed_and_leaves_nothing_else(told: dict[str, Any]) -> None:
    assert told["accuracy"] > 0.9
    assert told["left in the run folder"] == [
        "checkpoint.safetensors", "evaluation.json", "history.csv", "model.safetensors", "predictions.csv",
        "recipe.yaml", "report.html",
    ]  # fmt: skip
    assert told["left here"] == ["found.csv", "locked", "pictures", "run", "run2"]


@pytest.mark.slow
def test_the_verbs_work_and_a_console_of_cp1252_shows_what_it_can(told: dict[str, Any]) -> None:
    assert told["data"] == [0, True, True], "ö as it is, 数 escaped"
    assert told["evaluate"] == [0, ["größe", "数字"]], "JSON is JSON in every encoding"
    assert told["predict"] == [0, 61]
    assert told["predict again"] == told["predict onnx"] == 0
    assert [told[f"export {name}"] for name in ("html", "onnx", "card")] == [[0, True]] * 3
    assert told["train"] == [0, True]


@pytest.mark.slow
def test_the_service_answers_also_what_a_child_process_decodes(told: dict[str, Any]) -> None:
    assert told["served"] == ["größe", "größe"]


@pytest.mark.slow
def test_the_studio_starts_stops_and_resumes_a_training_that_outlives_it(told: dict[str, Any]) -> None:
    assert told["studio"] == ["running", "running", 409, "stopped", 409, "running", True], told["log"]
    assert told["left by the studio"] == [
        "checkpoint.safetensors", "epochs", "history.csv", "model.safetensors", "progress.json", "recipe.yaml",
        "studio.json", "train.log",
    ]  # fmt: skip


@pytest.mark.slow
def test_locks_hold_and_leave_nothing(told: dict[str, Any]) -> None:
    assert told["in use"]
    assert told["left by locks"] == []


def test_a_lock_that_its_holder_alone_may_read_is_held_and_is_no_foreign_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked byte cannot be read by others on Windows: reading it fails."""
    held, other = FileLock(tmp_path / ".lock"), FileLock(tmp_path / ".lock")
    assert held.acquire()
    read = os.read

    def guarded(descriptor: int, count: int) -> bytes:
        if descriptor != held._descriptor:
            raise PermissionError(13, "Permission denied")
        return read(descriptor, count)

    monkeypatch.setattr(locks.os, "read", guarded)
    assert other.is_held()
    assert not other.acquire()
    assert other.holder() == ""


def test_an_abandoned_file_is_removed_only_when_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows a file is unlocked for a moment before it has its name: a young one may be another's."""
    monkeypatch.setattr(files, "WINDOWS", True)
    file, name = files.new_temporary(tmp_path)
    file.close()
    files.remove_unfinished(tmp_path)
    assert os.path.exists(name)
    os.utime(name, (1_000_000_000, 1_000_000_000))
    files.remove_unfinished(tmp_path)
    assert not os.path.exists(name)


def test_a_file_that_another_process_reads_at_the_moment_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The studio reads the curves of a training that writes them."""
    tries, replace = [], os.replace

    def refused(source: str, target: str) -> None:
        tries.append(target)
        if len(tries) < 3:
            raise PermissionError(13, "The process cannot access the file", target)
        replace(source, target)

    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(files.os, "replace", refused)
    files.atomic_write_text(tmp_path / "history.csv", "epoch")
    assert (tmp_path / "history.csv").read_text() == "epoch"
    assert len(tries) == 3
    monkeypatch.setattr(files, "WINDOWS", False)
    tries.clear()
    with pytest.raises(PermissionError):
        files.atomic_write_text(tmp_path / "history.csv", "epochs")
    assert (tmp_path / "history.csv").read_text() == "epoch"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("digits", "digits"),
        ("CON", "_CON"),
        ("nul", "_nul"),
        ("aux.txt", "_aux.txt"),
        ("Lpt1.data.zip", "_Lpt1.data.zip"),
        ("com¹", "_com¹"),
        ("conquest", "conquest"),
        ("COM10", "COM10"),
        ("C:\\scans\\night", "C--scans-night"),
        ('a<b>c:d"e|f?g*h', "a-b-c-d-e-f-g-h"),
        ("dots. .", "dots"),
        ("...", "unnamed"),
        ("größe 数字", "größe 数字"),
    ],
)
def test_names_that_every_system_can_have(text: str, name: str) -> None:
    assert portable_name(text) == name
    assert PureWindowsPath(name).parts == (name,)
    if sys.version_info < (3, 13):  # deprecated from there on
        assert not PureWindowsPath(f"{name}-fast").is_reserved()


def test_a_run_folder_is_called_by_a_name_that_every_system_can_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aux.csv").touch()
    assert data_name("aux.csv") == "_aux.csv"
    assert data_name("name:mnist") == "mnist"


def test_tests_of_what_is_posix_are_not_collected_on_windows() -> None:
    ignored = {Path(path).relative_to(HERE).as_posix() for path in files_for_posix(HERE)}
    assert "cli/test_main.py" in ignored, "it opens terminals"
    assert len(ignored) < 10, "most tests are for every system"


def picture(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), value).save(file, "PNG")
    return file.getvalue()


def test_drive_letters_backslashes_and_devices_in_an_archive_are_names_and_never_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows' own tools and hostile ones write them. Nothing is unpacked, so no name becomes a file."""
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("data.zip", "w") as archive:
        for number in range(8):
            for name in (f"CON\\{number}.png", f"aux.txt/{number}.png", f"C:\\\\evil\\{number}.png"):
                info = zipfile.ZipInfo("x")
                info.filename = name  # ZipInfo itself would mend it
                archive.writestr(info, picture(number * 20 + len(name)))
        archive.writestr("..\\..\\outside/0.png", picture(255))
    before = set(tmp_path.parent.iterdir())
    splits = glyphnet.load("data.zip")
    assert splits.classes == ("C:", "CON", "aux.txt")
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 24
    assert any("outside" in text for text in (*splits.warnings, *splits.notes))
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]
    assert set(tmp_path.parent.iterdir()) == before
