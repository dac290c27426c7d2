"""Accuracy against coverage: by hand, with ties, thinned; and what a threshold gives."""

import numpy as np
import pytest

from glyphnet.errors import DataError
from glyphnet.evaluation import Evaluation
from glyphnet.evaluation.calibration import coverage_curve, judge_sets, reject


def judged(**changes):
    """Three images: sure and right, less sure and wrong, unsure and right."""
    parts = {
        "labels": np.array([0, 0, 1]),
        "probabilities": np.array([[0.95, 0.05], [0.2, 0.8], [0.4, 0.6]]),
        "classes": ("a", "b"),
        "names": ["1", "2", "3"],
        "images": np.zeros((3, 2, 2, 1), dtype=np.uint8),
    }
    return Evaluation(**(parts | changes))


def test_the_curve_by_hand():
    curve = coverage_curve([0.6, 0.95, 0.8], [True, True, False])
    assert curve.thresholds.tolist() == [0.95, 0.8, 0.6]
    assert curve.coverage.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert curve.accuracy.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert len(curve) == 3


def test_images_of_equal_confidence_are_accepted_together():
    curve = coverage_curve(np.array([0.9, 0.9, 0.9, 0.5], dtype=np.float32), [True, False, True, False])
    assert curve.coverage.tolist() == [0.75, 1.0]
    assert curve.accuracy.tolist() == pytest.approx([2 / 3, 0.5])
    assert {curve.thresholds.dtype, curve.coverage.dtype, curve.accuracy.dtype} == {np.dtype(np.float64)}


def test_a_long_curve_is_thinned_and_each_point_of_it_is_exact():
    generator = np.random.default_rng(0)
    confidence, correct = generator.random(20_000), generator.random(20_000) < 0.9
    whole, thin = coverage_curve(confidence, correct, most=20_000), coverage_curve(confidence, correct)
    assert (len(whole), len(thin)) == (20_000, 400)
    rows = np.searchsorted(whole.coverage, thin.coverage)
    for name in ("thresholds", "coverage", "accuracy"):
        np.testing.assert_array_equal(getattr(whole, name)[rows], getattr(thin, name))
    assert rows[0] == 0
    assert rows[-1] == 19_999


def test_the_evaluation_has_the_rejection_of_its_threshold():
    assert judged().rejection is None
    rejection = judged(threshold=0.7).rejection
    assert (rejection.coverage.value, rejection.coverage.n) == (pytest.approx(2 / 3), 3)
    assert (rejection.accuracy.value, rejection.accuracy.n) == (0.5, 2)


def test_the_threshold_itself_is_accepted():
    assert judged(threshold=0.8).rejection.coverage.value == pytest.approx(2 / 3)


def test_rejection_counts_each_reason():
    rejection = reject(np.array([True, False, True, True]), [None, "unlike_training", "low_confidence", None])
    assert rejection.reasons == {"low_confidence": 1, "unlike_training": 1}
    assert (rejection.coverage.value, rejection.accuracy.value, rejection.accuracy.n) == (0.5, 1.0, 2)


def test_the_figures_of_sets_by_hand():
    inside = np.array([[True, False], [True, True], [False, True], [False, True]])
    sets = judge_sets(inside, np.array([0, 1, 1, 0]), 0.9)
    assert (sets.level, sets.coverage.value, sets.size.value, sets.single.value) == (0.9, 0.75, 1.25, 0.75)
    assert sets.coverage.interval.low < 0.75 < sets.coverage.interval.high


def test_where_nothing_is_accepted_the_accuracy_is_of_no_image():
    rejection = judged(threshold=0.99).rejection
    assert rejection.coverage.value == 0.0
    assert rejection.coverage.interval.high == pytest.approx(0.5615, abs=1e-4)
    assert (rejection.accuracy.value, rejection.accuracy.n, rejection.accuracy.interval) == (0.0, 0, None)


def test_before_temperature_scaling_the_same_images_are_right_and_the_confidence_is_another():
    after = judged(temperature=2.0, threshold=0.7)
    before = after.uncalibrated
    assert before.probabilities[0, 0] == pytest.approx(0.95**2 / (0.95**2 + 0.05**2))
    assert (before.temperature, before.threshold, before.accuracy) == (1.0, None, after.accuracy)
    assert (before.names, before.classes) == (after.names, after.classes)
    np.testing.assert_array_equal(judged().uncalibrated.probabilities, judged().probabilities)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, r"temperature \(=0\.0\) must be above 0 and finite\."),
        ({"temperature": np.inf}, r"temperature \(=inf\) must be above 0 and finite\."),
        ({"threshold": 1.5}, r"threshold \(=1\.5\) must lie in \[0, 1\], or be None\."),
        ({"threshold": np.nan}, r"threshold \(=nan\) must lie in \[0, 1\], or be None\."),
    ],
)
def test_an_impossible_temperature_or_threshold_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        judged(**changes)
