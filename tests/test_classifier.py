"""The classifier: one answer for one picture, in whatever form it comes, before and after the file."""

from __future__ import annotations

import copy
import dataclasses
import io
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from glyphnet.classifier import NONE_OF_THESE, Classifier, load_model
from glyphnet.data.dataset import ImageDataset
from glyphnet.data.decode import fit_image
from glyphnet.errors import BadFileError, DataError, DeviceError, ModelFileError, SettingsError
from glyphnet.modelfile import Provenance
from glyphnet.nn import NETWORKS, Preprocessing, build, parse_network

UInt8 = npt.NDArray[np.uint8]


def classifier_of(
    kind: str = "mlp", shape: tuple[int, int, int] = (12, 10, 1), classes: int = 3, **parts: Any
) -> Classifier:
    spec = parse_network(kind)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = build(spec, shape, classes)
        with torch.no_grad():
            for parameter in network.parameters():  # untrained answers hardly differ: these do
                parameter.mul_(3)
    given = {
        "network": network,
        "spec": spec,
        "input_shape": shape,
        "classes": tuple(f"class {number}" for number in range(classes)),
        "preprocessing": Preprocessing(mean=(0.4,) * shape[2], std=(0.3,) * shape[2]),
    }
    return Classifier(**(given | parts))


def pixels(count: int, shape: tuple[int, int, int] = (12, 10, 1), seed: int = 0) -> UInt8:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def png(array: UInt8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array.squeeze()).save(buffer, "PNG")
    return buffer.getvalue()


# --- what it answers ----------------------------------------------------------------------------------------


def test_shapes_dtypes_and_names_of_the_answers() -> None:
    classifier = classifier_of()
    images = pixels(5)
    logits, probabilities = classifier.logits(images), classifier.predict_proba(images)
    labels, names = classifier.predict_labels(images), classifier.predict(images)
    assert (logits.shape, logits.dtype) == ((5, 3), np.float32)
    assert (probabilities.shape, probabilities.dtype) == ((5, 3), np.float32)
    assert (labels.shape, labels.dtype) == ((5,), np.int64)
    assert names == [f"class {label}" for label in labels]
    assert len(set(names)) > 1
    np.testing.assert_array_equal(labels, probabilities.argmax(axis=1))


def test_logits_are_the_network_on_the_preprocessed_pixels() -> None:
    classifier = classifier_of("linear")
    images = pixels(4)
    weight, bias = (tensor.double().numpy() for tensor in classifier.network.state_dict().values())
    x = (images.astype(np.float64) / 255 - 0.4) / 0.3  # the oracle: NumPy, in double precision
    np.testing.assert_allclose(classifier.logits(images), x.reshape(4, -1) @ weight.T + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 7.0])
def test_probabilities_are_the_softmax_of_logits_over_temperature(temperature: float) -> None:
    classifier = classifier_of(temperature=temperature)
    images = pixels(6)
    exponentials = np.exp(classifier.logits(images).astype(np.float64) / temperature)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(images), expected, rtol=1e-5)


def test_rejection_uses_the_threshold_and_needs_one() -> None:
    classifier = classifier_of()
    images = pixels(20)
    confidence = classifier.predict_proba(images).max(axis=1)
    threshold = float(np.sort(confidence)[10])
    careful = dataclasses.replace(classifier, threshold=threshold)
    answers = careful.predict(images, reject=True)
    assert answers.count(NONE_OF_THESE) == 10  # the one exactly at the threshold is accepted
    for answer, name, value in zip(answers, classifier.predict(images), confidence, strict=True):
        assert answer == (name if value >= threshold else NONE_OF_THESE)
    assert careful.predict(images) == classifier.predict(images)
    with pytest.raises(SettingsError, match="This model cannot reject: nothing was measured"):
        classifier.predict(images, reject=True)


