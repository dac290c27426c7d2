"""Cross-validation: every image is judged by networks that have learnt nothing from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..data import ImageDataset
from ..data.cache import cache_folder
from ..data.dataset import Int64Array, UInt8Array
from ..data.duplicates import number_images
from ..data.folds import group_folds, stratified_folds
from ..data.groups import joined
from ..errors import SettingsError
from ..files import make_folder, nameless_file
from ..nn.inference import logits_in_batches
from ..training import Examples, FitResult, Moment, Recipe, TrainingState, Watcher, fit
from ..training.device import using_threads
from ..training.examples import derived_seed

Float32Array = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]

WHAT = "cross-validating"
"""What the progress is called."""

_AT_ONCE = 4096  # images judged or copied in one go: a memory map is never read whole
_BY_ALL = -1  # the fold of an image that no network has learnt from


def cross_validated_probabilities(
    learnt: Sequence[ImageDataset],
    recipe: Recipe,
    *,
    unseen: Sequence[ImageDataset] = (),
    folds: int = 4,
    repeats: int = 1,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> list[Float32Array]:
    """Probabilities of each class for each image, from networks that did not learn from that image.

    The images of ``learnt`` are divided into folds, stratified by class, exact duplicates and images of one group in
    one fold; for each fold a network learns from the others and judges this one. Repeats divide anew, and the
    logarithms of the probabilities are averaged: a network that is sure counts for more. All networks together judge
    the images of ``unseen``, except for those that are also among ``learnt``: these are judged as their copies there.

    Args:
        learnt: sets of images of one shape with the same classes, taken together; they may be memory-mapped.
        recipe: how each network is trained; its seed, its data and early stopping play no part.
        unseen: sets of images that no network learns from.
        folds: how many networks share in one repeat; each learns from ``(folds - 1) / folds`` of the images.
        repeats: how often all that is done.
        seed: the same seed and data give the same bits.
        device: "auto", "cpu", "cuda", "cuda:N", "mps".
        progress: called as ``progress(done, total, what)``, in images learnt.

    Returns:
        For each set of ``learnt``, then of ``unseen``, float32 (N, K). A row of ``learnt`` is NaN where the
        image is the only one of its class: a network that did not see it knows nothing of the class.

    Raises:
        SettingsError: more folds than different images, or the recipe does not go with these images.
        DivergedError: a training diverged.
    """
    from scipy.special import softmax

    if repeats < 1:
        raise SettingsError(f"repeats (={repeats}) must be 1 or more.")
    parts = [*learnt, *unseen]
    classes = len(parts[0].classes)
    pool = _Pool(parts, sum(map(len, learnt)))
    plain = recipe.model_copy(update={"data": None, "early_stopping": None})
    total = np.zeros((pool.count, classes), dtype=np.float32)
    answers = np.zeros(pool.count, dtype=np.int64)
    for number in range(repeats * folds):
        repeat, fold = divmod(number, folds)
        if fold == 0:
            held = pool.folds(folds, np.random.default_rng((seed, repeat)))
        rows = np.flatnonzero((held == fold) | (held == _BY_ALL))
        own = plain.model_copy(update={"seed": derived_seed(seed, "fold", number)})
        train = pool.examples(np.flatnonzero(held[: pool.learnt] != fold))
        watchers = [_Report(progress, number, repeats * folds, len(train))] if progress else []
        result = fit(own, train, classes=classes, device=device, watchers=watchers)
        total[rows] += _log_probabilities(result, pool, rows)
        answers[rows] += 1
    total = softmax(total / answers[:, np.newaxis].astype(np.float32), axis=1)
    total[: pool.learnt][pool.alone()] = np.nan
    return np.split(total, pool.starts[1:-1])


class _Pool:
    """Several sets of images, counted through: first those to learn from, then the others.

    Attributes:
        learnt: images to learn from.
        starts: where each set begins, and where the last ends.
        groups: int64 (count,): equal for exact duplicates, and for images that belong together.
    """

    def __init__(self, parts: Sequence[ImageDataset], learnt: int) -> None:
        self._parts, self.learnt = parts, learnt
        self.starts = np.cumsum([0, *map(len, parts)])
        self.count = int(self.starts[-1])
        self.groups = number_images([part.images for part in parts])
        self._has_groups = any(part.groups is not None for part in parts)
        if self._has_groups:
            self.groups = joined(self.groups, _together(parts))
        self.labels = np.concatenate([part.labels for part in parts])

    def folds(self, folds: int, rng: np.random.Generator) -> Int64Array:
        """The fold of each image, int64 (count,); -1 for images that are not learnt."""
        mine = self.groups[: self.learnt]
        divide = group_folds if self._has_groups else stratified_folds
        held = divide(self.labels[: self.learnt], mine, folds, rng)
        by_group = np.full(int(self.groups.max()) + 1, _BY_ALL, dtype=np.int64)
        by_group[mine] = held
        return by_group[self.groups]

    def alone(self) -> Int64Array:
        """The images to learn from whose class has no other image there (copies are none)."""
        labels, groups = self.labels[: self.learnt], self.groups[: self.learnt]
        pairs = np.unique(np.stack([labels, groups]), axis=1)
        return np.flatnonzero(np.bincount(pairs[0])[labels] == 1)

    def gather(self, rows: Int64Array) -> UInt8Array:
        """The images at ``rows``, copied into memory: uint8 (n, H, W, C)."""
        pixels = np.empty((len(rows), *self._parts[0].image_shape), dtype=np.uint8)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        for number, part in enumerate(self._parts):
            mine = which == number
            pixels[mine] = part.images[rows[mine] - self.starts[number]]
        return pixels

    def examples(self, rows: Int64Array) -> Examples:
        """The images at ``rows`` with their labels; of memory-mapped images a memory map again."""
        if not any(isinstance(part.images, np.memmap) for part in self._parts):
            return Examples.of(self.gather(rows), self.labels[rows])
        # Written, never filled through the map: a full disk is then an error that can be told.
        folder = cache_folder()
        make_folder(folder)
        with nameless_file(folder) as file:  # gone when the map is
            for start in range(0, len(rows), _AT_ONCE):
                file.write(self.gather(rows[start : start + _AT_ONCE]).data)
            file.flush()
            shape = (len(rows), *self._parts[0].image_shape)
            return Examples.of(np.memmap(file, dtype=np.uint8, mode="r", shape=shape), self.labels[rows])


def _together(parts: Sequence[ImageDataset]) -> Int64Array:
    """The groups of all sets, counted through; images of sets without groups are groups of their own."""
    above = 1 + max(int(part.groups.max(initial=-1)) for part in parts if part.groups is not None)
    numbered = []
    for part in parts:
        if part.groups is not None:
            numbered.append(part.groups)
        else:
            numbered.append(above + np.arange(len(part)))
            above += len(part)
    return np.concatenate(numbered)


@dataclass
class _Report(Watcher):
    """Hands a training's steps on as progress of the whole."""

    progress: Progress
    number: int
    trainings: int
    images: int

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        whole = self.images * moment.epochs
        self.progress(int((self.number + moment.share) * whole), self.trainings * whole, WHAT)
        return False


def _log_probabilities(result: FitResult, pool: _Pool, rows: Int64Array) -> Float32Array:
    """The logarithm of the softmax of the network's answers: float32 (n, K)."""
    network = result.network.to(result.device)
    found: list[Float32Array] = []
    with using_threads(result.threads):
        for start in range(0, len(rows), _AT_ONCE):
            images = pool.gather(rows[start : start + _AT_ONCE])
            batches = logits_in_batches(network, result.preprocessing, images)
            found.extend(torch.log_softmax(logits, dim=1).cpu().numpy() for logits in batches)
    return np.concatenate(found)
