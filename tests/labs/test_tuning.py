"""The lab of tuning: what its quick version finds, on the embedded digits."""

from __future__ import annotations

import pytest

from glyphnet.labs.tuning import luck


def test_the_search_finds_better_settings_and_promises_too_much(numbers):
    assert numbers["trials"] == 10
    assert numbers["best"]["accuracy"] >= numbers["base_validation"]
    assert numbers["again"]["test"]["mean"] > numbers["base"]["test"]["mean"]
    assert set(numbers["best"]["settings"]) == {"optimizer.lr", "network.hidden", "batch_size"}


def test_luck_grows_with_the_trials_and_shrinks_with_the_images():
    assert luck(0.9, 100, 1) == pytest.approx(0, abs=0.002)
    assert luck(0.9, 100, 1) < luck(0.9, 100, 10) < luck(0.9, 100, 100) < 0.1
    assert luck(0.9, 10_000, 10) < luck(0.9, 100, 10) / 5
    # The mean of the largest of ten normal draws is 1.54 spreads above theirs.
    assert luck(0.5, 10_000, 10) == pytest.approx(1.54 * 0.005, rel=0.05)
