"""The lab with and without dropout: what its quick version finds, on the embedded digits."""

from __future__ import annotations

import pytest

from glyphnet.data import load
from glyphnet.labs.dropout import experiment, measure, networks
from glyphnet.labs.training import TrainingSettings, recipe
from glyphnet.nn import summary


def test_the_networks_are_the_known_ones():
    splits = load("digits")
    made = {kind: recipe(network).network for kind, network in networks(splits).items()}
    shape = (28, 28, 1)
    assert summary(made["without"], shape, 10).parameters == 784 * 784 + 784 + 7840 + 10
    layers = [(row.layer, row.output_shape) for row in summary(made["with"], shape, 10).rows]
    assert layers[1:] == [
        ("Linear", (784,)), ("ReLU", (784,)), ("Dropout", (784,)),
        ("Linear", (130,)), ("ReLU", (130,)), ("Dropout", (130,)), ("Linear", (10,)),
    ]  # fmt: skip
    assert made["with"].dropout == 0.5


def test_dropout_closes_the_gap_and_the_convolutional_network_is_there(numbers):
    rows = numbers["networks"]
    assert rows["without"]["training"]["mean"] > 0.97
    assert rows["with"]["gap"]["mean"] < rows["without"]["gap"]["mean"]
    assert rows["cnn"]["test"]["mean"] > 0.9
    for row in rows.values():
        assert row["gap"]["mean"] == pytest.approx(row["training"]["mean"] - row["validation"]["mean"])
        assert row["gap_at_rest"] == pytest.approx(row["training_at_rest"] - row["last"]["val_accuracy"])


def test_a_fifth_is_held_out_for_validation(numbers):
    images = numbers["images"]
    assert images["validation"] / (images["train"] + images["validation"]) == pytest.approx(0.2, abs=0.01)


def test_with_all_units_at_work_the_training_images_are_known_better(numbers):
    row = numbers["networks"]["with"]
    assert row["training_at_rest"] > row["last"]["accuracy"]


def test_the_first_four_are_told_as_numbers(numbers):
    assert len(numbers["first"]) == 4
    test = load("digits", validation_fraction=0.2).test
    for place, row in enumerate(numbers["first"]):
        assert row["label"] == test.classes[test.labels[place]]
        for kind, probabilities in row["probabilities"].items():
            assert sum(probabilities) == pytest.approx(1, abs=1e-4)
            likeliest = max(range(10), key=probabilities.__getitem__)
            assert row["predicted"][kind] == test.classes[likeliest]


def test_seeds_repeat_every_network():
    made = measure(experiment(TrainingSettings(quick=True, seeds=2, epochs=1), lambda *_: None))
    assert [row["gap"]["n"] for row in made["networks"].values()] == [2, 2, 2]


def test_an_answer_says_how_often_a_weight_is_used(numbers, words_of):
    row = numbers["networks"]["cnn"]
    assert f"each used {row['flops'] / 2 / row['parameters']:.1f} times." in words_of("dropout", numbers)
