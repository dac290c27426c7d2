"""``glyphnet evaluate``: which images judge, what is written, what is said."""

from __future__ import annotations

import csv
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from glyphnet.classifier import Classifier, load_model
from glyphnet.cli import app
from glyphnet.data import load
from glyphnet.evaluation.evaluate import held_out
from glyphnet.modelfile import Provenance
from glyphnet.nn import Preprocessing, build, parse_network

FILES = {"report.html", "evaluation.json", "predictions.csv"}


def classifier_of(classes: tuple[str, ...], **parts: object) -> Classifier:
    """A network that has learned nothing: what it answers is of no matter here."""
    spec = parse_network("linear")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(spec, (8, 8, 1), len(classes))
    return Classifier(network, spec, (8, 8, 1), classes, Preprocessing(mean=(0.5,), std=(0.3,)), **parts)


DIGITS = tuple("0123456789")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that was trained on digits, divided by seed 5, a quarter of them for test."""
    division = {"source": "digits", "validation_fraction": 0.1, "test_fraction": 0.25, "seed": 5}
    train = load("digits", test_fraction=0.25, seed=5).train
    classifier = classifier_of(
        DIGITS,
        recipe={"data": division},
        metrics={"best_epoch": 2},
        provenance=Provenance(data="digits", fingerprint=train.fingerprint),
    )
    (tmp_path / "run").mkdir()
    classifier.save(tmp_path / "run" / "model.safetensors")
    return tmp_path / "run" / "model.safetensors"


def folder_of(root: Path, classes: list[str], count: int = 4) -> Path:
    generator = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def evaluate(*words: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)])


def test_the_images_held_out_in_training_judge(model: Path) -> None:
    """The same part as in training, though its seed and share are not the defaults."""
    held = held_out(load_model(model), "digits")
    assert held.dataset.fingerprint == load("digits", test_fraction=0.25, seed=5).test.fingerprint
    assert held.data == "digits, test part"


def test_the_three_files_are_written_beside_the_model(model: Path) -> None:
    result = evaluate(model, "digits")
    assert result.exit_code == 0, result.stderr
    folder = model.parent / "evaluation-digits"
    assert {path.name for path in folder.iterdir()} == FILES
    figures = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    accuracy = figures["accuracy"]
    first, guessing, last = result.stdout.splitlines()
    assert guessing.startswith("Warning: No better than guessing: balanced accuracy ")  # the model is not trained
    assert [finding["code"] for finding in figures["findings"]] == ["near_chance"]
    assert [first, last] == [
        f"Accuracy on digits, test part: {100 * accuracy['value']:.2f} % (95 % interval "
        f"{100 * accuracy['low']:.2f} to {100 * accuracy['high']:.2f} %), {accuracy['n']} images.",
        f"Report:  {folder / 'report.html'}",
    ]
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == accuracy["n"]
    assert np.mean([row["correct"] == "1" for row in rows]) == pytest.approx(accuracy["value"], abs=1e-6)


def test_json_is_one_object_and_out_names_the_folder(model: Path, tmp_path: Path) -> None:
    result = evaluate(model, "digits", "--json", "--out", tmp_path / "a" / "b")
    answer = json.loads(result.stdout)
    assert answer["folder"] == str(tmp_path / "a" / "b")
    assert answer["data"] == "digits, test part"
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == FILES


def test_the_history_beside_the_model_is_in_the_report(model: Path) -> None:
    (model.parent / "history.csv").write_text(
        "epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds\n"
        "1,2.0,0.3,2.1,0.2,0.1,1\n2,1.0,0.6,1.2,0.5,0.1,2\n3,0.5,0.8,1.9,0.4,0.1,3\n"
    )
    assert evaluate(model, "digits").exit_code == 0
    text = (model.parent / "evaluation-digits" / "report.html").read_text(encoding="utf-8")
    assert "Over-fitting from epoch 2" in text
    assert '"bestEpoch":2' in text


def test_other_data_without_a_test_part_are_judged_whole_and_that_is_said(model: Path, tmp_path: Path) -> None:
    data = folder_of(tmp_path / "mine", ["3", "7"])
    result = evaluate(model, data, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["n"] == 8
    warning = "These data have no test part, and all their images were judged. If the model was trained on some"
    assert warning in result.stderr
    report = model.parent / "evaluation-mine" / "report.html"
    assert warning in report.read_text(encoding="utf-8")


def test_other_data_with_a_test_part_are_judged_by_that(model: Path, tmp_path: Path) -> None:
    folder_of(tmp_path / "mine" / "train", ["3", "7"], count=5)
    folder_of(tmp_path / "mine" / "test", ["3", "7"], count=3)
    result = evaluate(model, tmp_path / "mine", "--json")
    assert json.loads(result.stdout)["n"] == 6
    assert json.loads(result.stdout)["data"] == "mine, test part"


def test_a_training_without_a_test_part_is_judged_by_its_validation_with_a_warning(model: Path) -> None:
    division = {"validation_fraction": 0.2, "test_fraction": 0.0, "seed": 1}
    splits = load("digits", **division)
    classifier = replace(
        load_model(model),
        recipe={"data": division},
        provenance=Provenance(fingerprint=splits.train.fingerprint),
    )
    held = held_out(classifier, "digits")
    assert held.dataset.fingerprint == splits.validation.fingerprint
    assert held.warnings[-1] == (
        "The training held out no test part: on its validation part the figures are a little too good."
    )


def test_classes_that_the_model_does_not_know_end_in_one_line(model: Path, tmp_path: Path) -> None:
    data = folder_of(tmp_path / "letters", ["A", "B"])
    result = evaluate(model, data)
    assert result.exit_code == 1
    assert "The classifier does not know 'A', 'B'" in result.stderr
    assert not (model.parent / "evaluation-letters").exists()


def test_one_class_and_a_test_part_alone_can_be_judged(model: Path, tmp_path: Path) -> None:
    one = folder_of(tmp_path / "one", ["7"])
    result = evaluate(model, one, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["n"] == 4
    test = folder_of(tmp_path / "set" / "Test", ["7", "3"])
    result = evaluate(model, test.parent)
    assert result.exit_code == 0, result.output
    assert "Accuracy on set, test part" in result.stdout


def test_a_table_of_pixels_and_an_archive_judge(model: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [",".join(map(str, [n % 3, *generator.integers(0, 256, 64).tolist()])) for n in range(9)]
    (tmp_path / "t.csv").write_text("\n".join(["label," + ",".join(f"p{i}" for i in range(64)), *rows]))
    folder = folder_of(tmp_path / "some", ["1", "2"])
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for file in folder.rglob("*.png"):
            archive.write(file, file.relative_to(tmp_path))
    for source, count in (("t.csv", 9), ("some.zip", 8)):
        result = evaluate(model, tmp_path / source, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["n"] == count


def test_the_folders_that_training_read_are_judged(tmp_path: Path) -> None:
    """--only of the training holds for evaluation on the same data."""
    root = tmp_path / "set"
    for number, kind in enumerate(("images", "masks")):
        for label in ("a", "b"):
            for n in range(4):
                pixels = np.full((8, 8), 60 * number + 10 * n + 100 * (label == "b"), dtype=np.uint8)
                (root / label / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / label / kind / f"{label}{n}.png")
    train = load(root, only="images", group_by="none").train
    recipe = {
        "data": {"source": str(root), "only": "images", "validation_fraction": 0.1, "test_fraction": 0.2, "seed": 0}
    }
    classifier = classifier_of(
        ("a", "b"), recipe=recipe, provenance=Provenance(data="set", fingerprint=train.fingerprint)
    )
    classifier.save(tmp_path / "m.safetensors")
    result = evaluate(tmp_path / "m.safetensors", root)
    assert result.exit_code == 0, result.output
    assert "test part" in result.stdout


def test_a_stress_test_writes_its_figures_and_a_picture_and_says_them(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "stressed"
    words = ["evaluate", str(model), "digits", "--stress", "--out", str(out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in out.iterdir()} == {*FILES, "stress.json", "stress.png"}
    figures = json.loads((out / "stress.json").read_text())
    assert (figures["n"], figures["of"], len(figures["corrupted"])) == (figures["of"], 449, 15)
    assert figures["corrupted"]["fog"]["n"] == 449
    assert "on average over 15 kinds (449 images)" in result.stdout
    assert Image.open(out / "stress.png").size[0] > 400
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
