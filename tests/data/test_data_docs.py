"""docs/data.md shows what is printed: each of its examples is made and read here, and must say the same."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw
from pyarrow import parquet

from glyphnet.data import load
from glyphnet.data.load import NAMED
from glyphnet.errors import DataError

DOCS = Path(__file__).parents[2] / "docs" / "data.md"
EXAMPLE = re.compile(r"^\$ glyphnet data (.+)\n((?:.+\n)*?)(?=\n|```)", re.MULTILINE)


class Maker:
    """Pictures and tables, no two pictures alike."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._rng = np.random.default_rng(0)

    def pixels(self) -> np.ndarray:
        return self._rng.integers(0, 256, (8, 8), dtype=np.uint8)

    def pictures(self, *folders: str, count: int = 6, called: str = "{folder}_{n}") -> None:
        for folder in folders:
            for n in range(count):
                name = called.format(folder=folder.replace("/", "-"), n=n)
                self.write(f"{folder}/{name}.png", self.png())

    def png(self) -> bytes:
        Image.fromarray(self.pixels()).save(file := io.BytesIO(), "PNG")
        return file.getvalue()

    def write(self, name: str, content: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def depths(make: Maker) -> None:
    for n in range(12):
        white = 65_535 if n % 4 < 2 else 4095
        values = np.random.default_rng(n).random((8, 8)) * 0.8 * white + 0.1 * white
        Image.fromarray(values.astype(np.uint16)).save(file := io.BytesIO(), "TIFF")
        make.write(f"depths/{'ab'[n % 2]}/{n // 2}.tif", file.getvalue())


def class_folders(make: Maker) -> None:
    make.pictures("fruit/apple", "fruit/pear")
    make.write("fruit/apple/notes.txt", "sour\n")


def groups_beside(make: Maker) -> None:
    make.pictures("birds/owl", "birds/wren", called="{n}")
    rows = "owl/0.png,barn\nowl/1.png,barn\nwren/0.png,hedge\nwren/1.png,hedge\n"
    make.write("birds/metadata.csv", "file_name,group\n" + rows)


def parts_above(make: Maker) -> None:
    make.pictures(*(f"archive/fruit/{part}/{label}" for part in ("Training", "Test") for label in ("apple", "pear")))


def parts_below(make: Maker) -> None:
    make.pictures(*(f"shoes/{label}/{part}" for label in ("boot", "sandal") for part in ("train", "test")))


def images_and_masks(make: Maker) -> None:
    for kind in ("images", "masks"):
        for label in ("COVID", "Normal"):
            make.pictures(f"lungs/{label}/{kind}", called=label + "-{n}")


def people(make: Maker) -> None:
    make.pictures(*(f"faces/{person}/{face}" for person in ("ann", "bob") for face in ("glad", "sad")))


def no_classes(make: Maker) -> None:
    make.pictures("flat/train", "flat/test")


def imagefolder(make: Maker) -> None:
    for part in ("train", "test"):
        make.pictures(f"imagefolder/{part}", called="{n}")
        rows = "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(6))
        make.write(f"imagefolder/{part}/metadata.csv", f"file_name,label\n{rows}")


def two_labels(make: Maker) -> None:
    make.pictures("pets", called="{n}")
    rows = "".join(f"{n}.png,{'abc'[n % 3]},{'xy'[n % 2]}\n" for n in range(6))
    make.write("pets/pets.csv", f"file,fine_label,coarse_label\n{rows}")


def not_fetched(make: Maker) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for n in range(12):
        make.write(f"cloned/{'ab'[n // 6]}/{n % 6}.png", pointer)


def path_table(make: Maker) -> None:
    make.pictures("plants/train", called="{n}")
    make.write("plants/plants.csv", "id;Width;category\n" + "".join(f"{n};8;{'ab'[n % 2]}\n" for n in range(6)))


def pixel_table(make: Maker) -> None:
    rows = ["label," + ",".join(f"pixel{i}" for i in range(64))]
    rows += [",".join(map(str, [n % 2, *make.pixels().ravel()])) for n in range(20)]
    make.write("digits/train.csv", "\n".join(rows) + "\n")
    make.write("digits/test.csv", "\n".join(row.partition(",")[2] for row in rows) + "\n")


def hub(make: Maker) -> None:
    info = {"info": {"features": {"label": {"names": ["apple", "pear"], "_type": "ClassLabel"}}}}
    for part in ("train", "test"):
        rows = {"image": [{"bytes": make.png(), "path": None} for _ in range(6)], "label": [n % 2 for n in range(6)]}
        table = pa.table(rows).replace_schema_metadata({"huggingface": json.dumps(info)})
        path = make.root / "hub" / "data" / f"{part}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, path)


def archive(make: Maker) -> None:
    make.pictures(*(f"pack/{label}" for label in ("apple", "pear")))
    with zipfile.ZipFile(make.root / "fruit.zip", "w") as packed:
        for file in sorted((make.root / "pack").rglob("*.png")):
            packed.write(file, file.relative_to(make.root))


def arrays(make: Maker) -> None:
    images = np.stack([make.pixels() for _ in range(12)])
    np.savez(make.root / "set.npz", x_train=images[:8], y_train=[0, 1] * 4, x_test=images[8:], y_test=[0, 1] * 2)


def counts(make: Maker) -> None:
    for n in range(24):
        values = np.rint(np.linspace(100, 260, 64)).astype(np.uint16)
        np.random.default_rng(n).shuffle(values)
        Image.fromarray(values.reshape(8, 8)).save(file := io.BytesIO(), "TIFF")
        make.write(f"cells/{['low', 'high'][n % 2]}/{n:02d}.tif", file.getvalue())


def stacks(make: Maker) -> None:
    for n in range(12):
        first, *others = [Image.fromarray(make.pixels()) for _ in range(4)]
        first.save(file := io.BytesIO(), "TIFF", save_all=True, append_images=others)
        make.write(f"stacks/{['round', 'square'][n % 2]}/{n:02d}.tif", file.getvalue())


def drawings(make: Maker) -> None:
    for n in range(20):
        picture = Image.new("L", (105, 105), 255)
        ImageDraw.Draw(picture).rectangle((20 + n, 25, 60 + n, 80), outline=0, width=3)
        picture.save(file := io.BytesIO(), "PNG")
        make.write(f"signs105/{'ab'[n % 2]}/{n:02d}.png", file.getvalue())


def own_folder(make: Maker) -> None:
    make.pictures("digits/a", "digits/b")


def with_runs(make: Maker) -> None:
    make.pictures("signs/stop", "signs/go")
    for file in ("recipe.yaml", "model.safetensors"):
        make.write(f"signs/runs/signs-fast/{file}", "x")


MAKERS: dict[str, Callable[[Maker], None]] = {
    "fruit": class_folders, "birds": groups_beside, "archive": parts_above, "shoes": parts_below,
    "lungs": images_and_masks,
    "lungs --only images": images_and_masks, "faces": people, "flat": no_classes, "imagefolder": imagefolder,
    "plants/plants.csv": path_table, "pets/pets.csv": two_labels, "cloned": not_fetched,
    "digits/train.csv": pixel_table, "hub": hub, "fruit.zip": archive,
    "set.npz": arrays, "cells": counts, "depths": depths, "stacks": stacks, "signs105": drawings,
    "digits": own_folder, "signs": with_runs,
}  # fmt: skip


def examples() -> Iterator[tuple[str, list[str]]]:
    for command, printed in EXAMPLE.findall(DOCS.read_text(encoding="utf-8")):
        yield command, [line for line in printed.splitlines() if line != "…"]


def test_every_known_data_set_is_on_the_page() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert [name for name in NAMED if f"`{name}`" not in page] == []


def test_every_example_is_tried() -> None:
    assert sorted(command for command, _ in examples()) == sorted(MAKERS)


@pytest.mark.parametrize("command", MAKERS)
def test_the_example_prints_what_the_page_shows(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = dict(examples())[command]
    assert shown
    MAKERS[command](Maker(tmp_path))
    monkeypatch.chdir(tmp_path)
    source, _, option = command.partition(" --only ")
    try:
        splits = load(source, only=option or None)
    except DataError as error:
        printed = f"glyphnet: {error}".splitlines()
    else:
        printed = [f"note: {note}" for note in splits.notes] + [f"warning: {each}" for each in splits.warnings]
        counts = ", ".join(f"{len(part)} {name}" for name, part in splits if len(part))
        printed.append(f"{len(splits.classes)} classes: {', '.join(splits.classes)}; {counts}")
    if os.environ.get("SHOW"):
        print(command, "\n".join(printed), sep="\n")
    missing = [line for line in shown if line not in printed]
    assert not missing, printed
