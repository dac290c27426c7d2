"""What people give that is not read: each is recognised, and one command or sentence helps."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from glyphnet.data import load
from glyphnet.errors import DataError
from glyphnet.filekinds import foreign_kind

LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
RNG = np.random.default_rng(0)


def png() -> bytes:
    Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def in_classes(root: Path, suffix: str, content: bytes | None = None, count: int = 12) -> Path:
    for number in range(count):
        path = root / "set" / "ab"[number % 2] / f"{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png() if content is None else content)
    return root / "set"


def refusal(source: Path, **how: object) -> str:
    with pytest.raises(DataError) as told:
        load(source, group_by="none", **how)
    text = str(told.value)
    assert text.count("\n") < 6
    assert len(text.split()) <= 100
    return text


@pytest.mark.parametrize(
    ("suffix", "content", "what", "helps"),
    [
        (".png", LFS, "a Git LFS pointer", "git lfs pull"),
        (".png.gz", gzip.compress(b"x", mtime=0), "a gzip archive", "gunzip -r"),
        (".jpg", b"<!DOCTYPE html><html>403", "a web page", "Download it again"),
        (".heic", b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture", "magick mogrify"),
        (".dcm", b"\0" * 128 + b"DICM", "a DICOM file", "dcm2pnm"),
        (".svg", b"<svg xmlns='x'></svg>", "an SVG drawing", "rsvg-convert"),
        (".png", b'<?xml version="1.0"?><svg></svg>', "an SVG drawing", "rsvg-convert"),
        (".pdf", b"%PDF-1.4", "a PDF", "pdftoppm"),
        (".mp4", b"\0\0\0\x18ftypisom", "a video", "ffmpeg"),
        (".nef", b"MM\0*" + b"\0" * 40, "a camera's raw file", "dcraw"),
    ],
)
def test_class_folders_of_what_is_no_picture_say_what_it_is(tmp_path, suffix, content, what, helps):
    text = refusal(in_classes(tmp_path, suffix, content))
    assert what in text
    assert helps in text


@pytest.mark.parametrize("name", ["set.npz", "set.parquet", "set.csv", "x.npy", "set.h5", "set.zip"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_pointer_of_git_lfs_is_recognised_whatever_it_stands_for(tmp_path, name, inside):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(LFS)
    assert "git lfs pull" in refusal(tmp_path if inside else tmp_path / "data" / name)


@pytest.mark.parametrize(
    ("name", "content", "helps"),
    [
        ("a.rar", b"Rar!\x1a\x07\x01\0", "unrar x"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7z x"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Save it as CSV"),
        ("a.xlsx", b"PK\3\4" + b"\0" * 60, "Save it as CSV"),
        ("a.pkl", b"\x80\x04\x95", "numpy.savez"),
        ("a.pt", b"PK\3\4" + b"\0" * 60, "numpy.savez"),
        ("a.tfrecord", b"\x10\0\0\0", "class folders"),
    ],
)
def test_files_of_other_programs_are_named_with_what_helps(tmp_path, name, content, helps):
    (tmp_path / name).write_bytes(content)
    assert helps in refusal(tmp_path / name)


def test_packed_pictures_among_others_are_counted_and_said(tmp_path):
    root = in_classes(tmp_path, ".png")
    (root / "a" / "x.png.gz").write_bytes(gzip.compress(png()))
    splits = load(root)
    assert any("(1 .png.gz)" in note for note in splits.notes)
    assert any("gunzip" in warning for warning in splits.warnings)


@pytest.mark.parametrize("in_parts", [False, True])
def test_arrays_beside_a_preview_are_read_and_the_preview_is_said(tmp_path, in_parts):
    images, labels = RNG.integers(0, 256, (12, 8, 8), dtype=np.uint8), np.arange(12) % 2
    for name in ("train.npz", "test.npz") if in_parts else ("data.npz",):
        np.savez(tmp_path / name, images=images if name != "test.npz" else 255 - images, labels=labels)
    (tmp_path / "preview.png").write_bytes(png())
    notes = load(tmp_path).notes
    assert "1 picture beside the arrays has no class and was not read ('preview.png')." in notes


def test_a_table_beside_pictures_and_arrays_names_the_classes(tmp_path):
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(png())
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(12)))
    np.savez(tmp_path / "features.npz", images=np.zeros((3, 8, 8), np.uint8), labels=[0, 1, 0])
    assert load(tmp_path).classes == ("a", "b")


@pytest.mark.parametrize(("separator", "name"), [(";", "a.csv"), ("\t", "a.tsv"), ("|", "my a.csv")])
def test_decimal_commas_are_recognised(tmp_path, separator, name):
    rows = [separator.join([str(n % 2), *(f"{v:.3f}".replace(".", ",") for v in RNG.random(16))]) for n in range(12)]
    (tmp_path / name).write_text("\n".join(rows) + "\n")
    text = refusal(tmp_path / name)
    assert "decimal commas" in text
    assert "sed 's/,/./g' " in text
    (tmp_path / name).write_text("\n".join(rows).replace(",", ".") + "\n")  # what the command does
    assert len(load(tmp_path / name).train)


def test_a_page_beyond_the_last_names_the_option_once(tmp_path):
    for number in range(12):
        pages = [Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(3)]
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        pages[0].save(path, save_all=True, append_images=pages[1:])
    text = refusal(tmp_path / "set", page=7)
    assert text.count("3 pages, and page 7 is asked for") == 1
    assert text.endswith("Choose another by --page N, mean or max.")


def test_classes_in_json_beside_pictures_are_named(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png())
    (tmp_path / "labels.json").write_text("[]")
    assert "metadata.csv with the columns file_name,label" in refusal(tmp_path)


def test_measures_are_no_classes(tmp_path):
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(png())
    rows = "".join(f"{n}.png,{RNG.random():.4f},{'ab'[n % 2]}\n" for n in range(12))
    (tmp_path / "t.csv").write_text(f"file,label,kind\n{rows}")
    assert "the labels are measures ('0." in refusal(tmp_path / "t.csv")
    assert load(tmp_path / "t.csv", label_column="kind").classes == ("a", "b")


@pytest.mark.parametrize("head", [png(), b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0", b"\0\0\0\x1cftypavif", b""])
def test_pictures_that_are_read_are_nothing_else(head):
    assert foreign_kind(head, "a.png") is None


# Several columns of labels


def hub(folder: Path, **columns: list[object]) -> Path:
    rows = {"image": [{"bytes": png(), "path": None} for _ in range(12)], **columns}
    parquet.write_table(pa.table(rows), folder / "train-00000-of-00001.parquet")
    return folder


FINE, COARSE = [f"f{n % 4}" for n in range(12)], [f"c{n % 2}" for n in range(12)]


def test_two_columns_of_labels_are_refused_with_the_option_for_each(tmp_path):
    text = refusal(hub(tmp_path, fine_label=FINE, coarse_label=COARSE))
    assert text.endswith("Choose one:\n  --label-column fine_label\n  --label-column coarse_label")


@pytest.mark.parametrize(("name", "classes"), [("fine_label", 4), ("coarse_label", 2), ("Coarse Label", 2)])
def test_the_column_that_is_asked_for_has_the_class(tmp_path, name, classes):
    splits = load(hub(tmp_path, fine_label=FINE, coarse_label=COARSE), label_column=name)
    assert len(splits.classes) == classes
    assert any("'image' holds the pictures" in note for note in splits.notes)


def test_a_table_of_paths_takes_the_column_too(tmp_path):
    rows = "".join(f"{n}.png,{FINE[n]},{COARSE[n]}\n" for n in range(12))
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(png())
    (tmp_path / "t.csv").write_text(f"file,fine_class,coarse_class\n{rows}")
    assert "--label-column coarse_class" in refusal(tmp_path / "t.csv")
    for source in (tmp_path / "t.csv", tmp_path):
        assert load(source, label_column="coarse_class").classes == ("c0", "c1")


def test_a_column_that_is_not_there_or_chooses_nothing_is_refused(tmp_path):
    text = refusal(hub(tmp_path, fine_label=FINE), label_column="nope")
    assert "no column 'nope'" in text
    assert "'fine_label'" in text
    (tmp_path / "folder").mkdir()
    assert "chooses nothing" in refusal(in_classes(tmp_path / "folder", ".png"), label_column="label")
