"""Measures by which arithmetic a step is quickest: float32 or bfloat16, oneDNN's products or PyTorch's usual ones.

    python benchmarks/arithmetic.py [--rounds 5] [--record]

By that the engine chooses (BF16_STEP in training/device.py, WORTHWHILE in training/fast/layers.py). Networks are
trained for one pass over images of noise, in turn each way; speeds are medians of whole `glyphnet.training.fit` calls,
after one that is not counted. Where the processor is not one on which oneDNN is taken, the last column says 1.00.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from unittest.mock import patch

import torch
from _results import arguments_parser, publish

from glyphnet import Recipe, preset
from glyphnet.nn import summary
from glyphnet.training import Examples, fit
from glyphnet.training.fast import layers as products

CLASSES = 10
ImageShape = tuple[int, int, int]
DIGITS, CROPS = (28, 28, 1), (32, 32, 3)


def dense(*hidden: int) -> dict[str, object]:
    return {"network": {"kind": "mlp", "hidden": list(hidden)}, "optimizer": "adam"}


WORKS: dict[str, tuple[dict[str, object] | str, ImageShape, int, int]] = {
    "784–128–10": (dense(128), DIGITS, 32, 20_000),
    "784–784–10": (dense(784), DIGITS, 50, 10_000),
    "784–256–10": (dense(256), DIGITS, 256, 20_000),
    "784–784–10, larger batch": (dense(784), DIGITS, 256, 20_000),
    "784–1024–1024–10": (dense(1024, 1024), DIGITS, 128, 10_000),
    "preset fast, small batch": ("fast", DIGITS, 64, 20_000),
    "preset fast, 128 images": ("fast", DIGITS, 128, 20_000),
    "preset fast": ("fast", DIGITS, 384, 20_000),
    "preset fast, 32×32×3": ("fast", CROPS, 384, 4_000),
    "preset balanced": ("balanced", DIGITS, 256, 10_000),
    "convolutions 32–64": ({"network": "cnn-classic", "optimizer": "adam"}, DIGITS, 128, 5_000),
    "residual, 32×32×3": ({"network": "resnet", "optimizer": "adam"}, CROPS, 64, 1_000),
    "preset best": ("best", DIGITS, 256, 2_000),
}
"""Settings or a preset, the images' shape, images a step, images in all."""


def without_onednn() -> AbstractContextManager[object]:
    return patch.object(products, "WORTHWHILE", float("inf"))


WAYS: dict[str, tuple[str, Callable[[], AbstractContextManager[object]]]] = {
    "float32": ("fp32", nullcontext),
    "bfloat16": ("bf16", nullcontext),
    "float32, no products by oneDNN": ("fp32", without_onednn),
}
"""The precision, and a context in which it is tried."""


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    first, *others = WAYS
    lines = [
        f"| network | images a step | million FLOPs a step | {first}, images/s | "
        + " | ".join(f"{name}, times as fast" for name in others) + " | n |",
        "|---" * (5 + len(others)) + "|",
    ]  # fmt: skip
    for name, (settings, shape, batch_size, images) in WORKS.items():
        if isinstance(settings, str):
            recipe = preset(settings, shape, 60_000, CLASSES).override({"epochs": 1, "batch_size": batch_size})
        else:
            recipe = Recipe.parse({**settings, "epochs": 1, "batch_size": batch_size})
        speeds = measure(recipe, shape, images, arguments.rounds)
        flops = summary(recipe.network, shape, CLASSES).flops * min(recipe.batch_size, images) / 1e6
        ratios = " | ".join(f"{speeds[other] / speeds[first]:.2f}" for other in others)
        lines.append(f"| {name} | {batch_size} | {flops:,.0f} | {speeds[first]:,.0f} | {ratios} | {arguments.rounds} |")
        print(lines[-1], file=sys.stderr, flush=True)
    publish("arithmetic", lines, recorded=arguments.record)


def measure(recipe: Recipe, shape: ImageShape, images: int, rounds: int) -> dict[str, float]:
    """Images a second of each way, the median of ``rounds``."""
    noise = torch.randint(256, (images, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    examples = Examples.of(noise, torch.arange(images) % CLASSES)
    speeds: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(rounds + 1):
        for name, (precision, context) in WAYS.items():
            with context():
                began = time.perf_counter()
                fit(recipe.override({"precision": precision}), examples, classes=CLASSES)
            if turn:
                speeds[name].append(images / (time.perf_counter() - began))
    return {name: statistics.median(each) for name, each in speeds.items()}


if __name__ == "__main__":
    main()
