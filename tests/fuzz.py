"""Damages files of every kind that strangers send, and hands them to their readers: `make fuzz SECONDS=1800`.

A reader may give an answer or raise a typed error. A finding is any other exception, a file that takes more than 10 s,
or one that takes more than 1 GiB of memory. Each case follows from its number: `python -m tests.fuzz TARGET NUMBER`
repeats it.
"""

from __future__ import annotations

import csv
import functools
import gzip
import io
import itertools
import json
import logging
import os
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from PIL import Image

from glyphnet.classifier import Classifier, load_model
from glyphnet.data.cache import Entry, cache_folder, entry, keep_arrays, kept_arrays
from glyphnet.data.decode import fit_image, picture_from_bytes
from glyphnet.data.load import load, source_of
from glyphnet.data.values import STANDARD
from glyphnet.errors import BadFileError, GlyphNetError
from glyphnet.onnxmodel import parse_onnx
from glyphnet.predictor import load_plain
from glyphnet.serving.api import APIError
from glyphnet.serving.bodies import contents_of, files_in

LONGEST = 10  # seconds for one file
MOST_MEMORY = 1 << 30  # bytes that the process may grow by
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 4, 4), dtype=np.uint8)
LABELS = np.arange(12) % 2


class Target(NamedTuple):
    """A reader.

    Attributes:
        seeds: sound files.
        read: reads one; the folder is for files and is empty at first.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], object]


class Hang(BaseException):
    """A reader that does not come back; no reader catches it."""


# Models


@functools.cache
def models() -> list[Classifier]:
    import torch

    from glyphnet.nn import Preprocessing, build, parse_network

    found = []
    for kind in ("cnn", "rnn"):
        spec = parse_network(kind)
        with torch.random.fork_rng(devices=[]):
            network = build(spec, (8, 8, 1), 3).eval()
        found.append(Classifier(network, spec, (8, 8, 1), ("a", "b", "c"), Preprocessing(mode="unit_range")))
    return found


def graphs() -> list[bytes]:
    from glyphnet.export.onnx import make

    return [make(model) for model in models()]


def sealed_graph(content: bytes, _: Path) -> object:
    """As a stranger does it, who can make a checksum too."""
    from glyphnet._onnxwire import seal, unsealed

    return parse_onnx(seal(unsealed(content)), "m.onnx")


def model_files() -> list[bytes]:
    old = Path(__file__).parent / "models" / "version-1.safetensors"
    return [*(saved(model.save) for model in models()), old.read_bytes()]


def saved(save: Callable[[Path], None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder, "file"))
        return Path(folder, "file").read_bytes()


def read_model(content: bytes, folder: Path) -> object:
    (folder / "m.safetensors").write_bytes(content)
    plain = load_plain(folder / "m.safetensors", 1)
    try:
        return load_model(folder / "m.safetensors")
    except GlyphNetError:
        assert plain is None, "without torch a file is accepted that torch refuses"
        raise


def opened(content: bytes) -> bytes:
    """A sealed file as three lines, so that damage hits one of them: our header, the tensors' places, the tensors."""
    length = int.from_bytes(content[:8], "little")
    layout = json.loads(content[8 : 8 + length])
    header = layout.pop("__metadata__")["glyphnet"]
    return b"\n".join((header.encode(), json.dumps(layout).encode(), content[8 + length :]))


def sealed(content: bytes) -> bytes:
    """What `opened` took apart, sealed again."""
    from hashlib import sha256

    header, layout, raw = (*content.split(b"\n", 2), b"", b"")[:3]
    text = json.dumps(header.decode(errors="replace")).encode()
    head = b'{"__metadata__":{"sha256":"%s","glyphnet":' + text + b"}," + layout.lstrip()[1:]
    blank = head.replace(b"%s", b"0" * 64, 1)
    prefix = len(blank).to_bytes(8, "little")
    return prefix + head.replace(b"%s", sha256(prefix + blank + raw).hexdigest().encode(), 1) + raw


