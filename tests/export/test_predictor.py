"""Without torch: a model file predicts a few pictures by NumPy, as torch does, and refuses nothing by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from glyphnet.classifier import load_model
from glyphnet.errors import CorruptFileError, DeviceError
from glyphnet.nn.forward import ACTIVATIONS as COMPUTED
from glyphnet.nn.kinds import MLPSpec
from glyphnet.nn.plain import TYPES
from glyphnet.nn.spec import ACTIVATIONS, InputShape
from glyphnet.onnxmodel import OnnxModel
from glyphnet.predictor import MOST_WORK, load_plain, load_predictor
from glyphnet.tensorfile import read_tensors, write_tensors

from .test_onnx import NETWORKS_AND_TWISTS

MODELS = Path(__file__).parents[1] / "models"


@pytest.mark.parametrize("shape", [(16, 16, 1), (17, 19, 3)], ids=str)
@pytest.mark.parametrize(
    "network",
    [
        *(each for each in NETWORKS_AND_TWISTS if each != "efficientnet-lite0"),  # NumPy would take too long
        {
            "kind": "chain",
            "layers": [
                {"type": "batchNorm"},
                {"type": "convolution", "outputs": 5, "kernel": 4, "stride": 2, "padding": 2, "bias": False},
                {"type": "activation", "name": "tanh"},
                {"type": "maxPool", "size": 3},
                {"type": "dense", "outputs": 9},
                {"type": "batchNorm"},
                {"type": "dropout"},
                {"type": "activation", "name": "gelu"},
            ],
        },
    ],
    ids=str,
)
def test_every_network_answers_as_in_torch(make_classifier, images_of, tmp_path, network, shape):
    classifier = make_classifier(network, shape)
    classifier.save(tmp_path / "m.safetensors")
    plain = load_plain(tmp_path / "m.safetensors", 1)
    assert plain is not None
    images = images_of(shape)
    expected, answers = classifier.answer(images), plain.answer(images)
    np.testing.assert_allclose(answers.probabilities, expected.probabilities, atol=2e-5)
    np.testing.assert_allclose(answers.foreign, expected.foreign, atol=2e-5)
    np.testing.assert_array_equal(answers.labels, expected.labels)
    assert answers.reasons == expected.reasons
    assert (plain.lacking, plain.rules) == (classifier.lacking, classifier.rules)


@pytest.mark.parametrize("mode", ["standardize", "unit_range", "unit_norm"])
def test_every_preprocessing_is_the_same(make_classifier, images_of, tmp_path, mode):
    classifier = make_classifier("cnn", (16, 12, 3), mode)
    classifier.save(tmp_path / "m.safetensors")
    plain, images = load_plain(tmp_path / "m.safetensors", 1), images_of((16, 12, 3))
    assert plain is not None
    np.testing.assert_allclose(plain.predict_proba(images), classifier.predict_proba(images), atol=2e-5)


@pytest.mark.parametrize("name", ["version-1", "digits-version-1"])
def test_the_models_of_before_answer_as_in_torch(images_of, name):
    path = MODELS / f"{name}.safetensors"
    classifier, plain = load_model(path), load_plain(path, 1)
    assert plain is not None
    images = images_of(classifier.input_shape, 200)
    np.testing.assert_allclose(plain.predict_proba(images), classifier.predict_proba(images), atol=1e-6)
    assert plain.lacking == classifier.lacking


def test_every_activation_is_computed():
    assert {*COMPUTED, "identity"} == {*ACTIVATIONS}
    assert {*ACTIVATIONS.values()} <= {*TYPES}


def test_the_command_loads_no_torch(make_classifier, tmp_path):
    model, picture = tmp_path / "m.safetensors", tmp_path / "p.png"
    make_classifier("cnn").save(model)
    Image.fromarray(np.full((12, 16), 255, np.uint8)).save(picture)
    script = (
        "import sys; from glyphnet.cli import app\n"
        "try: app(sys.argv[1:], standalone_mode=False)\n"
        "finally: assert not {'torch', 'onnxruntime', 'scipy.special'} & set(sys.modules)"
    )
    words = [sys.executable, "-c", script, "predict", str(model), str(picture), "--json"]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    [found] = json.loads(run.stdout)["predictions"]
    assert found["label"] == load_model(model).predict([picture])[0]


def test_what_takes_torch_is_left_to_it(make_classifier, tmp_path):
    path = tmp_path / "m.safetensors"
    make_classifier("cnn").save(path)
    assert isinstance(load_predictor(path, pictures=1), OnnxModel)
    assert load_plain(path, MOST_WORK) is None, "so many pictures take longer than torch takes to load"
    assert not isinstance(load_predictor(path), OnnxModel)
    with pytest.raises(DeviceError):
        load_predictor(path, "cuda:99", pictures=1)


def test_a_network_that_is_built_otherwise_than_its_base_is_left_to_torch():
    class Squashed(MLPSpec):
        def network(self, input_shape: InputShape, classes: int) -> nn.Module:
            return nn.Sequential(OrderedDict(super().network(input_shape, classes).named_children(), end=nn.Tanh()))

    class Narrow(MLPSpec):
        hidden: tuple[int, ...] = (3,)

    assert Squashed().stack((8, 8, 1), 3) is None, "the layers of its base would be another network"
    assert Narrow().stack((8, 8, 1), 3) is not None


@pytest.mark.parametrize("fault", ["name", "shape", "nan", "infinite answers", "altered", "features"])
def test_a_file_that_is_refused_is_refused_by_torch_s_path(make_classifier, tmp_path, fault):
    path = tmp_path / "m.safetensors"
    make_classifier("mlp").save(path)
    header, tensors = read_tensors(path, kind="model", newest=9)
    match fault:
        case "name":
            tensors["other"] = tensors.pop("head.bias")
        case "shape":
            tensors["head.bias"] = tensors["head.bias"][:-1]
        case "nan":
            tensors["head.bias"][0] = np.nan
        case "infinite answers":
            tensors["head.weight"].fill_(3e38)
        case "features":
            tensors["prototypes"] = tensors["prototypes"][:, :-1]
            header["foreign"]["features"] -= 1
    write_tensors(path, tensors, header)
    if fault == "altered":
        with open(path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\x01" if file.read(1) != b"\x01" else b"\x02")
    assert load_plain(path, 1) is None
    with pytest.raises(CorruptFileError) as refused:
        load_model(path)
    with pytest.raises(CorruptFileError) as same:
        load_predictor(path, pictures=1)
    assert str(same.value) == str(refused.value)
