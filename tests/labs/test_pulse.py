"""What the lab must find: one unit cannot, two can."""

from __future__ import annotations

import numpy as np
import pytest

from glyphnet.errors import SettingsError
from glyphnet.labs.pulse import PulseSettings, by_hand
from glyphnet.settings import parse_settings


def test_one_unit_misses_the_pulse_and_two_make_it(numbers):
    one, two = numbers["widths"][:2]
    assert (one["hidden"], two["hidden"]) == (1, 2)
    assert one["solved"] == 0
    assert two["share"] >= 0.7
    assert one["error"]["lowest"] > 10 * two["error"]["lowest"]


def test_the_steps_of_the_best_two_units_lie_at_the_pulses_edges(numbers):
    best = numbers["widths"][1]["best_start"]
    edges = sorted(-unit["bias"] / unit["inward"] for unit in best["units"])
    np.testing.assert_allclose(edges, [-1, 1], atol=0.1)


def test_two_steps_subtracted_by_hand_come_ever_nearer(numbers):
    errors = [row["error"] for row in numbers["by_hand"]]
    assert errors == sorted(errors, reverse=True)
    x = np.array([-3.0, 0.0, 3.0])
    np.testing.assert_allclose(by_hand(PulseSettings(), 40, x), [0, 1, 0], atol=1e-9)


def test_more_units_leave_no_start_behind(numbers):
    assert numbers["widths"][-1]["solved"] == numbers["widths"][-1]["starts"]


def test_wrong_widths_are_told():
    with pytest.raises(SettingsError, match="each width must be from 1 to 256"):
        parse_settings(PulseSettings, {"hidden": [300]})
