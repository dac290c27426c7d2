"""Search for wrong labels: cross-validation, the suspects of each part, and the table for decisions."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data import ImageDataset, Splits
from ..data.corrections import Decision, write_decisions
from ..data.dataset import Int64Array
from ..evaluation.labels import SHORT, Float32Array, LabelIssues, cross_validated_probabilities, find_label_issues
from ..progress import Progress
from ..training import Recipe, preset

FOLDS, REPEATS = 4, 3  # twelve trainings with the preset "fast": half a minute for 60,000 images of 28×28 on two cores
AGREEING = 0.75  # networks that agree with fewer labels than this share are too weak to suspect any


@dataclass(frozen=True, eq=False)
class ReviewedPart:
    """The doubtful labels of one part."""

    name: str  # "train", "validation" or "test"
    dataset: ImageDataset = field(repr=False)
    issues: LabelIssues  # the suspects, rows of the dataset, the surest first
    probabilities: Float32Array = field(repr=False)  # (N, K), of networks that did not learn from the image, or NaN


@dataclass(frozen=True, eq=False)
class Review:
    """The doubtful labels of a data set."""

    data: str
    parts: tuple[ReviewedPart, ...]  # those with images, in the order train, validation, test
    folds: int  # of the cross-validation, as repeats
    repeats: int
    recipe: Recipe = field(repr=False)  # of each of its networks
    seconds: float

    def __len__(self) -> int:
        """Suspects in all parts together."""
        return sum(len(part.issues) for part in self.parts)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the person who decides on the suspects."""
        suspects = {part.name: len(part.issues) for part in self.parts}
        about_test = (ABOUT_TEST,) if suspects.get("test") else ()
        agreeing = self.agreement
        if agreeing >= AGREEING or not len(self):
            return about_test
        weak = (
            f"The networks agree with only {100 * agreeing:.0f} % of the labels: most of the suspects are their "
            "mistakes, not the data's. Look at the first ones only, or review with a stronger recipe."
        )
        return (weak, *about_test)

    @property
    def agreement(self) -> float:
        """The share of the judged labels that are also the networks' answer; NaN where none was judged."""
        same = np.concatenate([part.probabilities.argmax(axis=1) == part.dataset.labels for part in self.parts])
        known = np.concatenate([~np.isnan(part.probabilities[:, 0]) for part in self.parts])
        return float(same[known].mean()) if known.any() else float("nan")

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the suspects, part by part, the surest first, with an empty column for decisions."""
        write_decisions(path, (decision for part in self.parts for decision in _decisions(part)))

    def to_dict(self) -> dict[str, Any]:
        """Counts and suspects in types that JSON knows."""
        parts = {
            part.name: {
                "images": len(part.dataset),
                "judged": part.issues.n,
                "suspects": [
                    {"file": each.file, "given": each.given, "suggested": each.suggested, "score": float(each.score)}
                    for each in _decisions(part)
                ],
            }
            for part in self.parts
        }
        return {"data": self.data, "seconds": round(self.seconds, 3), "parts": parts, "warnings": list(self.warnings)}


ABOUT_TEST = (
    "Suspects in the test part are there to be known, not to be removed: taking test images out because a model "
    "disagrees makes every figure look better than it is, and is not honest."
)


def review(
    splits: Splits,
    *,
    recipe: Recipe | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Review:
    """Find the images whose labels are probably wrong, in each part; no model judges an image that it has seen.

    Training and validation images are cross-validated together; the networks of all folds judge the test images.

    Args:
        recipe: of each network; the preset "fast" unless given.
        folds, repeats, seed, device, progress: as for `cross_validated_probabilities`, also the errors.
    """
    began = time.perf_counter()
    folds, repeats = folds or FOLDS, repeats or REPEATS
    learnt = {name: part for name, part in splits if name != "test" and len(part)}
    unseen = {name: part for name, part in splits if name == "test" and len(part)}
    if recipe is None:
        count = sum(map(len, learnt.values())) * (folds - 1) // folds
        recipe = preset("fast", splits.image_shape, count, len(splits.classes))
    found = cross_validated_probabilities(
        list(learnt.values()), recipe, unseen=list(unseen.values()),
        folds=folds, repeats=repeats, seed=seed, device=device, progress=progress,
    )  # fmt: skip
    issues = [*_issues_of(list(learnt.values()), found[: len(learnt)])]
    issues += [*_issues_of(list(unseen.values()), found[len(learnt) :])]
    parts = tuple(
        ReviewedPart(name, part, suspects, probabilities)
        for (name, part), suspects, probabilities in zip((learnt | unseen).items(), issues, found, strict=True)
    )
    return Review(splits.name, parts, folds, repeats, recipe, time.perf_counter() - began)


def _issues_of(parts: list[ImageDataset], probabilities: list[Float32Array]) -> list[LabelIssues]:
    """The suspects of parts that were judged alike: found in all of them together, split by part."""
    if not parts:
        return []
    answers = np.concatenate(probabilities)
    labels = np.concatenate([part.labels for part in parts])
    judged = np.flatnonzero(~np.isnan(answers[:, 0]))
    found = find_label_issues(labels[judged], answers[judged], at_least=SHORT)
    rows = judged[found.indices]
    issues, start = [], 0
    for part in parts:
        here: Int64Array = np.flatnonzero((rows >= start) & (rows < start + len(part)))
        count = int(((judged >= start) & (judged < start + len(part))).sum())
        issues.append(
            LabelIssues(rows[here] - start, found.given[here], found.suggested[here], found.scores[here], count)
        )
        start += len(part)
    return issues


def _decisions(part: ReviewedPart) -> list[Decision]:
    """The suspects as lines of the table, not decided on."""
    data, found = part.dataset, part.issues
    return [
        Decision(part.name, data.names[row], data.classes[given], data.classes[suggested], f"{score:.4f}")
        for row, given, suggested, score in zip(
            found.indices.tolist(), found.given.tolist(), found.suggested.tolist(), found.scores.tolist(), strict=True
        )
    ]
