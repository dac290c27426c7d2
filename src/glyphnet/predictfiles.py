"""Classifying image files, any number of them: the unreadable ones are told and passed over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from ._imagebatches import default_batch_size
from .data.dataset import UInt8Array
from .data.decode import ImageShape, fit_image, read_picture
from .data.folder import JUNK
from .data.ink import InkSpec, make_like
from .errors import BadFileError
from .onnxmodel import Float32Array
from .predictor import Predictor

OnBadFile = Callable[[BadFileError], None]
OnRemade = Callable[[InkSpec], None]


class FilePrediction(NamedTuple):
    """The answer for one file.

    Attributes:
        file: its path, exactly as given or, in a folder, as given with the rest appended.
        probabilities: float32 (K,), in the order of the classifier's classes.
    """

    file: str
    probabilities: Float32Array


def predict_files(
    classifier: Predictor,
    paths: Iterable[str],
    on_bad_file: OnBadFile,
    *,
    as_is: bool = False,
    on_remade: OnRemade | None = None,
) -> Iterator[FilePrediction]:
    """Classify files, and all files in folders; a batch at a time is in memory, however many there are.

    Args:
        classifier: what answers.
        paths: files and folders; their order is kept.
        on_bad_file: called with the error of each file or folder that cannot be read; the rest go on.
        as_is: only resize pictures; do not make them like the training images.
        on_remade: called, once, when the first picture was made like the training images by more than that.
    """
    shape = classifier.input_shape
    ink = None if as_is else classifier.ink
    pixels_of = _Making(ink, shape, on_remade)
    decoded = _decoded(image_files(paths, on_bad_file), pixels_of, on_bad_file)
    while batch := list(islice(decoded, default_batch_size(shape))):
        files, pixels = zip(*batch, strict=True)
        yield from map(FilePrediction, files, classifier.predict_proba(np.stack(pixels)))


def image_files(paths: Iterable[str], on_bad_file: OnBadFile) -> Iterator[str]:
    """The files in ``paths``; folders give all files in them, at any depth, in the order of their names.

    In folders, hidden files and what file managers leave behind are passed over, as in training; links are
    followed, each folder once. A path that is no folder is given as it is, whether it exists or not.
    """
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        empty = True
        for file in _walk(path, on_bad_file):
            empty = False
            yield file
        if empty:
            on_bad_file(BadFileError(path, "there is no file in this folder", "Check the path."))


class _Making:
    """From files to pixels like the training images; tells of the first that this has changed."""

    def __init__(self, ink: InkSpec | None, shape: ImageShape, on_remade: OnRemade | None) -> None:
        self._ink, self._shape = ink, shape
        self._on_remade = on_remade

    def __call__(self, file: str) -> UInt8Array:
        picture = read_picture(file)
        made = make_like(picture, self._ink, self._shape)
        tell = self._on_remade
        if self._ink is not None and tell and not np.array_equal(made, fit_image(picture, self._shape)):
            self._on_remade = None
            tell(self._ink)
        return made


def _decoded(
    files: Iterable[str], pixels_of: Callable[[str], UInt8Array], on_bad_file: OnBadFile
) -> Iterator[tuple[str, UInt8Array]]:
    for file in files:
        try:
            pixels = pixels_of(file)
        except BadFileError as error:
            on_bad_file(error)
        else:
            yield file, pixels


def _walk(folder: str, on_bad_file: OnBadFile) -> Iterator[str]:
    seen: set[tuple[int, int]] = set()  # folders: a link may lead back to where it lies
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        if not os.path.isdir(path):
            yield path
            continue
        try:
            status = os.stat(path)
            names = sorted(os.listdir(path), reverse=True)
        except OSError as error:
            on_bad_file(BadFileError(path, f"cannot be listed ({error.strerror})", "Change its permissions."))
            continue
        if (place := (status.st_dev, status.st_ino)) not in seen:
            seen.add(place)
            wanted = (name for name in names if not name.startswith(".") and name.lower() not in JUNK)
            waiting.extend(os.path.join(path, name) for name in wanted)
