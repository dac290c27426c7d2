"""``glyphnet data``: check a data set before any training."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files import Replacing, is_stream
from ..progress import Progress
from ..units import percent, table
from .console import emit_json, printable, progress, say
from .options import (
    AS_DEFAULT,
    DataArgument,
    DataOptions,
    JsonOption,
    OverwriteOption,
    reads_data,
    replacing,
    train_command,
)

if TYPE_CHECKING:
    from ..data import Splits
    from ..data.settings import DataSettings
    from ..runs import Run
    from ..runs.review import Review, ReviewedPart

if TYPE_CHECKING:
    from ..data.inspect import DataReport, Occurrences

_SHOWN = 5  # examples of each finding; --json has more


@reads_data(on_bad_file="skip")
def data(
    ctx: typer.Context,
    data: DataArgument = "digits",
    how: DataOptions = AS_DEFAULT,
    review: Annotated[
        Path | None,
        typer.Option(
            "--review",
            metavar="FILE",
            help="Look for wrong labels instead, and write the suspects into this CSV file for your decisions.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write every pair of copies and of similar images into this CSV file."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a data set before training: counts, sizes, duplicates, leaks, bad files.

    Images are compared with mirrored, turned, shifted and enlarged versions of each other: a minute for 60,000 small
    ones. The result is kept, and training warns by it.

    With --review, small networks are trained by cross-validation, and the images whose labels they find
    improbable are written down. Fill in the column decision (keep, relabel, drop, or the name of a class), and
    train with --labels FILE.
    """
    if overwrite and review is None and out is None:
        raise typer.BadParameter("--overwrite goes with --out or --review: there is nothing else to replace.")
    if out is not None and review is not None:
        raise typer.BadParameter("--out lists pairs of images, --review looks for wrong labels: choose one of them.")
    from ..data import inspect, load

    rules = replacing(ctx, overwrite)
    if out is not None:
        rules.check(out)
    with progress() as report_progress:
        settings = how.settings(data)
        read = partial(load, settings, progress=report_progress)
        if review is not None:
            review_labels(settings, read, review, rules, as_json=as_json, progress=report_progress)
            return
        splits = read(to_train=False)
        report_progress(0, 0, "looking for duplicates")
        report = inspect(splits, bad_files=splits.bad_files)
    if out is not None:
        from ..data.inspect import write_pairs

        write_pairs(report.pairs, out)
    if as_json:
        emit_json(report.to_dict())
    elif sys.stdout.isatty():
        _show(report)
    else:
        print("\n".join(printable(line) for line in _lines(report)))


def _title(report: DataReport) -> str:
    from ..data.survey import shape_in_words

    return f"{report.name}: {shape_in_words(report.image_shape)}, {len(report.classes):,} classes"


