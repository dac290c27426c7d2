"""Flips, light and erasing, by their statistics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glyphnet.augment import Augmenter

N = 1000


def seeded(settings: dict[str, float], x: Tensor, seed: int = 0) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Augmenter(settings)(x)


@pytest.mark.parametrize(("name", "axis"), [("flip", 3), ("flip_vertical", 2)])
def test_flips_mirror_the_asked_share_bit_for_bit(name: str, axis: int) -> None:
    x = torch.rand(N, 1, 5, 6)
    y = seeded({name: 0.3}, x)
    mirrored = (y == x.flip(axis)).all(dim=3).all(dim=2).flatten()
    kept = (y == x).all(dim=3).all(dim=2).flatten()
    assert bool((mirrored ^ kept).all())
    assert mirrored.float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert torch.equal(seeded({name: 1}, x), x.flip(axis))


def test_brightness_adds_one_number_an_image() -> None:
    x = torch.full((N, 3, 4, 4), 0.5)
    added = seeded({"brightness": 0.2}, x) - 0.5
    assert (added.amax(dim=(1, 2, 3)) - added.amin(dim=(1, 2, 3))).max() == 0
    assert added.abs().max() <= 0.2 + 1e-6
    assert added[:, 0, 0, 0].std().item() == pytest.approx(0.4 / 12**0.5, rel=0.1)


def test_contrast_stretches_about_the_mean() -> None:
    x = 0.4 + 0.2 * torch.rand(N, 1, 6, 6)  # far from black and white, so nothing is cut
    y = seeded({"contrast": 0.5}, x)
    torch.testing.assert_close(y.mean(dim=(1, 2, 3)), x.mean(dim=(1, 2, 3)))
    factor = y.std(dim=(1, 2, 3)) / x.std(dim=(1, 2, 3))
    assert 0.5 <= factor.min() < 0.52
    assert 1.48 < factor.max() <= 1.5001


def test_light_is_cut_to_the_range() -> None:
    x = torch.rand(100, 3, 8, 8)
    y = seeded({"brightness": 1, "contrast": 1}, x)
    assert y.min() == 0
    assert y.max() == 1


def test_erase_paints_one_rectangle_of_at_most_its_share_in_the_mean_colour() -> None:
    x = torch.rand(N, 3, 20, 30)
    y = seeded({"erase": 0.25}, x)
    painted = (y != x).any(dim=1)
    rows, columns = painted.any(dim=2), painted.any(dim=1)
    assert torch.equal(painted, rows[:, :, None] & columns[:, None, :])  # the product of two sets …
    for side in (rows, columns):  # … each without a gap: it begins once
        begins = side[:, 1:] & ~side[:, :-1]
        assert (begins.sum(dim=1) + side[:, 0]).max() == 1
    area = painted.float().mean(dim=(1, 2))
    assert area.max() <= 0.25
    assert area.max() > 0.2
    assert area.mean().item() == pytest.approx(0.125, abs=0.02)
    mean = x.mean(dim=(2, 3), keepdim=True).expand_as(x)
    everywhere = painted[:, None].expand_as(x)
    torch.testing.assert_close(y[everywhere], mean[everywhere])


def test_erase_reaches_every_pixel_about_alike() -> None:
    x = torch.rand(4 * N, 1, 10, 10)
    often = (seeded({"erase": 0.3}, x) != x).float().mean(dim=(0, 1))
    assert often.min() > 0.01
    assert often.max() < 0.3
    torch.testing.assert_close(often, often.flip((0, 1)), rtol=0, atol=0.04)


def test_strokes_become_wider_or_narrower_and_paper_stays() -> None:
    x = torch.zeros(N, 1, 9, 9)
    x[:, :, :, 3:6] = 1
    ink = seeded({"stroke": 1}, x).sum(dim=(1, 2, 3)) / x[0].sum()
    assert ink.min().item() == pytest.approx(1 / 3, abs=0.02)
    assert ink.max().item() == pytest.approx(5 / 3, abs=0.02)
    assert ink.mean().item() == pytest.approx(1, abs=0.03)
    paper = torch.zeros(4, 1, 5, 5)
    assert torch.equal(seeded({"stroke": 1, "blur": 1}, paper), paper)


def test_a_blur_moves_light_and_neither_makes_nor_loses_it() -> None:
    x = torch.zeros(N, 1, 9, 9)
    x[:, :, 4, 4] = 1
    y = seeded({"blur": 1}, x)
    torch.testing.assert_close(y.sum(dim=(1, 2, 3)), torch.ones(N))
    assert y[:, 0, 4, 4].min().item() == pytest.approx(0.25, abs=0.01)
    assert y[:, 0, 4, 4].max().item() == pytest.approx(1, abs=0.01)


def test_noise_has_another_spread_in_each_image() -> None:
    spread = (seeded({"noise": 0.1}, torch.full((N, 1, 12, 12), 0.5)) - 0.5).flatten(1).std(1)
    assert spread.max().item() == pytest.approx(0.1, abs=0.02)
    assert spread.min() < 0.01


def test_tints_change_colour_pictures_alone() -> None:
    x = torch.full((N, 3, 2, 2), 0.5)
    factors = seeded({"colour": 0.4}, x)[:, :, 0, 0] / 0.5
    assert (factors.amax(0) - 1.4).abs().max() < 0.02
    assert (factors.amin(0) - 0.6).abs().max() < 0.02
    assert torch.equal(seeded({"colour": 0.4}, x[:, :1]), x[:, :1])


def test_a_cloud_is_smooth_and_as_dark_and_light_as_the_image() -> None:
    x = torch.zeros(N, 1, 28, 28)
    x[:, :, 4:24, 12:16] = 0.8
    y = seeded({"light": 1}, x)
    assert y.min() >= 0
    assert y.max() <= 0.8 + 1e-6
    paper = y[:, 0, :, :10]
    assert (paper.diff(dim=1).abs().amax() < 0.4) & (paper.diff(dim=2).abs().amax() < 0.4)
    unlike = paper.amax((1, 2)) - paper.amin((1, 2))
    assert unlike.mean() > 0.15, "light falls unevenly"


@pytest.mark.parametrize(("paper", "ink"), [(0.1, 0.9), (0.9, 0.1)])
def test_a_scribble_is_drawn_in_ink_across_the_asked_share(paper: float, ink: float) -> None:
    x = torch.full((N, 3, 20, 20), paper)
    x[:, :, 8:12, 8:12] = ink
    y = seeded({"scribble": 0.4}, x)
    lines = (y != x).any(1)
    share = lines.flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(0.38, abs=0.06)  # some lie beyond the border
    assert (y.amin().item(), y.amax().item()) == pytest.approx((0.1, 0.9))
    crossed = torch.maximum(lines.any(1).sum(1), lines.any(2).sum(1))[lines.flatten(1).any(1)]
    assert crossed.float().median() > 14, "from one side to the other"
    assert lines.flatten(1).sum(1).float().mean() < 0.25 * 400


def test_trivial_makes_one_change_an_image_and_leaves_some_as_they_are() -> None:
    x = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0)).expand(N, -1, -1, -1)
    kept = (seeded({"trivial": 1}, x) == x).flatten(1).all(1).float().mean().item()
    assert kept == pytest.approx(1 / 10, abs=0.03)
    assert torch.equal(seeded({"trivial": 0}, x), x)
