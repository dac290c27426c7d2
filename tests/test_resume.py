"""A run that is stopped anywhere, in any way, and resumed, gives what the unbroken run gives: bit for bit."""

from __future__ import annotations

import csv
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from glyphnet.data import Splits, load
from glyphnet.errors import CorruptFileError, DataError, RunFolderError
from glyphnet.runs import resume, train
from glyphnet.tensorfile import read_tensors, write_tensors
from glyphnet.training import Callback, Examples, Recipe, StepInfo, TrainingState
from glyphnet.training.checkpoint import VERSION, write_checkpoint
from glyphnet.training.fit import Fitting
from glyphnet.training.optimizers import OPTIMIZERS

from . import forking
from .killing import Killed
from .photos import as_photos
from .processes import wait_for

# Everything on that a resumed run could get wrong: dropout, augmentation, mixing, batch norm, momentum, a schedule,
# averaged weights, early stopping (which ends the run before the last epoch).
RECIPE = Recipe.parse(
    {
        "network": {
            "kind": "cnn", "stem": 8, "channels": [8], "dense": [16], "stem_stride": 1, "batch_norm": True,
            "dropout": 0.3,
        },
        "augment": {"shift": 1, "rotate": 10, "elastic": 0.5, "mixup": 0.3},
        "optimizer": {"name": "sgd", "lr": 0.3, "momentum": 0.9, "nesterov": True},
        "schedule": "one-cycle",
        "ema": 0.9,
        "epochs": 40,
        "batch_size": 16,
        "early_stopping": {"patience": 6, "monitor": "val_accuracy"},
    }
)  # fmt: skip


def few_digits(count: int = 160) -> Splits:
    digits = load("digits")
    parts = digits.train.subset(slice(count)), digits.train.subset(slice(count, count + 60))
    return as_photos(Splits("few", *parts, digits.test.subset(slice(50))))


@pytest.fixture(scope="module")
def splits() -> Splits:
    return few_digits()


def history_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "history.csv", newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def assert_same_run(one: Path, other: Path) -> None:
    a, b = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert history_of(one) == history_of(other)
    assert (one / "predictions.csv").read_bytes() == (other / "predictions.csv").read_bytes()
    # The whole file, header and all: what a training leaves depends on nothing but its recipe and its data.
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def unbroken(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    run = train(splits, recipe=RECIPE, out=folder)
    assert run.ending == "early_stopping"
    assert 8 < len(run.history) < 40
    return folder


class StopAt(Callback):
    """Stops after so many steps of the whole run."""

    def __init__(self, step: int) -> None:
        self._step = step

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        return state.total_steps >= self._step

    def after_epoch(self, row: object, state: TrainingState) -> bool:
        return state.total_steps >= self._step


STEPS_AN_EPOCH = 10  # 160 images in batches of 16


@pytest.mark.parametrize("step", [1, STEPS_AN_EPOCH - 1, STEPS_AN_EPOCH, STEPS_AN_EPOCH + 1, 73])
def test_stopped_after_a_step(step: int, splits: Splits, unbroken: Path, tmp_path: Path) -> None:
    stopped = train(splits, recipe=RECIPE, out=tmp_path, callbacks=[StopAt(step)])
    assert stopped.ending == "stopped"
    assert stopped.evaluation is None  # the test images are for the end
    resumed = resume(tmp_path, splits=splits, report=False)
    assert resumed.ending == "early_stopping"
    assert_same_run(unbroken, tmp_path)


def test_resuming_a_run_that_has_ended_changes_nothing(splits: Splits, unbroken: Path, tmp_path: Path) -> None:
    train(splits, recipe=RECIPE, out=tmp_path)
    resume(tmp_path, splits=splits)
    assert_same_run(unbroken, tmp_path)


def _train(folder: str) -> None:
    torch.set_num_threads(1)
    if (Path(folder) / "recipe.yaml").exists():
        resume(folder, splits=few_digits(), checkpoint_every=0.0)
    else:
        train(few_digits(), recipe=RECIPE, out=folder, checkpoint_every=0.0)


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Real processes that need not import torch anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["glyphnet.report", "glyphnet.runs", "sklearn.manifold"])
    return context


def start(processes: ForkServerContext, folder: Path) -> BaseProcess:
    process = processes.Process(target=_train, args=(str(folder),))
    process.start()
    return process


