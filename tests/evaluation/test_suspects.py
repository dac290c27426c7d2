"""``Evaluation.label_issues`` judges the evaluation's own labels by its own probabilities."""

import numpy as np

from glyphnet.evaluation import Evaluation
from glyphnet.evaluation.labels import find_label_issues


def test_a_flipped_label_is_suspected():
    generator = np.random.default_rng(0)
    true = generator.integers(3, size=300)
    logits = generator.normal(size=(300, 3))
    logits[np.arange(300), true] += 8
    labels = true.copy()
    labels[17] = (true[17] + 1) % 3
    judged = Evaluation(
        labels=labels,
        probabilities=np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        classes=("a", "b", "c"),
        names=[str(row) for row in range(300)],
        images=np.zeros((300, 2, 2, 1), dtype=np.uint8),
    )
    issues = judged.label_issues()
    assert (issues.indices[0], issues.given[0], issues.suggested[0]) == (17, labels[17], true[17])
    expected = find_label_issues(judged.labels, judged.probabilities, at_least=60)
    np.testing.assert_array_equal(issues.indices, expected.indices)
    assert issues.n == expected.n == 300
