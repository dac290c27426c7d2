"""The arguments and options that several verbs share, so that every verb spells and explains them alike.

Each is a type to annotate a parameter of a verb with; the default stands in the verb's own signature. What is wrong
with a value is a `typer.BadParameter`, which ends the command with status 2.
"""

from __future__ import annotations

import gc
import inspect
import math
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_type_hints

import typer

from ..files import Replacing

if TYPE_CHECKING:
    from ..data.settings import DataSettings
    from ..training import Recipe

LARGEST_SIDE = 4096  # far beyond what the networks are for: a larger number is a typing error
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class Size(NamedTuple):
    """Size of an image in pixels."""

    height: int
    width: int


class Range(NamedTuple):
    """The values that become black and white."""

    low: float
    high: float


def parse_size(text: str) -> Size:
    """``"28"`` → (28, 28), ``"28x32"`` → (28, 32), height first."""
    match = re.fullmatch(r"(\d{1,9})(?:[x×](\d{1,9}))?", text.strip().lower(), flags=re.ASCII)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size: write one number (28), or height x width (28x32).")
    size = Size(int(match[1]), int(match[2] or match[1]))
    if not all(1 <= side <= LARGEST_SIDE for side in size):
        raise typer.BadParameter(f"{text!r} is not a size: each side must lie in 1 to {LARGEST_SIDE} pixels.")
    return size


def parse_range(text: str) -> Range:
    """``"100:260"`` → (100.0, 260.0)."""
    low, colon, high = text.partition(":")
    try:
        ends = Range(float(low), float(high))
    except ValueError:
        ends = Range(0.0, 0.0)
    if not colon or not (-math.inf < ends.low < ends.high < math.inf):
        raise typer.BadParameter(f"{text!r} is not a range: write LOW:HIGH, two numbers, low below high (0:4095).")
    return ends


def parse_page(text: str) -> int | str:
    """``"3"`` → 3, ``"mean"`` and ``"max"`` as they are."""
    word = text.strip().lower()
    if word in ("mean", "max"):
        return word
    if not re.fullmatch(r"[1-9]\d{0,8}", word, flags=re.ASCII):
        raise typer.BadParameter(f"{text!r} is not a page: write a number from 1 up, mean or max.")
    return int(word)


