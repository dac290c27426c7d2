"""From counts of a camera to answers: the range is chosen in training and applied wherever the model predicts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import glyphnet
from glyphnet.data.traits import TraitCounts
from glyphnet.evaluation.evaluate import held_out
from glyphnet.export import export
from glyphnet.onnxmodel import load_onnx
from glyphnet.predictfiles import predict_files

OLD = Path(__file__).parent / "models" / "version-1.safetensors"
YY, XX = np.mgrid[:16, :16]


def cell(rng: np.random.Generator, levels: tuple[int, int], offset: int) -> np.ndarray:
    """A cell whose class is its brightness, in counts above a camera's offset."""
    radius = rng.uniform(3, 4.5)
    inside = (XX - rng.uniform(6, 10)) ** 2 + (YY - rng.uniform(6, 10)) ** 2 < radius**2
    return np.where(inside, rng.uniform(*levels) + offset, offset) + rng.normal(0, 4, (16, 16))


def write_cells(root: Path, kind: str, offset: int = 100, per: int = 40) -> Path:
    rng = np.random.default_rng(0)
    for name, levels in (("low", (40, 80)), ("high", (120, 160))):
        for number in range(per):
            path = root / name / f"{number:02d}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = cell(rng, levels, offset)
            Image.fromarray(np.rint(values).astype(np.uint16) if kind == "uint16" else values.astype(kind)).save(path)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("values")
    cells = write_cells(root / "cells", "uint16")
    run = glyphnet.train(str(cells), preset="fast", out=root / "run", changes={"network": "linear", "epochs": 30})
    return cells, run


def test_the_classes_are_told_apart_and_the_range_is_stored(trained: Any) -> None:
    _, run = trained
    assert run.evaluation.accuracy >= 0.95
    low, high = glyphnet.load_model(run.folder.model).reading.value_range
    assert 80 < low < 100
    assert 250 < high < 280


def test_files_arrays_and_onnx_answer_as_the_evaluation_did(trained: Any, tmp_path: Path) -> None:
    cells, run = trained
    classifier = run.classifier
    held = held_out(classifier, cells)
    names = [cells / name for name in held.dataset.names]
    expected = classifier.predict_proba(names)
    np.testing.assert_allclose(expected, run.evaluation.probabilities, atol=1e-5)
    counts = [np.asarray(Image.open(name)) for name in names]
    np.testing.assert_allclose(classifier.predict_proba(np.stack(counts)), expected, atol=1e-5)
    np.testing.assert_allclose(classifier.predict_proba([each.tolist() for each in counts]), expected, atol=1e-5)
    np.testing.assert_allclose(classifier.predict_proba(np.stack(counts).astype(np.float32)), expected, atol=1e-5)
    found = predict_files(classifier, [str(name) for name in names], lambda error: pytest.fail(str(error)))
    np.testing.assert_allclose(np.stack([each.answer.probabilities for each in found]), expected, atol=1e-5)
    export(classifier, tmp_path / "m.onnx")
    onnx = load_onnx(tmp_path / "m.onnx")
    assert onnx.reading == classifier.reading
    np.testing.assert_allclose(onnx.predict_proba(names), expected, atol=1e-4)


def test_a_brighter_sample_is_counted_and_another_scale_refused(trained: Any, tmp_path: Path) -> None:
    _, run = trained
    bright = write_cells(tmp_path / "bright", "float32", offset=180, per=2)
    traits = TraitCounts()
    list(predict_files(run.classifier, [str(bright)], lambda error: pytest.fail(str(error)), traits=traits))
    [said] = traits.predicted_sentences(run.classifier.reading)
    assert re.match(r"[\d,]+ values in \d pictures lie outside [\d.]+:[\d.]+, the scale", said)
    far = write_cells(tmp_path / "far", "uint16", offset=30_000, per=1)
    errors: list[Any] = []
    assert not list(predict_files(run.classifier, [str(far)], errors.append))
    assert "the model was trained on the scale" in str(errors[0])


def test_an_old_model_says_in_one_line_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.where((XX[:8, :8] - 4) ** 2 + (YY[:8, :8] - 4) ** 2 < 9, 49_000, 2000).astype(np.uint16)).save(
        path
    )
    from glyphnet.cli.verbs import app

    done = CliRunner().invoke(app, ["predict", str(OLD), str(path), "--json"])
    [line] = [line for line in done.stderr.splitlines() if "no range of values" in line]
    assert "divided by 257" in line
    assert json.loads(done.stdout)["predictions"][0]["label"] == "bright"
