"""Every figure, and what evaluation.json says of it, equals scikit-learn's or SciPy's: over random cases."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from glyphnet.evaluation import Evaluation, choose_threshold, fit_temperature, wilson
from glyphnet.evaluation.calibration import expected_calibration_error, reliability, undo_temperature


def judge(labels, probabilities, **changes):
    count, classes = probabilities.shape
    names = tuple(f"class {k}" for k in range(classes))
    images = np.zeros((count, 2, 2, 1), dtype=np.uint8)
    return Evaluation(labels, probabilities, names, [str(row) for row in range(count)], images, **changes)


@st.composite
def answers(draw, most_classes=6, most_images=40):
    """Labels (N,) and probabilities (N, K).

    They are drawn as few small whole numbers, so that ties, zeros, absent classes, all wrong and all right come up.
    """
    classes, count = draw(st.integers(2, most_classes)), draw(st.integers(1, most_images))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    weights = draw(st.lists(st.integers(0, 4), min_size=count * classes, max_size=count * classes))
    weights = np.array(weights, dtype=np.float64).reshape(count, classes)
    skill = draw(st.sampled_from([0, 0, 3, 50]))
    weights[np.arange(count), labels] += skill
    weights[weights.sum(axis=1) == 0] = 1
    return np.array(labels, dtype=np.int64), (weights / weights.sum(axis=1, keepdims=True)).astype(dtype)


def drawn(seed, count, classes, labels=None, skill=2.0, dtype=np.float64):
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=count) if labels is None else np.asarray(labels)
    logits = 2 * generator.normal(size=(count, classes))
    logits[np.arange(count), labels] += skill
    return labels.astype(np.int64), softmax(logits, axis=1).astype(dtype)


NAMED = {
    "a hundred classes": drawn(0, 700, 100, skill=6.0),
    "a hundred classes, thirty images": drawn(1, 30, 100, dtype=np.float32),
    "two classes": drawn(2, 90, 2),
    "a class absent from the test set": drawn(3, 80, 4, labels=np.arange(80) % 3),
    "one image": drawn(4, 1, 5),
    "all wrong": drawn(5, 50, 3, skill=-50.0),
    "all right, as sure as can be": drawn(6, 50, 3, skill=500.0, dtype=np.float32),
    "every class as likely": (np.arange(12) % 4, np.full((12, 4), 0.25)),
}


def sklearn_says(figure, *arguments, **settings):
    """scikit-learn warns in the degenerate cases; its figure is what counts here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return figure(*arguments, **settings)


def expected_figures(labels, probabilities):
    predictions, known = probabilities.argmax(axis=1), np.arange(probabilities.shape[1])
    figures = {
        "accuracy": metrics.accuracy_score(labels, predictions),
        "balanced_accuracy": sklearn_says(metrics.balanced_accuracy_score, labels, predictions),
        "macro_f1": sklearn_says(metrics.f1_score, labels, predictions, average="macro"),
        "log_loss": metrics.log_loss(labels, probabilities, labels=known),
    }
    top = [k for k in (2, 3, 5) if k < len(known)]
    return figures | {f"top_{k}": metrics.top_k_accuracy_score(labels, probabilities, k=k, labels=known) for k in top}


def check(labels, probabilities):
    judged = judge(labels, probabilities)
    expected = expected_figures(labels, probabilities)
    assert {name: figure.value for name, figure in judged.figures.items()} == pytest.approx(expected, rel=1e-6)
    recorded = json.loads(json.dumps(judged.to_dict(), allow_nan=False))
    assert {name: recorded[name]["value"] for name in expected} == pytest.approx(expected, rel=1e-6, abs=6e-7)

    known = np.arange(len(judged.classes))
    matrix = metrics.confusion_matrix(labels, probabilities.argmax(axis=1), labels=known)
    np.testing.assert_array_equal(judged.confusion_matrix, matrix)
    assert recorded["confusion_matrix"] == matrix.tolist()

    scores = metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=known, zero_division=0.0
    )
    for name, *of_class in zip(judged.classes, *scores, strict=True):
        kept = recorded["per_class"][name]
        assert [kept[figure]["value"] for figure in ("precision", "recall", "f1")] == pytest.approx(
            of_class[:3], abs=6e-7
        ), name
        assert kept["support"] == of_class[3]