def test_dropout_is_off_and_no_gradient_is_kept() -> None:
    spec = parse_network({"kind": "mlp", "dropout": 0.5, "batch_norm": True})
    network = build(spec, (12, 10, 1), 3).train()
    classifier = classifier_of(network=network, spec=spec)
    first = classifier.logits(pixels(4))
    np.testing.assert_array_equal(classifier.logits(pixels(4)), first)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_inference_mode_ends_with_the_prediction_even_between_batches() -> None:
    classifier = classifier_of()
    modes: list[bool] = []

    def images() -> Iterator[UInt8]:
        for image in pixels(4):
            modes.append(torch.is_inference_mode_enabled())
            yield image

    classifier.predict_proba(images(), batch_size=1)
    assert modes == [False] * 4
    assert not torch.is_inference_mode_enabled()
    loss = classifier.network(torch.ones(2, 1, 12, 10)).sum()
    loss.backward()  # the network can be trained on afterwards


# --- what it takes ------------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[UInt8, Path], Any]] = {
    "N H W C": lambda image, _: image[np.newaxis],
    "H W C": lambda image, _: image,
    "list of arrays": lambda image, _: [image],
    "tuple": lambda image, _: (image,),
    "generator": lambda image, _: (each for each in [image]),
    "PIL": lambda image, _: Image.fromarray(image.squeeze()),
    "list of PIL": lambda image, _: [Image.fromarray(image.squeeze())],
    "Path": lambda _, path: path,
    "str": lambda _, path: str(path),
    "list of paths": lambda _, path: [path],
    "array of paths": lambda _, path: np.array([str(path)]),
    "array of objects": lambda _, path: np.array([path], dtype=object),
    "bytes": lambda image, _: png(image),
    "dataset": lambda image, _: ImageDataset(image[np.newaxis], np.array([0]), ("a", "b"), ["x"]),
    "read-only": lambda image, _: np.frombuffer(image.tobytes(), dtype=np.uint8).reshape(1, *image.shape),
    "strided": lambda image, _: np.repeat(image[np.newaxis], 2, axis=2)[:, :, ::2],
    "reversed": lambda image, _: image[::-1].copy()[::-1],
}
GREY_FORMS: dict[str, Callable[[UInt8, Path], Any]] = {
    "N H W": lambda image, _: image[np.newaxis, ..., 0],
    "H W": lambda image, _: image[..., 0],
    "list of H W": lambda image, _: [image[..., 0]],
}


@pytest.mark.parametrize(
    ("form", "channels"),
    [*((form, channels) for form in FORMS for channels in (1, 3)), *((form, 1) for form in GREY_FORMS)],
)
def test_one_picture_gives_one_answer_in_every_form(tmp_path: Path, form: str, channels: int) -> None:
    shape = (12, 10, channels)
    classifier = classifier_of("cnn", shape)
    image = pixels(1, shape)[0]
    path = tmp_path / "größe 数.png"
    path.write_bytes(png(image))
    given = (FORMS | GREY_FORMS)[form](image, path)
    answer = classifier.predict_proba(given)
    np.testing.assert_array_equal(answer, classifier.predict_proba(image[np.newaxis]))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("given", [(24, 20, 1), (24, 20, 3), (30, 9, 4), (12, 10, 3), (12, 10, 1), (1, 1, 1)])
def test_other_sizes_and_colours_are_fitted_as_files_are(
    tmp_path: Path, given: tuple[int, int, int], channels: int
) -> None:
    classifier = classifier_of("mlp", (12, 10, channels))
    image = pixels(1, given)[0]
    picture = Image.fromarray(image[..., 0] if given[2] == 1 else image)
    picture.save(tmp_path / "p.png")
    expected = classifier.logits(fit_image(picture, (12, 10, channels)))
    for form in (image, image[np.newaxis], [image], picture, tmp_path / "p.png"):
        np.testing.assert_array_equal(classifier.logits(form), expected)


def test_three_axes_are_grey_images_of_the_models_size_or_one_image_or_grey_images() -> None:
    classifier = classifier_of("mlp", (3, 4, 1))
    assert len(classifier.logits(pixels(1, (5, 3, 4))[0])) == 5  # five grey images of 3×4, not one of 4 channels
    assert len(classifier.logits(pixels(1, (6, 7, 4))[0])) == 1  # one image with transparency
    assert len(classifier.logits(pixels(1, (6, 7, 8))[0])) == 6  # six grey images of 7×8


