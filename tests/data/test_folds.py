"""Folds: every class in equal shares, no image in one fold and its copy in another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphnet.data.split import stratified_folds
from glyphnet.errors import SettingsError


@given(st.lists(st.integers(0, 4), min_size=6, max_size=200), st.integers(2, 6), st.integers(0, 2**32 - 1), st.data())
def test_copies_stay_together_and_classes_are_shared_out(labels, folds, seed, data):
    labels = np.array(labels)
    fold = stratified_folds(labels, np.arange(len(labels)), folds, np.random.default_rng(seed))
    assert np.ptp(np.bincount(fold, minlength=folds)) <= 1
    for label in np.unique(labels):
        assert np.ptp(np.bincount(fold[labels == label], minlength=folds)) <= 1
    groups = np.array(data.draw(st.lists(st.integers(0, len(labels) - 1), min_size=len(labels), max_size=len(labels))))
    if len(np.unique(groups)) >= folds:
        fold = stratified_folds(labels, groups, folds, np.random.default_rng(seed))
        assert all(len(np.unique(fold[groups == group])) == 1 for group in groups)
        assert len(np.unique(fold)) == folds


def test_the_seed_decides():
    labels, groups = np.zeros(50, dtype=np.int64), np.arange(50)
    one, same, other = (stratified_folds(labels, groups, 5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


@pytest.mark.parametrize("folds", [1, 3])
def test_folds_that_cannot_be(folds):
    with pytest.raises(
        SettingsError, match=rf"folds \(={folds}\) must lie between 2 and the number of different .* 2 h"
    ):
        stratified_folds(np.zeros(4, dtype=np.int64), np.array([0, 0, 1, 1]), folds, np.random.default_rng(0))
