"""Intervals: Wilson's against SciPy's, the bootstrap against what it must cover."""

import numpy as np
import pytest
from scipy.stats import binomtest

from glyphnet.evaluation import bootstrap_mean, wilson
from glyphnet.evaluation.confusions import resample
from glyphnet.evaluation.intervals import percentiles


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (10, 10), (0, 50), (7, 9), (9873, 10000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_equals_scipy(successes, trials, level):
    expected = binomtest(successes, trials).proportion_ci(level, method="wilson")
    interval = wilson(successes, trials, level)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.level == level


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_proportion(successes, trials):
    with pytest.raises(ValueError, match=f"{successes} successes in {trials} trials have no interval"):
        wilson(successes, trials)


def test_the_bootstrap_of_a_mean_is_near_the_normal_interval():
    values = np.random.default_rng(0).exponential(size=2000)
    interval = bootstrap_mean(values)
    error = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - error, abs=0.15 * error)
    assert interval.high == pytest.approx(values.mean() + error, abs=0.15 * error)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).normal(size=100)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_no_values_have_no_mean():
    with pytest.raises(ValueError, match="The mean of no values has no interval"):
        bootstrap_mean([])


def test_resampled_matrices_hold_as_many_images_and_average_to_the_matrix():
    matrix = np.array([[50, 3, 0], [7, 20, 0], [0, 5, 15]])
    tally = resample(matrix, resamples=4000)
    assert (tally.support.sum(axis=1) == 100).all()
    assert (tally.predicted.sum(axis=1) == 100).all()
    np.testing.assert_allclose(tally.support.mean(axis=0), matrix.sum(axis=1), atol=0.4)
    np.testing.assert_allclose(tally.predicted.mean(axis=0), matrix.sum(axis=0), atol=0.4)
    np.testing.assert_allclose(tally.hits.mean(axis=0), matrix.diagonal(), atol=0.4)


def test_the_bootstrap_by_matrix_is_the_bootstrap_by_image():
    """Drawing the cells' counts must spread a figure as drawing the images one by one does."""
    generator = np.random.default_rng(0)
    labels = generator.integers(4, size=200)
    guesses = np.where(generator.random(200) < 0.7, labels, generator.integers(4, size=200))
    matrix = np.zeros((4, 4), dtype=np.int64)
    np.add.at(matrix, (labels, guesses), 1)
    recalls = []
    for _ in range(1000):
        rows = generator.integers(200, size=200)
        right = labels[rows] == guesses[rows]
        recalls.append(np.mean([right[labels[rows] == k].mean() for k in range(4)]))
    ours, theirs = percentiles(resample(matrix).balanced_accuracy), percentiles(np.array(recalls))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.012)


def test_percentiles_leave_nan_out():
    interval = percentiles(np.array([np.nan, 1.0, 2.0]))
    assert 1.0 <= interval.low < interval.high <= 2.0


@pytest.mark.parametrize("alike", [[], [np.nan, np.nan], [1.0, 1.0], [0.1 + 0.2, 0.3]])
def test_resamples_that_are_all_alike_have_no_interval(alike):
    assert percentiles(np.array(alike)) is None


def test_draws_of_few_different_values_are_counted_to_the_same_interval() -> None:
    values = np.repeat([1.0, 2.0, 5.0], [700, 250, 50])
    counted = bootstrap_mean(values)
    made = bootstrap_mean(values + np.linspace(0, 1e-9, 1000))  # a thousand different ones: each draw is made
    assert counted is not None
    assert made is not None
    assert (counted.low, counted.high) == pytest.approx((made.low, made.high), abs=0.01)
    assert counted.low < values.mean() < counted.high
