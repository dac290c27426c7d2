"""``glyphnet compare``: our presets beside classical methods, or two saved models with each other."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files import Replacing
from ..locks import FolderLock, refuse_if_in_use
from .console import FAILED, emit_json, progress, say, show, show_table
from .options import (
    DataArgument,
    DataOptions,
    DeviceOption,
    JsonOption,
    ModelDataOptions,
    OptionGroup,
    OverwriteOption,
    SeedOption,
    given_parameters,
    parse_duration,
    replacing,
)
from .train import data_name

if TYPE_CHECKING:
    from ..data.settings import DataSettings
    from ..studies.comparison.models import ModelComparison

SHOWN = 20  # differing images on the terminal; the files have them all
WRITTEN = ("comparison.json", "comparison.png")
WRITTEN_OF_MODELS = ("comparison.json", "differences.csv")


@dataclass(frozen=True)
class CompareOptions(OptionGroup):
    """The options of ``glyphnet compare``."""

    methods: Annotated[str | None, typer.Option(
        "--methods", metavar="A,B,…", help="fast, balanced, best, kmeans, logistic, knn, svm, forest, xgboost, mlp; "
        "all but best unless given.",
    )] = None  # fmt: skip
    budget: Annotated[
        float,
        typer.Option(
            "--budget",
            metavar="TIME",
            parser=parse_duration,
            help="Time that each method has for its fit: 60s, 5m, 1h.",
        ),
    ] = "60s"  # type: ignore[assignment]  # Typer parses defaults too
    models: Annotated[tuple[Path, Path] | None, typer.Option(
        "--models", metavar="A B", help="Compare two model files instead; they are judged on DATA.",
    )] = None  # fmt: skip
    data_option: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="The same as DATA, for use with --models.")
    ] = None
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="DIR", help="Where to write; runs/compare-DATA unless given. With --models nothing is "
        "written unless it is given.",
    )] = None  # fmt: skip
    overwrite: OverwriteOption = False
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="Threads for each method; all cores.")
    ] = None
    seed: SeedOption = 0
    device: DeviceOption = "cpu"
    as_json: JsonOption = False


def compare(ctx: typer.Context, *, data: DataArgument = "digits", options: CompareOptions, how: DataOptions) -> None:
    """Compare methods on the same data, or two saved models: accuracy with its interval, time, size.

    Our presets stand beside K-means, logistic regression, nearest neighbours, SVM, random forest, XGBoost and
    scikit-learn's MLP, fitted on the same images one at a time and judged once by the same test images; McNemar's
    paired test says what can be told apart from the best. Writes comparison.json and comparison.png.

    "glyphnet compare --models A B --data D" says which of two models is better, how sure that is, and on which
    images they differ.
    """
    if options.data_option is not None:
        if "data" in given_parameters(ctx):
            raise typer.BadParameter(
                f"DATA ({data}) and --data ({options.data_option}) are the same thing: give one of them."
            )
        data = options.data_option
    rules, out = replacing(ctx, options.overwrite), options.out
    if options.models is not None:
        _refuse_without_effect(ctx)
        _compare_models(options.models, how.settings(data), out, rules, options.device, options.as_json)
        return
    from ..data import load, look_over
    from ..live import ComparisonDisplay
    from ..studies.comparison.comparing import HEADINGS, LEFT, below, cells
    from ..studies.comparison.comparing import compare as run
    from ..studies.comparison.methods import choose

    # Report a misspelt name before minutes are spent on reading data.
    chosen = list(
        choose([name.strip() for name in options.methods.split(",")] if options.methods is not None else None)
    )
    folder = Path("runs") / f"compare-{data_name(data)}" if out is None else out
    rules.check_in(folder, WRITTEN)
    refuse_if_in_use(folder)
    with _ending_as_on_ctrl_c():
        with progress() as reading:
            splits = load(how.settings(data), progress=reading)
        say(*look_over(splits).lines)
        with ComparisonDisplay() as bar:
            found = run(
                splits, methods=chosen, budget=options.budget, seed=options.seed, threads=options.threads,
                device=options.device, callback=bar,
            )  # fmt: skip
    from ..studies.comparison.picture import write_comparison  # Matplotlib, only now

    with FolderLock(folder):
        rules.check_in(folder, WRITTEN)
        write_comparison(found, folder)
    if options.as_json:
        emit_json({"folder": str(folder), **found.to_dict()})
    else:
        show_table([HEADINGS, *cells(found)], left=LEFT, title=found.data, below=below(found))
        show("", f"Written: {folder / 'comparison.json'}, comparison.png")
    if found.best is None:
        raise typer.Exit(FAILED)


def _refuse_without_effect(ctx: typer.Context) -> None:
    own = {field.name for field in fields(DataOptions)} - {field.name for field in fields(ModelDataOptions)}
    names = {"methods", "budget", "threads", "seed", *own}
    if given := [option for name, option in given_parameters(ctx).items() if name in names]:
        raise typer.BadParameter(f"{', '.join(given)} cannot be given with --models: nothing is fitted there.")


@contextmanager
def _ending_as_on_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the work as Ctrl-C does: no child, no temporary folder stays."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]  # nohup ignores SIGHUP
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _compare_models(
    models: tuple[Path, Path],
    data: DataSettings,
    out: Path | None,
    rules: Replacing,
    device: str,
    as_json: bool,
) -> None:
    from ..studies.comparison.models import compare_models

    if out is not None:
        rules.check_in(out, WRITTEN_OF_MODELS)
        refuse_if_in_use(out)
    with progress() as report_progress:
        found = compare_models(*models, data, device=device, progress=report_progress)
    say(*found.notes, *found.warnings)
    if out is not None:
        with FolderLock(out):
            rules.check_in(out, WRITTEN_OF_MODELS)
            found.write(out)
    if as_json:
        emit_json({"folder": None if out is None else str(out), **found.to_dict()})
    else:
        _show_models(found)
        if out is not None:
            show("", f"Written: {out / 'comparison.json'}, differences.csv")


def _show_models(found: ModelComparison) -> None:
    show(found.verdict)
    differences, pair = found.differences, found.paired
    if not differences:
        print("They name every image alike.")
        return
    print(
        f"They differ on {len(differences):,} images: A is right on {pair.only_a:,}, B on {pair.only_b:,}, "
        f"neither on {len(differences) - pair.only_a - pair.only_b:,}.\n"
    )
    show(*(f"{letter}: {name}" for letter, name in zip("AB", found.names, strict=True)))
    right = {"a": "A", "b": "B", "neither": "neither"}
    rows = [("image", "true", "A says", "B says", "right")]
    rows += [(each.file, each.true, each.predicted_a, each.predicted_b, right[each.right]) for each in differences]
    show_table(rows[: SHOWN + 1], left=range(len(rows[0])), mark_first=False)
    if len(differences) > SHOWN:
        print(f"and {len(differences) - SHOWN:,} more: --out DIR writes them all.")
