# ruff: noqa: N803, N806  # X, Y, W1: the names of the formulas
"""Times an epoch of the network from scratch beside the same formulas written down plainly, on the known run.

    python benchmarks/scratch.py [--epochs 20] [--full] [--record]

The known run: MNIST, 60,000 images, pixels 0 to 255 as they are, 50 hidden units, 50 mini-batches, l2 0.1, learning
rate 0.001, momentum 0.001, decay 0.00001, cumulative as in the known code. MNIST is found in $GLYPHNET_DATA or
downloaded. The codes take turns, an epoch each (A B C A B C …), so that a machine that changes its speed decides
nothing; the first turn does not count.

``--full`` also trains for all 1,000 epochs, in each precision and with the decay as documented, and judges the final
weights on the test images.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from _results import arguments_parser, publish
from scipy.special import expit

from glyphnet import load
from glyphnet.evaluation.intervals import wilson
from glyphnet.labs.scratch import HIDDEN, KNOWN, SEED
from glyphnet.scratch import NeuralNetMLP
from glyphnet.scratch.network import descend, random_weights

EPOCHS = 1000
Array = np.ndarray[Any, Any]


class Plain:
    """The formulas as one first writes them: bias units are rows and columns of ones, and everything is made anew."""

    def __init__(self, X: Array, labels: Array) -> None:
        self.generator = np.random.default_rng(SEED)
        self.X, self.Y = X, np.eye(labels.max() + 1)[labels].T.copy()
        self.W1 = self.generator.uniform(-1, 1, (HIDDEN, X.shape[1] + 1))
        self.W2 = self.generator.uniform(-1, 1, (len(self.Y), HIDDEN + 1))
        self.step1, self.step2 = np.zeros_like(self.W1), np.zeros_like(self.W2)
        self.cost: list[float] = []
        self.rate, self.done = KNOWN["learning_rate"], 0

    def epoch(self) -> None:
        self.rate /= 1 + self.done * KNOWN["decay"]
        order = self.generator.permutation(len(self.X))
        X, Y = self.X[order], self.Y[:, order]
        for rows in np.array_split(np.arange(len(X)), KNOWN["minibatches"]):
            self.learn(X[rows], Y[:, rows], self.rate)
        self.done += 1

    def learn(self, X: Array, Y: Array, rate: float) -> None:
        l1, l2 = KNOWN["l1"], KNOWN["l2"]
        a1 = np.ones((len(X), X.shape[1] + 1))
        a1[:, 1:] = X
        z2 = self.W1.dot(a1.T)
        a2 = with_row_of_ones(expit(z2))
        a3 = expit(self.W2.dot(a2))
        w1, w2 = self.W1[:, 1:], self.W2[:, 1:]
        cost = np.sum(-Y * np.log(a3) - (1 - Y) * np.log(1 - a3))
        cost += l2 / 2 * (np.sum(w1**2) + np.sum(w2**2)) + l1 / 2 * (np.abs(w1).sum() + np.abs(w2).sum())
        self.cost.append(float(cost))
        delta3 = a3 - Y
        z2 = with_row_of_ones(z2)
        delta2 = (self.W2.T.dot(delta3) * (expit(z2) * (1 - expit(z2))))[1:]
        gradient1, gradient2 = delta2.dot(a1), delta3.dot(a2.T)
        gradient1[:, 1:] += l2 * w1 + l1 / 2 * np.sign(w1)
        gradient2[:, 1:] += l2 * w2 + l1 / 2 * np.sign(w2)
        self.step1 = KNOWN["momentum"] * self.step1 - rate * gradient1
        self.step2 = KNOWN["momentum"] * self.step2 - rate * gradient2
        self.W1 += self.step1
        self.W2 += self.step2


def with_row_of_ones(array: Array) -> Array:
    taller = np.ones((array.shape[0] + 1, array.shape[1]))
    taller[1:] = array
    return taller


def ours(X: Array, labels: Array, dtype: str) -> Callable[[], object]:
    """An epoch of `glyphnet.scratch` at each call."""
    generator = np.random.default_rng(SEED)
    sizes = (X.shape[1], HIDDEN, int(labels.max()) + 1)
    flat = random_weights(sizes, generator).astype(dtype)
    return lambda: descend(flat, sizes, X, labels, generator, lambda steps: None, **KNOWN, epochs=1)


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    splits = load("mnist", validation_fraction=0)
    (X, labels), (X_test, labels_test) = (
        (part.images.reshape(len(part), -1), part.labels) for part in (splits.train, splits.test)
    )
    lines = [
        f"scipy {scipy.__version__}; {X.shape[0]:,} × {X.shape[1]}; "
        f"OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}.",
        "",
        *measure(X, labels, arguments.epochs),
    ]
    if arguments.full:
        lines += ["", *train(X, labels, X_test, labels_test)]
    publish("scratch", lines, recorded=arguments.record)


def measure(X: Array, labels: Array, epochs: int) -> list[str]:
    codes: dict[str, Callable[[], object]] = {
        "plain, float64": Plain(X, labels).epoch,
        "glyphnet.scratch, float64": ours(X, labels, "float64"),
        "glyphnet.scratch, float32": ours(X, labels, "float32"),
    }
    times: dict[str, list[float]] = {name: [] for name in codes}
    for turn in range(epochs + 1):
        for name, epoch in codes.items():
            began = time.perf_counter()
            with np.errstate(all="ignore"):  # the plain code takes logarithms of 0
                epoch()
            if turn:
                times[name].append(time.perf_counter() - began)
    plain = statistics.median(times["plain, float64"])
    return ["| an epoch | seconds, median (least to most) | n | share of the plain code's |", "|---|---|---|---|"] + [
        f"| {name} | {statistics.median(took):.3f} ({min(took):.3f} to {max(took):.3f}) | {len(took)} "
        f"| {100 * statistics.median(took) / plain:.0f} % |"
        for name, took in times.items()
    ]


def train(X: Array, labels: Array, X_test: Array, labels_test: Array) -> list[str]:
    lines = ["| 1,000 epochs | training accuracy | test accuracy [95 % interval] | minutes |", "|---|---|---|---|"]
    for dtype, cumulative in (("float64", True), ("float32", True), ("float32", False)):
        settings = {**KNOWN, "cumulative_decay": cumulative, "dtype": dtype}
        net = NeuralNetMLP(HIDDEN, **settings, epochs=EPOCHS, random_state=SEED, verbose=50)
        began = time.perf_counter()
        net.fit(X, labels)
        minutes = (time.perf_counter() - began) / 60
        right = int((net.predict(X_test) == labels_test).sum())
        sure = wilson(right, len(labels_test))
        lines.append(
            f"| {dtype}, decay {'cumulative' if cumulative else 'as documented'} | {100 * net.score(X, labels):.2f} % "
            f"| {100 * right / len(labels_test):.2f} % [{100 * sure.low:.2f}, {100 * sure.high:.2f}] | {minutes:.1f} |"
        )
    return lines


if __name__ == "__main__":
    main()
