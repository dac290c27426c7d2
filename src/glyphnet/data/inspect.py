"""Looks a data set over before any training: what is in it, and what would spoil a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .dataset import Int64Array, Splits
from .duplicates import Duplicates, cross_pairs, find_duplicates

EXAMPLES = 20  # named of each finding; the count tells of all

IMBALANCE = 5  # the largest class has this many times the images of the smallest: worth a warning

FEW = 10  # training images of a class below which hardly anything can be learnt


@dataclass(frozen=True)
class Finding:
    """How often something was found, with the first examples.

    Attributes:
        examples: tuples of "part: image" that belong together, one image or two.
    """

    count: int = 0
    examples: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Leak:
    """Images that two parts share.

    Attributes:
        parts: the two parts, such as ("train", "test").
        exact: images of the second that are in the first, pixel for pixel.
        near: pairs that are nearly the same.
    """

    parts: tuple[str, str]
    exact: Finding
    near: Finding


@dataclass(frozen=True)
class DataReport:
    """What was found in a data set.

    Attributes:
        image_shape: height, width, channels.
        counts: for each part, images a class, in the order of ``classes``.
        exact_duplicates: images that are copies of an earlier one, in any part.
        near_duplicates: pairs that are nearly the same.
        conflicts: exact copies whose labels differ.
        near_conflicts: near duplicates whose labels differ.
        leaks: pairs of parts that share images.
        blank: images with next to nothing on them.
        bad_files: (name, what is wrong) of files that were skipped.
        notes: what was said while the data were read.
        warnings: sentences on what looks wrong, and what to do.
    """

    name: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    exact_duplicates: Finding
    near_duplicates: Finding
    conflicts: Finding
    near_conflicts: Finding
    leaks: tuple[Leak, ...]
    blank: Finding
    bad_files: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, tuples, strings and numbers, ready for JSON."""
        return asdict(self)


def inspect(splits: Splits, *, bad_files: Sequence[tuple[str, str]] = ()) -> DataReport:
    """Look over a data set; seconds for 70,000 small images.

    Args:
        splits: the data.
        bad_files: (name, reason) of files that were skipped while reading.
    """
    parts = [(name, data) for name, data in splits if len(data)]
    found = find_duplicates([data.images for _, data in parts])
    rows = _Rows(
        names=tuple(name for name, _ in parts),
        part=np.repeat(np.arange(len(parts)), [len(data) for _, data in parts]),
        starts=np.cumsum([0, *(len(data) for _, data in parts)]),
        labels=np.concatenate([data.labels for _, data in parts]),
        images=tuple(data.names for _, data in parts),
    )
    first = np.unique(found.groups, return_index=True)[1]
    copies = np.flatnonzero(first[found.groups] != np.arange(len(found.groups)))
    exact = np.stack([first[found.groups[copies]], copies], axis=1)
    near = first[found.near]
    findings: dict[str, Any] = {
        "exact_duplicates": rows.finding(exact),
        "near_duplicates": rows.finding(near),
        "conflicts": rows.finding(rows.disagreeing(exact)),
        "near_conflicts": rows.finding(rows.disagreeing(near)),
        "blank": rows.finding(np.flatnonzero(found.blank)[:, np.newaxis]),
        "leaks": tuple(_leaks(found, rows)),
    }
    counts = {name: tuple(data.counts.tolist()) for name, data in parts}
    bad = tuple((name, reason) for name, reason in bad_files)
    said = (*splits.notes, *splits.warnings)
    report = DataReport(splits.name, splits.image_shape, splits.classes, counts, bad_files=bad, notes=said, **findings)
    return DataReport(**{**vars(report), "warnings": tuple(_warnings(report))})


