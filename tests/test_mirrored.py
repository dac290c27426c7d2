"""Whether mirrored pictures keep their class is asked of the data, and what cannot be told mirrors nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from glyphnet import Recipe, Splits
from glyphnet.data import ImageDataset
from glyphnet.data.dataset import UInt8Array
from glyphnet.nn import Preprocessing, build
from glyphnet.nn.networks import EnsembleSpec
from glyphnet.progress import Reporter
from glyphnet.runs.conclusion import conclude
from glyphnet.runs.mirrored import ask_mirrored, judge_mirrored, with_mirror_image
from glyphnet.runs.preparation import prepare
from glyphnet.runs.run import Trained
from glyphnet.training import FitResult

CLASSES = ("bar", "cross", "hook")


def splits(images: UInt8Array, labels: np.ndarray, classes: tuple[str, ...]) -> Splits:
    """Three quarters to learn from, a quarter to validate."""
    names = [f"{row:04}" for row in range(len(images))]
    whole = ImageDataset(images, labels.astype(np.int64), classes, names)
    rows = np.arange(len(images))
    return Splits("made", whole.subset(rows[rows % 4 > 0]), whole.subset(rows[rows % 4 == 0]), whole.subset(rows[:0]))


def made(*, pointing: bool, count: int = 400) -> Splits:
    """Ramps of light, 16x16, in two classes: towards left and right if ``pointing``, else upwards and level."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) // 2 % 2
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    ramps = np.stack([x, -x] if pointing else [y, np.zeros_like(y)])[labels]
    values = 128 + 60 * ramps + generator.uniform(-50, 50, (count, 1, 1)) + generator.normal(0, 12, ramps.shape)
    return splits(values.clip(0, 255).astype(np.uint8)[..., np.newaxis], labels, ("one", "other"))


def test_pictures_that_point_to_a_side_are_not_mirrored_and_others_are() -> None:
    pointing, level = ask_mirrored(made(pointing=True)), ask_mirrored(made(pointing=False))
    assert not pointing.keep
    assert pointing.worst in ("one", "other")
    assert pointing.right > 0.9 * pointing.n > 9 * pointing.right_mirrored
    assert level.keep
    assert level.worst == ""
    assert ask_mirrored(made(pointing=False)) == level, "the same data give the same answer"


def test_too_few_pictures_conclude_nothing() -> None:
    asked = ask_mirrored(made(pointing=False, count=120))
    assert (asked.keep, asked.right) == (False, 0)


def test_one_class_that_loses_by_mirroring_is_enough() -> None:
    labels = np.arange(3_000) % 30
    right = np.ones(3_000, dtype=bool)
    mirrored = right.copy()
    names = tuple(f"class {label}" for label in range(30))
    assert judge_mirrored(right, mirrored, labels, names).keep
    mirrored[np.flatnonzero(labels == 7)[:40]] = False  # 1.3 % of all, which would pass
    judged = judge_mirrored(right, mirrored, labels, names)
    assert (judged.keep, judged.worst) == (False, "class 7")


def test_a_network_that_knows_next_to_nothing_shows_nothing() -> None:
    labels = np.arange(3_000) % 3
    guessed = np.random.default_rng(0).random(3_000) < 0.4
    assert not judge_mirrored(guessed, guessed, labels, CLASSES).keep
    known = np.random.default_rng(0).random(3_000) < 0.6
    assert judge_mirrored(known, known, labels, CLASSES).keep
    assert not judge_mirrored(known[labels < 2], known[labels < 2], labels[labels < 2], CLASSES).keep, "hook: unasked"


