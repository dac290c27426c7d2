"""Reading learning curves in one sentence."""

import math

import pytest

from glyphnet.errors import BadFileError
from glyphnet.report import read_curves, read_history
from glyphnet.report.curves import validation_leads


def history(losses, val_losses, lr=None):
    return [
        {
            "epoch": epoch,
            "loss": loss,
            "val_loss": val_loss,
            "val_accuracy": None if val_loss is None else 1 - val_loss / 10,
            "lr": None if lr is None else lr[epoch - 1],
        }
        for epoch, (loss, val_loss) in enumerate(zip(losses, val_losses, strict=True), start=1)
    ]


FALLING = [1 / epoch for epoch in range(1, 11)]


def test_over_fitting_is_named_from_its_epoch():
    reading = read_curves(history(FALLING, [1.0, 0.6, 0.5, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7]))
    assert reading.verdict == "over-fitting"
    assert reading.best_epoch == 4
    assert reading.sentence.startswith("Over-fitting from epoch 4: validation loss rises from 0.4 to 0.7 while")


def test_a_rise_of_both_losses_is_no_over_fitting():
    """A learning rate that is too high harms both."""
    losses = [1.0, 0.6, 0.5, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7]
    assert read_curves(history(losses, losses)).verdict != "over-fitting"


def test_what_falls_to_the_end_is_still_improving():
    reading = read_curves(history(FALLING, FALLING))
    assert reading.verdict == "still improving"
    assert reading.sentence == "Validation loss was still falling at the end: more epochs may give more."


def test_an_improvement_by_a_falling_learning_rate_is_read_as_such():
    reading = read_curves(history(FALLING, FALLING, lr=[10.0**-epoch for epoch in range(10)]))
    assert reading.verdict == "still improving"
    assert "as the learning rate ran down: a longer schedule may give more" in reading.sentence


def test_a_level_end_has_converged():
    reading = read_curves(history(FALLING, [1.0, 0.5, 0.3, 0.201, 0.2, 0.2, 0.201, 0.2, 0.199, 0.2]))
    assert reading.verdict == "converged"
    assert reading.sentence == "Converged: validation loss has hardly moved since epoch 4."


def test_the_epoch_that_was_kept_overrules_the_one_that_was_found():
    assert read_curves(history(FALLING, FALLING), best_epoch=3).best_epoch == 3


def test_of_equal_accuracies_the_lower_loss_is_the_best():
    rows = history(FALLING[:4], [0.5, 0.4, 0.3, 0.35])
    for row in rows:
        row["val_accuracy"] = 0.9
    assert read_curves(rows).best_epoch == 3


@pytest.mark.parametrize(
    ("accuracy", "val_accuracy", "leads"),
    [(0.9, 0.95, True), (0.95, 0.9, False), (0.9, 0.9, False), (0.9, None, False)],
)
def test_validation_above_training_is_seen(accuracy: float, val_accuracy: float | None, leads: bool) -> None:
    rows = [{"epoch": 1, "accuracy": 0.5, "val_accuracy": 0.6}, {"accuracy": accuracy, "val_accuracy": val_accuracy}]
    assert validation_leads(rows) is leads
    assert not validation_leads([])


NO_VALIDATION = "There were no validation images, so the curves cannot tell when to stop."


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "There is no history of the training."),
        (history([1.0], [1.0]), "So few epochs give no curve to read."),
        (history(FALLING, [None] * 10), NO_VALIDATION),
        (history(FALLING, [math.nan] * 10), NO_VALIDATION),
    ],
    ids=["none", "one epoch", "no validation", "NaN"],
)
def test_what_cannot_be_read_is_said(rows, sentence):
    reading = read_curves(rows)
    assert (reading.verdict, reading.sentence) == ("unknown", sentence)


def test_the_history_file_of_a_run_is_read_back(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,val_loss\n1,0.5,\n2,0.25,0.125\n", encoding="utf-8")
    assert read_history(path) == [
        {"epoch": 1, "loss": 0.5, "val_loss": None},
        {"epoch": 2, "loss": 0.25, "val_loss": 0.125},
    ]


@pytest.mark.parametrize("text", ["epoch,loss\n1,two\n", "epoch\n1,2,3\n"])
def test_another_file_of_that_name_is_refused(tmp_path, text):
    path = tmp_path / "history.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFileError, match=r"history\.csv: not a history of a training"):
        read_history(path)
