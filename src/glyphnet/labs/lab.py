"""The nouns of this package: a lab, its settings, its findings; and the table of labs."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from jinja2 import Template
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import Field

from .. import units
from .._version import __version__
from ..errors import SettingsError
from ..files import Replacing, atomic_write, atomic_write_text
from ..locks import FolderLock, refuse_if_in_use
from ..modelfile import library_versions
from ..outputs import FileOf
from ..pages.bundle import hash_of
from ..plots.variants import for_dark, for_phone
from ..progress import Progress
from ..settings import Settings, parse_settings, suggestion
from ..templates import environment, read
from ..training.device import hardware
from .live_parts import live_parts

Numbers: TypeAlias = Mapping[str, Any]
"""Measured values, as plain JSON."""


class LabSettings(Settings):
    """Settings of every lab; a lab with more settings has a subclass.

    Each field is an option of ``glyphnet lab NAME``; its description is the help.
    """

    quick: bool = Field(False, description="A small version of the experiment, in seconds.")
    seeds: int | None = Field(None, ge=1, description="Number of repetitions with different seeds.")

    def repetitions(self, full: int, quick: int) -> int:
        """Number of seeds: the setting, or else these."""
        return self.seeds or (quick if self.quick else full)


@dataclass(frozen=True, eq=False)
class Findings:
    """What a lab measured, the content of numbers.json, and the figures of its page by name."""

    numbers: dict[str, Any]
    figures: Mapping[str, Figure]


S = TypeVar("S", bound=LabSettings)


@dataclass(frozen=True)
class Lab(Generic[S]):
    """One guided experiment. Its page is the template of its name in this folder: `first_net.html` for "first-net".

    Attributes:
        name: as in ``glyphnet lab NAME``.
        title: of its page.
        settings: its settings.
        investigate: runs the experiment, given settings and progress.
    """

    name: str
    title: str
    settings: type[S]
    investigate: Callable[[S, Progress], Findings]


_ABOUT = {
    "digits": "a small network on 8×8 digits: when it converges, what a stop and a split do",
    "xor": "how many hidden units XOR needs, from many starts at once; other points too",
    "pulse": "a square pulse out of sigmoids: what each hidden unit adds",
    "first-net": "a first network on MNIST: curves, confusions, dead units, ReLU against sigmoid",
    "dropout": "the gap between training and validation, with and without dropout; and convolutions",
    "regularisation": "dropout, L1, L2, batch norm, augmentation, early stopping: what helps when",
    "networks": "fully connected, convolutional, recurrent: parameters, FLOPs, time, accuracy",
    "classical": "the table of methods, from K-means to our networks, by accuracy and time",
    "scratch": "a network in NumPy alone on MNIST: cost curves, gradient check, solvers, over-fitting",
    "cnn": "what convolution does, and why a shifted digit breaks a fully connected network",
    "explanations": "do the pixels that a saliency map names matter, and does it show what was learned",
    "tuning": "a search for better settings: what it finds, and how much of it is luck",
    "feedback": "a classifier in service meets new pictures: what its users' corrections do, right and wrong",
}
LABS = {name: (f".{name.replace('-', '_')}", about) for name, about in _ABOUT.items()}
"""Name → (module of this package that holds ``LAB``, line for the list). Modules are imported on use."""


def load_lab(name: str) -> Lab[Any]:
    """The lab of that name.

    Raises:
        SettingsError: unknown name.
    """
    if name not in LABS:
        raise SettingsError(f'There is no lab "{name}"{suggestion(name, LABS)}')
    lab = import_module(LABS[name][0], __package__).LAB
    assert isinstance(lab, Lab)
    return lab


def percent(share: float, digits: int = 0) -> str:
    """A percentage as the pages write it: 0.955 is "95.5 %" with one digit."""
    return units.page_percent(share, digits)


def number(value: float, spec: str = ",") -> str:
    """A number in a format of Python, with a real minus sign."""
    text = format(value, spec)
    return f"−{text[1:]}" if text.startswith("-") else text


def points(share: float, sign: str = "") -> str:
    """A difference of shares in points: "0.12 points"; ``sign`` "+" writes plus signs too."""
    return f"{number(100 * share, f'{sign}.2f')} points"


def with_interval(figure: Numbers, digits: int = 2) -> str:
    """``97.83 % ± 0.12``: the mean of `Repeats.to_dict` and half its interval.

    Of one repetition, and of equal ones, the mean only: "± 0.00" would claim too much.
    """
    mean = percent(figure["mean"], digits)
    return mean if not figure["half_width"] else f"{mean} ± {100 * figure['half_width']:.{digits}f}"


def spread_of(figure: Numbers) -> str:
    """Standard deviation over the seeds, in points; "–" for one seed."""
    return f"{100 * figure['spread']:.2f}" if figure["n"] > 1 else "–"


# Running a lab: its folder, with a page that is one HTML file

STYLES = ("pages/house.css", "pages/charts.css", "labs/page.css")
_DOTS_PER_INCH = 144  # twice what CSS calls an inch's 72 points: sharp on a phone


@dataclass(frozen=True)
class LabFolder:
    """The output of a lab: page, numbers, pictures."""

    path: Path

    page = FileOf("lab.html")  # the explanation with its pictures, in one file
    numbers = FileOf("numbers.json")  # the measured values


def run_lab(
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    out: str | os.PathLike[str],
    replacing: Replacing | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> LabFolder:
    """Run a lab, then write its page, numbers and pictures.

    Args:
        name: a row of ``LABS``.
        settings: of the lab's class of settings.
        out: the folder.
        replacing: which files in it may be replaced; None: all.
        progress: called as ``progress(done, total, what)``.
        command: the command line to reproduce this, for the page.

    Raises:
        SettingsError: an unknown lab or setting.
        RunFolderError: another process uses that folder.
        OutputError: a file there may not be replaced.
    """
    lab = load_lab(name)
    asked = parse_settings(lab.settings, dict(settings or {}), where=f"lab {name}")
    folder = LabFolder(Path(out))
    rules = replacing or Replacing(overwrite=True)
    rules.check_in(folder.path, (folder.page.name, folder.numbers.name))
    refuse_if_in_use(folder.path)
    began = time.perf_counter()
    found = lab.investigate(asked, progress or (lambda done, total, what: None))
    made = {
        "settings": asked.model_dump(mode="json"),
        "command": command,
        "seconds": round(time.perf_counter() - began, 2),
        "hardware": hardware(),
        "versions": library_versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    numbers = json.dumps(
        {"lab": name, "made": made, "numbers": found.numbers}, ensure_ascii=False, allow_nan=False, indent=2
    )
    pngs = {figure: drawn for name in found.figures for figure, drawn in _drawn(name, found.figures[name])}
    # The page is made from the content of numbers.json, so that both agree.
    page = page_of(lab, json.loads(numbers)["numbers"], pngs, made)
    with FolderLock(folder.path):
        files = {f"{figure}.png": pngs[figure] for figure in found.figures}  # the page alone has the other variants
        rules.check_in(folder.path, (folder.page.name, folder.numbers.name, *files))
        for picture, png in files.items():
            with atomic_write(folder.path / picture) as file:
                file.write(png)
        atomic_write_text(folder.numbers, numbers + "\n")
        atomic_write_text(folder.page, page)
    return folder


DARK, PHONE = "-dark", "-phone"
VARIANTS = ("", DARK, PHONE, PHONE + DARK)
"""The pictures of each figure in the page, by what is appended to its name."""


def _drawn(name: str, figure: Figure) -> Iterator[tuple[str, bytes]]:
    """The pictures of a figure: for a light and for a dark page, each wide and for a phone."""
    dark = for_dark(figure)
    for variant in VARIANTS:
        shown = dark if DARK in variant else figure
        yield f"{name}{variant}", _png(for_phone(shown) if PHONE in variant else shown)


def _png(figure: Figure) -> bytes:
    """The figure in 256 colours: a third of the bytes, and a page has several variants of each."""
    drawn, file = BytesIO(), BytesIO()
    figure.savefig(drawn, format="rgba", dpi=_DOTS_PER_INCH)
    width, height = (int(inches * _DOTS_PER_INCH) for inches in figure.get_size_inches())
    picture = Image.frombytes("RGBA", (width, height), drawn.getvalue()).convert("RGB")
    info = PngInfo()
    info.add_text("Software", "GlyphNet")
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True, pnginfo=info)
    return file.getvalue()


def page_of(lab: Lab[Any], numbers: Numbers, pngs: Mapping[str, bytes], made: Mapping[str, Any]) -> str:
    """The page of a lab: its template with the numbers as ``n``, the pictures by name as ``png``, the live parts."""
    live = live_parts(lab.name)
    page = template_of(lab).render(
        title=lab.title,
        n=numbers,
        live=live,
        script=live.script if live else "",
        hash_of=hash_of,
        png={name: f"figure:{name}" for name in pngs},
        made=made,
        style="\n".join(map(read, STYLES)),
        version=__version__,
    )
    return _FIGURE.sub(lambda found: _picture(found[1], found[2], pngs), page)


_FIGURE = re.compile(r'<img src="figure:([\w-]+)"([^>]*)>')
_NARROW, _NIGHT = "(max-width: 36rem)", "(prefers-color-scheme: dark)"
_SOURCES = ((PHONE + DARK, f"{_NARROW} and {_NIGHT}"), (PHONE, _NARROW), (DARK, _NIGHT))  # the first that fits is taken


def _picture(name: str, attributes: str, pngs: Mapping[str, bytes]) -> str:
    """A figure in the page: the browser takes the picture that goes with the page's width and colours."""

    def data(variant: str) -> str:
        return f"data:image/png;base64,{base64.b64encode(pngs[f'{name}{variant}']).decode()}"

    sources = "".join(
        f'<source media="{media}" srcset="{data(variant)}">'
        for variant, media in _SOURCES
        if f"{name}{variant}" in pngs
    )
    return f'<picture>{sources}<img src="{data("")}"{attributes}></picture>'


def template_of(lab: Lab[Any]) -> Template:
    """The template of a lab's page, with the filters that write its numbers."""
    templates = environment("labs")
    templates.filters |= {
        "duration": units.duration,
        "interval": with_interval,
        "number": number,
        "p_value": units.p_value,
        "percent": percent,
        "plural": units.plural,
        "points": points,
        "size": units.size,
        "spread": spread_of,
    }
    return templates.get_template(f"{lab.name.replace('-', '_')}.html")
