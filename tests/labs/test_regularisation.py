"""The lab of the remedies: what its quick version finds, on the embedded digits."""

from __future__ import annotations

import numpy as np
import pytest

from glyphnet.data import load
from glyphnet.evaluation.intervals import Repeats
from glyphnet.labs.regularisation import RegularisationSettings, base, remedies, verdict
from glyphnet.labs.training import fewer


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_every_remedy_learns_on_few_and_on_many(numbers):
    assert numbers["images"]["few"] == 100
    assert numbers["images"]["many"] > 1200
    assert numbers["validation_images"]["few"] < numbers["validation_images"]["many"]
    for amount in ("few", "many"):
        assert len(numbers[amount]) == 9
        for name, row in numbers[amount].items():
            assert row["accuracy"]["n"] == numbers["seeds"] == 1, name
            assert row["accuracy"]["mean"] > 0.5, name


def test_a_gain_is_that_over_no_remedy_with_the_same_seed(numbers):
    for amount in ("few", "many"):
        without = np.array(numbers[amount]["none"]["accuracy"]["values"])
        for row in numbers[amount].values():
            assert row["gain"]["values"] == pytest.approx(np.array(row["accuracy"]["values"]) - without)
        assert numbers[amount]["none"]["gain"]["mean"] == 0


def test_without_remedy_few_images_are_learnt_by_heart(numbers):
    row = numbers["few"]["none"]
    assert row["training"]["mean"] > row["accuracy"]["mean"] + 0.05


def test_flipping_harms_digits_where_they_are_many(numbers):
    assert numbers["many"]["flip"]["gain"]["mean"] < 0
    shares = numbers["mirrored"]
    assert shares["0"] > shares["2"], "a mirrored 0 is a 0, a mirrored 2 is nothing"


def test_each_remedy_changes_what_its_name_says_and_together_all_of_it(digits):
    plain = base(digits, RegularisationSettings(quick=True), "few", 0)
    made = {name: plain.override(changes) for name, changes in remedies(digits).items()}
    assert made["none"] == plain
    assert made["dropout"].network.dropout == 0.5
    assert made["l1"].l1 > 0
    assert made["l2"].l2 > 0
    assert made["batch_norm"].network.batch_norm
    assert set(made["augment"].augment) == {"rotate", "scale", "shear"}, "8×8 pixels leave nothing to shift by"
    assert made["early_stopping"].keep_best
    assert made["early_stopping"].early_stopping is not None
    assert made["flip"].augment == {"flip": 0.5}
    together = made["together"]
    assert together.network.dropout
    assert together.network.batch_norm
    assert together.l1
    assert together.l2
    assert together.augment == made["augment"].augment
    assert together.early_stopping == made["early_stopping"].early_stopping


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.01, 0.011, 0.012), "helps"),
        ((-0.01, -0.011, -0.012), "harms"),
        ((-0.01, 0.02), "not known"),
        ((0.1,), "not known"),
    ],
)
def test_what_is_said_of_a_gain_follows_from_its_interval(values, said):
    assert verdict(Repeats.of(values).to_dict()) == said


def test_fewer_images_keep_their_shares_and_the_test_images(digits):
    few = fewer(digits, 100, 0)
    assert len(few.train) == 100
    assert few.test is digits.test
    assert np.abs(few.train.counts - 10).max() <= 1
    assert set(few.train.names) <= set(digits.train.names)
    assert len(set(few.train.names)) == 100
    assert list(fewer(digits, 100, 0).train.names) == list(few.train.names)
    assert list(fewer(digits, 100, 1).train.names) != list(few.train.names)
    assert fewer(digits, 10**6, 0) is digits


def test_an_answer_compares_remedies_with_images(numbers, words_of):
    answer = words_of("regularisation", numbers)
    more = numbers["many"]["none"]["accuracy"]["mean"] - numbers["few"]["none"]["accuracy"]["mean"]
    assert f"{100 * more:+.2f} points" in answer
