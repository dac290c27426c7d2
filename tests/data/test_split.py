from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyphnet.data.listing import TEST, TRAIN, VALIDATION
from glyphnet.data.split import divide, hold_out
from glyphnet.errors import SettingsError

fractions = st.floats(0, 0.95)


def divided(
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    given_parts: np.ndarray | None = None,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> np.ndarray:
    labels = np.asarray(labels, dtype=np.int64)
    return divide(
        labels,
        np.arange(len(labels)) if groups is None else groups,
        np.zeros(len(labels), np.int8) if given_parts is None else given_parts,
        validation_fraction=validation,
        test_fraction=test,
        seed=seed,
    )


@settings(max_examples=150)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), fractions, fractions, st.integers(0, 2**32))
def test_every_class_has_its_share_to_within_one(labels: list[int], validation: float, test: float, seed: int) -> None:
    array = np.array(labels)
    parts = divided(array, validation=validation, test=test, seed=seed)
    for label in set(labels):
        counts = np.bincount(parts[array == label], minlength=3)
        total = counts.sum()
        assert counts[TRAIN] >= 1
        assert counts[TEST] <= total * test + 1
        assert counts[VALIDATION] <= (total - counts[TEST]) * validation + 1
        if total * (1 - test) >= 1:
            assert counts[TEST] >= total * test - 1


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=1, max_size=120),
    fractions,
    st.integers(0, 99),
)
def test_duplicates_stay_together(rows: list[tuple[int, int]], fraction: float, seed: int) -> None:
    labels, groups = np.array(rows, dtype=np.int64).T
    parts = divided(labels, groups, validation=fraction, test=fraction, seed=seed)
    for group in np.unique(groups):
        assert len(set(parts[groups == group])) == 1
    for label in np.unique(labels):
        assert (parts[labels == label] == TRAIN).any()


def test_duplicates_within_a_class_do_not_shift_its_share() -> None:
    labels = np.repeat([0, 1], 500)
    groups = np.concatenate([np.arange(500) // 2, 1000 + np.arange(500)])  # class 0 in pairs
    parts = divided(labels, groups)
    assert np.bincount(parts[:500]).tolist() == [360, 40, 100]
    assert np.bincount(parts[500:]).tolist() == [360, 40, 100]


def test_a_large_group_does_not_crowd_out_the_rest() -> None:
    labels = np.zeros(200, dtype=np.int64)
    labels[190:] = 1
    groups = np.arange(200)
    groups[:100] = 0
    held = hold_out(labels, groups, 0.2, np.random.default_rng(0))
    assert not held[:100].any()  # too large for the share
    assert held.sum() == 40


def test_duplicates_with_two_labels_stay_in_training() -> None:
    labels = np.array([0, 1] + [0, 1] * 20)
    groups = np.concatenate([[0, 0], np.arange(1, 41)])
    for seed in range(20):
        assert (divided(labels, groups, validation=0.4, test=0.4, seed=seed)[:2] == TRAIN).all()


def test_all_together_the_fraction_is_exact() -> None:
    labels = np.repeat(np.arange(50), 5)  # 0.1 of 5 is half an image
    assert np.bincount(divided(labels, validation=0, test=0.1)).tolist() == [225, 0, 25]


def test_a_single_image_stays_in_training() -> None:
    assert divided(np.array([0, 1, 1, 1, 1, 1]), validation=0.5, test=0.9)[0] == TRAIN


def test_the_same_seed_divides_the_same_and_another_differently() -> None:
    labels = np.arange(300) % 3
    np.testing.assert_array_equal(divided(labels, seed=5), divided(labels, seed=5))
    assert (divided(labels, seed=5) != divided(labels, seed=6)).any()


def test_given_parts_are_never_touched_and_validation_comes_out_of_training() -> None:
    labels = np.arange(300) % 3
    given_parts = np.repeat(np.array([TRAIN, TEST], dtype=np.int8), [200, 100])
    parts = divided(labels, None, given_parts)
    assert (parts[200:] == TEST).all()
    assert np.bincount(parts[:200], minlength=3).tolist() == [180, 20, 0]
    given_parts[:50] = VALIDATION
    np.testing.assert_array_equal(divided(labels, None, given_parts), given_parts)


def test_validation_and_test_hold_different_images_of_the_same_size() -> None:
    labels = np.zeros(100, dtype=np.int64)
    assert np.bincount(divided(labels, validation=0.5, test=0.5)).tolist() == [25, 25, 50]


def test_nothing_is_held_out_of_nothing() -> None:
    assert divided(np.zeros(0)).tolist() == []


@pytest.mark.parametrize("value", [-0.1, 1, 1.5, float("nan")])
def test_impossible_shares_are_named_together(value: float) -> None:
    with pytest.raises(SettingsError) as caught:
        divided(np.zeros(3), validation=value, test=value)
    assert (
        f"validation_fraction (={value!r}) must be a number from 0 up to, but not including, 1; test_fraction"
        in str(caught.value)
    )
