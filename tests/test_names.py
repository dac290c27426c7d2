"""Names of classes are text that every file can hold; folders may be called by any bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import glyphnet
from glyphnet.classifier import load_model
from glyphnet.data import ImageDataset
from glyphnet.errors import CorruptFileError, DataError
from glyphnet.tensorfile import read_tensors, write_tensors
from glyphnet.units import fault_of

MODEL = next((Path(__file__).parent / "models").rglob("*.safetensors"))
BAD = ["bell\a", "two\nlines", "half\udce9", "x" * 256]


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_some_file_could_not_hold_is_refused_wherever_it_comes_from(tmp_path: Path, name: str) -> None:
    images, labels = np.zeros((1, 4, 4, 1), np.uint8), np.zeros(1, np.int64)
    with pytest.raises(DataError, match=r"cannot be the name of a class: it (holds U\+|has 256 characters)"):
        ImageDataset(images, labels, (name,), ["1"])
    header, tensors = read_tensors(MODEL, kind="model", newest=99)
    header["classes"][0] = name
    write_tensors(tmp_path / "m.safetensors", tensors, header)
    with pytest.raises(CorruptFileError, match="cannot be the name of a class"):
        load_model(tmp_path / "m.safetensors")


def test_ordinary_names_of_all_scripts_are_none_of_these() -> None:
    assert not any(map(fault_of, ("0", "größe", "数字", "👍🏽", "a b", "x" * 255)))


def test_folders_that_are_called_by_any_bytes_are_read_and_shown_escaped(tmp_path: Path) -> None:
    root = os.path.join(os.fsencode(tmp_path), b"d\xff")
    for name in (b"caf\xe9", b"two\nlines"):
        os.makedirs(os.path.join(root, name))
        for number in range(5):
            path = os.path.join(root, name, b"%d\xe9.png" % number)
            with open(path, "wb") as file:
                Image.new("L", (8, 8), 40 * number).save(file, "PNG")
    splits = glyphnet.load(os.fsdecode(root))
    assert (splits.name, splits.classes) == ("d\\xff", ("caf\\xe9", "two\\nlines"))
