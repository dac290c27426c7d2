"""A tiny model, pictures for it, and tables of these."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from glyphnet.classifier import Classifier
from glyphnet.nn import Preprocessing, build, parse_network

from ..knowing import knowing

CLASSES = ("zero", "größe, 数字", 'with "quotes"', "four")


def make_classifier() -> Classifier:
    spec = parse_network("mlp")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = build(spec, (8, 8, 1), len(CLASSES))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)
    parts = {
        "preprocessing": Preprocessing(mean=(0.5,), std=(0.3,)),
        "threshold": 0.6,
        "samples": pixels_of(20),
    } | knowing(network)
    return Classifier(network, spec, (8, 8, 1), CLASSES, **parts)


def pixels_of(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(content, "PNG")
    return content.getvalue()


def hub_column(contents: Sequence[bytes | None], paths: Sequence[str | None]) -> pa.Array:
    """As the Hugging Face Hub has it."""
    rows = [{"bytes": content, "path": path} for content, path in zip(contents, paths, strict=True)]
    return pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def write_table(path: Path, columns: dict[str, object], **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path, **options)
    return path


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return make_classifier()


@pytest.fixture(scope="session")
def model(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    classifier.save(path)
    return path


@pytest.fixture(scope="session")
def onnx_model(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Starts without torch: for tests in processes of their own."""
    from glyphnet.export import export

    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    export(classifier, path, "onnx")
    return path
