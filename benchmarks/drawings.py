"""Measures what is lost when digits come as people give them: MNIST test images drawn anew, made like MNIST again.

    python benchmarks/drawings.py [--preset fast] [--count 10000] [--scenes 200] [--model FILE] [--record]

Every test image is rendered in each of the ways of WAYS, seeded, and classified as a file would be, by what
`normalize_picture` makes of it.
"lost" is in points of accuracy against the original pixels. "only resized" is what happened to the same
pictures without it (``glyphnet predict --as-is``). The ways were developed on the validation part; nothing was chosen
by the test part.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet
from _results import arguments_parser, publish
from _scenes import KINDS, SPOILT, scene, spoilt
from PIL import Image, ImageFilter

from glyphnet import Classifier, load, load_model, train
from glyphnet.data.dataset import UInt8Array
from glyphnet.data.digits import read_digits
from glyphnet.data.ink import normalize_picture

SIDE = 200
GOAL = 1.5  # points lost at most, by all changes together
Cover = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Given = Image.Image | UInt8Array
Generator = np.random.Generator


class Way(NamedTuple):
    """How a digit is given: what becomes of its ink, 0 to 1 on a sheet of SIDE², and how that comes onto paper."""

    told: str
    inks: tuple[Callable[[Cover, Generator], Cover], ...] = ()
    paper: Callable[[Cover, Generator], Cover] = lambda cover, _: 1 - cover
    jpeg: bool = False


def anywhere(cover: Cover, generator: Generator) -> Cover:
    """45 to 90 % as large, at any place of the sheet."""
    side = int(SIDE * generator.uniform(0.45, 0.9))
    small = Image.fromarray(cover).resize((side, side), Image.Resampling.BICUBIC)
    top, left = generator.integers(0, SIDE - side + 1, 2)
    sheet = np.zeros_like(cover)
    sheet[top : top + side, left : left + side] = np.asarray(small)
    return sheet


def thicker(cover: Cover, _: Generator) -> Cover:
    """8 pixels more: about one of MNIST's."""
    return _filtered(cover, ImageFilter.MaxFilter(9))


def thinner(cover: Cover, _: Generator) -> Cover:
    """6 pixels less."""
    return _filtered(cover, ImageFilter.MinFilter(7))


def any_pen(cover: Cover, generator: Generator) -> Cover:
    """Thicker, thinner or as it is."""
    pen = (thicker, thinner, lambda cover, _: cover)[generator.integers(3)]
    return pen(cover, generator)


def shadow(cover: Cover, generator: Generator) -> Cover:
    """Grey paper, darker to one side by 50 to 100 levels, with the camera's noise; the ink is dark grey."""
    angle = generator.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-0.5 : 0.5 : SIDE * 1j, -0.5 : 0.5 : SIDE * 1j]
    slope = (np.cos(angle) * x + np.sin(angle) * y) / np.sqrt(0.5) + 0.5
    paper = generator.uniform(170, 225) - generator.uniform(50, 100) * np.clip(slope, 0, 1)
    ink = generator.uniform(20, 60)
    noise = generator.normal(0, 4, cover.shape)
    return ((paper + noise) * (1 - cover) + ink * cover) / 255


WAYS = {
    "original": Way("the test images, as files"),
    "inverted": Way("dark on light, 28×28"),
    "large": Way(f"dark on light, {SIDE}×{SIDE}, as all that follow"),
    "anywhere": Way("smaller and off-centre", (anywhere,)),
    "thicker": Way("strokes 8 pixels thicker", (thicker,)),
    "thinner": Way("strokes 6 pixels thinner", (thinner,)),
    "shadow": Way("dark grey on grey paper with a shadow and noise", (), shadow),
    "jpeg": Way("JPEG of quality 30 to 70", jpeg=True),
    "all": Way("all of these together, the stroke of any width", (any_pen, anywhere), shadow, jpeg=True),
}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--scenes", type=int, default=200, help="pictures of each kind of photograph")
    parser.add_argument("--model", help="a model file trained on MNIST, instead of training one")
    arguments = parser.parse_args()
    splits = load("mnist")
    classifier = load_model(arguments.model) if arguments.model else train(splits, preset=arguments.preset).classifier
    assert classifier is not None
    assert classifier.ink is not None, "the model is from before pictures were made like training images"
    images, labels = splits.test.images[: arguments.count], splits.test.labels[: arguments.count]
    base = 100 * float((classifier.predict_labels(images, as_is=True) == labels).mean())
    lines = [
        f"{len(images):,} test images; accuracy on the pixels themselves {base:.2f} %. "
        f"Goal: at most {GOAL} points lost by all together.",
        "",
        "| way | accuracy | points lost | only resized | ms a picture |",
        "|---|---|---|---|---|",
    ]
    for name, way in WAYS.items():
        lines.append(measure(name, way, classifier, images, labels, base))
        print(lines[-1], file=sys.stderr, flush=True)
    for table in (small_pictures, scenes, other_digits):
        lines += ["", *table(classifier, images[..., 0], labels, arguments.scenes)]
        print(lines[-1], file=sys.stderr, flush=True)
    publish("drawings", lines, recorded=arguments.record)


