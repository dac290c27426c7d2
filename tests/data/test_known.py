"""Each known data set is downloaded from a server on this machine, in a small file of its true format, and read."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from glyphnet.data import load, named
from glyphnet.data.named import NAMED
from glyphnet.errors import BadFileError, DownloadError

RNG = np.random.default_rng(0)
LABELS = np.arange(20) % 10


def images(side: int, channels: int = 1) -> np.ndarray:
    shape = (20, side, side) if channels == 1 else (20, side, side, channels)
    return RNG.integers(17, 256, shape, dtype=np.uint8)


def packed_idx(values: np.ndarray, code: int = 0x08) -> bytes:
    kind = {0x08: ">u1", 0x0C: ">i4"}[code]
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, code, values.ndim, *values.shape) + values.astype(kind).tobytes()


def emnist(folder: Path, pixels: np.ndarray) -> None:
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        for part in ("train", "test"):
            for kind, values in (("images-idx3", pixels.transpose(0, 2, 1)), ("labels-idx1", LABELS + 1)):
                name = f"gzip/emnist-letters-{part}-{kind}-ubyte.gz"
                archive.writestr(name, gzip.compress(packed_idx(values)))
        lines = "".join(f"{n} {64 + n} {96 + n}\n" for n in range(1, 27))
        archive.writestr("gzip/emnist-letters-mapping.txt", lines)


def k49(folder: Path, pixels: np.ndarray) -> None:
    for part in ("train", "test"):
        np.savez_compressed(folder / f"k49-{part}-imgs.npz", pixels)
        np.savez_compressed(folder / f"k49-{part}-labels.npz", LABELS)


def qmnist(folder: Path, pixels: np.ndarray) -> None:
    for part in ("train", "test"):
        table = np.stack([LABELS] + [np.full(20, 99)] * 7, axis=1)
        (folder / f"qmnist-{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(packed_idx(pixels)))
        (folder / f"qmnist-{part}-labels-idx2-int.gz").write_bytes(gzip.compress(packed_idx(table, 0x0C)))


def usps(folder: Path, pixels: np.ndarray) -> None:
    for name in ("usps.bz2", "usps.t.bz2"):
        lines = [
            f"{label + 1} " + " ".join(f"{i}:{v:.6f}" for i, v in enumerate(image.ravel() / 127.5 - 1, 1))
            for image, label in zip(pixels, LABELS, strict=True)
        ]
        (folder / name).write_bytes(bz2.compress("\n".join(lines).encode()))


def cifar(folder: Path, pixels: np.ndarray) -> None:
    rows = pixels.transpose(0, 3, 1, 2).reshape(20, -1)
    batch = pickle.dumps({b"data": rows, b"labels": LABELS.tolist()}, protocol=2)
    meta = pickle.dumps({b"label_names": [f"c{n}".encode() for n in range(10)]}, protocol=2)
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, content in (("data_batch_1", batch), ("test_batch", batch), ("batches.meta", meta)):
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def cifar_100(folder: Path, pixels: np.ndarray) -> None:
    rows = pixels.transpose(0, 3, 1, 2).reshape(20, -1)
    batch = {b"data": rows, b"fine_labels": LABELS.tolist(), b"coarse_labels": [0] * 20}
    meta = {b"fine_label_names": [f"c{n}".encode() for n in range(10)], b"coarse_label_names": [b"x"]}
    with tarfile.open(folder / "cifar-100-python.tar.gz", "w:gz") as archive:
        for name, value in (("train", batch), ("test", batch), ("meta", meta)):
            content = pickle.dumps(value, protocol=2)
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def svhn(folder: Path, pixels: np.ndarray) -> None:
    labels = np.where(LABELS == 0, 10, LABELS)[:, np.newaxis]
    for part in ("train", "test"):
        savemat(folder / f"{part}_32x32.mat", {"X": np.moveaxis(pixels, 0, -1), "y": labels})


def medmnist(folder: Path, pixels: np.ndarray) -> None:
    arrays = {f"{part}_images": pixels for part in ("train", "val", "test")}
    arrays |= {f"{part}_labels": LABELS[:, np.newaxis] % 8 for part in ("train", "val", "test")}
    np.savez_compressed(folder / "bloodmnist.npz", **arrays)


SETS = {
    "emnist-letters": (emnist, 28, 1), "k49": (k49, 28, 1), "qmnist": (qmnist, 28, 1), "usps": (usps, 16, 1),
    "cifar-10": (cifar, 32, 3), "cifar-100": (cifar_100, 32, 3), "svhn": (svhn, 32, 3), "bloodmnist": (medmnist, 28, 3),
}  # fmt: skip


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    folder = tmp_path / "web"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.delenv("GLYPHNET_DATA", raising=False)
    monkeypatch.setattr(named, "_ROUNDS", (0.0,))

    def serve(name: str) -> np.ndarray:
        write, side, channels = SETS[name]
        pixels = images(side, channels)
        write(folder, pixels)
        row = NAMED[name]
        files = tuple(
            replace(file, md5=hashlib.md5((folder / file.name).read_bytes()).hexdigest() if file.md5 else "")
            for file in row.files
        )
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setitem(NAMED, name, replace(row, files=files, mirrors=(address,)))
        return pixels

    serve.folder = folder  # type: ignore[attr-defined]
    yield serve
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", SETS)
def test_it_is_downloaded_and_read(web, name):
    pixels = web(name)
    splits = load(name, validation_fraction=0)
    assert len(splits.test) == 20
    np.testing.assert_array_equal(splits.test.images.reshape(pixels.shape), pixels)
    expected = LABELS % 8 if name == "bloodmnist" else LABELS
    named_as = [splits.test.classes[label] for label in splits.test.labels]
    first = {"emnist-letters": "A", "k49": "あ", "bloodmnist": "basophil"}.get(name, "c0" if "cifar" in name else "0")
    assert named_as[0] == first
    assert len(set(named_as)) == len(set(expected.tolist()))
    published = all(file.md5 or file.sha256 or file.gzip_sha256 for file in NAMED[name].files)
    assert any("not verified: first download" in warning for warning in splits.warnings) != published


def test_without_a_published_checksum_the_first_download_is_pinned(web):
    web("k49")
    said = load("k49").warnings
    digest = hashlib.sha256((web.folder / "k49-train-imgs.npz").read_bytes()).hexdigest()
    assert any("k49-train-imgs.npz" in warning and digest in warning for warning in said)
    assert not any("not verified" in warning for warning in load("k49").warnings)
    path = named.fetch("k49") / "k49-train-labels.npz"
    path.write_bytes(path.read_bytes() + b"x")
    np.savez(web.folder / "k49-train-labels.npz", LABELS[::-1])
    with pytest.raises(DownloadError, match="SHA-256 is .*, expected is .*, as at the first download"):
        load("k49")


def test_a_published_checksum_is_never_replaced_by_pinning(web, tmp_path, monkeypatch):
    web("usps")
    (web.folder / "usps.bz2").write_bytes(bz2.compress(b"1 1:0"))
    with pytest.raises(DownloadError, match="its MD5 is .*, expected is"):
        load("usps")
    assert not list((tmp_path / "cache").rglob("*.sha256"))
    given = tmp_path / "given" / "usps"
    given.mkdir(parents=True)
    for name in ("usps.bz2", "usps.t.bz2"):
        (given / name).write_bytes(b"other")
    monkeypatch.setenv("GLYPHNET_DATA", str(given.parent))
    with pytest.raises(BadFileError, match=r"usps\.bz2: its MD5 is .* Replace it by usps\.bz2 from"):
        load("usps")


@pytest.mark.parametrize("name", NAMED)
def test_every_row_is_complete(name):
    row = NAMED[name]
    assert len(set(row.classes)) == len(row.classes)
    assert row.files
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in row.mirrors)
    for file in row.files:
        assert [len(file.sha256 or file.gzip_sha256), len(file.md5)] in ([64, 0], [0, 32], [0, 0])
        assert file.is_whole or file.sha256 or file.gzip_sha256
