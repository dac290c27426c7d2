"""``glyphnet train --seeds``: what is said where, which options go together, and how processes end."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from glyphnet.cli import app

from ..processes import alive, children, started, wait_for

pytestmark = pytest.mark.usefixtures("little_ink")

QUICK = ["--network", "mlp", "--set", "epochs=2", "--device", "cpu"]
LONG = ["--network", "mlp", "--set", "epochs=100000", "--device", "cpu"]


def train(*words: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, words)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("made") / "my runs"
    return out, train("digits", *QUICK, "--seeds", 2, "--seed", 3, "--out", out)


def test_what_is_printed(made: tuple[Path, Result]) -> None:
    out, result = made
    assert result.exit_code == 0, result.stderr
    figure = json.loads((out / "seeds.json").read_text())["accuracy"]
    mean, spread, low, high = (100 * figure[name] for name in ("mean", "standard_deviation", "low", "high"))
    assert result.stdout.splitlines() == [
        f"Test accuracy {mean:.2f} % ± {spread:.2f} (standard deviation of 2 seeds; 95 % interval of the mean "
        f"{low:.2f} to {high:.2f}), on the same 359 images.",
        "",
        f"Runs:    {out}/seed-*, with seeds.csv and seeds.json",
        "",
        "What to try next:",
        f"  glyphnet train --resume '{out}' --ensemble",
        "      one model that averages all of them, mostly better than each",
    ]
    said = result.stderr.splitlines()
    assert said[1].startswith("Drawings (")
    assert said[2].startswith("Computing on cpu in fp32, ")
    assert said[3:5] == [f"The runs are written to {out}.", "2 trainings, one after another."]
    assert re.fullmatch(r"seed 3: accuracy \d\d\.\d\d %, epoch [12] of 2 kept \(1 of 2\)\.", said[5])
    assert re.fullmatch(r"seed 4: accuracy \d\d\.\d\d %, epoch [12] of 2 kept \(2 of 2\)\.", said[6])


def test_an_ensemble_is_made_of_finished_runs_and_is_exported_as_any_model(made: tuple[Path, Result]) -> None:
    out, _ = made
    result = train("--resume", out, "--ensemble", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told == json.loads((out / "seeds.json").read_text())
    assert told["ensemble"]["n"] == 359
    assert told["ensemble"]["folder"] == str(out / "ensemble")
    assert "seed 3:" not in result.stderr, "what is finished is not trained again"
    for verb, *rest in (
        ("evaluate", out / "ensemble" / "model.safetensors", "digits", "--json"),
        ("export", out / "ensemble" / "model.safetensors", "--format", "onnx", "--out", out / "ensemble.onnx"),
    ):
        again = CliRunner().invoke(app, [verb, *map(str, rest)])
        assert again.exit_code == 0, again.stderr
        if verb == "evaluate":
            assert json.loads(again.stdout)["accuracy"]["value"] == pytest.approx(
                told["ensemble"]["accuracy"], abs=1e-6
            )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", 1], "--seeds': Input should be greater than or equal to 2."),
        (["--ensemble"], "--ensemble: for several seeds. Give --seeds 10 as well."),
        (["--at-once", 2], "--at-once: for several seeds. Give --seeds 10 as well."),
        (["--seeds", 2, "--processes", 2], "--processes: for one training, not for several seeds. Leave it out."),
        (["--seeds", 2, "--time", "5s", "--check-labels"], "--time, --check-labels: for one training"),
        (["--seeds", 2, "--resume", "runs"], "--seeds cannot be given with it"),
        (["--resume", "nowhere", "--ensemble"], "--ensemble: for several seeds"),
    ],
    ids=str,
)
def test_options_that_do_not_go_together(
    words: list[object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = train(*words)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_an_ensemble_cannot_be_trained_as_a_network(tmp_path: Path) -> None:
    result = train("digits", "--network", "ensemble", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "glyphnet train --seeds 10 --ensemble" in result.stderr


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


@linux
def test_ctrl_c_stops_all_and_says_how_to_continue(tmp_path: Path) -> None:
    out = tmp_path / "my runs"
    checkpoints = [out / f"seed-{seed}" / "checkpoint.safetensors" for seed in (0, 1)]
    with started("-m", "glyphnet", "train", "digits", *LONG, "--seeds", 3, "--at-once", 2, "--out", out) as process:
        wait_for(lambda: all(path.exists() for path in checkpoints), process)
        workers = children(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of its processes
        began = time.monotonic()
        output, messages = process.communicate(timeout=60)
    assert time.monotonic() - began < 9, "they stopped, and were not killed"
    assert (process.returncode, output) == (0, ""), messages
    assert len(workers) == 2
    assert not alive(*workers)
    assert messages.splitlines()[-1] == (
        f"Stopped; 0 of 3 seeds are finished. Resume with: glyphnet train --resume '{out}'"
    )
    assert "Traceback" not in messages
    assert json.loads((out / "seeds.json").read_text())["ending"] == "stopped"


@linux
def test_killing_the_parent_ends_its_children_even_before_they_have_begun(tmp_path: Path) -> None:
    with started(
        "-m", "glyphnet", "train", "digits", *LONG, "--seeds", 2, "--at-once", 2, "--out", tmp_path / "runs"
    ) as process:
        wait_for(lambda: len(children(process.pid)) == 2, process)
        workers = children(process.pid)
        process.kill()
        wait_for(lambda: not alive(*workers), seconds=30)
