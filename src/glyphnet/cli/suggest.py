"""``glyphnet suggest``: which pictures to label next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import FAILED, emit_json, printable, progress, say, show_table
from .options import DeviceOption, JsonOption, ModelArgument, OverwriteOption, replacing

if TYPE_CHECKING:
    from ..errors import BadFileError

_SHOWN = 20  # rows of the table on the terminal


def suggest(
    ctx: typer.Context,
    *,
    model: ModelArgument,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="POOL...", help="Unlabelled pictures: files, folders, tables, archives."),
    ],
    count: Annotated[int, typer.Option("--count", metavar="K", min=1, help="How many pictures.")] = 100,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write a CSV file with an empty column for labels.")
    ] = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Say which pictures of a pool to label next: those of which the model is unsure, and which are unlike each other.

    Fill in the column label of the file of --out; it is then a table of pictures that `glyphnet train` reads.
    """
    if overwrite and out is None:
        raise typer.BadParameter("--overwrite replaces a file: name it by --out.")
    if out is not None:
        replacing(ctx, overwrite).check(out, (".csv",))
    from ..classifier import load_model
    from ..errors import DataError
    from ..evaluation.suggest import read_pool, write_suggestions
    from ..training import choose_device

    unreadable = 0

    def on_bad_file(error: BadFileError) -> None:
        nonlocal unreadable
        unreadable += 1
        say(f"glyphnet: {error}")

    classifier = load_model(model, choose_device(device))
    with progress() as report_progress:
        files, pool = read_pool(classifier, paths, on_bad_file, report_progress)
    if not files:
        raise DataError("there is no picture in the pool. Name files or folders of pictures.")
    found = pool.suggestions(classifier.classes, count)
    if out is not None:
        write_suggestions(out, files, found)
    if as_json:
        rows = [{"file": printable(files[each.row]), **each._asdict()} for each in found]
        emit_json({"model": str(model), "pool": len(files), "unreadable": unreadable, "suggestions": rows})
    else:
        table = [
            [files[each.row], each.label, f"{each.probability:.3f}", f"{each.margin:.3f}", each.reason or ""]
            for each in found[:_SHOWN]
        ]
        below = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        below += [f"{len(found)} of {len(files):,} pictures."] + ([] if out is None else [f"Written to {out}."])
        show_table(
            [["file", "suggested", "probability", "margin", "reason"], *table], left=(0, 1, 4), below=below,
            mark_first=False,
        )  # fmt: skip
    if unreadable:
        raise typer.Exit(FAILED)
