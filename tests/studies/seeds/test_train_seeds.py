"""Several seeds: each training is the one that it would be alone, the figures are right, and nothing is lost."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

import glyphnet
from glyphnet.data import ImageDataset, Splits
from glyphnet.errors import OutputError, RunFolderError, SettingsError, TrainingError
from glyphnet.files import is_ours
from glyphnet.nn.networks import EnsembleSpec
from glyphnet.progress import Reporter
from glyphnet.runs import RunFolder
from glyphnet.studies.seeds import SeedProgress, SeedRun, SeedsCallback, resume_seeds, train_seeds
from glyphnet.studies.seeds.results import read_run
from glyphnet.studies.seeds.strategy import START_SECONDS, choose_arithmetic, choose_at_once, expected_seconds
from glyphnet.tensorfile import read_tensors
from glyphnet.training import Recipe
from glyphnet.training.device import using_threads

from ... import forking
from ...photos import as_photos

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked_children")]

RECIPE = Recipe.parse(
    {
        "network": {"kind": "mlp", "hidden": [16], "dropout": 0.1},
        "optimizer": {"name": "adam", "lr": 0.01},
        "epochs": 6,
        "batch_size": 32,
        "seed": 5,
    }
)


@pytest.fixture(scope="module")
def few() -> Splits:
    """A few digits, with their names."""
    splits = glyphnet.load("digits")
    parts = (part.subset(slice(count)) for (_, part), count in zip(splits, (300, 80, 90), strict=True))
    return as_photos(Splits("a few", *parts))


class StopAfter(SeedsCallback):
    """Asks to stop when so many have finished, and one more has begun."""

    def __init__(self, count: int) -> None:
        self.left, self.moves, self.runs = count, 0, []  # type: ignore[var-annotated]
        self.seeds: Sequence[int] = ()
        self.first: dict[int, float] = {}  # seed → how far it was when it was first heard of

    def began(self, seeds: Sequence[int], at_once: int) -> None:
        self.seeds = tuple(seeds)

    def running(self, progress: SeedProgress) -> None:
        self.moves += len(self.runs) >= self.left
        self.first.setdefault(progress.seed, progress.share)

    def finished(self, run: SeedRun) -> None:
        self.runs.append(run.seed)

    def stop_requested(self) -> bool:
        return self.moves > 0


def model(folder: Path, seed: int) -> bytes:
    return RunFolder(folder / f"seed-{seed}").model.read_bytes()


@pytest.fixture(scope="module")
def alone(few: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each seed by ``glyphnet.train``."""
    folder = tmp_path_factory.mktemp("alone")
    for seed in (5, 6, 7):
        glyphnet.train(few, recipe=RECIPE.override({"seed": seed}), out=folder / f"seed-{seed}")
    return folder


@pytest.fixture(scope="module")
def made(few: Splits, tmp_path_factory: pytest.TempPathFactory) -> glyphnet.SeedRuns:
    out = tmp_path_factory.mktemp("made") / "runs"
    return train_seeds(few, seeds=3, recipe=RECIPE, ensemble=True, at_once=1, out=out)


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_one_after_another_each_is_the_training_of_that_seed_alone(
    made: glyphnet.SeedRuns, alone: Path, seed: int
) -> None:
    assert made.folder is not None
    assert made.at_once == 1
    assert model(made.folder, seed) == model(alone, seed)
    names = {path.name for path in RunFolder(alone / f"seed-{seed}").files()}
    assert {path.name for path in RunFolder(made.folder / f"seed-{seed}").files()} == names
    assert len({model(alone, each) for each in (5, 6, 7)}) == 3


def test_side_by_side_each_is_the_training_of_that_seed_alone(few: Splits, alone: Path, tmp_path: Path) -> None:
    callback = StopAfter(9)
    found = train_seeds(few, seeds=3, at_once=2, recipe=RECIPE, out=tmp_path / "runs", callbacks=[callback])
    assert (found.at_once, found.ending, sorted(callback.runs)) == (2, "finished", [5, 6, 7])
    for seed in (5, 6, 7):
        assert model(tmp_path / "runs", seed) == model(alone, seed), "also where other processes compute"
    predictions = RunFolder(tmp_path / "runs" / "seed-6").predictions.read_text()
    assert predictions == RunFolder(alone / "seed-6").predictions.read_text(), "with the images' own names"


def test_a_folder_of_an_older_version_is_resumed(few: Splits, made: glyphnet.SeedRuns, tmp_path: Path) -> None:
    assert made.folder is not None
    out = tmp_path / "runs"
    shutil.copytree(made.folder, out)
    shutil.rmtree(out / "seed-6")
    told = json.loads((out / "seeds.json").read_text())
    (out / "seeds.json").write_text(json.dumps({**told, "batched": True, "ending": "stopped"}))
    callback = StopAfter(9)
    found = resume_seeds(out, splits=few, at_once=1, callbacks=[callback])
    assert (found.ending, callback.runs) == ("finished", [6])
    assert model(out, 6) == model(made.folder, 6)
    assert "batched" not in json.loads((out / "seeds.json").read_text())


