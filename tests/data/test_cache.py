from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.data import Splits, load, pictures
from glyphnet.data import cache as cache_module
from glyphnet.data.assemble import Options
from glyphnet.data.cache import ImageWriter, cache_key, entry, prune
from glyphnet.data.filetree import folder_tree
from glyphnet.data.folder import read_tree
from glyphnet.errors import DataError

MakeFolder = Callable[..., Path]


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "images").iterdir()) if (cache / "images").is_dir() else []


def pixels(splits: Splits) -> dict[str, np.ndarray]:
    return {name: part.images[i] for _, part in splits for i, name in enumerate(part.names)}


def same(left: Splits, right: Splits) -> bool:
    return all(
        list(a.names) == list(b.names) and np.array_equal(a.images, b.images) and np.array_equal(a.labels, b.labels)
        for (_, a), (_, b) in zip(left, right, strict=True)
    )


@pytest.fixture
def root(make_folder: MakeFolder) -> Path:
    return make_folder({"a": 6, "b": 6})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were really decoded, so that a test sees whether the cache served."""
    names: list[str] = []
    real = pictures.fit_seen
    monkeypatch.setattr(pictures, "fit_seen", lambda *given: (names.append(""), real(*given))[1])
    return names


def test_a_second_start_decodes_nothing(root: Path, decoded: list[str], cache: Path) -> None:
    first = load(root)
    assert len(decoded) == 12
    second = load(root)
    assert len(decoded) == 12
    assert same(first, second)
    assert first.notes == second.notes
    assert len(entries(cache)) == 1


def change(root: Path) -> None:
    Image.new("L", (8, 8), 5).save(root / "a" / "000.png")


def add(root: Path) -> None:
    Image.new("L", (8, 8), 5).save(root / "a" / "new.png")


def remove(root: Path) -> None:
    (root / "b" / "003.png").unlink()


def rename(root: Path) -> None:
    (root / "b" / "003.png").rename(root / "b" / "zzz.png")


def swap(root: Path) -> None:
    (root / "a" / "000.png").rename(root / "x")
    (root / "a" / "001.png").rename(root / "a" / "000.png")
    (root / "x").rename(root / "a" / "001.png")


@pytest.mark.parametrize("alter", [change, add, remove, rename, swap])
def test_any_change_of_the_files_is_seen(
    root: Path, alter: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pixels(load(root))
    alter(root)
    after = pixels(load(root))
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "fresh"))
    fresh = pixels(load(root))
    assert after.keys() == fresh.keys()
    assert all(np.array_equal(after[name], fresh[name]) for name in fresh)
    assert before.keys() != after.keys() or any(not np.array_equal(before[name], after[name]) for name in after)


def test_a_change_that_keeps_size_date_and_inode_is_seen(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3}, suffix=".bmp")
    before = pixels(load(root))
    path = root / "a" / "000.bmp"
    status, content = path.stat(), (root / "b" / "000.bmp").read_bytes()
    with open(path, "r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_ino) == (status.st_size, status.st_ino)
    after = pixels(load(root))
    assert not np.array_equal(before["a/000.bmp"], after["a/000.bmp"])
    np.testing.assert_array_equal(after["a/000.bmp"], after["b/000.bmp"])


def test_the_place_is_part_of_the_stamp(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [make_folder({"a": 1, "b": 1}, root=tmp_path / str(i)) for i in range(2)]
    listings = [read_tree(folder_tree(folder), Options()) for folder in folders]
    # Two read-only file systems made by the same tool agree in inodes and in all times.
    same_status = os.stat(tmp_path)
    monkeypatch.setattr("glyphnet.data.listing.os.stat", lambda path: same_status)
    assert listings[0].stamp() != listings[1].stamp()
    assert listings[0].stamp() == listings[0].stamp()


def test_two_folders_of_like_files_are_not_mistaken_for_each_other(make_folder: MakeFolder, tmp_path: Path) -> None:
    roots = [make_folder({"a": 3, "b": 3}, root=tmp_path / str(i), suffix=".bmp", seed=i) for i in range(2)]
    for path in (path for root in roots for path in root.rglob("*.bmp")):  # same names, sizes and dates
        os.utime(path, (0, 0))
    first, second = pixels(load(roots[0])), pixels(load(roots[1]))
    assert any(not np.array_equal(first[name], second[name]) for name in first)


def test_labels_may_change_without_decoding_again(root: Path, decoded: list[str]) -> None:
    rows = [f"{name}/00{i}.png,{name}" for name in "ab" for i in range(6)]
    (root / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
    load(root)
    (root / "metadata.csv").write_text("\n".join(["file_name,label", *rows[:-1], "b/005.png,a"]))
    splits = load(root, validation_fraction=0, test_fraction=0)
    assert splits.train.counts.tolist() == [7, 5]
    assert len(decoded) == 12


def test_size_and_colour_are_part_of_the_key(root: Path) -> None:
    assert load(root).image_shape == (8, 8, 1)
    assert load(root, size=5).image_shape == (5, 5, 1)
    assert load(root, color="rgb").image_shape == (8, 8, 3)
    assert load(root).image_shape == (8, 8, 1)


def truncate(folder: Path) -> None:
    os.truncate(folder / "images.npy", 300)


def extend(folder: Path) -> None:
    with open(folder / "images.npy", "ab") as file:
        file.write(b"x")


def flip(folder: Path) -> None:
    content = bytearray((folder / "images.npy").read_bytes())
    content[-1] ^= 1
    (folder / "images.npy").write_bytes(content)


def spoil_header(folder: Path) -> None:
    content = bytearray((folder / "images.npy").read_bytes())
    content[:6] = b"NOTNPY"
    (folder / "images.npy").write_bytes(content)


def unfinish(folder: Path) -> None:
    (folder / "entry.json").unlink()


def spoil_json(folder: Path) -> None:
    (folder / "entry.json").write_text('{"bytes": 3')


def other_json(folder: Path) -> None:
    (folder / "entry.json").write_text("[]")


def lose_images(folder: Path) -> None:
    (folder / "images.npy").unlink()


def spoil_groups(folder: Path) -> None:
    os.truncate(folder / "groups.npy", 40)


def lose_groups(folder: Path) -> None:
    (folder / "groups.npy").unlink()


def foreign_groups(folder: Path) -> None:
    np.save(folder / "groups.npy", np.zeros(12, dtype=np.int64))


def pipe(folder: Path) -> None:
    (folder / "images.npy").unlink()
    os.mkfifo(folder / "images.npy")


def folder_instead(folder: Path) -> None:
    (folder / "groups.npy").unlink()
    (folder / "groups.npy").mkdir()


def file_instead(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


def wrong_types(folder: Path) -> None:
    text = json.dumps({"key": folder.name, "files": [1], "facts": 3})
    sealed = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "entry": text}
    (folder / "entry.json").write_text(json.dumps(sealed))


def of_another(folder: Path) -> None:
    record = json.loads(json.loads((folder / "entry.json").read_text())["entry"])
    (folder / "entry.json").write_text(cache_module._sealed({**record, "key": "another"}))


@pytest.mark.parametrize(
    "damage",
    [
        truncate, extend, flip, spoil_header, unfinish, spoil_json, other_json, lose_images, spoil_groups, lose_groups,
        foreign_groups, pipe, folder_instead, file_instead, wrong_types, of_another,
    ],
)  # fmt: skip
def test_a_damaged_entry_is_made_again_with_a_line(
    root: Path, cache: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    sound = load(root)
    (folder,) = entries(cache)
    damage(folder)
    assert same(load(root), sound)
    expected = [] if damage is file_instead else ["Cached images were damaged or unfinished, and are made again"]
    assert [record.message.partition(":")[0] for record in caplog.records] == expected
    caplog.clear()
    assert same(load(root), sound)
    assert caplog.records == []


def test_one_flipped_bit_anywhere_is_noticed(root: Path, cache: Path) -> None:
    """The groups decide which part an image belongs to: a flipped bit of theirs would change the split in silence."""
    load(root)
    (folder,) = entries(cache)
    assert cache_module._open(folder) is not None
    for path in sorted(folder.glob("*.[nj]*")):
        content = path.read_bytes()
        for place in range(len(content)):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
            assert cache_module._open(folder) is None, (path.name, place)
        path.write_bytes(content)
    assert cache_module._open(folder) is not None


def test_damaged_kept_arrays_are_computed_again(cache: Path) -> None:
    cache_module.keep_arrays("kind", "key", {"times": np.arange(5)})
    path = cache / "kind" / "key.npz"
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert cache_module.kept_arrays("kind", "key") is None
    path.with_name("other.npz").write_bytes(content)
    assert cache_module.kept_arrays("kind", "other") is None
    path.write_bytes(content)
    kept = cache_module.kept_arrays("kind", "key")
    assert kept is not None
    np.testing.assert_array_equal(kept["times"], np.arange(5))


@pytest.mark.parametrize("kind", ["folder", "full folder", "pipe", "link", "link to nothing"])
def test_what_stands_where_arrays_are_kept_is_replaced_and_never_written_through(
    cache: Path, tmp_path: Path, kind: str
) -> None:
    path, elsewhere = cache / "kind" / "key.npz", tmp_path / "elsewhere"
    path.parent.mkdir(parents=True)
    if "folder" in kind:
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "link" else elsewhere)
    if kind == "full folder":
        (path / "a").touch()
    assert cache_module.kept_arrays("kind", "key") is None
    cache_module.keep_arrays("kind", "key", {"times": np.arange(5)})
    kept = cache_module.kept_arrays("kind", "key")
    assert kept is not None
    np.testing.assert_array_equal(kept["times"], np.arange(5))
    assert not elsewhere.exists()


@pytest.mark.parametrize("damage", [truncate, flip, extend, spoil_header, lose_images])
def test_a_damaged_map_is_made_again(
    root: Path, cache: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = load(root)
    monkeypatch.setattr(cache_module, "IN_MEMORY_BYTES", 0)
    load(root)
    content = {folder: (folder / "images.npy").read_bytes() for folder in entries(cache)}
    for folder in content:
        damage(folder)
    assert same(load(root), sound)
    assert {folder: (folder / "images.npy").read_bytes() for folder in entries(cache)} == content


def test_what_a_killed_process_left_is_no_obstacle(root: Path, cache: Path) -> None:
    sound = load(root)
    (folder,) = entries(cache)
    (folder / "entry.json").unlink()
    assert same(load(root), sound)
    assert (folder / "entry.json").exists()


def test_two_threads_build_one_entry_once(root: Path, decoded: list[str], cache: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: load(root), range(4)))
    assert len(decoded) == 12
    assert all(same(result, results[0]) for result in results)
    assert len(entries(cache)) == 1


def test_two_processes_build_one_entry_at_once(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder({"a": 150, "b": 150}, size=(40, 40), channels=3)
    command = [
        sys.executable,
        "-c",
        "import sys; from glyphnet.data import load; print(load(sys.argv[1]).train.fingerprint)",
    ]
    running = [subprocess.Popen([*command, str(root)], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=60)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert printed == [load(root).train.fingerprint] * 2
    assert len(entries(cache)) == 1


def test_large_data_are_handed_out_as_slices_of_one_map(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = load(root, validation_fraction=0.25, test_fraction=0.25)
    assert not isinstance(small.train.images, np.memmap)
    monkeypatch.setattr(cache_module, "IN_MEMORY_BYTES", 0)
    large = load(root, validation_fraction=0.25, test_fraction=0.25)
    assert same(small, large)
    for _, part in large:
        assert isinstance(part.images, np.memmap)
        assert not part.images.flags.writeable
    assert len({part.images.filename for _, part in large}) == 1
    addresses = [part.images.__array_interface__["data"][0] for _, part in large]
    assert np.diff(addresses).tolist() == [64 * len(large.train), 64 * len(large.validation)]
    again = load(root, validation_fraction=0.25, test_fraction=0.25, seed=1)
    assert not same(large, again)
    assert all(np.array_equal(image, pixels(small)[name]) for name, image in pixels(again).items())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit counts mapped files as well")
def test_data_larger_than_the_memory_allowed_are_loaded(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 40, "b": 40}, size=(8, 8))
    code = """
