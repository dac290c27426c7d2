"""Suspected label errors: against a plain transcription of the formulas, on degenerate data, and on planted errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphnet.data import load
from glyphnet.data.dataset import ImageDataset
from glyphnet.errors import DataError, SettingsError
from glyphnet.evaluation.labels import cross_validated_probabilities, find_label_issues
from glyphnet.training import preset


@st.composite
def answers(draw):
    """Labels and probabilities of a few images; ties, absent classes and sure answers are likely."""
    count, classes = draw(st.integers(0, 30)), draw(st.integers(1, 5))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    weights = draw(st.lists(st.integers(0, 4), min_size=count * classes, max_size=count * classes))
    table = np.array(weights, dtype=np.float64).reshape(count, classes) + 1e-3
    return np.array(labels, dtype=np.int64), table / table.sum(axis=1, keepdims=True)


@given(answers())
def test_what_is_always_true_of_issues(case):
    labels, probabilities = case
    found = find_label_issues(labels, probabilities)
    assert found.n == len(labels)
    assert len(found) == len(np.unique(found.indices)) == len(found.suggested) == len(found.scores)
    np.testing.assert_array_equal(found.given, labels[found.indices])
    rows = probabilities[found.indices]
    own = rows[np.arange(len(found)), found.given]
    assert ((found.scores >= 0) & (found.scores <= 1 - own + 1e-12)).all()
    assert (np.diff(found.scores) <= 0).all()
    assert (found.suggested != found.given).all()
    assert (rows[np.arange(len(found)), found.suggested] == rows.max(axis=1)).all()
    assert (own < rows.max(axis=1)).all()  # where the given class is the likeliest nobody is suspected


@given(answers(), st.randoms())
def test_the_order_of_the_images_plays_no_part(case, random):
    labels, probabilities = case
    order = list(range(len(labels)))
    random.shuffle(order)
    there = find_label_issues(labels, probabilities)
    here = find_label_issues(labels[order], probabilities[order])
    np.testing.assert_allclose(here.scores, there.scores)


def sharp(classes, truth, sure=0.97):
    """Probabilities of a model that knows the truth."""
    table = np.full((len(truth), classes), (1 - sure) / (classes - 1))
    table[np.arange(len(truth)), truth] = sure
    return table


def test_flipped_labels_are_found_and_no_others():
    truth = np.arange(300) % 5
    labels = truth.copy()
    labels[[7, 50, 111]] = (truth[[7, 50, 111]] + 2) % 5
    found = find_label_issues(labels, sharp(5, truth))
    assert sorted(found.indices.tolist()) == [7, 50, 111]
    np.testing.assert_array_equal(found.suggested, truth[found.indices])
    assert find_label_issues(truth, sharp(5, truth)).indices.tolist() == []


def test_doubt_between_like_classes_is_no_error():
    """A shirt that may be a coat leaves the networks in doubt; a coat called shirt does not."""
    truth = np.repeat([0, 1], 50)
    table = np.where(np.arange(10) == truth[:, None], 0.7, 0.3 / 9)
    labels = truth.copy()
    labels[0] = 1
    table[0] = [0.7, 0.2, *[0.1 / 8] * 8]
    assert len(find_label_issues(labels, table)) == 0
    filled = find_label_issues(labels, table, at_least=60)
    assert (filled.indices.tolist(), filled.suggested.tolist()) == ([0], [0])  # the only label that is contradicted
    assert 0 < filled.scores[0] < 0.4
    table[0] = [0.7, 0.01, *[0.29 / 8] * 8]
    assert find_label_issues(labels, table).indices.tolist() == [0]


def test_the_sure_errors_of_a_pair_tell_how_many_unsure_ones_there_are():
    """Half of the images labelled 0 are surely 0, half are less sure; so it is with ten of them called 1."""
    labels = np.repeat([1, 0, 1], [10, 90, 100])  # the first ten are wrong
    likely = np.concatenate([np.tile([0.95, 0.85], 5), np.tile([0.95, 0.85], 45), np.tile([0.01, 0.4], 50)])
    found = find_label_issues(labels, np.stack([likely, 1 - likely], axis=1))
    assert sorted(found.indices.tolist()) == list(range(10))
    assert found.indices[:5].tolist() == [0, 2, 4, 6, 8]  # the sure ones first


def test_errors_of_one_pair_are_told_from_the_confusions_of_another():
    """Both pairs have ten images on the wrong side; those of one are as sure as sound ones, those of the other not."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 200)
    logits = rng.normal(0, 1, (800, 4))
    logits[np.arange(800), truth] += 7
    labels = truth.copy()
    labels[:10] = 1  # of class 0: errors
    logits[400:410, 3] = logits[400:410, 2] + rng.uniform(0.1, 1.5, 10)  # of class 2, like class 3: confusions
    odds = np.exp(logits)
    found = find_label_issues(labels, odds / odds.sum(axis=1, keepdims=True))
    assert set(range(10)) <= set(found.indices.tolist())
    assert not set(range(400, 410)) & set(found.indices.tolist())
    filled = find_label_issues(labels, odds / odds.sum(axis=1, keepdims=True), at_least=15)
    assert len(filled) == 15
    assert set(range(10)) <= set(filled.indices.tolist())


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        ([], np.empty((0, 3))),
        ([0], [[0.3, 0.7]]),
        ([1], [[0.1, 0.9]]),
        ([0, 0, 0], [[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]]),
        ([0, 1, 0, 1], [[0.5, 0.5]] * 4),
        ([0, 0], [[1.0], [1.0]]),
    ],
)
def test_where_nothing_can_be_known_nobody_is_suspected(labels, probabilities):
    found = find_label_issues(labels, probabilities)
    assert (len(found), found.n) == (0, len(labels))
    assert str(found) == f"LabelIssues(0 of {len(labels):,} images)"


