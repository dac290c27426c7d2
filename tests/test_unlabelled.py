"""Training with unlabelled pictures: what is read, what is left out, and that labels of theirs are never read."""

from __future__ import annotations

import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import glyphnet
from glyphnet import Splits
from glyphnet.cli import app
from glyphnet.data import ImageDataset, load
from glyphnet.data.dataset import UInt8Array
from glyphnet.errors import DataError, SettingsError
from glyphnet.progress import Reporter
from glyphnet.runs import Run, resume, train, unlabelled
from glyphnet.runs.unlabelled import with_pool, without_foreign
from glyphnet.training import Examples, Recipe, consistency
from glyphnet.training.fit import Fitting

from .killing import Killed
from .test_resume import StopAt, assert_same_run

# Everything on that a resumed run could get wrong: dropout, augmentations, batch norm, averaged weights, alignment.
RECIPE = Recipe.parse(
    {
        "network": {"kind": "cnn", "stem": 8, "channels": [8], "dense": [16], "stem_stride": 1, "batch_norm": True,
                    "dropout": 0.3},
        "augment": {"shift": 1},
        "optimizer": {"name": "muon", "lr": 0.05, "adam_lr": 0.03},
        "schedule": "one-cycle",
        "ema": 0.9,
        "epochs": 6,
        "batch_size": 16,
        "unlabelled": {"ratio": 2, "threshold": 0.15, "strong": {"shift": 1, "erase": 0.2, "contrast": 0.5},
                       "check": False, "leave_out": False},
    }
)  # fmt: skip


def few_digits(labelled: int = 40, unlabelled: int = 150) -> Splits:
    digits = load("digits")
    pool = digits.train.subset(slice(labelled, labelled + unlabelled))
    nothing = digits.train.subset(slice(0, 0))
    return Splits("few", digits.train.subset(slice(labelled)), nothing, digits.test.subset(slice(50)), unlabelled=pool)


