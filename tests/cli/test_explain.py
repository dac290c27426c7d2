"""``glyphnet explain``: every image gets its picture under a name of its own; nothing else is written over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from glyphnet.classifier import Classifier, load_model
from glyphnet.cli import app
from glyphnet.explain import METHODS
from glyphnet.nn import Preprocessing, build, parse_network

CLASSES = tuple(map(str, range(10)))
PNG = b"\x89PNG\r\n"


@pytest.fixture(params=["cnn"])
def model(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    spec = parse_network(request.param)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = build(spec, (8, 8, 1), len(CLASSES))
    classifier = Classifier(network, spec, (8, 8, 1), CLASSES, Preprocessing(mean=(0.5,), std=(0.3,)))
    (tmp_path / "model").mkdir()
    classifier.save(tmp_path / "model" / "m.safetensors")
    return tmp_path / "model" / "m.safetensors"


def picture(path: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")
    return path


def explain(*words: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, words)])


def test_one_image_says_what_it_is_and_where_its_picture_is(model: Path, tmp_path: Path) -> None:
    file = picture(tmp_path / "seven.png")
    result = explain(model, file)
    assert result.exit_code == 0, result.stderr
    place = model.parent / "explanations" / "seven-explained.png"
    [probabilities] = load_model(model).predict_proba(file)
    answer = f"{file}: {probabilities.argmax()}, {probabilities.max():.2%}"
    assert result.stdout.splitlines() == [answer, f"  {place}"]
    assert place.read_bytes().startswith(PNG)


def test_pictures_of_the_same_name_do_not_replace_each_other(model: Path, tmp_path: Path) -> None:
    files = [picture(tmp_path / name) for name in ("a/1.png", "b/1.png", "a/1.gif", "1-explained-2.png")]
    result = explain(model, *files, "--out", tmp_path / "out", "--json")
    told = json.loads(result.stdout)
    names = [Path(row["picture"]).name for row in told["images"]]
    assert names == ["1-explained.png", "1-explained-2.png", "1-explained-3.png", "1-explained-2-explained.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)


def test_json_tells_all(model: Path, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    result = explain(model, file, "--class", "4", "--method", "grad-cam", "--weights", "--data", "digits", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    [row] = told["images"]
    assert (row["file"], row["explained"], told["method"], told["unreadable"]) == (str(file), "4", "grad-cam", 0)
    probabilities = load_model(model).predict_proba(file)[0]
    assert row["label"] == str(probabilities.argmax())
    np.testing.assert_allclose(list(row["probabilities"].values()), probabilities, atol=1e-6)
    assert Path(told["weights"]).read_bytes().startswith(PNG)
    assert told["dead_units"]["images"] > 300
    assert told["dead_units"]["layers"][0]["layer"] == "stem_activation"


def test_weights_and_dead_units_need_no_image(model: Path, tmp_path: Path) -> None:
    result = explain(model, "--weights", "--out", tmp_path / "w.png", "--data", "digits")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0] == f"First layer:  {tmp_path / 'w.png'}"
    assert result.stdout.splitlines()[1].startswith("Dead units on ")
    assert " of 16 (" in result.stdout


def test_a_bad_image_is_told_and_costs_no_other_its_picture(model: Path, tmp_path: Path) -> None:
    good, bad, last = picture(tmp_path / "1.png"), tmp_path / "2.png", picture(tmp_path / "3.png")
    bad.write_bytes(b"no image")
    result = explain(model, good, bad, last, tmp_path / "nowhere.png", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 2
    assert "2.png: " in result.stderr
    assert "nowhere.png: no such file" in result.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"1-explained.png", "3-explained.png"}


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["MODEL"], 2, "there is nothing to explain: name an image, or ask for --weights or --data DATA"),
        (["MODEL", "a.png", "b.png", "--out", "x.png"], 2, "--out names one file, but there is more than one picture"),
        (["MODEL", "a.png", "--weights", "--out", "x.png"], 2, "--out names one file, but there is more than one"),
        (["MODEL", ".", "--out", "x.png"], 2, "--out names one file, but there is more than one"),
        (["MODEL", "a.png", "--out", "./a.png"], 1, "a.png: is an input of this command, and is never replaced"),
        (["MODEL", "a.png", "--method", "grad"], 1, 'unknown method "grad"; did you mean "grad-cam"?'),
        (["MODEL", "a.png", "--class", "ten"], 1, 'unknown class "ten"'),
        (["nowhere.safetensors", "a.png"], 1, "nowhere.safetensors: there is no such file"),
    ],
)
def test_wrong_usage(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = picture(tmp_path / "a.png").read_bytes()
    result = explain(*(model if word == "MODEL" else word for word in words))
    assert result.exit_code == status
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize("model", ["mlp"], indirect=True)
def test_a_method_that_does_not_suit_names_those_that_do(model: Path, tmp_path: Path) -> None:
    result = explain(model, picture(tmp_path / "a.png"), "--method", "grad-cam")
    assert result.exit_code == 1
    assert result.stderr == (
        'glyphnet: method "grad-cam" needs convolutional layers, and this network has none. '
        "Choose integrated-gradients or occlusion.\n"
    )
    assert not (model.parent / "explanations").exists()


def test_the_help_names_every_method() -> None:
    help_text = " ".join(explain("--help").stdout.replace("│", " ").split())
    for name in METHODS:
        assert name in help_text.replace("- ", "-")


def test_explain_is_a_public_name_that_waits_for_torch() -> None:
    script = (
        "import sys, glyphnet\n"
        "assert 'torch' not in sys.modules and 'explain' in dir(glyphnet)\n"
        "assert callable(glyphnet.explain.saliency)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
