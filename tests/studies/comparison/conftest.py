"""Contestants that misbehave, in a module that child processes can import, and small data."""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glyphnet.data import ImageDataset, Splits
from glyphnet.evaluation import Evaluation
from glyphnet.studies.comparison.comparing import Comparison, Row
from glyphnet.studies.comparison.methods import METHODS

STUBBORN = '''
"""An estimator that does what it is told to, at the stage that it is told."""
import os, signal, sys, time, warnings
import numpy as np

DEEDS = {
    "sleep": lambda: time.sleep(60),
    "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "leave": lambda: (print("no more", file=sys.stderr, flush=True), os._exit(3)),
    "memory": lambda: np.empty(1 << 62, dtype=np.uint8),
    "error": lambda: [].index("first\\nsecond"),
    "print": lambda: print('{"phase": "finished"}', flush=True),
    "warn": lambda: warnings.warn("rather\\nlong", UserWarning),
    "nan": lambda: None,
}

class Stubborn:
    def __init__(self, deed="", at="fit", mark=""):
        self.deed, self.at, self.mark = deed, at, mark

    def fit(self, X, y):
        self.classes = len(np.unique(y))
        if self.mark:
            with open(self.mark, "w") as file:
                file.write(str(os.getpid()))
        self.do("fit")

    def predict_proba(self, X):
        if len(X) > 8:  # not the warming up
            self.do("predict")
        return np.full((len(X), self.classes), np.nan if self.deed == "nan" else 1 / self.classes)

    def do(self, stage):
        if self.deed and self.at == stage:
            DEEDS[self.deed]()


class Peeker:
    """A contestant that tells what it was given to learn from."""

    def fit(self, splits):
        warnings.warn(", ".join(f"{len(part)} {name}" for name, part in splits))

    def predict_proba(self, images):
        return np.full((len(images), 3), 1 / 3)

    def size(self):
        return 1
'''


@pytest.fixture
def stubborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``stubborn(deed, at="fit")`` → an estimator that sleeps, dies, … there."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "stubborn_estimator.py").write_text(textwrap.dedent(STUBBORN))
    monkeypatch.syspath_prepend(folder)
    made: Callable[..., Any] = importlib.import_module("stubborn_estimator").Stubborn
    return made


@pytest.fixture
def small() -> Splits:
    """Three classes of noisy 6×6 images that are told apart easily; 60, 15 and 30 of them."""
    return make_splits()


@pytest.fixture(name="small_splits")
def small_splits_fixture() -> Callable[..., Splits]:
    """`make_splits`, with other classes."""
    return make_splits


def make_splits(classes: int = 3, absent: int | None = None) -> Splits:
    """``absent`` is a class that only the test part has."""
    generator = np.random.default_rng(0)

    def part(name: str, each: int, present: list[int]) -> ImageDataset:
        labels = np.repeat(np.array(present, dtype=np.int64), each)
        images = generator.integers(0, 60, size=(len(labels), 6, 6, 1))
        for row, label in enumerate(labels):
            images[row, label, :] += 150
        names = [f"{name}/{row:03}" for row in range(len(labels))]
        return ImageDataset(images.astype(np.uint8), labels, tuple("abcdef"[:classes]), names)

    everywhere = list(range(classes))
    learned = [label for label in everywhere if label != absent]
    return Splits("small", part("train", 20, learned), part("validation", 5, learned), part("test", 10, everywhere))


@pytest.fixture(name="make_comparison", scope="session")
def make_comparison_fixture() -> Callable[..., Comparison]:
    return make_comparison


def make_comparison(*results: tuple[str, float, float], gone: tuple[str, ...] = ()) -> Comparison:
    """Name, accuracy and seconds of what finished; names of what did not."""
    rows = []
    for name, accuracy, seconds in results:
        right = np.arange(1000) < 1000 * accuracy
        probabilities = np.stack([right, ~right], axis=1).astype(np.float32)
        evaluation = Evaluation(
            np.zeros(1000, dtype=np.int64), probabilities, ("a", "b"), ["x"] * 1000, np.zeros((1000, 2, 2, 1), np.uint8)
        )
        rows.append(Row(name, METHODS[name], "finished", "", evaluation, seconds, 1e-6, 1000))
    rows += [Row(name, METHODS[name], "out of time", "did not finish in 60 s") for name in gone]
    counts = {"train": 1, "validation": 1, "test": 1000}
    return Comparison("things, test part", tuple(rows), counts, 60.0, 0, 2, "cpu", provenance={"hardware": "a machine"})
