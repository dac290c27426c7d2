"""``glyphnet evaluate``: judge a model on labelled images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..locks import FolderLock, refuse_if_in_use
from .console import command_line, emit_json, progress, say, say_lacking, show
from .options import DataArgument, DeviceOption, JsonOption, ModelArgument, ModelDataOptions, OverwriteOption, replacing
from .train import data_name

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..data import Finding, ImageDataset
    from ..evaluation import Evaluation
    from ..evaluation.evaluate import HeldOut
    from ..evaluation.stress import Stress
    from ..progress import Progress


WRITTEN = ("evaluation.json", "predictions.csv", "report.html")
STRESS_WRITTEN = ("stress.json", "stress.png")


def evaluate(
    ctx: typer.Context,
    *,
    model: ModelArgument,
    data: DataArgument = "digits",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write; evaluation-DATA beside the model unless given."),
    ] = None,
    stress: Annotated[
        bool,
        typer.Option(
            "--stress",
            help="Judge corrupted images, too, in about a minute: writes stress.json and stress.png.",
        ),
    ] = False,
    overwrite: OverwriteOption = False,
    how: ModelDataOptions,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Judge a model on labelled images: writes report.html, evaluation.json and predictions.csv.

    Judged on the test part of the data; on all images where they have none.
    """
    rules, folder = replacing(ctx, overwrite), model.parent / f"evaluation-{data_name(data)}" if out is None else out
    written = WRITTEN + STRESS_WRITTEN * stress
    rules.check_in(folder, written)
    refuse_if_in_use(folder)
    from ..classifier import load_model
    from ..evaluation import accuracy_sentence
    from ..evaluation import evaluate as judge
    from ..evaluation.evaluate import findings_of, held_out
    from ..runs import judgement_to_dict

    classifier = load_model(model, device)
    say_lacking(classifier)
    with progress() as report_progress:
        held = held_out(classifier, how.settings(data), progress=report_progress)
        say(*held.notes, *held.warnings)
        evaluation = judge(classifier, held.dataset, data=held.data, part=held.part, progress=report_progress)
        stressed = _stress(classifier, held.dataset, report_progress) if stress else None
    of_answers = findings_of(evaluation)
    findings = (*of_answers, *held.findings)
    with FolderLock(folder):
        rules.check_in(folder, written)
        _write(folder, classifier, evaluation, held, findings, model)
        if stressed is not None:
            _write_stress(folder, stressed)
    if as_json:
        more = {} if stressed is None else {"stress": stressed.to_dict()}
        emit_json({"model": str(model), "folder": str(folder), **judgement_to_dict(evaluation, findings), **more})
    else:
        warnings = (f"Warning: {finding}" for finding in of_answers)
        lines = () if stressed is None else (*stressed.lines(), f"Drawn:   {folder / 'stress.png'}")
        show(f"{accuracy_sentence(evaluation)}.", *warnings, *lines, f"Report:  {folder / 'report.html'}")


def _stress(classifier: Classifier, dataset: ImageDataset, report_progress: Progress) -> Stress:
    from ..evaluation.stress import stress

    return stress(classifier, dataset, progress=report_progress)


def _write_stress(folder: Path, stressed: Stress) -> None:
    """Write the figures, and the accuracy by corruption as a picture."""
    from matplotlib.figure import Figure

    from ..evaluation.stress import ends
    from ..files import atomic_write, atomic_write_json
    from ..plots import accuracy_by_corruption

    atomic_write_json(folder / "stress.json", stressed.to_dict())
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    accuracy_by_corruption(
        list(stressed.corrupted),
        [each.value for each in stressed.corrupted.values()],
        [ends(each) for each in stressed.corrupted.values()],
        clean=stressed.clean.value,
        ax=figure.subplots(),
    )
    with atomic_write(folder / "stress.png") as file:
        figure.savefig(file, format="png", metadata={"Software": "GlyphNet"})


def _write(
    folder: Path,
    classifier: Classifier,
    evaluation: Evaluation,
    held: HeldOut,
    findings: tuple[Finding, ...],
    model: Path,
) -> None:
    from ..modelfile import library_versions
    from ..report import read_history
    from ..runs import RunFolder, write_judgement
    from ..training.device import hardware

    beside = RunFolder(model.parent).history  # a model in its run folder brings its learning curves
    history = read_history(beside) if beside.is_file() else None
    origin = classifier.provenance
    write_judgement(
        RunFolder(folder),
        classifier,
        evaluation,
        history=history,
        findings=findings,
        command=command_line(),
        provenance={
            "model file": str(model),
            "trained on": origin.data,
            "trained": origin.created,
            "trained with": origin.versions,
            "judged on": hardware(),
            "judged with": library_versions(),
            "data as read": " ".join(held.notes),
            "fingerprint of the training data": origin.fingerprint,
            "fingerprint of these data": held.dataset.fingerprint,
        },
        model=shlex.quote(str(model)),
    )
