"""Predictions into files: complete, resumable after a kill at any moment, the same as in one go."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import signal
import tracemalloc
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from glyphnet import processes as parallel
from glyphnet.classifier import Classifier
from glyphnet.errors import BadFileError, OutputError, RunFolderError, SettingsError
from glyphnet.locks import FolderLock
from glyphnet.predictfiles import Asked, predicting, write_predictions, writing
from glyphnet.progress import Reporter

from .conftest import CLASSES, pixels_of, png, write_table

PARTS_OF_A_BATCH = """
import os, signal, sys
from glyphnet.predictfiles import writing

# left: renamings and removals until the end
writing.PART_SECONDS = 0.0

def until_killed(change):
    def changed(*arguments):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        change(*arguments)
    return changed

os.replace, os.unlink = until_killed(os.replace), until_killed(os.unlink)
from glyphnet.cli import main
main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pictures and two files that are none."""
    root = tmp_path / "pictures"
    root.mkdir()
    for number, pixels in enumerate(pixels_of(10)):
        (root / f"{number}.png").write_bytes(png(pixels))
    (root / "3a.png").write_bytes(b"no picture")
    (root / "9a.png").write_bytes(b"")
    return root


@pytest.fixture
def batches_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "default_batch_size", lambda _: 4)
    monkeypatch.setattr(writing, "PART_SECONDS", 0.0)


def interrupted(model: Path, paths: list[str], out: Path, after: int = 4, **options: object) -> None:
    """A run that ends like Ctrl-C once so many pictures were seen."""

    def progress(done: int, total: int, what: str) -> None:
        if done > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(model, paths, out, reporter=Reporter(progress=progress), **options)


def test_a_parquet_file_holds_every_picture_once_in_order(
    classifier: Classifier, model: Path, folder: Path, tmp_path: Path
) -> None:
    errors: list[BadFileError] = []
    written = write_predictions(model, [str(folder)], tmp_path / "o.parquet", on_bad_file=errors.append)
    assert (written.images, written.unreadable, written.resumed) == (12, 2, 0)
    assert [error.path for error in errors] == [f"{folder}/3a.png", f"{folder}/9a.png"]
    table = parquet.read_table(tmp_path / "o.parquet").to_pydict()
    assert list(table) == ["file", "label", "probability", "reason", "error"]
    assert table["file"] == [f"{folder}/{name}" for name in sorted(os.listdir(folder))]
    bad = [number for number, error in enumerate(table["error"]) if error is not None]
    assert [table["error"][number] for number in bad] == [error.reason for error in errors]
    assert [(table["label"][number], table["probability"][number]) for number in bad] == [(None, None)] * 2
    probabilities = classifier.predict_proba(pixels_of(10))
    good = [number for number in range(12) if number not in bad]
    assert [table["label"][number] for number in good] == [CLASSES[label] for label in probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(np.float32([table["probability"][n] for n in good]), probabilities.max(axis=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.parquet", "pictures"]


def test_csv_and_json_hold_the_same_as_parquet(model: Path, folder: Path, tmp_path: Path) -> None:
    asked = Asked(topk=2, probabilities=True)
    for suffix in ("parquet", "csv", "json"):
        write_predictions(model, [str(folder)], tmp_path / f"o.{suffix}", asked=asked)
    table = parquet.read_table(tmp_path / "o.parquet").to_pylist()
    assert len(table) == 22
    with open(tmp_path / "o.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(table[0]) == [
        "file", "label", "probability", "reason", *(f"probability_{name}" for name in CLASSES), "error"
    ]  # fmt: skip
    for row, wanted in zip(rows, table, strict=True):
        for name, value in wanted.items():
            assert row[name] == ("" if value is None else f"{value:.6f}" if isinstance(value, float) else value)
    found = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
    assert (found["model"], found["unreadable"], len(found["predictions"])) == (str(model), 2, 12)
    assert [row.get("error") for row in found["predictions"] if "error" in row] == [
        row["error"] for row in table if row["error"]
    ]
    [first, second] = [row for row in table if row["file"].endswith("/7.png")]
    [answer] = [row for row in found["predictions"] if row["file"].endswith("/7.png")]
    assert answer["label"] == first["label"]
    assert [pair["label"] for pair in answer["top"]] == [first["label"], second["label"]]
    assert answer["probabilities"] == {
        name: pytest.approx(first[f"probability_{name}"], abs=1e-6) for name in CLASSES
    }  # fmt: skip


def test_names_that_are_no_utf8(model: Path, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Path(name).write_bytes(png(pixels_of(1)[0]))
    for suffix in ("parquet", "csv", "json"):
        write_predictions(model, [name], tmp_path / f"o.{suffix}")
    assert parquet.read_table(tmp_path / "o.parquet")["file"].to_pylist() == [f"{tmp_path}/caf\\xe9.png"]
    assert os.fsencode(name) in (tmp_path / "o.csv").read_bytes()
    assert os.fsencode(name) in (tmp_path / "o.json").read_bytes()


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Real processes that need not import everything again."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["glyphnet.cli.predict", "glyphnet.predictfiles", "onnxruntime", "pyarrow.parquet"])
    return context


@pytest.fixture(scope="module")
def predicted(onnx_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A table of 1,100 pictures, one of them damaged, and the file of a run over it that nothing has killed."""
    folder = tmp_path_factory.mktemp("predicted")
    contents = [png(each) for each in pixels_of(1100)]
    contents[700] = b"no picture"
    table = write_table(folder / "t.parquet", {"image": contents}, row_group_size=300)
    write_predictions(onnx_model, [str(table)], folder / "whole.parquet")
    return table, folder / "whole.parquet"