@pytest.fixture(autouse=True)
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the labelled images alone."""
    monkeypatch.setattr(consistency, "ALONE", 60)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return few_digits()


@pytest.fixture(scope="module")
def unbroken(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    run = train(splits, recipe=RECIPE, out=folder)
    assert run.ending == "finished"
    return folder


def test_labels_of_the_pool_are_never_read(splits: Splits, unbroken: Path, tmp_path: Path) -> None:
    assert splits.unlabelled is not None
    pool = splits.unlabelled
    permuted = replace(pool, labels=np.random.default_rng(0).permutation(pool.labels))
    assert (permuted.labels != pool.labels).any()
    train(replace(splits, unlabelled=permuted), recipe=RECIPE, out=tmp_path)
    assert_same_run(unbroken, tmp_path)


STEPS = 5  # an epoch: 150 unlabelled images, 32 a step


@pytest.mark.parametrize("step", [1, STEPS, STEPS + 2, 4 * STEPS - 1])
def test_a_stopped_training_resumes_to_the_same_bits(step: int, splits: Splits, unbroken: Path, tmp_path: Path) -> None:
    stopped = train(splits, recipe=RECIPE, out=tmp_path, callbacks=[StopAt(step)])
    assert stopped.ending == "stopped"
    assert len(stopped.history) == step // STEPS
    resume(tmp_path, splits=splits)
    assert_same_run(unbroken, tmp_path)


def _train_and_die(folder: Path, steps: int) -> None:
    if (folder / "recipe.yaml").exists():
        resume(folder, splits=few_digits(), callbacks=[Killed(steps)], checkpoint_every=0.0)
    else:
        train(few_digits(), recipe=RECIPE, out=folder, callbacks=[Killed(steps)], checkpoint_every=0.0)


def test_killed_again_and_again(splits: Splits, unbroken: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    for steps in (3, 7, 1, 9):
        process = multiprocessing.get_context("fork").Process(target=_train_and_die, args=(tmp_path, steps))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    resume(tmp_path, splits=splits)
    assert_same_run(unbroken, tmp_path)


def test_another_pool_cannot_go_on(splits: Splits, tmp_path: Path) -> None:
    train(splits, recipe=RECIPE, out=tmp_path, callbacks=[StopAt(2)])
    assert splits.unlabelled is not None
    other = replace(splits, unlabelled=splits.unlabelled.subset(slice(100)))
    with pytest.raises(glyphnet.errors.RunFolderError, match="unlabelled images was .* and is "):
        resume(tmp_path, splits=other)


def test_pictures_of_validation_and_test_are_left_out_and_counted(splits: Splits) -> None:
    pool = np.concatenate([splits.test.images[:7], splits.train.images, splits.test.images[:2]])
    found = with_pool(splits, pool, None, None)
    assert found.unlabelled is not None
    np.testing.assert_array_equal(found.unlabelled.images, splits.train.images)
    assert (found.unlabelled.labels == -1).all()
    assert any("9 unlabelled pictures also in the validation or test part: left out" in note for note in found.notes)
    with pytest.raises(DataError, match="None of them is left"):
        with_pool(splits, splits.test.images, None, None)


def test_a_step_changes_with_the_pool_alone() -> None:
    """What is learned of the unlabelled images: other images give other weights, from the same labelled ones."""
    splits = few_digits()
    assert splits.unlabelled is not None

    def trained(pool: ImageDataset, weight: float = 1.0) -> torch.Tensor:
        recipe = RECIPE.override({"epochs": 3, "unlabelled.weight": weight})
        examples = [Examples.of(part.images, part.labels) for part in (splits.train, pool)]
        result = Fitting(recipe, examples[0], None, 10, unlabelled=examples[1]).run()
        return torch.cat([weight.reshape(-1) for weight in result.network.parameters()])

    shuffled = splits.unlabelled.subset(np.arange(150)[::-1])
    labelled = replace(splits.unlabelled, labels=np.arange(150) % 10)
    assert torch.equal(trained(splits.unlabelled), trained(labelled))
    assert not torch.equal(trained(splits.unlabelled), trained(shuffled))
    assert not torch.equal(trained(splits.unlabelled), trained(splits.unlabelled, weight=0.0))


@pytest.fixture
def folder(splits: Splits, tmp_path: Path) -> Path:
    """Class folders, and beside them one of unlabelled pictures, and an array of others."""
    root = tmp_path / "data"
    digits = load("digits").train
    for row in range(80):
        place = root / digits.classes[digits.labels[row]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[row, :, :, 0]).save(place / f"{row}.png")
    (root / "unlabelled" / "camera").mkdir(parents=True)
    for row in range(80, 140):
        Image.fromarray(digits.images[row, :, :, 0]).save(root / "unlabelled" / "camera" / f"{row}.png")
    np.save(tmp_path / "more.npy", digits.images[200:270, :, :, 0])
    return root


FEW_STEPS = ["--preset", "fast", "--set", "epochs=2", "--set", "unlabelled.check=false"]
FEW_STEPS += ["--set", "unlabelled.leave_out=false"]


def test_a_part_unlabelled_of_the_folder(folder: Path, tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["train", str(folder), *FEW_STEPS, "--out", str(tmp_path / "run")])
    assert answer.exit_code == 0, answer.output
    assert "unlabelled: 60 files without labels" in answer.output
    pool = folder / "unlabelled"
    assert f"60 unlabelled pictures from {pool}; labels of theirs, if any, are not read" in answer.output
    recipe = glyphnet.runs.read_recipe(tmp_path / "run" / "recipe.yaml")
    assert recipe.unlabelled is not None
    assert recipe.unlabelled.source == str(folder / "unlabelled")
    model = glyphnet.load_model(tmp_path / "run" / "model.safetensors")
    assert "unlabelled" not in model.classes
    # The run describes itself: its recipe makes the same model.
    again = ["train", "--recipe", str(tmp_path / "run" / "recipe.yaml"), "--out", str(tmp_path / "again")]
    assert CliRunner().invoke(app, again).exit_code == 0
    assert_same_run(tmp_path / "run", tmp_path / "again")


def test_pictures_named_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    pool = tmp_path / "more.npy"
    command = ["train", str(folder), "--unlabelled", str(pool), *FEW_STEPS, "--out", str(tmp_path / "run")]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0, answer.output
    assert f"70 unlabelled pictures from {pool}" in answer.output
    run = resume(tmp_path / "run")
    assert run.splits.unlabelled is not None
    assert len(run.splits.unlabelled) == 70


def test_unlabelled_can_be_a_class(folder: Path) -> None:
    assert "unlabelled" not in load(folder).classes
    assert "unlabelled" in load(folder, layout="class").classes


def test_what_cannot_be(splits: Splits, folder: Path, tmp_path: Path) -> None:
    plain = replace(splits, unlabelled=None)
    for data, pool, changes, message in (
        (plain, None, {}, "there are no unlabelled images here"),
        (folder, splits.test.images, {}, "need labelled ones in memory"),
        (plain, "nowhere", {}, "no such file or folder"),
        (plain, splits.test.images[:, :4], {}, "unlabelled images are 4×8×1"),
        (splits, None, {"unlabelled.strong": {"mixup": 0.3}}, "mixup and cutmix"),
        (splits, None, {"optimizer": "lbfgs"}, "cannot learn from unlabelled pictures"),
    ):
        with pytest.raises((SettingsError, DataError), match=message):
            train(data, recipe=RECIPE, changes=changes, unlabelled=pool)


def test_parts_need_labels(splits: Splits) -> None:
    assert splits.unlabelled is not None
    nameless = ImageDataset.without_labels(splits.test.images, splits.classes, splits.test.names)
    with pytest.raises(DataError, match=r"50 of 50 images have no label \(-1\), and the test part"):
        replace(splits, test=nameless)
    assert nameless.counts.sum() == 0


def test_what_is_said(splits: Splits) -> None:
    said: list[str] = []
    train(splits, recipe=RECIPE.override({"epochs": 1}), reporter=Reporter(said.append, None))
    assert "150 unlabelled images; labels of theirs are not read." in said


def noise(count: int) -> UInt8Array:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def test_pictures_like_nothing_labelled_are_left_out_and_counted(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path))
    assert splits.unlabelled is not None
    recipe = RECIPE.override({"unlabelled.leave_out": True, "epochs": 40, "network.dropout": 0})
    mixed = np.concatenate([splits.unlabelled.images, noise(150)])
    worked: list[str] = []
    found = without_foreign(with_pool(splits, mixed, None, None), recipe, lambda done, total, what: worked.append(what))
    assert set(worked) == {"looking for pictures like nothing labelled"}
    assert found.unlabelled is not None
    # A resumed run looks at the pictures again, but does not train for it again, unless what was kept is damaged.
    with monkeypatch.context() as patch:
        patch.setattr(unlabelled, "fit", lambda *_, **__: pytest.fail("trained again"))
        resumed = without_foreign(with_pool(splits, mixed, None, None), recipe)
        assert resumed.unlabelled is not None
        assert resumed.unlabelled.names == found.unlabelled.names
    [kept] = (tmp_path / "foreign").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    resumed = without_foreign(with_pool(splits, mixed, None, None), recipe)
    assert resumed.unlabelled is not None
    assert resumed.unlabelled.names == found.unlabelled.names
    stayed = np.array([int(name.rpartition("/")[2]) for name in found.unlabelled.names])
    assert (stayed < 150).sum() > 110
    assert (stayed >= 150).sum() < 40
    assert f"{300 - len(stayed)} unlabelled pictures like nothing labelled: left out" in found.notes[-1]
    # Once more changes nothing, and of digits alone all stay.
    again = without_foreign(found, recipe)
    assert again.unlabelled is not None
    assert len(again.unlabelled) == len(stayed)
    clean = without_foreign(with_pool(splits, splits.unlabelled, None, None), recipe)
    assert clean.unlabelled is not None
    assert len(clean.unlabelled) == 150


HARMFUL = {"unlabelled.check": True, "unlabelled.weight": 100, "unlabelled.threshold": 0.01, "unlabelled.align": False}


def said_of_benefit(splits: Splits, changes: dict[str, object]) -> tuple[str, Run, list[tuple[int, int, str]]]:
    """What was said, the run, and the progress that was reported."""
    said, worked = list[str](), list[tuple[int, int, str]]()
    reporter = Reporter(said.append, lambda *call: worked.append(call))
    run = train(splits, recipe=RECIPE, changes=changes, reporter=reporter)
    [sentence] = [each for each in said if "unlabelled" in each and "labels of theirs" not in each]
    assert sentence in [finding.sentence for finding in run.findings]
    return sentence, run, worked


def test_validation_decides_whether_they_helped(splits: Splits) -> None:
    digits = load("digits")
    judged = replace(splits, validation=digits.validation.subset(slice(60)), unlabelled=None)
    sentence, run, _ = said_of_benefit(with_pool(judged, noise(150), None, None), {**HARMFUL, "epochs": 20})
    assert "on 60 validation images" in sentence
    assert "the network without them is kept" in sentence
    assert run.recipe.unlabelled is None  # the model describes the training that it is from
    kept, run, _ = said_of_benefit(with_pool(judged, splits.train.images, None, None), {"unlabelled.check": True})
    assert "the network with them is kept" in kept or "the network without them is kept" in kept
    assert (run.recipe.unlabelled is None) == ("without them is kept" in kept)


def test_few_labels_are_cross_validated(splits: Splits) -> None:
    sentence, run, worked = said_of_benefit(splits, {"unlabelled.check": True, "epochs": 4})
    shares = [done / total for done, total, what in worked if what == "checking whether the unlabelled pictures helped"]
    folds = shares[: shares.index(1.0) + 1]  # a training without the pictures may follow
    assert folds == sorted(folds)
    assert len(folds) > 10
    assert "by cross-validation over 40 labels" in sentence
    if "too few to tell" in sentence:
        assert run.recipe.unlabelled is not None


def test_one_label_a_class_cannot_be_checked(splits: Splits) -> None:
    first = np.unique(splits.train.labels, return_index=True)[1]
    sentence, run, _ = said_of_benefit(replace(splits, train=splits.train.subset(first)), {"unlabelled.check": True})
    assert "could not be checked: class '0' has one label" in sentence
    assert run.recipe.unlabelled is not None
