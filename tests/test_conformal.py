"""Sets with a guarantee: coverage, no empty set, the same set every time, and what too few images support."""

import numpy as np
import pytest
from scipy.special import softmax

from glyphnet.answers import Predictor, Rules
from glyphnet.conformal import SCORES, Conformal, choose_score, true_scores
from glyphnet.data.values import Reading
from glyphnet.errors import SettingsError


def drawn(count, seed, classes=6, sharpness=3.0):
    generator = np.random.default_rng(seed)
    probabilities = softmax(sharpness * generator.normal(size=(count, classes)), axis=1).astype(np.float32)
    labels = (probabilities.cumsum(axis=1) < generator.random((count, 1))).sum(axis=1).clip(max=classes - 1)
    return probabilities, labels


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_true_class_is_in_the_set_as_often_as_was_asked_for(score, level):
    covered = []
    for seed in range(40):
        probabilities, labels = drawn(1400, seed)
        conformal = Conformal.calibrate(probabilities[:400], labels[:400], score)
        inside = conformal.sets(probabilities[400:], level)
        assert inside.any(axis=1).all()
        assert inside[np.arange(1000), probabilities[400:].argmax(axis=1)].all()
        covered.append(inside[np.arange(1000), labels[400:]].mean())
    # 40 calibrations of 400 images: the mean is known to 0.002; ties at 0 and the steps of 1/401 only add to it.
    assert level - 0.006 < np.mean(covered) < max(level + 0.01, 0.86)


@pytest.mark.parametrize("score", SCORES)
def test_the_stored_scores_give_the_quantiles_of_all_or_a_little_more(score):
    probabilities, labels = drawn(5000, 1)
    conformal = Conformal.calibrate(probabilities, labels, score)
    again = Conformal.model_validate_json(conformal.model_dump_json())
    assert again == conformal
    assert len(conformal.ranks) <= 1025
    exact = np.sort(true_scores(probabilities, labels, score))
    for level in (0.5, 0.9, 0.95, 0.99, 0.999):
        rank = int(np.ceil(5001 * level - 1e-9))
        assert exact[rank - 1] <= conformal.limit(level) <= exact[min(rank + 10, 4999)] + 1e-6


def test_sets_by_hand():
    conformal = Conformal(score="probability", images=19, ranks=(10, 18, 19), values=(0.0, 0.75, 0.9))
    rules = Rules(conformal=conformal)
    probabilities = np.array([[0.1, 0.6, 0.3], [0.98, 0.01, 0.01], [0.2, 0.35, 0.45]], dtype=np.float32)
    assert rules.need_conformal().labels(probabilities, 0.9) == [[1, 2], [0], [2, 1]]
    assert rules.need_conformal().labels(probabilities, 0.5) == [[1], [0], [2]]
    assert rules.need_conformal().labels(probabilities, 0.95) == [[1, 2, 0], [0], [2, 1, 0]]


def test_a_level_that_needs_more_images_is_refused_with_both_numbers():
    conformal = Conformal.calibrate(*drawn(99, 0), "ratio")
    assert conformal.limit(0.99) >= conformal.limit(0.95)
    with pytest.raises(SettingsError, match=r"at least 499 validation images.* on 99. .* level is 99 %"):
        conformal.limit(0.998)
    with pytest.raises(SettingsError, match=r"level \(=95\) must lie above 0 and below 1"):
        conformal.limit(95)


def test_a_model_without_calibration_says_so():
    with pytest.raises(SettingsError, match="gives no sets"):
        Rules().need_conformal()
    model = Predictor()
    model.foreign_threshold = model.threshold = model.conformal = model.ink = model.normalize = None
    model.reading = Reading()
    assert "no calibration for sets" in model.lacking
    model.threshold = 0.0
    assert "rejects nothing" in model.lacking


def test_the_score_with_the_smallest_sets_is_chosen():
    probabilities, labels = drawn(2000, 3)
    chosen = choose_score(probabilities, labels)
    fresh, _ = drawn(2000, 4)
    sizes = {
        name: Conformal.calibrate(probabilities, labels, name).sets(fresh, 0.95).sum(axis=1).mean() for name in SCORES
    }
    assert sizes[chosen] <= 1.02 * min(sizes.values())
