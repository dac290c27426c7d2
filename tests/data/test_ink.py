"""Pictures made like the training images: what is measured of these, and what becomes of pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError
from scipy import ndimage

from glyphnet.data import load
from glyphnet.data.decode import fit_image
from glyphnet.data.ink import InkSpec, look_at, measure_ink, normalize_picture
from glyphnet.data.ink.filters import extents, opened, stroke_widths
from glyphnet.data.named import read_digits

UInt8 = npt.NDArray[np.uint8]
SHAPE = (28, 28, 1)
MNIST = InkSpec(
    kind="ink",
    background=0,
    ink=253,
    box=(20, 20),
    centring="mass",
    centre=(14.49, 14.5),
    drift=0.51,
    sizes=(0.85, 1.0),
    strokes=(1.46, 2.73),
)


@pytest.fixture(scope="module")
def mnist() -> UInt8:
    return named("mnist")


def named(name: str) -> UInt8:
    """The test images of a named data set that is on this machine."""
    if not (Path(os.environ.get("GLYPHNET_DATA", "/nowhere")) / name).is_dir():
        pytest.skip(f"{name} is not in $GLYPHNET_DATA")
    return np.asarray(load(name).test.images)


def seven(size: int = 200, width: int = 18, room: tuple[float, float, float, float] = (0.3, 0.2, 0.7, 0.8)) -> UInt8:
    """A 7 as coverage, 0 to 255, within (left, top, right, bottom)."""
    left, top, right, bottom = (4 * size * share for share in room)
    sheet = Image.new("L", (4 * size, 4 * size))
    corners = [(left, top), (right, top), (left + (right - left) / 3, bottom)]
    ImageDraw.Draw(sheet).line(corners, fill=255, width=4 * width, joint="curve")
    return np.asarray(sheet.resize((size, size), Image.Resampling.BOX))


def extent(made: UInt8, least: int = 64) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero((made >= least).any(axis=(1, 2))), np.flatnonzero((made >= least).any(axis=(0, 2)))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def far(one: UInt8, other: UInt8) -> float:
    """Mean difference over the mean of the ink."""
    return float(np.abs(one.astype(int) - other).mean() / one.mean())


# --- what is measured ---------------------------------------------------------------------------------------


def test_mnist_is_ink_in_a_box_of_20_centred_by_mass(mnist: UInt8) -> None:
    spec = measure_ink(mnist)
    assert (spec.kind, spec.background, spec.box, spec.centring) == ("ink", 0, (20, 20), "mass")
    assert spec.ink > 250
    assert spec.centre == pytest.approx((14.5, 14.5), abs=0.03)
    assert spec.drift < 0.6
    assert str(spec) == (
        "The images are drawings, light on dark: pictures to classify are made so, scaled to 20×20, centred by centre "
        "of mass."
    )


def test_the_same_images_give_the_same_specification_whatever_their_polarity(mnist: UInt8) -> None:
    spec, turned = measure_ink(mnist), measure_ink(255 - mnist)
    assert measure_ink(mnist) == spec
    assert (turned.background, turned.ink) == (255, 255 - spec.ink)
    same = {"background", "ink"}
    assert turned.model_dump(exclude=same) == spec.model_dump(exclude=same)
    assert "dark on light" in str(turned)


def test_digits_are_ink_that_fills_its_images() -> None:
    spec = measure_ink(read_digits()[0].reshape(-1, 8, 8, 1))
    assert (spec.kind, spec.background, spec.ink, spec.centring) == ("ink", 0, 255, "box")
    assert spec.box[0] == 8


def test_fashion_mnist_is_photographs_before_an_even_background() -> None:
    spec = measure_ink(named("fashion-mnist"))
    assert (spec.kind, spec.background, spec.box) == ("photo", 0, (28, 28))
    assert "cropped to their subject" in str(spec)


def photos(channels: int) -> UInt8:
    """Gradients with something in them, a different one in each image."""
    generator = np.random.default_rng(0)
    slopes = generator.uniform(-80, 80, (300, 1, 1, channels, 2))
    y, x = np.mgrid[-0.5:0.5:32j, -0.5:0.5:32j, 0:1][:2]
    values = generator.uniform(80, 170, (300, 1, 1, channels)) + slopes[..., 0] * y + slopes[..., 1] * x
    return (values + generator.normal(0, 8, values.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_photographs_without_an_even_background_are_resized_whole(channels: int) -> None:
    spec = measure_ink(photos(channels))
    assert (spec.kind, spec.background) == ("photo", None)
    assert "resized, whole" in str(spec)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 90, 3), dtype=np.uint8))
    np.testing.assert_array_equal(normalize_picture(picture, spec, (32, 32, 3)).pixels, fit_image(picture, (32, 32, 3)))


def test_drawings_in_colour_are_photographs_and_grey_ones_in_three_channels_are_not() -> None:
    images = np.stack([seven(32, width) for width in range(3, 7)] * 20)[..., np.newaxis]
    assert measure_ink(images.repeat(3, axis=3)).kind == "ink"
    tinted = images * np.array([1, 0.2, 0.2])
    assert measure_ink(tinted.astype(np.uint8)) == InkSpec(kind="photo")


def on_one_level(colour: tuple[int, int, int], count: int = 40) -> UInt8:
    """Shaded discs of two colours before a background of one level: uint8 (N, 32, 32, 3)."""
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    shade = np.where(x**2 + y**2 < 0.5, 0.6 + 0.4 * x, np.nan)[..., np.newaxis]
    discs = [np.where(np.isnan(shade), colour, shade * (200, 40 + 3 * row, 90)) for row in range(count)]
    return np.stack(discs).astype(np.uint8)


def test_pictures_are_drawings_evenly_lit_objects_or_photographs(mnist: UInt8) -> None:
    assert look_at(mnist).kind == "drawings"
    assert look_at(255 - mnist).kind == "drawings"
    assert look_at(read_digits()[0].reshape(-1, 8, 8, 1)).kind == "drawings"
    assert look_at(named("fashion-mnist")).kind == "objects"
    assert look_at(on_one_level((230, 200, 215))).kind == "objects"
    assert look_at(on_one_level((0, 0, 0))).kind == "objects"
    for channels in (1, 3):
        assert look_at(photos(channels)).kind == "photographs"


def test_objects_in_light_that_changes_from_picture_to_picture_are_photographs() -> None:
    light = np.linspace(0.4, 1, 40)[:, np.newaxis, np.newaxis, np.newaxis]
    look = look_at((on_one_level((230, 200, 215)) * light).astype(np.uint8))
    assert (look.kind, look.half_tones) == ("photographs", None)
    assert look.even < 0.5


def test_no_contrast_and_no_images_are_photographs() -> None:
    assert measure_ink(np.full((5, 9, 9, 1), 7, np.uint8)) == InkSpec(kind="photo")
    assert measure_ink(np.empty((0, 9, 9, 1), np.uint8)) == InkSpec(kind="photo")


def test_the_specification_survives_json_and_refuses_nonsense() -> None:
    assert InkSpec.model_validate(json.loads(MNIST.model_dump_json())) == MNIST
    with pytest.raises(ValidationError, match="drawings need a background and an ink of another level"):
        InkSpec(kind="ink")
    with pytest.raises(ValidationError, match="sizes"):
        InkSpec.model_validate({"kind": "photo", "sizes": [0, float("inf")]})


# --- what becomes of pictures -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_test_images_pass_unchanged_and_so_do_their_negatives(name: str) -> None:
    images = named(name)
    spec = measure_ink(images[::2])
    same = [
        (normalize_picture(Image.fromarray(image[..., 0]), spec, SHAPE).pixels == image).all() for image in images[:600]
    ]
    assert np.mean(same) > 0.99
    if name == "mnist":
        turned = [(normalize_picture(255 - image, spec, SHAPE).pixels == image).all() for image in images[:300]]
        assert np.mean(turned) > 0.99


def test_digits_pass_unchanged() -> None:
    images = read_digits()[0].reshape(-1, 8, 8, 1)
    spec = measure_ink(images[::2])
    same = [(normalize_picture(image, spec, (8, 8, 1)).pixels == image).all() for image in images]
    assert np.mean(same) > 0.99


def test_large_mnist_comes_back_nearly_as_it_was(mnist: UInt8) -> None:
    spec = measure_ink(mnist)
    distances = []
    for image in mnist[:100]:
        large = Image.fromarray(255 - image[..., 0]).resize((200, 200), Image.Resampling.BICUBIC)
        distances.append(far(image, normalize_picture(large, spec, SHAPE).pixels))
    assert np.median(distances) < 0.25


def test_the_box_is_filled_and_the_mass_is_centred() -> None:
    for number, room in enumerate([(0.3, 0.2, 0.7, 0.8), (0.05, 0.6, 0.3, 0.95), (0.1, 0.4, 0.9, 0.6)]):
        made = normalize_picture(255 - seven(room=room, width=6), MNIST, SHAPE).pixels
        top, bottom, left, right = extent(made)
        assert max(bottom - top, right - left) in (19, 20), number
        weights = made[..., 0].astype(float)
        middle = [(weights.sum(axis=1 - axis) @ (np.arange(28) + 0.5)) / weights.sum() for axis in (0, 1)]
        assert middle == pytest.approx(MNIST.centre, abs=0.51)
        assert made.max() == 253
        assert made.min() == 0


REFERENCE = (0.3, 0.2, 0.7, 0.8)


@pytest.mark.parametrize("shadow", [0, 100, 150])
@pytest.mark.parametrize("light_ink", [False, True])
@pytest.mark.parametrize("direction", [0, 1])
def test_uneven_paper_changes_hardly_anything(shadow: int, light_ink: bool, direction: int) -> None:
    cover = seven().astype(float) / 255
    light = 240 - shadow * np.linspace(0, 1, 200)
    paper = light[:, np.newaxis] if direction else light[np.newaxis]
    noise = np.random.default_rng(0).normal(0, 3, cover.shape)
    given = np.clip(paper * (1 - cover) + 0.25 * paper * cover + noise, 0, 255).astype(np.uint8)
    made = normalize_picture(255 - given if light_ink else given, MNIST, SHAPE).pixels
    assert far(normalize_picture(255 - seven(), MNIST, SHAPE).pixels, made) < 0.15


def test_specks_and_the_edge_of_the_table_are_left_out() -> None:
    clean = 255 - seven()
    dirty = clean.copy()
    for y, x in [(12, 20), (180, 170), (30, 185)]:
        dirty[y : y + 4, x : x + 4] = 0
    dirty[:, 194:] = 30
    assert far(normalize_picture(clean, MNIST, SHAPE).pixels, normalize_picture(dirty, MNIST, SHAPE).pixels) < 0.02


def test_dust_between_the_strokes_is_left_out() -> None:
    dusty = 255 - seven()
    dusty[145:150, 130:135] = 0  # within the bounding box of the 7
    np.testing.assert_array_equal(
        normalize_picture(dusty, MNIST, SHAPE).pixels, normalize_picture(255 - seven(), MNIST, SHAPE).pixels
    )


def test_paper_is_flat_up_to_its_border_however_light_falls() -> None:
    y, x = np.mgrid[0:1:200j, 0:1:160j]
    for slope in (x, 1 - x, y, x + y, x - y + 1):
        sheet = (60 + 90 * slope).astype(np.uint8)
        assert (sheet.astype(np.int32) - opened(sheet.astype(np.int32), 20)).max() <= 8


def test_what_is_off_centre_or_too_small_is_no_training_image(mnist: UInt8) -> None:
    spec = measure_ink(mnist)
    for image in mnist[:50]:
        moved = np.roll(image, 2, axis=1)
        made = normalize_picture(moved, spec, SHAPE).pixels
        assert np.abs(made.astype(int) - image).mean() <= np.abs(made.astype(int) - moved).mean()
    small = normalize_picture(255 - seven(), spec.model_copy(update={"box": (11, 11)}), SHAPE).pixels
    top, bottom, left, right = extent(normalize_picture(small, spec, SHAPE).pixels)
    assert max(bottom - top, right - left) >= 19


def test_strokes_get_the_width_of_training() -> None:
    as_drawn = MNIST.model_copy(update={"strokes": (0.0, 4096.0)})

    def width_of(width: int, spec: InkSpec) -> float:
        return float(stroke_widths(normalize_picture(255 - seven(width=width), spec, SHAPE).pixels[..., 0]))

    for width in (3, 5, 15, 28, 36):
        assert MNIST.strokes[0] - 0.25 < width_of(width, MNIST) < MNIST.strokes[1] + 0.45, width
    assert width_of(3, as_drawn) < 0.9
    assert width_of(36, as_drawn) > 3.5


def test_an_empty_sheet_is_background_only() -> None:
    noise = np.random.default_rng(0).normal(0, 3, (200, 200))
    shadow = np.linspace(150, 230, 200)[np.newaxis] + noise
    for sheet in (np.full((50, 60), 255), np.zeros((1, 1)), shadow):
        assert not normalize_picture(sheet.astype(np.uint8), MNIST, SHAPE).pixels.any()
    dark = MNIST.model_copy(update={"background": 240, "ink": 20})
    assert (normalize_picture(np.full((50, 60), 255, np.uint8), dark, SHAPE).pixels == 240).all()


def test_transparency_is_white_paper_and_three_channels_are_three_times_the_same() -> None:
    cover = seven()
    see_through = Image.fromarray(np.dstack([np.zeros((200, 200, 3), np.uint8), cover]))
    made = normalize_picture(see_through, MNIST, (28, 28, 3)).pixels
    assert far(normalize_picture(255 - cover, MNIST, SHAPE).pixels.repeat(3, axis=2), made) < 0.01


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 5), (2000, 31), (900, 700)])
def test_any_size_and_any_content(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    photo = InkSpec(kind="photo", background=0, box=(28, 28), centre=(14.0, 14.0))
    for spec in (MNIST, MNIST.model_copy(update={"centring": "box"}), photo, None):
        for values in (generator.integers(0, 256, size), np.where(generator.random(size) < 0.01, 0, 255)):
            made = normalize_picture(values.astype(np.uint8), spec, SHAPE).pixels
            assert (made.shape, made.dtype) == (SHAPE, np.uint8)


def test_a_shoe_on_white_is_cropped_and_turned_to_its_negative() -> None:
    photo = InkSpec(kind="photo", background=0, ink=229, box=(28, 28), centre=(14.0, 14.0))
    sheet = np.full((120, 200), 245, np.uint8)
    sheet[40:70, 60:140] = np.linspace(40, 160, 80).astype(np.uint8)
    made = normalize_picture(sheet, photo, SHAPE).pixels
    top, bottom, left, right = extent(made)
    assert (right - left, bottom - top) == (28, pytest.approx(28 * 30 / 80, abs=1))
    assert top + bottom == pytest.approx(28, abs=1)
    assert made[14, 2, 0] == pytest.approx(245 - 40, abs=12), "its greys are kept"
    uneven = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    np.testing.assert_array_equal(
        normalize_picture(uneven, photo, SHAPE).pixels, fit_image(Image.fromarray(uneven), SHAPE)
    )


# --- what is repaired in small pictures, and what is no stroke in large ones -----------------------------------


def ways_to_spoil(image: UInt8) -> dict[str, UInt8]:
    """A training image (28, 28) as noise, blur, stripes, low contrast, a slope of light and a shift leave it."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:28, :28]
    values = image.astype(float)
    spoilt = {
        "noise": values + generator.normal(0, 64, values.shape),
        "blur": ndimage.gaussian_filter(values, 1.5),
        "stripes": values + 90 * (1 + np.sin(2 * np.pi * y / 5)),
        "slanted stripes": values + 90 * (1 + np.sin(2 * np.pi * (0.8 * y + 0.6 * x) / 6)),
        "hard bars": np.maximum(values, np.where((np.cos(2) * y + np.sin(2) * x) % 4.4 < 1.5, 200, 0)),
        "faint": 90 + 0.2 * values,
        "slope": 0.6 * values + 3 * y,
        "specks": np.where(generator.random(values.shape) < 0.04, 255, values),
        "shifted": np.roll(values, (3, -3), (0, 1)),
    }
    return {way: np.clip(np.rint(given), 0, 255).astype(np.uint8) for way, given in spoilt.items()}


