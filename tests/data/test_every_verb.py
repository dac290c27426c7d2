"""Every verb reads what any verb reads, and refuses what none reads: in one short message, never with a traceback."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
import scipy.io
from click.testing import Result
from PIL import Image
from pyarrow import parquet
from typer.testing import CliRunner

import glyphnet
from glyphnet.cli import app
from glyphnet.errors import DataError, GlyphNetError

MODEL = Path(__file__).parents[1] / "models" / "digits-version-1.safetensors"
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)
LABELS = np.arange(40, dtype=np.int64) % 2
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"

Writer = Callable[[Path], Path]


def encoded(image: np.ndarray, form: str = "PNG", **options: object) -> bytes:
    Image.fromarray(image).save(file := io.BytesIO(), form, **options)
    return file.getvalue()


def packed(save: Callable[..., None], *given: object, **arrays: object) -> bytes:
    save(file := io.BytesIO(), *given, **arrays)
    return file.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def tarred() -> bytes:
    with tarfile.open(fileobj=(file := io.BytesIO()), mode="w:gz") as archive:
        for name, content in class_files():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def class_files(suffix: str = ".png", content: bytes | None = None, count: int = 40) -> list[tuple[str, bytes]]:
    return [
        (f"{'ab'[number % 2]}/{number:02d}{suffix}", encoded(IMAGES[number]) if content is None else content)
        for number in range(count)
    ]


def files(*members: tuple[str, bytes | str], give: str = "") -> Writer:
    """Writes these files into a folder, and gives the folder or the one that is named."""

    def write(root: Path) -> Path:
        for name, content in members:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return root / give

    return write


def one(name: str, content: bytes | str) -> Writer:
    return files((name, content), give=name)


def pictures(suffix: str, content: bytes) -> Writer:
    return files(*class_files(suffix, content, count=6))


def listed(text: bytes | str, name: str = "t.csv") -> Writer:
    """A table beside five pictures."""
    return files(*((f"{number}.png", encoded(IMAGES[number])) for number in range(5)), (name, text), give=name)


def with_more(change: Callable[[Path], object]) -> Writer:
    def write(root: Path) -> Path:
        files(*class_files(count=12))(root)
        change(root)
        return root

    return write


def pixel_table(rows: int = 40, **replaced: object) -> str:
    lines = [f"{LABELS[row]}," + ",".join(map(str, IMAGES[row].ravel())) for row in range(rows)]
    return "\n".join([*lines, *map(str, replaced.values())]) + "\n"


def hub(**columns: list[object]) -> bytes:
    rows = {"image": [{"bytes": encoded(image), "path": None} for image in IMAGES], **columns}
    return packed(lambda file: parquet.write_table(pa.table(rows), file))


def matlab(root: Path) -> Path:
    root.mkdir()
    scipy.io.savemat(root / "x.mat", {"X": IMAGES, "y": LABELS})
    return root / "x.mat"


def hdf5(root: Path) -> Path:
    root.mkdir()
    with h5py.File(root / "x.h5", "w") as file:
        file["images"], file["labels"] = IMAGES, LABELS
    return root / "x.h5"


def cifar(root: Path) -> Path:
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        pixels = RNG.integers(0, 256, (20, 3072), dtype=np.uint8)
        files((name, pickle.dumps({"data": pixels, "labels": [n % 10 for n in range(20)]}, 2)))(root)
    return root


SOURCES: dict[str, Writer] = {
    "class folders": files(*class_files()),
    "a table of paths": files(
        *((f"{number}.png", encoded(image)) for number, image in enumerate(IMAGES)),
        ("t.csv", "file,label\n" + "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(40))),
        give="t.csv",
    ),
    "a table of pixels": one("pixels.csv", pixel_table()),
    "Parquet": one("train.parquet", hub(label=LABELS.tolist())),
    "npz": one("x.npz", packed(np.savez, images=IMAGES, labels=LABELS)),
    "npy": files(("images.npy", packed(np.save, IMAGES)), ("labels.npy", packed(np.save, LABELS))),
    "IDX": files(
        ("train-images-idx3-ubyte", struct.pack(">IIII", 0x803, 40, 8, 8) + IMAGES.tobytes()),
        ("train-labels-idx1-ubyte", struct.pack(">II", 0x801, 40) + LABELS.astype(np.uint8).tobytes()),
    ),
    "zip": one("x.zip", zipped(*class_files())),
    "tar": one("x.tar.gz", tarred()),
    "MATLAB": matlab,
    "HDF5": hdf5,
    "CIFAR": cifar,
}

ODD: dict[str, Writer] = {
    "LFS pictures": pictures(".png", LFS),
    "gzipped pictures": pictures(".png.gz", gzip.compress(b"x", mtime=0)),
    "web pages": pictures(".jpg", b"<!DOCTYPE html><html>403"),
    "HEIC": pictures(".heic", b"\0\0\0\x18ftypheic\0\0\0\0"),
    "DICOM": pictures(".dcm", b"\0" * 128 + b"DICM"),
    "SVG": pictures(".svg", b"<svg xmlns='x'></svg>"),
    "PDF pages": pictures(".pdf", b"%PDF-1.4"),
    "videos": pictures(".mp4", b"\0\0\0\x18ftypisom"),
    "raw": pictures(".nef", b"MM\0*" + b"\0" * 40),
    "noise": pictures(".png", b"\x93no picture at all\0\1" * 9),
    "empty pictures": pictures(".png", b""),
    "giants": pictures(".png", encoded(np.zeros((9000, 9000), np.bool_))),
    "NaN": pictures(".tif", encoded(np.full((8, 8), np.nan, np.float32), "TIFF")),
    "LFS npz": one("x.npz", LFS),
    "LFS table": one("x.csv", LFS),
    "LFS Parquet": one("x.parquet", LFS),
    "LFS zip": one("x.zip", LFS),
    "RAR": one("x.rar", b"Rar!\x1a\x07\x01\0"),
    "7-Zip": one("x.7z", b"7z\xbc\xaf\x27\x1c"),
    "spreadsheet": one("x.xlsx", b"PK\3\4" + b"\0" * 60),
    "old spreadsheet": one("x.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    "pickle": one("x.pkl", pickle.dumps([1])),
    "pickle without ending": one("x", pickle.dumps([1])),
    "PyTorch": one("x.pt", b"PK\3\4" + b"\0" * 60),
    "TFRecord": one("x.tfrecord", b"\x10\0\0\0"),
    "JSON": one("x.json", "[]"),
    "PDF": one("x.pdf", b"%PDF-1.4"),
    "empty npz": one("x.npz", b""),
    "empty npy": one("x.npy", b""),
    "empty table": one("x.csv", ""),
    "empty zip": one("x.zip", zipped()),
    "texts in a zip": one("x.zip", zipped(("a.txt", b"x"))),
    "cut zip": one("x.zip", zipped(*class_files())[:-30]),
    "cut tar": one("x.tar.gz", tarred()[:150]),
    "missing": lambda root: root / "nowhere",
    "empty folder": lambda root: root.mkdir() or root,
    "texts": files(("a.txt", "hello\n"), ("b.txt", "there\n")),
    "no class folders": files(*((f"{number}.png", encoded(IMAGES[number])) for number in range(5))),
    "classes in JSON": files(("1.png", encoded(IMAGES[1])), ("labels.json", "[]")),
    "one class": with_more(lambda root: shutil.rmtree(root / "b")),
    "empty class": with_more(lambda root: (root / "c").mkdir()),
    "a link to itself": with_more(lambda root: (root / "a" / "x.png").symlink_to("x.png")),
    "a broken link": with_more(lambda root: (root / "a" / "x.png").symlink_to("nowhere")),
    "a pipe": with_more(lambda root: os.mkfifo(root / "a" / "x.png")),
    "a cut picture": with_more(lambda root: (root / "a" / "x.png").write_bytes(encoded(IMAGES[0])[:60])),
    "masks": files(*((f"{c}/{kind}/{n}.png", encoded(IMAGES[n])) for c in "ab" for kind in ("images", "masks")
                     for n in range(3))),
    "a part twice": files(*((f"{part}/{name}", each) for part in ("train", "training")
                            for name, each in class_files(count=6))),
    "two labels": files(("train.parquet", hub(fine_label=[*range(40)], coarse_label=LABELS.tolist()))),
    "damaged Parquet": one("x.parquet", b"PAR1" + b"\0" * 50 + b"PAR1"),
    "Parquet of numbers": one("x.parquet", packed(lambda file: parquet.write_table(pa.table({"u": [1.5, 2]}), file))),
    "no rows": listed("file,label\n"),
    "no files": listed("file,label\nx.png,a\ny.png,b\n"),
    "outside": listed("file,label\n../../x.png,a\n0.png,b\n"),
    "no label": listed("file,label\n0.png,\n1.png,b\n"),
    "listed twice": listed("file,label\n0.png,a\n0.png,b\n"),
    "too many cells": listed("file,label\n0.png,a,b,c\n1.png,b\n"),
    "open quotes": listed('file,label\n"0.png,a\n1.png,b\n'),
    "no text": listed(b"file,label\n\0\xff\xfe\0\1\2"),
    "unknown part": listed("file,label,split\n0.png,a,sometimes\n1.png,b,train\n"),
    "no JSON lines": listed('{"file":\n', "t.jsonl"),
    "words": one("x.csv", "a,b,c\nd,e,f\n"),
    "decimal commas": one("x.csv", "\n".join("1;" + ";".join(f"0,{n}{row}" for n in range(16)) for row in range(12))),
    "ragged pixels": one("x.csv", pixel_table(20, more="0,1,2,3")),
    "words for pixels": one("x.csv", pixel_table(2, more="0" + ",x" * 64)),
    "pixels without labels": one("x.csv", "\n".join(",".join(map(str, image.ravel())) for image in IMAGES)),
    "npz without labels": one("x.npz", packed(np.savez, images=IMAGES)),
    "npz of objects": one("x.npz", packed(np.savez, images=np.array([{}] * 40), labels=LABELS)),
    "npz of two lengths": one("x.npz", packed(np.savez, images=IMAGES, labels=LABELS[:5])),
    "npz of words": one("x.npz", packed(np.savez, images=np.array(["a"] * 40), labels=LABELS)),
    "npz without images": one("x.npz", packed(np.savez, images=IMAGES[:0], labels=LABELS[:0])),
    "npz of NaN": one("x.npz", packed(np.savez, images=np.full((40, 8, 8), np.nan), labels=LABELS)),
    "npz of fractions for labels": one("x.npz", packed(np.savez, images=IMAGES, labels=LABELS + 0.5)),
    "npz of negative labels": one("x.npz", packed(np.savez, images=IMAGES, labels=LABELS - 5)),
    "npz of five axes": one("x.npz", packed(np.savez, images=np.zeros((40, 2, 2, 2, 2), np.uint8), labels=LABELS)),
    "cut npz": one("x.npz", packed(np.savez, images=IMAGES, labels=LABELS)[:300]),
    "npy alone": one("x.npy", packed(np.save, IMAGES)),
    "npy of objects": one("x.npy", packed(np.save, np.array([{}] * 40))),
    "cut npy": one("x.npy", packed(np.save, IMAGES)[:300]),
    "cut IDX": one("train-images-idx3-ubyte", struct.pack(">IIII", 0x803, 12, 8, 8) + b"\0" * 100),
    "damaged MATLAB": one("x.mat", b"MATLAB 5.0 MAT-file" + b" " * 105 + b"\0\1IM" + b"\0" * 20),
    "damaged HDF5": one("x.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 60),
}  # fmt: skip

CHILDREN = {"damaged MATLAB", "damaged HDF5"}
"""Each reading of these begins a process: two verbs must do."""
LOOKED_OVER = {"one class", "a link to itself", "a broken link", "a pipe", "a cut picture"}
"""`data` takes one class, and skips files that cannot be read."""
CLASSIFIED = {
    "no class folders", "classes in JSON", "one class", "empty class", "masks", "a part twice", "two labels", "no rows",
    "no label", "listed twice", "too many cells", "unknown part", "pixels without labels", "npz without labels",
    "npz of two lengths", "npz without images", "npz of fractions for labels", "npz of negative labels", "npy alone",
}  # fmt: skip
"""What is wrong with these are the labels, of which prediction knows nothing."""


def run(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    for text in (result.stdout, result.stderr):
        assert "internal error" not in text
        assert "Traceback" not in text
    return result


def is_short(message: str) -> bool:
    return bool(message) and message.count("\n") < 6 and len(message.split()) <= 100


@pytest.mark.parametrize("name", ODD)
def test_odd_input_is_refused_by_every_verb_in_one_short_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = ODD[name](tmp_path / "given")
    verbs = [
        ["data"], ["predict", MODEL], ["train", "--preset", "fast"], ["compare", "--methods", "fast"],
        ["tune", "--trials", 1], ["evaluate", MODEL], ["compare", "--models", MODEL, MODEL],
    ]  # fmt: skip
    for verb in verbs[:2] if name in CHILDREN else verbs:
        result = run(*verb, source)
        fine = LOOKED_OVER if verb == ["data"] else CLASSIFIED if verb[0] == "predict" else set()
        assert result.exit_code == (0 if name in fine else 1), (verb, result.output)
        _, *messages = result.stderr.split("glyphnet: ")  # `predict` names each file, the others what is wrong
        assert all(map(is_short, messages)), result.stderr
        assert len(messages) == result.exit_code or (verb[0] == "predict" and messages), result.stderr
    assert not Path("runs").exists()
    with pytest.raises(GlyphNetError) as told:
        glyphnet.load(source)
    assert is_short(str(told.value))


@pytest.mark.parametrize("name", SOURCES)
def test_every_verb_reads_what_any_verb_reads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = SOURCES[name](tmp_path / "given")
    count, classes = (120, 10) if name == "CIFAR" else (40, 2)

    def here(*_: object, **__: object) -> None:
        raise DataError("read")

    looked = run("data", source)
    assert f", {classes} classes" in looked.stdout
    model = tmp_path / "model.safetensors"
    if name == "class folders":  # the command also draws figures, whatever it reads
        assert run("train", source, "--preset", "fast", "--set", "epochs=1", "--out", "run").exit_code == 0
        shutil.copy("run/model.safetensors", model)
    else:
        trained = glyphnet.train(source, preset="fast", changes={"epochs": 1})
        assert sum(len(part) for _, part in trained.splits) == count
        trained.classifier.save(model)
    assert run("evaluate", model, source, "--out", "judged").exit_code == 0
    if name != "CIFAR":  # its batches have no reader for prediction
        predicted = run("predict", model, source)
        assert (predicted.exit_code, len(predicted.stdout.splitlines())) == (0, count + 1), predicted.output
    monkeypatch.setattr("glyphnet.studies.comparison.comparing.compare", here)
    monkeypatch.setattr("glyphnet.studies.tuning.tuning.look_over", here)
    for verb in (["compare"], ["tune", "--trials", 1]):
        assert run(*verb, source, "--out", "study").stderr.endswith("glyphnet: read\n")