@dataclass(frozen=True, eq=False)
class _Rows:
    """All images of all parts, counted through.

    Attributes:
        names: the parts' names.
        part: (N,), the part of each image; starts: where each part begins.
        labels: (N,), over all parts.
        images: the image names of each part.
    """

    names: tuple[str, ...]
    part: npt.NDArray[np.integer]
    starts: npt.NDArray[np.integer]
    labels: Int64Array
    images: tuple[Sequence[str], ...]

    def finding(self, rows: Int64Array) -> Finding:
        examples = tuple(tuple(self._called(int(row)) for row in group) for group in rows[:EXAMPLES])
        return Finding(len(rows), examples)

    def disagreeing(self, pairs: Int64Array) -> Int64Array:
        differ = self.labels[pairs[:, 0]] != self.labels[pairs[:, 1]]
        return np.asarray(pairs[differ])

    def _called(self, row: int) -> str:
        part = int(self.part[row])
        return f"{self.names[part]}: {self.images[part][row - int(self.starts[part])]}"


def _leaks(found: Duplicates, rows: _Rows) -> list[Leak]:
    leaks = []
    for b in range(len(rows.names)):
        for a in range(b):
            exact, near = cross_pairs(found, rows.part, a, b)
            if len(exact) or len(near):
                names = rows.names[a], rows.names[b]
                leaks.append(Leak(names, rows.finding(exact), rows.finding(near)))
    return leaks


def _warnings(report: DataReport) -> list[str]:
    return [*_about_files(report), *_about_images(report), *_about_leaks(report), *_about_classes(report)]


def _about_files(report: DataReport) -> list[str]:
    if not report.bad_files:
        return []
    count, them = _count(len(report.bad_files), "file"), "it" if len(report.bad_files) == 1 else "them"
    return [f"{count} cannot be used: mend or remove {them}, or train with --on-bad-file skip."]


def _about_images(report: DataReport) -> list[str]:
    warnings = []
    if same := report.conflicts.count:
        warnings.append(
            f"{_count(same, 'image')} {'has' if same == 1 else 'have'} an exact copy under another label: "
            f"one of the two is wrong ({_example(report.conflicts)}). Correct or remove the images."
        )
    if alike := report.near_conflicts.count:
        warnings.append(
            f"{_count(alike, 'pair')} of nearly the same image {'has' if alike == 1 else 'have'} different "
            f"labels ({_example(report.near_conflicts)}). Look at them and correct the labels."
        )
    if blank := report.blank.count:
        warnings.append(
            f"{_count(blank, 'image')} {'is' if blank == 1 else 'are'} blank or almost "
            f"({_example(report.blank)}). Remove them unless blank is what they mean."
        )
    return warnings


def _about_leaks(report: DataReport) -> list[str]:
    warnings = []
    for leak in report.leaks:
        a, b = leak.parts
        exact, near = leak.exact.count, leak.near.count
        copies = [f"{exact:,} exact {'copy' if exact == 1 else 'copies'}"] * bool(exact)
        told = " and ".join(copies + [_count(near, "near duplicate")] * bool(near))
        example = _example(leak.exact if leak.exact.count else leak.near)
        warnings.append(
            f"{a} and {b} share images: {told} ({example}). The accuracy on {b} will look better than it is: "
            f"remove them from {a}."
        )
    return warnings


def _about_classes(report: DataReport) -> list[str]:
    train = dict(zip(report.classes, report.counts["train"], strict=True)) if "train" in report.counts else {}
    warnings = []
    for part, counts in report.counts.items():
        missing = [name for name, count in zip(report.classes, counts, strict=True) if not count]
        if missing:
            warnings.append(
                f"The {part} part has no image of {_listed(missing)}: add some, or nothing can be "
                f"{'learnt' if part == 'train' else 'measured'} there."
            )
    few = [name for name, count in train.items() if 0 < count < FEW]
    if few:
        warnings.append(f"Fewer than {FEW} training images of {_listed(few)}: add more, or merge classes.")
    there = {name: count for name, count in train.items() if count}
    if there and max(there.values()) >= IMBALANCE * min(there.values()):
        most, least = max(there, key=there.__getitem__), min(there, key=there.__getitem__)
        warnings.append(
            f"The classes are unbalanced: {train[most]:,} training images of {most!r}, {train[least]:,} of "
            f"{least!r}. Weigh the classes in training, and look at each class's recall, not at the accuracy "
            "alone."
        )
    return warnings


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _example(finding: Finding) -> str:
    return "such as " + " and ".join(finding.examples[0])


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
