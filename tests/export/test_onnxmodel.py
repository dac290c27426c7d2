"""Predicting with an exported ONNX file: the model's answers, no torch, and nothing that a stranger's file names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from typer.testing import CliRunner

from glyphnet import onnxmodel
from glyphnet._onnxwire import MOST_PARTS, SEALED, check_graph, read_graph, seal, unsealed
from glyphnet.cli import app
from glyphnet.errors import (
    CorruptFileError,
    DeviceError,
    MissingExtraError,
    ModelFileError,
    SettingsError,
    UnsupportedFileError,
)
from glyphnet.export.onnx import make
from glyphnet.onnxmodel import load_onnx, parse_onnx
from glyphnet.predictor import load_predictor

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def classifier(make_classifier):
    return make_classifier("cnn")


@pytest.fixture(scope="module")
def content(classifier):
    return make(classifier)


def opened(content):
    """A sealed file for the onnx package to change."""
    return onnx.load_from_string(unsealed(content))


def sealed(model):
    return seal(model.SerializeToString())


def changed(content, **metadata):
    """The model with some of its metadata changed; None takes one out."""
    model = opened(content)
    told = {entry.key: entry.value for entry in model.metadata_props} | metadata
    del model.metadata_props[:]
    helper.set_model_props(model, {key: value for key, value in told.items() if value is not None})
    return sealed(model)


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
        (
            b"\x0a" + b"\xff" * 12,
            "m.onnx: is no ONNX file (it is not in the format of Protocol Buffers, or is cut off)",
        ),
        (b"\x3a\x7f", "m.onnx: is no ONNX file (it is not in the format of Protocol Buffers, or is cut off)"),
        (bytes(100), "m.onnx: is no ONNX file (it is not in the format of Protocol Buffers, or is cut off)"),
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
    model = opened(content)
    external(next(one for one in model.graph.initializer if len(one.raw_data) > 64))
    with pytest.raises(UnsupportedFileError, match="keeps weights in other files, which are never opened"):
        parse_onnx(sealed(model), "m.onnx")


def inner_graph(*tensors):
    return helper.make_graph([], "inner", [], [], tensors)


def swap(graph, operator, *nodes):
    """Put nodes in the place of the last one with an operator."""
    place = max(place for place, node in enumerate(graph.node) if node.op_type == operator)
    there = graph.node[place]
    kept = [*graph.node]
    made = [node(there) for node in nodes]
    del graph.node[:]
    graph.node.extend([*kept[:place], *made, *kept[place + 1 :]])


def put(graph, *nodes, constants=()):
    graph.node.extend(nodes)
    graph.initializer.extend(onnx.numpy_helper.from_array(values, name) for name, values in constants)


def doubling(model):
    """Sixty times what was there twice: 2^60 numbers from a few hundred bytes."""
    names = ["probabilities", *(f"d{n}" for n in range(60))]
    nodes = [helper.make_node("Concat", [a, a], [b], axis=1) for a, b in pairwise(names)]
    put(model.graph, *nodes)


def outer_product(model):
    one, other = np.ones((1, 50_000), np.float32), np.ones((50_000, 1), np.float32)
    put(model.graph, helper.make_node("Mul", ["one", "other"], ["x"]), constants=[("one", one), ("other", other)])


def padded(model):
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    next(a for a in conv.attribute if a.name == "pads").ints[:] = [1 << 20] * 4


def costly(model):
    weight = np.zeros((256, 1, 63, 63), np.float32)
    windows = {"kernel_shape": [63, 63], "strides": [1, 1], "pads": [60] * 4}
    put(model.graph, helper.make_node("Cast", ["images"], ["c"], to=1), constants=[("w", weight)])
    put(model.graph, helper.make_node("Transpose", ["c"], ["x0"], perm=[0, 3, 1, 2]))
    wide = [helper.make_node("Conv", ["x0", "w"], [f"y{n}"], **windows) for n in range(40)]
    put(model.graph, *wide)


def node(operator, inputs=("images",), **settings):
    return lambda model: put(model.graph, helper.make_node(operator, inputs, ["x"], **settings))


def unknown_setting(model):
    model.graph.node[0].attribute.append(helper.make_attribute("auto_pad", "SAME"))


def second_input(model):
    model.graph.input.append(helper.make_tensor_value_info("x", TensorProto.UINT8, [1]))


SECRET = external(onnx.numpy_helper.from_array(np.zeros(99, np.float32)))
ATTACKS = {
    "a loop": (node("Loop", ("n", ""), body=inner_graph()), "setting of a node"),
    "a branch": (node("If", ("c",), then_branch=inner_graph(), else_branch=inner_graph(SECRET)), "setting of a node"),
    "an unknown operator": (node("RandomNormal", (), shape=[9]), "RandomNormal"),
    "a custom domain": (node("Relu", domain="evil"), "evil.Relu"),
    "another domain": (lambda m: m.opset_import.append(helper.make_opsetid("evil", 1)), "operators are of versions"),
    "another opset": (lambda m: setattr(m.opset_import[0], "version", 21), "operators are of versions"),
    "a function": (lambda m: m.functions.append(helper.make_function("d", "F", [], [], [], [])), "has the part 25"),
    "a sparse constant": (lambda m: m.graph.sparse_initializer.add(), "has the part 15"),
    "an unknown setting": (unknown_setting, "auto_pad"),
    "a second input": (second_input, "`images`"),
    "a result from nowhere": (node("Relu", ("nowhere",)), "nothing before it gives"),
    "doubling": (doubling, "multiplications for an image"),
    "an outer product": (outer_product, "multiplications for an image"),
    "wide margins": (padded, "pads is (1048576"),
    "many convolutions": (costly, "multiplications for an image"),
    "a constant without values": (lambda m: m.graph.initializer[0].dims.append(1 << 40), "as many values"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_graph_is_refused_before_it_is_run(content, attack, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # whatever reaches it fails otherwise
    change, message = ATTACKS[attack]
    model = opened(content)
    change(model)
    with pytest.raises(CorruptFileError) as caught:
        parse_onnx(sealed(model), "m.onnx")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "scale", "values"),
    [("Identity", 1, "its outputs are not probabilities"), ("Softmax", np.nan, "its outputs are not probabilities")],
    ids=["logits", "NaN"],
)
def test_what_is_no_probability_is_an_error(content, images_of, operator, scale, values):
    model = opened(content)
    settings = {"axis": 1} if operator == "Softmax" else {}
    put(model.graph, constants=[("scale", np.float32(scale))])
    swap(
        model.graph,
        "Softmax",
        lambda old: helper.make_node("Mul", [old.input[0], "scale"], ["scaled"]),
        lambda old: helper.make_node(operator, ["scaled"], ["probabilities"], **settings),
    )
    hostile = parse_onnx(sealed(model), "m.onnx")
    with pytest.raises(CorruptFileError, match=values):
        hostile.predict(images_of((16, 12, 1), 3))


def test_a_failure_while_it_runs_is_typed(content, images_of):
    """The shapes fit, the types do not: int64 labels are asked for as probabilities."""
    model = parse_onnx(content, "m.onnx")

    class Failing:
        def run(self, *_):
            raise RuntimeError("[ONNXRuntimeError] : 6 : out of memory")

    with pytest.raises(ModelFileError, match=r"m\.onnx: ONNX Runtime failed on it \(\[ONNXRuntimeError\] : 6"):
        onnxmodel.replace(model, session=Failing()).predict(images_of((16, 12, 1), 3))


def test_any_damage_is_noticed(content):
    """One flipped bit anywhere, a piece lost, a piece zeroed, something behind the end."""
    generator = np.random.default_rng(0)
    damaged = [content + b"\0", content[:-1], content + content]
    for place in [*generator.integers(0, len(content), 60).tolist(), *range(len(content) - 80, len(content), 3)]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(generator.integers(8))
        damaged.append(bytes(flipped))
        length = int(generator.integers(1, 3000))
        damaged.append(content[:place] + content[place + length :])
        damaged.append(content[:place] + bytes(min(length, len(content) - place)) + content[place + length :])
    for each in damaged:
        if each != content:
            with pytest.raises(ModelFileError):
                parse_onnx(each, "m.onnx")


def test_a_file_of_before_is_loaded_and_says_that_it_has_no_checksum(content, classifier, images_of):
    model = opened(content)
    entries = [entry for entry in model.metadata_props if entry.key != SEALED]
    del model.metadata_props[:]
    model.metadata_props.extend(entries)
    old = parse_onnx(model.SerializeToString(), "m.onnx")
    images = images_of((16, 12, 1), 3)
    np.testing.assert_allclose(old.predict_proba(images), classifier.predict_proba(images), atol=2e-6)
    assert "exported before files had a checksum" in old.lacking
    assert "checksum" not in parse_onnx(content, "m.onnx").lacking


def test_files_that_cannot_be_opened_are_named(tmp_path, monkeypatch):
    with pytest.raises(ModelFileError, match=r"no\.onnx: there is no such file\."):
        load_onnx(tmp_path / "no.onnx")
    with pytest.raises(CorruptFileError, match="is a folder; an .onnx file"):
        load_onnx(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelFileError, match="is a named pipe, not a regular file"):
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


@pytest.mark.parametrize(
    "inner", [b"\x0a\x00" * (MOST_PARTS + 1), b"\x0a\x00" * 2, None], ids=["nodes", "few", "numbers"]
)
def test_more_parts_than_any_export_has_are_refused_before_they_take_memory(inner):
    def part(tag, content):
        size, groups = len(content), b""
        while size > 127:
            groups, size = groups + bytes([size & 127 | 128]), size >> 7
        return tag + groups + bytes([size]) + content

    if inner is None:  # one node with one setting of very many whole numbers, a byte each
        inner = part(b"\x0a", part(b"\x2a", part(b"\x42", b"\x01" * MOST_PARTS)))
    with pytest.raises(ValueError, match="parts" if len(inner) > 100 else "operators are of versions|its input"):
        check_graph(read_graph(part(b"\x3a", inner)))
