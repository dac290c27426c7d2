"""The course: its exercises judge rightly, its notebooks fit them, and its table names only what there is.

`make course` runs the lessons themselves, and the solutions.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from glyphnet.course import EXERCISES, assess, check
from glyphnet.labs import LABS
from glyphnet.labs.lab import load_lab, template_of
from glyphnet.templates import read

COURSE = Path(__file__).parent.parent / "docs" / "course"

ANSWERS: dict[str, tuple[Any, list[Any]]] = {  # a right one, and wrong ones
    "1.1": (2352, [784, 28, "many", True]),
    "1.2": ([0, 0, 0, 1, 0, 0, 0, 0, 0, 0], [[0, 0, 1, 0, 0, 0, 0, 0, 0, 0], 3, [3]]),
    "2.1": (0.1, [0.5, 1.0]),
    "2.2": (1, [0.98]),
    "3.1": (-0.5, [1.5, 0.5]),
    "3.2": ((1, 1, -1.5), [(1, 1, -0.5), (1, 1), (0, 0, 0)]),
    "4.1": (8, [16, -8]),
    "4.2": (0.5, [1, 0.25]),
    "5.1": (lambda a, b: a != b, [lambda a, b: a or b, lambda a, b: a and b, lambda a: a, 1]),
    "5.2": (17, [12, 13, 8]),
    "6.1": (6, [5, 1.5]),
    "6.2": (12.000001, [24, 8]),
    "7.1": (40, [400, 41]),
    "7.2": (" Too High", ["too low", ""]),
    "8.1": ("validation", ["training"]),
    "8.2": (1.25, [0.8, 0.2]),
    "9.1": ([[1, 0, -1]] * 3, [[[1, 1, 1], [0, 0, 0], [-1, -1, -1]], [[1] * 3] * 3, [1, 0, -1], [[0] * 3] * 3]),
    "9.2": (80, [72, 9, 800]),
    "10.1": (0.8, [8 / 12, 8]),
    "10.2": ("no", ["yes"]),
    "11.1": (0.5, [0.9, 20]),
    "11.2": (0.9, [0, 1, 2]),
    "12.1": ("test", ["validation", "train"]),
    "12.2": (["It tells shapes apart."] * 3, [["good"] * 3, [], "It is good."]),
}


def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("course_build", COURSE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_knows_right_from_wrong(name: str) -> None:
    right, wrong = ANSWERS[name]
    assert assess(name, None).right is None
    verdict = assess(name, right)
    assert verdict.right
    assert verdict.sentence == f"{name}: right. {EXERCISES[name].because}"
    for answer in (*wrong, float("nan"), "?", []):
        verdict = assess(name, answer)
        assert verdict.right is False, answer
        assert verdict.sentence.startswith(f"{name}: not yet. ")
        assert len(verdict.sentence) > 30, "a hint helps"


def test_a_frequent_mistake_gets_its_own_hint(capsys: pytest.CaptureFixture[str]) -> None:
    check("1.1", 784)
    assert capsys.readouterr().out == (
        "1.1: not yet. That is a grey picture. A colour pixel has three numbers: red, green and blue.\n"
    )


def test_an_exercise_that_does_not_exist_is_named() -> None:
    with pytest.raises(KeyError, match=r"no exercise '13\.1'\. They are called 1\.1"):
        assess("13.1", 1)


def test_the_lessons_pose_every_exercise_once_each_with_its_solution() -> None:
    course = build()
    posed = [name for lesson in course.LESSONS for name in course.solutions_of(lesson)]
    assert posed == list(EXERCISES)
    assert len(course.LESSONS) == 12


def test_every_lesson_begins_with_a_question_and_a_guess() -> None:
    course = build()
    for number, lesson in enumerate(course.LESSONS, start=1):
        kind, text = course.cells_of(lesson)[0]
        assert (kind, text.startswith(f"# {number} · ")) == ("markdown", True), lesson.name
        assert "*Question of this lesson: " in text
        assert "**Predict first.** " in text


def rows() -> list[list[str]]:
    """The cells of the table of topics: topic, lab, lesson."""
    table = (COURSE / "README.md").read_text(encoding="utf-8").partition("| topic | lab and figure | lesson |")[2]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if line[:2] == "| "]


def test_the_table_of_topics_names_only_labs_figures_and_lessons_that_there_are() -> None:
    table = rows()
    assert len(table) > 35
    named = set()
    for topic, labs, lessons in table:
        assert re.search("`[a-z-]+", labs), topic
        assert "ipynb)" in lessons, topic
        for lab, figure in re.findall(r"`([a-z-]+)(?:/([a-z-]+))?`", labs):
            assert lab in LABS, topic
            named.add(lab)
            template = read(f"labs/{lab.replace('-', '_')}.html")
            shown = {a or b for a, b in re.findall(r'png(?:\.(\w+)|\["([\w-]+)"\])', template)}
            assert not figure or figure in shown, f"{topic}: {lab} shows no {figure}"
        for lesson in re.findall(r"\]\(([\w-]+\.ipynb)\)", lessons):
            assert (COURSE / lesson).exists()
    assert named == set(LABS)
    assert template_of(load_lab("xor")).name == "xor.html", "each lab's page is the template of its name"
