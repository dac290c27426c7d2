"""``glyphnet export``: write a model in another format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .. import units
from ..files import is_stdout
from .console import emit_json, printable, progress, say, say_lacking
from .options import JsonOption, ModelArgument, ModelDataOptions, OptionGroup, OverwriteOption, replacing

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..data.dataset import Int64Array
    from ..data.settings import DataSettings
    from ..export import Exported, HeldOutImages


@dataclass(frozen=True)
class ExportOptions(OptionGroup):
    """The options of ``glyphnet export``."""

    format: Annotated[Literal["html", "onnx", "pt2", "card"] | None, typer.Option(
        "--format", help="html: a page that recognises drawings in any browser, offline. onnx: for ONNX Runtime and "
        "others. pt2: a program for PyTorch (torch.export). card: a model card, Markdown: figures, limits, use. "
        "Unless given, what the suffix of --out says; html without --out.",
    )] = None  # fmt: skip
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="FILE", help="The file to write; beside the model unless given.",
    )] = None  # fmt: skip
    verify: Annotated[str | None, typer.Option(
        "--verify", metavar="DATA", help="Prove the export on the test part of these data; on the images in the model "
        "file unless given.",
    )] = None  # fmt: skip
    quantize: Annotated[Literal["int8"] | None, typer.Option(
        "--quantize", help="8-bit weights, a quarter of the size; reports what it costs. ONNX only.",
    )] = None  # fmt: skip
    overwrite: OverwriteOption = False
    as_json: JsonOption = False


def export(ctx: typer.Context, *, model: ModelArgument, options: ExportOptions, how: ModelDataOptions) -> None:
    """Write a model as a web page, as ONNX or as a PyTorch program, or describe it in a model card.

    Every export proves itself first: on held-out images it must answer as the model does. If it does not, nothing is
    written. A card says what is in the model file.
    """
    out, verify = options.out, options.verify
    if options.as_json and out is not None and is_stdout(out):
        raise typer.BadParameter("--json and --out would both write to standard output: choose one.")
    from ..classifier import load_model
    from ..export import FORMATS, card, format_of
    from ..export import export as write

    suffixes = {**{name: row.suffix for name, row in FORMATS.items()}, "card": card.SUFFIX}
    format = options.format or ("html" if out is None else format_of(out, suffixes))
    given = [name for name in ("verify", "quantize") if getattr(options, name) is not None]
    if format == "card" and given:
        raise typer.BadParameter(f"--{given[0]}: a card answers no images. Leave it out.")
    target = model.with_suffix(suffixes[format]) if out is None else out
    replacing(ctx, options.overwrite).check(target, (suffixes[format],))
    if format == "card":
        _write_card(model, target, options)
        return
    classifier = load_model(model)
    say_lacking(classifier)
    labels, images = _verifying(classifier, how.settings(verify)) if verify is not None else (None, None)
    quantize = options.quantize is not None
    exported = write(classifier, target, format, verify=images, quantize=quantize)
    if exported.note:
        say(exported.note)
    cost = _cost(exported, labels) if quantize else {}
    if options.as_json:
        emit_json({"model": str(model), "format": format, **_as_dict(exported), **cost})
        return
    tell = say if is_stdout(target) else print
    tell(f"{printable(str(exported.path))}: {units.size(exported.size)}.")
    tell(_in_words(exported, cost))


def _write_card(model: Path, target: Path, options: ExportOptions) -> None:
    """The model card, which answers nothing and so has nothing to prove."""
    from ..classifier import load_model
    from ..export.card import write_card

    size = write_card(load_model(model), target)
    if options.as_json:
        emit_json({"model": str(model), "format": "card", "file": str(target), "bytes": size})
    else:
        (say if is_stdout(target) else print)(f"{printable(str(target))}: {units.size(size)}.")


def _as_dict(exported: Exported) -> dict[str, object]:
    proof = exported.proof
    return {
        "file": str(exported.path),
        "bytes": exported.size,
        "images": proof.images,
        "verified_on": proof.source,
        "same_labels": proof.same_labels,
        "largest_difference": proof.difference,
        "same_reasons": proof.same_reasons,
        "largest_difference_of_scores": proof.foreign_difference,
    }


def _verifying(classifier: Classifier, data: DataSettings) -> tuple[Int64Array, HeldOutImages]:
    """The images, and their labels as the classifier counts its classes."""
    from ..evaluation import evaluate
    from ..evaluation.evaluate import held_out
    from ..export import HeldOutImages

    with progress() as report_progress:
        held = held_out(classifier, data, progress=report_progress)
        labels = evaluate(classifier, held.dataset, progress=report_progress).labels
    say(*held.warnings)
    return labels, HeldOutImages(held.dataset.images, f"{len(held.dataset):,} images ({held.data})")


def _cost(exported: Exported, labels: Int64Array | None) -> dict[str, Any]:
    """What 8 bits cost in accuracy, where labels are known."""
    if labels is None:
        return {"accuracy_before": None, "accuracy": None}
    return {
        "accuracy_before": float((exported.expected.argmax(axis=1) == labels).mean()),
        "accuracy": float((exported.given.argmax(axis=1) == labels).mean()),
    }


def _in_words(exported: Exported, cost: dict[str, Any]) -> str:
    proof = exported.proof
    same = f"{proof.same_labels:,} of {proof.source}"
    if not cost:
        within = max(proof.difference, 1e-7)  # float32 has no finer difference between probabilities
        return f"Proved: the model's label on all of {proof.source}, probabilities within {within:.0e}."
    if cost["accuracy"] is None:
        return f"With 8 bits it gives the model's label on {same}. --verify DATA measures what that costs."
    lost = 100 * (cost["accuracy_before"] - cost["accuracy"])
    return (
        f"With 8 bits it gives the model's label on {same}. Accuracy there: {100 * cost['accuracy']:.2f} % instead of "
        f"{100 * cost['accuracy_before']:.2f} %, {abs(lost):.2f} points {'less' if lost >= 0 else 'more'}."
    )
