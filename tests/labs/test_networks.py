"""The lab of the kinds of network: what its quick version finds, on the embedded digits."""

from __future__ import annotations

import pytest

from glyphnet.evaluation.intervals import Repeats
from glyphnet.labs.lab import with_interval
from glyphnet.labs.networks import experiment, measure
from glyphnet.labs.training import TrainingSettings


def test_the_kinds_are_there_with_their_costs(numbers):
    rows = numbers["networks"]
    assert list(rows) == ["linear", "mlp", "cnn", "rnn"]
    assert rows["linear"]["parameters"] == 64 * 10 + 10
    assert rows["linear"]["flops"] == 2 * 64 * 10
    assert rows["mlp"]["parameters"] == 64 * 128 + 128 + 128 * 10 + 10
    assert rows["rnn"]["parameters"] == 4 * 128 * (8 + 128 + 2) + 128 * 10 + 10
    assert rows["cnn"]["flops"] / rows["cnn"]["parameters"] > rows["mlp"]["flops"] / rows["mlp"]["parameters"]
    assert all(row["seconds_per_epoch"] > 0 and row["seconds_per_answer"] > 0 for row in rows.values())


def test_all_kinds_learn(numbers):
    for kind, row in numbers["networks"].items():
        figures = row["accuracy"]
        assert figures["n"] == len(figures["values"]) == 2
        assert figures["mean"] > 0.6, kind
    assert any(row["accuracy"]["spread"] for row in numbers["networks"].values()), "seeds differ"


def test_seeds_and_epochs_are_settings(words_of):
    read = measure(experiment(TrainingSettings(quick=True, seeds=1, epochs=1), lambda *_: None))
    assert read["epochs"] == 1
    assert read["networks"]["mlp"]["accuracy"]["n"] == 1
    assert "run it with --seeds 3" in words_of("networks", read)


def test_the_mean_of_repeats_has_students_interval():
    figure = Repeats.of([0.90, 0.92, 0.94])
    assert figure.mean == pytest.approx(0.92)
    assert figure.spread == pytest.approx(0.02)
    assert figure.half_width == pytest.approx(4.302653 * 0.02 / 3**0.5, rel=1e-6)  # t of 2 degrees, from tables
    assert with_interval(figure.to_dict()) == "92.00\u202f% ± 4.97"


def test_one_alone_has_no_interval():
    figure = Repeats.of([0.5])
    assert (figure.spread, figure.half_width) == (0.0, 0.0)
    assert with_interval(figure.to_dict()) == "50.00\u202f%"
    assert with_interval(Repeats.of([0.5, 0.5]).to_dict()) == "50.00\u202f%", "alike by chance is not certain"
