from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from glyphnet.data import decode, guard
from glyphnet.data.decode import fit_image, picture_from_bytes, read_picture
from glyphnet.data.values import STANDARD, Reading
from glyphnet.errors import BadFileError

from ..bombs import BOMBS


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def decode_bytes(data: bytes, shape: decode.ImageShape, name: str = "image", reading: Reading = STANDARD) -> np.ndarray:
    """The pixels of an encoded picture, of the given shape."""
    return fit_image(picture_from_bytes(data, name, reading), shape)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# What a person sees


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_of_the_right_size_is_bit_exact(channels: int) -> None:
    pixels = noise(7, 9, channels)
    image = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
    np.testing.assert_array_equal(fit_image(image, (7, 9, channels)), pixels)
    np.testing.assert_array_equal(decode_bytes(encoded(image), (7, 9, channels)), pixels)


def test_file_bytes_and_image_give_the_same_pixels(tmp_path: Path) -> None:
    image = Image.fromarray(noise(50, 40, 3))
    image.save(tmp_path / "a.jpg", exif=_orientation(6))
    by_file = fit_image(read_picture(tmp_path / "a.jpg"), (16, 16, 1))
    by_bytes = decode_bytes((tmp_path / "a.jpg").read_bytes(), (16, 16, 1))
    with Image.open(tmp_path / "a.jpg") as opened:
        by_image = fit_image(opened, (16, 16, 1))
    np.testing.assert_array_equal(by_file, by_bytes)
    np.testing.assert_array_equal(by_file, by_image)
    assert by_file.shape == (16, 16, 1)
    assert by_file.dtype == np.uint8
    assert by_file.flags.writeable


@pytest.mark.parametrize(
    "format",
    [
        "AVIF",
        "BMP",
        "DDS",
        "GIF",
        "ICO",
        "JPEG",
        "JPEG2000",
        "PCX",
        "PNG",
        "PPM",
        "QOI",
        "SGI",
        "TIFF",
        "WEBP",
    ],
)
def test_every_common_format_is_read(format: str) -> None:
    ramp = np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[:, None], 32, axis=1)
    image = Image.fromarray(np.stack([ramp, ramp.T, ramp], axis=-1))
    options = {"sizes": [(32, 32)]} if format == "ICO" else {}
    seen = decode_bytes(encoded(image, format, **options), (32, 32, 3))
    assert np.abs(seen.astype(int) - np.asarray(image)).mean() < 12


def test_tga_is_read_by_its_name_alone(tmp_path: Path) -> None:
    pixels = noise(6, 6, 3)
    data = encoded(Image.fromarray(pixels), "TGA", compression=None)
    np.testing.assert_array_equal(np.asarray(picture_from_bytes(data, "a.TGA")), pixels)
    with pytest.raises(BadFileError, match="not an image"):
        picture_from_bytes(data, "a.png")


def test_one_bit_is_black_and_white() -> None:
    bits = noise(5, 6) > 128
    seen = decode_bytes(encoded(Image.fromarray(bits)), (5, 6, 1))
    np.testing.assert_array_equal(seen[..., 0], np.where(bits, 255, 0))


def test_a_palette_gives_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    assert decode_bytes(encoded(image), (1, 2, 3)).tolist() == [[[10, 20, 30], [200, 100, 50]]]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_a_transparent_palette_entry_is_white_paper(transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 0, 0, 0])
    image.putdata([0, 1])
    seen = decode_bytes(encoded(image, transparency=transparency), (1, 2, 3))
    assert seen.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_alpha_is_flattened_on_white() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(10, 20, 30, 255), (0, 0, 0, 0), (0, 0, 0, 128)])
    assert decode_bytes(encoded(image), (1, 3, 3))[0].tolist() == [[10, 20, 30], [255] * 3, [127] * 3]


def test_grey_with_alpha_is_flattened_on_white() -> None:
    image = Image.new("LA", (2, 1))
    image.putdata([(40, 255), (40, 0)])
    assert decode_bytes(encoded(image), (1, 2, 1)).ravel().tolist() == [40, 255]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_colour_is_flattened_on_white(mode: str) -> None:
    image = Image.new(mode, (2, 1), 0)
    image.putpixel((1, 0), 90 if mode == "L" else (90, 90, 90))
    data = encoded(image, transparency=0 if mode == "L" else (0, 0, 0))
    assert decode_bytes(data, (1, 2, 1)).ravel().tolist() == [255, 90]


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(format: str) -> None:
    values = np.array([[0, 257, 32_768, 65_535]], dtype=np.uint16)
    seen = decode_bytes(encoded(Image.fromarray(values), format), (1, 4, 1))
    assert seen.ravel().tolist() == [0, 1, 128, 255]


