"""``glyphnet predict``: name the class of images."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from .console import printable, say
from .failures import FAILED
from .options import DeviceOption, JsonOption

if TYPE_CHECKING:
    from ..data.ink import InkSpec
    from ..errors import BadFileError
    from ..predictfiles import FilePrediction
    from ..predictor import Predictor

_PAGE = 1000  # rows of a table on the terminal: a table is laid out whole, and there may be a million files


class Answer(NamedTuple):
    """What is printed of one file: its likeliest labels with their probabilities, the first first."""

    file: str
    ranked: list[tuple[str, float]]


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file (.safetensors or .onnx).")],
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Image files, or folders of them.")],
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, as is done anyway where the output is no terminal.")
    ] = False,
    as_json: JsonOption = False,
    topk: Annotated[
        int, typer.Option("--topk", metavar="N", min=1, help="Print the N likeliest classes of each image.")
    ] = 1,
    reject: Annotated[
        bool,
        typer.Option("--reject", help='Say "none of these" where the model is less sure than its threshold.'),
    ] = False,
    as_is: Annotated[
        bool,
        typer.Option("--as-is", help="Only resize pictures; do not make them like the training images."),
    ] = False,
    device: DeviceOption = "cpu",
) -> None:
    """Name the class of images, with probabilities: a table of file, label, probability.

    Folders are searched at any depth. A file that cannot be read is told on standard error and passed over;
    the exit status is then 1.
    """
    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json exclude each other: choose one.")
    from ..predictfiles import predict_files
    from ..predictor import load_predictor

    classifier = load_predictor(model, device)
    threshold = classifier.need_threshold() if reject else 0.0
    unreadable = 0

    def on_bad_file(error: BadFileError) -> None:
        nonlocal unreadable
        unreadable += 1
        say(f"glyphnet: {error}")

    def on_remade(ink: InkSpec) -> None:
        say(f"{ink} Pass --as-is to leave them as they are.")

    predictions = predict_files(classifier, paths, on_bad_file, as_is=as_is, on_remade=on_remade)
    answers = (_answer(prediction, classifier, topk, threshold) for prediction in predictions)
    if as_json:
        _print_json(model, answers, lambda: unreadable)
    elif as_csv or not sys.stdout.isatty():
        _print_csv(answers)
    else:
        _print_tables(answers)
    if unreadable:
        raise typer.Exit(FAILED)


def _answer(prediction: FilePrediction, classifier: Predictor, topk: int, threshold: float) -> Answer:
    from .._answers import NONE_OF_THESE

    probabilities = prediction.probabilities
    order = (-probabilities).argsort(kind="stable")[:topk]
    ranked = [(classifier.classes[label], float(probabilities[label])) for label in order]
    if ranked[0][1] < threshold:
        ranked = [(NONE_OF_THESE, ranked[0][1])]
    return Answer(prediction.file, ranked)


def _print_csv(answers: Iterable[Answer]) -> None:
    """CSV with a line of column names; names of files and classes exactly as they are."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() in ("utf-8", "utf8"):
        # A file's name may be any bytes; Python holds those that are no UTF-8 in a way that this undoes.
        sys.stdout.reconfigure(errors="surrogateescape")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "label", "probability"])
    for answer in answers:
        for label, probability in answer.ranked:
            writer.writerow([answer.file, label, f"{probability:.6f}"])


def _print_json(model: Path, answers: Iterable[Answer], unreadable: Callable[[], int]) -> None:
    """One JSON object, a line for each file: it is written as the answers come, never held whole."""
    print(f'{{"model": {_json(str(model))}, "predictions": [', end="")
    for number, answer in enumerate(answers):
        row: dict[str, object] = {"file": answer.file, **_labelled(*answer.ranked[0])}
        if len(answer.ranked) > 1:
            row["top"] = [_labelled(*pair) for pair in answer.ranked]
        print(",\n" if number else "\n", _json(row), sep="", end="")
    print(f'\n], "unreadable": {unreadable()}}}')


def _labelled(label: str, probability: float) -> dict[str, object]:
    return {"label": label, "probability": round(probability, 6)}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _print_tables(answers: Iterator[Answer]) -> None:
    """Tables for a person, a page at a time."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    while page := list(islice(answers, _PAGE)):
        table = Table("file", "label")
        table.add_column("probability", justify="right")
        for answer in page:
            for rank, (label, probability) in enumerate(answer.ranked):
                file = "" if rank else printable(answer.file)
                table.add_row(Text(file), Text(printable(label)), f"{probability:.2%}")
        console.print(table)
