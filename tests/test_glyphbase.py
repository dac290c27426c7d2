"""GlyphBase: its file, negatives of drawings, few labels; and the pictures that it was trained on."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import glyphnet
from glyphnet.data import ImageDataset, Splits
from glyphnet.errors import CorruptFileError
from glyphnet.nn import build
from glyphnet.runs.backbone import Backbone, read_backbone, write_backbone
from glyphnet.runs.preparation import prepare
from glyphnet.training import Pretrained

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("little_ink")]
SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def glyphbase() -> Backbone:
    return read_backbone("glyphbase", SHAPE)


@pytest.fixture(scope="module")
def digits() -> Splits:
    """The bundled digits in 20×20 pixels, with a margin as most drawings have."""

    def framed(part: ImageDataset) -> ImageDataset:
        images = np.pad(part.images, ((0, 0), (4, 4), (4, 4), (0, 0)))
        return ImageDataset(images, part.labels, part.classes, part.names)

    whole = glyphnet.load("digits", size=20)
    return Splits("framed digits", framed(whole.train), framed(whole.validation), framed(whole.test))


def features(backbone: Backbone, images: np.ndarray) -> torch.Tensor:
    given = backbone.for_images(images)
    network = build(backbone.network, SHAPE, 1)
    network.load_state_dict({**network.state_dict(), **given.weights})
    network.add_module("head", torch.nn.Identity())
    with torch.inference_mode():
        return network.eval()(given.preprocessing(torch.from_numpy(images)))


def test_it_comes_with_the_package_and_is_small(glyphbase: Backbone) -> None:
    path = Path(glyphnet.__file__).parent / "nn/glyphbase.safetensors"
    assert path.stat().st_size <= 2_000_000
    assert glyphbase.image_shape == SHAPE
    assert glyphbase.light_on_dark


def test_a_negative_has_the_same_features(glyphbase: Backbone, digits: Splits) -> None:
    images = digits.test.images[:50]
    torch.testing.assert_close(features(glyphbase, images), features(glyphbase, 255 - images), rtol=1e-4, atol=1e-4)


def test_three_labels_a_class_are_enough_for_most_digits(digits: Splits) -> None:
    """It has seen no such digits. With its weights in random order this falls to 0.76."""
    rows = np.concatenate([np.flatnonzero(digits.train.labels == label)[:3] for label in range(10)])
    few = Splits("few digits", digits.train.subset(rows), digits.validation.subset(np.arange(0)), digits.test)
    run = glyphnet.train(few, preset="fast", changes={"backbone": "glyphbase", "epochs": 1})
    assert run.evaluation is not None
    assert run.evaluation.accuracy > 0.8


def test_what_is_written_is_read_again_and_damage_is_refused(glyphbase: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "copy.safetensors"
    write_backbone(path, glyphbase, {"by": "a test"})
    again = read_backbone(str(path), SHAPE)
    assert again.network == glyphbase.network
    assert again.pretrained.preprocessing == glyphbase.pretrained.preprocessing
    assert all(torch.equal(again.pretrained.weights[name], each) for name, each in glyphbase.pretrained.weights.items())
    damaged = bytearray(path.read_bytes())
    damaged[-100] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CorruptFileError, match="SHA-256"):
        read_backbone(str(path), SHAPE)


@pytest.mark.parametrize("change", ["a weight is missing", "a weight has another shape", "a name more"])
def test_weights_of_another_network_are_refused(glyphbase: Backbone, tmp_path: Path, change: str) -> None:
    weights = dict(glyphbase.pretrained.weights)
    if change == "a weight is missing":
        del weights["stem.weight"]
    elif change == "a weight has another shape":
        weights["stem.weight"] = weights["stem.weight"][:8].clone()
    else:
        weights["more"] = torch.zeros(1)
    path = tmp_path / "other.safetensors"
    other = Backbone(glyphbase.network, "", Pretrained(weights, glyphbase.pretrained.preprocessing), SHAPE)
    write_backbone(path, other, {})
    with pytest.raises(CorruptFileError, match="not one that GlyphNet writes") as refused:
        read_backbone(str(path), SHAPE)
    assert str(path) in str(refused.value)


def test_weights_that_are_no_numbers_are_refused(glyphbase: Backbone, tmp_path: Path) -> None:
    weights = dict(glyphbase.pretrained.weights)
    weights["stem.weight"] = torch.full_like(weights["stem.weight"], torch.nan)
    path = tmp_path / "nan.safetensors"
    write_backbone(path, replace(glyphbase, pretrained=replace(glyphbase.pretrained, weights=weights)), {})
    with pytest.raises(CorruptFileError, match="NaN or infinite"):
        read_backbone(str(path), SHAPE)


# The pictures of characters


@pytest.fixture(scope="module")
def glyphs():
    pytest.importorskip("fontTools")
    sys.path.insert(0, str(Path(__file__).parents[1] / "pretrain"))
    try:
        import glyphs
    finally:
        sys.path.pop(0)
    return glyphs


def test_digits_and_scripts_of_omniglot_are_no_classes(glyphs) -> None:
    kept = "AgЖक한5ⴰ中あ²é"
    assert [each for each in kept if glyphs._may_be_a_class(each)] == ["A", "g", "中"]


def test_a_thinned_bar_is_a_line_in_its_middle(glyphs) -> None:
    mask = np.zeros((1, 20, 30), dtype=bool)
    mask[0, 8:13, 3:27] = True
    thin = glyphs.thinned(mask)[0]
    assert set(np.nonzero(thin)[0]) == {10}
    assert 18 <= thin.sum() <= 24


def test_pictures_come_again_from_their_seed_and_no_two_are_alike(glyphs) -> None:
    import matplotlib

    font = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    found = [each for each in glyphs.glyphs([font]) if each.character in "ABCHSX"]
    groups = glyphs.classes([*found, glyphs.Glyph("Z", "LATIN", found[0].lines)])
    names = sorted("".join(glyph.character for glyph in group) for group in groups)
    assert names == ["AZ", "B", "C", "H", "S", "X"], "what looks alike is one class"
    images, labels = glyphs.pictures(groups, 5, seed=3)
    again, _ = glyphs.pictures(groups, 5, seed=3)
    assert np.array_equal(images, again)
    assert images.shape == (30, 28, 28, 1)
    assert np.bincount(labels).tolist() == [5] * 6
    assert len({each.tobytes() for each in images}) == 30
    assert images.max(axis=(1, 2, 3)).min() > 100, "there is ink in each"


def test_without_digits_no_class_shows_one_or_looks_like_one(glyphs) -> None:
    import matplotlib

    font = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    found = {each.character: each for each in glyphs.glyphs([font]) if each.character in "AXMOlSZ❶⅔"}
    assert len(found) >= 7
    kept = glyphs.without_digits([[each] for each in found.values()], [font])
    assert {group[0].character for group in kept} == {"A", "X", "M"}
    six = glyphs.Glyph("\N{CYRILLIC SMALL LETTER BE}", "CYRILLIC", glyphs._digits(font)[6].lines)
    assert glyphs.without_digits([[six]], [font]) == [], "it looks like a 6"
    both = glyphs.without_digits([[found["A"], found["O"]]], [font])
    assert both == [], "one that looks like a digit is enough"


# In presets


@pytest.mark.parametrize(
    ("changes", "uses_it"),
    [({}, True), ({"augment.noise": 0.0}, True), ({"backbone": "null"}, False), ({"network": "mlp"}, False)],
)
def test_presets_use_it_for_few_drawings_unless_asked_otherwise(changes: dict[str, object], uses_it: bool) -> None:
    few = labelled(drawings(60))
    recipe, _ = prepare(Splits("few", few, few.subset(np.arange(0)), few), "fast", None, changes, None)
    assert (recipe.backbone is not None) == uses_it
    assert recipe.pictures is not None
    assert recipe.pictures.kind == "drawings"
    [line] = recipe.about_pictures
    assert ("backbone glyphbase (--set backbone=null" in line) == uses_it


def test_a_search_and_a_given_time_vary_the_network_itself() -> None:
    """With GlyphBase's last layer alone a learning rate that is searched would change nothing."""
    few = labelled(drawings(60))
    splits = Splits("few", few, few.subset(np.arange(0)), few)
    assert prepare(splits, "fast", None, {}, None, own_network=True)[0].backbone is None
    assert prepare(splits, "fast", None, {"backbone": "glyphbase"}, None, own_network=True)[0].backbone is not None
    assert prepare(splits, "robust", None, {}, None)[0].backbone is None, "it is trained for bad pictures"


