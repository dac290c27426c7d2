"""Runs: what a training leaves behind is whole, fits together, and says the truth about it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from glyphnet.classifier import load_model
from glyphnet.data import ImageDataset, Splits, cache, load
from glyphnet.errors import DataError, DivergedError, OutputError, RunFolderError, SettingsError
from glyphnet.progress import Reporter
from glyphnet.runs import Run, RunFolder, read_recipe, resume, train
from glyphnet.training import Callback, DataSettings, HistoryRow, TrainingState

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("little_ink")]

QUICK: dict[str, Any] = {"epochs": 2, "network": "mlp"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train("digits", preset="fast", changes={"epochs": 3}, out=tmp_path_factory.mktemp("run"))


def images_of(classes: int, shape: tuple[int, int, int], count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images that are brighter the higher their label: easy to learn."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), count)
    level = (40 + 170 * labels / (classes - 1))[:, None, None, None]
    return (level + generator.integers(-30, 30, (len(labels), *shape))).astype(np.uint8), labels


def write_npz(path: Path, classes: int, shape: tuple[int, int, int], count: int = 20) -> Path:
    images, labels = images_of(classes, shape, count)
    np.savez(path, images=images, labels=labels)
    return path


@pytest.fixture(scope="module")
def few() -> Splits:
    """Some of the digits, in memory: for tests that look at nothing but what a setting does."""
    digits = load("digits")
    parts = (digits.train.subset(slice(500)), digits.validation.subset(slice(60)), digits.test.subset(slice(60)))
    return Splits("few", *parts)


# What is in the folder


def test_every_file_of_the_design_is_there(run: Run) -> None:
    assert run.folder is not None
    assert {path.name for path in run.folder.path.iterdir()} == {
        "recipe.yaml",
        "history.csv",
        "model.safetensors",
        "checkpoint.safetensors",
        "evaluation.json",
        "predictions.csv",
        "report.html",
    }


def test_the_recipe_reads_back(run: Run) -> None:
    assert run.folder is not None
    assert read_recipe(run.folder.recipe) == run.recipe
    assert run.recipe.data == DataSettings(source="digits", group_by="none")  # what was found in the data


def test_the_history_has_keras_columns_and_a_line_an_epoch(run: Run) -> None:
    assert run.folder is not None
    with run.folder.history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
    assert len(rows) == len(run.history) == 3
    assert [float(row["val_loss"]) for row in rows] == [row["val_loss"] for row in run.history]


def test_the_figures_are_those_of_scikit_learn_on_the_predictions(run: Run) -> None:
    assert run.folder is not None
    figures = json.loads(run.folder.evaluation.read_text())
    with run.folder.predictions.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    true, predicted = ([row[column] for row in rows] for column in ("true", "predicted"))
    assert figures["n"] == len(rows) == len(run.splits.test)
    assert figures["data"] == "digits, test part"
    assert figures["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(true, predicted), abs=1e-6)
    f1 = metrics.f1_score(true, predicted, average="macro")
    assert figures["macro_f1"]["value"] == pytest.approx(f1, abs=1e-6)
    assert figures["confusion_matrix"] == metrics.confusion_matrix(true, predicted).tolist()


def test_the_model_predicts_as_the_runs_classifier_and_knows_how_good_it_is(run: Run) -> None:
    assert run.folder is not None
    assert run.classifier is not None
    assert run.evaluation is not None
    loaded = load_model(run.folder.model)
    images = run.splits.test.images
    assert np.array_equal(loaded.predict_proba(images), run.classifier.predict_proba(images))
    assert loaded.metrics == dict(run.classifier.metrics)
    assert loaded.metrics["accuracy"] == run.evaluation.accuracy
    assert loaded.metrics["judged_on"] == "digits, test part"
    assert loaded.threshold is not None
    assert loaded.provenance.fingerprint == run.splits.train.fingerprint


def test_the_report_tells_facts_as_facts(run: Run) -> None:
    assert run.folder is not None
    text = run.folder.report.read_text(encoding="utf-8")
    assert '<ul class="notes">' not in text  # nothing is wrong with the digits
    assert "data as read" in text
    assert "1,797 images of 8×8 grey" in text


def test_a_run_is_shown_in_a_sentence(run: Run) -> None:
    assert run.evaluation is not None
    accuracy = 100 * run.evaluation.accuracy
    assert str(run).startswith(f"Accuracy on digits, test part: {accuracy:.2f} % (95 % interval ")
    assert str(run).endswith(f", 359 images, {run.seconds:.1f} s of training.")
    assert len(repr(run)) < 300
    assert repr(run.splits.test) == "ImageDataset(359 images of 8×8×1, 10 classes)"


def test_the_recipe_gives_the_same_bits_again(run: Run, tmp_path: Path) -> None:
    assert run.folder is not None
    again = train(recipe=read_recipe(run.folder.recipe), out=tmp_path)
    assert again.folder is not None
    for name in ("model.safetensors", "predictions.csv", "evaluation.json", "recipe.yaml"):
        assert (tmp_path / name).read_bytes() == (run.folder.path / name).read_bytes()


# Data


@pytest.mark.parametrize(("classes", "shape"), [(2, (8, 8, 1)), (3, (24, 40, 1)), (3, (24, 40, 3)), (2, (96, 96, 3))])
def test_sizes_colours_and_numbers_of_classes(classes: int, shape: tuple[int, int, int], tmp_path: Path) -> None:
    data = write_npz(tmp_path / "data.npz", classes, shape)
    run = train(data, preset="fast", changes={"epochs": 2}, out=tmp_path / "run")
    assert run.splits.image_shape == shape
    assert run.evaluation is not None
    assert len(run.evaluation.classes) == classes
    assert (tmp_path / "run" / "report.html").exists()


def test_without_a_test_part_the_validation_part_judges_and_the_report_warns(tmp_path: Path) -> None:
    data = DataSettings(source=str(write_npz(tmp_path / "d.npz", 2, (8, 8, 1))), test_fraction=0.0)
    run = train(data, changes=QUICK, out=tmp_path / "run")
    assert run.evaluation is not None
    assert run.evaluation.data == "d, validation part"
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "on its validation part the figures are a little too good" in report


def test_without_validation_the_last_epoch_is_kept(tmp_path: Path) -> None:
    data = write_npz(tmp_path / "d.npz", 2, (8, 8, 1))
    run = train(data, changes={**QUICK, "data.validation_fraction": 0}, out=tmp_path / "run")
    assert run.best_epoch == 2
    assert {row["val_loss"] for row in run.history} == {None}
    assert run.classifier is not None
    assert run.classifier.threshold is None
    assert run.evaluation is not None
    assert run.evaluation.data == "d, test part"


def test_with_nothing_held_out_nothing_is_claimed(tmp_path: Path) -> None:
    fractions = {"data.validation_fraction": 0, "data.test_fraction": 0}
    data = write_npz(tmp_path / "d.npz", 2, (8, 8, 1))
    run = train(data, changes={**QUICK, **fractions}, out=tmp_path / "run")
    assert run.evaluation is None
    assert "No image was held out, so how accurate it is is not known." in str(run)
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "evaluation.json").exists()


def test_a_class_with_one_image_trains_and_the_report_warns(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name, count in (("a", 12), ("b", 12), ("rare", 1)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{number}.png")
    said: list[str] = []
    run = train(tmp_path / "pets", changes=QUICK, out=tmp_path / "run", reporter=Reporter(said.append))
    warning = "Class 'rare': one image only, so nothing tests what was learnt of it."
    assert f"Warning: {warning}" in said
    assert warning in [finding.sentence for finding in run.findings]
    assert "one image only" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_images_larger_than_memory_are_never_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The splits stay memory maps, and give the same bits as the same data in memory."""
    data = write_npz(tmp_path / "d.npz", 3, (12, 12, 1), count=40)
    in_memory = train(data, changes=QUICK)
    monkeypatch.setattr(cache, "IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr("glyphnet.data.assemble.IN_MEMORY_BYTES", 1000)
    mapped = train(data, changes=QUICK, out=tmp_path / "run")
    assert all(isinstance(part.images, np.memmap) for _, part in mapped.splits)
    assert not isinstance(in_memory.splits.train.images, np.memmap)
    assert [{**row, "seconds": 0.0} for row in mapped.history] == [{**row, "seconds": 0.0} for row in in_memory.history]
    assert in_memory.classifier is not None
    images = mapped.splits.test.images
    assert np.array_equal(
        load_model(tmp_path / "run" / "model.safetensors").predict_proba(images),
        in_memory.classifier.predict_proba(np.asarray(images)),
    )


def test_loaded_splits_train_without_a_folder(few: Splits) -> None:
    run = train(few, preset="fast", changes={"epochs": 1})
    assert run.folder is None
    assert run.recipe.data is None
    assert run.splits is few


def test_settings_of_data_that_are_in_memory_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"data\.seed: the data are in memory already"):
        train(load("digits"), changes={"data.seed": 3})


