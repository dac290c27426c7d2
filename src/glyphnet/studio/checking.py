"""What `glyphnet data` finds in the studio's folder, with the pictures that each finding is about.

It runs in a process of its own, which can be stopped: small networks are trained to find suspicious labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from ..data import Finding, Splits, inspect, load
from ..data.corrections import read_decisions
from ..data.duplicates import find_duplicates
from ..data.inspect import DataReport, Pair
from ..errors import DataError, GlyphNetError, SettingsError
from ..locks import temporary_folder
from ..processes import Child, talk_with_parent
from ..progress import Progress
from ..units import plural
from .errors import StudioError
from .names import DECISIONS

MOST_QUICK = 2000
"""Pictures in which wrong labels are searched for quickly."""

MOST_IDS = 1000
"""Pictures that a finding names; its numbers count all."""


def main(root: str) -> None:
    """In the child: check the folder, and send the findings."""
    tell = talk_with_parent()

    def progress(done: int, total: int, what: str) -> None:
        tell({"phase": "working", "done": done, "total": total, "what": what})

    try:
        for finding in findings(Path(root), progress):
            tell({"phase": "found", "finding": finding})
        tell({"phase": "done"})
    except GlyphNetError as error:
        tell({"phase": "failed", "error": str(error)})


def check(root: Path, report: Callable[[int, int, str], None], found: list[dict[str, Any]], stopping: Event) -> None:
    """Check a folder in a child process, which is ended as soon as ``stopping`` is set.

    Args:
        report: is told how far it is.
        found: takes the findings as they come.

    Raises:
        StudioError: the data cannot be read, or the process died.
    """
    last: dict[str, Any] = {}
    ended = Event()

    def heard(message: Mapping[str, Any]) -> None:
        if message["phase"] == "working":
            report(message["done"], message["total"], message["what"])
        elif message["phase"] == "found":
            found.append(message["finding"])
        elif not ended.is_set():
            last.update(message)
            ended.set()

    with temporary_folder() as folder:
        child = Child("glyphnet.studio.checking:main", [str(root)], threads=1, log=folder / "log", heard=heard)
        with child as running:
            while not ended.wait(0.1):
                if stopping.is_set():
                    return
            if last["phase"] == "gone":
                raise StudioError(500, f"The check {running.how_it_ended()}.")
    if last["phase"] == "failed":
        raise StudioError(409, last["error"])


def findings(root: Path, progress: Progress) -> Iterator[dict[str, Any]]:
    """Every finding: code, sentence, numbers, ids, and where known what each label should be."""
    splits = load(root, on_bad_file="skip", to_train=False, progress=progress)
    progress(0, 0, "looking for duplicates")
    report = inspect(splits, bad_files=splits.bad_files)
    ids = _ids(splits, report)
    own = {finding.code: finding for finding in report.findings}
    for finding in report.findings:
        if finding.code not in _OF_PAIRS:
            yield _finding(finding.code, finding.sentence, dict(finding.numbers), ids.get(finding.code, []))
    yield from _of_pairs(report.pairs, own)
    yield from _groups(splits)
    yield from _decided(root, splits)
    progress(0, 0, "looking for wrong labels")
    yield from _suspicious(splits, progress)


def _finding(code: str, sentence: str, numbers: dict[str, Any], ids: list[str], **more: Any) -> dict[str, Any]:
    return {"code": code, "sentence": sentence, "numbers": numbers, "ids": ids[:MOST_IDS], **more}


def _ids(splits: Splits, report: DataReport) -> dict[str, list[str]]:
    """The pictures of findings that are about single ones."""
    names = [name for _, data in splits for name in data.names]
    found = {"bad_files": [name for name, _ in report.bad_files]}
    if report.blank.count:
        blank = find_duplicates([data.images for _, data in splits if len(data)], most_seconds=0.0).blank
        found["blank"] = [names[row] for row in np.flatnonzero(blank).tolist()]
    train = splits.train
    few = [name for name, count in zip(train.classes, train.counts.tolist(), strict=True) if 0 < count < 10]
    if few:
        found["few_images"] = [name for name in names if name.partition("/")[0] in few]
    return found


_OF_PAIRS = ("duplicates", "conflicts", "near_conflicts", "leak", "leaks", "similar")


def _of_pairs(pairs: tuple[Pair, ...], own: Mapping[str, Finding]) -> Iterator[dict[str, Any]]:
    """Copies, copies with two labels, and copies in two parts; ``pairs`` holds both pictures of each."""
    same = [pair for pair in pairs if pair.level != "very similar"]
    kinds: dict[str, tuple[list[Pair], str]] = {
        "conflicts": (
            [pair for pair in same if pair.classes[0] != pair.classes[1]],
            "of the same picture with two labels: one of the two is wrong. Correct or remove one.",
        ),
        "duplicates": (
            [pair for pair in same if pair.level == "exact" and pair.classes[0] == pair.classes[1]],
            "of exactly the same pixels: there is less to learn from than it seems. Remove one of each.",
        ),
        "near_duplicates": (
            [pair for pair in same if pair.level != "exact" and pair.classes[0] == pair.classes[1]],
            "of the same picture, changed a little. Give them a group, so that they stay on one side of the split.",
        ),
        "leaks": (
            [pair for pair in same if pair.parts[0] != pair.parts[1]],
            "of the same picture in two parts: the accuracy looks better than it is. Give them a group, or remove one.",
        ),
    }
    for code, (found, words) in kinds.items():
        if not found:
            continue
        sentence = own["conflicts"].sentence if code == "conflicts" and "conflicts" in own else (
            f"{plural(len(found), 'pair')} {words}"
        )  # fmt: skip
        listed = [list(pair.images) for pair in found[:MOST_IDS]]
        yield _finding(code, sentence, {"pairs": len(found)}, [pair.images[1] for pair in found], pairs=listed)


def _groups(splits: Splits) -> Iterator[dict[str, Any]]:
    """Pictures that stay together."""
    numbers = [data.groups for _, data in splits if data.groups is not None]
    if not numbers:
        return
    sizes = np.bincount(np.concatenate(numbers))
    several = np.flatnonzero(sizes > 1)
    names = [
        name
        for _, data in splits
        if data.groups is not None
        for name, own in zip(data.names, np.isin(data.groups, several).tolist(), strict=True)
        if own
    ]
    sentence = next((note for note in splits.notes if "group" in note), f"{plural(len(several), 'group')}.")
    yield _finding("groups", sentence, {"groups": len(several), "by": splits.group_by}, names)


def _decided(root: Path, splits: Splits) -> Iterator[dict[str, Any]]:
    """Decisions that a person wrote into labels.csv, and that the folders do not follow yet."""
    path = root / DECISIONS
    if not path.is_file():
        return
    labels = {
        name: data.classes[label] for _, data in splits for name, label in zip(data.names, data.labels, strict=True)
    }
    ids, suggested = [], []
    try:
        for decision in read_decisions(path):
            now = labels.get(decision.file)
            if not decision.decision or now != decision.given:
                continue
            outcome = decision.outcome(splits.classes, path)
            if outcome is not None and outcome != now:
                ids.append(decision.file)
                suggested.append(outcome)
    except DataError as error:
        yield _finding("decisions", str(error), {}, [])
        return
    if ids:
        sentence = f"{DECISIONS} decides otherwise on {plural(len(ids), 'picture')} than the folders. Move them."
        yield _finding("decisions", sentence, {"pictures": len(ids)}, ids, suggested=suggested)


def _quick(splits: Splits) -> dict[str, Any]:
    """Settings of the search for wrong labels where somebody waits: for few pictures a tenth of its steps.

    In 150 digits of MNIST with 8 labels changed the quick search found all 8, as did the whole one of `data --review`.
    """
    from ..training import preset

    count = len(splits.train) + len(splits.validation)
    if count > MOST_QUICK:
        return {}
    recipe = preset("fast", splits.image_shape, max(1, count * 3 // 4), len(splits.classes))
    return {"recipe": recipe.override({"epochs": max(5, recipe.epochs // 3)}), "repeats": 1}


def _suspicious(splits: Splits, progress: Progress) -> Iterator[dict[str, Any]]:
    """Labels that networks find improbable which have not learned from the picture."""
    if len(splits.classes) < 2:
        yield _finding("not_checked", "Wrong labels show only between two classes or more: not looked for.", {}, [])
        return
    from ..runs.review import review

    try:
        found = review(splits, progress=progress, **_quick(splits))
    except (DataError, SettingsError) as error:
        yield _finding("not_checked", f"Suspicious labels were not looked for: {error}", {}, [])
        return
    rows = [
        (score, part.dataset.names[row], part.dataset.classes[suggested])
        for part in found.parts
        for row, suggested, score in zip(
            part.issues.indices.tolist(), part.issues.suggested.tolist(), part.issues.scores.tolist(), strict=True
        )
    ]
    rows.sort(key=lambda row: -row[0])
    if rows:
        probable = sum(part.issues.probable for part in found.parts)
        sentence = f"{plural(len(rows), 'doubtful label')}, {probable:,} of them probably wrong: look at them."
        sentence += "".join(f" {warning}" for warning in found.warnings[:1])
        numbers = {"doubtful": len(rows), "probable": probable}
        suggested = [label for _, _, label in rows[:MOST_IDS]]
        yield _finding("suspicious", sentence, numbers, [name for _, name, _ in rows], suggested=suggested)
