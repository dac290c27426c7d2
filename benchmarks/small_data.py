"""Measures how much few labels give: presets and GlyphBase beside an SVM, on the same images.

    python benchmarks/small_data.py DATA ... [--per-class 5 10] [--draws 5] [--methods svm balanced] [--record]

DATA are names or paths of data sets with a test part. Of each class so many training images are drawn at random; no
others are seen, and there is no validation part. `svm` is scikit-learn's RBF-SVM on pixels from 0 to 1 with C 10 and
gamma "scale". All draws and methods are judged on the same test images, at most 2,000 of them, which choose nothing.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _results import arguments_parser, mean_and_spread, publish
from sklearn.svm import SVC

from glyphnet import ImageDataset, Splits, load, train

MOST_TESTED = 2000


def svm(splits: Splits, seed: int) -> np.ndarray:
    """Its answers to the test images."""
    machine = SVC(C=10, gamma="scale", random_state=seed)
    machine.fit(splits.train.images.reshape(len(splits.train), -1) / 255, splits.train.labels)
    return np.asarray(machine.predict(splits.test.images.reshape(len(splits.test), -1) / 255))


def ours(preset: str, **changes: object) -> Callable[[Splits, int], np.ndarray]:
    """The answers of a preset."""

    def answers(splits: Splits, seed: int) -> np.ndarray:
        run = train(splits, preset=preset, changes={**changes, "seed": seed})
        assert run.evaluation is not None
        return np.asarray(run.evaluation.predictions)

    return answers


METHODS = {
    "svm": svm,
    "fast": ours("fast"),
    "balanced": ours("balanced"),
    "glyphbase": ours("balanced", backbone="glyphbase"),
    "glyphbase, last layer": ours("balanced", backbone="glyphbase", epochs=1),
}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("data", nargs="+", metavar="DATA")
    parser.add_argument("--per-class", type=int, nargs="+", default=[5, 10, 20, 50, 100])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["svm", "balanced", "glyphbase"])
    parser.add_argument("--backbone", type=Path, metavar="FILE", help="a backbone for the methods of GlyphBase instead")
    parser.add_argument("--size", type=int, help="pixels of a side; GlyphBase reads 28")
    given = parser.parse_args()
    if given.backbone is not None:
        METHODS["glyphbase"] = ours("balanced", backbone=str(given.backbone))
        METHODS["glyphbase, last layer"] = ours("balanced", backbone=str(given.backbone), epochs=1)
    lines = ["| data | images a class | method | test accuracy, % | n | seconds, median |", "|---|---|---|---|---|---|"]
    for data in given.data:
        whole = load(data, **({"size": given.size} if given.size else {}))
        for many in given.per_class:
            if np.bincount(whole.train.labels).min() < many:
                continue
            lines += measure(whole, many, given.draws, given.methods)
    publish("small-data", lines, recorded=given.record)


def measure(whole: Splits, many: int, draws: int, methods: list[str]) -> list[str]:
    """The rows of a data set and a number of images."""
    found: dict[str, list[float]] = {name: [] for name in methods}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for draw in range(draws):
        splits = drawn(whole, many, draw)
        for name in methods:
            began = time.monotonic()
            answers = METHODS[name](splits, draw)
            seconds[name].append(time.monotonic() - began)
            found[name].append(100 * float((answers == splits.test.labels).mean()))
    lines = []
    for name in methods:
        took = statistics.median(seconds[name])
        lines.append(f"| {whole.name} | {many} | {name} | {mean_and_spread(found[name])} | {draws} | {took:.1f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def drawn(whole: Splits, many: int, seed: int) -> Splits:
    """So many training images of each class, no validation images, and the first test images in a fixed order."""
    generator = np.random.default_rng(seed)
    classes = range(len(whole.classes))
    labels = np.concatenate([whole.train.labels, whole.validation.labels])
    rows = np.concatenate([generator.choice(np.flatnonzero(labels == each), many, replace=False) for each in classes])
    images = np.concatenate([whole.train.images, whole.validation.images])[rows]
    few = ImageDataset(images, labels[rows], whole.classes, [f"{seed}/{row}" for row in rows])
    tested = np.random.default_rng(0).permutation(len(whole.test))[:MOST_TESTED]
    return Splits(whole.name, few, few.subset(np.arange(0)), whole.test.subset(tested))


if __name__ == "__main__":
    main()