@pytest.mark.parametrize("way", list(ways_to_spoil(np.zeros((28, 28), np.uint8))))
def test_small_pictures_are_repaired(mnist: UInt8, way: str) -> None:
    spec = measure_ink(mnist)
    repaired, spoilt = [], []
    for image in mnist[:40]:
        given = ways_to_spoil(image[..., 0])[way]
        repaired.append(far(image, normalize_picture(given, spec, SHAPE).pixels))
        spoilt.append(far(image, given[..., np.newaxis]))
    assert np.median(repaired) < 0.45
    assert np.median(repaired) < 0.7 * np.median(spoilt)


def test_bars_are_seen_though_ink_reaches_the_border_between_them(mnist: UInt8) -> None:
    spec = measure_ink(mnist)
    bars = np.where(np.arange(28) % 6.8 < 2.3, 150, 0).astype(np.uint8)
    distances = []
    for image in mnist[:40, :, :, 0]:
        raised = np.roll(image, -4, axis=0)
        made = normalize_picture(np.maximum(raised, bars), spec, SHAPE)
        distances.append(far(image[..., np.newaxis], made.pixels))
    assert np.mean(np.array(distances) < 0.9) > 0.8


def test_a_tight_crop_keeps_its_body(mnist: UInt8) -> None:
    spec = measure_ink(mnist)
    distances = []
    for image in mnist[:40, :, :, 0]:
        top, bottom, left, right = extents(image > 63)
        crop = image[top:bottom, left:right]
        made = [normalize_picture(given, spec, SHAPE).pixels for given in (crop, 255 - crop)]
        distances += [far(image[..., np.newaxis], one) for one in made]
    assert np.mean(np.array(distances) < 0.8) > 0.9


