"""Two saved models: which is better, how sure that is, and on which images they differ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from ...classifier import Classifier, load_model
from ...data import ImageDataset
from ...data.settings import DataSettings
from ...errors import DataError
from ...evaluation import Evaluation, evaluate
from ...evaluation.evaluate import HeldOut, held_out
from ...evaluation.intervals import Paired, paired, plain
from ...files import atomic_write_csv, atomic_write_json, make_folder
from ...progress import Progress
from .comparing import JSON_FILE

COLUMNS = ("file", "true", "predicted_a", "predicted_b", "right")


@dataclass(frozen=True)
class Difference:
    """An image that the two models name differently, with its true class and theirs."""

    file: str
    true: str
    predicted_a: str
    predicted_b: str

    @property
    def right(self) -> Literal["a", "b", "neither"]:
        """Which of the two is right."""
        if self.predicted_a == self.true:
            return "a"
        return "b" if self.predicted_b == self.true else "neither"


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """Two models, A and B, judged by the same images in the same order.

    Each evaluation has them in its model's size and colour, with labels as that model counts its classes.
    """

    names: tuple[str, str]
    evaluation_a: Evaluation = field(repr=False)
    evaluation_b: Evaluation = field(repr=False)
    notes: tuple[str, ...] = ()  # on the images
    warnings: tuple[str, ...] = ()

    @cached_property
    def paired(self) -> Paired:
        """How often each was right, with McNemar's test and the difference of accuracies."""
        return paired(self.evaluation_a.correct, self.evaluation_b.correct)

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """The images that the two name differently, in the data's order; both may be wrong."""
        first, second = self.evaluation_a, self.evaluation_b
        rows = zip(first.names, first.labels, first.predictions, second.predictions, strict=True)
        return tuple(
            Difference(str(name), first.classes[true], first.classes[a], second.classes[b])
            for name, true, a, b in rows
            if first.classes[a] != second.classes[b]
        )

    @property
    def verdict(self) -> str:
        """Which is better and how sure that is, or that they cannot be told apart, in a sentence."""
        return self.paired.sentence(*self.names)

    def __str__(self) -> str:
        return self.verdict

    def to_dict(self) -> dict[str, object]:
        """Everything, in types that JSON knows."""
        return {
            "data": self.evaluation_a.data,
            "a": {"model": self.names[0], "accuracy": plain(self.paired.accuracy_a)},
            "b": {"model": self.names[1], "accuracy": plain(self.paired.accuracy_b)},
            "verdict": self.verdict,
            **self.paired.to_dict(),
            "differences": [{name: getattr(each, name) for name in COLUMNS} for each in self.differences],
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write comparison.json and differences.csv, each all or nothing, into a folder, which is created if needed.

        differences.csv has a line for each image that the two name differently: see `COLUMNS`.
        """
        target = Path(folder)
        make_folder(target)
        atomic_write_json(target / JSON_FILE, self.to_dict())
        rows = ([getattr(each, name) for name in COLUMNS] for each in self.differences)
        atomic_write_csv(target / "differences.csv", (COLUMNS, *rows), line_end="\r\n")


def compare_models(
    model_a: Classifier | str | os.PathLike[str],
    model_b: Classifier | str | os.PathLike[str],
    data: str | os.PathLike[str] | DataSettings = "digits",
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> ModelComparison:
    """Judge two models by the same images: which is better, how sure, and where they differ.

    Each sees the images in its own size and colour. Where a model was trained on these data, only images that were
    held out of its training count; where that holds for both, only those held out of both.

    Args:
        model_a, model_b: classifiers, or paths of model files.
        data: a name or a path, as for `glyphnet.load`, or settings, of which ``on_bad_file``, ``layout`` and ``only``
            count.
        device: where models that are given as files predict.
        progress: called as ``progress(done, total, what)`` while data are read and judged.

    Raises:
        DataError: the data cannot be used, hold a class that a model does not know, or no image is held out of
            both trainings.
        ModelFileError: a model file cannot be used.
    """
    names = (
        "A" if isinstance(model_a, Classifier) else os.fspath(model_a),
        "B" if isinstance(model_b, Classifier) else os.fspath(model_b),
    )
    models = [model if isinstance(model, Classifier) else load_model(model, device) for model in (model_a, model_b)]
    first, second = (held_out(model, data, progress=progress) for model in models)
    source = data.source if isinstance(data, DataSettings) else os.fspath(data)
    images, warnings = _same_images(first, second, names)
    judged_on = first.data if first.data == second.data else f"{source}, images held out of both trainings"
    part = first.part if first.part == second.part else ""
    evaluation_a, evaluation_b = (
        evaluate(model, dataset, data=judged_on, part=part, progress=progress)
        for model, dataset in zip(models, images, strict=True)
    )
    return ModelComparison(
        names,
        evaluation_a,
        evaluation_b,
        notes=_together(names, first.notes, second.notes),
        warnings=(*_together(names, first.warnings, second.warnings), *warnings),
    )


def _same_images(
    first: HeldOut, second: HeldOut, names: tuple[str, str]
) -> tuple[tuple[ImageDataset, ImageDataset], tuple[str, ...]]:
    """What both were held out of, in the same order, and warnings about that."""
    a, b = first.dataset, second.dataset
    if list(a.names) == list(b.names):
        _check_labels(a, b)
        return (a, b), ()
    places = {name: row for row, name in enumerate(b.names)}
    if len(places) < len(b) or len(set(a.names)) < len(a):
        raise DataError(
            f"{first.data}: a file is listed twice, so the images of the two models cannot be matched. List each once."
        )
    rows_a = [row for row, name in enumerate(a.names) if name in places]
    if not rows_a:
        raise DataError(
            f"{names[0]} is to be judged by {first.data} and {names[1]} by {second.data}, and these have no image in "
            "common. Compare them on data that neither was trained on."
        )
    both = a.subset(rows_a), b.subset([places[a.names[row]] for row in rows_a])
    _check_labels(*both)
    warning = (
        f"{len(rows_a):,} images judge: of {len(a):,} for {names[0]} and {len(b):,} for {names[1]}, "
        "those that are there for both."
    )
    return both, (warning,)


def _check_labels(a: ImageDataset, b: ImageDataset) -> None:
    for name, first, second in zip(a.names, a.labels, b.labels, strict=True):
        if a.classes[first] != b.classes[second]:
            raise DataError(
                f"{name}: is {a.classes[first]!r} for one model and {b.classes[second]!r} for the other: the data have "
                "changed meanwhile. Try again."
            )


def _together(names: tuple[str, str], first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """The sentences for both models, those for one alone with its name."""
    return (
        *(each for each in first if each in second),
        *(f"{names[0]}: {each}" for each in first if each not in second),
        *(f"{names[1]}: {each}" for each in second if each not in first),
    )
