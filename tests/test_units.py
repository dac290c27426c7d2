"""Numbers, lists and errors are worded in one place, and never rounded into a claim."""

import pytest

from glyphnet import units
from glyphnet.errors import DataError
from glyphnet.evaluation.intervals import Interval


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.9873, 1, "98.7 %"),
        (1, 1, "100.0 %"),
        (0.9999, 1, ">99.9 %"),
        (0.99999, 2, ">99.99 %"),
        (0.00001, 1, "<0.1 %"),
        (0, 1, "0.0 %"),
        (0.004, 0, "<1 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share, digits, text):
    assert units.percent(share, digits) == text


def test_on_a_page_the_space_never_breaks():
    assert units.percent(0.5, 0, units.THIN) == "50\u202f%"


def test_an_interval_and_an_accuracy_name_both_ends():
    found = Interval(0.95, 0.985)
    assert units.interval_text(found) == "95 % interval 95.00 to 98.50 %"
    assert units.accuracy(0.9722, found) == "97.22 % (95.0–98.5)"


@pytest.mark.parametrize(("value", "text"), [(0.0004, "p < 0.001"), (0.0123, "p = 0.012"), (0.31, "p = 0.31")])
def test_a_p_value_has_the_digits_that_matter(value, text):
    assert units.p_value(value) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (1200, "1,200 images")])
def test_a_count_has_its_noun(count, text):
    assert units.plural(count, "image") == text
    assert units.plural(2, "class", "classes") == "2 classes"


def test_a_list_is_cut_and_the_rest_is_counted():
    assert units.listed(["a", "b"]) == "'a', 'b'"
    assert units.listed([str(n) for n in range(1203)], 2) == "'0', '1' and 1,201 more"
    assert len(units.listed(["x" * 1000])) < 50
    assert units.joined(["a"]) == "a"
    assert units.joined(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.000048, "48.0 µs"), (0.0123, "12.3 ms"), (12.34, "12.3 s"), (599.0, "599 s"), (720.0, "12 min")],
)
def test_a_duration_has_three_digits(seconds, text):
    assert units.duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (89.4, "89 s"), (185, "3 min 05 s")])
def test_a_time_to_wait_has_whole_seconds(seconds, text):
    assert units.clock(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(7, "7 B"), (999, "999 B"), (310_000, "310 kB"), (999_600, "1.00 MB"), (1_230_000, "1.23 MB")]
)
def test_bytes_have_three_digits(count, text):
    assert units.size(count) == text


def test_an_error_is_one_short_line():
    assert units.first_line(ValueError("\n  bad   value.\nmore")) == "bad value"
    assert units.first_line(ValueError()) == "ValueError"
    assert len(units.first_line(ValueError("x" * 1000))) == 200
    assert units.reason(DataError("what: the remedy.")) == "what: the remedy."
    assert units.reason(MemoryError()) == "not enough memory"
    assert units.reason(KeyError("a")) == "KeyError: 'a'"
    assert units.reason(RuntimeError()) == "RuntimeError"


def test_a_table_has_aligned_columns_and_no_trailing_spaces():
    rows = [("name", "n", "what"), ("a", "1,000", "x"), ("long name", "7", "")]
    assert list(units.table(rows, left=(0, 2))) == ["name           n  what", "a          1,000  x", "long name      7"]
