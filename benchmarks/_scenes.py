"""Pictures of drawn digits as people take and send them, made from MNIST images: `scene` and `spoilt`."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from glyphnet.data.named import read_digits

Values = npt.NDArray[np.float64]
Generator = np.random.Generator
UInt8Array = npt.NDArray[np.uint8]
SIZES = ((640, 480), (800, 600), (480, 640), (400, 400))  # width, height


class Scene:
    """A sheet of paper with a digit, in pixels: the paper's level and how much ink covers it.

    Attributes:
        paper: float (h, w), levels of the paper.
        cover: float (h, w), 0 no ink to 1.
        box: (top, bottom, left, right) of the digit.
        size: the longer side of the box.
        strength: 0 easy to 1 hard.
    """

    def __init__(self, kind: str, image: UInt8Array, strength: float, generator: Generator) -> None:
        self.generator, self.strength = generator, strength
        width, height = SIZES[generator.integers(len(SIZES))]
        self.level = generator.uniform(190, 240)
        self.ink = generator.uniform(20, 70 + 40 * strength)
        shade = 10 + 60 * strength * (kind in ("shade", "phone", "ruled", "squared", "pencil"))
        self.paper = self.level - _light(height, width, generator, shade)
        self.noise, self.blur, self.quality = 1 + 4 * strength, 0.5 + strength, int(90 - 30 * strength)
        share = generator.uniform(0.3, 0.6)
        if kind == "tiny":
            share = generator.uniform(0.05, 0.12) + 0.06 * (1 - strength)
        if kind == "phone":
            share = generator.uniform(0.12, 0.35)
            self.noise, self.blur, self.quality = 4 + 10 * strength, 1 + 1.5 * strength, int(70 - 40 * strength)
        side = min(int(min(height, width) * share / 20 * 28), min(height, width) - 8)
        turn = generator.uniform(-1, 1) * (6 + 14 * strength) if kind == "tilted" else 0.0
        thinner = round(side / 28 * (0.3 + 0.3 * strength)) if kind == "pencil" else 0
        digit = _digit(image, side, turn, thinner)
        room = 0.12 if kind in ("dark edge", "table") else 0.02
        top, left = (_place(whole, side, room, generator) for whole in (height, width))
        self.cover = np.zeros((height, width))
        self.cover[top : top + side, left : left + side] = digit
        rows, columns = np.flatnonzero((digit > 0.5).any(axis=1)), np.flatnonzero((digit > 0.5).any(axis=0))
        self.box = top + rows[0], top + rows[-1] + 1, left + columns[0], left + columns[-1] + 1
        self.size = int(max(self.box[1] - self.box[0], self.box[3] - self.box[2]))


def scene(kind: str, image: UInt8Array, strength: float, generator: Generator) -> Image.Image:
    """A photograph, as JPEG, of an MNIST image (28, 28) drawn on paper."""
    made = Scene(kind, image, strength, generator)
    KINDS[kind](made)
    values = (made.paper * (1 - made.cover) + np.minimum(made.ink, made.paper) * made.cover)[..., np.newaxis]
    values = values * (1 - generator.uniform(0, 0.12, 3))
    if kind == "red on green":
        red, green = np.array([200.0, 40, 40]), np.array([40.0, 118, 40])
        brightness = np.array([0.299, 0.587, 0.114])
        green *= (red @ brightness) / (green @ brightness) * (1 if strength > 0.5 else 0.9)
        cover = made.cover[..., np.newaxis]
        values = (green * (1 - cover) + red * cover) * (made.paper / made.paper.max())[..., np.newaxis]
    values = values + generator.normal(0, made.noise, made.cover.shape)[..., np.newaxis]
    values = values + generator.normal(0, made.noise / 3, values.shape)
    picture = Image.fromarray(values.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(made.blur))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=made.quality)
    return Image.open(buffer)


def _light(height: int, width: int, generator: Generator, depth: float) -> Values:
    """Uneven light: a slope and a spot, 0 to ``depth`` darker."""
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    angle = generator.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * x + np.sin(angle) * y) / 1.42 + 0.5
    spot = (x - generator.uniform(-0.5, 0.5)) ** 2 + (y - generator.uniform(-0.5, 0.5)) ** 2
    return np.asarray(depth * (0.7 * slope + 0.3 * np.clip(spot, 0, 1)))


def _digit(image: UInt8Array, side: int, turn: float, thinner: int) -> Values:
    large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    if turn:
        large = large.rotate(turn, Image.Resampling.BICUBIC)
    if thinner:
        large = large.filter(ImageFilter.MinFilter(2 * thinner + 1))
    cover = np.asarray(large, dtype=np.float64) / 255
    return np.clip((cover - 0.35) / 0.3, 0, 1) if side > 56 else cover


def _place(whole: int, side: int, room: float, generator: Generator) -> int:
    if side >= whole * (1 - 2 * room):
        return (whole - side) // 2
    return int(generator.uniform(room, 1 - room - side / whole) * whole)


def _lines(made: Scene, pitch: float, thick: float, angle: float, bend: float = 0.0) -> Values:
    height, width = made.cover.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    across = (y * np.cos(np.deg2rad(angle)) + x * np.sin(np.deg2rad(angle))) * (1 + bend * (x / width - 0.5))
    far = np.abs((across + made.generator.uniform(0, pitch)) % pitch - pitch / 2)
    return np.clip(thick / 2 + 0.5 - far, 0, 1)


def _ruled(made: Scene, squared: bool = False) -> None:
    """Lines a quarter as deep as the ink to as deep, slightly turned and bent."""
    draw, strength = made.generator.uniform, made.strength
    pitch = made.size * (draw(0.25, 0.5) if squared else draw(0.3, 0.8))
    thick, angle = draw(1.2, 2 + 2.5 * strength), draw(-1, 1) * (1 + 4 * strength)
    depth = (0.25 + 0.75 * strength) * draw(0.7, 1) * (made.level - made.ink) * (0.6 if squared else 1)
    lines = _lines(made, pitch, thick, angle, draw(-0.05, 0.05) * strength)
    if squared:
        lines = np.maximum(lines, _lines(made, pitch, thick, angle + 90))
    made.paper = made.paper - depth * lines


def _dark_edge(made: Scene) -> None:
    height, width = made.cover.shape
    edge, dark = int(made.generator.uniform(0.03, 0.05 + 0.06 * made.strength) * width), made.generator.uniform(10, 80)
    y, x = np.mgrid[:height, :width]
    made.paper[(x + (y - height / 2) * made.generator.uniform(-0.03, 0.03)) < edge] = dark
    if made.generator.random() < 0.5:
        made.paper = made.paper[:, ::-1].copy()


def _table(made: Scene) -> None:
    """A sheet, turned by up to five degrees, on a darker table."""
    height, width = made.cover.shape
    y, x = np.mgrid[:height, :width] - np.array([height / 2, width / 2])[:, np.newaxis, np.newaxis]
    dark, angle = made.generator.uniform(30, 110), np.deg2rad(made.generator.uniform(-5, 5) * made.strength)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    (left, top), (right, bottom) = made.generator.uniform(0.40, 0.47, (2, 2))
    sheet = (u > -left * width) & (u < right * width) & (v > -top * height) & (v < bottom * height)
    sheet[made.box[0] - 6 : made.box[1] + 6, made.box[2] - 6 : made.box[3] + 6] = True
    made.paper = np.where(sheet, made.paper, dark + made.generator.normal(0, 3, made.paper.shape))


def _shadow(made: Scene) -> None:
    """A straight edge of shade across the digit, 40 to 110 levels deep."""
    height, width = made.cover.shape
    y, x = np.mgrid[:height, :width]
    angle = made.generator.uniform(0, 2 * np.pi)
    down, across = made.generator.uniform(made.box[0], made.box[1]), made.generator.uniform(made.box[2], made.box[3])
    far = (y - down) * np.cos(angle) + (x - across) * np.sin(angle)
    made.paper = made.paper - (40 + 70 * made.strength) * np.clip(far / (1 + 3 * (1 - made.strength)), 0, 1)
    made.ink = min(made.ink, 60)


def _boxed(made: Scene) -> None:
    height, width = made.cover.shape
    top, bottom, left, right = made.box
    gap = made.generator.uniform(0.15, 0.4) * made.size
    thick = max(1, int(made.generator.uniform(0.03, 0.05 + 0.05 * made.strength) * made.size))
    sheet = Image.new("L", (width, height))
    corners = (left - gap, top - gap, right + gap, bottom + gap)
    ImageDraw.Draw(sheet).rectangle(corners, outline=255, width=thick)
    turned = sheet.rotate(
        made.generator.uniform(-3, 3) * made.strength, center=((left + right) / 2, (top + bottom) / 2)
    )
    made.cover = np.maximum(made.cover, np.asarray(turned) / 255)


def _underlined(made: Scene) -> None:
    height, width = made.cover.shape
    _, bottom, left, right = made.box
    at, thick, beyond = (made.generator.uniform(*span) * made.size for span in ((0.08, 0.2), (0.05, 0.12), (0.1, 0.6)))
    tilt = made.generator.uniform(-0.06, 0.06) * made.strength * made.size
    sheet = Image.new("L", (width, height))
    ends = (left - beyond, bottom + at + tilt, right + beyond, bottom + at - tilt)
    ImageDraw.Draw(sheet).line(ends, fill=255, width=max(2, int(thick)))
    made.cover = np.maximum(made.cover, np.asarray(sheet) / 255)


def _pencil(made: Scene) -> None:
    made.ink = made.level - made.generator.uniform(90 - 40 * made.strength, 110 - 40 * made.strength)


def _nothing_else(_: Scene) -> None:
    """Only the digit."""


KINDS: dict[str, Callable[[Scene], None]] = {
    "plain": _nothing_else,
    "shade": _nothing_else,
    "ruled": _ruled,
    "squared": lambda made: _ruled(made, squared=True),
    "dark edge": _dark_edge,
    "table": _table,
    "boxed": _boxed,
    "shadow": _shadow,
    "underlined": _underlined,
    "red on green": _nothing_else,
    "pencil": _pencil,
    "tilted": _nothing_else,
    "tiny": _nothing_else,
    "phone": _nothing_else,
}


def _stripes(values: Values, generator: Generator, direction: float, shape: str) -> Values:
    """Lines of a period of 3 to 8 pixels, 30 to 100 % of the scale high: waves, or bars in front or behind."""
    y, x = np.mgrid[:28, :28]
    period, height = generator.uniform(3, 8), generator.uniform(0.3, 1) * 255
    place = (y * np.cos(direction) + x * np.sin(direction) + generator.uniform(0, period)) / period
    if shape == "waves":
        return values + height / 2 * (1 + np.sin(2 * np.pi * place))
    bars = np.where(place % 1 < 0.34, height, 0)
    return np.maximum(values, bars) if shape == "behind" else np.where(bars > 0, height, values)


def _specks(values: Values, generator: Generator, share: float) -> Values:
    chance = generator.random(values.shape)
    return np.where(chance < share / 2, 0, np.where(chance > 1 - share / 2, 255, values))


SPOILT: dict[str, Callable[[Values, Generator], Values]] = {
    "as they are": lambda values, _: values,
    "inverted": lambda values, _: 255 - values,
    "a fifth of the contrast": lambda values, _: 60 + 0.2 * values,
    "slope of light, 100 levels": lambda values, _: 0.6 * values + np.linspace(0, 100, 28)[:, np.newaxis],
    "moved by 3 pixels": lambda values, _: np.roll(values, (3, -3), (0, 1)),
    "noise, σ 0.25": lambda values, generator: values + generator.normal(0, 0.25 * 255, values.shape),
    "noise, σ 0.3": lambda values, generator: values + generator.normal(0, 0.3 * 255, values.shape),
    "blur, σ 1.5 px": lambda values, _: ndimage.gaussian_filter(values, 1.5),
    "blur, σ 2 px": lambda values, _: ndimage.gaussian_filter(values, 2),
    "stripes, waves along rows": lambda values, generator: _stripes(values, generator, 0, "waves"),
    "stripes, waves, any direction": lambda v, g: _stripes(v, g, g.uniform(0, np.pi), "waves"),
    "stripes, bars along columns behind the ink": lambda v, g: _stripes(v, g, np.pi / 2, "behind"),
    "stripes, bars along rows in front": lambda values, generator: _stripes(values, generator, 0, "in front"),
    "stripes, bars behind, any direction": lambda v, g: _stripes(v, g, g.uniform(0, np.pi), "behind"),
    "5 % salt and pepper": lambda values, generator: _specks(values, generator, 0.05),
    "10 % salt and pepper": lambda values, generator: _specks(values, generator, 0.1),
}


def spoilt(way: str, image: UInt8Array, generator: Generator) -> Image.Image:
    """An MNIST image (28, 28) in one of the ways of SPOILT, at its own size."""
    return Image.fromarray(np.clip(np.rint(SPOILT[way](image.astype(np.float64), generator)), 0, 255).astype(np.uint8))


def other_digits() -> list[tuple[str, list[UInt8Array], npt.NDArray[np.int64]]]:
    """Digits of other data sets, cropped to their ink: what they are, the pictures (h, w), the labels."""
    grey, labels = read_digits()[:2]
    sets = [("scikit-learn, 8×8", list(grey.reshape(-1, 8, 8)), np.asarray(labels))]
    folder = Path(os.environ.get("GLYPHNET_DATA", "/nowhere")) / "semeion"
    if folder.is_dir():
        tables = [pyarrow.parquet.read_table(folder / f"{part}.parquet").to_pylist() for part in ("train", "test")]
        rows = [row for table in tables for row in table]
        pictures = [np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("L")) for row in rows]
        sets.append(("semeion, 16×16, both parts", pictures, np.array([row["label"] for row in rows])))
    return sets
