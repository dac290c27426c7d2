"""The table of augmentations, one row each, and the object that applies them to a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real

from torch import Tensor

from ..errors import SettingsError
from ..plugins import Table
from ..settings import suggestion
from . import pixels, warp


@dataclass(frozen=True)
class Augmentation:
    """What every row of the table holds.

    Attributes:
        unit: of the strength, for messages and help.
        most: the largest strength allowed; the smallest is 0, which switches it off.
        doc: one line for help.
        whole: whether the strength must be a whole number.
    """

    unit: str
    most: float
    doc: str
    whole: bool = False


@dataclass(frozen=True)
class WarpRow(Augmentation):
    """A geometric change. All of them are composed first, then each image is sampled once."""

    apply: Callable[[warp.Warp, float], warp.Warp] = field(kw_only=True)


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
    "rotate": WarpRow("degrees", 180, "turn about the centre, either way", apply=warp.rotate),
    "scale": WarpRow("of the size", 0.9, "enlarge or shrink; 0.1 is from 0.9 to 1.1", apply=warp.scale),
    "shear": WarpRow("degrees", 60, "slant upright lines, either way", apply=warp.shear),
    "shift": WarpRow("pixels", 64, "move each image by whole pixels", whole=True, apply=warp.shift),
    "elastic": WarpRow("pixels", 10, "push pixels about by a smooth random field", apply=warp.elastic),
    "shift_batch": PixelRow("pixels", 64, "move the whole batch alike", whole=True, apply=pixels.shift_batch),
    "flip": PixelRow("probability", 1, "mirror left and right; harms digits", apply=pixels.flip),
    "flip_vertical": PixelRow("probability", 1, "mirror top and bottom", apply=pixels.flip_vertical),
    "contrast": PixelRow("of the contrast", 1, "stretch light and dark", apply=pixels.contrast),
    "brightness": PixelRow("of full white", 1, "make lighter or darker", apply=pixels.brightness),
    "erase": PixelRow("of the area", 0.9, "paint out a rectangle of up to this share", apply=pixels.erase),
    "mixup": MixRow("Beta parameter", 10, "blend images and their targets in pairs", apply=pixels.mixup),
}, _fault)
# fmt: on


class Augmenter:
    """Change a batch of training images at random, each image separately.

    Random numbers come from torch's default generator on the images' device: the same seed, the same bits.
    A call never synchronises with the device and no shape depends on the data: CUDA graphs can capture it.

    Args:
        settings: the strength of each augmentation by its name in :data:`AUGMENTATIONS`; 0, or leaving it
            out, switches it off. The order of the settings has no effect.

    Raises:
        SettingsError: unknown names or strengths out of range; the message lists all of them.
    """

    def __init__(self, settings: Mapping[str, float]) -> None:
        problems = [problem for name, value in settings.items() if (problem := _problem(name, value))]
        if problems:
            raise SettingsError("; ".join(problems))
        # In the table's order, so that equal settings give equal results.
        strengths = {name: float(settings[name]) for name in AUGMENTATIONS if settings.get(name)}
        rows = [(AUGMENTATIONS[name], strength) for name, strength in strengths.items()]
        self.settings = strengths
        self._warps = [(row, strength) for row, strength in rows if isinstance(row, WarpRow)]
        self._pixels = [(row, strength) for row, strength in rows if isinstance(row, PixelRow)]
        self._mixes = [(row, strength) for row, strength in rows if isinstance(row, MixRow)]

    @property
    def changes_images(self) -> bool:
        """Whether a call can change anything."""
        return bool(self._warps or self._pixels)

    @property
    def changes_batches(self) -> bool:
        """Whether images or targets of a batch can change."""
        return self.changes_images or self.mixes_targets

    @property
    def mixes_targets(self) -> bool:
        """Whether :meth:`mix` can change anything."""
        return bool(self._mixes)

    def __call__(self, x: Tensor) -> Tensor:
        """Return new images, float (N, C, H, W) in [0, 1], channels last; ``x`` itself if no augmentation is on."""
        if self._warps:
            composed = warp.Warp.identity(x)
            for row, strength in self._warps:
                composed = row.apply(composed, strength)
            x = composed.sample(x)
        for pixel_row, strength in self._pixels:
            x = pixel_row.apply(x, strength)
        return x

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
