"""`already_normal` vouches for images that `normalize_picture` returns as they are, and for no others."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from glyphnet.data import load
from glyphnet.data.decode import fit_image
from glyphnet.data.ink import already_normal, measure_ink, normalize_picture
from glyphnet.data.values import STANDARD
from glyphnet.errors import BadFileError
from glyphnet.images import normalized_together, read_image
from glyphnet.predictfiles import Picture
from glyphnet.predictfiles.predicting import Decoding

SIDE = 24
KINDS = ["clean", "slight noise", "noise", "blurred", "pale", "on grey paper", "inverted", "moved", "shaded", "lined"]
KINDS += ["specks", "random"]


@pytest.fixture(scope="module")
def drawings():
    """Bundled digits drawn larger, with sharp edges, on paper of 0: uint8 (N, 24, 24, 1)."""
    images = load("digits").train.images[:120, :, :, 0]
    large = [np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC)) for image in images]
    inked = np.clip((np.stack(large).astype(np.int32) - 90) * 4, 0, 255).astype(np.uint8)
    return np.pad(inked, ((0, 0), (4, 4), (4, 4)))[..., np.newaxis]


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def changed(drawings, kind):
    rng = np.random.default_rng(0)
    values = drawings.astype(np.float64)
    match kind:
        case "clean":
            return drawings
        case "slight noise":
            values += rng.normal(0, 3, values.shape)
        case "noise":
            values += rng.normal(0, 25, values.shape)
        case "blurred":
            values = ndimage.gaussian_filter(values, (0, 1, 1, 0))
        case "pale":
            values *= 0.5
        case "on grey paper":
            values = values * 0.8 + 30
        case "inverted":
            values = 255 - values
        case "moved":
            values = np.roll(values, 3, axis=1)
        case "shaded":
            values += np.linspace(0, 60, SIDE)[:, np.newaxis]
        case "lined":
            values[:, ::4] = 150
        case "specks":
            values[rng.random(values.shape) < 0.03] = 255
        case "random":
            values = rng.uniform(0, 256, values.shape)
    return values.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dark", [False, True], ids=["light on dark", "dark on light"])
def test_what_is_vouched_for_is_returned_as_it_is(drawings, kind, dark):
    trained_on = 255 - drawings if dark else drawings
    spec = measure_ink(trained_on)
    assert spec.kind == "ink"
    images = changed(drawings, kind)
    images = 255 - images if dark else images
    sure = already_normal(images, spec, (SIDE, SIDE, 1))
    made = [normalize_picture(image, spec, (SIDE, SIDE, 1)) for image in images]
    same = np.array(
        [each.reason is None and np.array_equal(each.pixels, image) for each, image in zip(made, images, strict=True)]
    )
    assert not (sure & ~same).any()
    if kind == "clean":
        assert sure.sum() >= 0.95 * same.sum() > 0


def test_images_of_another_size_are_not_vouched_for(drawings):
    assert not already_normal(drawings, measure_ink(drawings), (28, 28, 1)).any()


@pytest.mark.parametrize("normalize", [None, True])
@pytest.mark.parametrize("as_is", [None, True, False])
def test_pictures_normalised_together_are_the_same_as_one_by_one(drawings, normalize, as_is):
    """The service normalises what waits in one go, whatever its size and colours."""
    grey = [image[..., 0] for kind in KINDS for image in changed(drawings[:12], kind)]
    pictures = [Image.fromarray(image) for image in grey]
    pictures += [each.convert("RGB") for each in pictures[:5]]
    pictures += [each.resize((3 * SIDE, 2 * SIDE)) for each in pictures[:5]]
    mixed = [*pictures, *changed(drawings[:12], "moved"), *np.stack([drawings[:5, ..., 0]] * 3, axis=-1)]
    spec, shape = measure_ink(drawings), (SIDE, SIDE, 1)
    model = SimpleNamespace(input_shape=shape, ink=spec, normalize=normalize, reading=STANDARD)
    made = normalized_together(iter(mixed), model, as_is).singly()
    for number, (image, one) in enumerate(zip(mixed, made, strict=True)):
        alone = read_image(image, model, as_is)
        np.testing.assert_equal(one._asdict(), alone._asdict(), str(number))


def test_files_are_answered_in_order_whether_they_are_normalised_together_or_not(drawings):
    spec, shape = measure_ink(drawings), (SIDE, SIDE, 1)
    model = SimpleNamespace(input_shape=shape, ink=spec, normalize=True, reading=STANDARD)
    seen = [Image.fromarray(image[..., 0]) for kind in KINDS for image in changed(drawings[:3], kind)]
    seen[4:4] = [each.resize((3 * SIDE, 2 * SIDE)) for each in seen[:3]]
    pictures = [Picture(f"{number}", f"{number}", png(image)) for number, image in enumerate(seen)]
    pictures[7] = pictures[7]._replace(content=b"no picture")
    made = Decoding(model, None, find_remade=True)(pictures)
    for number, (image, one) in enumerate(zip(seen, made, strict=True)):
        assert one.file == str(number)
        if number == 7:
            assert isinstance(one.pixels, BadFileError)
            continue
        alone = read_image(image, model)
        np.testing.assert_equal((one.pixels, one.reason, one.given), tuple(alone), str(number))
        assert one.remade == (not np.array_equal(alone.pixels, fit_image(image, shape))), number