import re, resource, sys
from glyphnet import processes
from glyphnet.data import cache, load
processes.WORKERS = 2  # each thread has a stack, which counts
cache.IN_MEMORY_BYTES = int(sys.argv[2])
used = int(re.search(r"VmData:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 180_000_000,) * 2)
load(sys.argv[1], size=1000, color="rgb")  # 240 MB of pixels
print("loaded")
"""
    runs = [
        subprocess.run([sys.executable, "-c", code, str(root), limit], capture_output=True, text=True)
        for limit in ("0", str(2**40))
    ]
    assert runs[0].stdout == "loaded\n", runs[0].stderr
    assert "MemoryError" in runs[1].stderr  # the limit does bite


def test_an_image_file_is_readable_by_numpy(cache: Path) -> None:
    blocks = [np.full((n, 2, 3, 1), n, dtype=np.uint8) for n in (2, 0, 3)]

    def build(writer: ImageWriter) -> dict[str, object]:
        writer.begin((2, 3, 1), 10**9)
        for block in blocks:
            writer.append(block)
        return {"fact": 1}

    made = entry(cache_key("test"), build)
    assert made.facts == {"fact": 1}
    np.testing.assert_array_equal(made.images, np.concatenate(blocks))
    np.testing.assert_array_equal(np.load(made.folder / "images.npy"), made.images)


def test_a_failing_build_leaves_nothing_that_is_taken_for_an_entry(cache: Path) -> None:
    def fails(writer: ImageWriter) -> dict[str, object]:
        writer.begin((1, 1, 1), 1)
        writer.append(np.zeros((1, 1, 1, 1), dtype=np.uint8))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        entry(cache_key("x"), fails)
    (folder,) = entries(cache)
    assert not list(folder.iterdir())


def test_old_entries_make_room(
    make_folder: MakeFolder, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [make_folder({"a": 5, "b": 5}, root=tmp_path / str(i), seed=i) for i in range(3)]
    kept = []
    for age, root in zip((30_000, 20_000, 10_000), roots, strict=True):
        load(root)
        (new,) = set(entries(cache)) - set(kept)
        kept.append(new)
        for path in new.iterdir():
            os.utime(path, (time.time() - age,) * 2)
    load(roots[0])  # used: now the youngest
    one = sum(path.stat().st_size for path in kept[0].iterdir())
    prune(keep=kept[2], limit=2 * one)
    assert set(entries(cache)) == {kept[0], kept[2]}
    prune(keep=kept[2], limit=0)
    assert set(entries(cache)) == {kept[0], kept[2]}  # what was used just now stays all the same
    os.utime(kept[0] / "entry.json", (0, 0))
    prune(keep=kept[2], limit=0)
    assert entries(cache) == [kept[2]]


def test_the_cache_may_be_deleted_at_any_time(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "IN_MEMORY_BYTES", 0)
    splits = load(root)
    before = splits.train.images.copy()
    shutil.rmtree(cache)
    np.testing.assert_array_equal(splits.train.images, before)
    assert same(load(root), splits)


def test_a_cache_that_cannot_be_written_is_told(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"decoded images cannot be kept there .*set GLYPHNET_CACHE to another folder"):
        load(root)


def test_a_full_disk_is_told(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 30, "b": 30}, size=(60, 60))
    code = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # what a full disk does, without filling one
from glyphnet.data import load
from glyphnet.errors import DataError
try:
    load(sys.argv[1])
except DataError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(root)], check=True, capture_output=True, text=True)
    assert "decoded images cannot be kept there" in done.stdout
    assert "set GLYPHNET_CACHE" in done.stdout


def test_the_errors_of_a_full_disk_are_called_so(cache: Path) -> None:
    def full(writer: ImageWriter) -> dict[str, object]:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match=r"\(its disk is full\)\. Make room, or set GLYPHNET_CACHE"):
        entry(cache_key("full"), full)


def test_files_that_change_while_they_are_read_are_told(root: Path, cache: Path) -> None:
    def meddle(done: int, total: int, what: str) -> None:
        Image.new("L", (8, 8), 77).save(root / "a" / "000.png")

    with pytest.raises(DataError, match=r"files changed while they were read. Run it again when nothing writes there."):
        load(root, progress=meddle)
    assert not list(cache.rglob("entry.json"))