@functools.cache
def fitting() -> Any:
    import torch

    from glyphnet.training import Examples, Fitting, Recipe

    recipe = Recipe.parse({"network": {"kind": "mlp", "hidden": [4]}, "optimizer": "adam", "epochs": 1, "ema": 0.9})
    with torch.random.fork_rng(devices=[]):
        return Fitting(recipe, Examples.of(torch.from_numpy(IMAGES[..., None]), torch.from_numpy(LABELS)), None, 2)


def checkpoints() -> list[bytes]:
    from glyphnet.training.checkpoint import write_checkpoint

    return [saved(lambda path: write_checkpoint(path, fitting().state, fitting().terms))]


def read_checkpoint(content: bytes, folder: Path) -> object:
    from glyphnet.training.checkpoint import read_checkpoint

    (folder / "checkpoint.safetensors").write_bytes(content)
    return read_checkpoint(folder / "checkpoint.safetensors", fitting().state, fitting().terms)


# Data sets


def data(name: str, **beside: bytes) -> Callable[[bytes, Path], object]:
    """Reads a file of this name as training and as prediction do; ``beside`` lies next to it."""

    def read(content: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(content)
        for other, sound in beside.items():
            (folder / other.replace("_", "-")).write_bytes(sound)
        with refused():
            load(path)
        with refused():
            kind = source_of(path)
            if kind is not None and kind.pictures is not None:
                found = kind.pictures(os.fspath(path))
                return None if isinstance(found, BadFileError) else list(itertools.islice(found.pictures(0), 20))
        return None

    return read


@contextmanager
def refused() -> Iterator[None]:
    with suppress(GlyphNetError, APIError):
        yield


def idx(array: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz() -> list[bytes]:
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, images=IMAGES, labels=LABELS, classes=["a", "b"])
    np.savez_compressed(packed, x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS)
    return [plain.getvalue(), packed.getvalue()]


def matlab() -> list[bytes]:
    from scipy.io import savemat

    found = []
    for packed, content in (
        (False, {"X": np.moveaxis(IMAGES, 0, -1), "y": LABELS}),
        (True, {"dataset": {"train": {"images": IMAGES.reshape(12, 16), "labels": LABELS[:, None]}}}),
    ):
        file = io.BytesIO()
        savemat(file, content, do_compression=packed)
        found.append(file.getvalue())
    return found


def hdf5() -> list[bytes]:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as store:
        store["images"], store["labels"] = IMAGES, LABELS
        store.create_dataset("packed", data=IMAGES, compression="gzip")
        store["classes"] = np.array([b"a", b"b"])
    return [file.getvalue()]


def pixel_tables() -> list[bytes]:
    named, packed = io.StringIO(), io.StringIO()
    rows = list(enumerate(IMAGES.reshape(12, 16).tolist()))
    csv.writer(named).writerows([["label", *(f"p{n}" for n in range(16))], *([n % 2, *row] for n, row in rows)])
    csv.writer(packed).writerows([["emotion", "pixels"], *([n % 2, " ".join(map(str, row))] for n, row in rows)])
    return [each.getvalue().encode() for each in (named, packed)] + [gzip.compress(named.getvalue().encode(), mtime=0)]


def path_tables() -> list[bytes]:
    rows = [["file", "label", "split", "patient"]]
    rows += [[f"{n}.png", "cat" if n % 2 else "dog", "test" if n > 8 else "train", f"p{n // 3}"] for n in range(12)]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return [
        text.getvalue().encode(),
        text.getvalue().encode("utf-16"),
        gzip.compress(text.getvalue().encode(), mtime=0),
    ]


def parquet() -> list[bytes]:
    """Tables of encoded pictures, as bytes or as the Hugging Face Hub has them, and of pixels; packed in three ways."""
    import pyarrow as pa
    from pyarrow import parquet as format

    contents = [png(image) for image in IMAGES]
    labels = pa.array(LABELS)
    pairs = [{"bytes": each, "path": f"{n}.png"} for n, each in enumerate(contents)]
    tables = (
        ("NONE", {"image": pa.array(contents, pa.binary()), "label": labels}),
        ("SNAPPY", {"image": pa.array(pairs, pa.struct([("bytes", pa.binary()), ("path", pa.string())])), "y": labels}),
        ("ZSTD", {"pixels": pa.array(IMAGES.reshape(12, 16).tolist(), pa.list_(pa.uint8())), "label": labels}),
    )
    found = []
    for packed, columns in tables:
        file = io.BytesIO()
        format.write_table(pa.table(columns), file, compression=packed, row_group_size=5)
        found.append(file.getvalue())
    return found


def archives() -> list[bytes]:
    members = {f"{'ab'[n % 2]}/{n}.png": png(image) for n, image in enumerate(IMAGES[:6])}
    found = []
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", kind) as packed:
            for name, content in members.items():
                packed.writestr(zipfile.ZipInfo(name), content, kind)
        found.append(file.getvalue())
    for mode in ("w:", "w:gz", "w:bz2", "w:xz"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        found.append(file.getvalue())
    return found


def png(image: np.ndarray[Any, Any], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def pictures() -> list[bytes]:
    values = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    return [png(values, kind) for kind in ("PNG", "JPEG", "BMP", "PPM")]  # others are decoded in a process of their own


# The cache


def cached() -> Entry:
    def build(writer: Any) -> dict[str, object]:
        writer.begin((4, 4, 1), 12)
        writer.append(IMAGES[..., None])
        return {"names": ["a", "b"]}

    return entry("0" * 64, build, {"sums": lambda images: images.reshape(len(images), -1).sum(1)})


def cache_files() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, GLYPHNET_CACHE=folder):
        keep_arrays("groups", "0", {"a": IMAGES})
        names = [*sorted(cached().folder.glob("*.[nj]*")), cache_folder() / "groups" / "0.npz"]
        return [path.name.encode() + b"\n" + path.read_bytes() for path in names]


def read_cache(content: bytes, _: Path) -> None:
    """The name of a file of an entry, and its damaged content: what comes out is what went in."""
    name, _, damage = content.partition(b"\n")
    cached()
    keep_arrays("groups", "0", {"a": IMAGES})
    path = next((each for each in cache_folder().rglob("*.[nj]*") if each.name.encode() == name), None)
    if path is not None:
        path.write_bytes(damage)
    found, kept = cached(), kept_arrays("groups", "0")
    assert np.array_equal(found.images[..., 0], IMAGES)
    assert found.facts == {"names": ["a", "b"]}
    assert np.array_equal(found.arrays["sums"], IMAGES.reshape(12, -1).sum(1))
    assert kept is None or np.array_equal(kept["a"], IMAGES)


# The service


class Reader:
    """What the service asks of a model."""

    input_shape, ink, normalize, reading = (8, 8, 1), None, False, STANDARD


BODY = b'--xyz\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nabc\r\n--xyz--\r\n'
JSON = json.dumps({"images": np.arange(64).reshape(1, 8, 8).tolist()}).encode()

TARGETS = {
    "models": Target(model_files, read_model),
    "models, sealed again": Target(
        lambda: [*map(opened, model_files())], lambda data, at: read_model(sealed(data), at)
    ),
    "checkpoints": Target(checkpoints, read_checkpoint),
    "checkpoints, sealed again": Target(
        lambda: [*map(opened, checkpoints())], lambda data, at: read_checkpoint(sealed(data), at)
    ),
    "onnx": Target(graphs, lambda data, _: parse_onnx(data, "m.onnx")),
    "onnx, sealed again": Target(graphs, sealed_graph),
    "idx": Target(
        lambda: [idx(IMAGES), gzip.compress(idx(IMAGES), mtime=0)],
        data("train-images-idx3-ubyte", train_labels_idx1_ubyte=idx(LABELS.astype(np.uint8))),
    ),
    "npy": Target(
        lambda: [npy(IMAGES), npy(IMAGES / 255), npy(np.asfortranarray(IMAGES))],
        data("images.npy", **{"labels.npy": npy(LABELS)}),
    ),
    "npz": Target(npz, data("data.npz")),
    "mat": Target(matlab, data("data.mat")),
    "hdf5": Target(hdf5, data("data.h5")),
    "tables of pixels": Target(pixel_tables, data("data.csv")),
    "tables of paths": Target(
        path_tables, data("data.csv", **{f"{n}.png": png(image) for n, image in enumerate(IMAGES)})
    ),
    "parquet": Target(parquet, data("data.parquet")),
    "archives": Target(archives, data("data.tgz")),
    "cache": Target(cache_files, read_cache),
    "pictures": Target(pictures, lambda data, _: fit_image(picture_from_bytes(data, "image"), (8, 8, 1))),
    "multipart": Target(lambda: [BODY], lambda data, _: files_in(data, "multipart/form-data; boundary=xyz", 9)),
    "json": Target(lambda: [JSON], lambda data, _: contents_of(data, "application/json", Reader(), 9)),
}


NUMBERS = [b"-1", b"0", b"9" * 20, b"1e999", b"NaN", b"null", b'"', b","]


def damaged(seeds: list[bytes], number: int) -> bytes:
    """Case ``number``: a seed with bits turned, bytes overwritten, a piece lost, doubled or of another seed, or cut."""
    generator = np.random.default_rng(number)
    data = bytearray(seeds[number % len(seeds)])
    if number % 5 == 3:  # the beginning of one, the end of another
        other = seeds[(number // 5) % len(seeds)]
        data[int(generator.integers(len(data))) :] = other[int(generator.integers(len(other))) :]
    for _ in range(int(generator.integers(1, 6))):
        place, length = int(generator.integers(len(data) + 1)), int(generator.integers(1, 33))
        if generator.integers(2):  # half of the damage hits the beginning, where the headers are
            place = min(place, int(generator.integers(600)))
        match int(generator.integers(7)):
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
            case 6:  # another number, in text
                data[place : place + 1] = generator.choice(NUMBERS)
    return bytes(data)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raises `Hang` in a block that takes longer."""

    def stop(*_: object) -> None:
        raise Hang(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak() -> int:
    """The most memory that this process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz(name: str, first: int, seconds: float, most: int = 10**9) -> int:
    """Read damaged files for a while; how many. Raises whatever a reader raised that it must not."""
    target, number = TARGETS[name], first
    seeds = target.seeds()
    before, ends = peak(), time.monotonic() + seconds
    while time.monotonic() < ends and number < first + most:
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, GLYPHNET_CACHE=f"{folder}/.cache"):
            for _ in range(min(100, first + most - number)):  # so the folder stays small
                try:
                    with within(LONGEST), refused():
                        target.read(damaged(seeds, number), Path(folder))
                    if peak() - before > MOST_MEMORY:
                        raise AssertionError(f"took {peak() - before:,} bytes of memory")
                except BaseException as error:
                    error.add_note(f"python -m tests.fuzz {name!r} {number}")
                    raise
                number += 1
                if time.monotonic() > ends:
                    break
    return number - first


if __name__ == "__main__":
    logging.disable()
    warnings.simplefilter("ignore")
    if len(sys.argv) == 3:
        fuzz(sys.argv[1], int(sys.argv[2]), 600, 1)
    else:
        share = float(sys.argv[1]) / len(TARGETS)
        for name in TARGETS:
            print(f"{name}: {fuzz(name, 0, share):,} files without a finding", flush=True)
