"""The accuracy on new groups beside that of a random division, from data to what is printed."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import glyphnet
from glyphnet.cli import app
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


def test_the_gap_is_on_the_terminal_in_the_figures_and_in_the_report(tracks: Path, tmp_path: Path) -> None:
    command = ["train", str(tracks), "--preset", "fast", "--network", "mlp", "--set", "epochs=30", "--group-gap"]
    answer = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "run")])
    assert answer.exit_code == 0, answer.output
    figures = json.loads((tmp_path / "run/evaluation.json").read_text(encoding="utf-8"))
    (finding,) = [each for each in figures["findings"] if each["code"] == "group_gap"]
    assert finding["numbers"]["at_random"] > 0.9
    assert finding["numbers"]["by_group"] < 0.85
    for key in ("at_random", "by_group"):
        assert f"{finding['numbers'][key]:.2%} [" in finding["sentence"]
    assert f"Warning: {finding['sentence']}" in answer.output
    assert finding["sentence"] in html.unescape((tmp_path / "run/report.html").read_text(encoding="utf-8"))
    assert "group_by: prefix" in (tmp_path / "run/recipe.yaml").read_text(encoding="utf-8")


def test_without_groups_there_is_no_gap() -> None:
    with pytest.raises(SettingsError, match="needs groups, and none were found"):
        glyphnet.train("digits", preset="fast", group_gap=True)
