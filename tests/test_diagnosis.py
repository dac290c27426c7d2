"""A training that went wrong says so, with the likely cause; and unequal classes never hide behind the accuracy."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from glyphnet.classifier import Classifier
from glyphnet.data import ImageDataset, Splits, load, look_over
from glyphnet.data.inspect import Finding
from glyphnet.evaluation import Evaluation, accuracy_sentence
from glyphnet.evaluation.evaluate import findings_of, near_chance
from glyphnet.explain import DeadUnits
from glyphnet.runs import Run, train
from glyphnet.runs.diagnosis import Evidence, _dead, _loss_jump, _overfitting, _with_cause, diagnose

pytestmark = pytest.mark.usefixtures("little_ink")


def part(labels: list[int], seed: int) -> ImageDataset:
    """Noise of 8×8, in which nothing tells the two classes apart."""
    images = np.random.default_rng(seed).integers(0, 200, (len(labels), 8, 8, 1), dtype=np.uint8)
    names = [f"{seed}/{row}" for row in range(len(labels))]
    return ImageDataset(images, np.array(labels, dtype=np.int64), ("large", "small"), names)


def codes(run: Run) -> list[str]:
    return [finding.code for finding in run.findings]


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One image of the small class to a hundred of the large one, and nothing that tells them apart."""
    labels = [0] * 99 + [1]
    splits = Splits("unequal", part(labels * 2, 1), part(labels, 2), part(labels * 3, 3))
    changes = {"epochs": 2, "network": "mlp"}
    return train(splits, preset="fast", changes=changes, out=tmp_path_factory.mktemp("unequal") / "run")


def test_at_one_to_a_hundred_the_headline_is_no_accuracy_of_99_percent(unequal: Run) -> None:
    assert unequal.evaluation is not None
    assert unequal.folder is not None
    assert unequal.evaluation.headline == "balanced_accuracy"
    assert str(unequal).startswith("Balanced accuracy on unequal, test part: 50.00 %")
    assert "where always answering 'large' gives 99.00 %" in str(unequal)
    assert {"imbalance", "imbalance_judged", "near_chance", "few_images"} <= set(codes(unequal))
    told = next(finding for finding in unequal.findings if finding.code == "imbalance_judged")
    assert told.numbers["majority_share"] == 0.99
    assert told.numbers["accuracy"] == unequal.evaluation.accuracy
    assert "It is not surely better than that." in told.sentence
    figures = json.loads(unequal.folder.evaluation.read_text(encoding="utf-8"))
    assert figures["headline"] == "balanced_accuracy"
    assert [each["code"] for each in figures["findings"]] == codes(unequal)
    page = unequal.folder.report.read_text(encoding="utf-8")
    assert "<small>balanced accuracy</small>" in page
    assert "The classes are unbalanced: 198 training images of" in page
    assert unequal.classifier is not None
    assert unequal.classifier.metrics["headline"] == "balanced_accuracy"


def judged(correct: int, wrong: int, small_correct: int, small: int) -> Evaluation:
    labels = np.array([0] * (correct + wrong) + [1] * small)
    answers = np.array([0] * correct + [1] * wrong + [1] * small_correct + [0] * (small - small_correct))
    probabilities = np.full((len(labels), 2), 0.1)
    probabilities[np.arange(len(labels)), answers] = 0.9
    images = np.zeros((len(labels), 2, 2, 1), dtype=np.uint8)
    return Evaluation(
        labels, probabilities, ("large", "small"), [str(row) for row in range(len(labels))], images, "made"
    )


def test_a_classifier_that_beats_the_majority_is_not_called_chance() -> None:
    good = judged(988, 2, 8, 10)
    (told,) = findings_of(good)
    assert told.code == "imbalance_judged"
    assert "accuracy is 99.60 %" in told.sentence
    assert "always answering 'large' gives 99.00 %" in told.sentence
    assert "not surely better" not in told.sentence or good.accuracy_interval.low <= 0.99
    assert not near_chance(good)


def test_equal_classes_have_accuracy_as_headline_and_no_finding() -> None:
    equal = judged(95, 5, 95, 100)
    assert equal.headline == "accuracy"
    assert findings_of(equal) == ()
    assert accuracy_sentence(equal).startswith("Accuracy on made: 95.00 %")


def test_one_judged_class_is_neither_chance_nor_imbalance() -> None:
    assert findings_of(judged(4, 4, 0, 0)) == ()


