"""Inspects a data set: what is in it, and what would spoil a result.

`inspect` checks everything, for ``glyphnet data``. `look_over` is for training, evaluation and the report: it searches
for near duplicates only where there is time or the cache has the result, so 60,000 small images take it half a second.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..filekinds import check_suffix
from ..files import atomic_write_csv
from ..units import listed, plural
from .dataset import Int64Array, Splits, UInt8Array, evenly_spaced
from .duplicates import Duplicates, cross_pairs, find_duplicates, not_searched, search_seconds

EXAMPLES = 20  # named in each finding
IMBALANCE = 5  # the largest class has this many times the images of the smallest: worth a warning
FEW = 10  # training images of a class below which hardly anything can be learnt
FEW_LEVELS = 8  # of brightness, in all images together
NARROW = 32  # levels of brightness between the darkest and the brightest pixel of all images
MANY_COPIES = 0.01  # of a part's images

ABOUT_LEARNING = frozenset({"imbalance", "few_images", "missing_in_train", "missing_in_validation", "single_image"})
"""Codes of findings that matter when a model is trained on the data, not when one is evaluated on them."""

LARGE_BYTES = 500_000_000
"""Of images. In more than these `look_over` searches neither copies nor blank images: reading them all takes long."""

_SAMPLE = 2000  # images of which the brightness levels are counted


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or may be, with data, a training or a model's answers."""

    code: str  # its kind, the same wherever it is shown: "imbalance", "blank", "overfitting"
    sentence: str  # what was found, and what to do
    numbers: Mapping[str, int | float | str | None] = field(default_factory=dict)  # the evidence, ready for JSON

    def __str__(self) -> str:
        return self.sentence

    def to_dict(self) -> dict[str, Any]:
        """Code, sentence and numbers, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Occurrences:
    """How often something was found; the first examples, each one or two images as "part: image"."""

    count: int = 0
    examples: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Leak:
    """Images that two parts, such as ("train", "test"), share."""

    parts: tuple[str, str]
    exact: Occurrences  # images of the second that are in the first, pixel for pixel
    near: Occurrences  # pairs that show the same picture
    similar: Occurrences  # pairs that are very similar


@dataclass(frozen=True)
class Pair:
    """Two images that are the same or alike."""

    kind: str  # "copy", or what differs: "mirrored", "turned", "enlarged", "shifted"; "altered" where nothing moved
    level: str  # "exact", "same picture" or "very similar"
    similarity: float  # correlation of the pixels once one image is moved onto the other
    parts: tuple[str, str]
    images: tuple[str, str]
    classes: tuple[str, str]


@dataclass(frozen=True)
class DataReport:
    """The contents and faults of a data set.

    Attributes:
        conflicts, near_conflicts: copies and near duplicates whose labels differ.
        levels: different brightnesses in a sample of the images, the least and the greatest.
    """

    name: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]  # for each part, images a class, in the order of ``classes``
    exact_duplicates: Occurrences  # images that are copies of an earlier one, in any part
    near_duplicates: Occurrences  # pairs that show the same picture, changed; none where they were not searched for
    similar: Occurrences  # pairs that are very similar
    conflicts: Occurrences
    near_conflicts: Occurrences
    leaks: tuple[Leak, ...]  # pairs of parts that share images
    blank: Occurrences  # images with next to nothing on them
    bad_files: tuple[tuple[str, str], ...] = ()  # (name, reason) of files that were skipped
    notes: tuple[str, ...] = ()  # sentences for the user from reading the data
    levels: tuple[int, int, int] = (0, 0, 0)
    not_checked: tuple[str, ...] = ()  # checks that were not run
    findings: tuple[Finding, ...] = ()
    pairs: tuple[Pair, ...] = ()  # every pair of duplicates, exact copies first; only from `inspect`

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences of the findings."""
        return tuple(finding.sentence for finding in self.findings)

    @property
    def lines(self) -> tuple[str, ...]:
        """For a verb that uses the data: notes, warnings, and the checks that were not run."""
        warned = (f"Warning: {sentence}" for sentence in self.warnings)
        unchecked = [f"Not searched for: {', '.join(self.not_checked)}. `glyphnet data` does."] * bool(self.not_checked)
        return (*self.notes, *warned, *unchecked)

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, tuples, strings and numbers, ready for JSON."""
        return asdict(self)


def inspect(splits: Splits, *, bad_files: Sequence[tuple[str, str]] = ()) -> DataReport:
    """Check a data set: a minute for 70,000 small images, seconds when the cache has the near duplicates.

    ``bad_files``: (name, reason) of files that were skipped while reading.
    """
    found = find_duplicates([data.images for _, data in splits if len(data)])
    report = _report(splits, found, bad_files=tuple((name, reason) for name, reason in bad_files))
    return replace(report, pairs=tuple(_pairs(found, _Rows.of(splits), splits.classes)))


def _report(
    splits: Splits, found: Duplicates, *, bad_files: tuple[tuple[str, str], ...] = (), not_checked: tuple[str, ...] = ()
) -> DataReport:
    parts = [(name, data) for name, data in splits if len(data)]
    rows = _Rows.of(splits)
    exact = _copies(found)
    alike = found.near.pairs[found.near.same]
    report = DataReport(
        splits.name,
        splits.image_shape,
        splits.classes,
        {name: tuple(data.counts.tolist()) for name, data in parts},
        exact_duplicates=rows.occurrences(exact),
        near_duplicates=rows.occurrences(alike),
        similar=rows.occurrences(found.near.pairs[~found.near.same]),
        conflicts=rows.occurrences(rows.disagreeing(exact)),
        near_conflicts=rows.occurrences(rows.disagreeing(alike)),
        leaks=tuple(_leaks(found, rows)),
        blank=rows.occurrences(np.flatnonzero(found.blank)[:, np.newaxis]),
        bad_files=bad_files,
        notes=splits.notes,
        levels=_levels(parts[0][1].images),
        not_checked=not_checked,
    )
    read = [Finding("reading", sentence) for sentence in splits.warnings]
    blank = np.unique(rows.labels[found.blank])  # a class of their own: all in one, and almost all of it
    blank_is_meant = len(blank) == 1 and bool(found.blank[rows.labels == blank[0]].mean() > 0.9)
    images = _about_images(report, blank_is_meant=blank_is_meant)
    return replace(report, findings=(*read, *images, *_about_copies(report), *_about_classes(report)))


def write_pairs(pairs: Sequence[Pair], path: str | os.PathLike[str]) -> None:
    """Write pairs as CSV, a line each."""
    check_suffix(path, (".csv",))
    rows = [["kind", "level", "similarity", "part", "image", "class", "other_part", "other_image", "other_class"]]
    for pair in pairs:
        places = zip(pair.parts, pair.images, pair.classes, strict=True)
        rows.append([pair.kind, pair.level, f"{pair.similarity}", *(text for place in places for text in place)])
    atomic_write_csv(path, rows, follow=True)


_looked_over: WeakKeyDictionary[Splits, DataReport] = WeakKeyDictionary()
"""Of data that are still in use: training, evaluation and the report ask for the same."""


def look_over(splits: Splits, *, most_seconds: float = 0.0) -> DataReport:
    """What `inspect` finds, near duplicates only where that is quick; computed once for the same `Splits`.

    Args:
        most_seconds: how long the search for near duplicates may take; a result in the cache is always used.
    """
    report = _looked_over.get(splits)
    images = [data.images for _, data in splits if len(data)]
    has_time = search_seconds(sum(map(len, images)), splits.image_shape) <= most_seconds
    if report is None or (has_time and "near duplicates" in report.not_checked):
        large = sum(part.nbytes for part in images) > LARGE_BYTES
        found = not_searched(sum(map(len, images))) if large else find_duplicates(images, most_seconds=most_seconds)
        not_checked = [*["copies", "blank images"] * large, *["near duplicates"] * (not found.searched)]
        report = _looked_over[splits] = _report(splits, found, not_checked=tuple(not_checked))
    return report


def _levels(images: UInt8Array) -> tuple[int, int, int]:
    """How many different brightnesses a sample of the images has, the least and the greatest."""
    present = np.zeros(256, dtype=np.bool_)
    for row in evenly_spaced(len(images), _SAMPLE):
        present[images[row]] = True
    found = np.flatnonzero(present)
    return len(found), int(found[0]), int(found[-1])


@dataclass(frozen=True, eq=False)
class _Rows:
    """All images of all parts, in one numbering."""

    names: tuple[str, ...]  # of the parts
    part: npt.NDArray[np.integer]  # (N,), the part of each image
    starts: npt.NDArray[np.integer]  # the first row of each part
    labels: Int64Array  # (N,)
    images: tuple[Sequence[str], ...]  # the image names of each part

    @classmethod
    def of(cls, splits: Splits) -> _Rows:
        """Of the parts that hold images."""
        parts = [(name, data) for name, data in splits if len(data)]
        return cls(
            names=tuple(name for name, _ in parts),
            part=np.repeat(np.arange(len(parts)), [len(data) for _, data in parts]),
            starts=np.cumsum([0, *(len(data) for _, data in parts)]),
            labels=np.concatenate([data.labels for _, data in parts]),
            images=tuple(data.names for _, data in parts),
        )

    def occurrences(self, rows: Int64Array) -> Occurrences:
        examples = tuple(tuple(": ".join(self.place(row)) for row in group) for group in rows[:EXAMPLES].tolist())
        return Occurrences(len(rows), examples)

    def disagreeing(self, pairs: Int64Array) -> Int64Array:
        return np.asarray(pairs[self.labels[pairs[:, 0]] != self.labels[pairs[:, 1]]])

    def place(self, row: int) -> tuple[str, str]:
        """The part of an image, and its name."""
        part = int(self.part[row])
        return self.names[part], self.images[part][row - int(self.starts[part])]


def _copies(found: Duplicates) -> Int64Array:
    """Pairs (first, later) of images with the same pixels, int64 (M, 2); each later copy is in one pair."""
    first = np.unique(found.groups, return_index=True)[1]
    copies = np.flatnonzero(first[found.groups] != np.arange(len(found.groups)))
    return np.stack([first[found.groups[copies]], copies], axis=1)


def _pairs(found: Duplicates, rows: _Rows, classes: Sequence[str]) -> Iterator[Pair]:
    """Every pair of copies, of near duplicates and of very similar images, in this order."""
    described = [("copy", "exact", 1.0, pair) for pair in _copies(found).tolist()]
    for is_same, level in ((True, "same picture"), (False, "very similar")):
        described += [
            (found.near.kind(number), level, round(float(found.near.similarity[number]), 4), pair)
            for number, pair in enumerate(found.near.pairs.tolist())
            if bool(found.near.same[number]) == is_same
        ]
    for kind, level, similarity, (a, b) in described:
        (part_a, name_a), (part_b, name_b) = rows.place(a), rows.place(b)
        labels = classes[int(rows.labels[a])], classes[int(rows.labels[b])]
        yield Pair(kind, level, similarity, (part_a, part_b), (name_a, name_b), labels)


def _leaks(found: Duplicates, rows: _Rows) -> Iterator[Leak]:
    for a, b in combinations(range(len(rows.names)), 2):
        exact, near = cross_pairs(found, rows.part, a, b)
        if len(exact) or len(near):
            same, similar = near.pairs[near.same], near.pairs[~near.same]
            yield Leak((rows.names[a], rows.names[b]), *map(rows.occurrences, (exact, same, similar)))


def _about_images(report: DataReport, *, blank_is_meant: bool) -> Iterator[Finding]:
    if count := len(report.bad_files):
        yield Finding(
            "bad_files",
            f"{plural(count, 'file')} cannot be used: mend or remove {'it' if count == 1 else 'them'}, or train with "
            "--on-bad-file skip.",
            {"files": count},
        )
    if same := report.conflicts.count:
        yield Finding(
            "conflicts",
            f"{plural(same, 'image')} {'has' if same == 1 else 'have'} an exact copy under another label: "
            f"one of the two is wrong ({_example(report.conflicts)}). Correct or remove the images.",
            {"images": same},
        )
    if alike := report.near_conflicts.count:
        yield Finding(
            "near_conflicts",
            f"{plural(alike, 'pair')} of nearly the same image {'has' if alike == 1 else 'have'} different "
            f"labels ({_example(report.near_conflicts)}). Look at them and correct the labels.",
            {"pairs": alike},
        )
    levels, darkest, brightest = report.levels
    if levels <= FEW_LEVELS or brightest - darkest < NARROW:
        yield Finding(
            "few_levels",
            f"The images use only {plural(levels, 'level')} of brightness, from {darkest} to {brightest} of 255. If "
            "the pictures themselves hold more, they were read or saved in the wrong range: check their bit depth. If "
            "not, the model will see nothing but such images: make new ones alike.",
            {"levels": levels, "darkest": darkest, "brightest": brightest},
        )
    if (blank := report.blank.count) and not blank_is_meant:
        yield Finding(
            "blank",
            f"{plural(blank, 'image')} {'is' if blank == 1 else 'are'} blank or almost "
            f"({_example(report.blank)}). Remove them unless blank is what they mean.",
            {"images": blank},
        )


def _about_copies(report: DataReport) -> Iterator[Finding]:
    for leak in report.leaks:
        if similar := leak.similar.count:
            a, b = leak.parts
            yield Finding(
                "similar",
                f"{a} and {b} share {plural(similar, 'pair')} of very similar images ({_example(leak.similar)}): if "
                f"they show the same, the accuracy on {b} looks too good. `glyphnet data --out FILE` lists them.",
                {"first": a, "second": b, "pairs": similar},
            )
    for leak in report.leaks:
        a, b = leak.parts
        exact, near = leak.exact.count, leak.near.count
        if not exact and not near:
            continue
        copies = [f"{exact:,} exact {'copy' if exact == 1 else 'copies'}"] * bool(exact)
        shared = " and ".join(copies + [plural(near, "near duplicate")] * bool(near))
        example = _example(leak.exact if leak.exact.count else leak.near)
        yield Finding(
            "leak",
            f"{a} and {b} share images: {shared} ({example}). The accuracy on {b} will look better than it is: "
            f"remove them from {a}.",
            {"first": a, "second": b, "exact": exact, "near": near},
        )
    same, total = report.exact_duplicates.count, sum(map(sum, report.counts.values()))
    if same and same >= MANY_COPIES * total:
        yield Finding(
            "duplicates",
            f"{same:,} of {plural(total, 'image')} {'is a copy' if same == 1 else 'are copies'} of another, "
            f"pixel for pixel ({_example(report.exact_duplicates)}): there is less to learn from than it seems. "
            "Remove the copies.",
            {"images": same, "of": total},
        )


def _about_classes(report: DataReport) -> Iterator[Finding]:
    totals = [sum(counts) for counts in zip(*report.counts.values(), strict=True)]
    single = [name for name, total in zip(report.classes, totals, strict=True) if total == 1]
    if single and len(report.counts) > 1:
        yield Finding(
            "single_image",
            f"{'Class' if len(single) == 1 else 'Classes'} {listed(single)}: one image only, so nothing tests what was "
            "learnt of it.",
            {"classes": len(single)},
        )
    for part, counts in report.counts.items():
        missing = [name for name, count in zip(report.classes, counts, strict=True) if not count and name not in single]
        if missing:
            yield Finding(
                f"missing_in_{part}",
                f"The {part} part has no image of {listed(missing)}: add some, or nothing can be "
                f"{'learnt' if part == 'train' else 'measured'} there.",
                {"classes": len(missing)},
            )
    train = dict(zip(report.classes, report.counts["train"], strict=True)) if "train" in report.counts else {}
    few = [name for name, count in train.items() if 0 < count < FEW]
    if few:
        yield Finding(
            "few_images",
            f"Fewer than {FEW} training images of {listed(few)}: add more, or merge classes.",
            {"classes": len(few)},
        )
    there = {name: count for name, count in train.items() if count}
    if there and max(there.values()) >= IMBALANCE * min(there.values()):
        most, least = max(there, key=there.__getitem__), min(there, key=there.__getitem__)
        share = there[most] / sum(there.values())
        yield Finding(
            "imbalance",
            f"The classes are unbalanced: {there[most]:,} training images of {most!r}, {there[least]:,} of {least!r}. "
            f"Always answering {most!r} would be right on {100 * share:.1f} % of them. Judge by balanced accuracy and "
            "by each class's recall; loss.class_weight=balanced weighs the classes in training.",
            {"largest": there[most], "smallest": there[least], "majority_share": share},
        )


def _example(occurrences: Occurrences) -> str:
    return "such as " + " and ".join(occurrences.examples[0])
