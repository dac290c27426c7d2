"""``glyphnet tune``: what is printed, what is refused, Ctrl-C, and going on."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from glyphnet.cli import app

from .. import forking

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("little_ink")]

QUICK = ["digits", "--preset", "fast", "--network", "linear", "--set", "epochs=2", "--set", "augment={}"]
SEARCH = ["--search", "optimizer.lr=1e-3..0.1:log"]


def tune(*words: object) -> Result:
    return CliRunner().invoke(app, ["tune", *map(str, words)], env={"OMP_NUM_THREADS": "1"})


def test_a_search_is_shown_and_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = tune(*QUICK, *SEARCH, "--trials", 3)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"digits: 3 trials \(3 finished\) on 144 validation images; all trials are done\.", lines[0])
    assert re.split("  +", lines[1]) == ["trial", "validation (95 %)", "log loss", "settings"]
    assert re.fullmatch(r" +\d  \d\d\.\d\d % \(\d\d\.\d–\d\d\.\d\)    0\.\d{4}  optimizer\.lr=0\.\d+", lines[2])
    assert "Which settings matter is unknown: 3 trials finished, and 10 are needed." in lines
    assert "Model:   runs/tune-digits-fast/winner/model.safetensors" in lines
    assert "trial 0: " in result.stderr
    assert ", the best so far." in result.stderr
    names = {path.name for path in Path("runs/tune-digits-fast").iterdir() if not path.name.startswith(".")}
    assert names == {"best.yaml", "history.png", "importance.json", "slices.png", "study.db", "trials.csv", "winner"}
    again = tune(*QUICK, *SEARCH, "--trials", 3, "--json")
    assert again.exit_code == 0, again.stderr
    assert "Resuming runs/tune-digits-fast/study.db: 3 trials have ended." in again.stderr
    found = json.loads(again.stdout)
    assert found["search"] == {"optimizer.lr": "0.001..0.1:log"}
    assert len(found["trials"]) == 3
    assert found["best"]["val_accuracy"] == max(trial["val_accuracy"] for trial in found["trials"])
    assert found["test"]["data"] == "digits, test part"
    assert found["test"]["part"] == "test"
    assert found["test"]["n"] == 359
    over = tune(*QUICK, *SEARCH, "--trials", 1, "--overwrite", "--json")
    assert len(json.loads(over.stdout)["trials"]) == 1, over.stderr
    found = json.loads(over.stdout)
    trained = CliRunner().invoke(app, ["train", "--recipe", "runs/tune-digits-fast/best.yaml", "--json"])
    assert json.loads(trained.stdout)["evaluation"]["accuracy"]["value"] == pytest.approx(
        found["test"]["accuracy"], abs=1e-6
    )


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--search", "optimizer.lr"], 2, "--search optimizer.lr: write NAME=WHAT, such as optimizer.lr=1e-4..1e-1:"),
        ([*SEARCH, *SEARCH], 2, "--search optimizer.lr is given twice"),
        (["--search", "optimizer.lrr=0.1..1"], 1, 'glyphnet: search: unknown setting "optimizer.lrr"; did you mean'),
        (["--time", "soon"], 2, "'soon' is not a duration: write seconds (90 or 90s), minutes (5m) or hours (1h)"),
        (["--recipe", "recipe.yaml"], 2, "--recipe and --preset exclude each other: choose one"),
    ],
)
def test_wrong_words_are_told_in_one_line(words: list[str], status: int, message: str, tmp_path: Path) -> None:
    result = tune(*QUICK, "--out", tmp_path / "out", *words)
    assert result.exit_code == status
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert not (tmp_path / "out").exists()


def test_a_setting_that_is_searched_and_set_is_named(tmp_path: Path) -> None:
    result = tune(*QUICK, *SEARCH, "--set", "optimizer.lr=0.02", "--trials", 1, "--out", tmp_path / "out")
    assert "optimizer.lr: searched, so the given value is only the starting point." in result.stderr
    assert "optimizer.lr=0.02" in result.stdout


def test_ctrl_c_keeps_what_was_found_and_says_how_to_continue(tmp_path: Path) -> None:
    words = [*QUICK, *SEARCH, "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "glyphnet", "tune", *words, "--trials", "100000"]
    with forking.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith("trial 0: "):
                    break
            process.send_signal(signal.SIGINT)
            out, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, said
    last = said.splitlines()[-1]
    assert re.match(r"Stopped; \d+ trials? (is|are) kept\. Resume .*: glyphnet tune digits ", last), said
    assert "Traceback" not in said
    assert "; stopped." in out.splitlines()[0]
    kept = len((tmp_path / "out" / "trials.csv").read_text(encoding="utf-8").splitlines()) - 1
    assert kept >= 1
    assert not (tmp_path / "out" / "winner").exists(), "the test images are for the winner of a search that has ended"
    resumed = tune(*words, "--trials", kept + 1)
    assert resumed.exit_code == 0, resumed.stderr
    assert "accuracy on digits, test part" in resumed.stdout


def test_an_absent_optuna_is_told_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = tune("digits")
    assert result.exit_code == 1
    assert result.stderr == 'glyphnet: Tuning needs an optional part. Install it with: pip install "glyphnet[tune]"\n'


def test_help_waits_for_neither_torch_nor_optuna() -> None:
    code = (
        "import sys; from glyphnet.cli.verbs import load_verb; load_verb('tune'); "
        "print([name for name in ('torch', 'optuna', 'matplotlib') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