def parse_duration(text: str) -> float:
    """``"60s"``, ``"90"``, ``"5m"``, ``"1.5h"`` → seconds."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?(s|m|min|h|)", text.strip().lower(), flags=re.ASCII)
    if match is None or not float(match[1]):
        raise typer.BadParameter(f"{text!r} is not a duration: write seconds (90 or 90s), minutes (5m) or hours (1h).")
    return float(match[1]) * _UNITS[match[2]]


DataArgument = Annotated[str, typer.Argument(
    metavar="DATA", help="digits, mnist, fashion-mnist, emnist-letters, cifar-10, svhn, bloodmnist and others of "
    "docs/data.md, or a path: a folder of class folders, a table of paths or pixels, Parquet, an archive, IDX, .npz, "
    ".npy, .mat, HDF5 or CIFAR files.",
)]  # fmt: skip
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file (.safetensors).")]
_SizeOption = Annotated[Size | None, typer.Option(
    "--size", metavar="N|HxW", parser=parse_size, help="Size of the images in pixels: 28, or height x width, 28x32. "
    "Chosen from the data unless given.",
)]  # fmt: skip
_ColorOption = Annotated[Literal["auto", "grey", "rgb"] | None, typer.Option(
    "--color", help="Whether images become grey or colour; auto, the default, looks at the data.",
)]  # fmt: skip
_RangeOption = Annotated[Range | None, typer.Option(  # a plain tuple would take two words
    "--range", metavar="LOW:HIGH", parser=parse_range, help="The values that become black and white in all images. "
    "Default: 8-bit values as they are; for others one range, chosen from the whole data set.",
)]  # fmt: skip
_PageOption = Annotated[Any, typer.Option(  # int | Literal["mean", "max"], which Typer does not know
    "--page", metavar="N|mean|max", parser=parse_page, help="Of files with several pages or frames: the one to read, "
    "1 unless given, or the mean or maximum of all.",
)]  # fmt: skip
_OnBadFileOption = Annotated[Literal["error", "skip"] | None, typer.Option(
    "--on-bad-file", help="Stop at an unreadable image file, or skip and count it; unless given, only glyphnet data "
    "skips.",
)]  # fmt: skip
_GroupByOption = Annotated[str | None, typer.Option(
    "--group-by", metavar="WHAT", help="Which pictures stay on one side of every split: folder (inside class "
    "folders), prefix (of file names, before a counter), burst (taken within seconds), neighbours (alike, in the "
    "order of names), copies (the same picture, changed), column:NAME of a table, a regular expression with one "
    "group, as in 'person(\\d+)', FILE.csv with the columns file_name and group, or none. auto, the default, looks "
    "for likely groups and says what it found.",
)]  # fmt: skip
_LayoutOption = Annotated[str | None, typer.Option(
    "--layout", metavar="LEVELS", help="What each level of folders is: class, part/class, class/part, any/class (any: "
    "none). For a table of pixels: label,pixels or pixels,label. Concluded from the data unless given.",
)]  # fmt: skip
OnlyOption = Annotated[str | None, typer.Option(
    "--only", metavar="NAME", help="Read only pictures in folders of this name: images beside masks.",
)]  # fmt: skip
_LabelColumnOption = Annotated[str | None, typer.Option(
    "--label-column", metavar="NAME", help="Of a table with several columns of labels, such as fine_label and "
    "coarse_label: the one to learn.",
)]  # fmt: skip
_LabelsOption = Annotated[str | None, typer.Option(
    "--labels", metavar="FILE", help="Correct labels first, as the decisions in this table say: glyphnet data "
    "--review writes one.",
)]  # fmt: skip
SeedOption = Annotated[int, typer.Option(
    "--seed", metavar="N", min=0, help="Seed of all that is random: the same seed gives the same result.",
)]  # fmt: skip
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Where to compute: auto, cpu, cuda, cuda:1, mps.")
]
ThreadsOption = Annotated[int | None, typer.Option(
    "--threads", metavar="N", min=1, help="Threads to compute with: the same number gives the same bits. Unless "
    "given, one for small steps, and one where other programs leave less than two cores free.",
)]  # fmt: skip
HostOption = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Where to listen: only this machine unless given.")
]
PortOption = Annotated[
    int, typer.Option("--port", metavar="N", min=0, max=65_535, help="Where to listen; 0 takes any that is free.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")
]


# Groups of options


class OptionGroup:
    """Options that belong together: a frozen dataclass whose fields are annotated like the parameters of a verb.

    A parameter of such a type stands for all fields on the command line, and the verb gets one object: see
    `with_groups`.
    """


@dataclass(frozen=True)
class ModelDataOptions(OptionGroup):
    """How data are read for a model, which has its own size, scale and page; what is not given is None."""

    layout: _LayoutOption = None
    only: OnlyOption = None
    label_column: _LabelColumnOption = None
    on_bad_file: _OnBadFileOption = None

    def settings(self, source: str | None = None, base: DataSettings | None = None, **defaults: str) -> DataSettings:
        """These options over ``base`` (a recipe's settings) or the defaults; without ``source``, that of base."""
        from ..data.settings import DataSettings
        from ..settings import parse_settings

        given = {name: value for name, value in {**vars(self), "source": source}.items() if value is not None}
        values = {**defaults, **given}
        return parse_settings(DataSettings, values, where="data") if base is None else base.with_values(values)


@dataclass(frozen=True)
class DataOptions(ModelDataOptions):
    """How data are read; what is not given is None."""

    size: _SizeOption = None
    color: _ColorOption = None
    value_range: _RangeOption = None
    page: _PageOption = None
    group_by: _GroupByOption = None
    labels: _LabelsOption = None


def given_parameters(ctx: typer.Context) -> dict[str, str]:
    """The parameters that are on the command line, with what they are called there."""
    return {
        parameter.name: parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.opts[0].upper()
        for parameter in ctx.command.params
        if parameter.name and str(getattr(ctx.get_parameter_source(parameter.name), "name", "DEFAULT")) != "DEFAULT"
    }


def train_command(data: DataSettings) -> str:
    """The command that trains on the same data read the same way, without a table of decisions."""
    words = ["glyphnet", "train", data.source]
    for name in (field.name for field in fields(DataOptions) if field.name != "labels"):
        value = getattr(data, name)
        if value != type(data).model_fields[name].default:
            if isinstance(value, tuple):
                value = (":" if name == "value_range" else "x").join(f"{part:.10g}" for part in value)
            words += ["--range" if name == "value_range" else f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing output; inputs are never replaced.")
]

OUTPUTS = ("out", "review", "storage", "html")
"""Parameters of verbs that name what is written."""


def replacing(ctx: typer.Context, overwrite: bool) -> Replacing:
    """What a verb may replace: never a file or folder that stands on its command line to be read."""
    inputs: list[str | Path] = []
    for name, value in ctx.params.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if name not in OUTPUTS and isinstance(each, str | Path):
                inputs += [each, each.partition("=")[2]] if isinstance(each, str) and "=" in each else [each]
    return Replacing(tuple(filter(None, inputs)), overwrite, not any(map(ctx.params.get, OUTPUTS)))


@contextmanager
def large_import() -> Iterator[None]:
    """Around an import of what loads PyTorch, whose objects stay to the end: Python looks for no garbage among them.

    It did so several times while they came and again with each larger import after them, which took 0.3 s.
    """
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def with_groups(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb with an option for each field of its groups."""
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        group = parameter.annotation
        if not (isinstance(group, type) and issubclass(group, OptionGroup)):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        options = get_type_hints(group, include_extras=True)
        names = [field.name for field in fields(group)]  # type: ignore[arg-type]
        groups[parameter.name] = group, names
        parameters += [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=getattr(group, name), annotation=options[name]
            )
            for name in names
        ]

    def command(**values: Any) -> Any:
        made = {name: group(**{each: values.pop(each) for each in names}) for name, (group, names) in groups.items()}
        return verb(**values, **made)

    command.__name__, command.__doc__ = verb.__name__, verb.__doc__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


@dataclass(frozen=True)
class RecipeOptions(OptionGroup):
    """What a recipe is made from: for the verbs that train."""

    preset: Annotated[
        str,
        typer.Option(
            "--preset", help="fast (seconds), balanced (a minute), best (most accurate), robust (bad pictures)."
        ),
    ] = "balanced"
    network: Annotated[str | None, typer.Option(
        "--network", metavar="KIND", help="Another network than the preset's: linear, mlp, cnn, cnn-classic, …",
    )] = None  # fmt: skip
    backbone: Annotated[str | None, typer.Option(
        "--backbone", metavar="NAME|FILE",
        help="Begin with weights trained on other pictures: glyphbase for drawings, "
        "efficientnet-lite0 for photographs, a file, or hf:USER/NAME, a repository of a hub.",
    )] = None  # fmt: skip
    unlabelled: Annotated[str | None, typer.Option(
        "--unlabelled", metavar="MORE",
        help="Learn from these pictures without labels as well: a folder, a table, Parquet, an archive, a file of "
        "arrays. Labels that they have are not read. Unless given, a folder unlabelled in that of DATA.",
    )] = None  # fmt: skip
    settings: Annotated[list[str] | None, typer.Option(
        "--set", metavar="NAME=VALUE", help="Change a setting of the recipe: optimizer.lr=0.01.",
    )] = None  # fmt: skip
    recipe: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="A recipe.yaml instead of a preset.")
    ] = None
    seed: Annotated[int | None, typer.Option(
        "--seed", metavar="N", min=0, help="Seed of weights, order, dropout and augmentation.",
    )] = None  # fmt: skip

    def changes(self) -> dict[str, object]:
        """The settings to change, by dotted name: of --set and of the options for single ones."""
        changes: dict[str, object] = {}
        for setting in self.settings or []:
            name, equals, value = setting.partition("=")
            if not equals or not name.strip():
                raise typer.BadParameter(f"--set {setting}: write NAME=VALUE, such as optimizer.lr=0.01.")
            changes[name.strip()] = value
        given = {
            "network": self.network, "backbone": self.backbone, "unlabelled": self.unlabelled, "seed": self.seed,
        }  # fmt: skip
        return changes | {name: value for name, value in given.items() if value is not None}

    def read(self, given: Mapping[str, str]) -> Recipe | None:
        """The recipe in the file of --recipe; ``given`` is as `given_parameters` returns it."""
        if "recipe" in given and "preset" in given:
            raise typer.BadParameter("--recipe and --preset exclude each other: choose one.")
        with large_import():
            from ..runs import read_recipe

        return None if self.recipe is None else read_recipe(self.recipe)
