"""A comparison in words: the cells of its table, and the lines that go with it."""

from __future__ import annotations

from collections.abc import Iterator

from ..evaluation.intervals import SIGNIFICANCE
from .comparison import Comparison, Row

HEADINGS = ("method", "accuracy (95 %)", "fit", "an image", "size", "against best")


def cells(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """A tuple a finished method, under `HEADINGS`."""
    for row in comparison.finished:
        yield (
            row.method.title,
            accuracy(row),
            seconds(row.fit_seconds or 0.0),
            seconds(row.seconds_per_image or 0.0),
            size(row.size or 0),
            _against_best(comparison, row),
        )


def below(comparison: Comparison) -> Iterator[str]:
    """What stands under the table: what did not finish, the verdict, and how it was measured."""
    for row in comparison.rows:
        if row.evaluation is None:
            yield f"{row.method.title}: {row.reason}."
        elif row.notes:
            yield f"{row.method.title}: {'; '.join(row.notes)}"
    yield comparison.verdict
    yield ""
    counts = comparison.counts
    yield (
        f"{counts['test']:,} test images, looked at once. Presets learn from {counts['train']:,} images and choose "
        f"their epoch by {counts['validation']:,} more; the other methods, which choose nothing, learn from both."
    )
    yield (
        f"One method at a time, each in {comparison.budget:g} s at most and on up to {comparison.threads} "
        f"{'thread' if comparison.threads == 1 else 'threads'}; seed {comparison.seed}. "
        "Against the best: McNemar's exact test, p-values by Holm's method."
    )


def lines(comparison: Comparison) -> Iterator[str]:
    """The table in plain text, and what stands under it."""
    yield comparison.data
    table = [HEADINGS, *cells(comparison)]
    if len(table) > 1:
        widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
        for row in table:
            padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            padded[0], padded[-1] = row[0].ljust(widths[0]), row[-1]
            yield "  ".join(padded).rstrip()
    yield from below(comparison)


def result(row: Row) -> str:
    """One method's result in a line, without a full stop."""
    if row.evaluation is None:
        return f"{row.method.title}: {row.reason}"
    return f"{row.method.title}: accuracy {accuracy(row)}, fitted in {seconds(row.fit_seconds or 0.0)}"


def accuracy(row: Row) -> str:
    """``97.22 % (95.0–98.5)``."""
    assert row.evaluation is not None
    interval = row.evaluation.accuracy_interval
    return f"{100 * row.evaluation.accuracy:.2f} % ({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def seconds(value: float) -> str:
    """Three digits and a unit: ``12.3 s``, ``48 µs``."""
    if round(value) >= 600:
        return f"{value / 60:.0f} min"
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if value >= 0.9995 * scale:
            return f"{_three_digits(value / scale)} {unit}"
    return f"{_three_digits(value / 1e-6)} µs"


def size(value: int) -> str:
    """``310 kB``, ``1.2 MB``: thousands of bytes, thousands of those."""
    scaled, units = float(value), ["B", "kB", "MB", "GB", "TB"]
    while scaled >= 999.5 and len(units) > 1:
        scaled /= 1000
        units.pop(0)
    return f"{value} B" if units[0] == "B" else f"{_three_digits(scaled)} {units[0]}"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _against_best(comparison: Comparison, row: Row) -> str:
    if row.name not in comparison.p_values:
        return "best"
    p_value = comparison.p_values[row.name]
    said = "p<0.001" if p_value < 0.001 else f"p={p_value:.3f}" if p_value < 0.0995 else f"p={p_value:.2f}"
    return f"worse, {said}" if p_value < SIGNIFICANCE else said
