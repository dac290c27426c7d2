"""The batched trainer against autograd and the plain loop, the points, and what the lab must find."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from glyphnet.errors import BadFileError, SettingsError
from glyphnet.labs.points import POINTS, begin, learn, make_points, orders, read_points
from glyphnet.labs.xor import XorSettings, measure, train
from glyphnet.settings import parse_settings


def as_torch(nets, number):
    """One of the networks as PyTorch would build it, in float64."""
    width, inputs = int(nets.widths[number]), nets.inward.shape[0] - 1
    network = nn.Sequential(nn.Linear(inputs, width), nn.Sigmoid(), nn.Linear(width, 1), nn.Sigmoid()).double()
    with torch.no_grad():
        network[0].weight.copy_(torch.from_numpy(nets.inward[:-1, :width, number].T))
        network[0].bias.copy_(torch.from_numpy(nets.inward[-1, :width, number]))
        network[2].weight.copy_(torch.from_numpy(nets.outward[None, :width, number]))
        network[2].bias.copy_(torch.from_numpy(nets.outward[-1:, number]))
    return network


def test_every_network_learns_as_it_would_alone_in_the_plain_pytorch_loop():
    points, epochs = make_points("xor"), 3
    nets = begin((1, 2, 3), 2)
    course = learn(nets, points.inputs, points.labels, lr=0.1, epochs=epochs)
    inputs, labels = torch.from_numpy(points.inputs), torch.from_numpy(points.labels)[:, None]
    for number in (0, 3, 5):
        network = as_torch(nets, number)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for epoch in range(epochs):
            total = 0.0
            for place in orders(nets.seeds, epoch, len(points))[:, number]:
                optimizer.zero_grad()
                loss = nn.functional.binary_cross_entropy(network(inputs[place]), labels[place])
                loss.backward()
                optimizer.step()
                total += loss.item()
            assert course.loss[epoch, number] == pytest.approx(total, rel=1e-10)
        width = int(nets.widths[number])
        np.testing.assert_allclose(
            course.nets.inward[:-1, :width, number].T, network[0].weight.detach(), rtol=1e-9, atol=1e-12
        )


def test_one_step_goes_down_the_gradient_that_autograd_finds():
    nets, lr = begin((1, 2, 5), 3, inputs=2), 0.25
    point, label = np.array([[0.7, -1.3]]), np.array([1.0])
    after = learn(nets, point, label, lr=lr, epochs=1).nets
    for number, width in enumerate(nets.widths):
        network = as_torch(nets, number)
        nn.functional.binary_cross_entropy(network(torch.from_numpy(point)), torch.ones(1, 1).double()).backward()
        inward = (nets.inward - after.inward)[:, :width, number] / lr
        outward = (nets.outward - after.outward)[:, number] / lr
        np.testing.assert_allclose(inward[:-1].T, network[0].weight.grad, atol=1e-12)
        np.testing.assert_allclose(inward[-1], network[0].bias.grad, atol=1e-12)
        np.testing.assert_allclose(outward[:width], network[2].weight.grad[0], atol=1e-12)
        np.testing.assert_allclose(outward[-1:], network[2].bias.grad, atol=1e-12)


def test_units_that_are_not_there_never_fire_and_never_change():
    points = make_points("xor")
    nets = begin((1, 4), 2)
    after = learn(nets, points.inputs, points.labels, lr=1.0, epochs=3).nets
    assert (after.hidden(points.inputs)[:, 1:, :2] == 0).all()
    assert (after.inward[:, 1:, :2] == nets.inward[:, 1:, :2]).all()
    assert (after.outward[1:-1, :2] == 0).all()


def test_a_start_does_not_depend_on_those_beside_it_and_can_be_taken_up_again():
    points = make_points("xor")
    many = learn(begin((1, 2, 3), 5), points.inputs, points.labels, lr=0.1, epochs=4)
    one = begin((2,), 5).take([3])
    first = learn(one, points.inputs, points.labels, lr=0.1, epochs=2)
    second = learn(first.nets, points.inputs, points.labels, lr=0.1, epochs=2, first=2)
    np.testing.assert_allclose(many.loss[:, 8], np.concatenate([first.loss, second.loss])[:, 0], rtol=1e-12)


def test_each_start_sees_every_point_once_an_epoch_in_an_order_of_its_own():
    drawn = orders(np.array([0, 1, 1]), 7, 100)
    assert (np.sort(drawn, axis=0) == np.arange(100)[:, None]).all()
    assert (drawn[:, 1] == drawn[:, 2]).all()
    assert (drawn[:, 0] != drawn[:, 1]).any()
    assert (orders(np.array([0]), 8, 100)[:, 0] != drawn[:, 0]).any()


def test_starts_are_as_wide_as_pytorch_makes_them():
    nets = begin((3,), 2000)
    assert np.abs(nets.inward).max() == pytest.approx(1 / np.sqrt(2), rel=1e-3)
    assert np.abs(nets.outward).max() == pytest.approx(1 / np.sqrt(3), rel=1e-3)


@pytest.mark.parametrize("name", POINTS)
def test_points_are_those_of_their_seed_and_of_two_classes(name):
    points = make_points(name)
    assert points.inputs.shape == (POINTS[name].n, 2)
    assert np.isfinite(points.inputs).all()
    assert np.bincount(points.labels.astype(int)).min() >= 20
    assert (make_points(name).inputs == points.inputs).all()
    assert (make_points(name, seed=1).inputs != points.inputs).any()
    assert (make_points(name, noise=0.7).inputs != points.inputs).any()


def test_points_of_xor_are_those_of_the_known_system():
    points = make_points("xor")
    corners = points.inputs.round()
    assert (points.labels == corners.sum(axis=1) % 2).all()
    assert np.unique(corners, axis=0, return_counts=True)[1].tolist() == [25] * 4
    assert (points.inputs - corners).std() == pytest.approx(0.01, rel=0.15)


def test_points_of_a_table(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("x1,x2,label\n100,2,no\n300,2,yes\n200,8,yes\n\n", encoding="utf-8")
    points = read_points(file)
    assert points.classes == ("no", "yes")
    assert points.labels.tolist() == [0, 1, 1]
    np.testing.assert_allclose(points.inputs.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(points.inputs.std(axis=0), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,a\n1,x,b\n", r"line 2 is '1,x,b'\. Write two finite numbers and a label"),
        ("1,2,a\n1,inf,b\n", "line 2 is '1,inf,b'"),
        ("1,2,a\n1,2\n", "line 2 is '1,2'"),
        ("1,2,a\n1,2,a\n", r"has 1 labels \(a\)\. Give points of two classes"),
        ("", "has 0 labels"),
    ],
)
def test_a_table_that_is_none_says_where(tmp_path, text, message):
    file = tmp_path / "mine.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadFileError, match=message):
        read_points(file)


def test_a_table_that_is_not_there():
    with pytest.raises(BadFileError, match=r"absent\.csv: cannot be read as a table"):
        make_points("absent.csv")


def test_wrong_wishes_are_told():
    with pytest.raises(SettingsError, match='there are no points "moon"; did you mean "moons"?'):
        make_points("moon")
    with pytest.raises(SettingsError, match="noise=0.1 has no effect on the points of a file"):
        make_points("mine.csv", noise=0.1)
    with pytest.raises(SettingsError, match=r"starts \(=3\) and seeds \(=4\) mean the same here"):
        parse_settings(XorSettings, {"starts": 3, "seeds": 4})
    with pytest.raises(SettingsError, match="each width must be from 1 to 256"):
        parse_settings(XorSettings, {"hidden": [0]})


def test_one_unit_never_solves_it_two_mostly_three_nearly_always(numbers):
    one, two, three = numbers["widths"]
    assert one["solved"] == 0
    assert one["endings"] == [{"accuracy": 0.75, "starts": one["starts"]}], "a line gets three corners of four"
    assert 0 < two["solved"] < two["starts"]
    assert three["share"] > two["share"]
    assert three["share"] >= 0.9
    assert all(row["low"] <= row["share"] <= row["high"] for row in numbers["widths"])
    assert numbers["steps"] == 50_000


def test_the_boundary_grows(numbers):
    accuracies = [row["accuracy"] for row in numbers["growing"]]
    assert accuracies[0] < 0.75 < accuracies[1] + 0.1 < accuracies[-1] + 0.1
    assert accuracies[-1] >= 0.95


def test_other_points_and_one_width():
    settings = XorSettings(data="moons", hidden=(5,), starts=2, epochs=20)
    result = train(settings, lambda *_: None)
    made = measure(settings, result)
    assert made["data"] == "moons"
    assert [row["hidden"] for row in made["widths"]] == [5]
    assert made["hidden_space"] == [], "only two units can be drawn as a square"
