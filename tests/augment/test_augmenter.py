"""Settings, their order, and what is said about wrong ones."""

from __future__ import annotations

import pytest
import torch

from glyphnet.augment import Augmenter
from glyphnet.errors import SettingsError


def message(settings: dict[str, object]) -> str:
    with pytest.raises(SettingsError) as caught:
        Augmenter(settings)  # type: ignore[arg-type]
    return str(caught.value)


def test_all_wrong_settings_are_told_at_once() -> None:
    assert message({"rotat": 5, "rotate": 200, "shift": 1.5, "flip": -1, "scale": 0.1}) == (
        'unknown augmentation "rotat"; did you mean "rotate"?; rotate=200 must be from 0 to 180 (degrees); '
        "shift=1.5 must be a whole number (pixels); flip=-1 must be from 0 to 1 (probability)"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "5", None, [5], 1j])
def test_what_is_no_number_is_refused(value: object) -> None:
    assert message({"rotate": value}) == f"rotate={value!r} must be from 0 to 180 (degrees)"


def test_a_name_that_is_like_no_other_gets_all_names() -> None:
    assert "(known: rotate, scale, shear, " in message({"qqqq": 1})


def test_the_order_of_the_settings_does_not_matter() -> None:
    x = torch.rand(4, 1, 10, 10)
    settings = {"rotate": 20.0, "shift": 2, "erase": 0.3, "elastic": 1}
    results = []
    for items in (settings, dict(reversed(settings.items()))):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            results.append(Augmenter(items)(x))
    assert torch.equal(*results)


def test_what_it_does_is_said() -> None:
    nothing, moves, mixes = Augmenter({}), Augmenter({"shift": 1}), Augmenter({"mixup": 0.2})
    assert (nothing.changes_images, nothing.mixes_targets) == (False, False)
    assert (moves.changes_images, moves.mixes_targets) == (True, False)
    assert (mixes.changes_images, mixes.mixes_targets) == (False, True)


def test_flips_are_off_unless_asked_for() -> None:
    x = torch.zeros(50, 1, 9, 9)
    x[:, :, 4, 0] = 1
    everything_else = {"rotate": 5, "shear": 5, "shift": 1}
    assert Augmenter(everything_else)(x)[..., 5:].max() < 0.01


@pytest.mark.parametrize("name", ["rotate", "elastic", "noise"])
def test_each_change_is_made_to_the_asked_share_of_the_images(name: str) -> None:
    x = torch.rand(1, 1, 12, 12).expand(1000, -1, -1, -1).contiguous()
    settings = {name: 0.5 if name == "noise" else 20 if name == "rotate" else 2}
    everything, some = drawn(Augmenter(settings), x), drawn(Augmenter(settings, share=0.3), x)
    # An image that is not moved is sampled all the same, which moves it by rounding.
    assert changed(everything, x).mean().item() == pytest.approx(1, abs=0.01)
    assert changed(some, x).mean().item() == pytest.approx(0.3, abs=0.05)


def test_changes_meet_by_chance() -> None:
    x = torch.rand(1, 1, 12, 12).expand(2000, -1, -1, -1).contiguous()
    for settings in ({"rotate": 30, "shift": 3}, {"noise": 0.3, "brightness": 0.4}, {"rotate": 30, "noise": 0.3}):
        kept = 1 - changed(drawn(Augmenter(settings, share=0.5), x), x)
        least = 0.25 * (1 / 49 + 1 if "shift" in settings else 1)  # a shift by 0 changes nothing
        assert kept.mean().item() == pytest.approx(least, abs=0.04)


def drawn(augmenter: Augmenter, x: torch.Tensor) -> torch.Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return augmenter(x)


def changed(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return ((y - x).abs() > 1e-4).flatten(1).any(1).float()
