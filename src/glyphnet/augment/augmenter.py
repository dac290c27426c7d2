"""Augmentations: geometric ones, which together move each pixel once, those of pixel values, and the table of all.

Interpolating blurs, so the changes of place are composed first, as one map from the pixels of the new image
to places in the old one, and the image is sampled once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Dirichlet

from ..errors import SettingsError
from ..plugins import Table
from ..settings import suggestion

_BUMP = 1 / 7
"""Width (standard deviation) of an elastic bump as a share of the side: 4 pixels of 28, as in the paper."""


@dataclass(frozen=True, eq=False)
class Warp:
    """Where each pixel of the new images comes from: ``matrix @ (x, y) + offset + field``, per image.

    Places are (x, y) in pixels from the image's centre, x to the right and y down.

    Attributes:
        height, width: of the images, in pixels.
        matrix: float (N, 2, 2).
        offset: float (N, 2).
        field: float (N, 2, H, W), or None for no field. Its units are those of ``grid_sample``, where the
            whole image is 2 wide and 2 high.
    """

    height: int
    width: int
    matrix: Tensor
    offset: Tensor
    field: Tensor | None = None

    @classmethod
    def identity(cls, x: Tensor) -> Warp:
        """The warp that changes nothing, for images float (N, C, H, W)."""
        n, _, height, width = x.shape
        matrix = torch.eye(2, device=x.device, dtype=x.dtype).expand(n, 2, 2)
        return cls(height, width, matrix, torch.zeros(n, 2, device=x.device, dtype=x.dtype))

    def grid(self) -> Tensor:
        """The places in units of ``grid_sample``: float (N, H, W, 2)."""
        matrix, offset = self.matrix, self.offset
        units = (2 / self.width, 2 / self.height)
        matrix = torch.stack([matrix[:, axis] * unit for axis, unit in enumerate(units)], dim=1)
        offset = torch.stack([offset[:, axis] * unit for axis, unit in enumerate(units)], dim=1)
        # The sum of a row and a column for each image: the large tensor is written once, in planes of x and
        # of y, which grid_sample reads as fast as pairs.
        along = matrix[:, :, 0, None] * _centred(self.width, matrix) + offset[:, :, None]
        down = matrix[:, :, 1, None] * _centred(self.height, matrix)
        planes = along[:, :, None, :] + down[:, :, :, None]
        if self.field is not None:
            planes = planes.add_(self.field)
        return planes.permute(0, 2, 3, 1)

    def where(self, chosen: Tensor, other: Warp) -> Warp:
        """This warp for the chosen images, bool (N,), and another for the rest; a field that one lacks is 0."""
        field = self.field
        if field is not None or other.field is not None:
            none = torch.zeros((), device=chosen.device, dtype=self.matrix.dtype)
            own, others = (none if each is None else each for each in (field, other.field))
            field = torch.where(chosen[:, None, None, None], own, others)
        return Warp(
            self.height,
            self.width,
            torch.where(chosen[:, None, None], self.matrix, other.matrix),
            torch.where(chosen[:, None], self.offset, other.offset),
            field,
        )

    def sample(self, x: Tensor) -> Tensor:
        """The new images, bilinear, float (N, C, H, W), channels last; border pixels are repeated."""
        n, channels, height, width = x.shape
        sampled = F.grid_sample(x, self.grid(), mode="bilinear", padding_mode="border", align_corners=False)
        pixels = sampled.permute(0, 2, 3, 1).reshape(n, -1)  # copies colour images only
        return pixels.view(n, height, width, channels).permute(0, 3, 1, 2)


def shift(warp: Warp, most: float) -> Warp:
    """Move by a whole number of pixels, from -most to most in each direction."""
    steps = torch.randint(-int(most), int(most) + 1, warp.offset.shape, device=warp.offset.device)
    return replace(warp, offset=warp.offset + steps)


def rotate(warp: Warp, most: float) -> Warp:
    """Turn about the centre by up to ``most`` degrees either way."""
    angle = _uniform(warp, math.radians(most))
    return _turned(warp, angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def scale(warp: Warp, most: float) -> Warp:
    """Enlarge by a factor from 1 - most to 1 + most."""
    factor = 1 + _uniform(warp, most)
    zero = torch.zeros_like(factor)
    return _turned(warp, 1 / factor, zero, zero, 1 / factor)


def shear(warp: Warp, most: float) -> Warp:
    """Slant upright lines by up to ``most`` degrees either way."""
    angle = _uniform(warp, math.radians(most))
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    return _turned(warp, one, angle.tan(), zero, one)


def elastic(warp: Warp, strength: float) -> Warp:
    """Push pixels about by a smooth random field; ``strength`` is the push's standard deviation, in pixels.

    The field of Simard et al. (2003, "Best Practices for Convolutional Neural Networks") is white noise
    smoothed by a Gaussian. A sum of Gaussian bumps, a bump's width apart and each of random height, is nearly
    the same and needs a random number a bump, not a pixel. Their alpha 34 and sigma 4 are about 1.4 pixels.
    """
    down, along = _bumps(warp.height, warp.matrix), _bumps(warp.width, warp.matrix)
    heights = torch.randn(len(warp.matrix), 2, down.shape[1], along.shape[1], device=down.device, dtype=down.dtype)
    heights[:, 0] *= 2 * strength / warp.width
    heights[:, 1] *= 2 * strength / warp.height
    return replace(warp, field=down @ heights @ along.T)


def _uniform(warp: Warp, most: float) -> Tensor:
    """A random number an image, from -most to most: float (N,)."""
    return torch.rand(len(warp.matrix), device=warp.matrix.device, dtype=warp.matrix.dtype) * (2 * most) - most


def _turned(warp: Warp, xx: Tensor, xy: Tensor, yx: Tensor, yy: Tensor) -> Warp:
    """The warp after one more linear map, given by its four entries, each float (N,)."""
    matrix = torch.stack((xx, xy, yx, yy), dim=1).view(-1, 2, 2)
    return replace(warp, matrix=warp.matrix @ matrix)


def _centred(size: int, like: Tensor) -> Tensor:
    """Pixel places along one side, from its middle: float (size,)."""
    return torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1) / 2


def _bumps(size: int, like: Tensor) -> Tensor:
    """What each bump along a side adds to each pixel: float (size, bumps); every row has Euclidean norm 1."""
    width = size * _BUMP
    pixels = torch.arange(size, device=like.device, dtype=like.dtype)
    centres = torch.linspace(0, size - 1, round(1 / _BUMP) + 1, device=like.device, dtype=like.dtype)
    weights = torch.exp(-0.5 * ((pixels[:, None] - centres) / width).square())
    return weights / weights.square().sum(dim=1, keepdim=True).sqrt()


# Changes of pixel values, whole-pixel moves, and mixup: each takes float (N, C, H, W) in [0, 1] and a strength, and
# keeps shape, range and memory format.

_LONGEST = 3.0
"""An erased rectangle is at most this many times as long as wide (before it is cut to the image)."""


def shift_batch(x: Tensor, most: float) -> Tensor:
    """Move all images of the batch by the same whole pixels, repeating border pixels. The cheapest shift."""
    n, channels, height, width = x.shape
    steps = torch.randint(-int(most), int(most) + 1, (2,), device=x.device)
    rows = (torch.arange(height, device=x.device) + steps[0]).clamp_(0, height - 1)
    columns = (torch.arange(width, device=x.device) + steps[1]).clamp_(0, width - 1)
    # One look-up for both directions, with an index on the device: slicing would need the steps on the host.
    index = (rows[:, None] * width + columns).flatten()
    pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, channels)
    return pixels.index_select(1, index).view(n, height, width, channels).permute(0, 3, 1, 2)


def flip(x: Tensor, probability: float) -> Tensor:
    """Mirror left and right, each image with this probability."""
    return torch.where(_chance(x, probability), x.flip(3), x)


def flip_vertical(x: Tensor, probability: float) -> Tensor:
    """Mirror top and bottom, each image with this probability."""
    return torch.where(_chance(x, probability), x.flip(2), x)


def contrast(x: Tensor, most: float) -> Tensor:
    """Stretch each image's distances from its mean by a factor from 1 - most to 1 + most, cut to [0, 1]."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, x, 1 + _each_uniform(x, most)).clamp_(0, 1)


