"""Fifteen ways in which pictures get worse without changing their class, to measure what a model still recognises.

The kinds are those of MNIST-C (Mu and Gilmer, 2019, "MNIST-C: A Robustness Benchmark for Computer Vision",
https://arxiv.org/abs/1906.02337), with the strengths that https://github.com/google-research/mnist-c publishes. Most go
back to Hendrycks and Dietterich, 2019 (https://arxiv.org/abs/1903.12261). Written anew here, for batches, colour and
for any size: lengths are given in pixels of 28, and grow with the shorter side. Random numbers are others, so single
pixels differ from the published files.

Each function takes images, float32 (N, C, H, W) in [0, 1], light on dark, and a generator, and returns new ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..augment.augmenter import Warp
from ..data.dataset import UInt8Array
from ..seeding import derived_seed

Apply = Callable[[Tensor, torch.Generator], Tensor]

SIDE = 28
"""Pixels of the images for which the strengths are published."""

_AT_ONCE = 1 << 21  # pixels times channels that are changed together
_LIGHT = 128  # level of the border from which pictures are dark on light


@dataclass(frozen=True)
class Corruption:
    """A row of the table.

    Attributes:
        apply: the change.
        doc: what it does, and how strongly.
        helps: augmentations of the training images that are like it, and so likely to help, the likest first;
            ``benchmarks/corruptions.py --helps`` measures what each of them gains.
    """

    apply: Apply
    doc: str
    helps: tuple[str, ...]


def corrupt(images: UInt8Array, name: str, seed: int = 0) -> UInt8Array:
    """Images, uint8 (N, H, W, C), with the corruption of this name; the same seed gives the same bits.

    Dark drawings on a light background are changed as their negatives are: lines are drawn in ink, not in background.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, name, 0))
    is_dark_on_light = len(images) > 0 and _border_level(images) >= _LIGHT
    made = list(_changed(images, CORRUPTIONS[name].apply, generator, negative=is_dark_on_light))
    return np.concatenate(made) if made else images


def _border_level(images: UInt8Array) -> float:
    """The median level along the borders of some images."""
    some = images[:: max(1, len(images) // 500)]
    rings = (some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1])
    return float(np.median(np.concatenate([ring.ravel() for ring in rings])))


def _changed(images: UInt8Array, apply: Apply, generator: torch.Generator, *, negative: bool) -> Iterator[UInt8Array]:
    """The corrupted images, some at a time."""
    step = max(1, _AT_ONCE // int(np.prod(images.shape[1:])))
    for start in range(0, len(images), step):
        x = torch.from_numpy(np.ascontiguousarray(images[start : start + step])).permute(0, 3, 1, 2).float() / 255
        y = apply(1 - x if negative else x, generator).clamp(0, 1)
        y = (1 - y if negative else y) * 255
        yield y.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


# --- noise and blur -----------------------------------------------------------------------------------------


def shot_noise(x: Tensor, generator: torch.Generator) -> Tensor:
    """Count light as three photons for full white."""
    return torch.poisson(3 * x, generator=generator) / 3


def impulse_noise(x: Tensor, generator: torch.Generator) -> Tensor:
    """Make 17 % of the values black or white."""
    drawn = torch.rand(x.shape, generator=generator)
    return torch.where(drawn < 0.085, 0.0, torch.where(drawn < 0.17, 1.0, x))


def glass_blur(x: Tensor, generator: torch.Generator) -> Tensor:
    """Blur by 0.7 pixels, take half of the pixels from beside them, twice, and blur again."""
    reach = max(1, round(_unit(x)))
    x = _gaussian(x, 0.7 * _unit(x))
    n, channels, height, width = x.shape
    down, along = torch.arange(height)[:, None], torch.arange(width)[None]
    for _ in range(2):
        moves = torch.randint(-reach, reach + 1, (2, n, height, width), generator=generator)
        moves *= torch.rand((n, height, width), generator=generator) < 0.5
        index = (down + moves[0]).clamp(0, height - 1) * width + (along + moves[1]).clamp(0, width - 1)
        index = index.view(n, 1, -1).expand(-1, channels, -1)
        x = x.reshape(n, channels, -1).gather(2, index).view(n, channels, height, width)
    return _gaussian(x, 0.7 * _unit(x))


def motion_blur(x: Tensor, generator: torch.Generator) -> Tensor:
    """Smear towards one side, up to 45 degrees from level: half a Gaussian of 3 pixels, cut at 10."""
    angle = _between(x, math.pi / 4, generator)
    steps = torch.arange(0, 11)
    weights = torch.exp(-0.5 * (steps / 3).square())
    weights /= weights.sum()
    direction = torch.stack([angle.cos(), angle.sin()], dim=1) * _unit(x)
    return sum((weights[step] * _moved(x, step * direction) for step in range(len(steps))), torch.zeros_like(x))


def _gaussian(x: Tensor, deviation: float) -> Tensor:
    """Smoothed along both sides; what is beyond the border is as the border."""
    reach = max(1, math.ceil(3 * deviation))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation).square())
    kernel /= kernel.sum()
    n, channels, height, width = x.shape
    planes = F.pad(x.reshape(n * channels, 1, height, width), (reach,) * 4, mode="replicate")
    planes = F.conv2d(F.conv2d(planes, kernel[None, None, None]), kernel[None, None, :, None])
    return planes.view(n, channels, height, width)