def on_paper(what: str) -> UInt8:
    """The 7 in (400, 500) on plain paper, with something else in the picture."""
    cover = np.zeros((400, 500))
    cover[100:300, 150:350] = seven(width=14) / 255.0
    y, x = np.mgrid[:400, :500]
    if what in ("ruled", "squared"):
        cover = np.maximum(cover, 0.8 * ((y + x // 40) % 37 < 2))
    if what == "squared":
        cover = np.maximum(cover, 0.8 * ((x - y // 40) % 41 < 2))
    if what == "boxed":
        cover[
            (np.abs(y - 200) < 106) & (np.abs(x - 250) < 90) & ~((np.abs(y - 200) < 100) & (np.abs(x - 250) < 84))
        ] = 1
    if what in ("boxed, cut off", "bracket"):
        cover[(np.abs(y - 200) < 96) & (np.abs(x - 322) < 4)] = 1
        cover[(np.abs(np.abs(y - 200) - 92) < 4) & (x < 322) & ((x > 270) | (what == "boxed, cut off"))] = 1
    if what == "underlined":
        cover[282:290, 190:330] = 1
    paper = np.full((400, 500), 220.0)
    if what == "dark edge":
        paper[:, :30] = 40
    if what == "table":
        paper[(y < 40) | (y > 370) | (x < 50) | (x > 460)] = 60
    if what == "shadow":
        paper[x + y > 430] = 140
    whole = (paper * (1 - 0.75 * cover)).astype(np.uint8)
    return whole[:, 150:360] if what == "boxed, cut off" else whole


@pytest.mark.parametrize(
    "what",
    [
        *("plain", "ruled", "squared", "boxed", "boxed, cut off", "bracket"),
        *("underlined", "dark edge", "table", "shadow", "inverted"),
    ],
)
def test_what_else_is_in_the_picture_is_no_stroke(what: str) -> None:
    given = 255 - on_paper("plain") if what == "inverted" else on_paper(what)
    made = normalize_picture(given, MNIST, SHAPE)
    assert made.reason is None
    # Lines as dark as the ink take notches out of strokes that lie along them; so does the edge of a shadow.
    most = 0.7 if what in ("ruled", "squared", "shadow") else 0.25
    assert far(normalize_picture(255 - seven(width=14), MNIST, SHAPE).pixels, made.pixels) < most


@pytest.mark.parametrize("colours", [((200, 40, 40), (40, 122, 40)), ((70, 70, 250), (40, 112, 40))])
def test_ink_may_differ_from_paper_in_hue_alone(colours: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    cover = seven()[..., np.newaxis] / 255.0
    ink, paper = (np.array(colour) for colour in colours)
    made = normalize_picture((paper * (1 - cover) + ink * cover).astype(np.uint8), MNIST, SHAPE)
    assert far(normalize_picture(255 - seven(), MNIST, SHAPE).pixels, made.pixels) < 0.2


@pytest.mark.parametrize("ink", [(255, 255, 255), (250, 240, 120), (0, 0, 0), (200, 20, 20)])
def test_a_pen_of_one_colour_on_a_transparent_sheet_is_read(ink: tuple[int, int, int]) -> None:
    cover = seven()
    pixels = np.dstack([np.where(cover[..., np.newaxis] > 0, np.array(ink, np.uint8), 0).astype(np.uint8), cover])
    made = normalize_picture(Image.fromarray(pixels), MNIST, SHAPE)
    assert far(normalize_picture(255 - cover, MNIST, SHAPE).pixels, made.pixels) < 0.15


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("size", [(28, 28), (120, 100), (700, 900)])
def test_blank_sheets_show_no_drawing(level: int, size: tuple[int, int]) -> None:
    made = normalize_picture(np.full(size, level, np.uint8), MNIST, SHAPE)
    assert made.reason == "no_drawing"
    assert not made.pixels.any()


def test_the_size_of_what_was_enlarged_is_not_held_against_it(mnist: UInt8) -> None:
    spec = measure_ink(mnist)
    tight = mnist[0, 4:24, 4:24, 0]
    small = np.asarray(Image.fromarray(tight).resize((14, 14), Image.Resampling.BOX))
    large = np.asarray(Image.fromarray(tight).resize((56, 56), Image.Resampling.BICUBIC))
    sizes = []
    for picture in (small, large):
        given = normalize_picture(picture, spec, SHAPE).given
        assert given is not None
        top, bottom, left, right = extent(given)
        sizes.append(max(bottom - top, right - left))
    assert abs(sizes[0] - 20) <= 1, "a picture that was enlarged gets the usual size"
    assert sizes[1] >= 23, "a picture that shows its subject this large keeps it"


def test_strokes_that_reach_the_border_are_not_taken_for_stripes():
    """The bundled digits fill their 8×8 pixels: enlarged, their strokes in the frame look like repeating lines."""
    digits = load("digits").train.images
    spec = measure_ink(digits)
    assert not spec.stripes
    framed = np.pad(digits, ((0, 0), (4, 4), (4, 4), (0, 0)))
    assert measure_ink(framed).stripes
    changed = 0
    for image in digits[:100]:
        picture = Image.fromarray(image[..., 0]).resize((24, 24), Image.Resampling.BICUBIC)
        seen, lined = (
            normalize_picture(picture, each, (8, 8, 1)) for each in (spec, spec.model_copy(update={"stripes": True}))
        )
        changed += not np.array_equal(seen.pixels, lined.pixels)
    assert changed > 5, "the specification decides whether stripes are removed"
