"""Predicting with an exported ONNX file: the model's answers, no torch, and nothing that a stranger's file names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from typer.testing import CliRunner

from glyphnet import onnxmodel
from glyphnet.cli import app
from glyphnet.errors import (
    CorruptFileError,
    DeviceError,
    MissingExtraError,
    ModelFileError,
    SettingsError,
    UnsupportedFileError,
)
from glyphnet.export.onnxformat import make
from glyphnet.onnxmodel import load_onnx, parse_onnx
from glyphnet.predictor import load_predictor

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def classifier(make_classifier):
    return make_classifier("cnn")


@pytest.fixture(scope="module")
def content(classifier):
    return make(classifier)


def changed(content, **metadata):
    """The model with some of its metadata changed; None takes one out."""
    model = onnx.load_from_string(content)
    told = {entry.key: entry.value for entry in model.metadata_props} | metadata
    del model.metadata_props[:]
    helper.set_model_props(model, {key: value for key, value in told.items() if value is not None})
    return model.SerializeToString()


def test_it_answers_as_the_classifier_does(classifier, content, images_of, tmp_path):
    (tmp_path / "m.onnx").write_bytes(content)
    model = load_onnx(tmp_path / "m.onnx")
    images = images_of((16, 12, 1), 23)
    assert (model.classes, model.input_shape, model.threshold) == (classifier.classes, (16, 12, 1), 0.6)
    np.testing.assert_allclose(model.predict_proba(images), classifier.predict_proba(images), atol=2e-6)
    np.testing.assert_array_equal(model.predict_labels(images, batch_size=5), classifier.predict_labels(images))
    assert model.predict(images) == classifier.predict(images)
    assert model.predict(images, reject=True) == classifier.predict(images, reject=True)
    assert model.predict_proba([]).shape == (0, 5)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8))
    np.testing.assert_allclose(model.predict_proba(picture), classifier.predict_proba(picture), atol=2e-6)


def test_without_a_threshold_rejecting_is_refused(content):
    with pytest.raises(SettingsError, match="This model cannot reject"):
        parse_onnx(changed(content, threshold="null", foreign_threshold="null"), "m.onnx").predict([], reject=True)


@pytest.mark.parametrize(
    ("junk", "message"),
    [
        (b"", "m.onnx: says nothing of classes and images, so GlyphNet did not export it"),
        (b"hello, world", "m.onnx: is no ONNX file ("),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "m.onnx: looks like a PNG image; an .onnx file that glyphnet export wrote"),
        (b"\x0a" + b"\xff" * 12, "m.onnx: is no ONNX file (it has a number without end"),
        (b"\x3a\x7f", "m.onnx: is no ONNX file (it ends in the middle of a field"),
        (bytes(100), "m.onnx: is no ONNX file (it has a field without a number)"),
    ],
)
def test_what_is_no_onnx_file_of_ours_is_named(junk, message):
    with pytest.raises(CorruptFileError) as caught:
        parse_onnx(junk, "m.onnx")
    assert str(caught.value).startswith(message)


def test_every_truncation_is_refused(content):
    for length in range(0, len(content), len(content) // 60):
        with pytest.raises(ModelFileError):
            parse_onnx(content[:length], "m.onnx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"glyphnet": None}, "did not export it"),
        ({"classes": '["a", "b"]'}, "its output is not `probabilities`, float32 (N, 2)"),
        ({"classes": '["a", "a", "b", "c", "d"]'}, "two classes have the same name"),
        ({"classes": '"abcde"'}, "the classes are no list of names"),
        ({"classes": "[" * 100_000}, "its metadata do not fit its graph"),
        ({"threshold": "7"}, "the threshold is 7"),
        ({"temperature": None}, "temperature"),
        ({"ink": '{"kind": "pen"}'}, "its metadata do not fit its graph"),
        ({"provenance": "{"}, "its metadata do not fit its graph"),
    ],
)
def test_metadata_that_do_not_fit_are_named(content, change, message):
    with pytest.raises(CorruptFileError) as caught:
        parse_onnx(changed(content, **change), "m.onnx")
    assert message in str(caught.value)


def test_a_newer_version_is_told_to_upgrade(content):
    with pytest.raises(UnsupportedFileError, match="has format version '2', and this GlyphNet reads 1. Upgrade with"):
        parse_onnx(changed(content, glyphnet="2"), "m.onnx")


def external(tensor):
    """Let a tensor's numbers come out of a file."""
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "secret.bin"), ("offset", "0"), ("length", str(size))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def test_weights_in_other_files_are_never_opened(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("secret.bin").write_bytes(bytes(1 << 20))
    model = onnx.load_from_string(content)
    external(next(one for one in model.graph.initializer if len(one.raw_data) > 64))
    with pytest.raises(UnsupportedFileError, match="keeps weights in other files, which are never opened"):
        parse_onnx(model.SerializeToString(), "m.onnx")
    # In a constant within a graph within an attribute as well.
    model = onnx.load_from_string(content)
    inner = helper.make_graph([], "inner", [], [], [external(onnx.numpy_helper.from_array(np.zeros(99, np.float32)))])
    node = helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner)
    model.graph.node.append(node)
    with pytest.raises(UnsupportedFileError, match="keeps weights in other files"):
        parse_onnx(model.SerializeToString(), "m.onnx")


