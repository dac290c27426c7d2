"""Every verb's outputs, attacked: what is there stays, unless the user asked to replace it."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from glyphnet.classifier import Classifier
from glyphnet.cli import app
from glyphnet.cli.verbs import VERBS, load_verb
from glyphnet.locks import FolderLock, temporary_folder
from glyphnet.nn import Preprocessing, build, parse_network

from .. import forking
from ..processes import wait_for

MINE = "mine\n"


class Output(NamedTuple):
    """An option that names what is written: the words of its command, and names of what it writes in a folder."""

    verb: str
    option: str
    words: tuple[str, ...]
    names: tuple[str, ...] = ()
    suffix: str = ""

    def __str__(self) -> str:
        return f"{self.verb}{self.option}{self.suffix}"


OUTPUTS = (
    Output("train", "--out", ("in",), ("recipe.yaml", "model.safetensors", "report.html")),
    Output("evaluate", "--out", ("m.safetensors", "in"), ("evaluation.json", "predictions.csv", "report.html")),
    Output("predict", "--out", ("m.safetensors", "in"), suffix=".csv"),
    Output("suggest", "--out", ("m.safetensors", "in"), suffix=".csv"),
    Output("explain", "--out", ("m.safetensors", "in/a/0.png"), ("0-explained.png",)),
    Output("explain", "--out", ("m.safetensors", "in/a/0.png"), suffix=".png"),
    Output("export", "--out", ("m.safetensors",), suffix=".html"),
    Output("compare", "--out", ("in", "--methods", "kmeans"), ("comparison.json", "comparison.png")),
    Output("tune", "--out", ("in",), ("study.db", "trials.csv", "best.yaml", "importance.json", "history.png")),
    Output("tune", "--storage", ("in", "--out", "o"), suffix=".db"),
    Output("lab", "--out", ("xor", "--quick"), ("lab.html", "numbers.json")),
    Output("data", "--out", ("in",), suffix=".csv"),
    Output("data", "--review", ("in",), suffix=".csv"),
)
READS_NOTHING = {("playground", "--out"), ("studio", "--html"), ("pull", "--out")}  # pull: tests/test_modelhub.py
READ = {("train", "--recipe"), ("train", "--resume"), ("tune", "--recipe"), ("compare", "--models"), ("push", "--card")}
FILES, FOLDERS = [each for each in OUTPUTS if each.suffix], [each for each in OUTPUTS if each.names]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[bytes]]:
    """A tiny model, and 24 pictures of two classes."""
    folder = tmp_path_factory.mktemp("made")
    spec, random = parse_network("linear"), np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = build(spec, (8, 8, 1), 2)
    images = random.integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
    Classifier(network, spec, (8, 8, 1), ("a", "b"), Preprocessing.measure(images)).save(folder / "m.safetensors")
    for number, image in enumerate(images):
        Image.fromarray(image[:, :, 0]).save(folder / f"{number}.png")
    return (folder / "m.safetensors").read_bytes(), [(folder / f"{number}.png").read_bytes() for number in range(24)]


@pytest.fixture
def work(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the inputs of all commands; it is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "cache"))
    Path("m.safetensors").write_bytes(made[0])
    for number, picture in enumerate(made[1]):
        path = Path("in", "ab"[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    return tmp_path


def run(output: Output, place: object, *more: str) -> Result:
    result = CliRunner().invoke(app, [output.verb, *output.words, output.option, str(place), *more])
    assert not isinstance(result.exception, AssertionError)
    return result


def refused(result: Result, *told: str) -> None:
    """It ends with an error that names the user's path and no other, in one line."""
    message = result.stderr.strip().splitlines()[-1]
    assert result.exit_code, result.output
    assert all(each in message for each in told), result.stderr
    assert "internal error" not in message
    assert ".unfinished" not in message


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_relative_to(folder / "cache")
    }


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Nothing in the folder changes: no file, and no folder comes or goes."""
    before, names = contents(folder), sorted(path for path in folder.rglob("*") if "cache" not in path.parts)
    yield
    assert contents(folder) == before
    assert sorted(path for path in folder.rglob("*") if "cache" not in path.parts) == names


def test_every_option_that_names_a_path_is_attacked_here_or_read() -> None:
    found = set()
    for verb in VERBS:
        for parameter in load_verb(verb).params:
            descriptor = getattr(parameter, "type_descriptor", None)
            names_paths = "Path" in str(getattr(descriptor, "annotation", ""))
            if parameter.param_type_name == "option" and (names_paths or parameter.name == "out"):
                found.add((verb, parameter.opts[0]))
    assert found == {(each.verb, each.option) for each in OUTPUTS} | READ | READS_NOTHING
    assert {verb for verb, option in found if option == "--out"} >= {*VERBS} - {"serve", "doctor", "push", "studio"}


@pytest.mark.parametrize("output", FILES, ids=str)
@pytest.mark.parametrize("attack", ["foreign", "input", "hard link", "link", "folder"])
def test_a_file_is_not_replaced(work: Path, output: Output, attack: str) -> None:
    place, source = Path(f"out{output.suffix}"), Path(output.words[0])
    source = source / "a" / "0.png" if source.is_dir() else source
    more = ["--overwrite"]
    if attack == "foreign":
        place.write_text(MINE)
        more = []
    elif attack == "input":
        place = source
    elif attack == "folder" and output.verb == "explain":
        pytest.skip("writes its picture into the folder")
    elif attack == "folder":
        (place / "thesis").mkdir(parents=True)
        (place / "thesis" / "1.txt").write_text(MINE)
    else:
        (os.link if attack == "hard link" else os.symlink)(source, place)
    with unchanged(work):
        refused(run(output, place, *more), str(place))


@pytest.mark.parametrize("output", FOLDERS, ids=str)
@pytest.mark.parametrize("attack", ["foreign", "link", "folder link", "file", "pipe", "input"])
def test_a_folder_is_not_written_over(work: Path, output: Output, attack: str) -> None:
    for name in output.names:
        place, outside = Path(f"out-{name}".replace(".", "-")), Path(f"outside-{name}")
        told, more = str(place), ["--overwrite"]
        if attack in ("foreign", "link"):
            place.mkdir()
            outside.write_text(MINE)
            if attack == "link":
                (place / name).symlink_to(outside.resolve())
            else:
                (place / name).write_text(MINE)
                more = []
        elif attack == "folder link":
            place.mkdir()
            place, told = place / name, str(place / name)
            place.mkdir()
        elif attack == "input":
            place, told = Path("in"), "in"
            if "in" not in output.words:
                return
        elif attack == "pipe":
            if output.verb == "explain":  # writes its picture there, when a reader has come
                return
            os.mkfifo(place)
        else:
            place.write_text(MINE)
        if attack == "folder link":
            place, told = place.parent, str(place)
        with unchanged(work):
            refused(run(output, place, *more), told)


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
def test_a_read_only_folder_is_named_and_nothing_is_left(work: Path, output: Output) -> None:
    work.chmod(0o555)
    with without_roots_privilege(), unchanged(work):
        refused(run(output, f"out{output.suffix}"), f"out{output.suffix}", "Permission denied. Change its perm")


@contextmanager
def without_roots_privilege() -> Iterator[None]:
    """Let permissions count for root as well, as long as the block lasts: Linux's capability DAC_OVERRIDE."""
    header, sets = struct.pack("<Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() or not hasattr(libc, "capget"):
        yield
        return
    libc.capget(header, sets)
    effective, *others = struct.unpack("<6I", sets)
    libc.capset(header, struct.pack("<6I", effective & ~0b110, *others))
    try:
        yield
    finally:
        libc.capset(header, sets)


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
def test_a_device_stays_a_device(work: Path, output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    device = work / f"null{output.suffix}"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make a device")
    before = device.lstat()
    monkeypatch.setattr("glyphnet.runs.review.REPEATS", 1)
    monkeypatch.setattr("glyphnet.runs.review.FOLDS", 2)
    run(output, device, "--overwrite")
    assert os.path.samestat(before, device.lstat())
    assert not Path(f"{device}.parts").exists()


@pytest.mark.parametrize("output", [each for each in FILES if each.suffix != ".db" and each.option == "--out"], ids=str)
def test_a_pipe_gets_the_content_and_stays(work: Path, output: Output) -> None:
    pipe = work / f"pipe{output.suffix}"
    os.mkfifo(pipe)
    before = pipe.lstat()
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    try:
        import fcntl

        fcntl.fcntl(reader, 1031, 1 << 20)  # F_SETPIPE_SZ: all of it fits
        assert run(output, pipe).exit_code == 0
        assert len(os.read(reader, 1 << 20)) > 50
    finally:
        os.close(reader)
    assert os.path.samestat(before, pipe.lstat())


@pytest.mark.parametrize("verb", ["evaluate", "explain", "export", "predict"])
def test_overwrite_replaces_what_the_verb_writes_and_nothing_else(work: Path, verb: str) -> None:
    output = next(each for each in OUTPUTS if each.verb == verb)
    place = Path(f"out{output.suffix}")
    if output.names:
        place.mkdir()
        (place / "thesis.txt").write_text(MINE)
        (place / ".unfinished-0123456789abcdef").write_text(MINE)
    for name in output.names or [""]:
        (place / name).write_text(MINE)
    assert run(output, place, "--overwrite").exit_code == 0
    for name in output.names or [""]:
        assert (place / name).read_bytes() != MINE.encode()
    if output.names:
        assert {path.name for path in place.iterdir()} == {"thesis.txt", ".unfinished-0123456789abcdef", *output.names}
        assert (place / "thesis.txt").read_text() == MINE
    assert run(output, place).exit_code, "its own output at a place that the user named is not replaced without asking"


@pytest.mark.parametrize("verb", ["evaluate", "explain", "export"])
def test_a_verb_replaces_its_own_output_at_its_default_place_and_no_other(work: Path, verb: str) -> None:
    output = next(each for each in OUTPUTS if each.verb == verb)
    before = contents(work)
    for _ in range(2):
        result = CliRunner().invoke(app, [verb, *output.words])
        assert result.exit_code == 0, result.output
    written = sorted({*contents(work)} - {*before})
    assert len(written) == len(output.names or [""])
    Path(written[-1]).write_text(MINE)
    with unchanged(work):
        result = CliRunner().invoke(app, [verb, *output.words])
        refused(result, Path(written[-1]).name, "GlyphNet did not write it")


@pytest.mark.parametrize("output", [each for each in FOLDERS if each.verb != "explain"], ids=str)
def test_a_folder_in_which_a_training_runs_is_refused(work: Path, output: Output) -> None:
    with FolderLock("run"), unchanged(work):
        refused(run(output, "run", *(("--preset", "fast") if output.verb in ("train", "tune") else ())), "in use by")


def test_the_next_command_removes_the_temporary_folders_of_a_killed_compare(work: Path) -> None:
    (work / "tmp").mkdir()
    ours = {**os.environ, "TMPDIR": str(work / "tmp")}
    command = [sys.executable, "-m", "glyphnet", "compare", "in", "--methods", "kmeans"]
    with forking.Popen(command, env=ours, stderr=subprocess.DEVNULL) as killed:
        wait_for(lambda: [*work.glob("tmp/glyphnet-*/glyphnet-*/.lock")], killed)  # a trial runs
        killed.kill()
    assert [*work.glob("tmp/glyphnet-*")]

    def is_removed() -> bool:
        with temporary_folder(work / "tmp") as folder:
            return [*work.glob("tmp/glyphnet-*")] == [folder]

    wait_for(is_removed)  # a child that was being started when its parent was killed holds the lock until it runs


def test_the_playground_replaces_its_own_page_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("glyphnet.pages.playground.SETS", {"digits": "Their source."})
    page, run = Path("playground.html"), CliRunner()
    for _ in range(2):
        done = run.invoke(app, ["playground"])
        assert done.exit_code == 0, done.stderr
        assert "with digits" in done.stdout
    page.write_text("mine")
    refused = run.invoke(app, ["playground"])
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert page.read_text() == "mine"
    assert run.invoke(app, ["playground", "--overwrite"]).exit_code == 0
    assert page.stat().st_size > 100_000


PAGES = [Output("playground", "--out", ()), Output("studio", "--html", ())]


@pytest.mark.parametrize("output", [*FILES, *PAGES], ids=str)
def test_a_name_that_promises_another_format_is_refused(work: Path, output: Output) -> None:
    with unchanged(work):
        refused(run(output, work / "out.xlsx"), str(work / "out.xlsx"), ".xlsx")


@pytest.mark.parametrize("output", FOLDERS, ids=str)
def test_a_folder_is_not_made_by_the_name_of_a_file(work: Path, output: Output) -> None:
    with unchanged(work):
        refused(run(output, "report.html"), "report.html", "a folder is written", "Choose another name: report.")
    if output.verb == "evaluate":  # one that is there has its name already, and a version is no format
        Path("report.html").mkdir()
        assert run(output, "report.html").exit_code == run(output, "v1.2").exit_code == 0


def test_the_folder_of_a_studio_is_not_made_by_the_name_of_a_file(work: Path) -> None:
    with unchanged(work):
        refused(CliRunner().invoke(app, ["studio", "page.html", "--no-open"]), "page.html", "a folder is written")
