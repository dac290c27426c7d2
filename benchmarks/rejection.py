"""Does a model say when it does not know? Rejection and sets of `fast`, on MNIST and Fashion-MNIST, over several seeds.

Features, number and weighting of the prototypes were chosen with Omniglot characters and CIFAR-10 photographs as
foreign images; how much the picture itself counts beside what normalising made of it, with these, noise, filled shapes
and symbols of a font. The limits of contrast and roughness were added because noise and blanks passed a model of
Fashion-MNIST, so these two are no test of the method; the other kinds are.

Letters are all of a to z and A to Z in every font of /usr/share/fonts/truetype that has them (Debian: fonts-dejavu,
fonts-liberation, fonts-freefont-ttf), 60 points high on 96×96 pixels, dark on light, made like the training images as
any picture is. Many have the shape of a digit: they are counted apart, see ALIKE.

For the sets validation and test images are put together and divided anew at random, 100 times; the calibration and the
choice of the score see only the first part of each division, as large as the validation part was.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _results import arguments_parser, mean_and_spread, publish
from _scenes import SPOILT, other_digits, spoilt
from PIL import Image, ImageDraw, ImageFont
from sklearn.metrics import roc_auc_score

from glyphnet import load, train
from glyphnet.answers import Answers
from glyphnet.classifier import Classifier
from glyphnet.conformal import Conformal, choose_score
from glyphnet.data import ImageDataset
from glyphnet.images import Batch, Images, image_batches, normalizing_spec
from glyphnet.settings import default_batch_size

FONTS = Path("/usr/share/fonts/truetype")
ALIKE = "OoQDIilLJjZzSsGbTBgq"
"""Letters of the shape of a digit: 0 (O, o, Q, D), 1 (I, i, l, L, J, j), 2 (Z, z), 5 (S, s), 6 (G, b), 7 (T), 8 (B),
9 (g, q)."""
DIVISIONS = 100
SPOILT_COUNT = 300
LEVELS = {"mnist": (0.95, 0.998), "fashion-mnist": (0.9, 0.95, 0.99)}
OTHER = {"mnist": "fashion-mnist", "fashion-mnist": "mnist"}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--data", choices=list(OTHER), nargs="+", default=list(OTHER))
    arguments = parser.parse_args()
    for name in arguments.data:
        figures: dict[str, list[float]] = {}
        for seed in range(arguments.seeds):
            for key, value in measured(name, arguments.preset, seed):
                figures.setdefault(key, []).append(value)
            print(f"{name}, seed {seed} done", file=sys.stderr, flush=True)
        lines = [
            f"**{name}, `{arguments.preset}`, {arguments.seeds} seeds**",
            "",
            "| figure | mean ± spread |",
            "|---|---|",
        ]
        lines += [f"| {key} | {mean_and_spread(values)} |" for key, values in figures.items()]
        publish(f"rejection-{name}", lines, recorded=arguments.record)


def measured(name: str, preset: str, seed: int) -> Iterator[tuple[str, float]]:
    """All figures of one training, in percent but for the sizes of sets."""
    splits = load(name)
    classifier = train(splits, preset=preset, changes={"seed": seed}).classifier
    assert classifier is not None
    kept = classifier.answer(splits.test.images)
    assert kept.foreign is not None
    yield "accuracy", 100 * float((kept.labels == splits.test.labels).mean())
    yield "test images kept by --reject (wanted: 99)", 100 * share_kept(kept)
    if name == "mnist":
        for kind, answers in changed_digits(classifier, splits.test):
            yield f"digits, {kind}: kept by --reject", 100 * share_kept(answers)
    limit = float(np.quantile(kept.foreign, 0.95))
    for kind, answers in foreign(classifier, name):
        assert answers.foreign is not None
        scores = np.concatenate([kept.foreign, answers.foreign])
        truth = np.repeat([0, 1], [len(kept), len(answers)])
        yield f"{kind}: AUROC of the score", 100 * float(roc_auc_score(truth, scores))
        yield f"{kind}: accepted where 95 % of the test images are", 100 * float((answers.foreign <= limit).mean())
        yield f"{kind}: accepted by --reject", 100 * share_kept(answers)
        yield f"{kind}: no drawing", 100 * answers.reasons.count("no_drawing") / len(answers)
    yield from sets(classifier, splits.validation, splits.test, LEVELS[name])


_READ: dict[tuple[str, str], Batch] = {}


def answered(classifier: Classifier, kind: str, pictures: Callable[[], Images]) -> Answers:
    """The answers for some pictures; what models of several seeds read alike is read once."""
    spec = normalizing_spec(classifier)
    key = kind, "" if spec is None else spec.model_dump_json()
    if key not in _READ:
        size = default_batch_size(classifier.input_shape)
        _READ[key] = Batch.joined(list(image_batches(pictures(), classifier, size)))
    return classifier.answer(_READ[key])


def share_kept(answers: Answers) -> float:
    return answers.reasons.count(None) / len(answers)


def foreign(classifier: Classifier, name: str) -> Iterator[tuple[str, Answers]]:
    other = OTHER[name]
    yield other, answered(classifier, other, lambda: np.asarray(load(other).test.images))
    inverted = f"{other}, inverted"
    yield inverted, answered(classifier, inverted, lambda: 255 - np.asarray(load(other).test.images)[::5])
    for kind, images in patterns().items():
        yield kind, classifier.answer(images)
    if name == "mnist":
        letters, names = rendered_letters()
        alike = np.isin(names, list(ALIKE))
        small = [letter.resize((28, 28), Image.Resampling.BOX) for letter in letters]
        for size, pictures in (("", letters), (" at 28×28", small)):
            answers = answered(classifier, f"letters{size}", lambda pictures=pictures: pictures)  # type: ignore[misc]
            yield f"letters{size}", answers
            yield f"letters{size} without those like digits", chosen(answers, ~alike)
            yield f"letters{size} like digits", chosen(answers, alike)


def chosen(answers: Answers, rows: npt.NDArray[np.bool_]) -> Answers:
    assert answers.foreign is not None
    reasons = [reason for reason, wanted in zip(answers.reasons, rows, strict=True) if wanted]
    return Answers(answers.probabilities[rows], answers.foreign[rows], reasons, answers.classes, answers.rules)


def changed_digits(classifier: Classifier, test: ImageDataset) -> Iterator[tuple[str, Answers]]:
    """Digits that normalising changes, which should be kept as well: spoilt ones, and those of other data sets."""
    for way in SPOILT:
        generator = np.random.default_rng(0)
        images = np.asarray(test.images)[generator.choice(len(test), SPOILT_COUNT, replace=False)][..., 0]
        pictures = [spoilt(way, image, generator) for image in images]
        yield way, answered(classifier, way, lambda pictures=pictures: pictures)  # type: ignore[misc]
    for told, digits, _ in other_digits():
        yield told, answered(classifier, told, lambda digits=digits: digits)  # type: ignore[misc]


def patterns(count: int = 1000, side: int = 28) -> dict[str, npt.NDArray[np.uint8]]:
    """Noise, blanks and stripes, uint8 (N, 28, 28, 1)."""
    generator = np.random.default_rng(0)
    shape = (count, side, side)
    y, x = np.mgrid[:side, :side]
    angle, period, phase = (generator.uniform(0, top, (count, 1, 1)) for top in (np.pi, 12, 2 * np.pi))
    waves = np.sin((np.cos(angle) * x + np.sin(angle) * y) * 2 * np.pi / (period + 2) + phase)
    made = {
        "uniform noise": generator.integers(0, 256, shape),
        "Gaussian noise": generator.normal(
            generator.uniform(40, 215, (count, 1, 1)), generator.uniform(5, 60, (count, 1, 1)), shape
        ),
        "salt and pepper": 255 * (generator.random(shape) < generator.uniform(0.02, 0.5, (count, 1, 1))),
        "blanks": np.broadcast_to(np.arange(256)[:, None, None], (256, side, side)),
        "stripes": 127.5 * (1 + waves),
    }
    return {kind: np.clip(images, 0, 255).astype(np.uint8)[..., np.newaxis] for kind, images in made.items()}


def rendered_letters() -> tuple[list[Image.Image], npt.NDArray[np.str_]]:
    pictures, names = [], []
    for path in sorted(FONTS.rglob("*.ttf")):
        if any(word in path.name.lower() for word in ("math", "symbol", "dingbat")):
            continue
        font = ImageFont.truetype(str(path), 60)
        for letter in string.ascii_letters:
            picture = Image.new("L", (96, 96), 255)
            ImageDraw.Draw(picture).text((48, 48), letter, font=font, fill=0, anchor="mm")
            pictures.append(picture)
            names.append(letter)
    if not pictures:
        sys.exit(f"There is no font in {FONTS}: apt-get install fonts-dejavu fonts-liberation fonts-freefont-ttf.")
    return pictures, np.array(names)


def sets(classifier: Classifier, validation, test, levels: Sequence[float]) -> Iterator[tuple[str, float]]:  # type: ignore[no-untyped-def]
    images = np.concatenate([np.asarray(validation.images), np.asarray(test.images)])
    labels = np.concatenate([validation.labels, test.labels])
    probabilities = classifier.predict_proba(images)
    found: dict[float, list[tuple[float, float]]] = {level: [] for level in levels}
    for division in range(DIVISIONS):
        order = np.random.default_rng(division).permutation(len(labels))
        own, rest = order[: len(validation)], order[len(validation) :]
        score = choose_score(probabilities[own], labels[own])
        conformal = Conformal.calibrate(probabilities[own], labels[own], score)
        for level in levels:
            inside = conformal.sets(probabilities[rest], level)
            covered = inside[np.arange(len(rest)), labels[rest]].mean()
            found[level].append((100 * float(covered), float(inside.sum(axis=1).mean())))
    for level, values in found.items():
        coverage, size = np.mean(values, axis=0)
        yield f"sets at {100 * level:g} %: coverage, mean of {DIVISIONS} divisions", float(coverage)
        yield f"sets at {100 * level:g} %: classes in a set", float(size)


if __name__ == "__main__":
    main()
