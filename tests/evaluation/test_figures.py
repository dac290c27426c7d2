"""Every figure equals scikit-learn's on the same arrays, in ordinary and in degenerate cases."""

import warnings

import numpy as np
import pytest
from sklearn import metrics

from glyphnet.errors import DataError
from glyphnet.evaluation import Evaluation


def evaluation(labels, probabilities, **changes):
    labels = np.asarray(labels, dtype=np.int64)
    probabilities = np.asarray(probabilities)
    parts = {
        "labels": labels,
        "probabilities": probabilities,
        "classes": tuple("abcdefghij"[: probabilities.shape[1]]),
        "names": [f"test/{i:05}" for i in range(len(probabilities))],
        "images": np.zeros((len(probabilities), 4, 4, 1), dtype=np.uint8),
    }
    return Evaluation(**(parts | changes))


def drawn(seed, count, classes, dtype=np.float64, skill=2.0, absent=()):
    """Random labels and the probabilities of a classifier with some skill."""
    generator = np.random.default_rng(seed)
    labels = generator.choice([k for k in range(classes) if k not in absent], size=count)
    logits = generator.normal(size=(count, classes))
    logits[np.arange(count), labels] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities.astype(dtype)


def certain(classes, predictions):
    return np.eye(classes)[predictions]


