"""``glyphnet data``: check a data set before any training."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files import Replacing, is_stream
from ..progress import Progress
from ..units import percent, table
from .console import emit_json, progress, say, show, show_table
from .options import DataArgument, DataOptions, JsonOption, OverwriteOption, replacing, train_command

if TYPE_CHECKING:
    from ..data import Splits
    from ..data.inspect import DataReport, Occurrences
    from ..data.settings import DataSettings
    from ..runs import Run
    from ..runs.review import Review, ReviewedPart

_SHOWN = 5  # examples of each finding; --json has more


def data(
    ctx: typer.Context,
    *,
    data: DataArgument = "digits",
    how: DataOptions,
    review: Annotated[Path | None, typer.Option(
        "--review", metavar="FILE", help="Look for wrong labels instead, and write the suspects into this CSV file "
        "for your decisions.",
    )] = None,
    overwrite: OverwriteOption = False,
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="FILE", help="Write every pair of copies and of similar images into this CSV file.",
    )] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
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
        rules.check(out, (".csv",))
    with progress() as report_progress:
        settings = how.settings(data, on_bad_file="skip")
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
    else:
        _show(report)


def _show(report: DataReport) -> None:
    """Print the counts, a row a class and their sum, and the findings below them."""
    from ..data.survey import shape_in_words

    title = f"{report.name}: {shape_in_words(report.image_shape)}, {len(report.classes):,} classes"
    counts = report.counts
    rows = [["class", *counts]]
    rows += [[name, *(f"{each[label]:,}" for each in counts.values())] for label, name in enumerate(report.classes)]
    rows.append(["all", *(f"{sum(each):,}" for each in counts.values())])
    show_table(rows, title=title, below=_details(report), mark_first=False)


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


def _details(report: DataReport) -> Iterator[str]:
    """What follows the table."""
    for title, found in _occurrences(report):
        yield f"{title}: {found.count:,}"
        yield from ("  " + "  =  ".join(example) for example in found.examples[:_SHOWN])
        if (more := found.count - len(found.examples[:_SHOWN])) > 0:
            yield f"  and {more:,} more"
    yield f"bad files: {len(report.bad_files):,}"
    yield from (f"  {name}: {reason}" for name, reason in report.bad_files)
    yield from (f"note: {note}" for note in report.notes)
    yield from (f"warning: {warning}" for warning in report.warnings)


# Doubtful labels: for ``glyphnet data --review`` and ``glyphnet train --check-labels``


_PAIRS = 5  # kinds of doubt shown of each part; the file has every image


def review_labels(
    data: DataSettings, load: Callable[[], Splits], file: Path, rules: Replacing, *, as_json: bool, progress: Progress
) -> None:
    """Review the labels of a data set, write the table ``file``, and say how to continue.

    ``load`` reads the data once it is known that the table may be written.
    """
    from ..data import look_over
    from ..data.corrections import refuse_to_lose_decisions
    from ..runs.review import review

    if not rules.overwrite and not is_stream(file):
        refuse_to_lose_decisions(file)
    rules.check(file, (".csv",))
    splits = load()
    say(*look_over(splits).lines)
    found = review(splits, progress=progress)
    found.write_csv(file)
    if as_json:
        emit_json({"file": str(file), **found.to_dict()})
        return
    again = data if splits.bad_files else data.with_values({"on_bad_file": "error"})
    show(*summary(found), *how_to_continue(found, file, train_command(again)))


def show_suspects(run: Run) -> None:
    """Say which labels of a run's data look wrong, if they were checked, and how to continue."""
    if run.review is None:
        return
    assert run.folder is not None
    assert run.recipe.data is not None
    command = train_command(run.recipe.data)
    show("", *summary(run.review), *how_to_continue(run.review, run.folder.suspects, command))
    if earlier := run.recipe.data.labels:
        show(f"This run was trained with {earlier}: copy the lines that you decide on into that file.")


def summary(found: Review) -> Iterator[str]:
    """How many labels of each part are doubtful, and what they would be instead."""
    probable = sum(part.issues.probable for part in found.parts)
    yield f"{found.data}: {len(found):,} doubtful labels, {probable:,} probably wrong, {found.seconds:.0f} s"
    rows = [("part", "images", "doubtful", "share")]
    for part in found.parts:
        share = percent(len(part.issues) / max(part.issues.n, 1), 2)
        rows.append((part.name, f"{len(part.dataset):,}", f"{len(part.issues):,}", share))
    yield from table(rows)
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
