"""Measures what is lost when digits come as people give them: MNIST test images drawn anew, made like MNIST again.

    python benchmarks/drawings.py [--preset fast] [--seeds 3] [--count 10000] [--scenes 200] [--model FILE …] [--record]

Every test image is rendered in each of the ways of WAYS, seeded, and classified as a file would be, by what
`normalize_picture` makes of it. Several models see the same pictures: mean ± standard deviation.
"lost" is in points of accuracy against the original pixels. "only resized" is what happened to the same
pictures without it (``glyphnet predict --as-is``). The ways were developed on the validation part; nothing was chosen
by the test part.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from _results import arguments_parser, publish
from _scenes import KINDS, SPOILT, other_digits, scene, spoilt
from PIL import Image, ImageFilter

from glyphnet import Classifier, load, load_model, train
from glyphnet.data.dataset import UInt8Array
from glyphnet.data.ink import normalize_picture

SIDE = 200
GOAL = 1.5  # points lost at most, by all changes together
Cover = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Given = Image.Image | UInt8Array
Generator = np.random.Generator
Models = Sequence[Classifier]


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
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--scenes", type=int, default=200, help="pictures of each kind of photograph")
    parser.add_argument("--model", nargs="+", help="model files trained on MNIST, instead of training")
    arguments = parser.parse_args()
    splits = load("mnist")
    if arguments.model:
        models = [load_model(path) for path in arguments.model]
    else:
        trained = (train(splits, preset=arguments.preset, changes={"seed": k}) for k in range(arguments.seeds))
        models = [run.classifier for run in trained if run.classifier is not None]
    assert all(model.ink is not None for model in models), "a model is from before pictures were made like its images"
    images, labels = splits.test.images[: arguments.count], splits.test.labels[: arguments.count]
    base = np.array([100 * float((model.predict_labels(images, as_is=True) == labels).mean()) for model in models])
    lines = [
        f"{len(models)} seeds of the model, mean ± standard deviation. {len(images):,} test images; accuracy on the "
        f"pixels themselves {_spread(base, 2)}. Goal: at most {GOAL} points lost by all together.",
        "",
        "| way | accuracy | points lost | only resized | ms a picture |",
        "|---|---|---|---|---|",
    ]
    for name, way in WAYS.items():
        lines.append(measure(name, way, models, images, labels, base))
        print(lines[-1], file=sys.stderr, flush=True)
    for table in (small_pictures, scenes, digits_of_others):
        lines += ["", *table(models, images[..., 0], labels, arguments.scenes)]
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    publish("drawings", lines, recorded=arguments.record)


def small_pictures(models: Models, images: UInt8Array, labels: Labels, count: int) -> list[str]:
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
        right = answered(models, pictures, labels[chosen])[:, 0]
        lines.append(f"| {way} | {_spread(right)} | {_spread(only_resized(models, pictures, labels[chosen]))} |")
    return lines


def scenes(models: Models, images: UInt8Array, labels: Labels, count: int) -> list[str]:
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
        took = milliseconds(pictures, models[0])
        right, none, wrong = answered(models, pictures, labels[chosen]).T
        lines.append(f"| {kind} | {_spread(right)} | {_spread(none)} | {_spread(wrong)} | {took:.1f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def digits_of_others(models: Models, *_: object) -> list[str]:
    """Digits of other data sets, small and cropped to their ink."""
    lines = ["| other digits | n | right | goal |", "|---|---|---|---|"]
    for told, given, wanted in other_digits():
        right = answered(models, given, wanted)[:, 0]
        lines.append(f"| {told} | {len(given):,} | {_spread(right)} | 93 % |")
    return lines


def answered(models: Models, pictures: Sequence[Given], labels: Labels) -> npt.NDArray[np.float64]:
    """Per cent of pictures that each model answers rightly, sees no drawing in, and answers wrongly: (models, 3)."""
    shares, spec, made = [], None, []
    for model in models:
        if not made or model.ink != spec:  # models of the same images have the same specification
            spec, made = model.ink, [normalize_picture(picture, model.ink, model.input_shape) for picture in pictures]
        none = np.array([one.reason is not None for one in made])
        right = model.predict_labels(np.stack([one.pixels for one in made]), as_is=True) == labels
        shares.append(((right & ~none).mean(), none.mean(), (~right & ~none).mean()))
    return 100 * np.array(shares)


def only_resized(models: Models, pictures: Sequence[Given], labels: Labels) -> npt.NDArray[np.float64]:
    """Per cent right of each model without normalising."""
    return np.array([100 * float((model.predict_labels(pictures, as_is=True) == labels).mean()) for model in models])


def milliseconds(pictures: Sequence[Given], model: Classifier) -> float:
    """Processor time of normalising a decoded picture."""
    for picture in pictures:
        if isinstance(picture, Image.Image):
            picture.load()
    began = time.process_time()
    for picture in pictures:
        normalize_picture(picture, model.ink, model.input_shape)
    return 1000 * (time.process_time() - began) / len(pictures)


def measure(
    name: str, way: Way, models: Models, images: UInt8Array, labels: Labels, base: npt.NDArray[np.float64]
) -> str:
    generator = np.random.default_rng(0)
    pictures = [rendered(name, way, image[..., 0], generator) for image in images]
    took = milliseconds(pictures[:500], models[0])
    right = answered(models, pictures, labels)[:, 0]
    resized = _spread(only_resized(models, pictures[:1000], labels[:1000]), 1)
    return f"| {way.told} | {_spread(right, 2)} | {_spread(base - right, 2, '')} | {resized} | {took:.2f} |"


def _spread(values: npt.NDArray[np.float64], digits: int = 1, unit: str = " %") -> str:
    """Mean ± standard deviation; the mean alone of one value."""
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}{unit}"


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