# --- place --------------------------------------------------------------------------------------------------


def shear(x: Tensor, generator: torch.Generator) -> Tensor:
    """Slant by 0.4 radians (23 degrees), either way."""
    slant = 0.4 * _sign(x, generator)
    one, zero = torch.ones_like(slant), torch.zeros_like(slant)
    return _mapped(x, one, slant.tan(), zero, one)


def scale(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shrink to 0.7 of the size."""
    factor = torch.full((len(x),), 1 / 0.7)
    return _mapped(x, factor, torch.zeros_like(factor), torch.zeros_like(factor), factor)


def rotate(x: Tensor, generator: torch.Generator) -> Tensor:
    """Turn by 0.6 radians (34 degrees), either way."""
    angle = 0.6 * _sign(x, generator)
    return _mapped(x, angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def translate(x: Tensor, generator: torch.Generator) -> Tensor:
    """Move by 3 pixels along both sides, either way."""
    return _moved(x, 3 * _unit(x) * torch.stack([_sign(x, generator), _sign(x, generator)], dim=1))


def _mapped(x: Tensor, xx: Tensor, xy: Tensor, yx: Tensor, yy: Tensor) -> Tensor:
    """Changed by a linear map about the centre, given by its four entries, each float (N,)."""
    plain = Warp.identity(x)
    matrix = torch.stack((xx, xy, yx, yy), dim=1).view(-1, 2, 2)
    return Warp(plain.height, plain.width, matrix, plain.offset).sample(x)


def _moved(x: Tensor, offset: Tensor) -> Tensor:
    """Moved by (x, y) pixels, float (N, 2)."""
    plain = Warp.identity(x)
    return Warp(plain.height, plain.width, plain.matrix, offset).sample(x)


# --- light --------------------------------------------------------------------------------------------------


def brightness(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add half of full white."""
    return x + 0.5


def stripe(x: Tensor, generator: torch.Generator) -> Tensor:
    """Invert the left and the right quarter."""
    side = x.shape[3] // 4
    middle = x[..., side : x.shape[3] - side]
    return torch.cat([1 - x[..., :side], middle, 1 - x[..., x.shape[3] - side :]], dim=3)


def fog(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add three times a fractal cloud whose heights fall by 1.4 from scale to scale, and darken the whole as much."""
    n, _, height, width = x.shape
    cloud, amplitude, cells = torch.zeros(n, 1, height, width), 1.0, 1
    while cells <= max(height, width):
        heights = torch.rand((n, 1, cells + 1, cells + 1), generator=generator)
        cloud += amplitude * F.interpolate(heights, size=(height, width), mode="bilinear", align_corners=True)
        amplitude, cells = amplitude / 1.4, 2 * cells
    lowest, highest = cloud.amin((1, 2, 3), keepdim=True), cloud.amax((1, 2, 3), keepdim=True)
    top = x.amax((1, 2, 3), keepdim=True)
    return (x + 3 * (cloud - lowest) / (highest - lowest)) * top / (top + 3)


# --- what lies on the picture, and what is left of it -------------------------------------------------------


def spatter(x: Tensor, generator: torch.Generator) -> Tensor:
    """Throw dark mud on it: where smoothed noise is high, a quarter of full white."""
    n, _, height, width = x.shape
    liquid = 0.65 + 0.3 * torch.randn((n, 1, height, width), generator=generator)
    drops = _gaussian((_gaussian(liquid, _unit(x)) > 0.65).float(), 1.5 * _unit(x))
    drops = torch.where(drops < 0.8, 0.0, drops)
    return x * (1 - drops) + 63 / 255 * drops


def dotted_line(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a straight line from the left to the right border, of which two pixels in four are seen."""
    first, last = (torch.rand((len(x), 1, 1), generator=generator) * (x.shape[2] - 1) for _ in range(2))
    along = torch.arange(x.shape[3]) / _unit(x)
    height = first + (last - first) * along * _unit(x) / max(1, x.shape[3] - 1)
    return _drawn(x, height, seen=(along % 4 >= 2))


def zigzag(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a zigzag, 2 pixels up and down and 8 long, nearly level, almost from border to border."""
    unit = _unit(x)
    first = torch.rand((len(x), 1, 1), generator=generator) * (x.shape[2] - 1)
    along = torch.arange(x.shape[3]) / unit
    rise = 5 * (2 * torch.rand((len(x), 1, 1), generator=generator) - 1) * unit / 23
    teeth = 2 * unit * (2 * (((along - 2) / 4 + 0.5) % 2 - 1).abs() - 1)
    return _drawn(x, first + rise * (along - 2) + teeth, seen=(along >= 2) & (along <= 25))


def _drawn(x: Tensor, height: Tensor, seen: Tensor) -> Tensor:
    """With a soft white line, 2 pixels wide, along ``height``, float (N, 1, W), in the columns that are ``seen``."""
    rows = torch.arange(x.shape[2])[None, :, None]
    distance = ((rows - height).abs() / _unit(x)).clamp(max=2.29)
    line = ((1 - distance / 2.3).log() + 1).clamp(0, 1) * seen
    return x + line[:, None]


def canny_edges(x: Tensor, generator: torch.Generator) -> Tensor:
    """Leave the edges alone (Canny, 1986): white lines a pixel wide; smoothed by 1 pixel, thresholds 0.1 and 0.2."""
    grey = _gaussian(x.mean(1, keepdim=True), _unit(x))
    smooth = torch.tensor([1.0, 2.0, 1.0]) / 4
    slope = torch.tensor([-0.5, 0.0, 0.5])
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    along = F.conv2d(padded, (smooth[:, None] * slope)[None, None])
    down = F.conv2d(padded, (slope[:, None] * smooth)[None, None])
    strength = torch.hypot(along, down) * 2  # of Sobel's filters, whose weights are twice as large
    thin = strength * _is_ridge(strength, along, down)
    edges, weak = (thin >= 0.2).float(), (thin >= 0.1).float()
    while (grown := F.max_pool2d(edges, 3, 1, 1) * weak).sum() > edges.sum():
        edges = grown
    return edges.expand_as(x).clone()


def _is_ridge(strength: Tensor, along: Tensor, down: Tensor) -> Tensor:
    """Whether no neighbour across the edge is stronger: bool (N, 1, H, W). The direction is one of four."""
    sector = torch.round(torch.atan2(down, along) / (math.pi / 4)).long() % 4
    padded = F.pad(strength, (1, 1, 1, 1))
    height, width = strength.shape[2:]

    def beside(right: int, below: int) -> Tensor:
        return padded[:, :, 1 + below : 1 + below + height, 1 + right : 1 + right + width]

    kept = torch.zeros_like(strength, dtype=torch.bool)
    for number, (right, below) in enumerate(((1, 0), (1, 1), (0, 1), (-1, 1))):
        kept |= (sector == number) & (strength >= beside(right, below)) & (strength > beside(-right, -below))
    return kept


# --- numbers ------------------------------------------------------------------------------------------------


def _unit(x: Tensor) -> float:
    """Pixels that are one of 28."""
    return min(x.shape[2:]) / SIDE


def _sign(x: Tensor, generator: torch.Generator) -> Tensor:
    """-1 or 1 for each image: float (N,)."""
    return torch.randint(0, 2, (len(x),), generator=generator) * 2.0 - 1.0


def _between(x: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """A number from -most to most for each image: float (N,)."""
    return (2 * torch.rand(len(x), generator=generator) - 1) * most


def _row(apply: Apply, *helps: str) -> Corruption:
    return Corruption(apply, (apply.__doc__ or "").split("\n")[0], helps)


CORRUPTIONS: dict[str, Corruption] = {
    "shot_noise": _row(shot_noise, "noise"),
    "impulse_noise": _row(impulse_noise, "noise"),
    "glass_blur": _row(glass_blur, "blur"),
    "motion_blur": _row(motion_blur, "blur"),
    "shear": _row(shear, "shear"),
    "scale": _row(scale, "scale"),
    "rotate": _row(rotate, "rotate"),
    "brightness": _row(brightness, "brightness", "convolve"),
    "translate": _row(translate, "shift"),
    "stripe": _row(stripe, "convolve"),
    "fog": _row(fog, "light", "convolve"),
    "spatter": _row(spatter, "erase"),
    "dotted_line": _row(dotted_line, "scribble", "erase"),
    "zigzag": _row(zigzag, "scribble", "erase"),
    "canny_edges": _row(canny_edges, "convolve", "stroke"),
}
"""The fifteen kinds, by name."""
