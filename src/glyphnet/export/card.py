"""A model card: what a model is for, how good it is and where it ends, as Markdown with a head in YAML.

After Mitchell et al., 2019, "Model Cards for Model Reporting", https://arxiv.org/abs/1810.03993. The head is what model
hubs read. Everything in it comes out of the model file; what the file does not know is said to be unknown, not guessed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from ..classifier import Classifier
from ..data.dataset import size_in_words
from ..filekinds import check_suffix
from ..files import atomic_write
from ..units import percent, plural, printable, without_folders

SUFFIX = ".md"
_MARKED = re.compile(r"([\\`*_\[\]<>#|~&])")
_FEW = 20  # classes that are named one by one
_FEW_TEST_IMAGES = 1000
_UNNAMED = "images that the file does not name"


def write_card(classifier: Classifier, path: str | os.PathLike[str]) -> int:
    """Write the card of a model; its size in bytes.

    Raises:
        OutputError: the name says that it is no Markdown.
        OSError: the file cannot be written.
    """
    check_suffix(path, (SUFFIX,))
    content = model_card(classifier).encode()
    with atomic_write(path, follow=True) as file:
        file.write(content)
    return len(content)


def model_card(classifier: Classifier, name: str = "", file: str = "model.safetensors") -> str:
    """The card as text.

    Args:
        name: what the model is called; after its data unless given.
        file: what its file is called, for the examples.
    """
    title = printable(name or f"{_data(classifier)}, {_kind(classifier)}")  # a line break would end the head
    head = yaml.safe_dump(_head(classifier, title), allow_unicode=True, sort_keys=False)
    sections = {
        "": _summary(classifier),
        "Use": _use(classifier, file),
        "How good it is": _figures(classifier),
        "Limits": _limits(classifier),
        "Data and training": _data_and_training(classifier),
    }
    text = [f"---\n{head}---\n\n# {_plain(title)}\n"]
    for heading, lines in sections.items():
        text.append((f"## {heading}\n\n" if heading else "") + "\n".join(lines) + "\n")
    return "\n".join(text)


def _head(classifier: Classifier, title: str) -> dict[str, Any]:
    """What model hubs read. There is no license in it: the model's author has to say one."""
    head: dict[str, Any] = {
        "library_name": "glyphnet",
        "pipeline_tag": "image-classification",
        "tags": ["glyphnet", "image-classification", _kind(classifier)],
    }
    measured = _measured(classifier.metrics)
    if measured is not None:
        figure = {"type": "accuracy", "value": round(measured.accuracy, 6)}
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"type": _slug(_data(classifier)), "name": measured.judged_on},
            "metrics": [figure],
        }
        head["model-index"] = [{"name": title, "results": [result]}]
    return head


def _summary(classifier: Classifier) -> Iterator[str]:
    height, width, channels = classifier.input_shape
    names = [_plain(name) for name in classifier.classes]
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    shown = ", ".join(names[:_FEW]) + more
    found = classifier.summary()
    yield (
        f"Classifies images of {size_in_words(height, width)} pixels in {'grey' if channels == 1 else 'colour'} into "
        f"{plural(len(names), 'class', 'classes')}: {shown}."
    )
    yield ""
    yield (
        f"Network: {_plain(_kind(classifier))}, {found.parameters:,} parameters, "
        f"{found.flops:,} multiplications and additions an image."
    )


def _use(classifier: Classifier, file: str) -> Iterator[str]:
    yield "Meant for: naming the class of images that look like the training images, one object or sign in each."
    yield ""
    yield f"```sh\npip install glyphnet\nglyphnet predict {file} IMAGE...\n```"
    yield ""
    yield f'```python\nimport glyphnet\n\nglyphnet.load_model("{file}").predict(["image.png"])\n```'
    yield ""
    yield (
        "Not meant for: images of other kinds, pictures with several objects, and decisions about people's rights, "
        "health or safety without a person who checks them."
    )


class _Measured(NamedTuple):
    """What was measured on held-out images; shares in [0, 1]."""

    accuracy: float
    low: float
    high: float
    images: int
    judged_on: str
    part: str
    majority: float | None
    headline: tuple[float, float, float] | None  # the mean over the classes and its interval, where that is it


