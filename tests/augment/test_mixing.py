"""Mixup: images and targets blend alike, by Beta-distributed weights."""

from __future__ import annotations

import pytest
import torch

from glyphnet.augment import Augmenter

N = 4000


@pytest.mark.parametrize("concentration", [0.2, 1.0, 4.0])
def test_images_and_targets_are_mixed_by_the_same_beta_weights(concentration: float) -> None:
    x = torch.arange(2.0).repeat(N // 2).view(N, 1, 1, 1).expand(N, 1, 3, 3)  # 0, 1, 0, 1, …
    targets = torch.eye(2)[torch.arange(N) % 2]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        y, mixed = Augmenter({"mixup": concentration}).mix(x, targets)
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(N))
    torch.testing.assert_close(mixed[:, 1], y[:, 0, 0, 0])
    assert (y.amax(dim=(1, 2, 3)) - y.amin(dim=(1, 2, 3))).max() == 0
    weight = mixed.gather(1, (torch.arange(N) % 2)[:, None])
    assert weight.mean().item() == pytest.approx(0.5, abs=0.03)
    assert weight.var().item() == pytest.approx(1 / (4 * (2 * concentration + 1)), rel=0.08)


def test_each_image_meets_its_neighbour() -> None:
    x = torch.eye(5).view(5, 1, 1, 5)
    y, targets = Augmenter({"mixup": 5}).mix(x, torch.eye(5))
    torch.testing.assert_close(y[:, 0, 0], targets)
    assert (targets > 0).tolist() == (torch.eye(5) + torch.eye(5).roll(1, 0) > 0).tolist()


def test_a_batch_of_one_stays_as_it_is() -> None:
    x, targets = torch.rand(1, 1, 4, 4), torch.tensor([[0.0, 1.0]])
    y, mixed = Augmenter({"mixup": 1}).mix(x, targets)
    torch.testing.assert_close(y, x)
    torch.testing.assert_close(mixed, targets)


@pytest.mark.parametrize("concentration", [1e-4, 1e-2, 10])
def test_extreme_weights_are_numbers(concentration: float) -> None:
    _, targets = Augmenter({"mixup": concentration}).mix(torch.rand(N, 1, 1, 1), torch.eye(2).repeat(N // 2, 1))
    assert targets.isfinite().all()
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(N))


def test_cutmix_replaces_a_rectangle_and_as_much_of_the_target() -> None:
    x = torch.arange(2.0).repeat(N // 2).view(N, 1, 1, 1).expand(N, 1, 10, 10)
    targets = torch.eye(2)[torch.arange(N) % 2]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        y, mixed = Augmenter({"cutmix": 1.0}).mix(x, targets)
    torch.testing.assert_close(mixed[:, 1], y.mean(dim=(1, 2, 3)))
    assert set(y.unique().tolist()) == {0.0, 1.0}
    replaced = (y != x)[:, 0]
    area = replaced.any(2).sum(1) * replaced.any(1).sum(1)
    assert torch.equal(area, replaced.sum(dim=(1, 2))), "what is replaced is a rectangle"
