"""Predictions on a cluster: a Ray dataset of pictures becomes one of answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.hub import content_of
from ..errors import DataError, MissingExtraError, ModelFileError
from ..files import new_file, read_input
from ..locks import temporary_folder
from ..predictor import load_predictor
from .answers import ERROR, REASON, SET, Answering, Asked, arrow_table
from .pictures import Picture
from .predicting import predictions

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset


def predict_dataset(
    dataset: Dataset,
    model: str | os.PathLike[str],
    *,
    column: str = "image",
    asked: Asked | None = None,
    as_is: bool = False,
    device: str = "cpu",
    batch_size: int = 1024,
    concurrency: int | tuple[int, int] = 1,
    **ray_options: Any,
) -> Dataset:
    """Classify the pictures of a Ray dataset, on all machines of the cluster.

    ::

        import ray
        from glyphnet.predictfiles import predict_dataset

        answers = predict_dataset(ray.data.read_parquet("s3://…"), "model.safetensors", concurrency=(1, 64))
        answers.write_parquet("s3://…")

    Each worker loads the model once; the file is read here and need not be on the other machines. Nothing is computed
    before the answers are asked for, as always in Ray Data.

    Args:
        model: a model file (``.safetensors`` or ``.onnx``).
        column: where the pictures are: bytes of image files, structures {bytes, path} as of the Hugging Face Hub,
            paths that every machine can read, or uint8 arrays (H, W) or (H, W, C) as `ray.data.read_images` gives.
        asked: what to answer about each picture; the likeliest label unless given.
        as_is: see `predictions`.
        device: where each worker computes; "cuda" wants ``num_gpus=1`` beside it.
        batch_size: rows that a worker takes at once.
        concurrency: how many workers, or the fewest and the most.
        ray_options: more for ``Dataset.map_batches``: num_cpus, num_gpus, memory and so on.

    Returns:
        The dataset without ``column``, and with the columns label, probability, reason, set and those of every class if
        asked, and error, which says why a picture cannot be read: the same as those of `write_predictions`.

    Raises:
        DataError: there is no such column, or there are columns already of the names of those that come.
        ModelFileError: see `load_predictor`; other faults of the model come from the workers.
        MissingExtraError: Ray is not installed.
    """
    try:
        from ray.data import ActorPoolStrategy
    except ImportError as error:
        raise MissingExtraError("Predicting with Ray Data", "ray") from error
    asked = asked or Asked()
    try:
        content = read_input(model)
    except OSError as error:
        raise ModelFileError(f"{os.fspath(model)}: cannot be read: {error.strerror}.") from error
    _check_columns(dataset.columns() or [], column)
    fewest, most = concurrency if isinstance(concurrency, tuple) else (concurrency, concurrency)
    answered: Dataset = dataset.map_batches(
        _Worker,
        batch_size=batch_size,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(min_size=fewest, max_size=most),
        fn_constructor_args=(content, Path(model).suffix, device, column, asked, as_is),
        **ray_options,
    )
    return answered


class _Worker:
    """The model in a process of the cluster, loaded once."""

    def __init__(self, model: bytes, suffix: str, device: str, column: str, asked: Asked, as_is: bool) -> None:
        with temporary_folder() as folder:
            path = folder / f"model{suffix}"
            with new_file(path) as file:
                file.write(model)
            self._classifier = load_predictor(path, device)
        self._answering = Answering(self._classifier, asked)
        self._column, self._as_is = column, as_is

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The rows with answers in place of pictures."""
        pictures = _pictures(batch.column(self._column))
        answers = [
            self._answering(prediction)
            for part in predictions(self._classifier, pictures, as_is=self._as_is)
            for prediction in part
        ]
        answered, sources = arrow_table(answers, self._answering)
        table = answered.drop_columns(["file"])  # a row's own columns name it
        others = batch.drop_columns([self._column]).take(sources)
        for number, name in enumerate(others.column_names):
            table = table.add_column(number, others.schema.field(name), others.column(name))
        return table


def _pictures(column: pa.ChunkedArray) -> Iterator[Picture]:
    for chunk in column.chunks:
        for cell in _cells(chunk):
            content = cell if isinstance(cell, np.ndarray) else content_of(cell, "a row", lambda path: path)[0]
            yield Picture("", "a row", content)


def _cells(chunk: pa.Array) -> Iterator[Any]:
    import pyarrow as pa

    if isinstance(chunk, pa.FixedShapeTensorArray):
        yield from chunk.to_numpy_ndarray()
    elif isinstance(chunk.type, pa.BaseExtensionType):  # Ray's own, for arrays of one shape or of several
        yield from chunk.to_numpy(zero_copy_only=False)
    else:
        yield from chunk.to_pylist()


def _check_columns(columns: list[str], column: str) -> None:
    if column not in columns:
        raise DataError(
            f"The dataset has no column {column!r}; its columns are {', '.join(map(repr, columns)) or 'none'}. "
            "Name the one with the pictures: column=…"
        )
    if taken := [name for name in ("label", "probability", REASON, SET, ERROR) if name in columns]:
        new = ", ".join(f"{name!r}: 'given_{name}'" for name in taken)
        raise DataError(
            f"The dataset has a column {taken[0]!r} already, and the answers want that name. "
            f"Rename it first: dataset.rename_columns({{{new}}})."
        )
