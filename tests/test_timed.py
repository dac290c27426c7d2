"""Trainings of a given time: what is tried and kept, and that a stopped one resumes where it was."""

from __future__ import annotations

import json
import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import glyphnet
from glyphnet import Splits
from glyphnet.data import ImageDataset, load
from glyphnet.errors import CorruptFileError, SettingsError
from glyphnet.nn.networks import EnsembleSpec
from glyphnet.progress import Reporter
from glyphnet.runs import RunFolder, preparation, resume, timed, train
from glyphnet.runs.pace import seconds_an_epoch
from glyphnet.runs.timed import TimedTraining, TimePlan, plan_time
from glyphnet.runs.trainer import Trainer
from glyphnet.training import Callback, Fitting, Recipe, StepInfo, TrainingState

from .killing import Killed
from .test_resume import assert_same_run

AGES = 1e6  # seconds in which everything fits, on any machine


def recipe(network: object, epochs: int, **more: object) -> Recipe:
    """Learns something in an epoch or two."""
    values = {"optimizer": {"name": "adam", "lr": 0.01}, "batch_size": 20, "samples": 0, **more}
    return Recipe.parse({"network": network, "epochs": epochs, **values})


SMALL = recipe("linear", 2)
LARGE = recipe({"kind": "mlp", "hidden": [64]}, 3)
SLOW = recipe({"kind": "cnn-classic", "padding": True}, 5000)


def few(train: int = 200, validation: int = 60) -> Splits:
    digits = load("digits")
    rest = digits.train.subset(slice(train, train + validation))
    return Splits("few", digits.train.subset(slice(train)), rest, digits.test.subset(slice(50)))


@pytest.fixture(scope="module")
def splits() -> Splits:
    return few()


def climbed(splits: Splits, seconds: float, **candidates: Recipe) -> tuple[TimedTraining, list[str]]:
    """The training of a plan with these candidates, finished, and what it said."""
    said: list[str] = []
    trainer = Trainer(splits, device="cpu", threads=1, reporter=Reporter(said.append))
    training = TimedTraining(plan_time(seconds, candidates, splits), trainer)
    training.run()
    return training, said


def tried(plan: TimePlan) -> list[tuple[str, int]]:
    return [(plan.rungs[step.rung].name, step.epochs) for step in plan.steps]


def test_a_larger_network_comes_before_more_passes_and_the_best_on_validation_is_kept(splits: Splits) -> None:
    training, said = climbed(splits, AGES, small=SMALL, large=LARGE)
    plan = training.plan
    assert tried(plan)[:2] == [("small", 2), ("large", timed.LAST * 3)]
    later = plan.steps[2:]
    assert all(step.rung == plan.steps[plan.best or 0].rung or step.epochs > 6 for step in later)
    best = max(plan.steps, key=lambda step: (step.accuracy or 0, -(step.loss or 0)))
    assert plan.best == plan.steps.index(best)
    own = plan.rungs[best.rung].recipe.epochs
    most = max(step.epochs for step in plan.steps if step.rung == best.rung)
    assert plan.flat == timed.FLAT or timed.WORTH * most > timed.MOST * own
    assert said[0].startswith("First: small, 2 passes, about ")
    assert any(each.startswith("Small, 2 passes (") and "of 60 validation images" in each for each in said)
    assert any(each.startswith("Next: large, 6 passes") for each in said)
    stop = next(each for each in said if each.startswith("Stopping: "))
    assert f"{plan.name(best)} is kept" in stop


