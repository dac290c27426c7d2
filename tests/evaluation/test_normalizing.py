"""Normalising is used where it loses nothing, and is off where size, place, number or orientation carry the class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import glyphnet
from glyphnet.classifier import Classifier, load_model
from glyphnet.data import ImageDataset, Splits
from glyphnet.data.dataset import Originals
from glyphnet.errors import BadFileError
from glyphnet.evaluation.normalizing import CHANGES, decide_normalizing, is_earned
from glyphnet.modelfile import Normalizing, Paired
from glyphnet.progress import Reporter

SIDE = 96


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path_factory.mktemp("cache")))


def blobs(kind: str, second: bool, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """Boxes of the blobs on one picture, in shares of its side."""

    def around(x: float, y: float, across: float, down: float) -> tuple[float, float, float, float]:
        return (x - across, y - down, x + across, y + down)

    x, y, r = rng.uniform(0.42, 0.58), rng.uniform(0.42, 0.58), rng.uniform(0.1, 0.13)
    if kind == "size":
        r = rng.uniform(0.18, 0.24) if second else rng.uniform(0.06, 0.1)
        return [around(x, y, r, r)]
    if kind == "place":
        return [around(rng.uniform(0.68, 0.8) if second else rng.uniform(0.2, 0.32), y, r, r)]
    if kind == "count":
        return [around(0.3, y, r, r), *([around(0.72, y, 0.7 * r, 0.7 * r)] if second else [])]
    assert kind == "orientation"
    return [around(x, y, *((0.22, 0.06) if second else (0.06, 0.22)))]


def write_blobs(root: Path, kind: str) -> Path:
    rng = np.random.default_rng(3)
    for part, count in (("train", 36), ("test", 12)):
        for name in ("one", "two"):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                sheet = Image.new("L", (SIDE, SIDE), 225)
                for box in blobs(kind, name == "two", rng):
                    ImageDraw.Draw(sheet).ellipse([SIDE * side for side in box], fill=int(rng.integers(40, 80)))
                noisy = np.asarray(sheet) + rng.normal(0, 3, (SIDE, SIDE))
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(root / part / name / f"{number:02d}.png")
    return root


def trained(data: Path | Splits, **changes: Any) -> tuple[glyphnet.Run, list[str]]:
    said: list[str] = []
    changes = {"network": {"kind": "mlp", "hidden": [32]}, "epochs": 30, **changes}
    run = glyphnet.train(data, preset="fast", changes=changes, device="cpu", reporter=Reporter(said.append))
    return run, said


@pytest.mark.parametrize(("kind", "off"), [("size", True), ("place", True), ("count", None), ("orientation", None)])
def test_what_is_judged_is_what_is_predicted(kind: str, off: bool | None, tmp_path: Path) -> None:
    splits = glyphnet.load(write_blobs(tmp_path / kind, kind), size=24, color="grey")
    run, said = trained(splits)
    assert run.classifier is not None
    assert run.evaluation is not None
    assert run.evaluation.accuracy > 0.9
    files = [tmp_path / kind / name for name in splits.test.names]
    assert run.classifier.predict(files) == [splits.classes[label] for label in run.evaluation.predictions]
    assert isinstance(run.classifier.normalize, bool)
    if off:
        assert run.classifier.normalize is False
        assert any(line.startswith("Normalising ") and line.endswith(": off.") for line in said)
    run.classifier.save(tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert (back.normalize, back.normalizing) == (run.classifier.normalize, run.classifier.normalizing)


def test_an_array_is_judged_by_enlarged_pictures_too(tmp_path: Path) -> None:
    """Small images that look like the training images may stay untouched as they are; enlarged, their size is lost."""
    splits = glyphnet.load(write_blobs(tmp_path / "size", "size"), size=24, color="grey")
    plain = [replace(part, originals=None) for _, part in splits]
    run, _ = trained(Splits("arrays", *plain))
    assert run.classifier is not None
    assert run.classifier.normalizing is not None
    assert run.classifier.normalize is False


def paired(n: int, as_is: int, normalized: int) -> Paired:
    return Paired(n=n, as_is=as_is, normalized=normalized)


@pytest.mark.parametrize(
    ("clean", "changed", "earned"),
    [
        (paired(500, 490, 490), {"blurred": paired(40, 10, 30)}, True),
        (paired(500, 490, 489), {"blurred": paired(40, 10, 30)}, True),
        (paired(500, 490, 488), {"blurred": paired(40, 10, 40)}, False),
        (paired(10_000, 9_900, 9_895), {}, True),
        (paired(10_000, 9_900, 9_894), {}, False),
        (paired(500, 490, 490), {"blurred": paired(40, 30, 29)}, False),
        (paired(500, 490, 490), {"enlarged": paired(40, 40, 33), "inverted": paired(40, 0, 40)}, False),
        (paired(500, 490, 490), {"enlarged": paired(40, 40, 34), "inverted": paired(40, 0, 40)}, True),
    ],
)
def test_the_rule(clean: Paired, changed: dict[str, Paired], earned: bool) -> None:
    assert is_earned(Normalizing(kind="ink", clean=clean, changed=changed)) is earned


def test_the_line() -> None:
    evidence = Normalizing(kind="ink", clean=paired(540, 534, 534), changed={"blurred": paired(40, 10, 39)}, trained=12)
    assert evidence.sentence(on=True) == (
        "Normalising drawings: 98.9 % as they are, 98.9 % normalised (n = 540, 12 of them training images); "
        "on changed pictures 25.0 % → 97.5 %: on."
    )


@pytest.fixture(scope="module")
def digits() -> tuple[Classifier, Splits]:
    splits = glyphnet.load("digits")
    found = glyphnet.train(
        splits, preset="fast", changes={"network": {"kind": "mlp", "hidden": [16]}, "epochs": 4}, device="cpu"
    ).classifier
    assert found is not None
    return found, splits


def test_the_same_network_and_data_give_the_same_decision(digits: tuple[Classifier, Splits]) -> None:
    model, splits = digits
    again = decide_normalizing(model, splits.train, splits.validation)
    assert (again.normalize, again.normalizing) == (model.normalize, model.normalizing)
    assert again.normalizing is not None
    assert set(again.normalizing.changed) == set(CHANGES["ink"])


def test_without_validation_pictures_it_is_off_and_said(digits: tuple[Classifier, Splits]) -> None:
    model, splits = digits
    decided = decide_normalizing(model, splits.train, splits.validation.subset(slice(0)))
    assert (decided.normalize, decided.normalizing) == (False, None)
    assert (
        decided.about_normalizing == "Normalising pictures: off, for there were no validation pictures to test it on."
    )


def test_few_validation_pictures_are_joined_by_training_images(digits: tuple[Classifier, Splits]) -> None:
    model, splits = digits
    few = replace(splits.validation.subset(range(7)), groups=np.arange(7))
    evidence = decide_normalizing(model, splits.train, few).normalizing
    assert evidence is not None
    assert (evidence.clean.n, evidence.trained) == (200, 193)


def test_originals_that_are_gone_turn_it_off(digits: tuple[Classifier, Splits]) -> None:
    def gone(name: str) -> Image.Image:
        raise BadFileError(name, "no such file", "Check the path.")

    model, splits = digits
    without = replace(splits.validation, originals=Originals(gone))
    assert decide_normalizing(model, splits.train, without).normalize is False
    with pytest.raises(BadFileError, match="no such file"):
        glyphnet.evaluate(replace(model, normalize=True), without)


def test_every_change_keeps_a_picture_a_picture() -> None:
    tall = np.full((30, 20), 200, np.uint8)
    tall[5:25, 8:12] = 30
    for mode in ("L", "RGB"):
        for changes in CHANGES.values():
            for name, change in changes.items():
                made = [change(Image.fromarray(tall).convert(mode), number) for number in (0, 1, 0)]
                assert made[0].mode in ("L", "RGB"), name
                assert np.asarray(made[0]).std() > 5, name
                np.testing.assert_array_equal(np.asarray(made[0]), np.asarray(made[2]))


def test_an_evaluation_is_kept_and_read_again(digits: tuple[Classifier, Splits], monkeypatch: Any) -> None:
    """Many images are normalised once: a second evaluation of the same data reads what was kept."""
    model, splits = digits
    model = replace(model, normalize=True)
    many = ImageDataset(splits.train.images, splits.train.labels, splits.classes, splits.train.names)
    assert len(many) >= 1000
    first = glyphnet.evaluate(model, many)

    def fail(*_: Any) -> None:
        raise AssertionError("normalised again")

    monkeypatch.setattr("glyphnet.images.normalize_picture", fail)
    again = glyphnet.evaluate(model, many)
    np.testing.assert_array_equal(again.probabilities, first.probabilities)
    with pytest.raises(AssertionError, match="normalised again"):
        glyphnet.evaluate(model, many.subset(range(1001)))
