"""``glyphnet train``: what is said where, which options go together, how it ends."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from glyphnet.classifier import load_model
from glyphnet.cli import app
from glyphnet.runs import RunFolder
from glyphnet.training import HISTORY_KEYS

from .. import forking

pytestmark = pytest.mark.usefixtures("little_ink")

FAST = ["--preset", "fast"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path_factory.mktemp("cache")))


def train(*words: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, words)])


def colour_folder(root: Path, classes: dict[str, tuple[int, int, int]], count: int, copies: int = 1) -> Path:
    """JPEGs of one colour each, with noise, of several sizes; of each as many copies."""
    generator = np.random.default_rng(0)
    for name, colour in classes.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.asarray(colour) + generator.integers(-40, 40, (20 + number % 5, 24, 3))
            first = root / name / f"bild {number} é.jpg"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(first)
            for copy in range(1, copies):
                (root / name / f"bild {number} é {copy}.jpg").write_bytes(first.read_bytes())
    return root


def noise(file: Path) -> Path:
    """Forty images of two classes that nothing tells apart."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    np.savez(file, images=images, labels=[0, 1] * 20)
    return file


def test_the_accuracy_that_is_printed_is_the_one_in_the_file(tmp_path: Path) -> None:
    out = tmp_path / "my run"
    run = train("digits", *FAST, "--set", "epochs=10", "--out", out)
    assert run.exit_code == 0, run.stderr
    figures = json.loads((out / "evaluation.json").read_text())["accuracy"]
    first, *rest = run.stdout.splitlines()
    low, high = 100 * figures["low"], 100 * figures["high"]
    assert first.startswith(
        f"Accuracy on digits, test part: {100 * figures['value']:.2f} % (95 % interval {low:.2f} to {high:.2f} %), "
        f"{figures['n']} images, "
    )
    assert f"Model:   '{out / 'model.safetensors'}'" in rest
    assert f"Report:  {out / 'report.html'}" in rest
    assert f"  glyphnet predict '{out / 'model.safetensors'}' IMAGE...\n      name the class" in run.stdout
    assert figures["value"] > 0.93
    said = run.stderr.splitlines()
    assert said[0] == "1,797 images of 8×8 grey (chosen from the data: pass --size and --color to override)."
    assert any(line.startswith("Drawings (75 % of the borders have one level, ") for line in said)
    assert yaml.safe_load((out / "recipe.yaml").read_text())["pictures"]["kind"] == "drawings"
    assert f"The run is written to {out}." in said
    last = next(number for number, line in enumerate(said) if line.startswith("Normalising drawings: "))
    assert re.fullmatch(
        r"epoch (\d+) of \1: loss \d\.\d{4}, validation accuracy \d\d\.\d\d %, [\d,]+ images/s", said[last - 1]
    )


def test_a_folder_of_colour_jpegs_by_the_same_command(tmp_path: Path) -> None:
    classes = {"rot – 赤": (200, 60, 60), "grün ✓": (60, 200, 60), "bl eu": (60, 60, 200)}
    data = colour_folder(tmp_path / "meine bilder", classes, 60)
    run = train(data, *FAST, "--out", tmp_path / "run")
    assert run.exit_code == 0, run.stderr
    assert "180 images of 5 sizes; resized to " in run.stderr
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["accuracy"]["value"] == 1.0
    new = tmp_path / "neu.png"
    Image.new("RGB", (50, 31), (70, 210, 50)).save(new)
    told = CliRunner().invoke(app, ["predict", str(tmp_path / "run" / "model.safetensors"), str(new)])
    assert told.stdout.splitlines()[1].split(",")[:2] == [str(new), "grün ✓"]