def _measured(metrics: Mapping[str, Any]) -> _Measured | None:
    """The figures of a model file, which may be a stranger's; None where they are absent or no figures."""
    try:
        low, high = map(float, metrics["interval"])
        headline, majority = None, metrics.get("majority_share")
        if metrics.get("headline") == "balanced_accuracy":
            ends = metrics["headline_interval"]
            headline = float(metrics["balanced_accuracy"]), float(ends[0]), float(ends[1])
        judged_on = without_folders(printable(str(metrics.get("judged_on", "")))) or _UNNAMED
        part = str(metrics.get("part", ""))
        majority = None if majority is None else float(majority)
        return _Measured(float(metrics["accuracy"]), low, high, int(metrics["n"]), judged_on, part, majority, headline)
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _figures(classifier: Classifier) -> Iterator[str]:
    measured = _measured(classifier.metrics)
    if measured is None:
        yield "How accurate it is was not measured on images that were held out."
        return
    rows = [("Accuracy", measured.accuracy, measured.low, measured.high)]
    if measured.headline is not None:
        rows.append(("Accuracy, the mean over the classes", *measured.headline))
    yield "| figure | value | 95 % interval | images |"
    yield "|---|---|---|---|"
    for name, value, low, high in rows:
        yield f"| {name} | {percent(value, 2)} | {percent(low, 2)} to {percent(high, 2)} | {measured.images:,} |"
    yield ""
    yield f"Measured on: {_plain(measured.judged_on)}."
    if measured.majority is not None:
        yield f"Always answering the largest class would be right for {percent(measured.majority)}."
    if classifier.threshold is not None:
        yield f"It rejects answers below a confidence of {percent(classifier.threshold)}."
    if classifier.foreign_threshold is not None:
        yield "It rejects images that are unlike its training images."
    if classifier.conformal is not None:
        yield (
            "It can give sets of classes that hold the true one with a chosen probability, calibrated on "
            f"{classifier.conformal.images:,} images."
        )


def _limits(classifier: Classifier) -> Iterator[str]:
    measured = _measured(classifier.metrics)
    if measured is not None:
        yield (
            "- The figures hold for images like those they were measured on. Other cameras, writers or places may be "
            "harder."
        )
        if measured.images < _FEW_TEST_IMAGES:
            yield f"- They stand on {measured.images:,} images: see the interval."
        if measured.part == "validation":
            yield "- They were measured on validation images, which also chose the weights: new images will be harder."
    if classifier.threshold is None and classifier.foreign_threshold is None:
        yield "- It answers every image, also one that is none of its classes."
    else:
        yield "- What is none of its classes is rejected often, not always."
    yield f"- {_plain(classifier.about_normalizing)}"
    if classifier.samples is not None:
        yield (
            f"- The model file carries {plural(len(classifier.samples), 'held-out image')} of its data, by which "
            "exports are proved. Whoever has the file has them."
        )


def _data_and_training(classifier: Classifier) -> Iterator[str]:
    made, recipe = classifier.provenance, classifier.recipe
    data, when = _plain(_data(classifier)), f" on {_plain(made.created)}" if made.created else ""
    yield f"Trained on: {data}{when}. The license of the data and of the model is not in the model file: state it."
    if made.fingerprint:
        yield f"SHA-256 of the training images and labels: {_plain(made.fingerprint)}."
    if recipe:
        augment = recipe.get("augment")
        names = ", ".join(map(str, augment)) if isinstance(augment, Mapping) and augment else "none"
        epochs, batch, seed = (_plain(str(recipe.get(key, "?"))) for key in ("epochs", "batch_size", "seed"))
        yield (
            f"{epochs} epochs at most, optimizer {_plain(_name(recipe.get('optimizer')))}, batches of {batch}, "
            f"augmentations: {_plain(names)}, seed {seed}. The whole recipe is in the model file."
        )
    versions = ", ".join(f"{_plain(name)} {_plain(version)}" for name, version in sorted(made.versions.items()))
    yield f"Versions: {versions}."


def _name(part: object) -> str:
    return str(part.get("name", "?")) if isinstance(part, Mapping) else "?"


def _data(classifier: Classifier) -> str:
    return without_folders(classifier.provenance.data) or "data that the file does not name"


def _kind(classifier: Classifier) -> str:
    return str(getattr(classifier.spec, "kind", "network"))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unknown"


def _plain(text: str) -> str:
    """A text that may come out of a stranger's file, so that no Markdown and no HTML in it acts."""
    return _MARKED.sub(r"\\\1", printable(text)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")
