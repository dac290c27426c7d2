"""``glyphnet predict``: name the class of images."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files import is_stdout
from ..progress import Reporter
from .console import FAILED, emit_json, printable, progress, say, say_lacking, show_table
from .options import DeviceOption, JsonOption, OnlyOption, OptionGroup, OverwriteOption, replacing

if TYPE_CHECKING:
    from ..data.ink import InkSpec
    from ..errors import BadFileError
    from ..files import Replacing
    from ..predictfiles import Answer, Answering, Asked

_PAGE = 1000  # rows of a table on the terminal: a table is laid out whole, and there may be a million files
_SAID = 10  # unreadable images: those of a file that is written are all in it


@dataclass(frozen=True)
class PredictOptions(OptionGroup):
    """The options of ``glyphnet predict``."""

    out: Annotated[Path | None, typer.Option(
        "--out", metavar="FILE", help="Write a .parquet, .csv or .json file instead: for any number of images.",
    )] = None  # fmt: skip
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run that writes --out.")] = False
    overwrite: OverwriteOption = False
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV; the default if the output is not a terminal.")] = (
        False
    )
    as_json: JsonOption = False
    topk: Annotated[
        int, typer.Option("--topk", metavar="N", min=1, help="Print the N likeliest classes of each image.")
    ] = 1
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add the probability of every class, a column for each.")
    ] = False
    reject: Annotated[bool, typer.Option(
        "--reject", help='Say "none of these" where nothing is drawn, or the image is unlike the training images, or '
        'the model is not sure. The column reason says which; without this option the label is given anyway.',
    )] = False  # fmt: skip
    sets: Annotated[float | None, typer.Option(
        "--sets", metavar="PERCENT", help="Add the set of classes that contains the true one in PERCENT % of cases: "
        "95, for instance.",
    )] = None  # fmt: skip
    as_is: Annotated[bool, typer.Option(
        "--as-is", help="Only resize pictures; do not make them like the training images.",
    )] = False  # fmt: skip
    only: OnlyOption = None
    device: DeviceOption = "cpu"

    def check(self) -> None:
        """Refuse options that contradict each other, and a wrong --sets."""
        if self.as_csv and self.as_json:
            raise typer.BadParameter("--csv and --json exclude each other: choose one.")
        if self.out is not None and self.as_csv:
            raise typer.BadParameter("--out says by its ending what is written: leave out --csv.")
        if self.overwrite and self.out is None:
            raise typer.BadParameter("--overwrite replaces a file: name it by --out.")
        if self.as_json and self.out is not None and is_stdout(self.out):
            raise typer.BadParameter("--json and --out would both write to standard output: choose one.")
        if self.resume and self.out is None:
            raise typer.BadParameter("--resume continues a file: name it by --out.")
        if self.sets is not None and not 0 < self.sets < 100:
            raise typer.BadParameter(f"--sets {self.sets:g} must lie above 0 and below 100: 95 for sets at 95 %.")

    def asked(self) -> Asked:
        """What is asked of each image."""
        from ..predictfiles import Asked

        sets = None if self.sets is None else self.sets / 100
        return Asked(self.topk, reject=self.reject, probabilities=self.probabilities, sets=sets)


def predict(
    ctx: typer.Context,
    *,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file (.safetensors or .onnx).")],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Image files, folders, tables of paths or pixels, Parquet, archives, IDX, .npz, .npy.",
        ),
    ],
    options: PredictOptions,
) -> None:
    """Name the class of images, with probabilities: a table of file, label, probability, reason.

    Folders are searched at any depth. Tables, Parquet, archives and array files give all images in them; labels
    there are ignored. What cannot be read is reported on standard error and skipped, or has its error in the file of
    --out; the exit status is then 1.

    With --out, answers are kept as they come: after an interruption the same command with --resume continues, and
    the file becomes the same.
    """
    options.check()
    if options.out is None:
        unreadable = _print(model, paths, options)
    else:
        rules = replacing(ctx, options.overwrite)
        if options.resume:  # the interrupted run was allowed to write, and has replaced nothing yet
            rules = replace(rules, is_default=True)
        unreadable = _write(model, paths, options.out, options, rules)
    if unreadable:
        raise typer.Exit(FAILED)


def _write(model: Path, paths: list[str], out: Path, options: PredictOptions, rules: Replacing) -> int:
    """Write the file; how many images could not be read."""
    from ..predictfiles import unfinished_folder, write_predictions

    said = 0

    def on_bad_file(error: BadFileError) -> None:
        nonlocal said
        said += 1
        if said <= _SAID:
            say(f"glyphnet: {error}")
        if said == _SAID:
            say(f"glyphnet: what else cannot be read has its error in {out}.")

    try:
        with progress() as report_progress:
            written = write_predictions(
                model, paths, out, asked=options.asked(), as_is=options.as_is, only=options.only,
                device=options.device, resume=options.resume, replacing=rules, on_bad_file=on_bad_file,
                reporter=Reporter(say, report_progress),
            )  # fmt: skip
    except KeyboardInterrupt:
        if (folder := unfinished_folder(out)) is not None:
            say(f"What is done is kept in {folder}. Continue with the same command and --resume.")
        raise
    if options.as_json:
        facts = {"images": written.images, "unreadable": written.unreadable, "resumed": written.resumed}
        emit_json({"model": str(model), "file": str(out), **facts})
    else:
        failed = f", {written.unreadable:,} of them unreadable" if written.unreadable else ""
        tell = say if is_stdout(out) else print
        tell(f"{printable(str(out))}: {written.images:,} images{failed}.")
    return written.unreadable


def _say_remade(ink: InkSpec) -> None:
    say(f"{ink} Pass --as-is to leave them as they are.")


def _print(model: Path, paths: list[str], options: PredictOptions) -> int:
    """Print the answers as they come; how many images could not be read."""
    from ..data.traits import TraitCounts
    from ..filekinds import PICTURE_SUFFIXES
    from ..predictfiles import Answering, left_out, predict_files
    from ..predictor import load_predictor

    alone = all(Path(path).suffix.lower() in PICTURE_SUFFIXES for path in paths)  # each is one picture
    classifier = load_predictor(model, options.device, pictures=len(paths) if alone else None)
    answering = Answering(classifier, options.asked())
    say_lacking(classifier)
    unreadable = 0

    def on_bad_file(error: BadFileError) -> None:
        nonlocal unreadable
        unreadable += 1
        say(f"glyphnet: {error}")

    ignored: Counter[str] = Counter()
    traits = TraitCounts()
    predicted = predict_files(
        classifier, paths, on_bad_file, as_is=options.as_is, on_remade=_say_remade, ignored=ignored,
        only=options.only, traits=traits,
    )  # fmt: skip
    answers = (answering.of(*each) for each in predicted)
    if options.as_json:
        _print_json(model, answers, answering, lambda: unreadable)
    elif options.as_csv or options.probabilities or not sys.stdout.isatty():  # no terminal has room for every class
        _print_csv(answers, answering)
    else:
        _print_tables(answers, answering)
    say(*traits.predicted_sentences(classifier.reading), *left_out(ignored))
    return unreadable


def _print_csv(answers: Iterable[Answer], answering: Answering) -> None:
    """CSV with a line of column names; names of files and classes exactly as they are."""
    from ..predictfiles import csv_rows

    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() in ("utf-8", "utf8"):
        # A file's name may be any bytes; Python holds those that are no UTF-8 in a way that this undoes.
        sys.stdout.reconfigure(errors="surrogateescape")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answering.columns)
    for answer in answers:
        writer.writerows(csv_rows(answer))


def _print_json(model: Path, answers: Iterable[Answer], answering: Answering, unreadable: Callable[[], int]) -> None:
    """One JSON object, a line for each file: it is written as the answers come, never held whole."""
    from ..predictfiles import json_row

    dumps = partial(json.dumps, ensure_ascii=False, allow_nan=False)
    print(f'{{"model": {dumps(str(model))}, "predictions": [', end="")
    for number, answer in enumerate(answers):
        print(",\n" if number else "\n", dumps(json_row(answer, answering.classes)), sep="", end="")
    print(f'\n], "unreadable": {unreadable()}}}')


def _print_tables(answers: Iterator[Answer], answering: Answering) -> None:
    """Tables for a person, a page at a time; the columns of reasons only where there is one on the page."""
    from ..answers import REASONS

    sets = "set" in answering.columns
    while page := list(islice(answers, _PAGE)):
        reasons = any(answer.reason for answer in page)
        rows = [["file", "label", "probability", *["reason"] * reasons, *["set"] * sets]]
        for answer in page:
            for rank, (label, probability) in enumerate(answer.ranked):
                reason = REASONS[answer.reason] if answer.reason and not rank else ""
                members = "" if rank else ", ".join(answer.set or ())
                file = "" if rank else answer.file
                rows.append([file, label, f"{probability:.2%}", *[reason] * reasons, *[members] * sets])
        show_table(rows, left=(0, 1, 3, 4), mark_first=False)
