"""Measures presets on the fifteen kinds of corrupted images of MNIST-C (Mu and Gilmer, 2019).

    python benchmarks/corruptions.py [PRESET ...] [--runs 3] [--data mnist] [--record]
    python benchmarks/corruptions.py --helps [--images 10000] [--record]

Each preset is trained on the images as they are, with the seeds 0, 1, …, and judged once on the test images and on
those corrupted by `glyphnet.evaluation.corruptions`, where the strengths and their source stand. Five kinds resemble an
augmentation of the preset ``robust``: it turns and moves images, lays clouds over them and draws lines through them.
The other ten it never sees.

``--helps`` trains the preset ``fast`` with one augmentation more at a time, and judges validation images: the
difference to the preset as it is, by corruption, says what each augmentation gains.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from _results import arguments_parser, mean_and_spread, publish

from glyphnet import Recipe, Splits, load, preset
from glyphnet.data import ImageDataset
from glyphnet.evaluation.corruptions import CORRUPTIONS, corrupt
from glyphnet.training import Examples, FitResult, Pictures, fit, validate

UInt8Array = npt.NDArray[np.uint8]

RESEMBLE = ("rotate", "translate", "fog", "dotted_line", "zigzag")
"""Corruptions that an augmentation of ``robust`` resembles."""

TRIED: dict[str, float] = {
    "rotate": 35, "scale": 0.35, "shear": 25, "shift": 4, "elastic": 1, "contrast": 0.8, "brightness": 0.5, "blur": 1,
    "noise": 0.3, "stroke": 1, "convolve": 1, "light": 0.8, "scribble": 0.5, "trivial": 1, "erase": 0.3, "mixup": 0.5,
    "cutmix": 0.5,
}  # fmt: skip


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("presets", nargs="*", default=[], metavar="PRESET")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--helps", action="store_true")
    parser.add_argument("--images", type=int, default=10_000)
    arguments = parser.parse_args()
    splits = load(arguments.data)
    if arguments.helps:
        publish("helps", helps(splits, arguments.images), recorded=arguments.record)
        return
    names = arguments.presets or ["fast", "balanced", "robust"]
    columns = [measure(splits, name, arguments.runs) for name in names]
    lines = [f"| images | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [f"| {figure} | {' | '.join(column[figure] for column in columns)} |" for figure in columns[0]]
    publish("corruptions", [*lines, "", f"Per cent of {len(splits.test):,} test images; n = {arguments.runs} seeds."],
            recorded=arguments.record)  # fmt: skip


def measure(splits: Splits, name: str, runs: int) -> dict[str, str]:
    """Accuracy in per cent, mean and spread over the seeds, by kind of images."""
    found: dict[str, list[float]] = {}
    for seed in range(runs):
        kind = Pictures(kind="drawings") if splits.name == "mnist" else None
        recipe = preset(name, splits.image_shape, len(splits.train), len(splits.classes), kind).override({"seed": seed})
        train, validation = (Examples.of(part.images, part.labels) for part in (splits.train, splits.validation))
        result = fit(recipe, train, validation, classes=len(splits.classes))
        each = judge(result, recipe, splits.test)
        kinds = {name: value for name, value in each.items() if name != "as they are"}
        unseen = [value for name, value in kinds.items() if name not in RESEMBLE]
        row = {
            "as they are": each["as they are"],
            "mean of all 15": statistics.fmean(kinds.values()),
            "mean of the 10 unseen": statistics.fmean(unseen),
            **{name.replace("_", " ") + " (resembled)" * (name in RESEMBLE): value for name, value in kinds.items()},
            "seconds of training": result.seconds,
        }
        for figure, value in row.items():
            found.setdefault(figure, []).append(value)
        print(f"  {name} {seed}: {row}", file=sys.stderr, flush=True)
    return {figure: mean_and_spread(values) for figure, values in found.items()}


def judge(result: FitResult, recipe: Recipe, images: ImageDataset) -> dict[str, float]:
    """Accuracy in per cent by corruption."""

    def accuracy(pixels: UInt8Array) -> float:
        return 100 * validate(result.network, result.preprocessing, Examples.of(pixels, images.labels), recipe)[1]

    made = {name: accuracy(corrupt(images.images, name)) for name in CORRUPTIONS}
    return {"as they are": accuracy(images.images), **made}


def helps(splits: Splits, images: int) -> list[str]:
    """A line for each augmentation, a column for each corruption: points more than without it."""
    part = splits.validation.subset(np.arange(min(2_000, len(splits.validation))))
    train = Examples.of(splits.train.images[:images], splits.train.labels[:images])

    def judged(augment: dict[str, float]) -> dict[str, float]:
        changes: dict[str, Any] = {"augment": {"shift_batch": 1, **augment}}
        recipe = preset("fast", splits.image_shape, images, len(splits.classes)).override(changes)
        return judge(fit(recipe, train, None, classes=len(splits.classes)), recipe, part)

    began, plain = time.perf_counter(), judged({})
    lines = [
        f"| with | {' | '.join(name.replace('_', ' ') for name in plain)} |",
        f"|---|{'---|' * len(plain)}",
        f"| the preset | {' | '.join(f'{value:.1f}' for value in plain.values())} |",
    ]
    for name, strength in TRIED.items():
        found = judged({name: strength})
        lines.append(f"| {name} {strength:g} | {' | '.join(f'{found[each] - plain[each]:+.1f}' for each in plain)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    best = f"{time.perf_counter() - began:.0f} s"
    return [*lines, "", f"Per cent of {len(part):,} validation images, then points; {images:,} images; seed 0; {best}."]


if __name__ == "__main__":
    main()