def brightness(x: Tensor, most: float) -> Tensor:
    """Add one number from -most to most to all pixels of an image, cut to [0, 1]."""
    return (x + _each_uniform(x, most)).clamp_(0, 1)


def colour(x: Tensor, most: float) -> Tensor:
    """Multiply each channel of an image by a factor from 1 - most to 1 + most, cut to [0, 1]; grey stays as it is."""
    if x.shape[1] == 1:
        return x
    factor = torch.rand(len(x), x.shape[1], 1, 1, device=x.device, dtype=x.dtype) * (2 * most) - most
    return (x * (1 + factor)).clamp_(0, 1)


def blur(x: Tensor, most: float) -> Tensor:
    """Blend each image with itself smoothed by 1 2 1 in both directions: up to ``most``, 1 for the smoothed one."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    rows = 0.25 * padded[:, :, :-2] + 0.5 * padded[:, :, 1:-1] + 0.25 * padded[:, :, 2:]
    smooth = 0.25 * rows[..., :-2] + 0.5 * rows[..., 1:-1] + 0.25 * rows[..., 2:]
    return torch.lerp(x, smooth, torch.rand(_each(x), device=x.device, dtype=x.dtype) * most)


def noise(x: Tensor, most: float) -> Tensor:
    """Add normal noise of a standard deviation up to ``most``, of each image its own, cut to [0, 1]."""
    spread = torch.rand(_each(x), device=x.device, dtype=x.dtype) * most
    return torch.randn_like(x).mul_(spread).add_(x).clamp_(0, 1)


def stroke(x: Tensor, most: float) -> Tensor:
    """Make light strokes wider or narrower: blend each image with the maximum or the minimum over 3×3 pixels.

    Of dark strokes on light the other way round. Up to ``most``, 1 for the maximum or minimum itself.
    """
    amount = _each_uniform(x, most)
    sign = amount.sign()  # the minimum is the negative's maximum
    padded = F.pad(sign * x, (1, 1, 1, 1), mode="replicate")
    # Row by row, then column by column: a tenth of the time of PyTorch's pooling.
    rows = torch.maximum(torch.maximum(padded[:, :, :-2], padded[:, :, 1:-1]), padded[:, :, 2:])
    extreme = torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])
    return x.lerp(sign * extreme, amount.abs())


def convolve(x: Tensor, most: float) -> Tensor:
    """Blend each image with itself under a random 3×3 filter, stretched to the same range: up to ``most``.

    Xu et al., 2021, "Robust and Generalizable Visual Representation Learning via Random Convolutions",
    https://arxiv.org/abs/2007.13003, with a filter for each image. It changes light, polarity, edges and texture, and
    keeps shapes.
    """
    n, channels, height, width = x.shape
    filters = torch.randn((n, 9 * channels, channels), device=x.device, dtype=x.dtype)
    patches = F.unfold(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3).transpose(1, 2)
    made = torch.bmm(patches, filters).view(n, height, width, channels).permute(0, 3, 1, 2)
    amount = torch.rand(_each(x), device=x.device, dtype=x.dtype) * most
    return x.clone().lerp_(_stretched(made, x), amount)


def light(x: Tensor, most: float) -> Tensor:
    """Blend each image with a cloud, a smooth random field from its darkest to its lightest: up to ``most``.

    So light falls unevenly: shadows, haze, fog. A cloud is a sum of random heights on coarse and fine lattices.
    """
    n, _, height, width = x.shape
    cloud = torch.zeros((n, 1, height, width), device=x.device, dtype=x.dtype)
    for cells in (2, 4, 8):
        heights = torch.randn((n, 1, cells, cells), device=x.device, dtype=x.dtype)
        cloud += F.interpolate(heights, size=(height, width), mode="bilinear", align_corners=True) / math.sqrt(cells)
    amount = torch.rand(_each(x), device=x.device, dtype=x.dtype) * most
    return x.clone().lerp_(_stretched(cloud, x).expand_as(x), amount)


def _stretched(made: Tensor, x: Tensor) -> Tensor:
    """Numbers in place of the pixels of ``x``, stretched so that each image has the range that it has there."""
    lowest, highest = made.amin((1, 2, 3), keepdim=True), made.amax((1, 2, 3), keepdim=True)
    darkest, lightest = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return darkest + (made - lowest) / (highest - lowest).clamp(min=1e-6) * (lightest - darkest)


def scribble(x: Tensor, probability: float) -> Tensor:
    """Draw a wavy line, 2 to 4 pixels wide, across each image with this probability.

    It is as light as the lightest pixel of an image that is mostly dark, and as dark as the darkest of another: ink.
    """
    n, _, height, width = x.shape
    drawn = torch.rand((n, 7, 1, 1), device=x.device, dtype=x.dtype)
    start, slope, swing, waves, phase, thick, upright = (drawn[:, number] for number in range(7))
    along = torch.linspace(-0.5, 0.5, width, device=x.device, dtype=x.dtype)
    wave = 0.15 * swing * torch.sin(2 * math.pi * (phase + (1 + 5 * waves) * along))
    middle = height * (start + (slope - 0.5) * along + wave)  # of the line, in pixels from the top: (N, 1, W)
    rows = torch.arange(height, device=x.device, dtype=x.dtype)[:, None]
    line = (1.5 + thick - (rows - middle).abs()).clamp_(0, 1)
    if height == width:
        line = torch.where(upright < 0.5, line, line.transpose(1, 2))
    darkest, lightest = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    is_light = x.mean((1, 2, 3), keepdim=True) > (darkest + lightest) / 2
    ink = torch.where(is_light, darkest, lightest).expand_as(x)
    return x.clone().lerp_(ink, line[:, None] * _chance(x, probability))


_TRIVIAL_WARPS: tuple[tuple[Callable[[Warp, float], Warp], float], ...] = ((rotate, 30), (shear, 18), (scale, 0.25))
_TRIVIAL_PIXELS: tuple[tuple[Callable[[Tensor, float], Tensor], float], ...] = (
    (contrast, 0.9), (brightness, 0.5), (colour, 0.7), (blur, 1.0), (stroke, 0.7),
)  # fmt: skip


def trivial(x: Tensor, most: float) -> Tensor:
    """One change for each image, drawn at random with its strength, ``most`` the share of the greatest.

    Müller and Hutter, 2021, "TrivialAugment", https://arxiv.org/abs/2103.10158, without mirrors and negatives, which
    change the class of many pictures: no change, turn, slant, size, place, contrast, brightness, colour, blur, stroke.
    """
    drawn = torch.randint(len(_TRIVIAL_WARPS) + len(_TRIVIAL_PIXELS) + 2, (len(x),), device=x.device)
    plain, number = Warp.identity(x), 0
    matrix, offset = plain.matrix, plain.offset
    for warp, greatest in _TRIVIAL_WARPS:
        number += 1
        matrix = torch.where((drawn == number)[:, None, None], warp(plain, most * greatest).matrix, matrix)
    number += 1
    reach = most * max(x.shape[2:]) / 8
    moved = (torch.rand_like(offset) * 2 - 1) * reach
    offset = torch.where((drawn == number)[:, None], moved, offset)
    made = replace(plain, matrix=matrix, offset=offset).sample(x)
    made = torch.lerp(x, made, _each_of(drawn.gt(0) & drawn.le(number), x))  # the others are not sampled: no blur
    for change, greatest in _TRIVIAL_PIXELS:
        number += 1
        made = torch.lerp(made, change(made, most * greatest), _each_of(drawn == number, x))
    return made


def _each_of(chosen: Tensor, x: Tensor) -> Tensor:
    """1 for the chosen images, 0 for the others: float (N, 1, 1, 1). Used by lerp, which keeps the memory format."""
    return chosen.to(x.dtype).view(_each(x))


def erase(x: Tensor, most: float) -> Tensor:
    """Paint a random rectangle of up to this share of the image with the image's mean colour.

    Zhong et al., 2017, "Random Erasing Data Augmentation", https://arxiv.org/abs/1708.04896.
    """
    height, width = x.shape[2:]
    share = torch.rand(_each(x), device=x.device) * most
    ratio = torch.exp(_each_uniform(x, math.log(_LONGEST)))
    rows = _stretch((share * ratio).sqrt(), height)
    columns = _stretch((share / ratio).sqrt(), width)
    painted = rows.view(-1, 1, height, 1) & columns.view(-1, 1, 1, width)
    # By lerp with weights 0 and 1, which are exact: where() would lose the memory format.
    return x.lerp(x.mean(dim=(2, 3), keepdim=True), painted.to(x.dtype))


def _stretch(share: Tensor, size: int) -> Tensor:
    """A stretch of this share of a side, rounded down, at a random place within it: bool (N, size)."""
    length = (share.flatten() * size).floor().clamp_(max=size)
    start = (torch.rand_like(length) * (size - length + 1)).floor()
    places = torch.arange(size, device=share.device)
    return (places >= start[:, None]) & (places < (start + length)[:, None])


def _each(x: Tensor) -> tuple[int, int, int, int]:
    """The shape of one number an image."""
    return (len(x), 1, 1, 1)


def _each_uniform(x: Tensor, most: float) -> Tensor:
    """A random number an image, from -most to most: float (N, 1, 1, 1)."""
    return torch.rand(_each(x), device=x.device, dtype=x.dtype) * (2 * most) - most


def _chance(x: Tensor, probability: float) -> Tensor:
    """True with this probability for each image: bool (N, 1, 1, 1)."""
    return torch.rand(_each(x), device=x.device) < probability


def mixup(x: Tensor, targets: Tensor, concentration: float) -> tuple[Tensor, Tensor]:
    """Blend each image with its neighbour in the batch, and their targets, float (N, K), alike.

    Zhang et al., 2017, "mixup: Beyond Empirical Risk Minimization", https://arxiv.org/abs/1710.09412, with a weight for
    each pair. A batch comes in random order, so the neighbour is a partner as random as any. The concentration is both
    parameters of the weight's Beta distribution (the paper's alpha); small ones give weights near 0 and 1.
    """
    both = torch.full((len(x), 2), concentration, device=x.device)
    weight = Dirichlet(both, validate_args=False).sample()[:, :1].to(x.dtype)  # of two parts: Beta; no host sync
    images = torch.lerp(x.roll(1, 0), x, weight[:, :, None, None])
    return images, torch.lerp(targets.roll(1, 0), targets, weight)


def cutmix(x: Tensor, targets: Tensor, concentration: float) -> tuple[Tensor, Tensor]:
    """Replace a rectangle of each image by that of its neighbour in the batch, and its share of the targets, (N, K).

    Yun et al., 2019, "CutMix", https://arxiv.org/abs/1905.04899, with a rectangle for each image. The concentration is
    that of `mixup`; it draws the share of the area that is replaced.
    """
    height, width = x.shape[2:]
    both = torch.full((len(x), 2), concentration, device=x.device)
    side = Dirichlet(both, validate_args=False).sample()[:, :1].to(x.dtype).sqrt()
    rows, columns = _stretch(side, height), _stretch(side, width)
    replaced = (rows.view(-1, 1, height, 1) & columns.view(-1, 1, 1, width)).to(x.dtype)
    share = replaced.mean(dim=(1, 2, 3))[:, None]
    return x.clone().lerp_(x.roll(1, 0), replaced), targets.lerp(targets.roll(1, 0), share)


# The table of augmentations, one row each, and the object that applies them to a batch


@dataclass(frozen=True)
class Augmentation:
    """A row of the table: the strength's unit and its largest value (0 switches it off), a line for help, and whether
    the strength must be a whole number."""

    unit: str
    most: float
    doc: str
    whole: bool = False


@dataclass(frozen=True)
class WarpRow(Augmentation):
    """A geometric change. All of them are composed first, then each image is sampled once."""

    apply: Callable[[Warp, float], Warp] = field(kw_only=True)


@dataclass(frozen=True)
class PixelRow(Augmentation):
    """A change of pixels, of each image separately: float (N, C, H, W)."""

    apply: Callable[[Tensor, float], Tensor] = field(kw_only=True)


@dataclass(frozen=True)
class MixRow(Augmentation):
    """A change of images and of their targets, float (N, K)."""

    apply: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]] = field(kw_only=True)


def _fault(name: str, row: object) -> str:
    fits = isinstance(row, WarpRow | PixelRow | MixRow)
    return "" if fits else f"{row!r:.80} is no WarpRow, PixelRow or MixRow of glyphnet.augment"


# In the order of application: geometry, then light, then erasing and mixing.
# fmt: off
AUGMENTATIONS: Table[WarpRow | PixelRow | MixRow] = Table("augmentations", {
    "rotate": WarpRow("degrees", 180, "turn about the centre, either way", apply=rotate),
    "scale": WarpRow("of the size", 0.9, "enlarge or shrink; 0.1 is from 0.9 to 1.1", apply=scale),
    "shear": WarpRow("degrees", 60, "slant upright lines, either way", apply=shear),
    "shift": WarpRow("pixels", 64, "move each image by whole pixels", whole=True, apply=shift),
    "elastic": WarpRow("pixels", 10, "push pixels about by a smooth random field", apply=elastic),
    "shift_batch": PixelRow("pixels", 64, "move the whole batch alike", whole=True, apply=shift_batch),
    "flip": PixelRow("probability", 1, "mirror left and right; harms digits", apply=flip),
    "flip_vertical": PixelRow("probability", 1, "mirror top and bottom", apply=flip_vertical),
    "contrast": PixelRow("of the contrast", 1, "stretch light and dark", apply=contrast),
    "brightness": PixelRow("of full white", 1, "make lighter or darker", apply=brightness),
    "colour": PixelRow("of each channel", 1, "tint colour pictures", apply=colour),
    "blur": PixelRow("of a 3×3 blur", 1, "soften", apply=blur),
    "noise": PixelRow("of full white", 0.5, "add noise of up to this standard deviation", apply=noise),
    "stroke": PixelRow("of a pixel", 1, "make strokes wider or narrower", apply=stroke),
    "convolve": PixelRow("of the image", 1, "put a random 3×3 filter over the image", apply=convolve),
    "light": PixelRow("of the image", 1, "let light fall unevenly: a cloud over the image", apply=light),
    "scribble": PixelRow("probability", 1, "draw a random wavy line", apply=scribble),
    "trivial": PixelRow("of the greatest strength", 1, "one random change an image (TrivialAugment)", apply=trivial),
    "erase": PixelRow("of the area", 0.9, "paint out a rectangle of up to this share", apply=erase),
    "mixup": MixRow("Beta parameter", 10, "blend images and their targets in pairs", apply=mixup),
    "cutmix": MixRow("Beta parameter", 10, "replace a rectangle by another image's, targets alike", apply=cutmix),
}, _fault)
# fmt: on


class Augmenter:
    """Change a batch of training images at random, each image separately.

    Random numbers come from torch's default generator on the images' device: the same seed, the same bits. A call never
    synchronises with the device and no shape depends on the data: CUDA graphs can capture it.

    Args:
        settings: the strength of each augmentation by its name in :data:`AUGMENTATIONS`, in any order.
        share: of the images that each change of place or pixels is made to, drawn for each change by itself.

    Raises:
        SettingsError: unknown names or strengths out of range; the message lists all of them.
    """

    def __init__(self, settings: Mapping[str, float], share: float = 1.0) -> None:
        problems = [problem for name, value in settings.items() if (problem := _problem(name, value))]
        if problems:
            raise SettingsError("; ".join(problems))
        # In the table's order, so that equal settings give equal results.
        self.settings = {name: float(settings[name]) for name in AUGMENTATIONS if settings.get(name)}
        rows = [(AUGMENTATIONS[name], strength) for name, strength in self.settings.items()]
        self._warps = [(row, strength) for row, strength in rows if isinstance(row, WarpRow)]
        self._pixels = [(row, strength) for row, strength in rows if isinstance(row, PixelRow)]
        self._mixes = [(row, strength) for row, strength in rows if isinstance(row, MixRow)]
        self.share = share

    @property
    def changes_images(self) -> bool:
        """Whether a call can change anything."""
        return bool(self._warps or self._pixels)

    @property
    def mixes_targets(self) -> bool:
        """Whether :meth:`mix` can change anything."""
        return bool(self._mixes)

    def __call__(self, x: Tensor) -> Tensor:
        """Return new images, float (N, C, H, W) in [0, 1], channels last; ``x`` itself if no augmentation is on."""
        if self._warps:
            composed = Warp.identity(x)
            for row, strength in self._warps:
                warped = row.apply(composed, strength)
                composed = warped if self.share == 1 else warped.where(_chance(x, self.share).flatten(), composed)
            x = composed.sample(x)
        for pixel_row, strength in self._pixels:
            changed = pixel_row.apply(x, strength)
            # By lerp with weights 0 and 1, which are exact: where() would lose the memory format.
            x = changed if self.share == 1 else x.lerp(changed, _chance(x, self.share).to(x.dtype))
        return x

    def of_pixels(self, images: Tensor) -> Tensor:
        """The same for stored images, uint8 (N, H, W, C): new ones of the same kind."""
        changed = self(images.permute(0, 3, 1, 2).float() / 255)
        return changed.mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)

    def mix(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mix images and their targets, float (N, K), with others of the batch. Call it last."""
        for row, strength in self._mixes:
            x, targets = row.apply(x, targets, strength)
        return x, targets


def _problem(name: str, value: object) -> str:
    """What is wrong with one setting; empty if it is valid."""
    if name not in AUGMENTATIONS:
        return f'unknown augmentation "{name}"{suggestion(name, AUGMENTATIONS)}'
    row = AUGMENTATIONS[name]
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not 0 <= float(value) <= row.most:  # type: ignore[arg-type]  # a Real has a float
        return f"{name}={value!r:.60} must be from 0 to {row.most:g} ({row.unit})"
    if row.whole and float(value) != int(value):  # type: ignore[arg-type, call-overload]
        return f"{name}={value!r} must be a whole number ({row.unit})"
    return ""