def test_labels_that_do_not_belong_to_the_images_are_near_chance_by_heart() -> None:
    generator = np.random.default_rng(0)
    labels = [int(label) for label in generator.integers(0, 2, 400)]
    splits = Splits("shuffled", part(labels[:160], 1), part(labels[160:260], 2), part(labels[260:], 3))
    run = train(splits, preset="fast", changes={"epochs": 60, "network": "mlp", "augment": {}})
    told = next(finding for finding in run.findings if finding.code == "near_chance")
    assert "No better than guessing" in told.sentence
    assert "the labels may not belong to the images" in told.sentence
    assert float(told.numbers["training_accuracy"] or 0) > 0.9
    assert "overfitting" not in codes(run)


def test_sound_trainings_say_nothing() -> None:
    for network in ({}, {"network": "mlp"}, {"network": {"kind": "cnn-classic", "padding": True}}):
        assert codes(train("digits", preset="fast", changes={"epochs": 4, **network})) == []


@pytest.mark.parametrize(("lr", "code"), [(30.0, "learning_rate_high"), (1e-9, "learning_rate_low")])
def test_a_learning_rate_that_cost_accuracy_is_named(lr: float, code: str) -> None:
    """At 1e-9 the head still learns, by `adam_lr`: 86 % are right on random features."""
    run = train("digits", preset="fast", changes={"network": "mlp", "optimizer.lr": lr})
    assert run.evaluation is not None
    assert 0.5 < run.evaluation.accuracy < 0.92
    assert codes(run) == [code]
    assert "optimizer.lr" in run.findings[0].sentence


def test_binary_cross_entropy_begins_at_its_own_loss_of_guessing() -> None:
    """K·ln 2 and not ln K: its first epochs are no sign of a wrong rate."""
    run = train("digits", preset="fast", changes={"network": "mlp", "epochs": 4, "loss": "binary_cross_entropy"})
    assert max(row["loss"] or 0 for row in run.history) > 2 * math.log(10)
    assert codes(run) == []


def test_shuffled_training_labels_are_named_where_the_test_labels_are_right() -> None:
    """Here 13 to 21 % of the test images are right, which no interval tells from learning."""
    data = load("digits")
    shuffled = replace(data.train, labels=np.random.default_rng(0).permutation(data.train.labels))
    run = train(replace(data, train=shuffled), preset="fast", changes={"network": "mlp", "epochs": 5})
    told = next(finding for finding in run.findings if finding.code == "near_chance")
    assert "the labels do not belong to the images" in told.sentence
    assert isinstance(run.classifier, Classifier)
    flattering = judged(100, 0, 100, 100)  # two classes far apart may come out right by luck
    (hardly,) = diagnose(replace(run, evaluation=flattering))
    assert hardly.code == "near_chance"
    assert "hardly learnt its own training images" in hardly.sentence
    assert "the labels do not belong to the images" in hardly.sentence


def test_little_better_than_guessing_depends_on_the_number_of_classes() -> None:
    answers = judged(480, 320, 480, 800)  # 60 % of two classes: surely better than 50 %
    assert not near_chance(answers)
    assert near_chance(judged(440, 360, 440, 800))  # 55 %: surely better, but little


def evidence(*, losses: tuple[float, ...] = (2.0, 1.0), train: tuple[int, int] = (90, 100),
             held_out: tuple[int, int] = (90, 100), dead: tuple[DeadUnits, ...] = ()) -> Evidence:  # fmt: skip
    history = [{"epoch": row, "loss": loss, "val_loss": None} for row, loss in enumerate(losses, start=1)]
    return Evidence(10, math.log(10), history, train, train[0] / train[1], True, held_out, "validation", dead, {})


def test_a_loss_a_hundred_times_its_best_is_told_with_its_epoch() -> None:
    found = _loss_jump(evidence(losses=(1.2, 0.5, 70.0)))
    assert found is not None
    assert found.numbers == {"epoch": 3, "loss": 70.0, "best": 0.5}
    assert "140 times the best before it" in found.sentence
    assert "optimizer.lr" in found.sentence
    assert _loss_jump(evidence(losses=(300.0,))) is not None  # no training at all would give ln 10
    assert _loss_jump(evidence(losses=(1.2, 1e-5, 5e-3))) is None  # small is small
    assert _loss_jump(evidence(losses=(2.0, 0.5, 30.0))) is None


