"""Geometry: a dot lands where it should."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from glyphnet.augment import AUGMENTATIONS, Augmenter, WarpRow
from glyphnet.augment.augmenter import Warp

N = 400


def dots(y: int, x: int, size: int = 29, n: int = N) -> Tensor:
    image = torch.zeros(n, 1, size, size)
    image[:, :, y, x] = 1
    return image


def centre_of_mass(images: Tensor) -> Tensor:
    """(y, x) of each image, from its centre, in pixels: (N, 2)."""
    places = torch.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    mass = images.sum(dim=(1, 2, 3))
    return torch.stack(
        [(images.sum(dim=(1, 3)) * places).sum(1) / mass, (images.sum(dim=(1, 2)) * places).sum(1) / mass],
        dim=1,
    )


def blob(y: float, x: float, size: int = 57, n: int = N) -> Tensor:
    """A smooth spot, whose place can be measured more finely than a pixel."""
    places = torch.arange(size) - (size - 1) / 2
    spot = torch.exp(-0.5 * (((places - y)[:, None] / 2) ** 2 + ((places - x)[None] / 2) ** 2))
    return spot.expand(n, 1, size, size)


def seeded(settings: dict[str, float], x: Tensor, seed: int = 0) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Augmenter(settings)(x)


@pytest.mark.parametrize("size", [28, 29])
def test_the_identity_warp_gives_the_image_back(size: int) -> None:
    x = torch.rand(3, 2, size, size + 3)
    torch.testing.assert_close(Warp.identity(x).sample(x), x, rtol=0, atol=1e-5)


def test_an_offset_says_where_pixels_come_from() -> None:
    x = torch.rand(2, 1, 6, 8)
    warp = Warp.identity(x)
    y = replace(warp, offset=torch.tensor([[2.0, 0.0], [0.0, -1.0]])).sample(x)
    torch.testing.assert_close(y[0, :, :, :6], x[0, :, :, 2:], rtol=0, atol=1e-5)  # from 2 to the right
    torch.testing.assert_close(y[0, :, :, 6:], x[0, :, :, 7:].expand(1, 6, 2), rtol=0, atol=1e-5)  # the border
    torch.testing.assert_close(y[1, :, 1:], x[1, :, :-1], rtol=0, atol=1e-5)


def test_a_quarter_turn_is_exact_on_a_square_and_right_on_an_oblong() -> None:
    x = torch.rand(1, 1, 9, 9)
    quarter = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]])
    turned = replace(Warp.identity(x), matrix=quarter).sample(x)
    torch.testing.assert_close(turned, x.rot90(1, (2, 3)), rtol=0, atol=1e-5)
    oblong = torch.zeros(1, 1, 9, 21)
    oblong[0, 0, 4, 13] = 1  # 3 to the right of the centre
    turned = replace(Warp.identity(oblong), matrix=quarter).sample(oblong)
    assert turned[0, 0, 4 - 3, 10] == pytest.approx(1, abs=1e-4)  # anticlockwise: now above the centre


@pytest.mark.parametrize("name", ["shift", "shift_batch"])
def test_shifts_reach_every_whole_offset_and_no_other(name: str) -> None:
    batches = [seeded({name: 2}, dots(14, 14, n=8), seed) for seed in range(200)]
    y = torch.cat(batches)
    places = {tuple(place) for place in y.round().nonzero()[:, 2:].tolist()}
    assert places == {(14 + dy, 14 + dx) for dy in range(-2, 3) for dx in range(-2, 3)}
    torch.testing.assert_close(y.amax(dim=(1, 2, 3)), torch.ones(len(y)), rtol=0, atol=1e-4)  # not blurred
    whole = [len({image.numpy().tobytes() for image in batch.round()}) for batch in batches]
    assert (max(whole) == 1) == (name == "shift_batch")


def test_shift_batch_moves_pixels_bit_for_bit_and_goes_on_at_the_border() -> None:
    x = torch.rand(3, 2, 7, 5)
    padded = torch.nn.functional.pad(x, (3, 3, 3, 3), mode="replicate")
    crops = [padded[:, :, i : i + 7, j : j + 5] for i in range(7) for j in range(7)]
    for seed in range(5):
        y = seeded({"shift_batch": 3}, x, seed)
        assert sum(torch.equal(y, crop) for crop in crops) == 1


def test_rotation_turns_both_ways_up_to_its_limit_about_the_centre() -> None:
    place = centre_of_mass(seeded({"rotate": 30}, blob(0, 15)))
    angle = torch.rad2deg(torch.atan2(place[:, 0], place[:, 1]))
    torch.testing.assert_close(place.norm(dim=1), torch.full((N,), 15.0), rtol=0.02, atol=0)
    assert angle.abs().max() <= 30.1
    assert angle.min() < -28
    assert angle.max() > 28
    assert angle.mean().abs() < 3
    assert angle.std().item() == pytest.approx(30 / math.sqrt(3), rel=0.1)


def test_scale_enlarges_and_shrinks_up_to_its_limit() -> None:
    place = centre_of_mass(seeded({"scale": 0.2}, blob(-10, 10)))
    factor = place[:, 1] / 10
    torch.testing.assert_close(place[:, 0], -place[:, 1], rtol=0.02, atol=0.01)
    assert 0.79 < factor.min() < 0.82
    assert 1.18 < factor.max() < 1.21
    assert factor.mean().item() == pytest.approx(1, abs=0.02)


def test_shear_slants_upright_lines_and_keeps_rows() -> None:
    place = centre_of_mass(seeded({"shear": 30}, blob(12, 0)))
    torch.testing.assert_close(place[:, 0], torch.full((N,), 12.0), rtol=0.02, atol=0)
    slant = torch.rad2deg(torch.atan2(place[:, 1], torch.tensor(12.0)))
    assert slant.abs().max() <= 30.2
    assert slant.max() > 28
    assert slant.min() < -28


def test_all_changes_of_place_sample_once() -> None:
    # Two quarter turns blur nothing; sampling between them, off the grid, would.
    x = torch.rand(2, 1, 9, 9)
    quarter = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]])
    half_step = torch.full((1, 2), 0.5)
    warp = Warp.identity(x)
    warp = replace(warp, offset=warp.offset + half_step)
    warp = replace(warp, offset=warp.offset - half_step, matrix=warp.matrix @ quarter @ quarter)
    torch.testing.assert_close(warp.sample(x), x.flip((2, 3)), rtol=0, atol=1e-5)


def field_of(strength: float, height: int, width: int, n: int = 2000) -> Tensor:
    """Pushes in pixels: (n, 2, H, W)."""
    row = AUGMENTATIONS["elastic"]
    assert isinstance(row, WarpRow)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        field = row.apply(Warp.identity(torch.zeros(n, 1, height, width)), strength).field
    assert field is not None
    return field * torch.tensor([width / 2, height / 2])[None, :, None, None]


def test_elastic_pushes_by_its_strength_everywhere_in_both_directions() -> None:
    field = field_of(1.5, 28, 20)
    torch.testing.assert_close(field.std(dim=0), torch.full((2, 28, 20), 1.5), rtol=0.1, atol=0)
    torch.testing.assert_close(field.mean(dim=0), torch.zeros(2, 28, 20), rtol=0, atol=0.15)
    across = (field[:, 0] * field[:, 1]).mean() / 1.5**2
    assert across.abs() < 0.02  # the two directions know nothing of each other


def test_elastic_fields_are_as_smooth_as_simards() -> None:
    field = field_of(1.0, 28, 28)
    for distance in (2, 4, 8):
        seen = (field[:, :, :, :-distance] * field[:, :, :, distance:]).mean().item()
        assert seen == pytest.approx(math.exp(-(distance**2) / (4 * 4.0**2)), abs=0.05)


def test_elastic_composes_with_the_affine_map() -> None:
    x = torch.rand(2, 1, 12, 12)
    warp = replace(Warp.identity(x), offset=torch.tensor([[1.0, 0.0]]).expand(2, 2))
    pushed = replace(warp, field=torch.zeros(2, 2, 12, 12))
    pushed.field[:, 0] = 2 * 2 / 12  # two pixels more to the right
    torch.testing.assert_close(pushed.sample(x)[..., :9], x[..., 3:], rtol=0, atol=1e-5)
