"""Measures what a backbone brings on photographs: EfficientNet-Lite0 beside a network from random weights.

    python benchmarks/backbone.py DATA ... [--seeds 3] [--record]

DATA are paths of data sets with a test part. Rows of each: the preset `balanced`; the backbone with its last layer
fitted (``epochs=1``); with all weights tuned; and scikit-learn's logistic regression on the same features, with the
strength that is best on the validation images. The test images choose nothing. Seconds are those of training, with
features; scikit-learn's are without.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from _results import arguments_parser, mean_and_spread, publish
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from glyphnet import Classifier, load, train
from glyphnet.evaluation import wilson
from glyphnet.training import DataSettings

BACKBONE = "efficientnet-lite0"
ROWS = {
    "balanced, random weights": {},
    "backbone, last layer": {"backbone": BACKBONE, "epochs": 1},
    "backbone, tuned": {"backbone": BACKBONE},
}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("data", nargs="+", metavar="DATA")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    lines = ["| data | size | method | test accuracy | n | seconds, median |", "|---|---|---|---|---|---|"]
    for data in arguments.data:
        lines += measure(data, arguments.seeds)
    publish("backbone", lines, recorded=arguments.record)


def measure(data: str, seeds: int) -> list[str]:
    """The rows of a data set."""
    lines = []
    fitted: Classifier | None = None
    for method, changes in ROWS.items():
        accuracies, seconds = [], []
        for seed in range(1 if changes.get("epochs") == 1 else seeds):  # the last layer is fitted without chance
            run = train(data, changes={**changes, "seed": seed})
            assert run.evaluation is not None
            assert run.classifier is not None
            accuracies.append(100 * run.evaluation.accuracy)
            seconds.append(run.seconds)
            if changes.get("epochs") == 1:
                fitted = run.classifier
        lines.append(
            row(data, run.classifier, method, accuracies, statistics.median(seconds), len(run.evaluation.labels))
        )
    assert fitted is not None
    accuracy, took, images = regression(data, fitted)
    lines.append(row(data, fitted, "backbone's features, scikit-learn", [accuracy], took, images))
    return lines


def row(data: str, model: Classifier, method: str, accuracies: list[float], seconds: float, images: int) -> str:
    """A line of the table; of a single run with the interval of its images."""
    size = "×".join(map(str, model.input_shape))
    if len(accuracies) > 1:
        figure = f"{mean_and_spread(accuracies)} %"
    else:
        interval = wilson(round(accuracies[0] * images / 100), images)
        low, high = (100 * each for each in (interval.low, interval.high))
        figure = f"{accuracies[0]:.2f} % ({low:.1f} to {high:.1f}, {images} images)"
    line = f"| {Path(data).name} | {size} | {method} | {figure} | {len(accuracies)} | {seconds:.0f} |"
    print(line, file=sys.stderr, flush=True)
    return line


def regression(data: str, model: Classifier) -> tuple[float, float, int]:
    """Logistic regression's accuracy on the test images in per cent, its seconds without the features, the images."""
    height, width, channels = model.input_shape
    splits = load(DataSettings(source=data, size=(height, width), color="grey" if channels == 1 else "rgb"))
    features = [model.features(part.images, as_is=True) for _, part in splits]
    labels = [part.labels for _, part in splits]
    began = time.perf_counter()
    scaled = StandardScaler().fit(features[0])
    found = [
        LogisticRegression(C=strength, max_iter=500).fit(scaled.transform(features[0]), labels[0])
        for strength in (1e-4, 1e-3, 1e-2)
    ]
    best = max(found, key=lambda each: each.score(scaled.transform(features[1]), labels[1]))
    took = time.perf_counter() - began
    return 100 * best.score(scaled.transform(features[2]), labels[2]), took, len(labels[2])


if __name__ == "__main__":
    main()
