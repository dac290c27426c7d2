"""``glyphnet compare``: the table, the files, the refusals, and that Ctrl-C leaves nothing behind."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from glyphnet.cli import app
from glyphnet.cli.options import parse_duration

from .. import forking
from ..processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("little_ink", "forked_children")]


def compare(*words: object) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, words)], env={"OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A good model of the digits and a poor one."""
    import glyphnet

    folder = tmp_path_factory.mktemp("models")
    for name, changes in {"good": {"epochs": 12}, "poor": {"network": "linear", "epochs": 1}}.items():
        run = glyphnet.train("digits", preset="fast", changes=changes, device="cpu")
        assert run.classifier is not None
        run.classifier.save(folder / f"{name}.safetensors")
    return folder / "good.safetensors", folder / "poor.safetensors"


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("90", 90), ("5m", 300), ("1.5h", 5400), (" 2 MIN", 120), ("0.5", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "0", "0s", "1d", "5 m s", "1e3", "１０"])
def test_no_durations(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is not a duration: write seconds \(90 or 90s\), minutes \(5m\)"):
        parse_duration(text)


def test_the_table_is_printed_and_the_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = compare("digits", "--methods", "kmeans, knn", "--budget", "2m")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "digits, test part"
    assert [line.split("  ")[0] for line in lines[2:4]] == ["nearest neighbours", "K-means"]
    assert any(line.startswith("One method at a time, each in 120 s at most and on up to 1 thread") for line in lines)
    assert lines[-1] == "Written: runs/compare-digits/comparison.json, comparison.png"
    assert {path.name for path in Path("runs/compare-digits").iterdir()} == {"comparison.json", "comparison.png"}
    assert "1,797 images of 8×8 grey" in result.stderr
    assert "K-means: accuracy " in result.stderr, "each result is told when it is there"


def test_json_is_one_object_and_an_absent_library_is_one_row_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """xgboost is absent as it is for the import system: a module that is None cannot be imported."""
    monkeypatch.setitem(sys.modules, "xgboost", None)
    result = compare("digits", "--methods", "xgboost,knn", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["folder"] == str(tmp_path / "out")
    rows = {row["method"]: row for row in found["methods"]}
    assert rows["knn"]["status"] == "finished"
    assert rows["xgboost"]["status"] == "missing"
    assert rows["xgboost"]["reason"] == (
        'it needs an optional part. Install it with: pip install "glyphnet[compare]"'
    )  # fmt: skip
    assert 'XGBoost: it needs an optional part. Install it with: pip install "glyphnet[compare]".' in result.stderr


def test_the_help_names_every_method() -> None:
    from glyphnet.studies.comparison.methods import METHODS

    result = CliRunner().invoke(app, ["compare", "--help"], env={"COLUMNS": "200"})
    assert ", ".join(METHODS) in " ".join(result.stdout.split())


def test_where_no_method_finishes_the_status_is_1(tmp_path: Path) -> None:
    result = compare("digits", "--methods", "forest", "--budget", "0.001", "--out", tmp_path / "out")
    assert result.exit_code == 1, result.stderr
    assert "random forest: did not finish in 0.001 s." in result.stdout.splitlines()
    assert "No method finished." in result.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits", "--methods", "fast,forrest"], 'unknown method "forrest"; did you mean "forest"?'),
        (
            ["digits", "--budget", "soon"],
            "'soon' is not a duration: write seconds (90 or 90s), minutes (5m) or hours (1h).",
        ),
        (["digits", "--data", "mnist"], "DATA (digits) and --data (mnist) are the same thing: give one of them."),
        (
            ["--models", "a", "b", "--budget", "5", "--methods", "knn"],
            "--methods, --budget cannot be given with --models: nothing is fitted there.",
        ),
        (["--models", "a.safetensors", "b.safetensors"], "a.safetensors: "),
    ],
)
def test_wrong_words_are_told_in_one_line(words: list[str], message: str) -> None:
    result = compare(*words)
    assert result.exit_code in (1, 2), result.stdout
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr


def test_two_models_are_compared(models: tuple[Path, Path], tmp_path: Path) -> None:
    result = compare("--models", *models, "--data", "digits", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{models[0]} is better than {models[1]} on 359 images: ")
    with (tmp_path / "out" / "differences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert lines[1].startswith(f"They differ on {len(rows)} images: A is right on ")
    assert lines[3:5] == [f"A: {models[0]}", f"B: {models[1]}"]
    table = lines[6:26]
    assert [line.split()[0] for line in table] == [row["file"] for row in rows[:20]]
    assert lines[26] == f"and {len(rows) - 20} more: --out DIR writes them all."


def test_two_models_as_json(models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = compare("digits", "--models", *models, "--json")
    found = json.loads(result.stdout)
    assert found["a"]["model"] == str(models[0])
    assert found["a"]["accuracy"]["value"] > found["b"]["accuracy"]["value"]
    assert found["p_value"] < 0.05
    assert len(found["differences"]) >= found["only_a_right"] + found["only_b_right"]
    assert list(tmp_path.iterdir()) == [], "nothing is written without --out"


ENDLESS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job would not have
from sklearn.neural_network import MLPClassifier
from glyphnet.cli import main
from glyphnet.studies.comparison.methods import METHODS, Method, RowEstimator
def make(given):
    return RowEstimator(MLPClassifier(max_iter=10**9, tol=0.0, n_iter_no_change=10**9))
METHODS["endless"] = Method("Endless", "test", "", make)
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_child_and_no_temporary_folder(number: signal.Signals, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    words = ["compare", "digits", "--methods", "endless", "--out", str(tmp_path / "out")]
    with forking.Popen(
        [sys.executable, "-c", ENDLESS, *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:
        try:
            wait_for(lambda: bool(_children(process.pid)))
            [child] = _children(process.pid)
            assert [path.name[:9] for path in temporary.iterdir()] == ["glyphnet-"]
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith("glyphnet: "), said
    assert "Traceback" not in said
    assert not Path(f"/proc/{child}").exists(), "the child was killed and buried"
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "out").exists()


def _children(parent: int) -> list[int]:
    """The processes that ``parent`` has started; needs Linux."""
    if not Path("/proc").is_dir():
        pytest.skip("no /proc on this system")
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(folder.name))
    return found
