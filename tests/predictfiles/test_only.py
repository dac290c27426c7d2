"""``predict --only NAME``: the pictures in folders of that name, as in training, and no others."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.data.listing import Picture
from glyphnet.errors import BadFileError
from glyphnet.predictfiles import pictures_in


@pytest.fixture
def lungs(tmp_path: Path) -> Path:
    for folder in ("COVID/images", "COVID/masks", "Normal/images"):
        for number in range(2):
            path = tmp_path / "lungs" / folder / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), number, np.uint8)).save(path)
    return tmp_path / "lungs"


def found(path: Path, only: str | None, **more: object) -> list[Picture]:
    return list(pictures_in([str(path)], only=only, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("packed", [False, True])
def test_only_pictures_in_folders_of_that_name_are_taken_and_the_others_counted(lungs: Path, packed: bool) -> None:
    source = lungs
    if packed:
        source = lungs.parent / "lungs.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in sorted(lungs.rglob("*.png")):
                archive.write(file, file.relative_to(lungs.parent))
    ignored: Counter[str] = Counter()
    pictures = found(source, "images", ignored=ignored)
    assert len(pictures) == 4
    assert all("/images/" in picture.place for picture in pictures)
    assert ignored == {"outside 'images'": 2}
    assert [picture.place for picture in found(source, "images", skip=3)] == [pictures[3].place]
    assert len(found(source, None)) == 6


def test_a_name_of_no_folder_is_an_error(lungs: Path) -> None:
    [picture] = found(lungs, "scans")
    assert isinstance(picture.content, BadFileError)
    assert "no picture in it lies in a folder 'scans'" in str(picture.content)


def test_a_file_that_is_given_is_taken(lungs: Path) -> None:
    assert len(found(lungs / "COVID" / "masks" / "0.png", "images")) == 1
