"""One way to predict, in a process of its own: started by prediction.py, which it answers turn by turn."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np
from _predictors import WAYS, Predict
from _turns import Turns
from _works import UInt8Array

ONE_IMAGE_TIMES = 300


def main() -> None:
    way, model, where = sys.argv[1:]
    folder, turns = Path(where), Turns()
    images, ours = np.load(folder / "images.npy"), np.load(folder / f"{model}-labels.npy")
    predict = WAYS[way].load(folder, model)
    one(predict, images)
    predict(images)
    turns.tell()
    while True:
        milliseconds = one(predict, images)
        began = time.perf_counter()
        labels = predict(images)
        many = len(images) / (time.perf_counter() - began)
        turns.tell(one=milliseconds, many=many, agreed=float((labels == ours).mean()))


def one(predict: Predict, images: UInt8Array) -> float:
    """Milliseconds for one image: the median."""
    took = []
    for number in range(ONE_IMAGE_TIMES):
        image = images[number % len(images)][None]
        began = time.perf_counter()
        predict(image)
        took.append(time.perf_counter() - began)
    return 1000 * statistics.median(took)


if __name__ == "__main__":
    main()
