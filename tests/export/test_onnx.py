"""ONNX: every kind of network answers as in torch, from raw pixels to probabilities, and the file tells all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import shape_inference

from glyphnet.errors import ExportError
from glyphnet.export.onnx import OPSET, make
from glyphnet.nn import NETWORKS
from glyphnet.nn.layers import layers_of
from glyphnet.nn.spec import ACTIVATIONS

NETWORKS_AND_TWISTS = [
    *NETWORKS,
    {"kind": "cnn", "batch_norm": True, "downsample": "pool", "stem_kernel": 3, "stem_stride": 1},
    {"kind": "cnn", "convs_per_stage": 2, "mean_pixel": True, "dense": [], "batch_norm": True},
    {"kind": "cnn-classic", "batch_norm": True, "convs_per_stage": 2, "padding": True, "dense": [9], "channels": [5]},
    {"kind": "mlp", "batch_norm": True, "hidden": [9, 7], "input_dropout": 0.1},
    {"kind": "resnet", "blocks": 2, "channels": [4, 8], "stem_stride": 2},
    {"kind": "rnn", "hidden": 7, "layers": 2, "bidirectional": True},
    *({"kind": "ensemble", "members": 3, "member": {"kind": kind}} for kind in ("linear", "cnn", "resnet", "rnn")),
    *({"kind": "cnn", "activation": name, "batch_norm": True} for name in ACTIVATIONS),
]


def run(content, images):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["probabilities", "labels"], {"images": images})


@pytest.mark.parametrize("network", NETWORKS_AND_TWISTS, ids=str)
@pytest.mark.parametrize("shape", [(16, 16, 1), (17, 19, 3)], ids=str)
def test_every_network_answers_as_in_torch(make_classifier, images_of, network, shape):
    classifier = make_classifier(network, shape)
    content = make(classifier)
    images = images_of(shape)
    probabilities, labels = run(content, images)
    expected = classifier.predict_proba(images)
    assert len(set(expected.argmax(axis=1))) > 1, "one class for all images would prove nothing"
    # Folding a norm rounds its weights: of 50 random layers more is left than of a few.
    np.testing.assert_allclose(probabilities, expected, atol=1e-4 if network == "efficientnet-lite0" else 2e-5)
    np.testing.assert_array_equal(labels, expected.argmax(axis=1))


@pytest.mark.parametrize("mode", ["standardize", "unit_range", "unit_norm"])
@pytest.mark.parametrize("network", ["linear", "cnn", "rnn"])
def test_every_preprocessing_is_in_the_graph(make_classifier, images_of, mode, network):
    classifier = make_classifier(network, (16, 12, 3), mode)
    images = images_of((16, 12, 3))
    probabilities, _ = run(make(classifier), images)
    np.testing.assert_allclose(probabilities, classifier.predict_proba(images), atol=2e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_graph_is_sound_and_its_shapes_are_known(make_classifier, network):
    model = onnx.load_from_string(make(make_classifier(network)))
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    known = {value.name: value.type.tensor_type for value in inferred.graph.value_info}
    results = [
        name
        for node in model.graph.node
        for name in node.output
        if name not in ("", "probabilities", "labels", "foreign", "distance")
    ]
    assert {name for name in results if not known[name].HasField("shape")} == set()
    [taken] = model.graph.input
    sides = [side.dim_param or side.dim_value for side in taken.type.tensor_type.shape.dim]
    assert (taken.name, sides) == ("images", ["N", 16, 12, 1])
    assert taken.type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_the_batch_may_have_any_length(make_classifier, images_of):
    content = make(make_classifier("resnet"))
    for count in (1, 2, 7):
        assert run(content, images_of((16, 12, 1), count))[0].shape == (count, 5)


def test_the_metadata_tell_all_that_a_user_must_know(make_classifier):
    classifier = make_classifier("mlp", metrics={"accuracy": 0.9})
    told = onnxruntime.InferenceSession(make(classifier)).get_modelmeta()
    assert told.producer_name == "GlyphNet"
    told = {key: json.loads(text) for key, text in told.custom_metadata_map.items()}
    assert told["glyphnet"] == 1
    assert told["classes"] == list(classifier.classes)
    assert (told["threshold"], told["temperature"]) == (0.6, 1.7)
    assert told["network"]["kind"] == "mlp"
    assert told["metrics"] == {"accuracy": 0.9}
    assert told["provenance"]["versions"]["torch"] == str(torch.__version__)
    assert told["input"].startswith("images: uint8 (N, 16, 12, 1), grey, 0 black to 255 white")


def test_the_same_classifier_gives_the_same_bytes(make_classifier):
    assert make(make_classifier("cnn")) == make(make_classifier("cnn"))


def test_normalisation_and_dropout_leave_no_trace(make_classifier):
    network = {"kind": "cnn", "batch_norm": True, "dropout": 0.5}
    kinds = [type(layer).__name__ for layer in layers_of(make_classifier(network).network)]
    assert kinds == [
        "Convolution",
        "Activation",
        "Convolution",
        "Activation",
        "Flatten",
        "Dense",
        "Activation",
        "Dense",
    ]


def test_a_layer_that_no_exporter_knows_is_named():
    with pytest.raises(ExportError, match="A layer of type PReLU cannot be exported. Supported types: Sequential, "):
        layers_of(torch.nn.Sequential(torch.nn.PReLU()))


def test_a_bias_before_a_normalisation_is_folded_as_well():
    """None of our builders makes such a pair; a network of somebody's own may."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        layers = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
        x = torch.randn(20, 4)
        layers(x)
    torch.nn.init.constant_(layers[1].bias, 0.7)
    torch.nn.init.constant_(layers[1].weight, -1.3)
    [dense] = layers_of(layers.eval())
    with torch.no_grad():
        np.testing.assert_allclose(x.numpy() @ dense.weight.T + dense.bias, layers(x).numpy(), atol=1e-6)


def test_exporting_reports_nothing_to_anybody(tmp_path):
    """ONNX Runtime keeps what it is about to report in the user's folder."""
    script = f"""
from glyphnet.classifier import load_model
from glyphnet.export.export import export
export(load_model({str(Path(__file__).parents[1] / "models" / "digits-version-1.safetensors")!r}), "m.onnx")
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", script]
    subprocess.run(command, cwd=tmp_path, env=environment | {"HOME": str(home)}, check=True)
    assert (tmp_path / "m.onnx").exists()
    assert [path for path in home.rglob("*") if path.is_file() and "icrosoft" in str(path)] == []