def test_a_source_goes_before_the_recipes_and_leaves_its_other_settings(run: Run, tmp_path: Path) -> None:
    recipe = run.recipe.override({"data.test_fraction": 0.5, "epochs": 1})
    data = write_npz(tmp_path / "d.npz", 10, (8, 8, 1), count=10)
    other = train(data, recipe=recipe)
    assert other.splits.name == "d"
    assert len(other.splits.test) == 50


def test_something_else_than_data_is_told() -> None:
    with pytest.raises(SettingsError, match=r"data is a tuple, and must be the name of a data set, a path, or"):
        train((np.zeros((2, 8, 8)), [0, 1]))  # type: ignore[arg-type]


# Settings


def test_wrong_settings_are_told_together_before_the_data_are_read() -> None:
    changes = {"epoch": 3, "optimizer.lrr": 0.1, "data.sede": 1, "batch_size": "many"}
    with pytest.raises(SettingsError) as caught:
        train("there is no such data set", changes=changes)
    for phrase in (
        'unknown setting "epoch"; did you mean "epochs"?',
        'unknown setting "optimizer.lrr"; did you mean "lr"?',
        'unknown setting "data.sede"; did you mean "seed"?',
        "batch_size='many' must be a whole number",
    ):
        assert phrase in str(caught.value)


