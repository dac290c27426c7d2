"""The modules of the pages in Node: their own tests, and the same answers as Python where both compute them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.conformal import SCORES, Conformal
from glyphnet.export import export
from glyphnet.units import page_percent as percent

from ..javascript import run_module, run_node

TESTS = sorted((Path(__file__).parent / "modules").glob("*.test.js"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_module_s_own_tests_pass(path: Path) -> None:
    made = run_node("--no-warnings", "--test", str(path))
    assert made.returncode == 0, made.stdout + made.stderr
    assert int(re.search(r"^\S* ?pass (\d+)$", made.stdout, re.MULTILINE)[1]) > 1, "tests were found"


def test_node_that_dies_by_a_signal_is_tried_once_more_and_a_warning_says_so(tmp_path: Path) -> None:
    there = json.dumps(str(tmp_path / "there"))
    once = f"""const fs = require("node:fs");
        if (fs.existsSync({there})) process.stdout.write("well");
        else {{ fs.writeFileSync({there}, ""); process.abort(); }}"""
    with pytest.warns(UserWarning, match="Node died by signal 6"):
        assert run_node("--eval", once).stdout == "well"
    with pytest.warns(UserWarning, match="Node died by signal 6"):
        assert run_node("--eval", "process.abort()").returncode < 0, "twice is no chance"
    assert run_node("--eval", "process.exit(3)").returncode == 3, "an error of the script is one at once"


def test_percentages_are_worded_as_in_python() -> None:
    shares = [[share, digits] for share in (0.0, 1e-5, 0.12345, 0.5, 0.98734, 0.99996, 1.0) for digits in (0, 1, 2)]
    made = run_module(
        'import { percent } from "./pages/js/elements.js";', "given.map((one) => percent(...one))", shares
    )
    assert made == [percent(share, digits) for share, digits in shares]


@pytest.mark.parametrize("name", ["box", "bicubic"])
def test_pictures_are_resized_as_pillow_resizes_them(name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (13, 29), dtype=np.uint8)
    sizes = [(7, 5), (29, 13), (58, 39), (1, 1), (28, 28)]
    made = run_module(
        'import { resizeGrey } from "./pages/js/resample.js";',
        "given.sizes.map(([width, height]) => [...resizeGrey(given.image, width, height, given.name).data])",
        {"image": {"data": pixels.ravel().tolist(), "width": 29, "height": 13}, "sizes": sizes, "name": name},
    )
    image = Image.fromarray(pixels)
    for size, ours in zip(sizes, made, strict=True):
        expected = image.resize(size, Image.Resampling.BOX if name == "box" else Image.Resampling.BICUBIC)
        assert ours == np.asarray(expected).ravel().tolist()


@pytest.mark.parametrize("score", SCORES)
def test_sets_of_classes_are_those_of_python(score) -> None:
    generator = np.random.default_rng(1)
    probabilities = generator.dirichlet(np.full(6, 0.4), 300)
    labels = (probabilities.cumsum(axis=1) < generator.random((300, 1))).sum(axis=1).clip(max=5)
    conformal = Conformal.calibrate(probabilities[:200], labels[:200], score)
    given = {"conformal": conformal.model_dump(mode="json"), "rows": probabilities[200:].tolist()}
    for level in (0.5, 0.8, 0.95):
        made = run_module(
            'import { setOf } from "./pages/js/foreign.js";',
            "given.rows.map((row) => setOf(given.conformal, row, given.level))",
            {**given, "level": level},
        )
        assert made == conformal.labels(probabilities[200:], level)


def test_a_level_that_needs_more_images_gives_no_set() -> None:
    conformal = Conformal(score="ratio", images=19, ranks=(19,), values=(0.5,)).model_dump(mode="json")
    made = run_module(
        'import { setOf } from "./pages/js/foreign.js";',
        "[setOf(given, [0.9, 0.1], 0.99), setOf(given, [0.9, 0.1], 0.9), setOf(null, [0.9, 0.1], 0.9)]",
        conformal,
    )
    assert made == [None, [0], None]


def test_the_model_in_a_page_answers_as_the_classifier(reader, tmp_path) -> None:
    export(reader, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    parts = dict(re.findall(r'<script type="[^"]+" id="(model|weights)">([^<]*)</script>', page))
    images = reader.samples
    made = run_module(
        'import { decodeModel } from "./pages/js/weights.js"; import { answerTo } from "./pages/js/foreign.js";',
        "given.images.map((pixels) => answerTo(decodeModel(given.model, given.weights), pixels))",
        {**parts, "images": images.reshape(len(images), -1).tolist()},
    )
    expected = reader.predict_proba(images, as_is=True)
    np.testing.assert_allclose([each["probabilities"] for each in made], expected, atol=1e-3)
    assert json.loads(parts["model"])["foreign"] is not None, "the foreign score is tested too"
    assert all(each["foreign"] is not None for each in made)