def _table(report: DataReport) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the counts: one row a class, and their sum."""
    headings = ["class", *report.counts]
    rows = [
        [name, *(f"{counts[label]:,}" for counts in report.counts.values())]
        for label, name in enumerate(report.classes)
    ]
    rows.append(["all", *(f"{sum(counts):,}" for counts in report.counts.values())])
    return headings, rows


def _occurrences(report: DataReport) -> Iterator[tuple[str, Occurrences]]:
    yield "exact duplicates", report.exact_duplicates
    yield "the same picture, changed", report.near_duplicates
    yield "very similar pictures", report.similar
    yield "exact duplicates with two labels", report.conflicts
    yield "the same picture, changed, with two labels", report.near_conflicts
    for leak in report.leaks:
        yield f"exact copies in both {leak.parts[0]} and {leak.parts[1]}", leak.exact
        yield f"the same picture, changed, in both {leak.parts[0]} and {leak.parts[1]}", leak.near
        yield f"very similar pictures in {leak.parts[0]} and {leak.parts[1]}", leak.similar
    yield "blank images", report.blank


def _examples(found: Occurrences) -> Sequence[str]:
    lines = ["  " + "  =  ".join(example) for example in found.examples[:_SHOWN]]
    more = found.count - len(lines)
    return [*lines, f"  and {more:,} more"] if more > 0 else lines


def _details(report: DataReport) -> Iterator[str]:
    """What follows the table, the same for terminal and file."""
    for title, found in _occurrences(report):
        yield f"{title}: {found.count:,}"
        yield from _examples(found)
    yield f"bad files: {len(report.bad_files):,}"
    yield from (f"  {name}: {reason}" for name, reason in report.bad_files)
    yield from (f"note: {note}" for note in report.notes)
    yield from (f"warning: {warning}" for warning in report.warnings)


def _lines(report: DataReport) -> Iterator[str]:
    headings, rows = _table(report)
    yield _title(report)
    yield from table([headings, *rows])
    yield from _details(report)


def _show(report: DataReport) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(title=Text(printable(_title(report))), title_justify="left")
    headings, rows = _table(report)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    for number, row in enumerate(rows):
        table.add_row(*(Text(printable(cell)) for cell in row), end_section=number == len(rows) - 2)
    console.print(table)
    for line in _details(report):
        style = "yellow" if line.startswith("warning: ") else ""
        console.print(Text(printable(line), style=style), soft_wrap=True)


# Telling a person which labels are doubtful: for ``glyphnet data --review`` and ``glyphnet train --check-labels``


_PAIRS = 5  # kinds of doubt shown of each part; the file has every image


def review_labels(
    data: DataSettings, load: Callable[[], Splits], file: Path, rules: Replacing, *, as_json: bool, progress: Progress
) -> None:
    """Review the labels of a data set, write the table, and say how to continue.

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
    for line in [*summary(found), *how_to_continue(found, file, train_command(again))]:
        print(printable(line))


def tell_suspects(run: Run) -> None:
    """Say which labels of a run's data look wrong, if they were checked, and how to continue."""
    if run.review is None:
        return
    assert run.folder is not None
    print()
    assert run.recipe.data is not None
    command = train_command(run.recipe.data)
    for line in [*summary(run.review), *how_to_continue(run.review, run.folder.suspects, command)]:
        print(printable(line))
    if earlier := run.recipe.data.labels:
        print(printable(f"This run was trained with {earlier}: copy the lines that you decide on into that file."))


def summary(found: Review) -> Iterator[str]:
    """How many labels of each part are doubtful, and what they would be instead."""
    probable = sum(part.issues.probable for part in found.parts)
    yield f"{found.data}: {len(found):,} doubtful labels, {probable:,} probably wrong, {found.seconds:.0f} s"
    rows = [
        (
            part.name,
            f"{len(part.dataset):,}",
            f"{len(part.issues):,}",
            percent(len(part.issues) / max(part.issues.n, 1), 2),
        )
        for part in found.parts
    ]
    headings = ("part", "images", "doubtful", "share")
    yield from table([headings, *rows])
    for part in found.parts:
        if unjudged := len(part.dataset) - part.issues.n:
            yield f"not judged in {part.name}: {unjudged:,}, the only image of its class"
        yield from _kinds(part)


def how_to_continue(found: Review, file: Path, command: str) -> Iterator[str]:
    """What to do with the table."""
    yield from (f"warning: {warning}" for warning in found.warnings)
    yield f"Written to {file}, the surest first."
    if len(found):
        yield "Look at the images, fill in the column decision (keep, relabel, drop, or the name of a class), then:"
        yield f"  {command} --labels {shlex.quote(str(file))}"


def _kinds(part: ReviewedPart) -> Iterator[str]:
    """The most frequent pairs of given and suggested class."""
    pairs = Counter(zip(part.issues.given.tolist(), part.issues.suggested.tolist(), strict=True))
    classes = part.dataset.classes
    for (given, suggested), count in pairs.most_common(_PAIRS):
        yield f"  {part.name}: {count:,} labelled {classes[given]}, more like {classes[suggested]}"
