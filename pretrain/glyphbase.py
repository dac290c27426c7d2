"""Train GlyphBase, the backbone for drawings, on pictures of characters that fonts give: `glyphs.py` says which.

    python pretrain/glyphbase.py --fonts /usr/share/fonts --out src/glyphnet/nn/glyphbase.safetensors

The network learns to tell the characters apart. Their classes are of no more use afterwards: its last layer goes, and
what it gives to that layer serves for other drawings. Nobody's data set is used, no script of Omniglot's alphabets
other than Latin, and none of the digits 0 to 9 by itself (signs with one in a circle are used). Fonts: Debian's
fonts-noto-core, fonts-noto-extra, fonts-noto-mono, fonts-noto-cjk and fonts-noto-unhinted (SIL Open Font License 1.1),
and fonts-liberation.

With --without-digits no class shows a digit or looks like one: figures with such a backbone are of digits that it
cannot know. The file that it writes is taken by ``--backbone FILE``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import glyphs

import glyphnet
from glyphnet.runs.backbone import Backbone, write_backbone
from glyphnet.training import Callback, Examples, Pretrained, Recipe, StepInfo, TrainingState, fit

EACH = 36
"""Pictures of a class."""


def recipe(epochs: int, seed: int) -> Recipe:
    """How it is trained."""
    return Recipe.model_validate(
        {
            "network": {
                "kind": "cnn", "stem": 32, "stem_kernel": 5, "stem_stride": 2, "channels": [64, 128, 128],
                "downsample": "stride", "dense": [256], "batch_norm": True,
            },
            "optimizer": {"name": "muon", "lr": 0.04, "weight_decay": 0.01, "adam_lr": 0.005},
            "schedule": {"name": "one-cycle"},
            "loss": {"name": "cross_entropy", "label_smoothing": 0.1},
            "augment": {"rotate": 8, "scale": 0.1, "shift": 2},
            "epochs": epochs,
            "batch_size": 256,
            "ema": 0.999,
            "precision": "fp32",
            "seed": seed,
        }
    )  # fmt: skip


class Say(Callback):
    """Reports every thousand steps."""

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Report now and then."""
        if state.total_steps % 1000 == 0:
            print(f"epoch {info.epoch}, step {info.step} of {info.steps}", flush=True)
        return False


def main() -> None:
    """Draw the pictures, train, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-digits", action="store_true", help="leave out classes that show or look like digits")
    given = parser.parse_args()
    began = time.monotonic()
    paths = glyphs.fonts(given.fonts)
    groups = glyphs.classes(list(glyphs.glyphs(paths)))
    if given.without_digits:
        groups = glyphs.without_digits(groups, paths)
    print(f"{len(paths)} fonts, {len(groups)} classes", flush=True)
    halves = [glyphs.pictures(groups, EACH // 2, 2 * given.seed + half) for half in (0, 1)]
    images, labels = (np.concatenate(each) for each in zip(*halves, strict=True))
    print(f"{len(images):,} pictures after {time.monotonic() - began:.0f} s", flush=True)
    how = recipe(given.epochs, given.seed)
    result = fit(
        how, Examples.of(images, labels), None, classes=len(groups), device="cpu", threads=given.threads,
        callbacks=[Say()],
    )  # fmt: skip
    body = {name: each for name, each in result.network.state_dict().items() if not name.startswith("head.")}
    made = {
        "script": "pretrain/glyphbase.py", "seed": given.seed, "epochs": given.epochs, "classes": len(groups),
        "pictures": len(images), "fonts": len(paths), "fonts_sha256": glyphs.digest(paths),
        "pictures_sha256": glyphs.digest_of(images), "without_digits": given.without_digits, "licence": "MIT",
        "glyphnet": glyphnet.__version__,
        "torch": torch.__version__, "numpy": np.__version__,
    }  # fmt: skip
    backbone = Backbone(
        how.network, "", Pretrained(body, result.preprocessing), (glyphs.SIDE, glyphs.SIDE, 1), light_on_dark=True
    )
    write_backbone(given.out, backbone, made)
    print(f"{given.out}: {given.out.stat().st_size:,} bytes after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
