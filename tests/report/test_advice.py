"""What would help: each piece of advice from its own figure, and none where nothing is to be said."""

import numpy as np
import pytest

from glyphnet.data import ImageDataset, Splits
from glyphnet.evaluation import Evaluation
from glyphnet.evaluation.labels import LabelIssues
from glyphnet.report import SuspectPart
from glyphnet.report.advice import advise
from glyphnet.report.curves import CurveReading
from glyphnet.report.data import show_parts, view_data

CALM = CurveReading(3, "converged", "Converged.")
CLASSES = ("a", "b", "c", "d")


def judged_by(matrix, sure=0.99):
    """An evaluation with this confusion matrix, every answer given with the same confidence."""
    matrix = np.asarray(matrix)
    labels, guesses = (np.repeat(places, matrix.ravel()) for places in np.indices(matrix.shape).reshape(2, -1))
    probabilities = np.full((len(labels), len(CLASSES)), (1 - sure) / (len(CLASSES) - 1))
    probabilities[np.arange(len(labels)), guesses] = sure
    images = np.random.default_rng(0).integers(256, size=(len(labels), 4, 4, 1), dtype=np.uint8)
    names = [str(row) for row in range(len(labels))]
    return Evaluation(labels.astype(np.int64), probabilities, CLASSES, names, images, "made, test part")


def part(labels, seed):
    images = np.random.default_rng(seed).integers(256, size=(len(labels), 4, 4, 1), dtype=np.uint8)
    names = [f"{seed}/{row}" for row in range(len(labels))]
    return ImageDataset(images, np.asarray(labels, dtype=np.int64), CLASSES, names)


def splits_of(counts=(100, 100, 100, 100), leak=False):
    train, test = part(np.repeat(np.arange(4), counts), 1), part(np.arange(40) % 4, 2)
    if leak:
        test.images[:3] = train.images[:3]
    return Splits("made", train, part([], 3), test)


def suspects(name, count, n):
    rows = np.arange(count)
    return SuspectPart(name, part(np.zeros(n, int), 4), LabelIssues(rows, rows * 0, rows * 0 + 1, rows + 0.5, n))


EVEN = np.eye(4, dtype=int) * 996 + 1  # one mistake of each kind
PAIR = np.diag([1000, 1000, 950, 960]) + np.array([[0] * 4, [0] * 4, [0, 0, 0, 45], [0, 0, 40, 0]])


def told(evaluation=None, reading=CALM, splits=None, parts=()):
    evaluation = evaluation or judged_by(EVEN)
    found = advise(evaluation, reading, view_data(evaluation, splits or splits_of()), show_parts(parts))
    return [each.sentence for each in found], [each.section for each in found]


def test_where_nothing_stands_out_it_says_so():
    sentences, _ = told()
    assert sentences == [
        "Nothing stands out: the 12 mistakes are of 12 kinds, and no class and no pair of classes makes most of them. "
        "Longer training, augmentation or a larger network may still give a little."
    ]


@pytest.mark.parametrize(
    ("given", "start", "section"),
    [
        ({"splits": splits_of(leak=True)}, "3 images of the test part are in the train part too", "data-view"),
        ({"parts": [suspects("train", 12, 400)]}, "12 labels of the 400 in the training part look wrong", "labels"),
        ({"parts": [suspects("test", 4, 40)]}, "4 labels of the test part look wrong", "labels"),
        ({"reading": CurveReading(2, "over-fitting", "Over-fitting from epoch 2.")}, "Over-fitting", "learning"),
        ({"evaluation": judged_by(PAIR, 0.98)}, "“c” and “d” are taken for each other in 85 of the 85", "mistakes"),
        ({"evaluation": judged_by(EVEN, 0.6)}, "Its confidence is off by 39.7 points", "confidence"),
        ({"evaluation": judged_by(np.eye(4, dtype=int) * 20)}, "From 80 images the accuracy is only known", "main"),
    ],
)
def test_each_figure_gives_its_advice(given, start, section):
    sentences, sections = told(**given)
    place = [sentence.startswith(start) for sentence in sentences].index(True)
    assert sections[place] == section


def test_a_poor_class_with_few_training_images_is_named_with_both_figures():
    matrix = np.diag([1000, 1000, 1000, 900]) + np.eye(4, dtype=int)[[1, 2, 3, 0]][:, [3, 0, 1, 2]] * 0
    matrix[3, 0] = matrix[3, 1] = matrix[3, 2] = 33
    sentences, _ = told(judged_by(matrix, 0.98), splits=splits_of((100, 100, 100, 20)))
    assert sentences[0].startswith("“d” has 20 training images, a usual class 100, and only 90.1\u202f% of it is found")
    assert sentences[1].startswith("“d” is found least often: 90.1\u202f% of its 999 images.")


def test_three_pieces_at_most_the_weightiest_first():
    sentences, _ = told(
        judged_by(PAIR, 0.6),
        CurveReading(2, "over-fitting", "Over-fitting from epoch 2."),
        splits_of(leak=True),
        [suspects("train", 12, 400)],
    )
    assert [sentence.split()[0] for sentence in sentences] == ["3", "12", "Over-fitting"]


def test_it_stands_at_the_top_of_the_page_and_leads_to_what_it_speaks_of(open_report):
    page = open_report(judged_by(PAIR, 0.98)).page
    assert "“c” and “d” are taken for each other" in page.inner_text(".headline .advice")
    page.click(".advice a[href='#mistakes']")
    assert page.evaluate("location.hash") == "#mistakes"
