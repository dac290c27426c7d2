"""The playground in a real browser: by clicks alone it learns points, digits and drawings; models come and go."""

from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import glyphnet
from glyphnet.classifier import Classifier
from glyphnet.data import load
from glyphnet.nn import Preprocessing, build, parse_network
from glyphnet.pages.playground import ImageSet, playground_page

from ..browsing import draw, faults, wait_until

pytestmark = pytest.mark.slow

MNIST = Path("t10k-images-idx3-ubyte.gz"), Path("t10k-labels-idx1-ubyte.gz")


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with the digits alone, which every machine has."""
    splits = load("digits")
    path = tmp_path_factory.mktemp("playground") / "playground.html"
    path.write_text(playground_page([ImageSet("digits", "Source of the digits.", splits.train, splits.test)]), "utf-8")
    return path


@pytest.fixture
def play(written: Path, open_page: Any) -> Any:
    """Open the page at a state: ``play("#data=digits")``."""

    def opened(address: str = "", **options: Any) -> Any:
        return open_page(written, address=address, ready="html[data-ready]", **options)

    return opened


def score(page: Any) -> float:
    return float(page.inner_text("#score").strip(" %\u202f<>").replace("–", "0"))


def train_until(page: Any, least: float, seconds: float = 30) -> None:
    """Click Train, wait until so much of the test part is right, and click Pause."""
    page.click("#play")
    wait_until(page, f"() => parseFloat(document.getElementById('score').textContent.replace(/[<>]/, '')) >= {least}")
    page.click("#play")


def test_it_solves_xor_and_says_so(play: Any) -> None:
    opened = play()
    page = opened.page
    assert page.input_value("#data") == "xor"
    train_until(page, 97)
    assert page.locator("#network canvas").count() == 5, "four units and the output"
    assert page.locator("#loss polyline").count() == 2
    assert page.locator("#network .wires path").count() == 2 * 4 + 4
    assert page.locator("#confusion td").count() == 1 + 4
    assert opened.console == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in opened.requests)


def test_it_learns_the_digits_shows_the_mistakes_and_answers_a_drawing(play: Any) -> None:
    page = play("#data=digits").page
    train_until(page, 95)
    shown = page.locator("#mistakes li")
    assert shown.count() >= 1
    draw(page, [[(0.5, 0.2), (0.5, 0.8)]])
    wait_until(page, "() => document.querySelector('.answers .best')?.closest('li').textContent === '1'")
    assert page.inner_text("#said").startswith("It says “1”, "), "also where the picture of the network is cut"
    page.click("#clear")


def test_it_learns_drawings_of_three_classes(play: Any) -> None:
    page = play().page
    page.select_option("#data", "mine")
    assert page.is_disabled("#play"), "there is nothing to learn from"
    generator = random.Random(0)
    shapes = {
        "A": [[(0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7), (0.3, 0.3)]],
        "B": [[(0.3, 0.3), (0.7, 0.7)], [(0.3, 0.7), (0.7, 0.3)]],
        "C": [[(0.5, 0.2), (0.5, 0.8)]],
    }
    for count in range(10):
        for name, strokes in shapes.items():
            moved = [
                [(x + generator.uniform(-0.08, 0.08), y + generator.uniform(-0.08, 0.08)) for x, y in one]
                for one in strokes
            ]
            draw(page, moved)
            page.click(f"#own-classes button:has-text('Add to {name}')")
            page.wait_for_selector(f"#own-classes button:has-text('Add to {name} ({count + 1})')")
    train_until(page, 100)
    assert "of 6 test images" in page.inner_text("#scored")


def test_the_address_holds_the_state_and_whatever_is_wrong_in_it_is_left_out(play: Any) -> None:
    page = play("#data=moons&layers=d3.d2&rate=0.1&optimizer=sgd&momentum=0.5&seed=7&batch=nonsense&l1=9").page
    wanted = {
        "data": "moons",
        "rate": "0.1",
        "optimizer": "sgd",
        "momentum": "0.5",
        "seed": "7",
        "batch": "10",
        "l1": "0",
    }
    assert {name: page.input_value(f"#{name}") for name in wanted} == wanted
    assert page.locator("#network .layer output").all_inner_texts() == ["3", "2"]
    page.click("button[aria-label='More units, layer 1']")
    page.click("button[aria-label='Remove, layer 2']")
    assert "layers=d4&" in page.url
    page.evaluate("location.hash = '#data=circles&layers=d5'")
    wait_until(page, "() => document.getElementById('data').value === 'circles'")
    assert play("#data=<img src=x onerror=alert(1)>&layers=q9").page.input_value("#data") == "xor"


def address(page: Any) -> str:
    return str(page.evaluate("location.hash"))


def moment(page: Any) -> tuple[str, str, str]:
    """Where a training stands once it pauses: its epoch, its score, and its confusion matrix."""
    wait_until(page, "() => location.hash.includes('steps=')")
    assert "Train" in page.inner_text("#play")
    return page.inner_text("#epoch"), page.inner_text("#score"), page.inner_html("#confusion")


def test_a_link_leads_to_the_moment_at_which_the_training_paused(play: Any) -> None:
    page = play("#data=digits&seed=3&layers=d16&shift=0").page
    assert "steps=" not in address(page), "nothing has been trained"
    page.click("#play")
    wait_until(page, "() => parseFloat(document.getElementById('epoch').textContent) > 1")
    assert "steps=" not in address(page), "it has not paused"
    page.click("#play")
    there = moment(page)
    other = play(address(page)).page
    assert moment(other) == there
    assert address(other) == address(page)
    other.click("#step")
    steps = int(address(page).partition("steps=")[2])
    wait_until(other, f"() => location.hash.endsWith('steps={steps + 1}')")
    other.select_option("#rate", "0.1")
    wait_until(other, "() => location.hash.includes('rate=0.1')")
    assert "steps=" not in address(other), "no link leads to weights that two rates have made"
    other.click("#reset")
    other.click("#step")
    wait_until(other, "() => location.hash.endsWith('steps=1')")


@pytest.mark.parametrize("steps", ["-3", "1.5", "many", "0"])
def test_steps_that_are_none_are_left_out(play: Any, steps: str) -> None:
    page = play(f"#data=xor&steps={steps}").page
    wait_until(page, "() => document.getElementById('epoch').textContent === '0.0'")
    assert "steps" not in address(page)


def test_the_same_seed_gives_the_same_training(play: Any) -> None:
    courses = []
    for seed in (3, 3, 4):
        page = play(f"#data=digits&seed={seed}").page
        for _ in range(5):
            page.click("#step")
        wait_until(page, "() => document.querySelector('#loss .test').getAttribute('points').split(' ').length === 6")
        courses.append(page.get_attribute("#loss polyline.test", "points"))
    assert courses[0] == courses[1] != courses[2]


def test_a_layer_too_many_is_refused_with_a_sentence(play: Any) -> None:
    page = play("#data=digits&layers=c4.p.p.p.p").page
    wait_until(page, "() => document.getElementById('trouble').textContent.includes('too small')")


def test_a_model_is_saved_read_by_python_and_opened_again(play: Any, tmp_path: Path) -> None:
    page = play("#data=digits&layers=c8.p.d16&dropout=0.1&activation=tanh").page
    train_until(page, 90)
    with page.expect_download() as download:
        page.click("#save")
    path = tmp_path / "digits.safetensors"
    download.value.save_as(path)
    classifier = glyphnet.load_model(path)
    test = load("digits").test
    assert classifier.classes == test.classes
    right = float((classifier.predict_labels(test.images) == test.labels).mean())
    assert 100 * right == pytest.approx(score(page), abs=0.06), "the page shows a decimal"
    assert classifier.metrics["n"] == len(test)
    before = score(page)
    page.click("#reset")
    wait_until(page, f"() => parseFloat(document.getElementById('score').textContent) < {before - 20}")
    page.set_input_files("#model-file", path)
    wait_until(page, f"() => parseFloat(document.getElementById('score').textContent) === {before}")
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(damaged)
    page.set_input_files("#model-file", tmp_path / "damaged.safetensors")
    wait_until(page, "() => document.getElementById('trouble').textContent.includes('SHA-256')")
    assert score(page) == before, "what was there stays"


def test_a_model_of_python_is_trained_on_in_the_page(play: Any, tmp_path: Path) -> None:
    layers = [{"type": "convolution", "outputs": 4}, {"type": "activation"}, {"type": "maxPool"}, {"type": "flatten"}]
    spec = parse_network({"kind": "chain", "layers": layers})
    torch.manual_seed(0)
    network = build(spec, (8, 8, 1), 10)
    splits = load("digits")
    Classifier(network, spec, (8, 8, 1), splits.classes, Preprocessing(mode="unit_range")).save(
        tmp_path / "m.safetensors"
    )
    page = play("#data=digits").page
    page.set_input_files("#model-file", tmp_path / "m.safetensors")
    wait_until(page, "() => location.hash.includes('layers=c4.p&')")
    train_until(page, 85)
    other = Classifier(
        network, spec, (8, 8, 1), splits.classes, Preprocessing(mode="standardize", mean=(0.3,), std=(0.4,))
    )
    other.save(tmp_path / "other.safetensors")
    page.set_input_files("#model-file", tmp_path / "other.safetensors")
    wait_until(page, "() => document.getElementById('trouble').textContent.includes('standardize')")


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_files_are_dropped_on_it(play: Any, tmp_path: Path) -> None:
    splits = load("digits")
    images, labels = splits.train.images[:600, :, :, 0], splits.train.labels[:600].astype(np.uint8)
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx(images)))
    (tmp_path / "labels").write_bytes(idx(labels))
    lines = [f"{label}," + ",".join(map(str, image.ravel())) for label, image in zip(labels, images, strict=True)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    (tmp_path / "cut").write_bytes(idx(images)[:-1])
    page = play().page
    page.set_input_files("#images", [tmp_path / "images.gz", tmp_path / "labels"])
    wait_until(page, "() => document.getElementById('scored').textContent.includes('of 100 test images')")
    first = page.get_attribute("#loss polyline", "points")
    page.select_option("#data", "xor")
    page.set_input_files("#images", tmp_path / "table.csv")
    wait_until(page, "() => document.getElementById('scored').textContent.includes('of 100 test images')")
    assert page.get_attribute("#loss polyline", "points") == first, "the same images, the same network"
    for names, words in ((["images.gz"], "both together"), (["cut", "labels"], "damaged")):
        page.set_input_files("#images", [tmp_path / name for name in names])
        wait_until(page, f"() => document.getElementById('trouble').textContent.includes('{words}')")
    assert page.input_value("#data") == "files"


def test_a_stranger_s_table_is_read_as_it_says_or_refused(play: Any, tmp_path: Path) -> None:
    splits = load("digits")
    images, labels = splits.train.images[:240].reshape(240, -1) // 16, splits.train.labels[:240]
    rows = [f"{','.join(map(str, image))},{label}" for image, label in zip(images, labels, strict=True)]
    (tmp_path / "last.csv").write_text("\n".join(rows))
    (tmp_path / "unnamed.csv").write_text(",".join(f"p{k}" for k in range(65)) + "\n" + "\n".join(rows))
    (tmp_path / "either.csv").write_text("\n".join(f"{k % 3},{k % 7},{k % 5},{k % 9},{k % 4}" for k in range(60)))
    page = play().page
    page.set_input_files("#images", tmp_path / "last.csv")
    wait_until(page, "() => document.getElementById('source').textContent.includes('240 images of 8×8, 10 classes')")
    told = page.inner_text("#source")
    assert "labels from column 65" in told
    assert "the largest value, 15, is read as white" in told
    page.click("#step")
    for name, words in (("unnamed", "no column is called label"), ("either", "Add a line of names")):
        page.set_input_files("#images", tmp_path / f"{name}.csv")
        wait_until(page, f"() => document.getElementById('trouble').textContent.includes('{words}')")
    assert page.inner_text("#source") == told, "what was there stays"


def test_a_model_of_other_classes_is_refused_though_they_are_as_many(play: Any, tmp_path: Path) -> None:
    spec = parse_network({"kind": "chain"})
    network = build(spec, (8, 8, 1), 10)
    letters = Classifier(network, spec, (8, 8, 1), tuple("abcdefghij"), Preprocessing(mode="unit_range"))
    letters.save(tmp_path / "m.safetensors")
    page = play("#data=digits").page
    page.set_input_files("#model-file", tmp_path / "m.safetensors")
    wait_until(page, "() => document.getElementById('trouble').textContent.includes('classes a, b, c')")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_page(play: Any, scheme: str, width: int) -> None:
    page = play("#data=spirals", scheme=scheme, width=width, bypass_csp=True).page
    for data in ("spirals", "digits", "mine"):
        page.select_option("#data", data)
        if data != "mine":
            page.click("#step")
            wait_until(page, "() => document.querySelectorAll('#confusion td').length > 1")
        assert faults(page) == [], data
        assert page.evaluate("document.documentElement.scrollWidth") == width, data


@pytest.mark.parametrize("address", ["", "#data=digits"])
def test_a_page_without_sets_has_points(tmp_path: Path, open_page: Any, address: str) -> None:
    """As the service gives it where no data are installed; a link to digits opens the points instead."""
    path = tmp_path / "playground.html"
    path.write_text(playground_page([]), "utf-8")
    opened = open_page(path, address=address, ready="html[data-ready]")
    assert opened.page.input_value("#data") == "xor"
    train_until(opened.page, 97)
    assert opened.console == []
