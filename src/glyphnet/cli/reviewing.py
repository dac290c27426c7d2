"""Telling a person which labels are doubtful: for ``glyphnet data --review`` and ``glyphnet train --check-labels``."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import Replacing, is_stream
from .console import Progress, emit_json, printable, say
from .options import train_command

if TYPE_CHECKING:
    from ..data import Splits
    from ..data.settings import DataSettings
    from ..runs import Run
    from ..runs.review import Review, ReviewedPart

_PAIRS = 5  # kinds of doubt shown of each part; the file has every image


def review_labels(
    data: DataSettings, load: Callable[[], Splits], file: Path, rules: Replacing, *, as_json: bool, progress: Progress
) -> None:
    """Review the labels of a data set, write the table, and say how to go on.

    Args:
        data: what is read.
        load: reads it; called once it is known that the table may be written.
        file: the table to write.
        rules: whether it, and decisions in it, may be replaced.
    """
    from ..data import look_over
    from ..data.corrections import refuse_to_lose_decisions
    from ..runs.review import review

    if not rules.overwrite and not is_stream(file):
        refuse_to_lose_decisions(file)
    rules.check(file)
    splits = load()
    for sentence in look_over(splits).lines:
        say(sentence)
    found = review(splits, progress=progress)
    found.write_csv(file)
    if as_json:
        emit_json({"file": str(file), **found.to_dict()})
        return
    again = data if splits.bad_files else data.with_values({"on_bad_file": "error"})
    for line in [*summary(found), *how_to_go_on(found, file, train_command(again))]:
        print(printable(line))


def tell_suspects(run: Run) -> None:
    """Say which labels of a run's data look wrong, if they were looked at, and how to go on."""
    if run.review is None:
        return
    assert run.folder is not None
    print()
    assert run.recipe.data is not None
    command = train_command(run.recipe.data)
    for line in [*summary(run.review), *how_to_go_on(run.review, run.folder.suspects, command)]:
        print(printable(line))
    if earlier := run.recipe.data.labels:
        print(printable(f"This run was trained with {earlier}: copy the lines that you decide on into that file."))


def summary(found: Review) -> Iterator[str]:
    """How many labels of each part are doubtful, and what they would be instead."""
    probable = sum(part.issues.probable for part in found.parts)
    yield f"{found.data}: {len(found):,} doubtful labels, {probable:,} probably wrong, {found.seconds:.0f} s"
    rows = [(part.name, f"{len(part.dataset):,}", f"{len(part.issues):,}", _share(part)) for part in found.parts]
    headings = ("part", "images", "doubtful", "share")
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    for row in [headings, *rows]:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join([row[0].ljust(widths[0]), *cells])
    for part in found.parts:
        if unjudged := len(part.dataset) - part.issues.n:
            yield f"not judged in {part.name}: {unjudged:,}, the only image of its class"
        yield from _kinds(part)


def how_to_go_on(found: Review, file: Path, command: str) -> Iterator[str]:
    """What to do with the table."""
    yield from (f"warning: {warning}" for warning in found.warnings)
    yield f"Written to {file}, the surest first."
    if len(found):
        yield "Look at the images, fill in the column decision (keep, relabel, drop, or the name of a class), then:"
        yield f"  {command} --labels {shlex.quote(str(file))}"


def _share(part: ReviewedPart) -> str:
    return f"{100 * len(part.issues) / max(part.issues.n, 1):.2f} %"


def _kinds(part: ReviewedPart) -> Iterator[str]:
    """The most frequent pairs of given and suggested class."""
    pairs = Counter(zip(part.issues.given.tolist(), part.issues.suggested.tolist(), strict=True))
    classes = part.dataset.classes
    for (given, suggested), count in pairs.most_common(_PAIRS):
        yield f"  {part.name}: {count:,} labelled {classes[given]}, more like {classes[suggested]}"
