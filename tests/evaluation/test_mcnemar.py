"""The paired test: against the binomial by hand, Newcombe's interval against published examples, the sentences."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from glyphnet.evaluation.intervals import Paired, holm, paired


def by_hand(only_a: int, only_b: int) -> float:
    """Twice the chance of so few heads, or fewer, in as many throws of a fair coin; 1 at most."""
    throws, fewer = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(comb(throws, heads) for heads in range(fewer + 1)) / 2**throws)


@pytest.mark.parametrize("only_a", range(13))
@pytest.mark.parametrize("only_b", [0, 1, 5, 12, 40])
def test_the_p_value_is_the_exact_binomial_one(only_a: int, only_b: int) -> None:
    assert Paired(100, only_a, only_b, 3).p_value == pytest.approx(by_hand(only_a, only_b), rel=1e-12)


def test_images_on_which_both_are_right_or_wrong_change_no_p_value() -> None:
    assert Paired(0, 9, 1, 0).p_value == Paired(9000, 9, 1, 500).p_value == pytest.approx(22 / 1024)


@pytest.mark.parametrize(
    ("counts", "difference"),
    [
        # Fagerland, Lydersen and Laake, "Statistical Analysis of Contingency Tables" (2017), chapter 8: the
        # examples of Cavo et al. (2012) and Bentur et al. (2009), as its R package contingencytables gives them.
        ((59, 6, 16, 80), (-0.0621, -0.1186, -0.0046)),
        ((1, 1, 7, 12), (-0.2857, -0.5069, -0.0256)),
    ],
)
def test_newcombes_interval_is_that_of_published_examples(
    counts: tuple[int, int, int, int], difference: tuple[float, float, float]
) -> None:
    found = Paired(*counts).difference
    assert found.interval is not None
    assert (found.value, found.interval.low, found.interval.high) == pytest.approx(difference, abs=5e-5)
    assert found.n == sum(counts)


def test_the_interval_holds_the_difference_and_turns_round_with_the_two() -> None:
    generator = np.random.default_rng(0)
    tables = [*generator.integers(0, 30, size=(200, 4)).tolist(), [5, 0, 0, 0], [0, 4, 0, 0], [0, 0, 0, 3]]
    for a, b, c, d in tables:
        if not a + b + c + d:
            continue
        found, turned = Paired(a, b, c, d).difference, Paired(a, c, b, d).difference
        assert found.interval is not None
        assert turned.interval is not None
        assert -1 <= found.interval.low <= found.value <= found.interval.high <= 1, (a, b, c, d)
        assert (turned.value, turned.interval.low, turned.interval.high) == pytest.approx(
            (-found.value, -found.interval.high, -found.interval.low), abs=1e-12
        )


def test_the_accuracies_are_those_of_each() -> None:
    found = paired([True, True, True, False], [True, False, False, False])
    assert found == Paired(both_right=1, only_a=2, only_b=0, both_wrong=1)
    assert (found.accuracy_a.value, found.accuracy_b.value, found.n) == (0.75, 0.25, 4)


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (
            (900, 60, 20, 20),
            "old is better than new on 1,000 images: 96.00 against 92.00 %, 4.00 points apart "
            "(95 % interval 2.27 to 5.82; McNemar's exact test, p < 0.001).",
        ),
        (
            (900, 20, 60, 20),
            "new is better than old on 1,000 images: 96.00 against 92.00 %, 4.00 points apart "
            "(95 % interval 2.27 to 5.82; McNemar's exact test, p < 0.001).",
        ),
        (
            (95, 2, 3, 0),
            "new and old cannot be told apart on 100 images: 98.00 against 97.00 %, 1.00 points apart "
            "(95 % interval −4.42 to 6.68; McNemar's exact test, p = 1.00).",
        ),
    ],
)
def test_the_sentence_names_the_better_only_where_the_test_does(
    counts: tuple[int, int, int, int], sentence: str
) -> None:
    assert Paired(*counts).sentence("old", "new") == sentence


def test_the_sentence_goes_by_the_level_of_five_per_cent() -> None:
    """5 against 0 is p = 0.0625, 6 against 0 is p = 0.03125."""
    assert "cannot be told apart" in Paired(50, 5, 0, 5).sentence("A", "B")
    assert Paired(50, 6, 0, 5).sentence("A", "B").startswith("A is better than B on 61 images: ")


def test_no_images_or_not_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="counts no images: there must be some"):
        paired([], [])
    with pytest.raises(ValueError, match=r"Answers of shape \(2,\) and \(3,\) are not on the same images"):
        paired([True, False], [True, False, True])


def test_holms_p_values_by_hand() -> None:
    """Sorted 0.01, 0.03, 0.04, times 3, 2, 1: 0.03, 0.06, and 0.04, which may not be less than the one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
