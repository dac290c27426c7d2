"""The unlabelled pictures of a training: which they are, how they are read, and which of them are left out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ..augment import Augmenter
from ..data import ImageDataset, Splits
from ..data.cache import cache_key, keep_arrays, kept_arrays
from ..data.decode import ImageShape
from ..data.duplicates import duplicate_groups
from ..data.filetree import files_in
from ..data.folder import is_unlabelled
from ..data.ink import InkSpec
from ..data.load import known_name, load
from ..data.settings import DataSettings
from ..data.values import Reading
from ..errors import BadFileError, DataError
from ..filekinds import looks_like_picture
from ..nn import logits_in_batches, without_head
from ..nn.scoring import texture
from ..predictfiles.pictures import pictures_in
from ..predictfiles.predicting import Decoding, decode_ahead
from ..progress import Progress
from ..seeding import derived_seed
from ..training import Examples, Recipe
from ..training.callbacks import Reported
from ..training.consistency import labelled_alone
from ..training.device import using_threads
from ..training.fit import fit
from ..training.recipe import Unlabelled
from ..units import plural

Pool: TypeAlias = str | os.PathLike[str] | npt.NDArray[np.uint8] | ImageDataset
"""Unlabelled pictures: the path of some, or images uint8 (N, H, W, C)."""


SOURCES = ("unlabelled", "unlabelled.source")
"""Changes of a recipe that name the pictures."""


@dataclass(frozen=True)
class _AsTrained:
    """Reads pictures as those of a data set were read: on its scale, resized, not normalised."""

    input_shape: ImageShape
    reading: Reading
    ink: InkSpec | None = None
    normalize: bool | None = False


def source_of_pool(
    pool: str | os.PathLike[str] | None, data: DataSettings | None, recipe: Recipe | None, changes: Mapping[str, Any]
) -> str | None:
    """The path of the unlabelled pictures of a training: that given, the recipe's, or a part of the data's folder."""
    if pool is not None:
        return os.fspath(pool)
    if (changed := _changed_source(changes)) is not None:
        return changed
    if recipe is not None:
        return None if recipe.unlabelled is None else recipe.unlabelled.source
    return None if data is None or data.layout != "auto" or SOURCES[0] in changes else part_of(data.source)


MOST_WRAPPERS = 16
"""Folders with nothing but the next one in them that are looked into."""


def part_of(source: str) -> str | None:
    """The folder of unlabelled pictures in that of the data, if there is one with a file in it."""
    if known_name(source) is not None or not (folder := Path(source).expanduser()).is_dir():
        return None
    for _ in range(MOST_WRAPPERS):
        inside = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
        folders = [each for each in inside if each.is_dir()]
        pools = (each for each in folders if is_unlabelled(f"{each.name}/"))
        found = next((str(pool) for pool in pools if isinstance(next(files_in([str(pool)])), str)), None)
        # Everything may lie in one folder: the data's folders are then looked for in that.
        if found is not None or len(folders) != 1 or any(looks_like_picture(each.name) for each in inside):
            return found
        [folder] = folders
    return None


def _changed_source(changes: Mapping[str, Any]) -> str | None:
    found = changes.get(SOURCES[0], changes.get(SOURCES[1]))
    return found if isinstance(found, str) and found not in ("null", "~") else None


def with_source(recipe: Recipe, source: str | None) -> Recipe:
    """The recipe that learns from the unlabelled pictures of a path; None for those in memory."""
    settings = recipe.unlabelled or Unlabelled()
    return Recipe.parse({**recipe.model_dump(), "unlabelled": {**settings.model_dump(), "source": source}})


def with_pool(splits: Splits, pool: Pool, settings: DataSettings | None, progress: Progress | None) -> Splits:
    """The splits with unlabelled pictures, brought to their shape; labels that these may have are not read.

    Those that are also in validation or test, pixel for pixel, are left out and counted in the notes.

    Raises:
        DataError: there is no picture, or one cannot be read; see `DataSettings.on_bad_file`.
    """
    if isinstance(pool, ImageDataset | np.ndarray):
        images = pool.images if isinstance(pool, ImageDataset) else pool
        names = [f"unlabelled/{row:05d}" for row in range(len(images))]
        read = ImageDataset.without_labels(images, splits.classes, names)
        notes = [f"{plural(len(read), 'unlabelled image')}; labels of theirs are not read."]
    else:
        read, bad = read_pool(os.fspath(pool), splits, settings, progress)
        notes = [f"{plural(len(read), 'unlabelled picture')} from {pool}; labels of theirs, if any, are not read."]
        if bad:
            notes.append(f"{plural(bad, 'unlabelled picture')} cannot be read: left out.")
    splits = replace(splits, unlabelled=read)  # refuses another shape
    copies = also_held_out(splits)
    if copies.any():
        count = int(copies.sum())
        notes.append(f"{plural(count, 'unlabelled picture')} also in the validation or test part: left out.")
        read = read.subset(~copies)
    if not len(read):
        raise DataError(f"{notes[0]} None of them is left to learn from. Give others, or leave them out.")
    return replace(splits, unlabelled=read, notes=(*splits.notes, *notes))


def read_pool(
    path: str, splits: Splits, settings: DataSettings | None, progress: Progress | None
) -> tuple[ImageDataset, int]:
    """The pictures of a path, and how many could not be read; labels are not read."""
    if known_name(path) is not None:
        height, width, channels = splits.image_shape
        color = "grey" if channels == 1 else "rgb"
        known = load(path, size=(height, width), color=color, validation_fraction=0.0, progress=progress).train
        return ImageDataset.without_labels(known.images, splits.classes, known.names), 0
    if not Path(path).exists():
        raise DataError(f"{path[:200]!r}: there are no unlabelled pictures: no such file or folder. Check the path.")
    reader = _AsTrained(splits.image_shape, splits.reading)
    pictures = pictures_in([path], image_shape=splits.image_shape)
    pixels, names, bad = [], [], 0
    for each in decode_ahead(pictures, Decoding(reader, None, find_remade=False)):
        if isinstance(each.pixels, BadFileError):
            if settings is None or settings.on_bad_file == "error":
                raise each.pixels
            bad += 1
        else:
            pixels.append(each.pixels)
            names.append(each.place)
        if progress is not None:
            progress(len(names), 0, "reading unlabelled pictures")
    if not pixels:
        raise DataError(f"{path}: there is no picture in it that can be read. Give a folder or a file of pictures.")
    return ImageDataset.without_labels(np.stack(pixels), splits.classes, names), bad


def also_held_out(splits: Splits) -> npt.NDArray[np.bool_]:
    """Which unlabelled images are, pixel for pixel, also in the validation or the test part: bool (N,)."""
    assert splits.unlabelled is not None
    held = len(splits.validation) + len(splits.test)
    groups = duplicate_groups(splits.validation.images, splits.test.images, splits.unlabelled.images)
    return np.isin(groups[held:], groups[:held])


# Pictures that are like nothing labelled

WHAT = "looking for pictures like nothing labelled"  # in the progress
FAR = 0.95
"""Quantile of the labelled images' distances from one another beyond which a picture may be foreign."""
USUAL = 0.15
"""Share of the pictures beyond it that is no sign of foreign ones: of good pools 0 to 5 % were (RESULTS.md)."""
MARGIN = 0.9
"""The range of contrast and roughness is so much wider than that of the labelled images."""
COPIES = 1000
"""Labelled images, with changed copies of them, that a picture is compared with."""


