"""Calibration: the reliability bins, the temperature and the threshold."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from glyphnet.errors import DataError, SettingsError
from glyphnet.evaluation import Thresholds, choose_threshold, choose_thresholds, fit_temperature
from glyphnet.evaluation.calibration import expected_calibration_error, reliability


def calibrated(count=4000, classes=5, seed=0):
    """Logits whose softmax is the truth: the labels are drawn from it."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(count, classes))
    labels = (softmax(logits, axis=1).cumsum(axis=1) < generator.random((count, 1))).sum(axis=1)
    return logits, labels.clip(max=classes - 1)


def log_loss(logits, labels, temperature):
    return -log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean()


def test_reliability_by_hand():
    confidence = [0.95, 0.92, 0.55, 0.52, 1.0, 0.0]
    bins = reliability(confidence, [True, False, True, True, True, False], bins=10)
    assert [(round(each.low, 1), round(each.high, 1), each.count, each.accuracy) for each in bins] == [
        (0.0, 0.1, 1, 0.0),
        (0.5, 0.6, 2, 1.0),
        (0.9, 1.0, 3, pytest.approx(2 / 3)),
    ]
    assert bins[1].confidence == pytest.approx(0.535)
    by_hand = (1 * 0 + 2 * (1 - 0.535) + 3 * abs(2 / 3 - (0.95 + 0.92 + 1.0) / 3)) / 6
    assert expected_calibration_error(bins) == pytest.approx(by_hand)


def test_a_confidence_on_an_edge_counts_to_the_bin_below():
    assert [each.high for each in reliability([0.5], [True], bins=10)] == [0.5]


def test_calibrated_probabilities_have_a_small_error_and_sharpened_ones_a_great_one():
    logits, labels = calibrated()

    def error(scale):
        probabilities = softmax(scale * logits, axis=1)
        return expected_calibration_error(
            reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
        )

    assert error(1) < 0.02
    assert error(3) > 0.1


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_the_temperature_undoes_a_wrong_scale(temperature):
    logits, labels = calibrated()
    assert fit_temperature(temperature * logits, labels) == pytest.approx(temperature, rel=0.08)


def test_the_temperature_is_the_minimum():
    logits, labels = calibrated(300)
    found = fit_temperature(4 * logits, labels)
    least = log_loss(4 * logits, labels, found)
    assert least < log_loss(4 * logits, labels, 1.0)
    assert least <= min(log_loss(4 * logits, labels, found * factor) for factor in (0.99, 1.01))


def test_log_probabilities_do_as_well_as_logits():
    logits, labels = calibrated(300)
    assert fit_temperature(log_softmax(3 * logits, axis=1), labels) == pytest.approx(
        fit_temperature(3 * logits, labels), rel=1e-4
    )


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((0, 3)), np.zeros(0, dtype=int)),
        (np.array([[3.0, 0, 0], [0, 2, 0]]), np.array([0, 1])),  # all right: surer is ever better
        (np.array([[3.0, 0, 0], [0, 2, 0]]), np.array([1, 2])),  # all wrong: flatter is ever better
        (np.ones((4, 3)), np.array([0, 1, 2, 0])),  # no difference between the classes
        (np.array([[5.0, 0.0]]), np.array([0])),
    ],
    ids=["empty", "all right", "all wrong", "flat", "one image"],
)
def test_where_the_images_cannot_tell_the_temperature_stays_1(logits, labels):
    assert fit_temperature(logits, labels) == 1.0


def test_without_any_mistake_a_modest_network_becomes_surer_and_stays_below_certainty():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, 400)
    logits = 2 * np.eye(5)[labels] + 0.1 * generator.normal(size=(400, 5))
    found = fit_temperature(logits, labels)
    assert 0.2 < found < 0.8
    before, after = (softmax(logits / t, axis=1).max(axis=1).mean() for t in (1.0, found))
    assert before < 0.7 < 0.98 < after < 1


def test_a_temperature_that_would_raise_the_error_is_not_taken():
    for seed in range(30):
        logits, labels = calibrated(40, seed=seed)
        found = fit_temperature(1.2 * logits, labels)

        def error(temperature, logits=1.2 * logits, labels=labels):
            scaled = softmax(logits / temperature, axis=1)
            return expected_calibration_error(reliability(scaled.max(axis=1), scaled.argmax(axis=1) == labels))

        assert error(found) <= error(1.0) + 1e-9
        assert log_loss(1.2 * logits, labels, found) <= log_loss(1.2 * logits, labels, 1.0) + 1e-9


def test_a_temperature_of_broken_logits_is_refused():
    with pytest.raises(DataError, match="cannot be fitted to logits that are NaN or infinite"):
        fit_temperature([[0.0, np.nan]], [0])
    with pytest.raises(DataError, match=r"do not fit: their shapes are \(1, 2\) and \(2,\)"):
        fit_temperature([[0.0, 1.0]], [0, 1])