def test_a_list_may_mix_forms_and_keeps_its_order(tmp_path: Path) -> None:
    classifier = classifier_of()
    images = pixels(4)
    (tmp_path / "a.png").write_bytes(png(images[1]))
    mixed = [images[0], tmp_path / "a.png", Image.fromarray(images[2][..., 0]), png(images[3])]
    np.testing.assert_array_equal(
        classifier.predict_proba(mixed, batch_size=3), classifier.predict_proba(images, batch_size=3)
    )


@pytest.mark.parametrize("empty", [[], (), np.empty((0, 12, 10, 1), np.uint8), np.empty((0, 12, 10), np.uint8)])
def test_no_images_give_no_rows(empty: Any) -> None:
    classifier = classifier_of()
    assert classifier.predict_proba(empty).shape == (0, 3)
    assert classifier.predict_labels(empty).dtype == np.int64
    assert classifier.predict(empty) == []


def test_a_memory_map_streams_by_batch(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", pixels(70))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    classifier = classifier_of()
    sizes: list[int] = []
    classifier.network.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
    answer = classifier.predict_proba(mapped, batch_size=32)
    assert sizes == [32, 32, 6]
    np.testing.assert_array_equal(answer, classifier.predict_proba(np.array(mapped), batch_size=32))


def test_a_generator_is_read_a_batch_at_a_time() -> None:
    classifier = classifier_of()
    taken: list[int] = []
    seen: list[int] = []
    classifier.network.register_forward_hook(lambda *_: seen.append(len(taken)))

    def images() -> Iterator[UInt8]:
        for image in pixels(7):
            taken.append(1)
            yield image

    classifier.logits(images(), batch_size=3)
    assert seen == [3, 6, 7]


def test_the_default_batch_shrinks_with_the_image() -> None:
    sizes: list[int] = []
    classifier = classifier_of("linear", (96, 96, 3))
    classifier.network.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
    classifier.logits(np.zeros((80, 96, 96, 3), np.uint8))
    assert sizes == [1, 37, 37, 6], "the first is to see how large the layers' outputs are"


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.full((2, 12, 10, 1), 0.5, np.float32), DataError, r"in 0\.\.0\.5, and the model's scale is 0:255.*\* 255"),
        (np.full((12, 10), 300), DataError, "120 of 120 values lie outside 0:255, .* run from 300 to 300"),
        ([np.full((12, 10), np.nan)], DataError, "no numbers"),
        (np.zeros((12, 10), complex), DataError, "must hold numbers, not complex128"),
        (np.zeros(121, np.uint8), DataError, r"An array of shape \(121,\) holds no images"),
        (np.zeros((1, 2, 3, 4, 5), np.uint8), DataError, r"shape \(1, 2, 3, 4, 5\) holds no images"),
        (np.zeros((2, 12, 10, 2), np.uint8), DataError, r"shape \(2, 12, 10, 2\) holds no images"),
        (
            [np.zeros((4, 12, 10, 1), np.uint8)],
            DataError,
            r"shape \(4, 12, 10, 1\) in a list is not one image",
        ),
        ([np.zeros((0, 10), np.uint8)], DataError, r"shape \(0, 10, 1\) has no pixels"),
        (None, DataError, "A NoneType is no image. Give an array"),
        ([1, 2], DataError, r"An array of shape \(2,\) holds no images"),
        ([None], DataError, "A NoneType is no image"),
        ("nowhere.png", BadFileError, "nowhere.png: no such file"),
        ([b"GIF8"], BadFileError, "image: "),
    ],
)
def test_what_is_no_image_is_named(images: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        classifier_of().predict_proba(images)


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"batch_size \(=0\) must be 1 or more"):
        classifier_of().logits(pixels(1), batch_size=0)


