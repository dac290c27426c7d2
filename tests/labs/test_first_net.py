"""The lab of the first network: what its quick version finds, on the embedded digits."""

from __future__ import annotations

from html import escape

import numpy as np
import pytest
import torch

from glyphnet.data import load
from glyphnet.errors import SettingsError
from glyphnet.labs import beside_keras, run_lab
from glyphnet.labs.first_net import experiment, gradients, known_recipe, measure
from glyphnet.labs.training import TrainingSettings


def test_the_network_is_the_known_one():
    asked = known_recipe(TrainingSettings(), "relu", 1, 7)
    assert asked.network.hidden == (128,)
    assert asked.network.dropout == 0.2
    assert (asked.preprocessing, asked.batch_size, asked.epochs, asked.seed) == ("unit_range", 32, 10, 7)
    assert (asked.optimizer.name, asked.optimizer.lr) == ("adam", 0.001)


def test_it_learns_the_digits(numbers):
    assert numbers["accuracy"]["value"] > 0.9
    assert numbers["accuracy"]["low"] < numbers["accuracy"]["value"] < numbers["accuracy"]["high"]
    assert numbers["parameters"] == 64 * 128 + 128 + 128 * 10 + 10
    assert numbers["epochs"] == 15
    assert numbers["last"]["loss"] < 0.5


def test_its_counts_agree_with_one_another(numbers):
    n = numbers["images"]["test"]
    assert numbers["wrong"] == round((1 - numbers["accuracy"]["value"]) * n)
    assert sum(row["count"] for row in numbers["confused"]) <= numbers["wrong"]
    assert sum(row["support"] for row in numbers["classes"].values()) == n
    recalled = sum(row["recall"] * row["support"] for row in numbers["classes"].values())
    assert recalled == pytest.approx(n - numbers["wrong"])
    assert [each["pair"] for each in numbers["known_pairs"]] == [["4", "9"], ["7", "9"], ["2", "7"]]


def test_five_sigmoids_starve_the_first_layer_and_five_relus_do_not(numbers):
    relu, sigmoid = numbers["gradients"]["relu"], numbers["gradients"]["sigmoid"]
    assert len(relu) == len(sigmoid) == 6
    assert sigmoid[0] < sigmoid[-1] / 1000
    assert relu[0] > relu[-1] / 100
    deep = {row["activation"]: row["accuracy"]["mean"] for row in numbers["activations"] if row["layers"] == 5}
    assert deep["relu"] > deep["sigmoid"] + 0.1


def test_gradients_leave_the_callers_random_numbers_alone():
    import torch

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    gradients(known_recipe(TrainingSettings(quick=True), "relu", 2, 0), load("digits"))
    assert torch.equal(torch.rand(1), expected)


def test_dead_units_are_counted(numbers):
    (row,) = numbers["dead"]
    assert row["units"] == 128
    assert 0 <= row["dead"] < 64


def test_seeds_repeat_every_network():
    settings = TrainingSettings(quick=True, seeds=2, epochs=1)
    rows = measure(experiment(settings, lambda *_: None))["activations"]
    assert [row["accuracy"]["n"] for row in rows] == [2, 2, 2, 2]
    first = rows[0]["accuracy"]
    assert first["mean"] == pytest.approx(np.mean(first["values"]))
    assert first["spread"] == pytest.approx(np.std(first["values"], ddof=1))
    assert first["values"][0] != first["values"][1]


def test_quick_needs_no_other_data(tmp_path):
    with pytest.raises(SettingsError, match="quick uses the bundled digits: leave out data"):
        run_lab("first-net", {"quick": True, "data": "mnist"}, out=tmp_path)


def test_the_answer_on_sigmoids_comes_from_the_numbers(numbers, words_of):
    answer = words_of("first-net", numbers)
    assert "0.25 multiplied 5 times is 0.00098" in answer
    assert f"{numbers['gradients']['sigmoid'][0]:.1e}" in answer


def test_keras_is_given_the_weights_and_the_batches_of_glyphnet():
    """Plain PyTorch in place of Keras: with both it has the same losses, and with other batches it has not."""
    splits = load("digits")
    losses, labels = beside_keras.with_glyphnet(splits, 2)
    assert by_hand(splits, lambda epoch: beside_keras.batches(splits, epoch)) == pytest.approx(losses, abs=1e-3)
    others = by_hand(splits, lambda epoch: beside_keras.batches(splits, epoch + 7))
    assert others != pytest.approx(losses, abs=1e-3)
    assert (labels == splits.test.labels).mean() > 0.7


def by_hand(splits, batches):
    """The mean loss of each of two epochs, as `with_keras` computes it."""
    first, bias, second, other = (
        torch.tensor(each, requires_grad=True) for each in beside_keras.initial_weights(splits)
    )
    optimizer = torch.optim.Adam([first, bias, second, other], lr=beside_keras.RATE)
    images = torch.from_numpy(splits.train.images.reshape(len(splits.train), -1) / np.float32(255))
    labels = torch.from_numpy(splits.train.labels)
    losses = []
    for epoch in range(2):
        total = 0.0
        for rows in batches(epoch):
            logits = torch.relu(images[rows] @ first + bias) @ second + other
            loss = torch.nn.functional.cross_entropy(logits, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        losses.append(total / len(labels))
    return losses


def test_keras_learns_the_same():
    if not beside_keras.is_installed():
        pytest.skip("Keras is not installed: pip install keras")
    found = beside_keras.compare(load("digits"), 2, lambda done, total, what: None)
    assert found["same_labels"] >= found["test_images"] - 1
    assert found["largest_difference"] < 1e-3


def test_the_page_shows_both_codes_and_says_whether_keras_ran(numbers, quick_lab):
    page = quick_lab("first-net").page.read_text(encoding="utf-8")
    assert "glyphnet.train(splits" in numbers["keras"]["code"]["with_glyphnet"]
    for code in numbers["keras"]["code"].values():
        assert escape(code).splitlines()[-1] in page
    assert ("is not installed where this page was made" in page) == (numbers["keras"]["run"] is None)
    assert (numbers["keras"]["run"] is None) != beside_keras.is_installed()