@pytest.mark.parametrize("case", NAMED.values(), ids=NAMED.keys())
def test_named_cases_are_as_scikit_learn_has_them(case):
    check(*case)


@settings(max_examples=60)
@given(answers())
def test_random_cases_are_as_scikit_learn_has_them(case):
    check(*case)


@settings(max_examples=60)
@given(answers())
def test_every_proportion_has_scipys_wilson_interval(case):
    judged = judge(*case)
    found = [figure for name, figure in judged.figures.items() if name == "accuracy" or name.startswith("top_")]
    for scores in judged.classification_report.values():
        found += [scores.precision, scores.recall]
    for figure in found:
        if not figure.n:
            assert (figure.value, figure.interval) == (0.0, None)
            continue
        expected = binomtest(round(figure.value * figure.n), figure.n).proportion_ci(method="wilson")
        assert (figure.interval.low, figure.interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@settings(max_examples=100)
@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_is_scipys(counts, level):
    expected = binomtest(*counts).proportion_ci(level, method="wilson")
    interval = wilson(*counts, level)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@settings(max_examples=60)
@given(answers())
def test_the_reliability_diagram_is_scikit_learns_calibration_curve(case):
    labels, probabilities = case
    confidence = probabilities.max(axis=1).astype(np.float64).clip(max=1)
    correct = probabilities.argmax(axis=1) == labels
    accuracies, confidences = calibration_curve(correct, confidence, n_bins=15, pos_label=True)
    bins = reliability(confidence, correct)
    np.testing.assert_allclose([each.accuracy for each in bins], accuracies)
    np.testing.assert_allclose([each.confidence for each in bins], confidences)
    assert sum(each.count for each in bins) == len(labels)


@settings(max_examples=60)
@given(answers(most_images=80), st.floats(0.1, 4.0))
def test_the_temperature_is_scipys_minimum(case, scale):
    labels, probabilities = case
    logits = scale * np.log(probabilities.astype(np.float64) + 1e-3)

    def loss(log_temperature):
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(labels)), labels].mean()

    least = minimize_scalar(loss, bounds=np.log([0.05, 20]), method="bounded", options={"xatol": 1e-9})
    found = fit_temperature(logits, labels)

    def error(log_temperature):
        scaled = softmax(logits / np.exp(log_temperature), axis=1)
        return expected_calibration_error(reliability(scaled.max(axis=1), scaled.argmax(axis=1) == labels))

    # Neither is ever greater than without scaling, and the loss is the least one wherever that makes no error greater.
    assert loss(np.log(found)) <= loss(0.0) + 1e-9
    assert error(np.log(found)) <= error(0.0) + 1e-9
    inside = np.log(0.06) < least.x < np.log(19)
    if inside and loss(np.log(0.05)) > least.fun + 1e-3 and error(least.x) < error(0.0) - 1e-3:
        assert loss(np.log(found)) <= least.fun + 1e-3


@settings(max_examples=200)
@given(answers(), st.integers(1, 100))
def test_the_threshold_is_the_best_of_all_there_are(case, per_cent):
    labels, probabilities = case
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels

    def reaches(threshold):
        accepted = confidence >= threshold
        return 100 * int(correct[accepted].sum()) >= per_cent * int(accepted.sum())

    good = [float(threshold) for threshold in confidence if reaches(threshold)]
    expected = None if not good else 0.0 if min(good) == confidence.min() else min(good)
    assert choose_threshold(probabilities, labels, per_cent / 100) == expected


@settings(max_examples=60)
@given(answers())
def test_coverage_and_accuracy_are_what_every_threshold_gives(case):
    judged = judge(*case)
    curve = judged.coverage
    np.testing.assert_array_equal(curve.thresholds, np.unique(judged.confidence.astype(np.float64))[::-1])
    for threshold, coverage, accuracy in zip(curve.thresholds, curve.coverage, curve.accuracy, strict=True):
        accepted = judged.confidence.astype(np.float64) >= threshold
        assert coverage == accepted.mean()
        assert accuracy == pytest.approx(metrics.accuracy_score(judged.labels[accepted], judged.predictions[accepted]))
    assert (curve.coverage[-1], curve.accuracy[-1]) == (1.0, pytest.approx(judged.accuracy))