def test_validation_that_stays_flat_ends_it(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps without a gain: the learning rate of the later recipes is too small to learn anything."""
    idle = [recipe("linear", epochs, optimizer={"name": "adam", "lr": 1e-9}) for epochs in (1, 2, 3, 4)]
    plan = climbed(splits, AGES, small=SMALL, **{f"idle{number}": each for number, each in enumerate(idle)})[0].plan
    assert len(plan.steps) == 1 + timed.FLAT
    assert plan.best == 0
    assert plan.ended == f"validation has been flat for {timed.FLAT} steps"


def test_what_does_not_fit_is_not_tried(splits: Splits) -> None:
    plan = climbed(splits, 3.0, small=SMALL, slow=SLOW)[0].plan
    assert {name for name, _ in tried(plan)} == {"small"}
    nothing = climbed(splits, 1e-3, slow=SLOW)[0].plan
    assert tried(nothing) == [("slow", 1)], "one epoch at least"
    assert nothing.ended == "the time is used up"


def test_the_smaller_of_two_larger_networks_is_tried_only_if_the_largest_still_fits(splits: Splits) -> None:
    """Their paces are given, so that no machine's hour decides."""
    plan = plan_time(100.0, {"a": SMALL, "b": recipe("linear", 4), "c": recipe("linear", 8)}, splits)
    for third, expected in ((4.0, "b"), (13.0, "c"), (20.0, "b")):
        paces = (1.0, 5.0, third)  # b takes 20 s; of c six epochs are enough; 92 s are planned for
        rungs = tuple(rung.model_copy(update={"an_epoch": pace}) for rung, pace in zip(plan.rungs, paces, strict=True))
        training = TimedTraining(plan.model_copy(update={"rungs": rungs}), Trainer(splits))
        step = training._larger(1)
        assert step is not None
        assert plan.rungs[step.rung].name == expected


def test_recipes_that_differ_in_their_passes_alone_are_measured_once(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def pace(fitting: Fitting, *_: object) -> float:
        measured.append(fitting.recipe.network.kind)
        return 1.0

    monkeypatch.setattr(timed, "seconds_an_epoch", pace)
    plan = plan_time(100.0, {"a": SMALL, "b": recipe("mlp", 4), "c": recipe("mlp", 8)}, splits)
    training = TimedTraining(plan, Trainer(splits, device="cpu", threads=1))
    assert [training._an_epoch(number) for number in (0, 1, 2, 1)] == [1.0] * 4
    assert measured == ["linear", "mlp"]


def test_a_network_that_diverges_is_said_and_not_taken(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = recipe("linear", 2, optimizer={"name": "sgd", "lr": 1e30})
    training, said = climbed(splits, AGES, small=SMALL, wild=wild)
    assert {step.rung for step in training.plan.steps} == {0}
    assert any("Wild is not tried, it diverged. The loss became NaN" in each for each in said)
    monkeypatch.setattr(timed, "seconds_an_epoch", lambda fitting, splits, most: 0.1)  # as if it did so later
    training, said = climbed(splits, AGES, small=SMALL, wild=wild)
    assert training.plan.steps[1].accuracy == 0.0
    assert training.plan.steps[training.plan.best or 0].rung == 0
    assert any("diverged. The loss became NaN" in each for each in said)


@pytest.mark.parametrize("images", [1, 3, 200])
def test_the_pace_is_that_of_an_epoch(splits: Splits, images: int) -> None:
    part = replace(splits, train=splits.train.subset(slice(images)))
    trainer = Trainer(part, device="cpu", threads=1)
    wanted = recipe({"kind": "cnn-classic", "padding": True}, 2)
    measured = seconds_an_epoch(trainer.fitting(wanted), part, 0.1)
    history = trainer.train(trainer.fitting(wanted)).result.history
    taken = sorted(float(row["seconds"] or 0) for row in history)
    assert taken[0] / 30 < measured < 30 * taken[-1]  # other programs may have taken the machine meanwhile


# Runs with a folder


@pytest.fixture
def rungs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The presets are these small recipes."""
    _small_rungs(monkeypatch)


def _small_rungs(patch: pytest.MonkeyPatch) -> None:
    made = {"small": SMALL, "large": LARGE}
    patch.setattr(preparation, "candidates_for", lambda recipe, splits, changes: made)
    patch.setattr(glyphnet.runs.training, "candidates_for", lambda recipe, splits, changes: made)


def _train_and_die(folder: Path, steps: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _small_rungs(patch)
        if (folder / "time.json").exists():
            resume(folder, splits=few(), callbacks=[Killed(steps)], checkpoint_every=0.0)
        else:
            train(few(), seconds=AGES, out=folder, callbacks=[Killed(steps)], checkpoint_every=0.0)


def choice(folder: Path) -> list[tuple[str, int, float | None]]:
    plan = TimePlan.read(folder / "time.json")
    return [(plan.rungs[step.rung].name, step.epochs, step.accuracy) for step in plan.steps]


def test_killed_in_every_step_and_resumed_to_the_same_bytes(splits: Splits, rungs: None, tmp_path: Path) -> None:
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    run = train(splits, seconds=AGES, out=unbroken)
    assert run.ending == "finished"
    torch.set_num_threads(1)
    for steps in (16, 25, 47):  # each step of the plan has 10 steps an epoch, and the measuring of its pace some more
        process = multiprocessing.get_context("fork").Process(target=_train_and_die, args=(killed, steps))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    resumed = resume(killed, splits=splits)
    assert choice(killed) == choice(unbroken)
    assert_same_run(unbroken, killed)
    assert resumed.recipe == run.recipe == Recipe.from_yaml((unbroken / "recipe.yaml").read_text())
    assert not RunFolder(killed).best.exists()
    # What has ended stays as it is.
    before = (killed / "model.safetensors").read_bytes()
    resume(killed, splits=splits, report=False)
    assert (killed / "model.safetensors").read_bytes() == before
    assert choice(killed) == choice(unbroken)


class StopIn(Callback):
    """Stops in the first epoch of the n-th training."""

    def __init__(self, number: int) -> None:
        self._left = number

    def at_start(self, state: TrainingState) -> None:
        self._left -= 1

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        return self._left <= 0


def test_stopped_in_a_later_step_the_best_so_far_is_there(splits: Splits, rungs: None, tmp_path: Path) -> None:
    stopped = train(splits, seconds=AGES, out=tmp_path, callbacks=[StopIn(2)])
    assert stopped.ending == "stopped"
    assert stopped.classifier is not None
    assert stopped.recipe.network == SMALL.network
    assert [done for *_, done in choice(tmp_path)] == [choice(tmp_path)[0][2], None]
    assert resume(tmp_path, splits=splits, report=False).ending == "finished"


def test_a_log_is_of_the_network_that_is_kept(splits: Splits, rungs: None, tmp_path: Path) -> None:
    from glyphnet.training import LogTo

    run = train(splits, seconds=AGES, out=tmp_path / "run", callbacks=[LogTo(f"csv:{tmp_path / 'log.csv'}")])
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 1 + len(run.history) + 1, "a header, the epochs, the result"


def test_a_damaged_plan_is_refused(splits: Splits, rungs: None, tmp_path: Path) -> None:
    train(splits, seconds=AGES, out=tmp_path, callbacks=[StopIn(2)])
    path = tmp_path / "time.json"
    sound = json.loads(path.read_text())
    for damaged in (
        "{",
        "[]",
        json.dumps({**sound, "rungs": []}),
        json.dumps({**sound, "steps": sound["steps"][::-1]}),
    ):
        path.write_text(damaged)
        with pytest.raises(CorruptFileError, match=r"time\.json: is no plan that GlyphNet wrote"):
            resume(tmp_path, splits=splits)
    path.write_text(json.dumps(sound))
    with pytest.raises(SettingsError, match="for one process"):
        resume(tmp_path, splits=splits, processes=2)


# Few images: cross-validated, and averaged over seeds


def test_few_images_are_cross_validated_and_networks_averaged(rungs: None, tmp_path: Path) -> None:
    splits, said = few(60, 12), list[str]()
    run = train(splits, seconds=AGES, out=tmp_path / "a", reporter=Reporter(said.append))
    plan = TimePlan.read(tmp_path / "a" / "time.json")
    assert (plan.judged_by, plan.images, plan.members) == ("cross-validation", 72, timed.MEMBERS)
    assert any("of 72 labelled images, by cross-validation" in each for each in said)
    assert any(f"averaged over {timed.MEMBERS} seeds, as the images are few" in each for each in said)
    assert run.classifier is not None
    assert run.classifier.spec == EnsembleSpec(members=timed.MEMBERS, member=run.recipe.network)
    loaded = glyphnet.load_model(tmp_path / "a" / "model.safetensors")
    images = splits.test.images
    np.testing.assert_array_equal(loaded.predict_labels(images), run.classifier.predict_labels(images))
    # The members are those of the recipe, with seeds that follow one another; logits are averaged.
    alone = [train(splits, recipe=run.recipe.override({"seed": seed})).classifier for seed in range(timed.MEMBERS)]
    logits = np.mean([each.logits(images, as_is=True) for each in alone if each is not None], axis=0)
    np.testing.assert_allclose(loaded.logits(images, as_is=True), logits, atol=1e-4)


def test_with_too_few_to_cross_validate_the_largest_that_fits_is_trained(splits: Splits) -> None:
    tiny = replace(splits, train=splits.train.subset(slice(5)), validation=splits.train.subset(slice(0)))
    training, said = climbed(tiny, AGES, small=SMALL, large=LARGE)
    assert tried(training.plan) == [("large", timed.LAST * 3)]
    assert any("too few validation images to judge it" in each for each in said)


# With a backbone, and with unlabelled pictures


def test_over_a_backbone_the_last_layer_comes_first_then_all_weights(splits: Splits, tmp_path: Path) -> None:
    base = train(splits, preset="fast", changes={"epochs": 2})
    assert base.classifier is not None
    base.classifier.save(tmp_path / "base.safetensors")
    said: list[str] = []
    run = train(
        splits, seconds=AGES, changes={"backbone": str(tmp_path / "base.safetensors")}, out=tmp_path / "run",
        reporter=Reporter(said.append),
    )  # fmt: skip
    plan = TimePlan.read(tmp_path / "run" / "time.json")
    own = plan.rungs[0].recipe.epochs
    assert tried(plan) == [("", 1), ("", own)]
    assert "First: the last layer alone." in said
    assert any(f"the recipe's {own} passes are done" in each for each in said)
    assert run.recipe.backbone is not None
    little = train(splits, seconds=1e-3, changes={"backbone": str(tmp_path / "base.safetensors")})
    assert len(little.history) == 1


def test_unlabelled_pictures_are_learned_from_for_the_time_that_fits(tmp_path: Path) -> None:
    digits = load("digits")
    splits = replace(few(40, 0), unlabelled=digits.train.subset(slice(60, 160)))
    learned = Recipe.parse({
        **SMALL.model_dump(), "batch_size": 16,
        "unlabelled": {"ratio": 2, "threshold": 0.5, "strong": {"shift": 1}, "check": False, "leave_out": False},
    })  # fmt: skip
    run = train(splits, recipe=learned, seconds=AGES, out=tmp_path)
    plan = TimePlan.read(tmp_path / "time.json")
    assert (plan.judged_by, tried(plan)) == ("nothing", [("", timed.LAST * learned.epochs)])
    assert run.recipe.unlabelled is not None
    assert len(run.history) == timed.LAST * learned.epochs


# Which recipes are tried


def names(splits: Splits, changes: dict[str, object] | None = None) -> list[str]:
    made, prepared = preparation.prepare(splits, "balanced", None, changes or {}, None)
    return list(preparation.candidates_for(made, prepared, changes or {}))


def test_the_recipes_are_the_presets_and_larger_networks_between_and_above_them(splits: Splits) -> None:
    assert names(splits) == ["fast", "balanced", "deep", "best", "wide"]
    assert names(splits, {"network": "mlp"}) == ["fast", "balanced", "best"], "which differ in their passes"
    assert names(splits, {"network.stem": 8}) == ["fast", "balanced", "best"], "the others have no such setting"
    with pytest.raises(SettingsError, match="hiden"):
        names(splits, {"network.hiden": 8})


def test_glyphbase_is_the_first_where_drawings_are_few() -> None:
    images = np.zeros((60, 28, 28, 1), dtype=np.uint8)
    for row, image in enumerate(images):
        image[4:24, 6 + row % 10 : 9 + row % 10] = 255
    whole = ImageDataset(images, np.arange(60) % 10, tuple("0123456789"), [str(row) for row in range(60)])
    few_drawings = Splits("few", whole, whole.subset(slice(0)), whole.subset(slice(0)))
    assert names(few_drawings)[:2] == ["on glyphbase", "fast"]
    assert names(few_drawings, {"backbone": "null"})[0] == "fast"
    assert names(few_drawings, {"backbone": "glyphbase"}) == [""]