def test_the_preset_says_what_it_took_the_pictures_for_and_the_user_wins() -> None:
    data = made(pointing=False)
    recipe, _ = prepare(data, "balanced", None, {}, None)
    assert recipe.pictures is not None
    assert recipe.pictures.kind == "photographs"
    assert recipe.augment["flip"] == 0.5
    (said,) = recipe.about_pictures
    assert said.startswith("Photographs (")
    assert "Mirrored: of 160 held-out" in said
    for changes in ({"augment.flip": 0}, {"epochs": 1}):
        assert not prepare(data, "balanced", None, changes, None)[0].augment.get("flip")
    assert prepare(data, "balanced", None, {"augment": {"shift": 1}}, None)[0].augment == {"shift": 1}
    drawn, _ = prepare(data, "balanced", None, {"pictures": "drawings"}, None)
    assert "stroke" in drawn.augment
    assert drawn.about_pictures[0].startswith("Drawings (as asked for)")


def test_a_recipe_is_not_changed_by_the_pictures() -> None:
    from glyphnet.errors import SettingsError

    data = made(pointing=False)
    recipe, _ = prepare(data, "fast", None, {"augment": {}}, None)
    assert prepare(data, "fast", recipe, {}, None)[0].augment == {}
    with pytest.raises(SettingsError, match="pictures: a recipe has its augmentations"):
        prepare(data, "fast", recipe, {"pictures": "drawings"}, None)


SOFT = np.array([0, 25, 50, 75, 100, 125, 125, 100, 75, 50, 25, 0, 0, 0, 0, 0], dtype=np.uint8)
SHARP = np.array([0, 0, 0, 200, 200, 175, 150, 125, 100, 75, 50, 25, 0, 0, 0, 0], dtype=np.uint8)


def one_sided(flip: float, count: int = 160) -> Trained:
    """A network that sees a sharp edge where light begins, not where it ends, and pictures of either or none."""
    kind = np.arange(count) // 4 % 3
    images = np.stack([SOFT, SHARP, SHARP[::-1]])[kind][:, np.newaxis, :, np.newaxis].repeat(16, axis=1)
    labels = (kind > 0).astype(np.int64)
    recipe = Recipe.parse({
        "network": {
            "kind": "cnn", "stem": 1, "stem_kernel": 3, "stem_stride": 1, "channels": [], "dense": [],
            "mean_pixel": True,
        },
        "augment": {"flip": flip}, "preprocessing": "unit_range", "epochs": 1,
    })  # fmt: skip
    network = build(recipe.network, (16, 16, 1), 2).eval()
    with torch.no_grad():
        network.stem.weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
        network.head.weight.copy_(torch.tensor([[0.0], [100.0]]))
        network.head.bias.copy_(torch.tensor([2.0, 0.0]))
        network.stem.bias.fill_(-0.3)
    row = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"), 0.5) | {"epoch": 1}
    how = {"ending": "finished", "seconds": 0.1, "device": "cpu", "precision": "fp32", "threads": 1}
    result = FitResult(network, Preprocessing(mode="unit_range"), [row], 1, **how)  # type: ignore[arg-type]
    return Trained(result, recipe, splits(images, labels, ("soft", "sharp")), "2026-12-01")


def test_a_network_that_is_surely_better_with_its_mirror_image_answers_with_it() -> None:
    trained = one_sided(flip=0.5)
    alone = trained.result.right(trained.splits.validation.images, trained.splits.validation.labels)
    assert alone.mean() < 0.8
    said: list[str] = []
    run = conclude(trained, None, Reporter(said.append), "command", check_labels=False)
    assert run.classifier is not None
    assert run.classifier.spec == EnsembleSpec(members=2, member=trained.recipe.network)
    [told] = [each for each in said if "mirror image" in each]
    assert "100.00 % of 40 validation images are right, alone" in told
    assert "which takes twice the time" in told
    images = np.asarray(trained.splits.train.images)
    assert (run.classifier.predict_labels(images) == trained.splits.train.labels).all()


def test_what_was_never_shown_mirrored_images_or_gains_nothing_answers_alone() -> None:
    assert not with_mirror_image(one_sided(flip=0.0)).mirrored
    trained = one_sided(flip=0.5)
    held = trained.splits.validation
    known = replace(trained, splits=replace(trained.splits, validation=held.subset(np.flatnonzero(held.labels == 0))))
    assert with_mirror_image(known) is known