@settings(max_examples=60)
@given(answers(), st.floats(0, 1))
def test_a_rejection_counts_what_the_threshold_accepts(case, threshold):
    judged = judge(*case, threshold=threshold)
    accepted = judged.confidence >= threshold
    for figure, right, count in (
        (judged.rejection.coverage, accepted.sum(), len(accepted)),
        (judged.rejection.accuracy, judged.correct[accepted].sum(), accepted.sum()),
    ):
        assert figure.n == count
        if not count:
            assert (figure.value, figure.interval) == (0.0, None)
            continue
        expected = binomtest(int(right), int(count)).proportion_ci(method="wilson")
        assert figure.value == right / count
        assert (figure.interval.low, figure.interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7, 5.0])
def test_the_temperature_can_be_undone(dtype, temperature):
    logits = 3 * np.random.default_rng(0).normal(size=(300, 7))
    after = softmax(logits / temperature, axis=1).astype(dtype)
    before = undo_temperature(after, temperature)
    assert before.dtype == dtype
    np.testing.assert_allclose(before, softmax(logits, axis=1), rtol=2e-5 if dtype == np.float32 else 1e-12)


def test_undoing_a_temperature_keeps_zeros_and_never_overflows():
    before = undo_temperature(np.array([[1.0, 0.0, 1e-300], [0.5, 0.5, 0.0]]), 20.0)
    np.testing.assert_array_equal(before, [[1, 0, 0], [0.5, 0.5, 0]])


def test_isotonic_regression_is_that_of_scikit_learn():
    from sklearn.isotonic import isotonic_regression

    from glyphnet.evaluation.labels import _falling

    generator = np.random.default_rng(0)
    for count in (1, 2, 3, 50, 400):
        values = np.round(generator.normal(size=count), 1) - np.linspace(0, 2, count)  # some are equal
        np.testing.assert_allclose(_falling(values), isotonic_regression(values, increasing=False), atol=1e-12)
    assert len(_falling(np.empty(0))) == 0


def test_the_temperature_is_where_the_log_loss_is_least():
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    from glyphnet.evaluation.calibration import _least_log_loss

    generator = np.random.default_rng(1)
    for scale in (0.3, 1.0, 8.0):
        labels = generator.integers(0, 6, 400)
        logits = scale * (generator.normal(size=(400, 6)) + 2 * np.eye(6)[labels])
        margins = logits - logits[np.arange(400), labels][:, None]
        found = minimize_scalar(
            lambda inverse, logits, labels: -log_softmax(logits * inverse, axis=1)[np.arange(400), labels].mean(),
            bounds=(0.05, 20), args=(logits, labels), method="bounded", options={"xatol": 1e-9},
        )  # fmt: skip
        assert _least_log_loss(margins) == pytest.approx(1 / found.x, rel=1e-5)


def test_softmax_and_the_binomial_tail_are_those_of_scipy():
    from scipy.special import log_softmax, softmax
    from scipy.stats import binom

    from glyphnet.evaluation import calibration
    from glyphnet.evaluation.labels import at_least

    logits = np.array([[0.0, 800.0, -5.0], [-np.inf, 1.0, 2.0], [3.0, 3.0, 3.0]])
    np.testing.assert_array_equal(calibration.softmax(logits), softmax(logits, axis=1))
    np.testing.assert_array_equal(calibration.log_softmax(logits), log_softmax(logits, axis=1))
    for count, trials, chance in ((0, 0, 0.3), (0, 7, 0.3), (3, 7, 0.3), (7, 7, 0.9), (60, 100, 0.5), (40, 3000, 0.01)):
        assert at_least(count, trials, chance) == pytest.approx(binom.sf(count - 1, trials, chance), rel=1e-9)