@pytest.mark.slow
def test_killed_at_six_random_moments(processes: ForkServerContext, tmp_path: Path) -> None:
    """Each run is killed by SIGKILL again and again at random moments, and resumed, until it comes to its end."""
    waiting = processes.Process(target=os.getpid)  # for the server of processes to start
    waiting.start()
    waiting.join()
    whole = tmp_path / "whole"
    whole.mkdir()
    began = time.monotonic()
    process = start(processes, whole)
    process.join()
    assert process.exitcode == 0
    took = time.monotonic() - began
    moments = random.Random(0)
    kills = number = 0
    while kills < 6:
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        number += 1
        for _ in range(3):
            process = start(processes, folder)
            process.join(timeout=moments.uniform(0.05, 1.0) * took)
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            kills += 1
        process = start(processes, folder)
        process.join()
        assert process.exitcode == 0
        assert_same_run(whole, folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_command_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C: status 0, the step done, the best weights kept, and the line that says how to go on."""
    settings = ["--set", "epochs=5000", "--network", "mlp"]
    command = [sys.executable, "-m", "glyphnet", "train", "digits", "--out", str(tmp_path / "run"), *settings]
    process = forking.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    history = tmp_path / "run" / "history.csv"
    wait_for(history.exists, process)
    process.send_signal(number)
    output, messages = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output == ""
    last = messages.strip().splitlines()[-1]
    assert f"Resume with: glyphnet train --resume {tmp_path / 'run'}" in last
    assert "the best weights so far (epoch " in last
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "evaluation.json").exists()
    assert "Traceback" not in messages


def test_a_second_run_in_the_same_folder_is_refused_at_once(splits: Splits, tmp_path: Path) -> None:
    class TryAgain(Callback):
        error = ""

        def after_step(self, info: StepInfo, state: TrainingState) -> bool:
            try:
                train(splits, recipe=RECIPE, out=tmp_path, overwrite=True)
            except RunFolderError as error:
                self.error = str(error)
            return True

    second = TryAgain()
    train(splits, recipe=RECIPE, out=tmp_path, callbacks=[second])
    assert f"in use by another run (process {os.getpid()})" in second.error


def test_a_folder_with_a_run_is_not_overwritten_unasked(splits: Splits, unbroken: Path) -> None:
    before = {path.name: path.read_bytes() for path in unbroken.iterdir() if path.is_file()}
    with pytest.raises(RunFolderError, match=r"holds a run already \(recipe.yaml, history.csv.*--resume.*--overwrite"):
        train(splits, recipe=RECIPE, out=unbroken)
    assert before == {path.name: path.read_bytes() for path in unbroken.iterdir() if path.is_file()}


def test_another_recipe_or_other_data_cannot_go_on(splits: Splits, tmp_path: Path) -> None:
    train(splits, recipe=RECIPE, out=tmp_path, callbacks=[StopAt(5)])
    other = Splits("few", splits.train.subset(slice(100)), splits.validation, splits.test)
    with pytest.raises(RunFolderError, match="cannot resume, because training data was .* and is "):
        resume(tmp_path, splits=other)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.override({"l2": 0.5, "optimizer.lr": 0.1}).to_yaml())
    with pytest.raises(RunFolderError, match="the recipe differs in optimizer, l2"):
        resume(tmp_path, splits=splits)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_goes_on_as_if_it_had_never_stopped(optimizer: str, splits: Splits, tmp_path: Path) -> None:
    recipe = Recipe.parse(
        {"network": {"kind": "mlp", "hidden": [12]}, "optimizer": optimizer, "epochs": 9, "batch_size": 100}
    )
    examples = Examples.of(splits.train.images, splits.train.labels)
    whole, stopped, resumed, resumed_early = (Fitting(recipe, examples, None, classes=10) for _ in range(4))
    write_checkpoint(tmp_path / "early", stopped.state, stopped.terms)
    stopped.run(callbacks=[StopAt(7)])
    write_checkpoint(tmp_path / "checkpoint", stopped.state, stopped.terms)
    resumed_early.read_checkpoint(tmp_path / "early", resumed.terms)
    resumed.read_checkpoint(tmp_path / "checkpoint", resumed.terms)
    results = whole.run(), resumed.run(), resumed_early.run()
    for one, *others in zip(*(result.network.parameters() for result in results), strict=True):
        assert all(torch.equal(one, other) for other in others)


def test_threads_are_kept_of_a_run_that_is_killed_at_its_first_step(splits: Splits, tmp_path: Path) -> None:
    class Seen(Callback):
        threads = 0

        def at_start(self, state: TrainingState) -> None:
            self.threads = torch.get_num_threads()

    process = multiprocessing.get_context("fork").Process(
        target=train, args=(splits,), kwargs={"recipe": RECIPE, "out": tmp_path, "threads": 2, "callbacks": [Killed(1)]}
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    seen = Seen()
    resume(tmp_path, splits=splits, callbacks=[seen, StopAt(1)])
    assert seen.threads == 2


def test_a_checkpoint_of_an_earlier_version_cannot_go_on(splits: Splits, tmp_path: Path) -> None:
    train(splits, recipe=RECIPE, out=tmp_path, callbacks=[StopAt(5)])
    path = tmp_path / "checkpoint.safetensors"
    header, tensors = read_tensors(path, kind="checkpoint", newest=VERSION)
    write_tensors(path, tensors, {**header, "format_version": VERSION - 1})
    with pytest.raises(RunFolderError, match="written by an older GlyphNet .* start a new training"):
        resume(tmp_path, splits=splits)


def test_a_damaged_checkpoint_is_told(splits: Splits, tmp_path: Path) -> None:
    train(splits, recipe=RECIPE, out=tmp_path, callbacks=[StopAt(5)])
    path = tmp_path / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=r"checkpoint\.safetensors"):
        resume(tmp_path, splits=splits)


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no run to resume: there is no recipe\.yaml"):
        resume(tmp_path / "nowhere")


def test_a_relative_path_is_found_from_where_the_run_began(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    np.savez(tmp_path / "few.npz", x=splits.train.images, y=splits.train.labels)
    monkeypatch.chdir(tmp_path)
    train("few.npz", changes={"network": "linear"}, out="run", callbacks=[StopAt(1)])
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"'few\.npz' is not in this folder\. .* resume it there"):
        resume(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert resume("run").ending == "finished"


def test_a_run_goes_on_with_the_threads_and_precision_it_began_with(tmp_path: Path) -> None:
    """A machine with more cores must not change the bits."""
    torch.set_num_threads(1)
    splits = few_digits(300)
    recipe = RECIPE.override({"batch_size": 300, "network.channels": [64], "epochs": 6})  # steps large enough for two
    train(splits, recipe=recipe, out=tmp_path / "whole")
    train(splits, recipe=recipe, out=tmp_path / "stopped", callbacks=[StopAt(3)])
    torch.set_num_threads(2)
    try:
        resume(tmp_path / "stopped", splits=splits)
    finally:
        torch.set_num_threads(1)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")
