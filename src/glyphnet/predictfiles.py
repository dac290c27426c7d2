"""Classifying image files, any number of them: the unreadable ones are told and passed over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from ._imagebatches import default_batch_size
from .classifier import Classifier, Float32Array
from .data.dataset import UInt8Array
from .data.decode import ImageShape, decode_file
from .data.folder import JUNK
from .errors import BadFileError

OnBadFile = Callable[[BadFileError], None]


class FilePrediction(NamedTuple):
    """The answer for one file.

    Attributes:
        file: its path, exactly as given or, in a folder, as given with the rest appended.
        probabilities: float32 (K,), in the order of the classifier's classes.
    """

    file: str
    probabilities: Float32Array


def predict_files(classifier: Classifier, paths: Iterable[str], on_bad_file: OnBadFile) -> Iterator[FilePrediction]:
    """Classify files, and all files in folders; a batch at a time is in memory, however many there are.

    Args:
        classifier: what answers.
        paths: files and folders; their order is kept.
        on_bad_file: called with the error of each file or folder that cannot be read; the rest go on.
    """
    shape = classifier.input_shape
    decoded = _decoded(image_files(paths, on_bad_file), shape, on_bad_file)
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


def _decoded(files: Iterable[str], shape: ImageShape, on_bad_file: OnBadFile) -> Iterator[tuple[str, UInt8Array]]:
    for file in files:
        try:
            pixels = decode_file(file, shape)
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
