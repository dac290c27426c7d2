"""The accuracy on new groups beside that of a random division, from data to what is printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import glyphnet
from glyphnet.errors import SettingsError


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that tell their track, and nothing else: a random division is learnt by heart, a new track is not."""
    root = tmp_path_factory.mktemp("tracks")
    rng = np.random.default_rng(0)
    for label in range(2):
        (root / f"{label}").mkdir()
        for track in range(12):
            scene = rng.integers(0, 256, (8, 8))
            for frame in range(8):
                pixels = np.clip(scene + rng.normal(0, 8, scene.shape), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / f"{label}/{track:05d}_{frame:05d}.png")
    return root


def test_the_gap_is_reported_and_the_recipe_divides_alike(tracks: Path) -> None:
    run = glyphnet.train(str(tracks), preset="fast", changes={"network": "mlp", "epochs": 30}, group_gap=True)
    finding = next(each for each in run.findings if each.code == "group_gap")
    assert finding.numbers["at_random"] > 0.9
    assert finding.numbers["by_group"] < 0.85
    assert "On new groups" in finding.sentence
    assert "[" in finding.sentence
    assert run.recipe.data.group_by == "prefix"


def test_without_groups_there_is_no_gap() -> None:
    with pytest.raises(SettingsError, match="needs groups, and none were found"):
        glyphnet.train("digits", preset="fast", group_gap=True)