@pytest.mark.parametrize(
    ("changes", "resumed"),
    [(0, 0), (1, 0), (2, 0), (6, 1024), (7, 1100), (8, 1100), (9, 0), (10, 0), (11, 0), (12, 0)],
)
def test_a_killed_run_goes_on_and_the_file_is_the_same(
    processes: ForkServerContext,
    onnx_model: Path,
    predicted: tuple[Path, Path],
    tmp_path: Path,
    changes: int,
    resumed: int,
) -> None:
    """Killed before each kind of change: a part, its count, the file itself, the removal of what is not needed."""
    (table, whole), out = predicted, tmp_path / "out.parquet"
    words = ["glyphnet", "predict", str(onnx_model), str(table), "--out", str(out)]
    code = f"left = {changes}; import sys; sys.argv = {words!r}; {PARTS_OF_A_BATCH}"
    run = processes.Process(target=exec, args=(code, {"__name__": "killed"}))
    run.start()
    run.join()
    assert run.exitcode == -signal.SIGKILL
    assert out.exists() == (changes >= 8)
    if resumed:
        with pytest.raises(SettingsError, match=r"out\.parquet\.parts: holds [\d,]+ answers of a run that did not"):
            write_predictions(onnx_model, [str(table)], out)
    written = write_predictions(onnx_model, [str(table)], out, resume=resumed > 0)
    assert (written.images, written.unreadable, written.resumed) == (1100, 1, resumed)
    assert out.read_bytes() == whole.read_bytes()
    about = parquet.read_metadata(out)
    assert (about.num_rows, about.num_row_groups) == (1100, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.usefixtures("batches_of_four")
@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_an_interrupted_run_over_a_folder_goes_on(model: Path, folder: Path, tmp_path: Path, suffix: str) -> None:
    whole, out = tmp_path / f"whole.{suffix}", tmp_path / f"out.{suffix}"
    write_predictions(model, [str(folder)], whole)
    interrupted(model, [str(folder)], out)
    said: list[str] = []
    written = write_predictions(model, [str(folder)], out, resume=True, reporter=Reporter(said.append))
    assert (written.images, written.unreadable, written.resumed) == (12, 2, 4)
    assert "4 images are done." in said
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.usefixtures("batches_of_four")
def test_it_goes_on_with_the_same_work_only(model: Path, onnx_model: Path, folder: Path, tmp_path: Path) -> None:
    out, paths = tmp_path / "o.csv", [str(folder)]
    interrupted(model, paths, out)

    def refused(model: Path, paths: list[str], **options: object) -> str:
        with pytest.raises(SettingsError) as caught:
            write_predictions(model, paths, out, resume=True, **options)
        return str(caught.value)

    parts = f"{out}.parts"
    again = "Give the same again, or delete that folder to start again."
    assert refused(onnx_model, paths) == f"{parts}: was begun with another model. {again}"
    assert refused(model, [*paths, "x.png"]) == f"{parts}: was begun with another list of images. {again}"
    assert refused(model, paths, asked=Asked(topk=2)) == f"{parts}: was begun with another choice of options. {again}"
    (folder / "0a.png").write_bytes(b"")
    assert refused(model, paths) == (
        f"{parts}: has answers for 4 images, and these are not the first ones now: some came, went or were renamed "
        "since. Delete that folder to start again."
    )
    (folder / "0a.png").unlink()
    (folder / "9b.png").write_bytes(b"")  # not come to yet
    assert write_predictions(model, paths, out, resume=True).images == 13


@pytest.mark.usefixtures("batches_of_four")
def test_what_was_done_is_never_lost_by_accident(model: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.csv"
    out.write_text("of before")
    interrupted(model, [str(folder)], out)
    assert out.read_text() == "of before"
    with pytest.raises(SettingsError) as caught:
        write_predictions(model, [str(folder)], out)
    assert str(caught.value) == (
        f"{out}.parts: holds 4 answers of a run that did not finish. Resume it with --resume, or start over "
        "with --overwrite."
    )
    (tmp_path / "o.csv.parts" / "progress.json").write_text("{")
    with pytest.raises(SettingsError, match=r"progress\.json: cannot be read \(.+\)\. Delete that folder to"):
        write_predictions(model, [str(folder)], out, resume=True)
    (tmp_path / "o.csv.parts" / "progress.json").unlink()
    with pytest.raises(OutputError, match=r"parts: is needed for unfinished answers, and holds part-000000\.csv"):
        write_predictions(model, [str(folder)], out)
    shutil.rmtree(tmp_path / "o.csv.parts")
    write_predictions(model, [str(folder)], out)
    with pytest.raises(SettingsError) as caught:
        write_predictions(model, [str(folder)], out, resume=True)
    assert str(caught.value) == f"{out}: is finished. Leave out --resume, and pass --overwrite to write it again."


def test_two_runs_cannot_write_one_file(model: Path, folder: Path, tmp_path: Path) -> None:
    with FolderLock(tmp_path / "o.csv.parts"), pytest.raises(RunFolderError, match="in use by another run"):
        write_predictions(model, [str(folder)], tmp_path / "o.csv")


def test_a_run_that_fails_before_an_answer_leaves_nothing(model: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"o\.txt: predictions are written as \.parquet, \.csv, \.json"):
        write_predictions(model, [str(folder)], tmp_path / "o.txt")
    with pytest.raises(SettingsError) as caught:
        write_predictions(model, [str(folder)], folder / "o.csv")
    assert str(caught.value) == (
        f"{folder}/o.csv: lies in {folder}, whose files are all classified. Write it elsewhere."
    )
    interrupted(model, [str(folder)], tmp_path / "o.csv", after=0)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_no_picture_at_all(model: Path, tmp_path: Path, suffix: str) -> None:
    table = write_table(tmp_path / "t.parquet", {"image": [b"x"]})
    write_table(table, {"image": parquet.read_table(table)["image"].slice(1)})
    written = write_predictions(model, [str(table)], tmp_path / f"o{suffix}", asked=Asked(probabilities=True))
    assert written.images == 0
    assert (tmp_path / f"o{suffix}").stat().st_size > 0


def test_no_picture_is_kept(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers wait until their part is full, the content of their pictures does not."""
    monkeypatch.setattr(parallel, "WORKERS", 2)
    contents = [png(each) + bytes(50_000) for each in pixels_of(1600)]  # 80 MB
    table = write_table(tmp_path / "t.parquet", {"image": contents}, compression="none")
    del contents
    tracemalloc.start()
    try:
        write_predictions(model, [str(table)], tmp_path / "o.csv")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000
