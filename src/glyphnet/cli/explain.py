"""``glyphnet explain``: show what a model looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..files import Replacing, is_stdout, is_stream, make_folder
from ..locks import refuse_if_in_use
from .console import FAILED, emit_json, printable, progress, say
from .options import (
    AS_DEFAULT,
    FOR_A_MODEL,
    DataOptions,
    DeviceOption,
    JsonOption,
    ModelArgument,
    OptionGroup,
    OverwriteOption,
    reads_data,
    replacing,
)

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..data.settings import DataSettings
    from ..errors import BadFileError
    from ..explain import Explanation

_WEIGHTS = "first-layer-weights.png"


@dataclass(frozen=True)
class ExplainOptions(OptionGroup):
    """The options of ``glyphnet explain``."""

    method: Annotated[
        str,
        typer.Option(
            "--method", metavar="NAME", help="How: integrated-gradients, grad-cam (convolutional only), occlusion."
        ),
    ] = "integrated-gradients"
    class_name: Annotated[
        str | None,
        typer.Option("--class", metavar="NAME", help="Explain this class; default: the likeliest."),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR|FILE.png",
            help="Where to write: a folder, or for one picture a file; explanations beside the model unless given.",
        ),
    ] = None
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


@reads_data(*FOR_A_MODEL)
def explain(
    ctx: typer.Context,
    *,
    model: ModelArgument,
    images: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE...", help="Image files, or folders of them.")
    ] = None,
    options: ExplainOptions,
    how: DataOptions = AS_DEFAULT,
) -> None:
    """Show what a model looked at: a picture with saliency, probabilities and every layer for each image.

    A file that cannot be read is reported on standard error and skipped; the exit status is then 1.
    """
    files, method, out = images or [], options.method, options.out
    options.check(files)
    from ..classifier import load_model
    from ..explain import check_method
    from ..explain import class_label as label_of
    from ..predictfiles import image_files

    classifier = load_model(model, options.device)
    check_method(classifier, method)
    target = None if options.class_name is None else label_of(classifier, options.class_name)
    unreadable: list[str] = []

    def on_bad_file(error: BadFileError) -> None:
        unreadable.append(error.path)
        say(f"glyphnet: {error}")

    places = _Places(out or model.parent / "explanations")
    wanted = [(file, places.of(file)) for file in image_files(files, on_bad_file)]
    pictures = [*(picture for _, picture in wanted), *([places.of_weights()] * options.weights)]
    places.make(pictures, replacing(ctx, options.overwrite))
    tell = say if out is not None and is_stdout(out) else print
    results = []
    for file, picture, explanation in _explained(classifier, wanted, target, method, on_bad_file):
        if not options.as_json:
            _print(file, picture, explanation, tell)
        results.append(_row(file, picture, explanation))
    drawn = str(_draw_weights(classifier, places.of_weights())) if options.weights else None
    counts = None if options.data is None else _count_dead(classifier, how.settings(options.data))
    if options.as_json:
        facts = {"model": str(model), "method": method, "images": results, "weights": drawn, "dead_units": counts}
        emit_json(facts | {"unreadable": len(unreadable)})
    else:
        _print_rest(drawn, counts)
    if unreadable:
        raise typer.Exit(FAILED)


def _is_file(out: Path) -> bool:
    return is_stream(out) or (out.suffix.lower() == ".png" and not out.is_dir())


class _Places:
    """Where pictures go: one name for each image."""

    def __init__(self, out: Path) -> None:
        self._out, self._single = out, _is_file(out)
        self._taken: set[str] = set()

    def of(self, file: str) -> Path:
        """``3.jpg`` → ``3-explained.png``, and ``3-explained-2.png`` for the second of this name."""
        if self._single:
            return self._out
        stem, number = f"{Path(file).stem}-explained", 2
        name = stem
        while name in self._taken:
            name, number = f"{stem}-{number}", number + 1
        self._taken.add(name)
        return self._out / f"{name}.png"

    def of_weights(self) -> Path:
        """The name of the picture of weights."""
        if self._single:
            return self._out
        return self._out / _WEIGHTS

    def make(self, pictures: list[Path], rules: Replacing) -> None:
        """Check whether the pictures may be written, and make the folder if there are any."""
        if self._single:
            rules.check(self._out)
        elif pictures:
            rules.check_in(self._out, [picture.name for picture in pictures])
            refuse_if_in_use(self._out)
            make_folder(self._out)


def _explained(
    classifier: Classifier,
    wanted: Iterable[tuple[str, Path]],
    target: int | None,
    method: str,
    on_bad_file: Callable[[BadFileError], None],
) -> Iterator[tuple[str, Path, Explanation]]:
    """Each image's picture is written before the next image is read."""
    from ..errors import BadFileError
    from ..explain import explain_image, save_figure

    for file, picture in wanted:
        try:
            explanation = explain_image(classifier, file, target, method=method)
        except BadFileError as error:
            on_bad_file(error)
            continue
        save_figure(explanation.figure(Path(file).name), picture)
        yield file, picture, explanation


def _print(file: str, picture: Path, explanation: Explanation, tell: Callable[[str], None]) -> None:
    name = explanation.classes[explanation.predicted]
    tell(f"{printable(file)}: {printable(name)}, {explanation.probabilities.max():.2%}")
    tell(f"  {printable(str(picture))}")
    sys.stdout.flush()


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


def _draw_weights(classifier: Classifier, place: Path) -> Path:
    from ..explain import first_layer_weights, save_figure

    save_figure(first_layer_weights(classifier).figure(), place)
    return place


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


def _print_rest(weights: str | None, counts: dict[str, Any] | None) -> None:
    if weights is not None:
        print(f"First layer:  {printable(weights)}")
    if counts is None:
        return
    print(f"Dead units on {counts['images']:,} images ({printable(counts['data'])}):")
    for layer in counts["layers"]:
        print(f"  {layer['layer']}: {len(layer['dead'])} of {layer['units']} ({layer['share']:.1%})")
    if not counts["layers"]:
        print("  none can be: the network has no ReLU")
