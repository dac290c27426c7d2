"""``glyphnet export``: files beside the model, one line that says what was proved, errors that leave things alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import glyphnet
from glyphnet.classifier import Classifier
from glyphnet.cli import app
from glyphnet.export import FORMATS
from glyphnet.modelfile import Provenance, pick_samples
from glyphnet.nn import Preprocessing, build, parse_network
from glyphnet.onnxmodel import load_onnx


@pytest.fixture
def model(tmp_path: Path) -> Path:
    splits = glyphnet.load("digits")
    spec = parse_network("linear")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = build(spec, (8, 8, 1), 10)
    preprocessing = Preprocessing.measure(splits.train.images)
    samples = pick_samples(splits.validation.images, 100)
    origin = Provenance(data="digits", fingerprint=splits.train.fingerprint)
    parts = {"samples": samples, "provenance": origin}
    Classifier(network, spec, (8, 8, 1), splits.classes, preprocessing, **parts).save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def export(*words: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, words)])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_lands_beside_the_model_and_says_what_was_proved(model: Path, name: str) -> None:
    result = export(model, "--format", name)
    assert result.exit_code == 0, result.stderr
    file = model.with_suffix(FORMATS[name].suffix)
    assert file.is_file()
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{file}: ")
    assert lines[1].startswith(
        "Proved: the model's label on all of 100 held-out images of the model file, probabilities w"
    )


def test_the_command_line_knows_every_format() -> None:
    shown = " ".join(export("--help").stdout.split())
    assert f"{'|'.join(FORMATS)}" in shown


def test_json_tells_the_proof(model: Path, tmp_path: Path) -> None:
    result = export(model, "--format", "onnx", "--out", tmp_path / "x.onnx", "--verify", "digits", "--json")
    told = json.loads(result.stdout)
    assert told["file"] == str(tmp_path / "x.onnx")
    assert told["verified_on"] == "359 images (digits, test part)"
    assert told["images"] == told["same_labels"] == 359
    assert told["largest_difference"] < 1e-4


def test_eight_bits_tell_what_they_cost(model: Path) -> None:
    result = export(model, "--format", "onnx", "--quantize", "int8", "--verify", "digits")
    assert result.exit_code == 0, result.stderr
    assert "With 8 bits it gives the model's label on" in result.stdout
    assert "of 359 images (digits, test part). Accuracy there: " in result.stdout
    assert load_onnx(model.with_suffix(".onnx")).about["quantized"] == "int8"
    result = export(model, "--format", "onnx", "--quantize", "int8")
    assert "--verify DATA measures what that costs" in result.stdout


def test_errors_are_a_line_and_leave_what_was_there(model: Path) -> None:
    result = export(model, "--format", "html", "--quantize", "int8")
    assert result.exit_code == 1
    assert "The format html has no 8-bit weights" in result.stderr
    assert not model.with_suffix(".html").exists()
    assert export(model, "--format", "onx").exit_code == 2
    assert export(model.with_name("no.safetensors")).exit_code == 1
    result = export(model, "--out", model.parent / "no" / "m.html")
    assert (result.exit_code, "no" in result.stderr) == (1, True)


def test_classes_of_the_verifying_data_are_matched_by_name(model: Path, tmp_path: Path) -> None:
    """A folder that has the classes in another order, or other classes, gives no false accuracy."""
    from PIL import Image

    test = glyphnet.load("digits").test
    for pixels, label in zip(test.images[:60], test.labels, strict=False):
        folder = tmp_path / "data" / f"{'b' if label else 'a'} {label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(folder / f"{len(list(folder.iterdir()))}.png")
    result = export(model, "--format", "onnx", "--quantize", "int8", "--verify", tmp_path / "data")
    assert result.exit_code == 1
    assert "The classifier does not know 'a 0', 'b 1', " in result.stderr
    assert not model.with_suffix(".onnx").exists()


def test_the_verifying_data_are_read_as_the_options_say(model: Path, tmp_path: Path) -> None:
    """--only and --layout are those of every verb: what is refused names the one that helps."""
    from PIL import Image

    test = glyphnet.load("digits").test
    for row, (pixels, label) in enumerate(zip(test.images[:40], test.labels, strict=False)):
        for kind in ("images", "masks"):
            folder = tmp_path / "data" / str(label) / kind
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[..., 0] // (1 if kind == "images" else 9)).save(folder / f"x{row}.png")
    words = (model, "--format", "onnx", "--verify", tmp_path / "data")
    refused = export(*words)
    assert (refused.exit_code, "--only images" in refused.stderr) == (1, True)
    result = export(*words, "--only", "images", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["images"] == 40


def test_the_suffix_of_out_says_which_format_is_written(model: Path, tmp_path: Path) -> None:
    for name, suffix in (*((name, row.suffix) for name, row in FORMATS.items()), ("card", ".md"), ("html", ".HTM")):
        result = export(model, "--out", tmp_path / f"x{suffix}", "--json")
        assert (result.exit_code, json.loads(result.stdout)["format"]) == (0, name), result.stderr
    assert load_onnx(tmp_path / "x.onnx").classes
    assert (tmp_path / "x.HTM").read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--format", "html", "--out", "x.onnx"), "x.onnx: ends in .onnx, but a .html file is written"),
        (("--format", "onnx", "--out", "x.pt2"), "Choose another name: x.onnx."),
        (("--format", "card", "--out", "x.html"), "Choose another name: x.md."),
        (("--format", "pt2", "--out", "x.safetensors"), "Choose another name: x.pt2."),
        (("--out", "x"), "x: the suffix names no format. Use .html (html), .onnx (onnx), .pt2 (pt2), .md (card)"),
        (("--out", "/dev/stdout"), "/dev/stdout: the suffix names no format"),
    ],
)
def test_a_name_that_promises_another_format_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = export(model, *words)
    assert result.exit_code == 1
    assert told in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [model.name]


def test_a_name_of_no_format_is_the_users_choice(model: Path, tmp_path: Path) -> None:
    assert export(model, "--format", "onnx", "--out", tmp_path / "m.v2").exit_code == 0
    assert (tmp_path / "m.v2").is_file()
