"""Evaluations to report, and the report opened in a browser."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from glyphnet import train
from glyphnet.classifier import Classifier
from glyphnet.data import Splits
from glyphnet.evaluation import Evaluation
from glyphnet.report import write_report


def make_evaluation(count=400, classes=tuple("0123456789"), shape=(12, 10, 1), seed=0, skill=3.0):
    """A classifier of some skill on random images; every image is different."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(len(classes), size=count)
    logits = generator.normal(size=(count, len(classes)))
    logits[np.arange(count), labels] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Evaluation(
        labels=labels.astype(np.int64),
        probabilities=probabilities.astype(np.float32),
        classes=tuple(classes),
        names=[f"test/{row:05}" for row in range(count)],
        images=generator.integers(256, size=(count, *shape), dtype=np.uint8),
        data="random, test part",
    )


@pytest.fixture(name="make_evaluation", scope="session")
def make_evaluation_fixture():
    return make_evaluation


@dataclass(frozen=True)
class Judged:
    """A trained classifier, its data, and what it makes of the test part."""

    classifier: Classifier
    splits: Splits
    evaluation: Evaluation


@pytest.fixture(scope="session")
def digits():
    """A linear classifier of the digits, after a few epochs: it makes mistakes."""
    run = train("digits", preset="fast", changes={"network": "linear", "epochs": 3})
    return Judged(run.classifier, run.splits, run.evaluation)


@pytest.fixture
def open_report(open_page, tmp_path: Path):
    """Write a report and open it: ``open_report(evaluation, scheme="dark", width=390, **parts)``."""
    count = itertools.count()

    def opened(evaluation, *, scheme="light", width=1280, address="", context=None, **parts):
        path = tmp_path / f"report-{next(count)}.html"
        write_report(path, evaluation, **parts)
        return open_page(path, scheme=scheme, width=width, address=address, ready="html[data-ready]", **(context or {}))

    return opened