def test_one_image_alone_is_a_suspect_if_its_label_is_improbable():
    found = find_label_issues([0], [[0.1, 0.9]])
    assert (found.indices.tolist(), found.suggested.tolist(), found.n) == ([0], [1], 1)


def test_two_classes_and_all_wrong():
    truth = np.arange(40) % 2
    found = find_label_issues(1 - truth, sharp(2, truth))
    assert len(found) == 40
    np.testing.assert_array_equal(found.suggested, truth[found.indices])


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5]], r"labels are int64 of shape \(2,\) and probabilities of shape \(1, 2\): they must be"),
        ([0.5], [[0.5, 0.5]], "labels are float64"),
        ([2], [[0.5, 0.5]], "labels run from 2 to 2, but there are probabilities of 2 classes"),
        ([0], [[np.nan, 0.5]], r"probabilities must lie in \[0, 1\]: some are not. Give the softmax"),
        ([0], [[3.0, -2.0]], r"probabilities must lie in \[0, 1\]"),
    ],
)
def test_wrong_arrays_are_told(labels, probabilities, message):
    with pytest.raises(DataError, match=message):
        find_label_issues(labels, probabilities)


# Cross-validation, with real trainings


def quick(dataset, epochs=6):
    return preset("fast", dataset.image_shape, len(dataset), len(dataset.classes)).override({"epochs": epochs})


@pytest.fixture(scope="module")
def digits():
    return load("digits").train.subset(slice(0, 500))


def test_a_planted_error_is_found_and_the_same_seed_gives_the_same_bits(digits):
    labels = digits.labels.copy()
    labels[123] = (labels[123] + 4) % 10
    planted = ImageDataset(digits.images, labels, digits.classes, digits.names)
    seen = []
    recipe = quick(planted)
    (first,) = cross_validated_probabilities(
        [planted], recipe, folds=3, seed=1, progress=lambda *report: seen.append(report)
    )
    assert first.dtype == np.float32
    np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-5)
    found = find_label_issues(labels, first)
    assert 123 in found.indices[:3]
    assert found.suggested[found.indices == 123] == digits.labels[123]
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    # In two sets: the very same.
    halves = [planted.subset(slice(0, 200)), planted.subset(slice(200, 500))]
    again = cross_validated_probabilities(halves, recipe, folds=3, seed=1)
    assert np.concatenate(again).tobytes() == first.tobytes()


def test_memory_mapped_images_give_the_same_bits(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "images.npy", digits.images)
    mapped = ImageDataset(np.load(tmp_path / "images.npy", "r"), digits.labels, digits.classes, digits.names)
    recipe = quick(digits, 1)
    (here,), (there,) = (cross_validated_probabilities([data], recipe, folds=2) for data in (digits, mapped))
    assert here.tobytes() == there.tobytes()
    assert list((tmp_path / "cache").iterdir()) == []


def test_nobody_judges_an_image_that_it_knows(digits):
    """Twenty copies of one noise image with one label: a network that has seen a copy knows the label."""
    noise = np.random.default_rng(0).integers(0, 256, digits.image_shape, dtype=np.uint8)
    images = np.concatenate([digits.images, np.repeat(noise[np.newaxis], 20, axis=0)])
    labels = np.concatenate([digits.labels, np.full(20, 3)])
    data = ImageDataset(images, labels, digits.classes, [str(i) for i in range(len(labels))])
    test = ImageDataset(images[-2:], labels[-2:], digits.classes, ["a", "b"])
    probabilities, unseen = cross_validated_probabilities([data], quick(data, 10), unseen=[test], folds=3)
    assert probabilities[-20:, 3].max() < 0.5
    assert unseen[:, 3].max() < 0.5
    elsewhere = data.subset(slice(0, -1))
    (_, other) = cross_validated_probabilities(
        [elsewhere.subset(slice(0, 500))], quick(data, 1), unseen=[data.subset(slice(500, 520))], folds=3
    )
    assert np.isfinite(other).all()


def test_the_only_image_of_its_class_is_not_judged(digits):
    rows = np.concatenate([np.flatnonzero(digits.labels != 4), np.flatnonzero(digits.labels == 4)[:1].repeat(2)])
    data = digits.subset(rows)
    (probabilities,) = cross_validated_probabilities([data], quick(data, 1), folds=2)
    assert np.isnan(probabilities[-2:]).all()
    assert np.isfinite(probabilities[:-2]).all()


def test_impossible_wishes_are_told(digits):
    with pytest.raises(SettingsError, match=r"repeats \(=0\) must be 1 or more"):
        cross_validated_probabilities([digits], quick(digits), repeats=0)
    with pytest.raises(SettingsError, match=r"folds \(=501\) must lie between 2 and"):
        cross_validated_probabilities([digits], quick(digits), folds=501)
