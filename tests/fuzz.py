"""Damages files of every kind that strangers send, and hands them to their readers: `make fuzz SECONDS=1800`.

A reader may give an answer or raise a typed error; anything else is a finding. Each case follows from its number, so a
finding is repeated by `python -m tests.fuzz TARGET NUMBER`.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from glyphnet.data.decode import decode_bytes
from glyphnet.data.values import STANDARD
from glyphnet.errors import GlyphNetError
from glyphnet.onnxmodel import parse_onnx
from glyphnet.serving.contents import contents_of
from glyphnet.serving.multipart import files_in
from glyphnet.serving.refusals import Refusal


class Target(NamedTuple):
    """A reader.

    Attributes:
        seeds: sound files.
        read: what reads one.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes], object]


class Reader:
    """What the service asks of a model."""

    input_shape, ink, normalize, reading = (8, 8, 1), None, False, STANDARD


def pictures() -> list[bytes]:
    found = []
    values = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "BMP", "PPM"):  # the others are decoded in a process of their own
        file = io.BytesIO()
        Image.fromarray(values).save(file, kind)
        found.append(file.getvalue())
    return found


def graphs() -> list[bytes]:
    import torch

    from glyphnet.classifier import Classifier
    from glyphnet.export.onnxformat import make
    from glyphnet.nn import Preprocessing, build, parse_network

    found = []
    for kind in ("cnn", "rnn"):
        spec = parse_network(kind)
        with torch.random.fork_rng(devices=[]):
            network = build(spec, (8, 8, 1), 3).eval()
        found.append(make(Classifier(network, spec, (8, 8, 1), ("a", "b", "c"), Preprocessing(mode="unit_range"))))
    return found


def resealed(content: bytes) -> object:
    """As a stranger does it, who can make a checksum too."""
    from glyphnet._onnxwire import seal, unsealed

    return parse_onnx(seal(unsealed(content)), "m.onnx")


BODY = b'--xyz\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nabc\r\n--xyz--\r\n'
JSON = json.dumps({"images": np.arange(64).reshape(1, 8, 8).tolist()}).encode()

TARGETS = {
    "pictures": Target(pictures, lambda data: decode_bytes(data, (8, 8, 1))),
    "onnx": Target(graphs, lambda data: parse_onnx(data, "m.onnx")),
    "onnx, sealed again": Target(graphs, resealed),
    "multipart": Target(lambda: [BODY], lambda data: files_in(data, "multipart/form-data; boundary=xyz", 9)),
    "json": Target(lambda: [JSON], lambda data: contents_of(data, "application/json", Reader(), 9)),
}  # fmt: skip


def damaged(seeds: list[bytes], number: int) -> bytes:
    """Case ``number``: a seed with bits turned, bytes overwritten, a piece lost, doubled or moved, or cut off."""
    generator = np.random.default_rng(number)
    data = bytearray(seeds[number % len(seeds)])
    for _ in range(int(generator.integers(1, 6))):
        place, length = int(generator.integers(len(data) + 1)), int(generator.integers(1, 33))
        match int(generator.integers(6)):
            case 0 if place < len(data):
                data[place] ^= 1 << int(generator.integers(8))
            case 1:
                data[place : place + length] = generator.bytes(length)
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length]
            case 4:
                data[place : place + 4] = b"\xff\xff\xff\xff"
            case 5 if number % 7 == 0:
                del data[place:]
    return bytes(data)


def fuzz(name: str, first: int, seconds: float, most: int = 10**9) -> int:
    """Read damaged files for a while; how many. Raises whatever a reader raised that it must not."""
    target, number = TARGETS[name], first
    seeds = target.seeds()
    began = time.monotonic()
    while time.monotonic() - began < seconds and number < first + most:
        case = time.monotonic()
        try:
            target.read(damaged(seeds, number))
        except (GlyphNetError, Refusal):
            pass
        except Exception as error:
            error.add_note(f"python -m tests.fuzz {name!r} {number}")
            raise
        if time.monotonic() - case > 10:
            raise AssertionError(f"{name!r}, case {number}: took more than 10 s")
        number += 1
    return number - first


if __name__ == "__main__":
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    if len(sys.argv) == 3:
        fuzz(sys.argv[1], int(sys.argv[2]), 600, 1)
    else:
        share = float(sys.argv[1]) / len(TARGETS)
        for name in TARGETS:
            print(f"{name}: {fuzz(name, 0, share):,} files without a finding", flush=True)
