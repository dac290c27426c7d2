"""Measures what a preset's augmentations for a kind of picture are worth, on sets of each kind.

    python benchmarks/kinds.py [SET ...] [--preset fast] [--runs 5] [--images N] [--record]

Sets: see SETS; all unless named. They are found in $GLYPHNET_DATA. Each run divides the training and validation images
anew (a fifth judges, 5,000 at most; the test images are not touched), trains with the preset for evenly lit objects and
with that for the kind that the images are found to be, in turn (A B B A), and judges both on the same images: as they
are, and in another light (contrast times 0.5 to 1.4, brightness by up to 60 levels either way, of each image its own).
A set of evenly lit objects is only looked at: its preset is the same. ``--images`` takes so many images to train with.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _results import arguments_parser, publish
from scipy import stats

from glyphnet import Splits, load, preset
from glyphnet.data.ink import look_at
from glyphnet.runs.mirrored import ask_mirrored
from glyphnet.training import Examples, Fitting, Pictures, validate

UInt8Array = npt.NDArray[np.uint8]

SETS = {
    "digits": "digits", "semeion": "semeion", "omniglot": "omniglot/images_background_small1.zip", "mnist": "mnist",
    "fashion": "fashion-mnist", "cifar10": "cifar10", "flowers": "flowers", "steel": "steel-defects",
}  # fmt: skip
NAMED = ("digits", "mnist", "fashion-mnist")
MOST = 5_000  # images that judge


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("sets", nargs="*", choices=[[], *SETS], default=[], metavar="SET")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int)
    arguments = parser.parse_args()
    lines = [
        "| set | found to be | images trained with | accuracy for objects | difference for the kind, points [95 %] "
        "| the same in another light | difference | time | n (divisions) | mirrored ones keep their class? |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in arguments.sets or SETS:
        lines.append(measure(name, arguments.preset, arguments.runs, arguments.images))
        print(lines[-1], file=sys.stderr, flush=True)
    publish("kinds", lines, recorded=arguments.record)


def measure(name: str, preset_name: str, runs: int, most: int | None) -> str:
    """A line of the table."""
    source = SETS[name]
    splits = load(source if source in NAMED else str(Path(os.environ["GLYPHNET_DATA"]) / source))
    began = time.perf_counter()
    pictures = Pictures.of(look_at(splits.train.images))
    seconds = time.perf_counter() - began
    line = f"| {name} | {pictures.kind} ({pictures.reason}; {seconds:.2f} s) |"
    asked = mirrored(splits) if pictures.kind != "drawings" else "–"
    if pictures.kind == "objects":
        return f"{line} {len(splits.train):,} | – | as it is | – | as it is | 1.00 | – | {asked} |"
    found = [trained(splits, preset_name, pictures, seed, most) for seed in range(runs)]
    images, figures = found[0][0], np.array([each for _, each in found])  # (runs, preset, figure)
    usual, own = figures[:, 0], figures[:, 1]
    cells = [f"{images:,}"]
    for figure in (0, 1):
        cells += [f"{usual[:, figure].mean():.2f} %", difference(list(own[:, figure] - usual[:, figure]))]
    return f"{line} {' | '.join(cells)} | {own[:, 2].sum() / usual[:, 2].sum():.2f} | {runs} | {asked} |"


def mirrored(splits: Splits) -> str:
    """Whether mirrored pictures keep their class, and how long it takes to find out."""
    began = time.perf_counter()
    found = ask_mirrored(splits)
    loses = f", {found.worst} loses" if found.worst else ""
    counts = f"{found.right:,} of {found.n:,} right, {found.right_mirrored:,} mirrored{loses}"
    return f"{'yes' if found.keep else 'no'}: {counts}; {time.perf_counter() - began:.1f} s"


def difference(values: list[float]) -> str:
    """A mean with its interval (Student's t)."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:+.2f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]"


def trained(
    splits: Splits, name: str, pictures: Pictures, seed: int, most: int | None
) -> tuple[int, list[tuple[float, float, float]]]:
    """The images trained with, and accuracy, accuracy in another light and seconds: for objects, for the kind."""
    images = np.concatenate([np.asarray(splits.train.images), np.asarray(splits.validation.images)])
    labels = np.concatenate([splits.train.labels, splits.validation.labels])
    order = np.random.default_rng(seed).permutation(len(images))
    judges = min(MOST, len(order) // 5)
    judged, train = order[:judges], order[judges:][:most]
    figures = {}
    for kind in (None, pictures) if seed % 2 == 0 else (pictures, None):
        recipe = preset(name, splits.image_shape, len(train), len(splits.classes), kind).override({"seed": seed})
        began = time.perf_counter()
        result = Fitting(recipe, Examples.of(images[train], labels[train]), None, len(splits.classes), threads=1).run()
        seconds = time.perf_counter() - began
        as_is, lit = (
            100 * validate(result.network, result.preprocessing, Examples.of(each, labels[judged]), recipe)[1]
            for each in (images[judged], in_another_light(images[judged], seed))
        )
        figures[kind is not None] = (as_is, lit, seconds)
    return len(train), [figures[False], figures[True]]


def in_another_light(images: UInt8Array, seed: int) -> UInt8Array:
    """Each image with a contrast and a brightness of its own."""
    generator = np.random.default_rng(seed)
    x = images.astype(np.float32)
    contrast = generator.uniform(0.5, 1.4, (len(x), 1, 1, 1))
    brighter = generator.uniform(-60, 60, (len(x), 1, 1, 1))
    mean = x.mean((1, 2, 3), keepdims=True)
    made: UInt8Array = ((x - mean) * contrast + mean + brighter).clip(0, 255).astype(np.uint8)
    return made


if __name__ == "__main__":
    main()
