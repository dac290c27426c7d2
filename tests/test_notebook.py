"""How the nouns show themselves in notebooks, and the progress that a notebook shows."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.evaluation.test_drawing import Seen

import glyphnet
from glyphnet import notebook
from glyphnet.data import ImageDataset, Splits

NASTY = ("<img onerror=alert(1)>", '"><script>', "$x$ &amp;")


def dataset(count: int, size: int = 8, channels: int = 1, classes: tuple[str, ...] = NASTY) -> ImageDataset:
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    return ImageDataset(images, np.arange(count) % len(classes), classes, [f"<b>{n}</b>.png" for n in range(count)])


@pytest.fixture(scope="module")
def run() -> glyphnet.Run:
    splits = Splits("<b>data</b>", dataset(60), dataset(30), dataset(30))
    return glyphnet.train(splits, preset="fast", changes={"epochs": 3}, device="cpu")


def nouns(run: glyphnet.Run) -> dict[str, Any]:
    stopped = replace(run, ending="stopped", classifier=None, evaluation=None, history=[], best_epoch=0)
    empty, many = dataset(0), dataset(500, 4, classes=tuple(f"class {n}" for n in range(100)))
    parts = {"data": dataset(50, 96, 3), "no images": empty, "many classes": many, "splits": run.splits}
    return {**parts, "classifier": run.classifier, "evaluation": run.evaluation, "run": run, "stopped run": stopped}


NAMES = ["data", "no images", "many classes", "splits", "classifier", "evaluation", "run", "stopped run"]


@pytest.mark.parametrize("name", NAMES)
def test_every_noun_is_a_sound_small_page_that_asks_for_nothing(run: glyphnet.Run, name: str) -> None:
    page = nouns(run)[name]._repr_html_()
    seen = Seen(page)
    assert not {"script", "link", "iframe", "b"} & {tag for tag, _ in seen.elements}
    assert all(values["src"].startswith("data:image/png;base64,") for tag, values in seen.elements if tag == "img")
    assert not [name for _, values in seen.elements for name in values if name.startswith("on")]
    assert not re.search("https?:", page)
    assert "url(" not in page
    assert len(page) < 150_000


def test_names_of_classes_are_text(run: glyphnet.Run) -> None:
    for noun in (run.splits.train, run.classifier, run.evaluation):
        text = " ".join(Seen(noun._repr_html_()).text)  # type: ignore[union-attr]
        assert all(name in text for name in NASTY)


def test_a_run_shows_its_result_its_findings_and_the_epoch_that_was_kept(run: glyphnet.Run) -> None:
    text = re.sub(r"\s+", " ", " ".join(Seen(run._repr_html_()).text))
    assert str(run) in text
    assert f"The weights of epoch {run.best_epoch} of 3 were kept." in text
    assert run.findings, "noise cannot be learned"
    assert all(finding.sentence in text for finding in run.findings)
    assert text.count("Confusion matrix") == 1, "the evaluation is behind a click"


def test_a_classifier_says_its_accuracy_and_its_layers(run: glyphnet.Run) -> None:
    classifier = run.classifier
    assert classifier is not None
    text = re.sub(r"\s+", " ", " ".join(Seen(classifier._repr_html_()).text))
    assert f"{100 * classifier.metrics['accuracy']:.2f}" in text
    assert "measured on 30 images: <b>data</b>, test part" in text
    assert f"{classifier.summary().parameters:,} weights" in text
    untold = replace(classifier, metrics={})._repr_html_()
    assert "Accuracy" not in untold


def pixels_of(source: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))


def test_a_strip_shows_the_images_side_by_side_and_reduces_large_ones() -> None:
    images = dataset(3).images
    shown = pixels_of(notebook.strip(images))
    assert shown.shape == (8, 3 * 8 + 2)
    np.testing.assert_array_equal(shown[:, 9:17], images[1, :, :, 0])
    large = dataset(2, 97, 3).images
    shown = pixels_of(notebook.strip(large))
    side = 25  # of 97 pixels, every four become one, and the last stands alone
    assert shown.shape[:2] == (side, 2 * side + side // 12)
    np.testing.assert_allclose(shown[0, 0], large[0, :4, :4].reshape(16, 3).mean(axis=0), atol=2)
    np.testing.assert_array_equal(shown[-1, side - 1], large[0, -1, -1])


def test_curves_go_from_the_first_epoch_to_the_last_on_a_scale_that_is_named() -> None:
    history = [
        {"loss": loss, "val_loss": None, "accuracy": share, "val_accuracy": share / 2}
        for loss, share in ((2.0, 0.2), (1.0, 0.6), (float("nan"), 1.0))
    ]
    seen = Seen(notebook.curves(history, best_epoch=2))
    lines = [values["points"].split() for tag, values in seen.elements if tag == "polyline"]
    assert lines == [
        ["0.0,0.0", "120.0,55.0"],
        ["0.0,97.8", "120.0,48.9", "240.0,0.0"],
        ["0.0,110.0", "120.0,85.6", "240.0,61.1"],
    ]
    assert [values["x1"] for tag, values in seen.elements if tag == "line"] == ["120.0", "120.0"]
    text = re.sub(r"\s+", " ", " ".join(seen.text))
    assert "loss, 0 to 2, epochs 1 to 3: training 1" in text
    assert "accuracy, 10.0 % to 100.0 %" in text


class Cell:
    """The output of a notebook's cell: what was shown, one after another."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def display(self, page: str, display_id: bool) -> Cell:
        assert display_id, "what is shown can be replaced"
        return self

    def update(self, page: str) -> None:
        self.pages.append(page)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """Python thinks that it runs the cells of a notebook."""
    cell, ipython, display = Cell(), ModuleType("IPython"), ModuleType("IPython.display")
    vars(ipython)["get_ipython"] = lambda: SimpleNamespace(kernel=object())
    vars(display).update(HTML=str, display=cell.display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return cell


def test_a_notebook_shows_a_training_while_it_runs_and_nothing_afterwards(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("glyphnet.bars.Bars.REDRAW", 0.0)
    splits = Splits("data", dataset(60), dataset(30), dataset(30))
    glyphnet.train(splits, preset="fast", changes={"epochs": 3}, reporter=glyphnet.Live(), device="cpu")
    text = [re.sub(r"\s+", " ", " ".join(Seen(page).text)) for page in cell.pages]
    assert any("epoch 1 of 3" in each and "loss," not in each for each in text)
    grown = [(page, each) for page, each in zip(cell.pages, text, strict=True) if "epoch 3 of 3" in each]
    assert grown
    assert all("polyline" in page and "epochs 1 to 2" in each for page, each in grown)
    assert cell.pages[-1] == "", "the result has the cell to itself"
    said = capsys.readouterr()
    assert "Computing on cpu" in said.out
    assert said.err == "", "standard error looks like a failure in a notebook"


def test_without_a_notebook_the_same_reporter_says_lines(capsys: pytest.CaptureFixture[str]) -> None:
    splits = Splits("data", dataset(60), dataset(30), dataset(30))
    glyphnet.train(splits, preset="fast", changes={"epochs": 2}, reporter=glyphnet.Live(), device="cpu")
    said = capsys.readouterr()
    assert "epoch 2 of 2: loss" in said.err
    assert said.out == ""


def test_showing_data_loads_no_torch_and_no_matplotlib() -> None:
    code = (
        "import sys, glyphnet\nglyphnet.load('digits').train._repr_html_()\n"
        "print([name for name in ('torch', 'matplotlib', 'IPython') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
