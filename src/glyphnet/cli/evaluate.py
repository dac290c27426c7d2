"""``glyphnet evaluate``: judge a model on labelled images."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import emit_json, printable, progress, say
from .options import DataArgument, DeviceOption, JsonOption, ModelArgument, OnBadFileOption

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..evaluation import Evaluation
    from ..evaluation.heldout import HeldOut


def evaluate(
    model: ModelArgument,
    data: DataArgument = "digits",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Where to write; evaluation-DATA beside the model unless given."
        ),
    ] = None,
    on_bad_file: OnBadFileOption = "error",
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Judge a model on labelled images: writes report.html, evaluation.json and predictions.csv.

    Judged on the test part of the data; on all images where they have none.
    """
    from ..classifier import load_model
    from ..evaluation import evaluate as judge
    from ..evaluation.heldout import held_out

    classifier = load_model(model, device)
    with progress() as report_progress:
        held = held_out(classifier, data, on_bad_file=on_bad_file, progress=report_progress)
        for note in held.notes:
            say(note)
        evaluation = judge(classifier, held.dataset, data=held.data, progress=report_progress)
    folder = model.parent / f"evaluation-{Path(data).resolve().name}" if out is None else out
    _write(folder, classifier, evaluation, held, model)
    if as_json:
        emit_json({"model": str(model), "folder": str(folder), **evaluation.to_dict()})
    else:
        _tell(evaluation, folder)


def _write(folder: Path, classifier: Classifier, evaluation: Evaluation, held: HeldOut, model: Path) -> None:
    from ..files import atomic_write_text
    from ..hardware import hardware
    from ..modelfile import library_versions
    from ..report import read_history, write_report

    folder.mkdir(parents=True, exist_ok=True)
    figures = json.dumps(evaluation.to_dict(), ensure_ascii=False, indent=2)
    atomic_write_text(folder / "evaluation.json", figures + "\n")
    evaluation.write_predictions_csv(folder / "predictions.csv")
    history = model.parent / "history.csv"  # a model in its run folder brings its learning curves
    origin = classifier.provenance
    write_report(
        folder / "report.html",
        evaluation,
        classifier=classifier,
        history=read_history(history) if history.is_file() else None,
        best_epoch=classifier.metrics.get("best_epoch") or None,
        notes=held.notes,
        command=shlex.join(["glyphnet", *sys.argv[1:]]),
        provenance={
            "model file": str(model),
            "trained on": origin.data,
            "trained": origin.created,
            "trained with": origin.versions,
            "judged on": hardware(),
            "judged with": library_versions(),
            "fingerprint of the training data": origin.fingerprint,
            "fingerprint of these data": held.dataset.fingerprint,
        },
    )


def _tell(evaluation: Evaluation, folder: Path) -> None:
    """The accuracy with its interval, and where the rest is."""
    interval, count = evaluation.accuracy_interval, len(evaluation)
    print(
        f"Accuracy on {printable(evaluation.data)}: {100 * evaluation.accuracy:.2f} % "
        f"(95 % interval {100 * interval.low:.2f} to {100 * interval.high:.2f} %), {count:,} images."
    )
    print(f"Report:  {printable(str(folder / 'report.html'))}")