def test_a_setting_of_what_only_the_data_decide_waits_for_them() -> None:
    """What a preset makes of other data may have other settings: those are no mistake before the data are known."""
    with pytest.raises(DataError, match="no such data set"):
        train("there is no such data set", changes={"network.stemm": 3})


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn", "resnet", "rnn"])
def test_every_network_trains_on_the_digits_as_it_is(kind: str, few: Splits) -> None:
    run = train(few, preset="fast", changes={"network": kind, "epochs": 3})
    assert run.recipe.network.kind == kind
    assert run.evaluation is not None
    assert run.evaluation.accuracy > 0.25


def test_the_classical_network_says_what_it_needs_on_small_images(few: Splits, tmp_path: Path) -> None:
    changes = {"network": "cnn-classic", "epochs": 1}
    with pytest.raises(SettingsError, match=r"images of 8×8 .*Set network.padding to true"):
        train(few, preset="fast", changes=changes, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert train(few, preset="fast", changes={**changes, "network.padding": True}).evaluation is not None


def test_binary_cross_entropy_gives_probabilities_of_classes_that_exclude_each_other(
    few: Splits, tmp_path: Path
) -> None:
    """Each output is the log odds of a yes; given that exactly one is yes, the softmax is the probability of which."""
    run = train(few, preset="fast", changes={"loss": "binary_cross_entropy", "epochs": 8}, out=tmp_path / "run")
    assert run.evaluation is not None
    assert run.evaluation.accuracy > 0.8
    classifier = load_model(tmp_path / "run" / "model.safetensors")
    images = run.splits.test.images[:20]
    log_odds = classifier.logits(images).astype(np.float64) / classifier.temperature
    yes = 1 / (1 + np.exp(-log_odds))
    only = np.stack([yes[:, k] * np.prod(np.delete(1 - yes, k, axis=1), axis=1) for k in range(10)], axis=1)
    expected = only / only.sum(axis=1, keepdims=True)
    assert classifier.predict_proba(images) == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def plain(few: Splits) -> Run:
    """Cross-entropy with nothing else."""
    return train(few, preset="fast", changes={"loss": "cross_entropy", "loss.label_smoothing": 0, "epochs": 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"loss.class_weight": "balanced"},
        {"loss.class_weight": "[1, 1, 1, 1, 1, 1, 1, 1, 1, 5]"},
        {"loss.label_smoothing": "0.1"},
        {"loss": "binary_cross_entropy", "loss.label_smoothing": "0.1", "loss.class_weight": "balanced"},
    ],
)
def test_losses_by_their_settings(changes: dict[str, str], few: Splits, plain: Run) -> None:
    run = train(few, preset="fast", changes={"loss.label_smoothing": "0", **changes, "epochs": "1"})
    assert run.history[0]["loss"] != plain.history[0]["loss"]
    assert run.evaluation is not None


def test_early_stopping_by_its_settings(few: Splits) -> None:
    changes = {"early_stopping.patience": "1", "early_stopping.min_delta": "10", "epochs": "50"}
    run = train(few, preset="fast", changes=changes)
    assert run.ending == "early_stopping"
    assert len(run.history) == 2


