"""Curves: what the artists hold is what was given."""

import numpy as np
import pytest

from glyphnet import plots

HISTORY = [
    {"epoch": 1, "loss": 2.0, "accuracy": 0.3, "val_loss": 2.1, "val_accuracy": 0.2, "lr": 0.1},
    {"epoch": 2, "loss": 1.0, "accuracy": 0.6, "val_loss": None, "val_accuracy": float("nan"), "lr": 0.05},
    {"epoch": 3, "loss": 0.5, "accuracy": 0.9, "val_loss": 1.0, "val_accuracy": 0.7, "lr": 0.0},
]


def line(ax, label):
    """The one line of that name: its x and y."""
    (found,) = [each for each in ax.lines if each.get_label() == label]
    return found.get_xdata(), found.get_ydata()


def test_learning_curves_show_every_row_and_the_best_epoch(make_axes, draw):
    loss, accuracy, lr = plots.learning_curves(
        HISTORY, best_epoch=3, panels=("loss", "accuracy", "lr"), axes=list(make_axes(ncols=3))
    )
    draw(loss)
    np.testing.assert_array_equal(line(loss, "training"), [[1, 2, 3], [2.0, 1.0, 0.5]])
    np.testing.assert_array_equal(line(loss, "validation"), [[1, 2, 3], [2.1, np.nan, 1.0]])
    np.testing.assert_array_equal(line(accuracy, "validation")[1], [0.2, np.nan, 0.7])
    np.testing.assert_array_equal(lr.lines[0].get_ydata(), [0.1, 0.05, 0.0])
    assert line(loss, "best epoch")[0] == [3, 3]
    assert [ax.get_title() for ax in (loss, accuracy, lr)] == ["Loss", "Accuracy", "Learning rate"]


def test_without_validation_there_is_no_such_curve_and_one_epoch_is_a_dot(make_axes, draw):
    history = [{"epoch": 1, "loss": 2.0, "accuracy": 0.3, "val_loss": None, "val_accuracy": None}]
    (ax,) = plots.learning_curves(history, panels=("loss",), axes=[make_axes()])
    assert [(each.get_label(), each.get_marker()) for each in draw(ax).lines] == [("training", "o")]


def test_no_history_draws_empty_panels(make_axes, draw):
    draw(plots.learning_curves([], axes=list(make_axes(ncols=2)))[0])


def test_unknown_panels_and_too_few_axes_are_refused(ax):
    with pytest.raises(ValueError, match=r"panels \(=\('los',\)\) must be some of 'loss', 'accuracy', 'lr'\."):
        plots.learning_curves(HISTORY, panels=("los",))
    with pytest.raises(ValueError, match="1 axes for 2 panels: pass one for each panel"):
        plots.learning_curves(HISTORY, axes=[ax])


def test_reliability_before_and_after_on_the_same_axes(ax, draw):
    plots.reliability([0.6, 0.9], [0.3, 0.8], name="before", series="second", ax=ax)
    plots.reliability([0.5, 0.8], [0.4, 0.8], intervals=[(0.3, 0.5), (0.7, 0.9)], name="after", ax=ax)
    draw(ax)
    np.testing.assert_array_equal(line(ax, "before"), [[0.6, 0.9], [0.3, 0.8]])
    np.testing.assert_array_equal(line(ax, "after"), [[0.5, 0.8], [0.4, 0.8]])
    (whiskers,) = ax.collections
    np.testing.assert_array_equal(whiskers.get_segments(), [[[0.5, 0.3], [0.5, 0.5]], [[0.8, 0.7], [0.8, 0.9]]])
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named == ["Perfectly calibrated", "before", "after"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Confidence", "Accuracy")


def test_coverage_with_the_chosen_threshold(ax, draw):
    chosen = {"chosen": (0.8, 0.98), "intervals": ((0.7, 0.9), (0.9, 0.99)), "name": "threshold 0.7"}
    draw(plots.coverage([0.1, 0.8, 1.0], [1.0, 0.98, 0.95], **chosen, ax=ax))
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0.1, 1.0], [0.8, 0.98], [1.0, 0.95]])
    np.testing.assert_array_equal(line(ax, "threshold 0.7"), [[0.8], [0.98]])
    segments = [each.get_segments()[0].tolist() for each in ax.collections]
    assert segments == [[[0.7, 0.98], [0.9, 0.98]], [[0.8, 0.9], [0.8, 0.99]]]
    assert ax.get_ylim()[0] < 0.9  # the whisker's end is seen


def test_the_histogram_counts_right_and_wrong(ax, draw):
    confidence = np.array([0.97, 0.99, 1.0000001, 0.52, 0.51], dtype=np.float32)
    draw(plots.confidence_histogram(confidence, [True, True, True, True, False], threshold=0.9, ax=ax))
    bars = {round(bar.get_x(), 2): bar.get_height() for bar in ax.containers[0] if bar.get_height()}
    assert bars == {0.5: 1, 0.95: 3}
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named == ["right", "wrong", "threshold 90\u202f%"]


@pytest.mark.parametrize("correct", [True, False])
def test_a_histogram_of_one_image(ax, draw, correct):
    draw(plots.confidence_histogram([0.5], [correct], ax=ax))


def test_classes_come_worst_first_and_unknown_ones_last(ax, draw):
    intervals = [(0.8, 1.0), (np.nan, np.nan), (0.3, 0.7)]
    draw(plots.class_figures([0.9, np.nan, 0.5], intervals, "abc", ax=ax))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["c", "a", "b"]
    assert ax.yaxis_inverted()
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0.5, 0.9, np.nan])
    whiskers = [segment.tolist() for segment in ax.collections[0].get_segments() if len(segment)]
    assert whiskers == [[[0.3, 0], [0.7, 0]], [[0.8, 1], [1.0, 1]]]
    assert ax.get_xlabel() == "Recall and its 95 % interval"


def test_classes_of_which_nothing_is_known(ax, draw):
    draw(plots.class_figures([np.nan], [(np.nan, np.nan)], "a", ax=ax))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gallery_shows_each_image_under_its_title(ax, draw, channels):
    images = np.random.default_rng(0).integers(256, size=(5, 4, 6, channels), dtype=np.uint8)
    titles = [f"t: {k}\np: 9" for k in range(5)]
    draw(plots.gallery(images, titles, wrong=[1, 0, 0, 0, 0], columns=3, ax=ax))
    for shown, image in zip(ax.images, images, strict=True):
        np.testing.assert_array_equal(shown.get_array(), image if channels == 3 else image[:, :, 0])
    assert [text.get_text() for text in ax.texts] == titles
    assert [text.get_color() for text in ax.texts[:2]] == [plots.style.RED, plots.style.INK]
    lefts = [image.get_extent()[0] for image in ax.images]
    assert (lefts[0], lefts[1]) == (lefts[3], lefts[4])  # three in the first row
    boxes = [image.get_window_extent() for image in ax.images] + [text.get_window_extent() for text in ax.texts]
    assert not any(one.overlaps(two) for place, one in enumerate(boxes) for two in boxes[:place])


def test_a_gallery_without_images(ax, draw):
    draw(plots.gallery(np.zeros((0, 4, 4, 1), dtype=np.uint8), [], ax=ax))
    assert [text.get_text() for text in ax.texts] == ["no images"]