def test_mean_spread_and_interval_are_those_of_the_files(made: glyphnet.SeedRuns) -> None:
    assert made.folder is not None
    evaluations = [json.loads((made.folder / f"seed-{seed}" / "evaluation.json").read_text()) for seed in (5, 6, 7)]
    values = [each["accuracy"]["value"] for each in evaluations]
    told = json.loads((made.folder / "seeds.json").read_text())
    assert told == made.to_dict()
    assert is_ours(made.folder / "seeds.json")
    figure = told["accuracy"]
    np.testing.assert_allclose(figure["mean"], np.mean(values), atol=1e-6)
    np.testing.assert_allclose(figure["standard_deviation"], np.std(values, ddof=1), atol=1e-6)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    np.testing.assert_allclose((figure["low"], figure["high"]), (max(0, low), min(1, high)), atol=1e-5)
    assert (figure["seeds"], told["n"], told["judged_on"], told["part"]) == (3, 90, "a few, test part", "test")
    assert told["log_loss"]["mean"] == pytest.approx(np.mean([e["calibration"]["log_loss"] for e in evaluations]))
    with open(made.folder / "seeds.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["5", "6", "7"]
    assert [float(row["accuracy"]) for row in rows] == pytest.approx(values, abs=1e-6)
    assert {row["epochs"] for row in rows} == {"6"}


def test_the_sentence(made: glyphnet.SeedRuns) -> None:
    mean, spread = 100 * made.accuracy.mean, 100 * made.accuracy.spread
    assert str(made).startswith(f"Test accuracy {mean:.2f} % ± {spread:.2f} (standard deviation of 3 seeds; 95 % inter")
    assert ", on the same 90 images. Accuracy on a few, test part: " in str(made)
    assert str(made).endswith(" 90 images: their ensemble.")


def test_the_ensemble_is_the_mean_of_its_members_and_a_model_as_any(made: glyphnet.SeedRuns, few: Splits) -> None:
    assert made.folder is not None
    assert made.ensemble is not None
    loaded = glyphnet.load_model(made.folder / "ensemble" / "model.safetensors")
    assert loaded.spec == EnsembleSpec(members=3, member=RECIPE.network)
    mean = np.mean([run.classifier.logits(few.test) for run in made.runs], axis=0)
    np.testing.assert_allclose(loaded.logits(few.test), mean, atol=1e-5)
    assert loaded.metrics["accuracy"] == made.ensemble.evaluation.accuracy == made.to_dict()["ensemble"]["accuracy"]
    assert (mean.argmax(axis=1) == few.test.labels).mean() == loaded.metrics["accuracy"]
    assert {path.name for path in RunFolder(made.folder / "ensemble").files()} == {
        "recipe.yaml", "model.safetensors", "evaluation.json", "predictions.csv", "report.html",
    }  # fmt: skip
    assert "ensemble" in (made.folder / "ensemble" / "report.html").read_text()


def test_the_test_images_choose_nothing_of_the_ensemble(made: glyphnet.SeedRuns, few: Splits) -> None:
    wrong = ImageDataset(few.test.images, (few.test.labels + 1) % 10, few.classes, few.test.names)
    other = train_seeds(
        Splits("a few", few.train, few.validation, wrong), seeds=3, recipe=RECIPE, ensemble=True, at_once=1
    )
    assert made.ensemble is not None
    assert other.ensemble is not None
    assert other.folder is other.runs[0].folder is other.ensemble.folder is None
    ours, theirs = made.ensemble.classifier, other.ensemble.classifier
    assert (ours.temperature, ours.threshold) == (theirs.temperature, theirs.threshold)
    assert ours.temperature != 1.0
    assert other.accuracy.mean < 0.3 < made.accuracy.mean


def test_stopped_trainings_are_gone_on_with_to_the_same_bits(few: Splits, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    before_it = StopAfter(1)
    stopped = train_seeds(few, seeds=3, recipe=RECIPE, at_once=1, out=out, callbacks=[before_it])
    assert (stopped.ending, [run.seed for run in stopped.runs], stopped.ensemble) == ("stopped", [5], None)
    assert RunFolder(out / "seed-6").checkpoint.exists()
    before = RunFolder(out / "seed-5").model.stat().st_mtime_ns
    with pytest.raises(RunFolderError, match=f"already contains a multi-seed run. Resume it with --resume {out}"):
        train_seeds(few, seeds=3, recipe=RECIPE, out=out)
    with pytest.raises(SettingsError, match=r"data in memory. .* glyphnet.resume_seeds\(folder, splits="):
        resume_seeds(out)
    callback = StopAfter(9)
    found = resume_seeds(out, splits=few, ensemble=True, at_once=1, callbacks=[callback])
    assert (found.ending, callback.seeds, callback.runs) == ("finished", (6, 7), [6, 7])
    assert RunFolder(out / "seed-5").model.stat().st_mtime_ns == before, "what was finished is left alone"
    assert callback.first[6] > before_it.first[6] == callback.first[7], "what was begun is gone on with"
    assert found.ensemble is not None
    for seed in (5, 6, 7):
        assert model(out, seed) == model(alone, seed)


def test_overwriting_leaves_nothing_of_before_but_other_files(few: Splits, tmp_path: Path) -> None:
    train_seeds(few, seeds=3, recipe=RECIPE, ensemble=True, out=tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "seed-7" / "notes.txt").write_text("mine too")
    train_seeds(few, seeds=2, recipe=RECIPE.override({"seed": 0}), out=tmp_path, overwrite=True)
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*")}
    assert there == {"notes.txt", "seed-0", "seed-1", "seed-7", "seeds.csv", "seeds.json"}
    assert [path.name for path in (tmp_path / "seed-7").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_one_training_does_not_go_among_several(few: Splits, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "seeds.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"several seeds \(seeds.json\).* Name another folder by --out"):
        glyphnet.train(few, recipe=RECIPE, out=tmp_path, overwrite=overwrite)
    assert {path.name for path in tmp_path.iterdir()} == {"seeds.json"}


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_a_seed_that_diverges_is_named_and_ends_all(few: Splits, tmp_path: Path, at_once: int | None) -> None:
    wild = RECIPE.override({"optimizer": "sgd", "optimizer.lr": 1e30})
    with pytest.raises(TrainingError, match=r"^seed [56]: The loss became NaN or infinite in epoch 1.*optimizer\.lr="):
        train_seeds(few, seeds=2, recipe=wild, at_once=at_once, out=tmp_path)
    assert json.loads((tmp_path / "seeds.json").read_text())["ending"] == "failed"


@pytest.mark.skipif(sys.platform != "linux", reason="where no process is forked, none is known by its number")
def test_a_process_that_is_killed_is_told_and_the_others_stop(few: Splits, tmp_path: Path) -> None:
    class Killer(SeedsCallback):
        """Kills the process of one seed when both are in their training."""

        seen: ClassVar[set[int]] = set()
        workers: tuple[int, ...] = ()

        def running(self, progress: SeedProgress) -> None:
            self.seen.add(progress.seed)
            if len(self.seen) == 2 and not self.workers:
                self.workers = tuple(each for each in forking.running() if each not in others)
                os.kill(self.workers[-1], signal.SIGKILL)

    others = forking.running()  # of tests before this one
    killer, began = Killer(), time.monotonic()
    long = RECIPE.override({"epochs": 100_000})
    with pytest.raises(TrainingError) as caught:
        train_seeds(few, seeds=3, recipe=long, at_once=2, out=tmp_path, callbacks=[killer])
    assert re.fullmatch(
        r"seed [56]: its process was killed by the system, .*\. The other seeds were stopped\. "
        rf"Resume with --resume {re.escape(str(tmp_path))}",
        str(caught.value),
    )
    assert len(killer.workers) == 2
    assert not set(killer.workers) & set(forking.running())
    assert time.monotonic() - began < 60
    assert any(RunFolder(tmp_path / f"seed-{seed}").checkpoint.exists() for seed in (5, 6)), "the other can go on"


def test_what_cannot_be_is_refused_before_anything_is_trained(
    few: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(message: str, data: Splits = few, **settings: object) -> None:
        with pytest.raises(SettingsError, match=message):
            train_seeds(data, recipe=RECIPE, out=tmp_path / "runs", **settings)  # type: ignore[arg-type]
        assert not (tmp_path / "runs").exists()

    refused("seeds is 1: it must be 2 or more", seeds=1)
    refused("at_once is 0: it must be 1 or more", at_once=0)
    refused("an ensemble has 100 members at most, not 101", seeds=101, ensemble=True)
    refused("each of 51 networks may have its mirror image", seeds=51, ensemble=True, changes={"augment.flip": 0.5})
    nothing = few.test.subset([False] * len(few.test))
    refused("no image is held out", Splits("a few", few.train, nothing, nothing))
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    refused("torchrun divides one training")


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_without_a_folder_no_reports_are_made(
    at_once: int | None, few: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []

    def looked_at(folder: RunFolder, *arguments: Any, **settings: Any) -> Any:
        if folder.evaluation.exists():
            read.append(sorted(file.name for file in folder.path.iterdir()))
        return read_run(folder, *arguments, **settings)

    monkeypatch.setattr("glyphnet.studies.seeds.training.read_run", looked_at)
    found = train_seeds(few, seeds=2, at_once=at_once, recipe=RECIPE)
    assert len(found.runs) == len(read) == 2
    assert not any("report.html" in names for names in read)


def test_how_many_at_once_is_chosen_by_the_work_and_the_cores(few: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glyphnet.studies.seeds.strategy.usable_cores", lambda: 4)
    longer = RECIPE.override({"epochs": 10_000})
    assert expected_seconds(RECIPE, few, reports=True) < START_SECONDS / 4
    assert expected_seconds(RECIPE, few, reports=False) < expected_seconds(RECIPE, few, reports=True)
    assert expected_seconds(longer, few, reports=False) > START_SECONDS

    def at_once(recipe: Recipe, seeds: int, *, reports: bool = True) -> int:
        return choose_at_once(recipe, few, seeds, "cpu", reports=reports)

    with using_threads(4):
        assert at_once(RECIPE, 5) == 1
        assert at_once(longer, 10) == 4
        assert at_once(longer, 3) == 3
        assert at_once(RECIPE, 50) == 4, "the reports are worth it"
        assert at_once(RECIPE, 50, reports=False) == 1
        monkeypatch.setattr("glyphnet.studies.seeds.strategy.usable_cores", lambda: 2)
        assert at_once(longer, 10) == 2, "a container has fewer"
    with using_threads(1):
        assert at_once(longer, 10) == 1


def test_threads_are_chosen_as_for_one_training_and_kept(
    few: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps large enough for several threads get this training's share of the cores, and --resume the same."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("glyphnet.training.device.usable_cores", lambda: 4)
    monkeypatch.setattr("glyphnet.training.device.free_cores", lambda: 4.0)
    large = RECIPE.override({"network.hidden": [2000], "batch_size": 300})
    with using_threads(4):
        assert [choose_arithmetic(RECIPE, few, 1, "cpu", None).threads, *_shares(large, few)] == [1, 4, 2, 1]
        monkeypatch.setattr("glyphnet.training.device.free_cores", lambda: 1.0)
        assert _shares(large, few) == [1, 2, 1], "one alone would wait for a busy core at every operation"
    said: list[str] = []
    callback = StopAfter(1)
    out = tmp_path / "runs"
    train_seeds(
        few, seeds=2, at_once=1, recipe=RECIPE, threads=2, out=out, callbacks=[callback], reporter=Reporter(said.append)
    )
    assert "Computing on cpu in fp32, 2 threads (as you asked; see --threads)." in said
    resume_seeds(out, splits=few, at_once=1, threads=1)
    headers = [read_tensors(RunFolder(out / f"seed-{n}").checkpoint, kind="checkpoint", newest=99)[0] for n in (5, 6)]
    assert [header["terms"]["threads"] for header in headers] == [2, 2]


def _shares(recipe: Recipe, splits: Splits) -> list[int]:
    """Threads of each of so many trainings side by side."""
    return [choose_arithmetic(recipe, splits, at_once, "cpu", None).threads for at_once in (1, 2, 4)]


@pytest.mark.parametrize(
    "name",
    [
        "seed-6/model.safetensors", "seed-6/checkpoint.safetensors", "seed-6/report.html", "seed-6/.lock",
        "ensemble/model.safetensors", "ensemble/evaluation.json", "ensemble/.lock", "seeds.csv",
        "seed-6", "ensemble",
    ],
)  # fmt: skip
def test_links_in_a_folder_that_was_received_are_not_followed(
    made: glyphnet.SeedRuns, few: Splits, tmp_path: Path, name: str
) -> None:
    assert made.folder is not None
    received, outside = shutil.copytree(made.folder, tmp_path / "received"), tmp_path / "outside"
    place = received / name
    if place.is_dir():
        place.rename(outside)
        (outside / "recipe.yaml").unlink()  # begun, not finished
    else:
        outside.write_text("mine")
        place.unlink(missing_ok=True)
    place.symlink_to(outside)
    before = {path: path.read_bytes() for path in [outside, *outside.rglob("*")] if path.is_file()}
    with pytest.raises(OutputError, match=f"{place.name}: is (a link, which is not followed|needed for a lock)"):
        resume_seeds(received, splits=few, at_once=1)
    with pytest.raises(OutputError, match=f"{place.name}: is (a link, which is not followed|needed for a lock)"):
        train_seeds(few, seeds=2, recipe=RECIPE, at_once=1, out=received, overwrite=True)
    assert {path: path.read_bytes() for path in [outside, *outside.rglob("*")] if path.is_file()} == before
