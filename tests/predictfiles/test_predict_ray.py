"""Ray Data: the same answers, from every kind of column that pictures come in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from glyphnet.classifier import Classifier
from glyphnet.errors import DataError, MissingExtraError, ModelFileError
from glyphnet.predictfiles import Asked, predict_dataset, write_predictions
from glyphnet.predictfiles.raydata import _Worker

from .conftest import hub_column, pixels_of, png, write_table

ON_RAY = """
import json, os, sys
import ray
from glyphnet.predictfiles import predict_dataset

model, table, out, scratch = sys.argv[1:]
try:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20, _temp_dir=scratch)
except Exception as error:
    sys.exit(os.EX_TEMPFAIL if "timed out during startup" in str(error) else repr(error))
answers = predict_dataset(ray.data.read_parquet(table), model, batch_size=64, concurrency=1)
rows = sorted(answers.take_all(), key=lambda row: row["id"])
[session] = [name for name in os.listdir(scratch) if name.startswith("session_2")]
ray.shutdown()
with open(out, "w") as file:
    json.dump({"rows": rows, "session": session}, file)
"""
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason='Ray is not installed: pip install "glyphnet[ray]"')


@pytest.fixture
def worker(onnx_model: Path) -> Callable[..., _Worker]:
    def made(column: str = "image", asked: Asked | None = None) -> _Worker:
        return _Worker(onnx_model.read_bytes(), ".onnx", "cpu", column, asked or Asked(), False)

    return made


def columns_of(pixels: np.ndarray, folder: Path) -> dict[str, pa.Array]:
    """The same pictures in each way that they may come."""
    contents = [png(each) for each in pixels]
    paths = []
    for number, content in enumerate(contents):
        paths.append(str(folder / f"{number}.png"))
        Path(paths[-1]).write_bytes(content)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(pixels[..., 0]))
    return {
        "bytes": pa.array(contents),
        "structures": hub_column(contents, paths),
        "structures of paths": hub_column([None] * len(paths), paths),
        "paths": pa.array(paths),
        "arrays": tensors,
    }


def test_every_kind_of_column_gives_the_same(
    classifier: Classifier, worker: Callable[..., _Worker], tmp_path: Path
) -> None:
    pixels = pixels_of(20)
    wanted = classifier.predict_proba(pixels)
    for kind, column in columns_of(pixels, tmp_path).items():
        answers = worker("picture")(pa.table({"picture": column, "id": range(20)}))
        assert answers.column_names == ["id", "label", "probability", "reason", "error"], kind
        assert answers["id"].to_pylist() == list(range(20))
        assert answers["label"].to_pylist() == [classifier.classes[label] for label in wanted.argmax(axis=1)]
        np.testing.assert_allclose(answers["probability"].to_numpy(), wanted.max(axis=1), atol=1e-6)


def test_rows_multiply_with_topk_and_bad_ones_have_an_error(worker: Callable[..., _Worker]) -> None:
    column = [png(pixels_of(1)[0]), b"no picture", None]
    answers = worker(asked=Asked(topk=2, probabilities=True))(pa.table({"image": column, "id": [*"abc"]})).to_pylist()
    assert [row["id"] for row in answers] == ["a", "a", "b", "c"]
    assert [row["error"] for row in answers] == [
        None, None, "not an image, or of a format that is not read", "has no picture"
    ]  # fmt: skip
    each = [value for name, value in answers[1].items() if name.startswith("probability_")]
    assert sum(each) == pytest.approx(1, abs=1e-5)
    assert answers[2]["probability_zero"] is None


def test_arrays_on_another_scale_are_refused(worker: Callable[..., _Worker]) -> None:
    floats = pa.FixedShapeTensorArray.from_numpy_ndarray(np.full((2, 8, 8), 0.5, dtype=np.float32))
    with pytest.raises(DataError, match=r"values lie in 0\.\.0\.5, and the model's scale is 0:255"):
        worker()(pa.table({"image": floats}))


class Columns:
    """What is asked of a dataset before it runs."""

    def __init__(self, *names: str) -> None:
        self._names = list(names)

    def columns(self) -> list[str]:
        return self._names


@needs_ray
def test_what_cannot_run_is_told_before_it_does(onnx_model: Path) -> None:
    with pytest.raises(DataError) as caught:
        predict_dataset(Columns("id", "img"), onnx_model)
    assert str(caught.value) == (
        "The dataset has no column 'image'; its columns are 'id', 'img'. Name the one with the pictures: column=…"
    )
    with pytest.raises(DataError) as caught:
        predict_dataset(Columns("image", "label"), onnx_model)
    assert str(caught.value) == (
        "The dataset has a column 'label' already, and the answers want that name. "
        "Rename it first: dataset.rename_columns({'label': 'given_label'})."
    )
    with pytest.raises(ModelFileError, match=r"nowhere\.onnx: cannot be read: No such file or directory\."):
        predict_dataset(Columns("image"), "nowhere.onnx")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, onnx_model: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(MissingExtraError, match=r'^Predicting with Ray Data needs .+ pip install "glyphnet\[ray\]"$'):
        predict_dataset(Columns("image"), onnx_model)


@pytest.mark.slow
@needs_ray
def test_a_local_ray_gives_what_a_file_holds_and_leaves_nothing_behind(onnx_model: Path, tmp_path: Path) -> None:
    contents = [png(each) for each in pixels_of(200)]
    contents[150] = b"no picture"
    table = write_table(tmp_path / "t.parquet", {"image": contents, "id": range(200)}, row_group_size=50)
    write_predictions(onnx_model, [str(table)], tmp_path / "whole.json")
    wanted = json.loads((tmp_path / "whole.json").read_text(encoding="utf-8"))["predictions"]
    # A token is written to HOME. Ray runs its workers at the lowest priority: beside other tests they took minutes.
    ours = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "HOME": str(tmp_path)}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as scratch:  # the names of sockets may have 107 letters
            run = subprocess.run(
                [sys.executable, "-c", ON_RAY, onnx_model, table, tmp_path / "out.json", scratch],
                env={**os.environ, **ours}, capture_output=True, text=True, check=False,
            )  # fmt: skip
        if run.returncode != os.EX_TEMPFAIL:
            break
    else:
        pytest.skip("Ray gives its own processes 15 seconds to start, and thrice this machine was too busy for that")
    assert run.returncode == 0, run.stderr
    out = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    found = out["rows"]
    assert [row["id"] for row in found] == list(range(200))
    assert [row["label"] for row in found] == [row.get("label") for row in wanted]
    assert [row["error"] for row in found] == [row.get("error") for row in wanted]
    for row, answer in zip(found, wanted, strict=True):
        assert row["probability"] == pytest.approx(answer.get("probability"), abs=1e-6)
    left = subprocess.run(["pgrep", "-f", out["session"]], capture_output=True, text=True, check=False).stdout
    assert out["session"].startswith("session_")
    assert left == ""
