"""Real little image folders, and a cache of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, empty."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GLYPHNET_CACHE", str(folder))
    return folder


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """``make_folder({"train/cat": 3}, size=(h, w), channels=1, suffix=".png")``: noise, no two alike."""

    def make(
        counts: Mapping[str, int],
        *,
        size: tuple[int, int] = (8, 8),
        channels: int = 1,
        suffix: str = ".png",
        root: Path | None = None,
        seed: int = 0,
    ) -> Path:
        root = root or tmp_path / "pictures"
        rng = np.random.default_rng(seed)
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (*size, channels), dtype=np.uint8)
                image = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
                image.save(root / folder / f"{number:03d}{suffix}")
        return root

    return make