# --- its parts and its file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_saved_classifier_answers_the_same_to_the_bit(tmp_path: Path, kind: str) -> None:
    classifier = classifier_of(
        kind,
        (28, 28, 3),
        temperature=1.7,
        threshold=0.6,
        recipe={"epochs": 3, "network": {"kind": kind}},
        metrics={"accuracy": 0.5, "wrong": [1, 2]},
        provenance=Provenance(data="signs", fingerprint="0" * 64, created="2026-02-03T04:05:06+00:00"),
    )
    classifier.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    for field in dataclasses.fields(Classifier):
        if field.name != "network":
            assert getattr(loaded, field.name) == getattr(classifier, field.name), field.name
    images = pixels(9, (28, 28, 3))
    np.testing.assert_array_equal(loaded.predict_proba(images), classifier.predict_proba(images))
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_the_memory_format_that_training_left_makes_no_difference() -> None:
    spec = parse_network("cnn")
    network = build(spec, (28, 28, 1), 3)
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    images = pixels(9, (28, 28, 1))
    answers = [classifier_of("cnn", (28, 28, 1), network=each, spec=spec).logits(images) for each in (network, other)]
    np.testing.assert_array_equal(*answers)


def test_a_classifier_can_be_copied_and_pickled() -> None:
    classifier = classifier_of()
    images = pixels(3)
    for copied in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        np.testing.assert_array_equal(copied.logits(images), classifier.logits(images))
        assert copied.classes == classifier.classes


def test_parts_that_do_not_fit_are_refused_when_they_are_put_together() -> None:
    with pytest.raises(SettingsError, match="temperature: Input should be greater than"):
        classifier_of(temperature=0.0)
    with pytest.raises(SettingsError, match="3 means do not fit 1 channels"):
        classifier_of(preprocessing=Preprocessing(mean=(0.1,) * 3, std=(0.1,) * 3))


def test_a_file_that_cannot_be_read_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=re.escape(str(tmp_path / "none"))):
        load_model(tmp_path / "none")


@pytest.mark.parametrize("device", ["tpu9", "cuda:99", ""])
def test_a_device_that_is_not_there_is_named(tmp_path: Path, device: str) -> None:
    classifier_of().save(tmp_path / "m")
    with pytest.raises(DeviceError, match=f"The device '{device}' cannot be used: .* Try the device 'cpu'"):
        load_model(tmp_path / "m", device)


def test_the_summary_counts_the_parameters_that_there_are() -> None:
    classifier = classifier_of("cnn")
    counted = sum(parameter.numel() for parameter in classifier.network.parameters())
    assert classifier.summary().parameters == counted
    assert f"{counted:,}" in str(classifier.summary())


# --- what it knows before it decides ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NETWORKS)
def test_features_are_what_the_head_takes(kind: str) -> None:
    classifier = classifier_of(kind, (14, 12, 3))
    images = pixels(5, (14, 12, 3))
    before = dict(classifier.network.named_modules())
    features = classifier.features(images, batch_size=2)
    head = classifier.network.get_submodule("head")
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    assert (features.shape, features.dtype) == ((5, weight.shape[1]), np.float32)
    np.testing.assert_allclose(features @ weight.T + bias, classifier.logits(images), rtol=1e-3, atol=1e-4)
    assert dict(classifier.network.named_modules()) == before  # its head is still there
    assert classifier.features([]).shape == (0, weight.shape[1])


def test_features_of_a_linear_network_are_its_pixels_after_preprocessing() -> None:
    images = pixels(4)
    expected = (images.reshape(4, -1) / 255 - 0.4) / 0.3
    np.testing.assert_allclose(classifier_of("linear").features(images), expected, rtol=1e-5, atol=1e-6)


def test_features_hold_no_dropout() -> None:
    classifier = classifier_of(
        spec := "mlp", network=build(parse_network({"kind": spec, "dropout": 0.5}), (12, 10, 1), 3)
    )
    classifier.network.train()
    np.testing.assert_array_equal(classifier.features(pixels(4)), classifier.features(pixels(4)))
    assert classifier.network.training
