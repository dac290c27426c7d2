"""The table of augmentations: one row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from . import mixing, pixels, warp


@dataclass(frozen=True)
class Augmentation:
    """What every row says.

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
    """A change of place, composed with the others before the images are sampled once."""

    apply: Callable[[warp.Warp, float], warp.Warp] = field(kw_only=True)


@dataclass(frozen=True)
class PixelRow(Augmentation):
    """A change of images float (N, C, H, W), each by itself."""

    apply: Callable[[Tensor, float], Tensor] = field(kw_only=True)


@dataclass(frozen=True)
class MixRow(Augmentation):
    """A change of images and of their targets, float (N, K)."""

    apply: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]] = field(kw_only=True)


# In the order in which they are applied: places, then light, then what hides or mixes.
# fmt: off
AUGMENTATIONS: dict[str, WarpRow | PixelRow | MixRow] = {
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
    "mixup": MixRow("Beta parameter", 10, "blend images and their targets in pairs", apply=mixing.mixup),
}
# fmt: on
