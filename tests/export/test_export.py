"""The verb: an export proves itself or nothing changes; 8 bits; the PyTorch program."""

from __future__ import annotations

import dataclasses
import io
import json
import sys

import numpy as np
import pytest
import torch

from glyphnet.errors import ExportError, MissingExtraError, SettingsError
from glyphnet.export import FORMATS, HeldOutImages, export
from glyphnet.nn import NETWORKS
from glyphnet.onnxmodel import load_onnx


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_answers_as_the_model_does(make_classifier, tmp_path, name):
    classifier = make_classifier("cnn")
    path = tmp_path / f"model{FORMATS[name].suffix}"
    exported = export(classifier, path)
    assert (exported.format, exported.size) == (name, path.stat().st_size)
    assert exported.proof.source == "40 held-out images of the model file"
    assert (exported.proof.images, exported.proof.same_labels) == (40, 40)
    assert exported.proof.difference <= FORMATS[name].tolerance
    again = FORMATS[name].answer(path.read_bytes(), classifier.samples)
    own = classifier.answer(classifier.samples)
    np.testing.assert_allclose(again.probabilities, own.probabilities, atol=FORMATS[name].tolerance)
    if again.foreign is not None:
        np.testing.assert_allclose(again.foreign, own.foreign, atol=FORMATS[name].tolerance)
    assert (again.foreign is None) == (name == "pt2")
    assert exported.proof.same_reasons == 40
    assert {"unlike_training", None} <= set(own.reasons), "the images must include both kinds"


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_that_answers_otherwise_is_not_written(make_classifier, tmp_path, name, monkeypatch):
    row = FORMATS[name]
    other = make_classifier("cnn", temperature=0.5)  # the same labels, other probabilities
    monkeypatch.setitem(FORMATS, name, dataclasses.replace(row, make=lambda _, held: row.make(other, held)))
    path = tmp_path / f"model{row.suffix}"
    path.write_bytes(b"what was there before")
    with pytest.raises(
        ExportError, match="of 40 held-out images.* 40 get the same label.*off by up to 0.* Nothing is writ"
    ):
        export(make_classifier("cnn"), path)
    assert path.read_bytes() == b"what was there before"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_one_label_that_differs_is_enough_to_refuse(make_classifier, tmp_path, monkeypatch):
    classifier = make_classifier("linear")
    row = FORMATS["onnx"]

    def nearly(content, images):
        answers = row.answer(content, images)
        answers.probabilities[3] = np.roll(answers.probabilities[3], 1)
        return answers

    monkeypatch.setitem(FORMATS, "onnx", dataclasses.replace(row, answer=nearly, tolerance=2.0))
    with pytest.raises(ExportError, match="of 40 held-out images .* 39 get the same label"):
        export(classifier, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_one_score_that_differs_is_enough_to_refuse(make_classifier, tmp_path, monkeypatch):
    classifier = make_classifier("cnn")
    row = FORMATS["onnx"]

    def nearly(content, images):
        answers = row.answer(content, images)
        answers.foreign[3] += 0.01
        return answers

    monkeypatch.setitem(FORMATS, "onnx", dataclasses.replace(row, answer=nearly))
    with pytest.raises(ExportError, match="scores by 0.01"):
        export(classifier, tmp_path / "model.onnx")


def test_without_held_out_images_it_says_that_random_ones_prove_little(make_classifier, tmp_path):
    exported = export(make_classifier("linear", samples=False), tmp_path / "model.onnx")
    assert exported.proof.source == "32 random images"
    assert "holds no held-out images" in exported.note
    assert "--verify DATA" in exported.note


def test_the_images_to_verify_on_can_be_given(make_classifier, images_of, tmp_path):
    images = HeldOutImages(images_of((16, 12, 1), 7), "7 images (mine)")
    assert export(make_classifier("cnn"), tmp_path / "m.onnx", verify=images).proof.source == "7 images (mine)"


def test_a_page_takes_wider_weights_where_sixteen_bits_do_not_answer_alike(make_classifier, tmp_path, monkeypatch):
    classifier = make_classifier("linear")
    narrow = export(classifier, tmp_path / "a.html")
    monkeypatch.setattr("glyphnet.export.webpage.TOLERANCE", 1e-7)
    wide = export(classifier, tmp_path / "b.html")
    assert narrow.proof.difference > wide.proof.difference
    assert wide.size > narrow.size


# Of 50 layers with random weights eight bits leave little; trained ones: tests/test_backbone.py.
@pytest.mark.parametrize("network", [kind for kind in NETWORKS if kind != "efficientnet-lite0"])
def test_eight_bits_are_a_quarter_of_the_size_and_nearly_as_right(make_classifier, tmp_path, network):
    classifier = make_classifier(network, (28, 28, 1))
    whole = export(classifier, tmp_path / "whole.onnx")
    small = export(classifier, tmp_path / "small.onnx", quantize=True)
    assert small.proof.same_labels >= 36, small.proof
    assert small.proof.difference > whole.proof.difference
    if whole.size > 200_000:
        assert small.size < 0.35 * whole.size
    model = load_onnx(tmp_path / "small.onnx")
    assert model.about["quantized"] == "int8"
    assert model.classes == classifier.classes


def test_eight_bits_are_measured_on_real_images_or_not_at_all(make_classifier, images_of, tmp_path):
    bare = make_classifier("cnn", samples=False)
    with pytest.raises(ExportError, match="the model file holds none. Name data: --verify DATA"):
        export(bare, tmp_path / "m.onnx", quantize=True)
    assert not (tmp_path / "m.onnx").exists()
    images = HeldOutImages(images_of((16, 12, 1), 50), "50 images (mine)")
    assert export(bare, tmp_path / "m.onnx", verify=images, quantize=True).proof.same_labels > 40


def test_formats_without_eight_bits_say_so(make_classifier, tmp_path):
    with pytest.raises(SettingsError, match="The format html has no 8-bit weights: .* or use onnx"):
        export(make_classifier("linear"), tmp_path / "m.html", quantize=True)
    assert not (tmp_path / "m.html").exists()


def test_a_format_that_is_not_there_is_named_with_the_near_miss(make_classifier, tmp_path):
    with pytest.raises(SettingsError, match='unknown export format "onx"; did you mean "onnx"'):
        export(make_classifier("linear"), tmp_path / "m", "onx")
    with pytest.raises(SettingsError, match=r"m.bin: the suffix names no format. Use .html \(html\), .onnx"):
        export(make_classifier("linear"), tmp_path / "m.bin")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_answered_with_the_command(make_classifier, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "glyphnet.export.onnx", raising=False)
    with pytest.raises(MissingExtraError, match=r'pip install "glyphnet\[export\]"'):
        export(make_classifier("linear"), tmp_path / "m.onnx")


@pytest.mark.parametrize("network", ["mlp", "resnet", "rnn"])
def test_the_pytorch_program_runs_without_glyphnet(make_classifier, images_of, tmp_path, network):
    classifier = make_classifier(network, preprocessing="unit_norm" if network == "mlp" else "standardize")
    export(classifier, tmp_path / "model.pt2")
    extra = {"glyphnet.json": ""}
    program = torch.export.load(io.BytesIO((tmp_path / "model.pt2").read_bytes()), extra_files=extra).module()
    images = images_of((16, 12, 1), 3)
    with torch.no_grad():
        answers = program(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(answers, classifier.predict_proba(images), atol=1e-6)
    told = json.loads(extra["glyphnet.json"])
    assert told["classes"] == list(classifier.classes)
    assert told["threshold"] == 0.6