def without_foreign(splits: Splits, recipe: Recipe, progress: Progress | None = None) -> Splits:
    """The splits without unlabelled images that are like nothing labelled, which are counted in the notes.

    A network is trained on the labelled images alone. Of its features, the distance (1 − cosine) of a picture from the
    nearest labelled image, or a changed copy of one, is compared with those of the labelled images from the others; and
    a picture flatter or rougher than all of these is as far as can be (see `nn.prototypes`). All pictures stay if no
    more of them than usual are far away.
    """
    settings, pool = recipe.unlabelled, splits.unlabelled
    if settings is None or pool is None or not settings.leave_out or len(splits.train) < 2:
        return splits
    alone = labelled_alone(recipe, len(splits.train)).model_dump(mode="json", exclude={"data", "pictures"})
    key = cache_key(splits.train.fingerprint, pool.fingerprint, alone, settings.strong, torch.__version__)
    if (kept := kept_arrays("foreign", key)) is None:
        own, theirs = _distances(splits, recipe, progress)
        keep_arrays("foreign", key, {"own": own, "theirs": theirs})
    else:
        own, theirs = kept["own"], kept["theirs"]
    far = theirs > float(np.quantile(own, FAR))
    if far.mean() <= USUAL:
        return splits
    note = f"{plural(int(far.sum()), 'unlabelled picture')} like nothing labelled: left out (unlabelled.leave_out)."
    if far.all():
        raise DataError(f"{pool.names[0]} …: {note} None is left. Give pictures of the classes, or leave_out=false.")
    return replace(splits, unlabelled=pool.subset(~far), notes=(*splits.notes, note))


