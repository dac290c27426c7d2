"""Model cards: what they tell is in the model, what is unknown is said, and nothing of a stranger's acts in them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from glyphnet.cli import app
from glyphnet.export import model_card
from glyphnet.modelfile import Provenance

METRICS = {
    "accuracy": 0.975, "interval": [0.951, 0.988], "n": 359, "judged_on": "/home/ann/scans, test part", "part": "test",
    "headline": "balanced_accuracy", "balanced_accuracy": 0.913, "headline_interval": [0.87, 0.95],
    "majority_share": 0.6,
}  # fmt: skip


def test_it_tells_the_figures_with_intervals_data_limits_and_use(make_classifier):
    classifier = make_classifier("cnn", metrics=METRICS, provenance=Provenance(data="/home/ann/scans"))
    text = model_card(classifier)
    _, head, body = text.split("---\n", 2)
    told = yaml.safe_load(head)
    assert told["library_name"] == "glyphnet"
    assert told["pipeline_tag"] == "image-classification"
    [result] = told["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "accuracy", "value": 0.975}]
    assert result["dataset"] == {"type": "scans", "name": "scans, test part"}
    assert "license" not in told, "which only its author can give"
    assert "| Accuracy | 97.50 % | 95.10 % to 98.80 % | 359 |" in body
    assert "| Accuracy, the mean over the classes | 91.30 % | 87.00 % to 95.00 % | 359 |" in body
    assert "largest class would be right for 60.0 %" in body
    assert "## Limits" in body
    assert "They stand on 359 images" in body
    assert "The model file carries 40 held-out images" in body
    assert "Meant for:" in body
    assert "Not meant for:" in body
    assert f"{classifier.summary().parameters:,} parameters" in body
    assert "Trained on: scans." in body
    assert "/home/ann" not in text, "where data lie is nobody's business"


def test_what_was_not_measured_is_said(make_classifier):
    text = model_card(make_classifier("linear", samples=False, metrics={}))
    assert "was not measured on images that were held out" in text
    assert "model-index" not in text
    assert "data that the file does not name" in text
    assert "held-out image" not in text.partition("## Limits")[2]


@pytest.mark.parametrize(
    "metrics",
    [
        {"accuracy": "high", "interval": [0, 1], "n": 3},
        {"accuracy": 0.9, "interval": 7, "n": 3},
        {"accuracy": 0.9, "interval": [0.1], "n": 3},
        {"accuracy": 0.9, "interval": [0.1, 0.2]},
        {"accuracy": None},
    ],
)
def test_figures_of_a_stranger_that_are_none_are_not_told(make_classifier, metrics):
    assert "was not measured" in model_card(make_classifier("linear", metrics=metrics))


def test_nothing_in_a_strangers_names_acts(make_classifier):
    classifier = make_classifier("linear", provenance=Provenance(data="x](http://evil) ![a](b)"))
    names = ("<script>alert(1)</script>", "`code`", "[link](http://evil)", "# head", "a|b", "---")
    hostile = dataclasses.replace(
        make_classifier("linear"),
        classes=(*names, *(f"c{number}" for number in range(len(classifier.classes) - len(names)))),
        recipe={"augment": {"<b>": 1}, "epochs": "<i>", "optimizer": {"name": "*x*"}, "seed": ["<u>"]},
        metrics={"accuracy": 0.5, "interval": [0, 1], "n": 1, "judged_on": "<img src=x>: y\n---\nz"},
        provenance=classifier.provenance,
    )
    text = model_card(hostile)
    _, head, body = text.split("---\n", 2)
    assert set(yaml.safe_load(head)) == {"library_name", "pipeline_tag", "tags", "model-index"}
    for tag in ("<script", "<img", "<b>", "<i>", "<u>"):
        assert tag not in body
    assert "\\[link\\](http" in body
    assert "\\`code\\`" in body


def test_the_command_writes_it_beside_the_model(make_classifier, tmp_path: Path):
    make_classifier("linear", metrics=METRICS).save(tmp_path / "m.safetensors")

    def run(*words: str):
        return CliRunner().invoke(app, ["export", str(tmp_path / "m.safetensors"), "--format", "card", *words])

    done = run("--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["file"] == str(tmp_path / "m.md")
    assert (tmp_path / "m.md").stat().st_size == told["bytes"]
    assert run().exit_code == 0, "its own earlier output is replaced"
    (tmp_path / "m.md").write_text("# mine\n", encoding="utf-8")
    refused = run()
    assert refused.exit_code == 1
    assert "GlyphNet did not write it" in refused.stderr
    assert (tmp_path / "m.md").read_text(encoding="utf-8") == "# mine\n"
    assert "--verify: a card answers no images" in run("--verify", "digits").stderr