def test_overfitting_is_told_with_its_interval_and_only_when_it_is_sure() -> None:
    found = _overfitting(evidence(train=(1998, 2000), held_out=(700, 1000)))
    assert found is not None
    low, high = found.numbers["low"], found.numbers["high"]
    assert float(low or 0) < 0.299 < float(high or 0)  # Newcombe's interval holds the difference
    assert f"95 % interval {100 * float(low or 0):.0f} to {100 * float(high or 0):.0f}" in found.sentence
    assert _overfitting(evidence(train=(1998, 2000), held_out=(960, 1000))) is None
    assert _overfitting(evidence(train=(20, 20), held_out=(8, 10))) is None  # so few images prove nothing


def test_guesses_of_a_last_layer_alone_are_laid_to_the_backbone() -> None:
    """Over a backbone there may be no epoch that tells of losses: the first one fits the last layer."""
    guesses = Finding("near_chance", "No better than guessing.", {"accuracy": 0.33})
    found = _with_cause(guesses, replace(evidence(losses=(), train=(14, 43)), learnt=False))
    assert (
        "the backbone's features do not tell these classes apart (33 % of the training images right)" in found.sentence
    )
    assert found.numbers["training_loss"] is None


def test_dead_units_are_told_with_their_layer() -> None:
    layers = (DeadUnits("activation1", 16, np.arange(1), 100), DeadUnits("activation2", 16, np.arange(9), 100))
    found = _dead(evidence(dead=layers))
    assert found is not None
    assert "9 of 16 ReLU units of the layer activation2 answer to none of 100 training images" in found.sentence
    assert _dead(evidence(dead=layers[:1])) is None


def test_units_that_died_are_found_in_a_real_network(unequal: Run) -> None:
    classifier, evaluation = unequal.classifier, unequal.evaluation
    assert isinstance(classifier, Classifier)
    assert evaluation is not None
    assert "dead_units" not in codes(unequal)
    layer = next(module for module in classifier.network.modules() if isinstance(module, torch.nn.Linear))
    norm = [module for module in classifier.network.modules() if isinstance(module, torch.nn.BatchNorm1d)]
    with torch.no_grad():
        (norm[0] if norm else layer).bias.fill_(-1e4)
    found = diagnose(replace(unequal, classifier=classifier, evaluation=evaluation))
    assert "dead_units" in [each.code for each in found]


def test_what_look_over_finds_without_any_training() -> None:
    data = Splits("made", part([0, 1] * 30, 1), part([0, 1] * 5, 2), part([0, 1] * 5, 3))
    assert look_over(data).findings == ()
    assert look_over(data).not_checked == ("near duplicates",)
    spoilt = Splits("made", part([0, 1] * 30, 1), part([0, 1] * 5, 2), part([0, 1] * 5, 3))
    spoilt.train.images[7] = 90
    spoilt.train.images[11] = spoilt.train.images[10]
    spoilt.test.images[0] = spoilt.train.images[0]
    assert [each.code for each in look_over(spoilt).findings] == ["conflicts", "blank", "leak", "duplicates"]
    assert any(
        line.startswith("Warning: 1 image has an exact copy under another label") for line in look_over(spoilt).lines
    )


def test_few_levels_and_a_class_of_blank_images() -> None:
    black_and_white = part([0, 1] * 30, 1)
    black_and_white.images[:] = np.where(black_and_white.images > 99, 255, 0)
    (told,) = look_over(Splits("bw", black_and_white, part([], 2), part([], 3))).findings
    assert (told.code, told.numbers) == ("few_levels", {"levels": 2, "darkest": 0, "brightest": 255})
    empty = part([0, 1] * 30, 1)
    empty.images[1::2] = 17  # the class "small" is an empty sheet
    assert "blank" not in [each.code for each in look_over(Splits("e", empty, part([], 2), part([], 3))).findings]
    empty.images[0] = 17
    assert "blank" in [each.code for each in look_over(Splits("e", empty, part([], 2), part([], 3))).findings]


def test_chance_has_the_loss_of_its_classes() -> None:
    """The oracle of `_loss_jump`'s first value: guessing K classes costs ln K."""
    assert _loss_jump(evidence(losses=(101 * math.log(10),))) is not None
    assert _loss_jump(evidence(losses=(99 * math.log(10),))) is None
