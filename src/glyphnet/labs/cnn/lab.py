"""The lab: what it asks, what it tells."""

from __future__ import annotations

from typing import Any

from ..lab import Findings, Lab, Numbers, Progress, Question, Section, Table
from ..repeats import percent as with_interval
from ..training import TrainingSettings
from ..wording import percent
from . import pictures
from .experiment import TITLES, Done, experiment, measure
from .layers import MOVED

_SMALL = "This is the small version, on the embedded 8×8 digits in a black frame."


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Train, look inside, shift; tell what came of it."""
    done = experiment(settings, progress)
    numbers = measure(done)
    sections = (
        _filter(done), _first_layers(done, numbers), _maps(done), _fields(done, numbers), _changes(numbers),
        _shifted(done, numbers),
    )  # fmt: skip
    lead = _lead(numbers)
    return Findings(f"{lead} {_SMALL}" if settings.quick else lead, sections, numbers)


def _lead(numbers: Numbers) -> str:
    row = _telling(numbers)
    mlp, cnn, learnt = (row["accuracy"][name]["mean"] for name in ("mlp", "cnn", "cnn shifted"))
    pixels = f"{row['pixels']} pixel{'s' * (row['pixels'] > 1)}"
    return (
        f"Move a digit by {pixels}, and a fully connected network reads {percent(mlp)} right, a convolutional one "
        f"{percent(cnn)}, though both learnt from the same unshifted images. One that also learnt from shifted images "
        f"reads {percent(learnt)}."
    )


def _telling(numbers: Numbers) -> Any:
    """The shift at which the two kinds are furthest apart."""
    return max(numbers["shifts"], key=lambda row: _mean(row, "cnn") - _mean(row, "mlp"))


def _mean(row: Numbers, name: str) -> float:
    return float(row["accuracy"][name]["mean"])


def _filter(done: Done) -> Section:
    text = (
        "A filter is a little square of weights. Lay it on the image, multiply each pixel by the weight upon it, add "
        "up: one number. Move it by one pixel and do it again. All the numbers together are its map: where in the "
        "image is what this filter looks for?",
        "That is convolution. ReLU then keeps only what was found, and max-pooling keeps the greatest value of each "
        "2×2, so that the next layer has a quarter as much to look at.",
    )
    return Section("A filter asks one small question everywhere", text, (pictures.one_filter_picture(done),))


def _first_layers(done: Done, numbers: Numbers) -> Section:
    first = numbers["first_layer"]
    text = (
        "A unit of a fully connected layer has a weight of its own for every pixel. What it has learnt about the "
        "middle of the image it does not know about the border: there are other weights.",
        "A filter uses the same few weights at every place. What it has learnt it knows everywhere, and there is "
        f"less to learn: {first['cnn']:,} numbers in the first layer here, and {first['mlp']:,} in that of the fully "
        f"connected network; {numbers['parameters']['cnn']:,} and {numbers['parameters']['mlp']:,} in all.",
    )
    title = f"Shared weights: {first['cnn']:,} numbers in the first layer instead of {first['mlp']:,}"
    return Section(title, text, (pictures.filters_picture(done),))


def _maps(done: Done) -> Section:
    text = (
        "The first maps still look like the digit: its edges, light against dark, this way or that. The second layer "
        "looks at all maps of the first at once, and its maps are coarser: bends, ends, crossings.",
    )
    return Section("Maps of edges become maps of parts", text, (pictures.maps_picture(done),))


def _fields(done: Done, numbers: Numbers) -> Section:
    first, last = numbers["fields"][0], numbers["fields"][-1]
    text = (
        "A 3×3 filter sees three pixels across. But a filter of the second layer sees 3×3 cells that have each seen "
        "more, and after pooling cells lie twice as far apart. So with each layer a unit sees more of the image, "
        "with no large filter anywhere. This is its receptive field.",
    )
    title = f"A unit sees {first['sees']}×{first['sees']} pixels at first, {last['sees']}×{last['sees']} at the end"
    return Section(title, text, (pictures.fields_picture(done, numbers),))


def _changes(numbers: Numbers) -> Section:
    found = numbers["changes"]
    table = Table(
        ("What", "Place by place", "Moved back"),
        tuple(
            (
                name if name != "mlp hidden" else "fully connected, hidden", percent(row["stays"]),
                "cannot be" if row["moved_back"] is None else percent(row["moved_back"]),
            )
            for name, row in found.items()
        ),
        f"How much changes when the image moves by {MOVED} pixels, relative to what was there.",
    )  # fmt: skip
    text = (
        f"Move an image by {MOVED} pixels. Place by place everything changes: the pixels by "
        f"{percent(found['pixels']['stays'])}, `conv1` by {percent(found['conv1']['stays'])}. But move the maps back, "
        f"and the change in `conv1` is {percent(found['conv1']['moved_back'], 1)}, in `pool1` "
        f"{percent(found['pool1']['moved_back'], 1)}: nothing was lost, the map has only moved along. This is called "
        "equivariance.",
        "The hidden units of the fully connected network have no places that could be moved back. To them it is "
        "another image.",
        "What convolution does not give is invariance. At the end the maps are laid out as one row for a fully "
        "connected layer, and that one minds places again. Pooling softens it: where the cells lie four pixels "
        "apart, a shift by two is half a cell, and cannot be undone exactly either.",
    )
    return Section("A shifted image gives shifted maps, no others", text, (table,))


def _shifted(done: Done, numbers: Numbers) -> Section:
    row = _telling(numbers)
    header = ("Shift", *(TITLES[name] for name in TITLES))
    table = Table(
        header,
        tuple(
            (f"{each['pixels']} px", *(with_interval(each["accuracy"][name], 1) for name in TITLES))
            for each in numbers["shifts"]
        ),
        "Accuracy on shifted test images",
    )
    lead = _mean(row, "cnn") - _mean(row, "mlp")
    title = (
        f"Shifted by {row['pixels']} px, the convolutional network is {100 * lead:.0f} points ahead" if lead > 0
        else "At no shift is the convolutional network ahead"
    )  # fmt: skip
    last = numbers["shifts"][-1]
    text = (
        f"Every image stands in a black frame of {numbers['margin']} pixels, so that a shift pushes no stroke out of "
        f"it. The first two networks learnt for {numbers['epochs']} epochs from the same {numbers['images']:,} "
        "images, with no augmentation at all: they have never seen a shift.",
        f"The convolutional one holds out longer, not for ever: at {last['pixels']} pixels it reads "
        f"{percent(_mean(last, 'cnn'))}. Its maps move along faithfully, but its last layer has never seen them there.",
        f"Show it shifted images in training, and it reads {percent(_mean(last, 'cnn shifted'))} there. "
        f"{_price(numbers)}",
    )
    return Section(title, text, (pictures.shifted_picture(done), pictures.accuracy_picture(numbers), table))


def _price(numbers: Numbers) -> str:
    """What learning from shifted images costs on unshifted ones."""
    plain = numbers["shifts"][0]
    learnt, without = _mean(plain, "cnn shifted"), _mean(plain, "cnn")
    told = (
        f"On images that are not shifted it then reads {percent(learnt, 1)}, and the one that never saw a shift "
        f"{percent(without, 1)}"
    )
    return f"{told}: there was more to learn in the same number of epochs." if learnt < without else f"{told}."


def _break(numbers: Numbers) -> str:
    """How far each can be shifted before half is lost."""
    parts = []
    for name, title in TITLES.items():
        gone = next((row for row in numbers["shifts"] if _mean(row, name) < 0.5), None)
        first = _mean(numbers["shifts"][0], name)
        parts.append(
            f"{title}: {percent(first, 1)} unshifted, "
            + (f"{percent(_mean(gone, name), 1)} at {gone['pixels']} px" if gone
               else f"still {percent(_mean(numbers['shifts'][-1], name), 1)} at {numbers['shifts'][-1]['pixels']} px")
        )  # fmt: skip
    told = "; ".join(parts)
    return f"{told[:1].upper()}{told[1:]}."


def _field(numbers: Numbers) -> str:
    """Why a receptive field grows."""
    parts = [f"{row['layer']} {row['sees']} px, units {row['apart']} px apart" for row in numbers["fields"]]
    return (
        f"{'; '.join(parts)}. A window of k cells sees (k − 1) × their distance more than one cell does, and each "
        "pooling doubles the distance: the same 3×3 filter reaches twice as far."
    )


def _why(numbers: Numbers) -> str:
    """Why a convolutional network is not invariant."""
    found, last = numbers["changes"], numbers["shifts"][-1]
    return (
        f"Its maps do move along: moved back, `conv1` has changed by {percent(found['conv1']['moved_back'], 1)}. But "
        f"place by place `pool2`, which the last layer reads, has changed by {percent(found['pool2']['stays'])}, and "
        "that layer has a weight for each place. Only by learning from shifted images does it come from "
        f"{percent(_mean(last, 'cnn'), 1)} to {percent(_mean(last, 'cnn shifted'), 1)} at {last['pixels']} px."
    )


LAB = Lab(
    "cnn",
    "What convolution does",
    TrainingSettings,
    investigate,
    (
        Question("How far can a digit be moved before each network reads fewer than half of them?", _break),
        Question("All filters are 3×3. How does a unit come to see more than that?", _field),
        Question("If the maps only move along with the image, why does accuracy fall at all?", _why),
    ),
)
