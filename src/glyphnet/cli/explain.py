"""``glyphnet explain``: show what a model looked at."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..files import Replacing, is_stdout, is_stream, make_folder
from ..locks import refuse_if_in_use
from .console import FAILED, emit_json, progress, say, show
from .options import DeviceOption, JsonOption, ModelArgument, ModelDataOptions, OptionGroup, OverwriteOption, replacing

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..data.settings import DataSettings
    from ..explain import Explanation

_WEIGHTS = "first-layer-weights.png"


@dataclass(frozen=True)
class ExplainOptions(OptionGroup):
    """The options of ``glyphnet explain``."""

    method: Annotated[str, typer.Option(
        "--method", metavar="NAME", help="How: integrated-gradients, grad-cam (convolutional only), occlusion.",
    )] = "integrated-gradients"  # fmt: skip
    class_name: Annotated[str | None, typer.Option(
        "--class", metavar="NAME", help="Explain this class; default: the likeliest.",
    )] = None  # fmt: skip
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="DIR|FILE.png", help="Where to write: a folder, or for one picture a file; explanations "
        "beside the model unless given.",
    )] = None  # fmt: skip
    overwrite: OverwriteOption = False
    weights: Annotated[bool, typer.Option("--weights", help="Draw the weights of the first layer too.")] = False
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Count the units that are dead on these data too.")
    ] = None
    device: DeviceOption = "cpu"
    as_json: JsonOption = False

    def check(self, files: list[str]) -> None:
        """Refuse what is wrong with the words alone."""
        if not (files or self.weights or self.data):
            raise typer.BadParameter("there is nothing to explain: name an image, or ask for --weights or --data DATA.")
        if self.out is None or not _is_file(self.out):
            return
        if len(files) + self.weights > 1 or any(Path(file).is_dir() for file in files):
            raise typer.BadParameter(
                "--out names one file, but there is more than one picture to write: name a folder."
            )


def explain(
    ctx: typer.Context,
    *,
    model: ModelArgument,
    images: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE...", help="Image files, or folders of them.")
    ] = None,
    options: ExplainOptions,
    how: ModelDataOptions,
) -> None:
    """Show what a model looked at: a picture with saliency, probabilities and every layer for each image.

    A file that cannot be read is reported on standard error and skipped; the exit status is then 1.
    """
    files, method, out = images or [], options.method, options.out
    options.check(files)
    from ..classifier import load_model
    from ..errors import BadFileError
    from ..explain import check_method, explain_image, first_layer_weights, save_figure
    from ..explain import class_label as label_of
    from ..predictfiles import image_files

    classifier = load_model(model, options.device)
    check_method(classifier, method)
    target = None if options.class_name is None else label_of(classifier, options.class_name)
    unreadable: list[str] = []

    def on_bad_file(error: BadFileError) -> None:
        unreadable.append(error.path)
        say(f"glyphnet: {error}")

    place = out or model.parent / "explanations"
    wanted = list(image_files(files, on_bad_file))
    *pictures, weights = _pictures(place, wanted)
    _make_place(place, [*pictures, *[weights] * options.weights], replacing(ctx, options.overwrite))
    tell = say if is_stdout(place) else show
    results = []
    for file, picture in zip(wanted, pictures, strict=True):
        try:
            explanation = explain_image(classifier, file, target, method=method)
        except BadFileError as error:
            on_bad_file(error)
            continue
        save_figure(explanation.figure(Path(file).name), picture)  # before the next image is read
        results.append(_row(file, picture, explanation))
        if not options.as_json:
            name = explanation.classes[explanation.predicted]
            tell(f"{file}: {name}, {explanation.probabilities.max():.2%}", f"  {picture}")
            sys.stdout.flush()
    drawn = str(weights) if options.weights else None
    if options.weights:
        save_figure(first_layer_weights(classifier).figure(), weights)
    counts = None if options.data is None else _count_dead(classifier, how.settings(options.data))
    if options.as_json:
        facts = {"model": str(model), "method": method, "images": results, "weights": drawn, "dead_units": counts}
        emit_json(facts | {"unreadable": len(unreadable)})
    else:
        _show_rest(drawn, counts)
    if unreadable:
        raise typer.Exit(FAILED)


def _is_file(out: Path) -> bool:
    return is_stream(out) or (out.suffix.lower() == ".png" and not out.is_dir())


def _pictures(out: Path, files: Sequence[str]) -> list[Path]:
    """A picture for each file, and one of the weights: ``3.jpg`` → ``3-explained.png``, the second ``…-2.png``."""
    if _is_file(out):
        return [out] * (len(files) + 1)
    names: list[str] = []
    for file in files:
        name = stem = f"{Path(file).stem}-explained"
        number = 2
        while name in names:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return [*(out / f"{name}.png" for name in names), out / _WEIGHTS]


def _make_place(out: Path, pictures: Sequence[Path], rules: Replacing) -> None:
    """Check whether the pictures may be written, and make the folder if there are any."""
    if _is_file(out):
        rules.check(out, (".png",))
    elif pictures:
        rules.check_in(out, [picture.name for picture in pictures])
        refuse_if_in_use(out)
        make_folder(out)


def _row(file: str, picture: Path, explanation: Explanation) -> dict[str, object]:
    probabilities = [round(float(each), 6) for each in explanation.probabilities]
    return {
        "file": file,
        "picture": str(picture),
        "label": explanation.classes[explanation.predicted],
        "probability": probabilities[explanation.predicted],
        "explained": explanation.classes[explanation.target],
        "probabilities": dict(zip(explanation.classes, probabilities, strict=True)),
    }


def _count_dead(classifier: Classifier, data: DataSettings) -> dict[str, object]:
    from ..evaluation.evaluate import held_out
    from ..explain import dead_units

    with progress() as report_progress:
        held = held_out(classifier, data, progress=report_progress)
    return {
        "data": held.data,
        "images": len(held.dataset),
        "layers": [
            {"layer": layer.layer, "units": layer.units, "dead": layer.dead.tolist(), "share": round(layer.share, 6)}
            for layer in dead_units(classifier, held.dataset)
        ],
    }


def _show_rest(weights: str | None, counts: dict[str, Any] | None) -> None:
    if weights is not None:
        show(f"First layer:  {weights}")
    if counts is None:
        return
    show(f"Dead units on {counts['images']:,} images ({counts['data']}):")
    for layer in counts["layers"]:
        print(f"  {layer['layer']}: {len(layer['dead'])} of {layer['units']} ({layer['share']:.1%})")
    if not counts["layers"]:
        print("  none can be: the network has no ReLU")