def _distances(
    splits: Splits, recipe: Recipe, progress: Progress | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Of the labelled images from the others, and of the unlabelled ones from all labelled: float32 (n,), (N,)."""
    assert splits.unlabelled is not None
    assert recipe.unlabelled is not None
    some = np.sort(np.random.default_rng(recipe.seed).permutation(len(splits.train))[:COPIES])
    labelled = Examples.of(splits.train.images, splits.train.labels)
    alone = labelled_alone(recipe, len(labelled)).model_copy(update={"precision": "fp32"})
    # On one thread of the processor: the same pictures are left out on every machine, and when a run is resumed.
    callbacks = [] if progress is None else [Reported(progress, WHAT, len(labelled))]
    found = fit(alone, labelled, classes=len(splits.classes), device="cpu", threads=1, callbacks=callbacks)
    body = without_head(found.network)

    def features(images: npt.NDArray[np.uint8] | torch.Tensor) -> Iterator[torch.Tensor]:
        for part in logits_in_batches(body, found.preprocessing, images, device=torch.device("cpu")):
            yield F.normalize(part, dim=1)

    def textures(images: torch.Tensor) -> torch.Tensor:
        parts = (texture(part.permute(0, 3, 1, 2).float() / 255) for part in images.split(COPIES))
        return torch.cat(list(parts))

    with using_threads(1):
        copies = changed_copies(torch.from_numpy(splits.train.images[some]), recipe)
        known = torch.cat(list(features(copies)))
        source = torch.arange(len(known)) % len(some)
        among = known[: len(some)] @ known.T
        among[source[None, :] == torch.arange(len(some))[:, None]] = -1.0
        theirs = torch.cat([(part @ known.T).amax(1) for part in features(splits.unlabelled.images)])
        (least, _), (_, most) = zip(*torch.aminmax(textures(copies), dim=0), strict=True)
        contrast, roughness = textures(torch.from_numpy(splits.unlabelled.images)).T
        theirs[(contrast < least * MARGIN) | (roughness > most / MARGIN)] = -1.0
    return 1 - among.amax(1).numpy(), 1 - theirs.numpy()


def changed_copies(images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Images uint8 (n, H, W, C), followed by copies of each that are changed strongly, `COPIES` in all or n."""
    assert recipe.unlabelled is not None
    change, rounds = Augmenter(recipe.unlabelled.strong), max(1, COPIES // len(images))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derived_seed(recipe.seed, "changed copies"))
        changed = [change.of_pixels(images) for _ in range(rounds)]
    return torch.cat([images, *changed])
