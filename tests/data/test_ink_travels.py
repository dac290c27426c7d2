"""From the training images into the model file, and from there to every picture that is classified."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from glyphnet import train
from glyphnet.classifier import Classifier, load_model
from glyphnet.cli import app
from glyphnet.data import ImageDataset, Splits
from glyphnet.data.decode import fit_image
from glyphnet.data.ink import InkSpec, measure_ink, normalize_picture
from glyphnet.errors import CorruptFileError, SettingsError
from glyphnet.modelfile import FORMAT_VERSION
from glyphnet.nn import Preprocessing, build, parse_network
from glyphnet.progress import Reporter
from glyphnet.tensorfile import read_tensors, write_tensors

SHAPE = (28, 28, 1)
INK = InkSpec(kind="ink", background=0, box=(20, 20), centring="mass", centre=(14.5, 14.5), drift=0.5)


@pytest.fixture
def classifier() -> Classifier:
    spec = parse_network("linear")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(spec, SHAPE, 4)
    return Classifier(network, spec, SHAPE, tuple("abcd"), Preprocessing(mean=(0.1,), std=(0.3,)), ink=INK)


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    sheet = Image.new("L", (180, 150), 230)
    ImageDraw.Draw(sheet).line([(20, 30), (60, 35), (30, 90)], fill=40, width=9)
    sheet.save(tmp_path / "drawing.png")
    return tmp_path / "drawing.png"


def predict(*words: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def test_files_images_bytes_and_arrays_of_other_sizes_are_made_like_training(
    classifier: Classifier, drawing: Path
) -> None:
    image = Image.open(drawing)
    expected = classifier.predict_proba(normalize_picture(image, INK, SHAPE).pixels)
    given = [drawing, str(drawing), image, drawing.read_bytes(), np.asarray(image), [drawing], [np.asarray(image)]]
    for one in (*given, np.asarray(image)[np.newaxis, ..., np.newaxis]):
        np.testing.assert_array_equal(classifier.predict_proba(one), expected)
    plain = dataclasses.replace(classifier, ink=None)
    assert np.abs(plain.predict_proba(image) - expected).max() > 0.01
    np.testing.assert_array_equal(plain.predict_proba(image), plain.predict_proba(fit_image(image, SHAPE)))


def test_arrays_of_the_models_own_shape_are_taken_as_they_are(classifier: Classifier) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    plain = dataclasses.replace(classifier, ink=None).predict_proba(noise)
    np.testing.assert_array_equal(classifier.predict_proba(noise), plain)
    np.testing.assert_array_equal(classifier.predict_proba(list(noise)), plain)
    buffer = io.BytesIO()
    Image.fromarray(noise[0, ..., 0]).save(buffer, "PNG")
    assert np.abs(classifier.predict_proba(buffer.getvalue()) - plain[0]).max() > 0.001, "but a picture of noise is not"


def test_it_travels_in_the_model_file(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").ink == INK
    assert read_tensors(tmp_path / "m.safetensors", kind="model", newest=FORMAT_VERSION)[0]["ink"]["box"] == [20, 20]
    dataclasses.replace(classifier, ink=None).save(tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").ink is None
    assert "ink" not in read_tensors(tmp_path / "m.safetensors", kind="model", newest=FORMAT_VERSION)[0], (
        "as in files of before"
    )


def test_a_box_larger_than_the_images_is_refused(classifier: Classifier, tmp_path: Path) -> None:
    large = INK.model_copy(update={"box": (29, 20)})
    with pytest.raises(SettingsError, match=r"a box of \(29, 20\) does not fit into images of \(28, 28\)"):
        dataclasses.replace(classifier, ink=large)
    path = tmp_path / "m.safetensors"
    classifier.save(path)
    header, tensors = read_tensors(path, kind="model", newest=FORMAT_VERSION)
    write_tensors(path, tensors, {**header, "ink": {**header["ink"], "box": [29, 20]}})
    with pytest.raises(CorruptFileError, match="does not fit into images"):
        load_model(path)


def test_training_measures_it_and_says_it(tmp_path: Path) -> None:
    images = np.zeros((60, 12, 12, 1), np.uint8)
    for row, image in enumerate(images):
        image[2 + row % 2 : 10, 4 + row % 3] = 255
    labels = (np.arange(60) % 2).astype(np.int64)
    parts = [ImageDataset(images[k::3], labels[k::3], ("a", "b"), [str(n) for n in range(k, 60, 3)]) for k in range(3)]
    splits = Splits("bars", *parts)
    told: list[str] = []
    run = train(
        splits, preset="fast", changes={"network": "linear", "epochs": 1}, device="cpu", reporter=Reporter(told.append)
    )
    assert run.classifier is not None
    assert run.classifier.ink == measure_ink(splits.train.images)
    assert run.classifier.ink.kind == "ink"
    assert run.classifier.about_normalizing in told


def test_predict_says_once_that_pictures_were_changed_and_as_is_leaves_them(
    classifier: Classifier, drawing: Path, tmp_path: Path
) -> None:
    model = tmp_path / "m.safetensors"
    classifier.save(model)
    result = predict(model, drawing, drawing)
    assert result.exit_code == 0
    told = f"{INK} Pass --as-is to leave them as they are."
    assert result.stderr.splitlines().count(told) == 1
    assert len(result.stdout.splitlines()) == 3
    plain = predict("--as-is", model, drawing)
    assert told not in plain.stderr
    assert plain.stdout.splitlines()[1] != result.stdout.splitlines()[1]
    like = tmp_path / "like.png"
    Image.fromarray(normalize_picture(Image.open(drawing), INK, SHAPE).pixels[..., 0]).save(like)
    assert told not in predict(model, like).stderr, "nothing was changed"