CASES = {
    "ten classes": drawn(0, 500, 10),
    "float32": drawn(1, 500, 10, np.float32),
    "two classes": drawn(2, 100, 2),
    "three classes, few images": drawn(3, 7, 3),
    "a class absent from the test set": drawn(4, 300, 6, absent=(0, 4)),
    "a class that is never predicted": ([0, 1, 2, 0, 1, 2], certain(3, [0, 1, 1, 0, 1, 0])),
    "a class that neither occurs nor is predicted": ([0, 1, 0, 1], certain(4, [0, 1, 1, 1])),
    "one image, right": ([1], [[0.2, 0.7, 0.1]]),
    "one image, wrong": ([2], [[0.2, 0.7, 0.1]]),
    "all wrong": ([0, 1, 2, 3], certain(4, [1, 2, 3, 0])),
    "all right": ([0, 1, 2, 2], certain(3, [0, 1, 2, 2])),
    "one class only in the test set": drawn(5, 40, 3, absent=(0, 2)),
    "no skill at all": drawn(6, 400, 5, skill=0.0),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return evaluation(*request.param)


def sklearn_says(figure, *arguments, **settings):
    """scikit-learn warns in the degenerate cases; its figure is what counts here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return figure(*arguments, **settings)


def test_accuracy(case):
    assert case.accuracy == pytest.approx(metrics.accuracy_score(case.labels, case.predictions))


def test_balanced_accuracy(case):
    expected = sklearn_says(metrics.balanced_accuracy_score, case.labels, case.predictions)
    assert case.balanced_accuracy == pytest.approx(expected)


def test_macro_f1(case):
    expected = sklearn_says(metrics.f1_score, case.labels, case.predictions, average="macro")
    assert case.macro_f1 == pytest.approx(expected)


def test_log_loss(case):
    expected = metrics.log_loss(case.labels, case.probabilities, labels=np.arange(len(case.classes)))
    assert case.log_loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 99])
def test_top_k_accuracy(case, k):
    # For two classes scikit-learn wants the probability of the second alone.
    scores = case.probabilities if len(case.classes) > 2 else case.probabilities[:, 1]
    expected = sklearn_says(metrics.top_k_accuracy_score, case.labels, scores, k=k, labels=np.arange(len(case.classes)))
    assert case.top_k_accuracy(k) == pytest.approx(expected)


def test_confusion_matrix(case):
    expected = metrics.confusion_matrix(case.labels, case.predictions, labels=np.arange(len(case.classes)))
    np.testing.assert_array_equal(case.confusion_matrix, expected)


def test_classification_report(case):
    expected = sklearn_says(
        metrics.classification_report,
        case.labels,
        case.predictions,
        labels=np.arange(len(case.classes)),
        target_names=case.classes,
        output_dict=True,
        zero_division=0.0,
    )
    for name, scores in case.classification_report.items():
        assert scores.precision.value == pytest.approx(expected[name]["precision"])
        assert scores.recall.value == pytest.approx(expected[name]["recall"])
        assert scores.f1.value == pytest.approx(expected[name]["f1-score"])
        assert scores.support == expected[name]["support"]


def test_resampling_computes_the_same_figures(case):
    """The bootstrap has its own formulas, for scikit-learn's are too slow a thousand times."""
    from glyphnet.evaluation.confusions import Tally

    matrix = case.confusion_matrix
    tally = Tally(matrix.diagonal()[None], matrix.sum(axis=1)[None], matrix.sum(axis=0)[None])
    assert tally.balanced_accuracy[0] == pytest.approx(case.balanced_accuracy)
    assert tally.macro_f1[0] == pytest.approx(case.macro_f1)
    known = [scores.f1.value for scores in case.classification_report.values()]
    np.testing.assert_allclose(np.nan_to_num(tally.f1[0]), known)


def test_every_figure_lies_in_its_interval(case):
    for name, figure in case.figures.items():
        if figure.interval is None:
            assert case.correct.all() or not case.correct.any() or len(case) == 1
            continue
        # The F1 of few images is a biased figure: its resamples may all lie beside it by a little.
        slack = 0.02 if name in ("macro_f1", "balanced_accuracy") else 1e-9
        assert figure.interval.low - slack <= figure.value <= figure.interval.high + slack, name
        assert figure.n == len(case)


def test_the_figures_of_three_classes_have_only_a_top_two():
    assert list(evaluation(*CASES["all right"]).figures) == [
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "log_loss",
        "top_2",
    ]


def test_where_resampling_tells_nothing_only_wilson_gives_an_interval():
    """Ten of ten right is no proof of 100 %: an interval from 1 to 1 would say so."""
    figures = evaluation([0, 1] * 5, certain(3, [0, 1] * 5)).figures
    assert figures["accuracy"].interval.low == pytest.approx(0.722, abs=1e-3)
    assert [name for name, figure in figures.items() if figure.interval is None] == [
        "balanced_accuracy",
        "macro_f1",
        "log_loss",
    ]


def test_a_class_without_images_or_predictions_has_no_interval():
    scores = evaluation([0, 1, 0, 1], certain(4, [0, 1, 1, 1])).classification_report["d"]
    assert (scores.precision.interval, scores.recall.interval, scores.f1.interval) == (None, None, None)
    assert scores.support == scores.precision.n == 0


def test_most_confused_pairs_come_most_frequent_first_and_leave_out_what_never_happened():
    judged = evaluation([0, 0, 0, 0, 1, 1, 2], certain(3, [1, 1, 0, 2, 0, 1, 2]))
    assert [(pair.true, pair.predicted, pair.count, pair.share) for pair in judged.most_confused()] == [
        (0, 1, 2, 0.5),
        (0, 2, 1, 0.25),
        (1, 0, 1, 0.5),
    ]
    assert [pair.count for pair in judged.most_confused(1)] == [2]


def test_top_losses_and_least_sure_are_in_order():
    judged = evaluation([0, 0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.3, 0.7]])
    assert judged.top_losses(2).tolist() == [1, 2]
    assert judged.least_sure(3).tolist() == [2, 3, 1]
    assert judged.losses[1] == pytest.approx(-np.log(0.2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.zeros(0, dtype=np.int64)}, "There is no image to evaluate on."),
        (
            {"probabilities": np.ones((2, 2)), "classes": ("a", "b", "c")},
            "probabilities must be float of shape (2, 3), images by classes",
        ),
        ({"probabilities": np.ones((2, 3), dtype=np.int64)}, "not int64 of shape (2, 3)"),
        ({"probabilities": np.array([[1, 0, 0], [0, np.nan, 1]])}, "The probabilities hold NaN or infinity"),
        ({"names": ["one"]}, "2 labels were given with 1 names and 2 images"),
        ({"labels": np.array([0, 3])}, "labels run from 0 to 3, but must lie in [0, 3)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(DataError) as caught:
        evaluation(**{"labels": [0, 1], "probabilities": certain(3, [0, 1])} | changes)
    assert message in str(caught.value)