def test_many_drawings_and_other_pictures_train_their_own_network() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
    for images in (drawings(200), noise):
        some = labelled(images)
        recipe, _ = prepare(Splits("some", some, some.subset(np.arange(0)), some), "fast", None, {}, None)
        assert recipe.backbone is None


def labelled(images: np.ndarray) -> ImageDataset:
    return ImageDataset(images, np.arange(len(images)) % 2, ("bar", "ring"), [f"{row}" for row in range(len(images))])


def drawings(count: int) -> np.ndarray:
    """Bars and rings, white on black."""
    generator = np.random.default_rng(1)
    images = np.zeros((count, 28, 28, 1), np.uint8)
    y, x = np.mgrid[:28, :28]
    for number in range(count):
        row, column = generator.integers(11, 17, 2)
        away = np.hypot(y - row, x - column)
        ink = (abs(x - column) < 2) & (abs(y - row) < 9) if number % 2 == 0 else abs(away - 7) < 1.5
        images[number, ink, 0] = 255
    return images


def test_its_own_first_epoch_and_idle_units_are_no_sign_of_a_wrong_learning_rate() -> None:
    """The last layer is fitted by another loss; units that these few pictures leave idle know other pictures."""
    few = labelled(drawings(40))
    run = glyphnet.train(Splits("few", few, few, few), changes={"backbone": "glyphbase", "epochs": 4})
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4]
    assert not {"loss_jump", "dead_units"} & {finding.code for finding in run.findings}