def test_big_endian_sixteen_bits_are_scaled_as_well() -> None:
    values = np.array([[0, 32_768, 65_535]], dtype=">u2")
    image = Image.frombytes("I;16B", (3, 1), values.tobytes())
    assert fit_image(image, (1, 3, 1)).ravel().tolist() == [0, 128, 255]


BEFORE = Reading(value_range=None)  # of a model that was written before ranges were stored


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 128.0, 255.0], [0, 128, 255]), ([0.0, 65_535.0], [0, 255])],
)
def test_for_models_of_before_float_images_follow_the_customs(values: list[float], expected: list[int]) -> None:
    data = encoded(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    assert decode_bytes(data, (1, len(values), 1), "a.tif", BEFORE).ravel().tolist() == expected


@pytest.mark.parametrize("values", [[0.0, float("nan")], [-1.0, 1.0], [0.0, 1e9], [0.0, float("inf")]])
def test_float_values_without_a_brightness_are_refused(values: list[float]) -> None:
    data = encoded(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    with pytest.raises(BadFileError, match=r"a\.tif: values from .* no brightness is agreed\. Save it with 8"):
        decode_bytes(data, (1, 2, 1), "a.tif", BEFORE)
    with pytest.raises(BadFileError, match=r"a\.tif: (holds .*NaN|values from .*; the model was trained on .* 0:255)"):
        decode_bytes(data, (1, 2, 1), "a.tif")


def test_thirty_two_bit_integers_beyond_sixteen_bits_are_refused() -> None:
    data = encoded(Image.fromarray(np.array([[0, 70_000]], dtype=np.int32)), "TIFF")
    with pytest.raises(BadFileError, match="values from 0 to 70000"):
        decode_bytes(data, (1, 2, 1))


def test_cmyk_gives_the_printed_colours() -> None:
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    seen = decode_bytes(encoded(image, "JPEG", quality=95), (16, 16, 3))
    assert np.abs(seen.astype(int) - [0, 255, 255]).max() <= 3


def _orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("value", range(1, 9))
def test_exif_orientation_is_obeyed(format: str, value: int) -> None:
    stored = Image.fromarray(noise(4, 6, seed=value))
    stored.getexif()[0x0112] = value
    upright = np.asarray(ImageOps.exif_transpose(stored))
    data = encoded(Image.fromarray(np.asarray(stored)), format, exif=_orientation(value))
    np.testing.assert_array_equal(np.asarray(picture_from_bytes(data, "a")), upright)
    assert upright.shape == ((6, 4) if value >= 5 else (4, 6))


def test_broken_exif_does_not_hide_a_sound_picture() -> None:
    data = encoded(Image.fromarray(noise(8, 8)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode_bytes(data, (8, 8, 1)).shape == (8, 8, 1)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert decode_bytes(data, (8, 8, 3))[4, 4].tolist() == [255, 0, 0]


# Fitting


def test_the_whole_picture_is_kept_with_its_proportions() -> None:
    image = Image.new("L", (40, 20), 0)
    image.paste(255, (10, 0, 30, 20))
    seen = fit_image(image, (20, 20, 1))[..., 0]
    assert (seen[:5] == 0).all()  # the bars, in the border's colour
    assert (seen[15:] == 0).all()
    assert (seen[7:13, 7:13] == 255).all()  # the square is a square still
    assert (seen[7:13, :3] == 0).all()


@pytest.mark.parametrize("colour", [(250, 240, 10), (3, 2, 1)])
def test_the_bars_have_the_colour_of_the_border(colour: tuple[int, int, int]) -> None:
    image = Image.new("RGB", (30, 10), colour)
    assert (fit_image(image, (12, 12, 3)) == colour).all()


def test_a_bar_of_a_pixel_is_filled_rather_than_shown() -> None:
    image = Image.new("L", (63, 48), 0)
    image.paste(255, (1, 1, 62, 47))
    assert (fit_image(image, (24, 32, 1))[0] > 0).any()


def test_shrinking_does_not_alias() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (64, 32))
    seen = fit_image(Image.fromarray(stripes), (16, 16, 1))
    assert np.abs(seen[:, 2:-2].astype(int) - 127).max() < 12


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (1, 1)])
def test_extreme_proportions_leave_at_least_a_pixel(size: tuple[int, int]) -> None:
    assert fit_image(Image.new("L", size, 7), (8, 8, 1)).shape == (8, 8, 1)


# What cannot be used


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(BadFileError, match=r"a\.png: empty \(0 bytes\)\. Save it again or remove it\."):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0" * 500])
def test_a_file_that_is_no_image_is_told(content: bytes) -> None:
    with pytest.raises(BadFileError, match=r"not an image, or of a format that is not read. Save it as PNG or JPEG"):
        picture_from_bytes(content, "a.png")


def test_no_format_that_runs_a_program_is_read() -> None:
    assert not {"EPS", "WMF", "MPEG", "HDF5", "GRIB", "BUFR"} & set(decode.FORMATS)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_image_is_told(format: str, kept: float) -> None:
    data = encoded(Image.fromarray(noise(64, 64, 3)), format)
    with pytest.raises(BadFileError, match=r"cut: (damaged \(|not an image)"):
        decode_bytes(data[: int(len(data) * kept)], (64, 64, 3), "cut")


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"none\.png: no such file\. Check the path\."):
        read_picture(tmp_path / "none.png")
    with pytest.raises(BadFileError, match="not a regular file"):
        read_picture(tmp_path)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(BadFileError, match="not a regular file"):
        read_picture(tmp_path / "pipe.png")


