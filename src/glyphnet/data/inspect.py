"""Looks a data set over: what is in it, and what would spoil a result.

`inspect` is the whole look, for ``glyphnet data``. `look_over` searches for near duplicates only where there is time or
the cache has the result: else it takes a fraction of a second for 60,000 small images, so training, evaluation and the
report can say what it finds.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..files import atomic_write
from ..units import listed
from .dataset import Int64Array, Splits, UInt8Array
from .duplicates import Duplicates, cross_pairs, find_duplicates, not_searched, search_seconds
from .findings import Finding

EXAMPLES = 20  # named of each finding; the count tells of all

IMBALANCE = 5  # the largest class has this many times the images of the smallest: worth a warning

FEW = 10  # training images of a class below which hardly anything can be learnt

FEW_LEVELS = 8  # of brightness, in all images together

NARROW = 32  # levels of brightness between the darkest and the brightest pixel of all images

MANY_COPIES = 0.01  # of a part's images

ABOUT_LEARNING = frozenset({"imbalance", "few_images", "missing_in_train", "missing_in_validation", "single_image"})
"""Codes of findings that concern a training on the data, and not a model that is only judged by them."""

LARGE_BYTES = 500_000_000
"""Of images. In more than these `look_over` searches neither copies nor blank images: reading them all takes long."""

_SAMPLE = 2000  # images of which the brightness levels are counted


@dataclass(frozen=True)
class Occurrences:
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
        near: pairs that show the same picture.
        similar: pairs that are very similar.
    """

    parts: tuple[str, str]
    exact: Occurrences
    near: Occurrences
    similar: Occurrences


@dataclass(frozen=True)
class Pair:
    """Two images that are the same or alike.

    Attributes:
        kind: "copy" of the same pixels, or what differs: "mirrored", "turned", "enlarged", "shifted", or "altered".
        level: "exact", "same picture" or "very similar".
        similarity: correlation of the pixels once one is moved onto the other.
        parts, images, classes: of the two.
    """

    kind: str
    level: str
    similarity: float
    parts: tuple[str, str]
    images: tuple[str, str]
    classes: tuple[str, str]


