"""Reading a picture takes at most 200 MB, whatever its format: the largest that are allowed are read and measured."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, features

from glyphnet.data import decode, guard
from glyphnet.errors import BadFileError

# Forks for each large file, so that the peak of each is its own, and prints how much it grew. The small file of the
# same format is read before, so that what is loaded to read the format does not count.
MEASURING = """
import json, os, resource, sys
import numpy as np, scipy.ndimage
import glyphnet
from glyphnet.data import decode
from glyphnet.data.ink import measure_ink, normalize_picture
decode.prepare_worker()
digits = glyphnet.load("digits").train
spec = measure_ink(digits.images)

def see(path):
    with open(path, "rb") as file:
        content = file.read()
    return decode._as_brightness(decode._decoded(content, "a", 1), "a", decode.STANDARD).image

for line in sys.stdin:
    large, small = json.loads(line)
    see(small)
    if os.fork() == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen = normalize_picture(see(large), spec, (28, 28, 1))
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps([1024 * more, seen.reason]), flush=True)
        os._exit(0)
    os.wait()
"""

KINDS = {
    "PNG, transparent": ("RGBA", "PNG", {"compress_level": 1}),
    "PNG, grey and transparent": ("LA", "PNG", {"compress_level": 1}),
    "PNG, 16 bits": ("I;16", "PNG", {"compress_level": 1}),
    "JPEG": ("RGB", "JPEG", {}),
    "JPEG, progressive, for print": ("CMYK", "JPEG", {"progressive": True, "subsampling": 0}),
    "TIFF of fractions": ("F", "TIFF", {"compression": "tiff_adobe_deflate"}),
    "WebP": ("RGB", "WEBP", {"method": 0}),
    "AVIF": ("RGBA", "AVIF", {"speed": 10, "subsampling": "4:4:4"}),
    "JPEG 2000": ("RGBA", "JPEG2000", {}),
}


def ring(mode: str, width: int, height: int) -> Image.Image:
    """A dark ring on light paper."""
    y, x = np.ogrid[:height, :width]
    drawn = np.abs(np.hypot(y - height / 2, x - width / 2, dtype=np.float32) - height / 4) < height / 30
    grey = np.where(drawn, 20, 235).astype(np.uint8)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32))
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * np.uint16(257))
    if mode in ("LA", "RGBA"):
        image = Image.fromarray(grey).convert(mode)
        image.putalpha(Image.fromarray(np.where(drawn, 255, 60).astype(np.uint8)))
        return image
    return Image.merge("RGB", [Image.fromarray(grey >> by) for by in (0, 1, 2)]).convert(mode)


def encoded(image: Image.Image, kind: str, options: dict) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def measuring():
    """The process of `MEASURING`, for all formats: it takes longer to start than to read most of them."""
    command = [sys.executable, "-c", MEASURING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


@pytest.mark.skipif(sys.platform != "linux", reason="measured by Linux's peak of a fork")
@pytest.mark.parametrize("name", KINDS)
def test_the_largest_picture_of_each_format_stays_within_the_budget(name, measuring, tmp_path):
    mode, kind, options = KINDS[name]
    if kind in ("WEBP", "AVIF") and not features.check(kind.lower()):
        pytest.skip(f"this Pillow reads no {kind}")
    small = encoded(ring(mode, 30, 20), kind, options)
    most = decode.most_pixels(Image.open(io.BytesIO(small)))
    width = int((1.5 * most) ** 0.5)
    height = most // width
    largest = encoded(ring(mode, width, height), kind, options)
    (tmp_path / "large").write_bytes(largest)
    (tmp_path / "small").write_bytes(small)
    print(json.dumps([str(tmp_path / "large"), str(tmp_path / "small")]), file=measuring.stdin, flush=True)
    more, reason = json.loads(measuring.stdout.readline())
    assert reason is None, "the ring is found"
    assert most > 7_000_000
    assert 10_000_000 < more < guard.MEMORY, f"{most:,} pixels took {more:,} bytes"


@pytest.mark.parametrize(("kind", "most"), [("WEBP", "12,244,897"), ("JPEG2000", "7,200,000"), ("PNG", "34,285,714")])
def test_what_needs_more_is_refused_by_its_header(kind, most):
    if kind == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow reads no WEBP")
    number = int(most.replace(",", ""))
    width = int(number**0.5) + 1
    header = io.BytesIO(encoded(Image.new("RGB", (8, 8)), kind, {}))
    image = Image.open(header)
    image._size = (width, width)
    reason = rf"pixels as {kind}, more than the {most} that a budget of 200 MB allows\. Save it smaller, or as JPEG"
    with pytest.raises(BadFileError, match=reason):
        decode._check_size(image, "a")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK"])
def test_a_halved_picture_shows_the_same(monkeypatch, mode, kind):
    if (mode, kind) in (("CMYK", "PNG"), ("RGBA", "JPEG"), ("LA", "JPEG"), ("P", "JPEG")):
        pytest.skip("there is no such file")
    content = encoded(ring(mode, 301, 200), kind, {})
    whole = decode._decoded(content, "a", 1).pixels
    monkeypatch.setattr(decode, "WHOLE_PIXELS", 50_000)
    monkeypatch.setattr(decode, "STRIP_PIXELS", 9_000)
    halved = decode._decoded(content, "a", 1).pixels
    assert (whole.size, halved.size) == ((301, 200), (151, 100))
    expected = np.asarray(whole.convert(halved.mode).reduce(2), dtype=int)
    assert np.abs(np.asarray(halved, dtype=int) - expected).mean() < 1
