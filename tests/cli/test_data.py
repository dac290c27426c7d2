"""``glyphnet data``: everything about a data set on one page, all bad files named, and JSON on demand."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from glyphnet.cli import app

CLASSES = ("cat", "日本")


@pytest.fixture
def folder(tmp_path):
    """Two class folders with twelve images each, and nine files that are no images."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 256, (10, 14, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{i:02d}.png")
    for i in range(9):
        (tmp_path / "pets" / "cat" / f"bad{i}.png").write_bytes(b"no picture" * i)
    return tmp_path / "pets"


@pytest.fixture
def glyphnet(tmp_path, monkeypatch):
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "cache"))
    return lambda *words: CliRunner().invoke(app, ["data", *map(str, words)])


def test_a_page_for_people_names_every_bad_file(folder, glyphnet):
    done = glyphnet(folder)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "pets: 10×14 (height × width) RGB, 2 classes"
    assert lines[1].split() == ["class", "train", "validation", "test"]
    assert lines[2].split()[0] == "cat"
    assert lines[4].split()[0] == "all"
    assert "bad files: 9" in lines
    for i in range(9):
        assert any(line.startswith(f"  cat/bad{i}.png: ") for line in lines)
    assert any(line.startswith("warning: 9 files cannot be used: mend or remove them") for line in lines)


def test_json_is_one_object_and_nothing_else(folder, glyphnet):
    done = glyphnet(folder, "--json", "--size", "8x9", "--color", "grey")
    value = json.loads(done.stdout)
    assert value["image_shape"] == [8, 9, 1]
    assert value["classes"] == list(CLASSES)
    assert sum(map(sum, value["counts"].values())) == 24
    assert [name for name, _ in value["bad_files"]] == [f"cat/bad{i}.png" for i in range(9)]


def test_bad_files_can_be_an_error(folder, glyphnet):
    done = glyphnet(folder, "--on-bad-file", "error")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "9 of 33 files cannot be used" in done.stderr


def test_a_table_with_bad_files(folder, glyphnet):
    rows = [f"{name}/{i:02d}.png,{name}" for name in CLASSES for i in range(12)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,label", *rows, "cat/bad1.png,cat"]), encoding="utf-8")
    for source in (folder, folder / "metadata.csv"):
        value = json.loads(glyphnet(source, "--json").stdout)
        assert [name for name, _ in value["bad_files"]] == ["cat/bad1.png"]


def test_digits_need_nothing(glyphnet):
    done = glyphnet()
    assert done.stdout.startswith("digits: 8×8 grey, 10 classes")
    assert "bad files: 0" in done.stdout


def test_on_a_terminal_it_is_a_table(folder, monkeypatch, capsys):
    from glyphnet.cli.data import _show
    from glyphnet.data import inspect, load

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    _show(inspect(load(folder, on_bad_file="skip"), bad_files=[("[red]x\n.png", "not a picture")]))
    shown = capsys.readouterr().out
    assert any(line.startswith("日本 ") for line in shown.splitlines())
    assert "[red]x\\n.png: not a picture" in shown


def test_two_readings_stand_on_lines_of_their_own(glyphnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label in ("a", "b"):
        (tmp_path / "mnist" / label).mkdir(parents=True)
        Image.new("L", (8, 8), 90).save(tmp_path / "mnist" / label / "1.png")
    result = glyphnet("mnist")
    assert result.exit_code == 1
    first, *others = result.stderr.rstrip("\n").split("\n")
    assert "'mnist'" in first
    assert [line.split()[-1] for line in others] == ["./mnist", "name:mnist"]


def test_the_command_that_goes_on_reads_the_data_alike() -> None:
    """What `glyphnet data --review` prints brings every option along: read differently, the decisions would not fit."""
    from glyphnet.cli.options import train_command
    from glyphnet.cli.verbs import load_verb
    from glyphnet.data.settings import DataSettings

    given = {"size": (28, 32), "color": "rgb", "value_range": (0.0, 4095.5), "page": "mean", "layout": "any/class",
             "only": "my images", "on_bad_file": "skip", "group_by": r"p(\d)"}  # fmt: skip
    words = shlex.split(train_command(DataSettings(source="my data", **given)))
    assert words[:3] == ["glyphnet", "train", "my data"]
    parsed = load_verb("train").make_context("train", words[2:]).params
    assert {name: parsed[name] for name in given} == given
    assert train_command(DataSettings(source="digits")) == "glyphnet train digits"
