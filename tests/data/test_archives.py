"""Archives are read where they lie, and what would be dangerous in them is refused."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from glyphnet.data import filetree, load
from glyphnet.data.filetree import archive_tree
from glyphnet.errors import DataError
from glyphnet.predictfiles import pictures_in
from glyphnet.runs.unlabelled import part_of

MakeFolder = Callable[..., Path]


def pack(root: Path, kind: str) -> Path:
    path = root.parent / f"set.{kind}"
    files = sorted(file for file in root.rglob("*") if file.is_file())
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(root.parent))
    else:
        with tarfile.open(path, f"w:{kind.partition('.')[2]}") as tar:
            tar.add(root, root.name)
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_an_archive_gives_what_its_folder_gives(make_folder: MakeFolder, tmp_path: Path, kind: str) -> None:
    root = make_folder({f"{part}/{label}": 6 for part in ("training", "testing") for label in "ab"})
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "._x.png").write_text("x")
    (root / "read.me").write_text("words\n")
    path = pack(root, kind)
    before = sorted(tmp_path.rglob("*"))
    folder, archive = load(root), load(path)
    assert sorted(tmp_path.rglob("*")) == before  # nothing is unpacked beside it
    for (_, one), (_, other) in zip(folder, archive, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert archive.notes[1] == "The data lie in 'pictures'."
    assert tuple(note for note in archive.notes if note != "The data lie in 'pictures'.") == folder.notes
    assert archive.name.startswith("set")


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize("parts", [("",), ("training/", "testing/")])
def test_pictures_without_labels_are_no_class_where_one_folder_holds_everything(
    make_folder: MakeFolder, tmp_path: Path, kind: str, parts: tuple[str, ...]
) -> None:
    root = make_folder({**{f"{part}{label}": 6 for part in parts for label in "ab"}, "unlabelled": 4})
    splits = load(pack(root, "zip") if kind == "zip" else root.parent)
    assert splits.classes == ("a", "b")
    assert sum(len(part) for _, part in splits) == 12 * len(parts)
    [note] = [note for note in splits.notes if "without labels" in note]
    assert note.startswith(f"{root.name}/unlabelled: 4 files without labels")
    if kind == "folder":
        assert part_of(str(root.parent)) == str(root / "unlabelled")


def test_a_changed_archive_is_read_again(make_folder: MakeFolder, tmp_path: Path) -> None:
    path = pack(make_folder({"a": 5, "b": 5}), "zip")
    first = load(path)
    path = pack(make_folder({"a": 5, "b": 5}, seed=1), "zip")
    assert load(path).train.fingerprint != first.train.fingerprint


def test_a_table_in_an_archive(make_folder: MakeFolder) -> None:
    root = make_folder({"img": 6})
    rows = "".join(f"img/{i:03d}.png,{'ab'[i % 2]}\n" for i in range(6))
    (root / "metadata.csv").write_text(f"file_name,label\n{rows}")
    assert load(pack(root, "zip")).classes == ("a", "b")


def test_prediction_reads_the_members(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 1})
    (root / "notes.txt").write_text("x")
    path = pack(root, "zip")
    found = list(pictures_in([str(path)], skip=1))
    assert [picture.file for picture in found] == [f"{path}#pictures/a/001.png", f"{path}#pictures/b/000.png"]
    assert found[0].content == (root / "a/001.png").read_bytes()


def test_prediction_from_an_archive_without_pictures(tmp_path: Path) -> None:
    rows = "".join(",".join(["1", *map(str, range(36))]) + "\n" for _ in range(3))
    path = zipped(tmp_path / "t.zip", {"train.csv": f"label,{','.join(f'p{i}' for i in range(36))}\n{rows}".encode()})
    found = list(pictures_in([str(path)], image_shape=(6, 6, 1)))
    assert [picture.file for picture in found] == [f"{path}#train.csv#{row}" for row in range(3)]
    [error] = pictures_in([str(zipped(tmp_path / "n.zip", {"a.npz": b"PK"}))])
    assert "there is no picture in it: only 'a.npz'. Unpack it" in str(error.content)


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_names_that_lead_outside_are_no_data(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"../../a/x.png": b"1", "/b/y.png": b"2", "c\\z.png": b"3", "a/.hidden": b"4"})
    assert archive_tree(path).names == ("b/y.png", "c/z.png")


def test_a_bomb_is_a_bad_file(make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(make_folder({"a": 5, "b": 5}), "zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pictures/a/bomb.png", bytes(10_000_000))
    monkeypatch.setattr(filetree, "MAX_FILE_BYTES", 1_000_000)
    with pytest.raises(DataError, match=r"a/bomb\.png: unpacks to 10,000,000 bytes, more than is allowed"):
        load(path)
    assert len(load(path, on_bad_file="skip").bad_files) == 1


def test_a_size_that_is_not_true_is_noticed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a/x.png": bytes(1000)})
    content = bytearray(path.read_bytes())
    content[22:26] = content[content.rindex(b"PK\1\2") + 24 : content.rindex(b"PK\1\2") + 28] = (10).to_bytes(
        4, "little"
    )
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"#a/x\.png: (damaged|not of the size)"):
        archive_tree(path).content("a/x.png")


def test_limits_on_members_and_on_what_a_tar_unpacks_to(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder({"a": 3, "b": 3})
    monkeypatch.setattr(filetree, "MAX_UNPACKED", 300)
    with pytest.raises(DataError, match=r"unpacks to more than .* Unpack it \(tar xf\), and give the folder"):
        load(pack(root, "tar.gz"))
    monkeypatch.setattr(filetree, "MAX_MEMBERS", 5)
    with pytest.raises(DataError, match="more than the limit of 5 files. Unpack it"):
        load(pack(root, "zip"))


def test_links_and_devices_in_a_tar_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        link = tarfile.TarInfo("a/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        device = tarfile.TarInfo("a/null.png")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
        file = tarfile.TarInfo("a/x.png")
        file.size = 3
        archive.addfile(file, io.BytesIO(b"abc"))
    assert archive_tree(tmp_path / "x.tar").names == ("a/x.png",)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_damaged_archive_is_told(make_folder: MakeFolder, kind: str) -> None:
    path = pack(make_folder({"a": 9, "b": 9}), kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError):
        load(path)


def test_twins_and_passwords(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a/x.png", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/x.png", b"2")
    with pytest.raises(DataError, match=r"two members are called 'a/x\.png'"):
        load(tmp_path / "t.zip")
    path = zipped(tmp_path / "p.zip", {"a/x.png": b"1"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted. Unpack the archive with its password"):
        archive_tree(path).content("a/x.png")


def test_our_own_output_in_an_archive_or_a_folder_is_no_data(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 5, "b": 5, "runs/a-fast": 2})
    for name in ("recipe.yaml", "model.safetensors"):
        (root / "runs" / "a-fast" / name).write_text("x")
    for source in (root, pack(root, "zip")):
        splits = load(source)
        assert splits.classes == ("a", "b")
        assert any("GlyphNet's own output, which is not data: not read." in text for text in splits.notes)
    assert [os.path.basename(os.path.dirname(p.file)) for p in pictures_in([str(root)])] == ["a"] * 5 + ["b"] * 5


# Arrays in archives


ARRAYS = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
LABELS = np.arange(40) % 2


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    content = io.BytesIO()
    write(content)
    return content.getvalue()


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return head + array.astype(np.uint8).tobytes()


def parquet(count: int) -> bytes:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    images = [{"bytes": written(lambda file, x=x: Image.fromarray(x).save(file, "PNG"))} for x in ARRAYS[:count]]
    table = pa.table({"image": images, "label": LABELS[:count]})
    return written(lambda file: write_table(table, file))


def hdf5(file: io.BytesIO) -> None:
    import h5py

    with h5py.File(file, "w") as open_file:
        open_file["images"], open_file["labels"] = ARRAYS, LABELS


def array_files(kind: str) -> dict[str, bytes]:
    """The files of a data set of 40 images, of which the first 8 may be a test part."""
    batch = {"data": np.random.default_rng(1).integers(0, 256, (40, 3072), dtype=np.uint8), "labels": LABELS.tolist()}
    return {
        "idx": lambda: {
            "raw/train-images-idx3-ubyte": idx(ARRAYS),
            "raw/train-labels-idx1-ubyte.gz": gzip.compress(idx(LABELS)),
            "raw/t10k-images-idx3-ubyte": idx(ARRAYS[:8]),
            "raw/t10k-labels-idx1-ubyte": idx(LABELS[:8]),
        },
        "npz": lambda: {"x/data.npz": written(lambda f: np.savez(f, images=ARRAYS, labels=LABELS)), "x/a.md": b"hi\n"},
        "parts": lambda: {
            "train.npz": written(lambda f: np.savez(f, x=ARRAYS, y=LABELS)),
            "test.npz": written(lambda f: np.savez(f, x=ARRAYS[:8], y=LABELS[:8])),
        },
        "npy": lambda: {
            "d/x_train.npy": written(lambda f: np.save(f, ARRAYS)),
            "d/y_train.npy": written(lambda f: np.save(f, LABELS)),
        },
        "mat": lambda: {"m/data.mat": written(lambda f: savemat(f, {"X": np.moveaxis(ARRAYS, 0, -1), "y": LABELS}))},
        "parquet": lambda: {"data/train-0.parquet": parquet(40), "data/test-0.parquet": parquet(8)},
        "hdf5": lambda: {"a.h5": written(hdf5)},
        "cifar": lambda: {
            "c/data_batch_1": pickle.dumps(batch, 2),
            "c/batches.meta": pickle.dumps({"label_names": ["cat", "dog"]}, 2),
        },
    }[kind]()


def of_archive(path: Path, files: dict[str, bytes]) -> Path:
    root = path / "set"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.mark.parametrize("kind", ["idx", "npz", "parts", "npy", "mat", "parquet", "hdf5", "cifar"])
@pytest.mark.parametrize("packed", ["zip", "tar.gz"])
def test_arrays_in_an_archive_are_read_as_in_a_folder(tmp_path: Path, kind: str, packed: str) -> None:
    root = of_archive(tmp_path, array_files(kind))
    path = pack(root, packed)
    folder, archive = load(root), load(path)
    assert [len(part) for _, part in archive] == ([36, 4, 8] if kind in ("idx", "parts", "parquet") else [29, 3, 8])
    for (_, one), (_, other) in zip(folder, archive, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert archive.classes == (("cat", "dog") if kind == "cifar" else ("0", "1"))
    if kind != "cifar":
        count = sum(1 for _ in pictures_in([str(path)]))
        assert count == (48 if kind in ("idx", "parts", "parquet") else 40)


def test_two_data_sets_in_an_archive_are_named(tmp_path: Path) -> None:
    saved = written(lambda file: np.savez(file, images=ARRAYS, labels=LABELS))
    path = pack(of_archive(tmp_path, {"first.npz": saved, "second.npz": saved}), "zip")
    with pytest.raises(DataError, match=r"there are 2 data sets in it \('first.npz', 'second.npz'\). Give one of them"):
        load(path)


def test_an_array_that_unpacks_to_more_than_allowed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(of_archive(tmp_path, {"data.npz": array_files("npz")["x/data.npz"]}), "zip")
    monkeypatch.setattr(filetree, "MAX_FILE_BYTES", 1000)
    with pytest.raises(DataError, match="more than is allowed"):
        load(path)