@pytest.mark.usefixtures("fewer_digits")
def test_json_is_one_object_and_all_else_goes_to_standard_error(tmp_path: Path) -> None:
    result = train("digits", *FAST, "--set", "epochs=1", "--out", tmp_path / "run", "--json")
    answer = json.loads(result.stdout)
    assert list(answer) == ["ending", "epochs", "best_epoch", "seconds", "folder", "findings", "evaluation", "labels"]
    assert (answer["ending"], answer["epochs"], answer["folder"]) == ("finished", 1, str(tmp_path / "run"))
    judged = {**answer["evaluation"], "findings": answer["findings"]}
    assert judged == json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert "500 images" in result.stderr


@pytest.mark.usefixtures("fewer_digits")
def test_without_out_a_free_folder_is_chosen_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (train("digits", *FAST, "--set", "epochs=1") for _ in range(2))
    assert "The run is written to runs/digits-fast.\n" in first.stderr
    assert "The run is written to runs/digits-fast-2.\n" in second.stderr
    assert (tmp_path / "runs" / "digits-fast-2" / "model.safetensors").exists()
    assert train("nothing").exit_code == 1
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"digits-fast", "digits-fast-2"}


def test_a_training_fitted_to_a_time_says_what_fits_and_writes_it_down(tmp_path: Path) -> None:
    result = train("digits", "--time", "1.5s", "--set", "seed=3", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^First: fast, \d+ pass(es)?, about .+\.$", result.stderr, flags=re.MULTILINE)
    said = re.search(r"^Stopping: .+; (\S+), (\d+) pass(?:es)? is kept", result.stderr, flags=re.MULTILINE)
    assert said is not None
    tried = rf"^{said[1].capitalize()}, {said[2]} pass(es)? \(.+\): .+ % of \d+ validation images\.$"
    assert re.search(tried, result.stderr, flags=re.MULTILINE)
    recipe = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert (recipe["epochs"], recipe["seed"]) == (int(said[2]), 3)
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 1 + int(said[2])


@pytest.mark.usefixtures("fewer_digits")
def test_a_time_leaves_the_preset_alone_that_was_asked_for(tmp_path: Path) -> None:
    words = ["--preset", "fast", "--network", "linear", "--time", "0.5s", "--json", "--out", tmp_path / "run"]
    result = train("digits", *words)
    assert result.exit_code == 0, result.stderr
    assert "First: fast, " in result.stderr
    assert "balanced" not in result.stderr
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["network"]["kind"] == "linear"
    refused = train("digits", "--time", "1s", "--set", "epochs=3", "--out", tmp_path / "other")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "a time for the training and epochs exclude each other: give one of them." in refused.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("fewer_digits")
def test_a_recipe_gives_the_same_bits_and_takes_other_data(tmp_path: Path) -> None:
    words = [
        *FAST, "--network", "mlp", "--seed", 3, "--set", "epochs=2", "--set", "data.seed=4", "--color", "rgb",
    ]  # fmt: skip
    assert train("digits", *words, "--out", tmp_path / "a").exit_code == 0
    recipe = tmp_path / "a" / "recipe.yaml"
    assert train("--recipe", recipe, "--out", tmp_path / "b").exit_code == 0
    for name in ("model.safetensors", "recipe.yaml", "predictions.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    result = train("digits", "--size", "12x10", "--recipe", recipe, "--out", tmp_path / "c")
    assert result.exit_code == 0, result.stderr
    data = yaml.safe_load((tmp_path / "c" / "recipe.yaml").read_text())["data"]
    assert (data["size"], data["color"], data["seed"]) == ([12, 10], "rgb", 4)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--set", "epochs"], "--set epochs: write NAME=VALUE, such as optimizer.lr=0.01."),
        (["--recipe", "r.yaml", "--preset", "fast"], "--recipe and --preset exclude each other: choose one."),
        (
            ["digits", "--resume", "runs/a", "--seed", "1", "--set", "epochs=3", "--size", "8"],
            "--resume keeps the recipe of the run: DATA, --set, --seed, --size cannot be given with it.",
        ),
    ],
)
def test_options_that_would_be_ignored_are_refused(words: list[str], line: str) -> None:
    run = train(*words)
    assert (run.exit_code, run.stdout) == (2, "")
    assert run.stderr == f"glyphnet: invalid value: {line} See: glyphnet train --help\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--set", "epoch=3", "--set", "loss.label_smothing=0.1"],
            'unknown setting "loss.label_smothing"; did you mean "label_smoothing"?; unknown setting "epoch"; '
            'did you mean "epochs"?',
        ),
        (["--preset", "fsat"], 'unknown preset "fsat"; did you mean "fast"?'),
        (["--network", "cnm"], 'unknown network "cnm"; did you mean "cnn"?'),
        (["--recipe", "no.yaml"], "no.yaml: No such file or directory. Check the spelling of the path."),
        (
            ["--recipe", "list.yaml"],
            "list.yaml: The recipe must be a mapping of settings, such as `epochs: 10`.",
        ),
        (
            ["--recipe", "binary"],
            "binary: not a recipe: it is no text. A run folder's recipe.yaml is one.",
        ),
        (["--resume", "."], ".: no run to resume: there is no recipe.yaml in it."),
        (
            ["--out", "list.yaml"],
            "list.yaml: is a file, where a folder is needed. Choose another name.",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    run = train(*words)
    assert (run.exit_code, run.stdout, run.stderr) == (1, "", f"glyphnet: {line}\n")
    assert {path.name for path in tmp_path.iterdir()} == {"list.yaml", "binary"}


@pytest.mark.usefixtures("fewer_digits")
def test_a_setting_without_effect_is_named(tmp_path: Path) -> None:
    words = ["--network", "linear", "--set", "optimizer=lbfgs", "--set", "batch_size=7", "--set", "augment={}"]
    result = train("digits", *FAST, *words, "--set", "epochs=2", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert "batch_size has no effect: lbfgs looks at all images in every step.\n" in result.stderr
    result = train("digits", *FAST, "--set", "epochs=2", "--set", "early_stopping.patience=5", "--out", tmp_path / "b")
    assert "early_stopping has no effect: its patience (5) is not below epochs (2).\n" in result.stderr


def test_a_training_that_diverges_is_one_line_and_keeps_the_last_good_epoch(tmp_path: Path) -> None:
    """A step so long that float32 overflows some epochs later: momentum on a plain sum of squares grows and grows."""
    words = ["--network", "linear", "--set", "optimizer=sgd", "--set", "schedule=constant", "--set", "l2=1"]
    run = train(
        "digits", *FAST, *words, "--set", "optimizer.lr=4.2", "--set", "epochs=50",
        "--set", "augment={}", "--out", tmp_path / "run",
    )  # fmt: skip
    assert (run.exit_code, run.stdout) == (1, ""), run.stderr
    last = run.stderr.splitlines()[-1]
    assert last.startswith("glyphnet: The loss became NaN or infinite in epoch ")
    assert re.search(r"the weights of epoch \d+ are kept\. Most likely the learning rate is too high: try", last)
    assert "Traceback" not in run.stderr
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert f"the weights of epoch {model.metrics['best_epoch']} are kept" in last
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert rows[0] == ",".join(HISTORY_KEYS)
    assert len(rows) > model.metrics["best_epoch"]


@pytest.mark.usefixtures("fewer_digits")
def test_early_stopping_is_said(tmp_path: Path) -> None:
    words = ["--set", "early_stopping.patience=1", "--set", "early_stopping.min_delta=10"]
    result = train("digits", *FAST, *words, "--out", tmp_path / "run")
    assert re.match(r"Stopped early: nothing better since epoch \d\.\nAccuracy on digits", result.stdout)


@pytest.mark.usefixtures("fewer_digits")
def test_resume_goes_on_from_another_folder_and_its_report_names_the_recipe(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train("digits", *FAST, "--set", "epochs=2", "--out", run).exit_code == 0
    before = (run / "model.safetensors").read_bytes()
    result = train("--resume", run, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["ending"] == "finished"
    assert (run / "model.safetensors").read_bytes() == before
    assert f"glyphnet train --recipe {run / 'recipe.yaml'}" in (run / "report.html").read_text(encoding="utf-8")


# A shell's background job ignores SIGINT, and what it starts inherits that.
CTRL_C_AT_THE_SECOND_PICTURE = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
opened = []
def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".jpg"):
        opened.append(arguments[0])
        if len(opened) == 2:
            os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hook)
from glyphnet.cli import main
main()
"""


def test_ctrl_c_while_data_are_read_ends_at_once_and_leaves_no_folder(tmp_path: Path, monkeypatch) -> None:
    data = colour_folder(tmp_path / "data", {"a": (9, 9, 9), "b": (99, 9, 9)}, 1, copies=20)
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "cache"))
    words = ["train", data, *FAST, "--out", tmp_path / "run"]
    run = forking.run(
        [sys.executable, "-c", CTRL_C_AT_THE_SECOND_PICTURE, *map(str, words)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "glyphnet: interrupted\n")
    assert not (tmp_path / "run").exists()


# As Python starts where a shell has closed it.
WITHOUT_STDERR = """
import os, sys
os.close(2)
sys.stderr = sys.__stderr__ = None
from glyphnet.cli import main
main()
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the outputs of Linux")
def test_closed_outputs_do_not_matter(tmp_path: Path) -> None:
    noise(tmp_path / "d.npz")
    command = f"{sys.executable} -m glyphnet train {tmp_path}/d.npz --network linear --set epochs=1 --out"
    run = subprocess.run(["bash", "-c", f"{command} {tmp_path}/a >&-"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")
    assert "Traceback" not in run.stderr
    words = ["train", tmp_path / "d.npz", "--network", "linear", "--set", "epochs=1", "--out", tmp_path / "b", "--json"]
    run = forking.run(
        [sys.executable, "-c", WITHOUT_STDERR, *map(str, words)], stdout=subprocess.PIPE, text=True, check=False
    )
    assert run.returncode == 0
    assert json.loads(run.stdout)["epochs"] == 1


def test_a_terminal_shows_one_bar_at_a_time(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    words = [*FAST, "--network", "mlp", "--set", "epochs=50", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "glyphnet", "train", str(noise(tmp_path / "d.npz")), *words]
    process = forking.Popen(
        command, stderr=theirs, stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    process.communicate()
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"epoch \d+ of \d+ \S* ?\S* ?loss \d\.\d{4}, validation \d\d\.\d\d % [\d,]+ images/s", text)
    assert "evaluating" not in text[: text.rindex("epoch ")]


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("GLYPHNET_DATA"), reason="MNIST is looked for in $GLYPHNET_DATA")
def test_mnist_from_the_files_to_the_name_of_a_digit(tmp_path: Path) -> None:
    run = train("mnist", *FAST, "--out", tmp_path / "m", "--json")
    assert run.exit_code == 0, run.stderr
    assert json.loads(run.stdout)["evaluation"]["accuracy"]["value"] >= 0.989
    folder = RunFolder(tmp_path / "m")
    assert len(folder.files()) == 7
    from glyphnet.data import load

    test = load("mnist").test
    names = []
    for row in range(20):
        names.append(tmp_path / f"digit {row}.png")
        Image.fromarray(test.images[row, :, :, 0]).save(names[-1])
    told = CliRunner().invoke(app, ["predict", str(folder.model), *map(str, names)])
    labels = [line.split(",")[1] for line in told.stdout.splitlines()[1:]]
    with open(folder.predictions, newline="") as file:
        assert labels == [row["predicted"] for row in itertools.islice(csv.DictReader(file), 20)]
    assert sum(label == test.classes[truth] for label, truth in zip(labels, test.labels, strict=False)) >= 18