@dataclass(frozen=True)
class DataReport:
    """What was found in a data set.

    Attributes:
        image_shape: height, width, channels.
        counts: for each part, images a class, in the order of ``classes``.
        exact_duplicates: images that are copies of an earlier one, in any part.
        near_duplicates: pairs that show the same picture, changed; none where they were not looked for.
        similar: pairs that are very similar.
        conflicts: exact copies whose labels differ.
        near_conflicts: near duplicates whose labels differ.
        pairs: every pair of them, exact copies first; only from `inspect`.
        leaks: pairs of parts that share images.
        blank: images with next to nothing on them.
        bad_files: (name, what is wrong) of files that were skipped.
        notes: what was said while the data were read.
        levels: different brightnesses in a sample of the images, the least and the greatest.
        not_checked: checks that were not run.
        findings: what looks wrong, and what to do.
    """

    name: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    exact_duplicates: Occurrences
    near_duplicates: Occurrences
    similar: Occurrences
    conflicts: Occurrences
    near_conflicts: Occurrences
    leaks: tuple[Leak, ...]
    blank: Occurrences
    bad_files: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    levels: tuple[int, int, int] = (0, 0, 0)
    not_checked: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    pairs: tuple[Pair, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences of the findings."""
        return tuple(finding.sentence for finding in self.findings)

    @property
    def lines(self) -> tuple[str, ...]:
        """What a verb that uses the data says of them: notes, warnings, and the checks that were not run."""
        warned = (f"Warning: {sentence}" for sentence in self.warnings)
        unchecked = [f"Not searched for: {', '.join(self.not_checked)}. `glyphnet data` does."] * bool(self.not_checked)
        return (*self.notes, *warned, *unchecked)

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, tuples, strings and numbers, ready for JSON."""
        return asdict(self)


def inspect(splits: Splits, *, bad_files: Sequence[tuple[str, str]] = ()) -> DataReport:
    """Look over a data set; a minute for 70,000 small images, seconds when the cache has the near duplicates.

    Args:
        splits: the data.
        bad_files: (name, reason) of files that were skipped while reading.
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
    occurrences: dict[str, Any] = {
        "exact_duplicates": rows.occurrences(exact),
        "near_duplicates": rows.occurrences(alike),
        "similar": rows.occurrences(found.near.pairs[~found.near.same]),
        "conflicts": rows.occurrences(rows.disagreeing(exact)),
        "near_conflicts": rows.occurrences(rows.disagreeing(alike)),
        "blank": rows.occurrences(np.flatnonzero(found.blank)[:, np.newaxis]),
        "leaks": tuple(_leaks(found, rows)),
    }
    report = DataReport(
        splits.name,
        splits.image_shape,
        splits.classes,
        {name: tuple(data.counts.tolist()) for name, data in parts},
        **occurrences,
        bad_files=bad_files,
        notes=splits.notes,
        levels=_levels(parts[0][1].images),
        not_checked=not_checked,
    )
    meant = _blank_is_meant(rows.labels, found.blank)
    return replace(report, findings=(*_about_reading(splits), *_findings(report, blank_is_meant=meant)))


_looked_over: WeakKeyDictionary[Splits, DataReport] = WeakKeyDictionary()
"""Of data that are still in use: training, judging and the report ask for the same."""


def write_pairs(pairs: Sequence[Pair], path: str | os.PathLike[str]) -> None:
    """Write pairs as CSV, a line each.

    Raises:
        OSError: the file cannot be written.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(
        ["kind", "level", "similarity", "part", "image", "class", "other_part", "other_image", "other_class"]
    )
    for pair in pairs:
        places = zip(pair.parts, pair.images, pair.classes, strict=True)
        lines.writerow([pair.kind, pair.level, pair.similarity, *(text for place in places for text in place)])
    with atomic_write(path, follow=True) as file:
        file.write(text.getvalue().encode(errors="surrogateescape"))


def look_over(splits: Splits, *, most_seconds: float = 0.0) -> DataReport:
    """What `inspect` finds, near duplicates only where that is quick; computed once for the same `Splits`.

    Args:
        most_seconds: how long the search for near duplicates may take; what is in the cache is used in any case.
    """
    report = _looked_over.get(splits)
    images = [data.images for _, data in splits if len(data)]
    has_time = search_seconds(sum(map(len, images)), splits.image_shape) <= most_seconds
    if report is None or (has_time and "near duplicates" in report.not_checked):
        large = sum(part.nbytes for part in images) > LARGE_BYTES
        found = not_searched(sum(map(len, images))) if large else find_duplicates(images, most_seconds=most_seconds)
        not_checked = (
            *(("copies", "blank images") if large else ()),
            *(() if found.searched else ("near duplicates",)),
        )
        report = _looked_over[splits] = _report(splits, found, not_checked=not_checked)
    return report


def _blank_is_meant(labels: Int64Array, blank: npt.NDArray[np.bool_]) -> bool:
    """Whether the blank images are a class of their own: all in one, and almost all of it."""
    classes = np.unique(labels[blank])
    return len(classes) == 1 and bool(blank[labels == classes[0]].mean() > 0.9)


def _levels(images: UInt8Array) -> tuple[int, int, int]:
    """How many different brightnesses a sample of the images has, the least and the greatest."""
    present = np.zeros(256, dtype=np.bool_)
    for row in np.unique(np.linspace(0, len(images) - 1, min(_SAMPLE, len(images))).astype(int)):
        present[images[row]] = True
    found = np.flatnonzero(present)
    return len(found), int(found[0]), int(found[-1])


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

    @classmethod
    def of(cls, splits: Splits) -> _Rows:
        """Those of all parts that hold images."""
        parts = [(name, data) for name, data in splits if len(data)]
        return cls(
            names=tuple(name for name, _ in parts),
            part=np.repeat(np.arange(len(parts)), [len(data) for _, data in parts]),
            starts=np.cumsum([0, *(len(data) for _, data in parts)]),
            labels=np.concatenate([data.labels for _, data in parts]),
            images=tuple(data.names for _, data in parts),
        )

    def occurrences(self, rows: Int64Array) -> Occurrences:
        examples = tuple(tuple(self._called(int(row)) for row in group) for group in rows[:EXAMPLES])
        return Occurrences(len(rows), examples)

    def disagreeing(self, pairs: Int64Array) -> Int64Array:
        differ = self.labels[pairs[:, 0]] != self.labels[pairs[:, 1]]
        return np.asarray(pairs[differ])

    def place(self, row: int) -> tuple[str, str]:
        """The part of an image, and its name."""
        part = int(self.part[row])
        return self.names[part], self.images[part][row - int(self.starts[part])]

    def _called(self, row: int) -> str:
        return ": ".join(self.place(row))


def _copies(found: Duplicates) -> Int64Array:
    """Pairs (first, later) of images with the same pixels, int64 (M, 2); each later copy is in one pair."""
    first = np.unique(found.groups, return_index=True)[1]
    copies = np.flatnonzero(first[found.groups] != np.arange(len(found.groups)))
    return np.stack([first[found.groups[copies]], copies], axis=1)


def _pairs(found: Duplicates, rows: _Rows, classes: Sequence[str]) -> Iterator[Pair]:
    """Every pair of copies, of near duplicates and of very similar images, in this order."""
    told = [("copy", "exact", 1.0, pair) for pair in _copies(found).tolist()]
    for is_same, level in ((True, "same picture"), (False, "very similar")):
        told += [
            (found.near.kind(number), level, round(float(found.near.similarity[number]), 4), pair)
            for number, pair in enumerate(found.near.pairs.tolist())
            if bool(found.near.same[number]) == is_same
        ]
    for kind, level, similarity, (a, b) in told:
        (part_a, name_a), (part_b, name_b) = rows.place(a), rows.place(b)
        labels = classes[int(rows.labels[a])], classes[int(rows.labels[b])]
        yield Pair(kind, level, similarity, (part_a, part_b), (name_a, name_b), labels)


def _leaks(found: Duplicates, rows: _Rows) -> list[Leak]:
    leaks = []
    for b in range(len(rows.names)):
        for a in range(b):
            exact, near = cross_pairs(found, rows.part, a, b)
            if len(exact) or len(near):
                names = rows.names[a], rows.names[b]
                same, similar = near.pairs[near.same], near.pairs[~near.same]
                leaks.append(Leak(names, rows.occurrences(exact), rows.occurrences(same), rows.occurrences(similar)))
    return leaks


def _about_reading(splits: Splits) -> Iterator[Finding]:
    yield from (Finding("reading", sentence) for sentence in splits.warnings)


def _findings(report: DataReport, *, blank_is_meant: bool) -> Iterator[Finding]:
    yield from _about_files(report)
    yield from _about_images(report, blank_is_meant=blank_is_meant)
    yield from _about_copies(report)
    yield from _about_classes(report)


def _about_files(report: DataReport) -> Iterator[Finding]:
    if count := len(report.bad_files):
        yield Finding(
            "bad_files",
            f"{_count(count, 'file')} cannot be used: mend or remove {'it' if count == 1 else 'them'}, or train with "
            "--on-bad-file skip.",
            {"files": count},
        )


def _about_images(report: DataReport, *, blank_is_meant: bool) -> Iterator[Finding]:
    if same := report.conflicts.count:
        yield Finding(
            "conflicts",
            f"{_count(same, 'image')} {'has' if same == 1 else 'have'} an exact copy under another label: "
            f"one of the two is wrong ({_example(report.conflicts)}). Correct or remove the images.",
            {"images": same},
        )
    if alike := report.near_conflicts.count:
        yield Finding(
            "near_conflicts",
            f"{_count(alike, 'pair')} of nearly the same image {'has' if alike == 1 else 'have'} different "
            f"labels ({_example(report.near_conflicts)}). Look at them and correct the labels.",
            {"pairs": alike},
        )
    levels, darkest, brightest = report.levels
    if levels <= FEW_LEVELS or brightest - darkest < NARROW:
        yield Finding(
            "few_levels",
            f"The images use only {_count(levels, 'level')} of brightness, from {darkest} to {brightest} of 255. If "
            "the pictures themselves hold more, they were read or saved in the wrong range: check their bit depth. If "
            "not, the model will see nothing but such images: make new ones alike.",
            {"levels": levels, "darkest": darkest, "brightest": brightest},
        )
    if (blank := report.blank.count) and not blank_is_meant:
        yield Finding(
            "blank",
            f"{_count(blank, 'image')} {'is' if blank == 1 else 'are'} blank or almost "
            f"({_example(report.blank)}). Remove them unless blank is what they mean.",
            {"images": blank},
        )


def _about_copies(report: DataReport) -> Iterator[Finding]:
    for leak in report.leaks:
        if similar := leak.similar.count:
            a, b = leak.parts
            yield Finding(
                "similar",
                f"{a} and {b} share {_count(similar, 'pair')} of very similar images ({_example(leak.similar)}): if "
                f"they show the same, the accuracy on {b} looks too good. `glyphnet data --out FILE` lists them.",
                {"first": a, "second": b, "pairs": similar},
            )
    for leak in report.leaks:
        a, b = leak.parts
        exact, near = leak.exact.count, leak.near.count
        if not exact and not near:
            continue
        copies = [f"{exact:,} exact {'copy' if exact == 1 else 'copies'}"] * bool(exact)
        told = " and ".join(copies + [_count(near, "near duplicate")] * bool(near))
        example = _example(leak.exact if leak.exact.count else leak.near)
        yield Finding(
            "leak",
            f"{a} and {b} share images: {told} ({example}). The accuracy on {b} will look better than it is: "
            f"remove them from {a}.",
            {"first": a, "second": b, "exact": exact, "near": near},
        )
    same, total = report.exact_duplicates.count, sum(map(sum, report.counts.values()))
    if same and same >= MANY_COPIES * total:
        yield Finding(
            "duplicates",
            f"{same:,} of {_count(total, 'image')} {'is a copy' if same == 1 else 'are copies'} of another, "
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


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _example(occurrences: Occurrences) -> str:
    return "such as " + " and ".join(occurrences.examples[0])