# The folder


def test_what_fails_before_it_begins_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        train(tmp_path / "nothing", out=tmp_path / "a" / "b" / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(DataError):
        train(tmp_path / "nothing", out=tmp_path / "run")
    assert (tmp_path / "run").exists()


def test_the_run_to_be_overwritten_stays_until_the_new_one_begins(tmp_path: Path) -> None:
    data = write_npz(tmp_path / "d.npz", 2, (8, 8, 1))
    train(data, changes=QUICK, out=tmp_path / "run")
    before = {path: path.read_bytes() for path in RunFolder(tmp_path / "run").files()}
    for wrong in ({"source": "nothing"}, {"network": "cnn-classic"}):
        with pytest.raises((DataError, SettingsError)):
            train(wrong.pop("source", data), changes=wrong, out=tmp_path / "run", overwrite=True)
        assert {path: path.read_bytes() for path in RunFolder(tmp_path / "run").files()} == before
    with pytest.raises(RunFolderError, match="holds a run already"):
        train(data, changes=QUICK, out=tmp_path / "run")
    mine = tmp_path / "run" / "mine.txt"
    mine.write_text("stays")
    train(data, changes={**QUICK, "epochs": 1}, out=tmp_path / "run", overwrite=True)
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 2
    assert mine.read_text() == "stays"


def test_the_model_is_there_when_judging_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glyphnet.runs.conclusion.judge_after_training", interrupted)
    data = write_npz(tmp_path / "d.npz", 2, (8, 8, 1))
    with pytest.raises(KeyboardInterrupt):
        train(data, changes=QUICK, out=tmp_path / "run")
    assert load_model(tmp_path / "run" / "model.safetensors").metrics["best_epoch"] >= 1
    assert not (tmp_path / "run" / "evaluation.json").exists()


def test_a_training_that_diverges_leaves_the_last_good_weights(tmp_path: Path) -> None:
    blow_up = BlowUp(epoch=2)
    with pytest.raises(DivergedError, match=r"in epoch 3.*the weights of epoch \d are kept"):
        train("digits", preset="fast", changes={"epochs": 5}, out=tmp_path, callbacks=[blow_up])
    model = load_model(tmp_path / "model.safetensors")
    assert model.metrics["best_epoch"] in (1, 2)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3
    assert not (tmp_path / "evaluation.json").exists()


class BlowUp(Callback):
    """Makes a weight infinite after an epoch, as too high a learning rate does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        if state.epoch == self.epoch:
            next(state.network.parameters()).data.fill_(float("inf"))
        return False


def test_the_fingerprint_does_not_depend_on_how_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprint() -> str:
        images, labels = images_of(2, (9, 7, 3), 30)
        return ImageDataset(images, labels, ("a", "b"), [str(i) for i in range(60)]).fingerprint

    whole = fingerprint()
    monkeypatch.setattr("glyphnet.data.dataset._HASHED_AT_ONCE", 1000)
    assert fingerprint() == whole


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.safetensors", "history.csv", "report.html", ".lock"])
def test_links_in_a_folder_that_was_received_are_not_followed(run: Run, tmp_path: Path, name: str) -> None:
    assert run.folder is not None
    received, outside = shutil.copytree(run.folder.path, tmp_path / "received"), tmp_path / "outside"
    outside.write_text("mine")
    (received / name).unlink(missing_ok=True)
    (received / name).symlink_to(outside)
    with pytest.raises(OutputError, match=f"{name}: is (a link, which is not followed|needed for a lock)"):
        resume(received)
    with pytest.raises(OutputError, match=f"{name}: is (a link, which is not followed|needed for a lock)"):
        train("digits", preset="fast", out=received, overwrite=True)
    assert outside.read_text() == "mine"


def test_a_training_never_replaces_what_it_reads(run: Run, tmp_path: Path) -> None:
    assert run.folder is not None
    folder = shutil.copytree(run.folder.path, tmp_path / "run")
    (folder / "suspects.csv").write_text("part,file,given,suggested,score,decision\ntrain,all/00000,0,1,0.9,drop\n")
    data = DataSettings(labels=str(folder / "suspects.csv"))
    with pytest.raises(OutputError, match=r"suspects\.csv: is an input of this command, and is never replaced"):
        train(data, preset="fast", out=folder, overwrite=True)
    assert (folder / "suspects.csv").exists()
    assert (folder / "model.safetensors").exists()