def of(confidences, right):
    """Probabilities of two classes with these confidences, and labels that make them right or not."""
    confidences = np.asarray(confidences)
    return np.stack([confidences, 1 - confidences], axis=1), np.where(right, 0, 1)


def test_the_threshold_is_the_lowest_that_reaches_the_precision():
    # From the surest: right, right, wrong, right, right, wrong. Precision: 1, 1, 2/3, 3/4, 4/5, 4/6.
    given = of([0.99, 0.95, 0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1, 1, 0])
    assert choose_threshold(*given, precision=0.99) == pytest.approx(0.95)
    assert choose_threshold(*given, precision=0.8) == pytest.approx(0.7)  # though 0.9 does not reach it
    assert choose_threshold(*given, precision=0.6) == 0.0


def test_images_of_equal_confidence_are_accepted_together():
    assert choose_threshold(*of([0.9, 0.8, 0.8], [1, 1, 0]), precision=1.0) == pytest.approx(0.9)
    assert choose_threshold(*of([0.8, 0.8], [1, 0]), precision=1.0) is None


def test_no_threshold_without_images_or_without_hope():
    assert choose_threshold(np.zeros((0, 2)), np.zeros(0, dtype=int)) is None
    assert choose_threshold(*of([0.9, 0.8], [0, 0])) is None


def test_the_threshold_keeps_its_promise_in_float32():
    generator = np.random.default_rng(0)
    probabilities = softmax(3 * generator.normal(size=(5000, 4)), axis=1).astype(np.float32)
    labels = (probabilities.cumsum(axis=1) < generator.random((5000, 1))).sum(axis=1).clip(max=3)
    threshold = choose_threshold(probabilities, labels, precision=0.95)
    accepted = probabilities.max(axis=1) >= threshold
    assert (probabilities.argmax(axis=1) == labels)[accepted].mean() >= 0.95
    assert 0.05 < accepted.mean() < 1


def drawn(count=1000, seed=0):
    generator = np.random.default_rng(seed)
    probabilities = softmax(6 * generator.normal(size=(count, 4)), axis=1)
    labels = np.where(generator.random(count) < 0.97, probabilities.argmax(axis=1), 0)
    return probabilities, labels, generator.gamma(2, 0.05, count)


def test_both_thresholds_together_keep_99_per_cent_and_neither_is_idle():
    probabilities, labels, foreign = drawn()
    found = choose_thresholds(probabilities, labels, foreign)
    unlike, unsure = foreign > found.foreign, probabilities.max(axis=1) < found.confidence
    assert (unlike.sum(), (unlike | unsure).sum()) == (5, 10)
    assert found.note == ""


def test_a_perfect_classifier_still_has_thresholds():
    probabilities = np.full((500, 2), [0.999, 0.001])
    found = choose_thresholds(probabilities, np.zeros(500, dtype=int), np.linspace(0.1, 0.2, 500))
    assert 0.19 < found.foreign < 0.2
    assert 0.99 < found.confidence < 0.999


def test_few_images_lose_none_and_no_score_leaves_the_confidence_alone():
    probabilities, labels, foreign = drawn(50)
    found = choose_thresholds(probabilities, labels, foreign)
    assert (foreign <= found.foreign).all()
    assert (probabilities.max(axis=1) >= found.confidence).all()
    assert choose_thresholds(probabilities, labels, None).foreign is None
    assert choose_thresholds(np.zeros((0, 2)), np.zeros(0, dtype=int), None) == Thresholds(None, None)


def test_a_precision_is_reached_or_the_note_says_why_not():
    probabilities, labels, foreign = drawn()
    plain = choose_thresholds(probabilities, labels, foreign)
    reached = choose_thresholds(probabilities, labels, foreign, 0.99)
    accepted = (foreign <= reached.foreign) & (probabilities.max(axis=1) >= reached.confidence)
    assert (probabilities.argmax(axis=1) == labels)[accepted].mean() >= 0.99
    assert reached.confidence > plain.confidence
    assert "95 % interval" in reached.note
    right = probabilities.argmax(axis=1)
    few = choose_thresholds(probabilities, right, foreign, 0.9999).note
    assert few.startswith("answer_precision 0.9999: ")
    assert "(95 % interval 99.6" in few
    assert "too few to show it" in few
    wrong = choose_thresholds(probabilities, (right + 1) % 4, foreign, 0.9)
    assert "no threshold reaches it" in wrong.note
    assert wrong.confidence == plain.confidence


@pytest.mark.parametrize("precision", [0.0, -1, 1.01])
def test_an_impossible_precision_is_refused(precision):
    with pytest.raises(SettingsError, match=rf"precision \(={precision}\) must lie above 0 and at most at 1"):
        choose_threshold(np.ones((1, 1)), np.zeros(1, dtype=int), precision)
