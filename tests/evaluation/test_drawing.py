"""``Evaluation.plot_*`` and its notebook page: they hand on the evaluation's own figures, and text stays text."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from glyphnet.evaluation import Evaluation
from glyphnet.plots.style import RED

EVIL = ("<img onerror=alert(1)>", "$x$", '"><script>', "\udcff &amp;")


def judged(count=60, classes=EVIL, channels=1, skill=2.0, **changes):
    generator = np.random.default_rng(0)
    labels = generator.integers(len(classes), size=count)
    logits = 2 * generator.normal(size=(count, len(classes)))
    logits[np.arange(count), labels] += skill
    return Evaluation(
        labels=labels,
        probabilities=(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32),
        classes=tuple(classes),
        names=[f"<b>{row}</b>\udcff.png" for row in range(count)],
        images=generator.integers(256, size=(count, 5, 6, channels), dtype=np.uint8),
        **changes,
    )


@pytest.fixture
def ax():
    figure = Figure(figsize=(6, 6))
    FigureCanvasAgg(figure)
    yield (axes := figure.subplots())
    axes.figure.canvas.draw()  # what was drawn can be drawn


CASES = {
    "some of everything": judged(temperature=1.5, threshold=0.8),
    "one image": judged(1, temperature=0.5, threshold=1.0),
    "all right": judged(skill=50.0),
    "all wrong": judged(skill=-50.0, threshold=0.0),
    "a hundred classes": judged(200, [f"class {k}" for k in range(100)]),
}
PLOTS = ("confusion_matrix", "most_confused", "classes", "reliability", "coverage", "confidence", "top_losses")


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_plot_of_every_case_returns_the_axes(case, plot, ax):
    assert getattr(case, f"plot_{plot}")(ax=ax) is ax


def test_the_confusion_matrix_that_is_drawn_is_the_evaluations(ax):
    case = CASES["some of everything"]
    case.plot_confusion_matrix(ax=ax)
    mistakes = case.confusion_matrix.copy()
    np.fill_diagonal(mistakes, 0)
    np.testing.assert_array_equal(ax.images[0].get_array().filled(0), mistakes)


def test_reliability_is_drawn_before_and_after_scaling(ax):
    case = CASES["some of everything"]
    case.plot_reliability(ax=ax)
    drawn = {line.get_label().split(":")[0]: line.get_xydata() for line in ax.lines}
    for name, evaluation in (("before scaling", case.uncalibrated), ("after scaling", case)):
        expected = [(each.confidence, each.accuracy) for each in evaluation.reliability]
        np.testing.assert_allclose(drawn[name], expected)


def test_without_a_temperature_there_is_one_curve(ax):
    CASES["all right"].plot_reliability(ax=ax)
    assert [line.get_label() for line in ax.lines] == ["Perfectly calibrated", ax.lines[1].get_label()]
    assert ax.lines[1].get_label().startswith("this model: error ")


def test_coverage_marks_the_threshold(ax):
    case = CASES["some of everything"]
    case.plot_coverage(ax=ax)
    curve, mark = ax.lines
    np.testing.assert_array_equal(curve.get_ydata(), case.coverage.accuracy)
    assert mark.get_xydata().tolist() == [[case.rejection.coverage.value, case.rejection.accuracy.value]]
    assert mark.get_label() == "with rejection"


def test_a_threshold_that_accepts_nothing_has_no_mark(ax):
    CASES["one image"].plot_coverage(ax=ax)
    assert len(ax.lines) == 1


@pytest.mark.parametrize(("figure", "label"), [("recall", "Recall"), ("precision", "Precision"), ("f1", "F1")])
def test_classes_show_the_figure_asked_for(ax, figure, label):
    case = CASES["some of everything"]
    case.plot_classes(figure, ax=ax)
    values = sorted(getattr(scores, figure).value for scores in case.classification_report.values())
    assert ax.lines[0].get_xdata().tolist() == pytest.approx(values)
    assert ax.get_xlabel() == f"{label} and its 95 % interval"


def test_top_losses_are_titled_by_true_and_predicted_class(ax):
    case = replace(CASES["some of everything"], classes=("0", "1", "2", "3"))
    case.plot_top_losses(3, ax=ax)
    rows = case.top_losses(3)
    assert [text.get_text() for text in ax.texts] == [f"t: {case.labels[r]}  p: {case.predictions[r]}" for r in rows]
    np.testing.assert_array_equal(ax.images[1].get_array(), case.images[rows[1], :, :, 0])


def test_of_the_top_losses_the_wrong_ones_are_red(ax):
    case = CASES["some of everything"]
    case.plot_top_losses(len(case), ax=ax)
    red = [text.get_color() == RED for text in ax.texts]
    assert red == (~case.correct[case.top_losses(len(case))]).tolist()
    assert 0 < sum(red) < len(red)


class Seen(HTMLParser):
    """The elements and the text of a page, and whether every element is closed in its turn."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_notebook_page_is_sound_and_asks_for_nothing(case):
    page = case._repr_html_()
    seen = Seen(page)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in seen.elements}
    assert all(values["src"].startswith("data:image/png;base64,") for tag, values in seen.elements if tag == "img")
    assert not [name for _, values in seen.elements for name in values if name.startswith("on")]
    assert "http" not in page
    assert "url(" not in page
    page.encode("utf-8")


def test_the_notebook_page_tells_the_figures_with_intervals_and_n():
    case = CASES["some of everything"]
    text = re.sub(r"\s+", " ", " ".join(Seen(case._repr_html_()).text))
    interval = case.accuracy_interval
    shown = (f"{100 * value:.2f} %" for value in (case.accuracy, interval.low, interval.high))
    assert "Accuracy {} {} to {} 60".format(*shown) in text
    assert f"{100 * case.rejection.coverage.value:.2f} % of the images are answered" in text
    before, after = 100 * case.uncalibrated.calibration_error, 100 * case.calibration_error
    assert f"calibration error {after:.1f} points, {before:.1f} before temperature scaling" in text
    for name in ("<img onerror=alert(1)>", "$x$", '"><script>', "? &amp;"):
        assert name in text


def test_the_notebook_page_shows_the_worst_mistakes():
    case = CASES["some of everything"]
    shown = [values for tag, values in Seen(case._repr_html_()).elements if tag == "img"]
    rows = [row for row in case.top_losses(12) if not case.correct[row]]
    assert len(shown) == len(rows) > 1
    for values, row in zip(shown, rows, strict=True):
        pixels = Image.open(io.BytesIO(base64.b64decode(values["src"].split(",")[1])))
        np.testing.assert_array_equal(np.asarray(pixels), case.images[row, :, :, 0])
        assert values["title"] == f"<b>{row}</b>?.png"


def test_the_notebook_page_lists_pairs_where_the_matrix_would_be_too_great():
    matrix, pairs = CASES["some of everything"]._repr_html_(), CASES["a hundred classes"]._repr_html_()
    assert ("Confusion matrix" in matrix, "Most confused" in matrix) == (True, False)
    assert ("Confusion matrix" in pairs, "Most confused" in pairs) == (False, True)
    assert "There is no mistake among these images." in CASES["all right"]._repr_html_()


def test_ten_thousand_images_make_a_small_page():
    assert len(judged(10_000, tuple("0123456789"))._repr_html_()) < 50_000
