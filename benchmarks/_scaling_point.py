"""One training and one prediction of a given size, in a process of its own: started by scaling.py, which reads JSON."""

from __future__ import annotations

import argparse
import json
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from glyphnet import Classifier, preset
from glyphnet.training import Examples, fit

POLL = 0.01
"""Seconds between two looks at the memory."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="uint8 (N, H, W, C), .npy; mapped, never read whole")
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    arguments = parser.parse_args()
    images = np.load(arguments.images, mmap_mode="r")
    labels = np.random.default_rng(0).integers(arguments.classes, size=len(images))
    recipe = preset("fast", images.shape[1:], len(images), arguments.classes)
    recipe = recipe.override({"epochs": 1, "batch_size": arguments.batch})
    few = min(len(images), 2 * arguments.batch)
    fit(recipe, Examples.of(images[:few], labels[:few]), classes=arguments.classes)  # what only the first one does
    with watching_memory() as memory:
        began = time.perf_counter()
        result = fit(recipe, Examples.of(images, labels), classes=arguments.classes)
        trained = time.perf_counter() - began
        names = tuple(map(str, range(arguments.classes)))
        classifier = Classifier(result.network, recipe.network, images.shape[1:], names, result.preprocessing)
        began = time.perf_counter()
        classifier.predict_labels(images, as_is=True)
        predicted = time.perf_counter() - began
    most = told_by_kernel("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"train": trained, "predict": predicted, "own": memory[0] or most, "resident": most}))


@contextmanager
def watching_memory() -> Iterator[list[int]]:
    """A list of one number: the most bytes of its own that the process had meanwhile; 0 where that is not told.

    Its own is anonymous memory. Pages of a mapped file are resident, too, but the kernel takes them back at will.
    """
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(POLL):
            most[0] = max(most[0], told_by_kernel("RssAnon"))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def told_by_kernel(name: str) -> int:
    """Bytes that Linux tells of this process by this name; 0 elsewhere.

    Not `getrusage` there: its peak counts what the parent had when it started this process. On macOS it does not.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


if __name__ == "__main__":
    main()
