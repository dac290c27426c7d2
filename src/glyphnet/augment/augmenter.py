"""Random changes of a batch of training images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real

from torch import Tensor

from ..errors import SettingsError
from ..settings import suggestion
from .table import AUGMENTATIONS, MixRow, PixelRow, WarpRow
from .warp import Warp


class Augmenter:
    """Changes a batch of images at random, each image by itself.

    Random numbers come from torch's default generator on the images' device: the same seed, the same bits.
    Nothing waits for the device and no shape depends on the data: a call can be captured in a CUDA graph.

    Args:
        settings: the strength of each augmentation by its name in :data:`AUGMENTATIONS`; 0, or leaving it
            out, switches it off. Their order does not matter.

    Raises:
        SettingsError: names are unknown or strengths out of range; all of them are listed.
    """

    def __init__(self, settings: Mapping[str, float]) -> None:
        problems = [problem for name, value in settings.items() if (problem := _problem(name, value))]
        if problems:
            raise SettingsError("; ".join(problems))
        # In the table's order: two recipes with the same settings do the same.
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
        """Whether anything of a batch is changed, images or targets."""
        return self.changes_images or self.mixes_targets

    @property
    def mixes_targets(self) -> bool:
        """Whether :meth:`mix` can change anything."""
        return bool(self._mixes)

    def __call__(self, x: Tensor) -> Tensor:
        """New images, float (N, C, H, W) in [0, 1], channels last; ``x`` itself where nothing is on."""
        if self._warps:
            warp = Warp.identity(x)
            for row, strength in self._warps:
                warp = row.apply(warp, strength)
            x = warp.sample(x)
        for pixel_row, strength in self._pixels:
            x = pixel_row.apply(x, strength)
        return x

    def mix(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Images and their targets, float (N, K), mixed with others of the batch; call it after the rest."""
        for row, strength in self._mixes:
            x, targets = row.apply(x, targets, strength)
        return x, targets


def _problem(name: str, value: object) -> str:
    """What is wrong with one setting; empty where nothing is."""
    if name not in AUGMENTATIONS:
        return f'unknown augmentation "{name}"{suggestion(name, AUGMENTATIONS)}'
    row = AUGMENTATIONS[name]
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not 0 <= float(value) <= row.most:  # type: ignore[arg-type]  # a Real has a float
        return f"{name}={value!r:.60} must be from 0 to {row.most:g} ({row.unit})"
    if row.whole and float(value) != int(value):  # type: ignore[arg-type, call-overload]
        return f"{name}={value!r} must be a whole number ({row.unit})"
    return ""
