"""Pictures of few bytes that take a decoder very long, or very much memory."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

SIDE = 2000
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *extra: bytes) -> bytes:
    """A grey PNG of one bit a pixel, black, with more chunks before its data; of a giant the beginning."""
    data = zlib.compress(bytes(1 + (width + 7) // 8) * min(height, 1000), 9)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return SIGNATURE + header + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def scans(count: int, side: int = SIDE) -> bytes:
    """A progressive JPEG whose last scan is there many times."""
    whole = saved(Image.new("L", (side, side), 77), "JPEG", progressive=True)
    start = whole.rindex(b"\xff\xda")
    return whole[:start] + whole[start:-2] * count + whole[-2:]


def segments(count: int) -> bytes:
    plain = saved(Image.new("L", (64, 64)), "JPEG")
    return plain[:2] + b"\xff\xfe\0\x03x" * count + plain[2:]


def icon(side: int) -> bytes:
    inside = png(side, side)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(inside), 22) + inside


def apple_icon(side: int) -> bytes:
    inside = png(side, side)
    return b"icns" + struct.pack(">I", 16 + len(inside)) + b"ic10" + struct.pack(">I", 8 + len(inside)) + inside


def frames(kind: str, count: int) -> bytes:
    """An animation of frames that differ."""
    pictures = [Image.new("L", (64, 64), number % 256) for number in range(count)]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=20)


def directory(entries: list[tuple[int, int, int, int]]) -> bytes:
    """Of a TIFF: tag, type (3: 16 bits, 4: 32 bits), count, and value or place; the next one's place has to follow."""
    forms = ("<HHIHxx" if kind == 3 else "<HHII" for _, kind, _, _ in entries)
    packed = (struct.pack(form, *entry) for form, entry in zip(forms, entries, strict=True))
    return struct.pack("<H", len(entries)) + b"".join(packed)


def tiff_pages(count: int) -> bytes:
    """A chain of directories that share one pixel."""
    entries = [(256, 3, 1), (257, 3, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 3, 1), (279, 4, 1)]
    size = 2 + 12 * len(entries) + 4
    table = directory([(tag, kind, 1, value) for tag, kind, value in entries])
    pages = b"".join(table + struct.pack("<I", 16 + (page + 1) * size) for page in range(count - 1))
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + pages + table + struct.pack("<I", 0)


def tiff_tiles(side: int) -> bytes:
    """Tiles of 16 × 16 pixels, deflated, all the same bytes."""
    tile = zlib.compress(bytes(16 * 16))
    count = (side // 16) ** 2
    entries = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
               (322, 3, 1, 16), (323, 3, 1, 16), (324, 4, count, 200), (325, 4, count, 200 + 4 * count)]  # fmt: skip
    table = directory(entries) + struct.pack("<I", 0)
    place = 200 + 8 * count
    body = struct.pack("<I", place) * count + struct.pack("<I", len(tile)) * count + tile
    return (b"II*\0" + struct.pack("<I", 8) + table).ljust(200, b"\0") + body


def runs(side: int) -> bytes:
    """A QOI of runs of 62 pixels: Pillow reads it in Python."""
    count = side * side // 62 + 1
    return b"qoif" + struct.pack(">IIBB", side, side, 3, 0) + b"\xfd" * count + b"\0" * 7 + b"\1"


def letters(side: int) -> bytes:
    """A PPM in words: Pillow reads it in Python."""
    return b"P3 %d %d 255\n" % (side, side) + b"0 " * (3 * side * side)


def half_transparent(side: int) -> bytes:
    values = np.zeros((side, side, 4), dtype=np.uint8)
    values[..., 3] = 128
    return saved(Image.fromarray(values), "PNG")


PROFILE = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1_000_000), 9))
TEXT = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(900_000), 9))

BOMBS = {
    "thousands of scans": lambda: scans(3000),
    "a hundred scans": lambda: scans(90, 4600),
    "many segments": lambda: segments(1_000_000),
    "an icon with a giant": lambda: icon(11_000),
    "an Apple icon with a giant": lambda: apple_icon(11_000),
    "many frames": lambda: frames("GIF", 12_000),
    "many pages": lambda: tiff_pages(60_000),
    "many tiles": lambda: tiff_tiles(4992),
    "many profiles": lambda: png(64, 64, PROFILE * 6000),
    "much text": lambda: png(64, 64, TEXT * 120),
    "many chunks": lambda: png(64, 64, chunk(b"tEXt", b"x\0") * 500_000),
    "a giant": lambda: png(30_000, 30_000),
    "runs": lambda: runs(5000),
    "words": lambda: letters(1100),
}
"""What each is → its bytes."""