def small_pictures(classifier: Classifier, images: UInt8Array, labels: Labels, count: int) -> list[str]:
    """Test images spoilt at their own size; five times as many as of the scenes."""
    lines = [
        f"Spoilt at 28×28, {5 * count:,} test images each; goal: ≥ 95 % for noise, blur of σ 1.5 px and stripes.",
        "",
        "| way | right | only resized |",
        "|---|---|---|",
    ]
    for way in SPOILT:
        generator = np.random.default_rng(0)
        chosen = generator.choice(len(images), min(5 * count, len(images)), replace=False)
        pictures = [spoilt(way, images[index], generator) for index in chosen]
        right, _, _ = answered(classifier, pictures, labels[chosen])
        resized = 100 * float((classifier.predict_labels(pictures, as_is=True) == labels[chosen]).mean())
        lines.append(f"| {way} | {right:.1f} % | {resized:.1f} % |")
    return lines


def scenes(classifier: Classifier, images: UInt8Array, labels: Labels, count: int) -> list[str]:
    """Photographs of each kind, at strengths 0, ¼, ½, ¾ and 1."""
    lines = [
        f"Photographs, {count} each, at five strengths; goal: ≥ 95 % right, ≤ 2 % wrong. Wrong counts every answer "
        'that is not "no_drawing"; the rejection of unlike pictures is measured by `benchmarks/rejection.py`.',
        "",
        "| kind | right | no drawing | wrong | ms a picture |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS:
        generator = np.random.default_rng(0)
        chosen = generator.choice(len(images), count)
        pictures = [scene(kind, images[k], n % 5 / 4, generator) for n, k in enumerate(chosen)]
        began = time.perf_counter()
        right, none, wrong = answered(classifier, pictures, labels[chosen])
        took = 1000 * (time.perf_counter() - began) / count
        lines.append(f"| {kind} | {right:.1f} % | {none:.1f} % | {wrong:.1f} % | {took:.0f} |")
    return lines


def other_digits(classifier: Classifier, *_: object) -> list[str]:
    """Digits of other data sets, small and cropped to their ink."""
    lines = ["| other digits | n | right | goal |", "|---|---|---|---|"]
    grey, targets = read_digits()[:2]
    sets = [("scikit-learn, 8×8", list(grey.reshape(-1, 8, 8)), np.asarray(targets), 93)]
    folder = Path(os.environ.get("GLYPHNET_DATA", "/nowhere")) / "semeion"
    if folder.is_dir():
        tables = [pyarrow.parquet.read_table(folder / f"{part}.parquet").to_pylist() for part in ("train", "test")]
        rows = [row for table in tables for row in table]
        pictures = [np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("L")) for row in rows]
        sets.append(("semeion, 16×16, both parts", pictures, np.array([row["label"] for row in rows]), 93))
    for told, given, wanted, goal in sets:
        right, _, _ = answered(classifier, given, wanted)
        lines.append(f"| {told} | {len(given):,} | {right:.1f} % | {goal} % |")
    return lines


def answered(classifier: Classifier, pictures: Sequence[Given], labels: Labels) -> tuple[float, float, float]:
    """Per cent of pictures that are answered rightly, that show no drawing, and that are answered wrongly."""
    made = [normalize_picture(picture, classifier.ink, classifier.input_shape) for picture in pictures]
    none = np.array([one.reason is not None for one in made])
    right = classifier.predict_labels(np.stack([one.pixels for one in made]), as_is=True) == labels
    shares = (right & ~none).mean(), none.mean(), (~right & ~none).mean()
    return 100 * float(shares[0]), 100 * float(shares[1]), 100 * float(shares[2])


def measure(
    name: str,
    way: Way,
    classifier: Classifier,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    base: float,
) -> str:
    generator = np.random.default_rng(0)
    pictures = [rendered(name, way, image[..., 0], generator) for image in images]
    began = time.perf_counter()
    made = np.stack([normalize_picture(picture, classifier.ink, classifier.input_shape).pixels for picture in pictures])
    took = (time.perf_counter() - began) / len(pictures)
    accuracy = 100 * float((classifier.predict_labels(made, as_is=True) == labels).mean())
    as_is = classifier.predict_labels(pictures, as_is=True)
    resized = 100 * float((as_is == labels).mean())
    return f"| {way.told} | {accuracy:.2f} % | {base - accuracy:.2f} | {resized:.2f} % | {1000 * took:.2f} |"


def rendered(name: str, way: Way, image: UInt8Array, generator: Generator) -> Image.Image:
    """The picture that a person would give."""
    if name in ("original", "inverted"):
        return Image.fromarray(255 - image if name == "inverted" else image)
    large = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    cover = np.asarray(large, dtype=np.float32) / 255
    for change in way.inks:
        cover = change(cover, generator)
    picture = Image.fromarray(np.clip(255 * way.paper(cover, generator), 0, 255).astype(np.uint8))
    if not way.jpeg:
        return picture
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(generator.integers(30, 71)))
    return Image.open(buffer)


def _filtered(cover: Cover, by: ImageFilter.MultibandFilter) -> Cover:
    sheet = Image.fromarray(np.clip(255 * cover, 0, 255).astype(np.uint8)).filter(by)
    return np.asarray(sheet, dtype=np.float32) / 255


if __name__ == "__main__":
    main()
