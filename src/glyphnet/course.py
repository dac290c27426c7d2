"""The exercises of the course in ``docs/course``, and the function that checks their answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

Test: TypeAlias = Callable[[Any], bool]


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        right: whether an answer is right.
        because: said of a right answer.
        hint: said of a wrong one.
        mistakes: frequent wrong answers, each with a hint of its own.
    """

    right: Test
    because: str
    hint: str
    mistakes: tuple[tuple[Test, str], ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right (None: there is no answer yet), and what to say of it."""

    right: bool | None
    sentence: str


def assess(name: str, answer: object) -> Verdict:
    """Judge the answer to the exercise ``name``, such as "3.1"; KeyError if there is none of that name."""
    if name not in EXERCISES:
        raise KeyError(f"There is no exercise {name!r}. They are called {', '.join(EXERCISES)}.")
    exercise = EXERCISES[name]
    if answer is None or answer is ...:
        return Verdict(None, f"{name}: no answer yet. Put yours in place of None, and run the cell again.")
    if _holds(exercise.right, answer):
        return Verdict(True, f"{name}: right. {exercise.because}")
    hint = next((hint for test, hint in exercise.mistakes if _holds(test, answer)), exercise.hint)
    return Verdict(False, f"{name}: not yet. {hint}")


def check(name: str, answer: object) -> None:
    """Print whether the answer to an exercise is right; of a wrong one, a hint."""
    print(assess(name, answer).sentence)


def _holds(test: Test, answer: object) -> bool:
    try:
        return bool(test(answer))
    except Exception:  # an answer may be anything, a function that fails too; it is a wrong one then
        return False


def near(value: float, within: float = 0.0) -> Test:
    """A number, no further from ``value`` than ``within``."""
    return lambda answer: not isinstance(answer, bool) and abs(float(answer) - value) <= within + 1e-9


def one_of(*values: str) -> Test:
    """A word, in capitals or not."""
    return lambda answer: isinstance(answer, str) and answer.strip().lower() in values


def _xor(answer: Any) -> bool:
    """A function of two inputs that answers 1 where just one of them is 1."""
    return all((float(answer(a, b)) > 0.5) == (a != b) for a in (0, 1) for b in (0, 1))


def _finds_vertical_edges(answer: Any) -> bool:
    """A filter of 3×3 that is silent on flat areas and horizontal edges, and answers to a vertical edge."""
    import numpy as np

    filter_ = np.asarray(answer, dtype=float)
    vertical = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 1]])
    even, horizontal = np.ones((3, 3)), vertical.T
    silent = all(abs((filter_ * patch).sum()) < 1e-9 for patch in (even, horizontal))
    return filter_.shape == (3, 3) and silent and abs((filter_ * vertical).sum()) > 1e-9


EXERCISES = {
    "1.1": Exercise(
        near(2352),
        "28 rows × 28 columns × 3 colours.",
        "Count the rows, the columns, and the numbers that each pixel of a colour picture needs.",
        ((near(784), "That is a grey picture. A colour pixel has three numbers: red, green and blue."),),
    ),
    "1.2": Exercise(
        lambda row: list(map(int, row)) == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        "Ten places, and a single 1, in the place of class 3.",
        "Write ten numbers: 1 in the place of the right class, 0 everywhere else.",
        (
            (
                lambda row: list(map(int, row)) == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
                "The first place belongs to class 0: count from zero.",
            ),
        ),
    ),
    "2.1": Exercise(
        near(0.1, 0.02),
        "One class in ten: about 10 %.",
        "All ten digits are about equally frequent. How often does one of them come up?",
    ),
    "2.2": Exercise(
        near(1.0),
        "Each picture finds itself, at distance 0. So this figure says nothing.",
        "Which training picture is nearest to a training picture?",
    ),
    "3.1": Exercise(
        near(-0.5),
        "2 · 1 + (−1) · 0.5 + (−2) = −0.5, so the neuron is more off than on.",
        "Multiply each input by its weight, add the products, then add the bias.",
        ((near(1.5), "You left out the bias."),),
    ),
    "3.2": Exercise(
        lambda given: all(
            (given[0] * a + given[1] * b + given[2] > 0) == bool(a and b) for a in (0, 1) for b in (0, 1)
        ),
        "Only when both inputs are 1 does the sum pass zero.",
        "Start with the weights 1 and 1. With both inputs on, the sum is 2; with one on, 1. Put the bias between.",
        (
            (
                lambda given: all(
                    (given[0] * a + given[1] * b + given[2] > 0) == bool(a or b) for a in (0, 1) for b in (0, 1)
                ),
                "That is OR. Make the bias more negative, so that one input alone is not enough.",
            ),
        ),
    ),
    "4.1": Exercise(
        near(8.0),
        "2 · (7 − 3) = 8: uphill is to the right, so go left.",
        "Put w = 7 into the slope 2 · (w − 3).",
        ((near(16.0), "That is the height at 7. The slope is asked for."),),
    ),
    "4.2": Exercise(
        lambda rate: 0.4 < float(rate) < 0.6,
        "With 0.5 one step lands on the bottom. No other bowl has the same best rate.",
        "A step goes from w to w − rate · 2 · (w − 3). For which rate is that 3, whatever w was?",
    ),
    "5.1": Exercise(
        _xor,
        "OR, but not AND: two hidden neurons, and a third that combines them.",
        "Use OR and AND as hidden neurons. XOR is on where OR is on and AND is off.",
    ),
    "5.2": Exercise(
        near(17),
        "4 × 2 weights and 4 biases, then 4 weights and 1 bias.",
        "Each hidden neuron has two weights and a bias. The output has one weight for each hidden neuron, and a bias.",
        ((near(12), "Do not forget the biases."), (near(13), "That is the network with 3 hidden neurons.")),
    ),
    "6.1": Exercise(
        near(6.0),
        "The slopes along the path are multiplied: 3 · 2.",
        "If y grows 3 times as fast as x, and z twice as fast as y, how fast does z grow with x?",
        ((near(5.0), "Slopes along a path are multiplied, not added."),),
    ),
    "6.2": Exercise(
        near(12.0, 0.01),
        "3 · w² at w = 2 is 12.",
        "Compute (f(w + h) − f(w − h)) / (2 · h) with f(w) = w³, w = 2 and a small h, such as 0.001.",
        ((near(24.0, 0.1), "Divide by 2 · h: the two points are 2 · h apart."),),
    ),
    "7.1": Exercise(
        near(40),
        "1,280 / 32 = 40 steps.",
        "How many batches of 32 are there in 1,280 pictures?",
        ((near(400), "That is ten epochs. How many steps are in one?"),),
    ),
    "7.2": Exercise(
        one_of("too high", "high", "b"),
        "The cost jumps about or grows: the steps are longer than the valley is wide.",
        'Write "too high" or "too low": think of the ball in the bowl that jumped from wall to wall.',
    ),
    "8.1": Exercise(
        one_of("validation"),
        "The training loss falls in any case. Only pictures that were not trained on show when to stop.",
        'Which curve turns up first when a network begins to memorise: "training" or "validation"?',
    ),
    "8.2": Exercise(
        near(1.25, 0.001),
        "1 / (1 − 0.2): the sum stays the same on average.",
        "A fifth of the units is off, so four fifths remain. By what must they be multiplied to replace all?",
        ((near(0.8, 0.001), "The other way round: fewer units must be louder, not softer."),),
    ),
    "9.1": Exercise(
        _finds_vertical_edges,
        "The left and the right column cancel out on anything that does not change sideways.",
        "Let each row of the filter add up to 0, with a negative weight on one side and a positive one on the other.",
    ),
    "9.2": Exercise(
        near(80),
        "8 filters × (9 weights + 1 bias).",
        "Each of 8 filters has 3×3 weights and one bias, however large the picture is.",
        ((near(72), "Each filter also has a bias."), (near(9), "That is a single filter without its bias.")),
    ),
    "10.1": Exercise(
        near(0.8, 0.001),
        "8 of 10 alarms were right.",
        "Precision asks about the alarms: how many of all alarms were right?",
        ((near(2 / 3, 0.01), "That is the recall: the share of the faulty parts that were found."),),
    ),
    "10.2": Exercise(
        one_of("no"),
        "The two intervals overlap widely: with 100 pictures each, 3 points are within luck.",
        'Compare the intervals, and write "yes" or "no".',
    ),
    "11.1": Exercise(
        near(0.5, 0.001),
        "Of the answers with 90 % confidence, nine in ten should be right; here only half are.",
        "How many of its answers were right? Compare that share with the confidence.",
    ),
    "11.2": Exercise(
        lambda threshold: 0.55 <= float(threshold) <= 0.999,
        "Above chance and below certainty: where exactly depends on what a mistake costs.",
        "A threshold of 0 rejects nothing, and of 1 nearly everything.",
    ),
    "12.1": Exercise(
        one_of("test"),
        "The test part is looked at once, at the end. What chooses on it makes its figure too good.",
        'Which part must choose nothing: "train", "validation" or "test"?',
    ),
    "12.2": Exercise(
        lambda facts: len(facts) >= 3 and all(isinstance(each, str) and len(each.split()) >= 3 for each in facts),
        "Three facts with substance: whoever gets the model can now judge whether it suits them.",
        "Give a list of at least three sentences: for what it is, what it was trained on, and where it fails.",
    ),
}
"""Name → exercise. The lessons pose them, one after another."""