def test_a_broken_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("gone.png")
    with pytest.raises(BadFileError, match=r"a\.png: a broken link to gone\.png\. Mend the link"):
        read_picture(tmp_path / "a.png")


def test_an_unreadable_file_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "a.png"
        path.write_bytes(encoded(Image.new("L", (2, 2))))
        path.chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65_534)  # the superuser may read everything
        try:
            with pytest.raises(BadFileError, match=r"permission denied.*Change its permissions"):
                read_picture(path)
        finally:
            os.seteuid(user)


def _png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(7_100, 7_100), (10_000, 10_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(size: tuple[int, int]) -> None:
    # Below Pillow's warning, between its warning and its error, beyond its error.
    with pytest.raises(BadFileError, match=r"bomb\.png: .*pixels, more than the limit of 50,000,000\. Save it smaller"):
        decode_bytes(_png_of_size(*size), (8, 8, 1), "bomb.png")


def test_an_image_just_below_the_limit_is_read() -> None:
    image = Image.new("1", (7_000, 7_000))
    assert decode_bytes(encoded(image), (8, 8, 1)).shape == (8, 8, 1)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(decode.MAX_FILE_BYTES + 1)
    with pytest.raises(BadFileError, match="536,870,913 bytes, more than the limit of 536,870,912"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM", "QOI", "SGI", "PCX"])
def test_damaged_bytes_give_an_image_or_our_error_and_nothing_else(format: str) -> None:
    data = encoded(Image.fromarray(noise(16, 16, 3)), format)
    rng = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            damaged[place] = rng.integers(0, 256)
        with contextlib.suppress(BadFileError):
            assert decode_bytes(bytes(damaged), (16, 16, 3)).shape == (16, 16, 3)


def test_the_name_stays_data() -> None:
    name = "<img src=x>\n.png"
    with pytest.raises(BadFileError, match=re.escape(name)) as caught:
        picture_from_bytes(b"no", name)
    assert caught.value.path == name


# --- what may take long --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bomb", "reason"),
    [
        ("thousands of scans", "3,005 scans, more than the limit of 100"),
        ("an icon with a giant", "holds a picture of 11,000 × 11,000 pixels, more than the limit of 50,000,000"),
        ("an Apple icon with a giant", "holds a picture of 11,000 × 11,000 pixels"),
        ("many pages", "takes longer than 1 s to decode"),
        ("many profiles", "takes longer than 1 s to decode"),
    ],
)
def test_bombs_are_refused_by_their_bytes_or_after_a_deadline(monkeypatch, bomb, reason):
    monkeypatch.setattr(guard, "SECONDS", 1)
    began = time.monotonic()
    with pytest.raises(BadFileError, match=reason):
        decode_bytes(BOMBS[bomb](), (28, 28, 1))
    assert time.monotonic() - began < 5


def test_a_picture_that_needs_too_much_memory_is_refused_and_the_next_is_read(monkeypatch):
    monkeypatch.setattr(guard, "_workers", None)
    monkeypatch.setattr(guard, "MEMORY", 30 << 20)
    file = io.BytesIO()
    Image.new("RGB", (4000, 4000)).save(file, "TIFF", compression="tiff_deflate")
    with pytest.raises(BadFileError, match="memory|damaged"):
        decode_bytes(file.getvalue(), (28, 28, 1))
    small = io.BytesIO()
    Image.new("L", (28, 28), 9).save(small, "TIFF")
    assert decode_bytes(small.getvalue(), (28, 28, 1)).max() == 9
    guard._workers.close()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "PPM"])
def test_plain_pictures_need_no_worker(monkeypatch, kind):
    monkeypatch.setattr(guard, "Workers", None)
    monkeypatch.setattr(guard, "_workers", None)
    file = io.BytesIO()
    Image.new("L", (40, 30), 9).save(file, kind)
    assert decode_bytes(file.getvalue(), (30, 40, 1)).shape == (30, 40, 1)
    assert guard.plain_size(file.getvalue()) == (40, 30)