def test_files_that_cannot_be_opened_are_named(tmp_path, monkeypatch):
    with pytest.raises(ModelFileError, match=r"no\.onnx: there is no such file\."):
        load_onnx(tmp_path / "no.onnx")
    with pytest.raises(CorruptFileError, match="is a folder; an .onnx file"):
        load_onnx(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(CorruptFileError, match="is not a regular file"):
        load_onnx(tmp_path / "pipe.onnx")
    monkeypatch.setattr(onnxmodel, "LARGEST_FILE", 10)
    (tmp_path / "m.onnx").write_bytes(bytes(11))
    with pytest.raises(ModelFileError, match="11 bytes, more than the limit of 10"):
        load_onnx(tmp_path / "m.onnx")


def test_without_onnx_runtime_it_says_what_to_install(content, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r'Predicting with an ONNX model .* pip install "glyphnet\[export\]"'):
        parse_onnx(content, "m.onnx")


def test_a_predictor_is_chosen_by_the_files_name(classifier, content, tmp_path):
    (tmp_path / "m.ONNX").write_bytes(content)
    classifier.save(tmp_path / "m.safetensors")
    assert type(load_predictor(tmp_path / "m.ONNX")).__name__ == "OnnxModel"
    assert type(load_predictor(tmp_path / "m.safetensors")).__name__ == "Classifier"
    with pytest.raises(DeviceError, match="An ONNX model is run on the processor: the device 'cuda'"):
        load_predictor(tmp_path / "m.ONNX", "cuda")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, images_of):
    folder = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(images_of((16, 12, 1), 12)):
        Image.fromarray(pixels[..., 0]).save(folder / f"{number:02}.png")
    return folder


@pytest.mark.parametrize("options", [[], ["--json"], ["--topk", "3", "--csv"], ["--reject"]], ids=str)
def test_the_command_line_prints_the_same_and_loads_no_torch(classifier, content, pictures, tmp_path, options):
    classifier.save(tmp_path / "m.safetensors")
    (tmp_path / "m.onnx").write_bytes(content)
    script = (
        "import sys; from glyphnet.cli import main\n"
        "try: main()\n"
        "finally: print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, "predict", str(tmp_path / "m.onnx"), *options, str(pictures)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    here = CliRunner().invoke(app, ["predict", str(tmp_path / "m.safetensors"), *options, str(pictures)])
    assert here.exit_code == 0, here.stderr
    printed = {
        "m.onnx": run.stdout.replace("m.onnx", "MODEL"),
        "m.safetensors": here.stdout.replace("m.safetensors", "MODEL"),
    }
    assert not {"torch", "onnx", "sklearn", "scipy", "matplotlib"} & set(run.stderr.split())
    number = re.compile(r"0\.\d{6}|1\.000000|0\.\d+(?=[,}])")
    assert number.sub("P", printed["m.onnx"]) == number.sub("P", printed["m.safetensors"])
    probabilities = [list(map(float, number.findall(text))) for text in printed.values()]
    np.testing.assert_allclose(*probabilities, atol=2e-5)
    assert printed["m.onnx"].count(".png") >= 12


def test_a_short_script_without_glyphnet_gives_our_labels(classifier, content, pictures, tmp_path):
    (tmp_path / "m.onnx").write_bytes(content)
    script = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    files = sorted(map(str, pictures.iterdir()))
    command = [sys.executable, "-I", "-c", script, str(ROOT / "docs" / "run_onnx.py"), str(tmp_path / "m.onnx"), *files]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONUTF8": "1"})
    assert not {"glyphnet", "torch", "onnx"} & set(run.stderr.split())
    answers = zip(files, run.stdout.splitlines(), strict=True)
    told = [line.removeprefix(f"{file},").rsplit(",", 2) for file, line in answers]
    assert [label for label, _, _ in told] == classifier.predict(files)
    assert [reason or None for _, _, reason in told] == classifier.answer(files).reasons
    lines = [line for line in (ROOT / "docs" / "run_onnx.py").read_text().splitlines() if line and "import" not in line]
    assert len(lines) <= 20, "a docstring and some lines"
