"""``glyphnet predict``: every file gets its line, in order, under its own name; the unreadable are told."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from glyphnet import processes as parallel
from glyphnet.classifier import Classifier, load_model
from glyphnet.cli import app
from glyphnet.errors import BadFileError
from glyphnet.export import export
from glyphnet.nn import Preprocessing, build, parse_network
from glyphnet.predictfiles import answers, image_files, predict_files, predicting, writing

from .. import forking
from ..knowing import knowing

CLASSES = ("zero", "größe, 数字", 'with "quotes"', "[red]four[/red]")
ODD_NAMES = [
    "plain.png",
    "with space.png",
    "größe 数字 🙂.png",
    "=1+1.png",
    'comma, "quoted".png',
    "-x.png",
    "new\nline.png",
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    spec = parse_network("mlp")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = build(spec, (8, 8, 1), len(CLASSES))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)
    classifier = Classifier(
        network, spec, (8, 8, 1), CLASSES, Preprocessing(mean=(0.5,), std=(0.3,)), threshold=0.6, **knowing(network)
    )
    (tmp_path / "model").mkdir()
    classifier.save(tmp_path / "model" / "m.safetensors")
    return tmp_path / "model" / "m.safetensors"


@pytest.fixture
def onnx_model(model: Path) -> Path:
    """The same model in a file that needs no torch: for tests in processes of their own."""
    path = model.with_suffix(".onnx")
    export(load_model(model), path)
    return path


def picture(path: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")
    return path


def predict(*words: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def table(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.stdout, newline="")))


def test_the_answers_are_the_classifiers_own(model: Path, tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{seed}.png", seed) for seed in range(12)]
    result = predict(model, *files)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    rows = table(result)
    classifier = load_model(model)
    probabilities = classifier.predict_proba(files)
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert [row["label"] for row in rows] == classifier.predict(files)
    assert len({row["label"] for row in rows}) > 2
    np.testing.assert_allclose([float(row["probability"]) for row in rows], probabilities.max(axis=1), atol=1e-6)


def test_names_are_kept_exactly_in_csv_and_json(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ODD_NAMES:
        picture(tmp_path / "odd" / name)
    monkeypatch.chdir(tmp_path / "odd")
    result = predict("--csv", model, "--", "./plain.png", *ODD_NAMES)
    assert [row["file"] for row in table(result)] == ["./plain.png", *ODD_NAMES]
    result = predict("--json", model, "--", "./plain.png", *ODD_NAMES)
    assert [row["file"] for row in json.loads(result.stdout)["predictions"]] == ["./plain.png", *ODD_NAMES]


def test_a_name_that_is_no_utf8_comes_out_as_the_same_bytes(onnx_model: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    picture(tmp_path / "a.png").rename(os.fsdecode(name))
    command = [sys.executable, "-m", "glyphnet", "predict", onnx_model, name]
    run = forking.run(command, capture_output=True, check=True)
    assert run.stdout.splitlines()[1].startswith(name + b",")
    run = forking.run([*command, "--json"], capture_output=True, check=True)
    assert os.fsencode(json.loads(run.stdout)["predictions"][0]["file"]) == name


def test_folders_are_searched_in_the_order_of_names(model: Path, tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    wanted = ["a/1.png", "a/b/2.png", "a/c.png", "b.png", "c/d/e/f.png"]
    for name in reversed(wanted):
        picture(root / name)
    for junk in (".hidden.png", "a/Thumbs.db", "__MACOSX/x.png", ".cache/x.png"):
        (root / junk).parent.mkdir(exist_ok=True)
        (root / junk).write_bytes(b"")
    (root / "c" / "loop").symlink_to(root)
    result = predict(model, root, tmp_path / "pictures/b.png")
    assert [row["file"] for row in table(result)] == [f"{root}/{name}" for name in wanted] + [f"{root}/b.png"]
    assert result.exit_code == 0


def test_unreadable_files_get_a_line_each_and_the_others_an_answer(model: Path, tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    picture(root / "1.png")
    (root / "2.png").write_bytes(b"no picture")
    (root / "3.png").write_bytes(picture(root / "1.png").read_bytes()[:60])
    picture(root / "4.png")
    (root / "5").mkdir()
    (tmp_path / "empty").mkdir()
    result = predict(model, root, tmp_path / "nowhere.png", tmp_path / "empty", root / "1.png")
    assert result.exit_code == 1
    assert [Path(row["file"]).name for row in table(result)] == ["1.png", "4.png", "1.png"]
    lines = result.stderr.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"glyphnet: {root}/2.png: not an image")
    assert lines[1].startswith(f"glyphnet: {root}/3.png: damaged")
    assert lines[2].startswith(f"glyphnet: {tmp_path}/nowhere.png: no such file")
    assert lines[3] == f"glyphnet: {tmp_path}/empty: there is no file in this folder. Check the path."
    result = predict("--json", model, root)
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["unreadable"] == 2
    assert [Path(row["file"]).name for row in found["predictions"]] == ["1.png", "4.png"]


def test_json_is_one_object_even_with_no_answer(model: Path, tmp_path: Path) -> None:
    result = predict("--json", model, tmp_path / "nowhere.png")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"model": str(model), "predictions": [], "unreadable": 1}


def test_topk_gives_the_likeliest_classes_in_order(model: Path, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    probabilities = load_model(model).predict_proba(file)[0]
    order = np.argsort(-probabilities)
    rows = table(predict("--topk", 3, model, file))
    assert [row["label"] for row in rows] == [CLASSES[label] for label in order[:3]]
    assert [row["file"] for row in rows] == [str(file)] * 3
    [row] = json.loads(predict("--topk", 99, "--json", model, file).stdout)["predictions"]
    assert [entry["label"] for entry in row["top"]] == [CLASSES[label] for label in order]
    assert row["top"][0] == {"label": row["label"], "probability": row["probability"]}
    assert sum(entry["probability"] for entry in row["top"]) == pytest.approx(1, abs=1e-5)


def test_probabilities_of_every_class(model: Path, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    probabilities = load_model(model).predict_proba(file)[0]
    [row] = table(predict("--probabilities", model, file))
    assert list(row) == ["file", "label", "probability", "reason", *(f"probability_{name}" for name in CLASSES)]
    np.testing.assert_allclose([float(row[f"probability_{name}"]) for name in CLASSES], probabilities, atol=1e-6)
    [answer] = json.loads(predict("--probabilities", "--json", model, file).stdout)["predictions"]
    assert list(answer["probabilities"]) == list(CLASSES)
    np.testing.assert_allclose(list(answer["probabilities"].values()), probabilities, atol=1e-6)


def test_out_writes_a_file_and_tells_the_first_that_are_unreadable(model: Path, tmp_path: Path) -> None:
    picture(tmp_path / "p" / "a.png")
    for number in range(12):
        (tmp_path / "p" / f"{number}.png").write_bytes(b"")
    out = tmp_path / "new" / "o.csv"
    result = predict(model, tmp_path / "p", "--out", out)
    assert result.exit_code == 1
    assert result.stdout == f"{out}: 13 images, 12 of them unreadable.\n"
    assert len(result.stderr.splitlines()) == 11
    assert result.stderr.splitlines()[10] == f"glyphnet: what else cannot be read has its error in {out}."
    with open(out, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["error"] for row in rows] == [*["empty (0 bytes)"] * 12, ""]
    [answer] = table(predict(model, tmp_path / "p" / "a.png"))
    assert {name: rows[-1][name] for name in answer} == answer
    told = json.loads(predict("--json", model, tmp_path / "p" / "a.png", "--out", out, "--overwrite").stdout)
    assert told == {"model": str(model), "file": str(out), "images": 1, "unreadable": 0, "resumed": 0}


def test_after_ctrl_c_it_says_how_to_continue_and_does(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [picture(tmp_path / f"{seed}.png", seed) for seed in range(8)]
    monkeypatch.setattr(predicting, "default_batch_size", lambda _: 2)
    monkeypatch.setattr(writing, "PART_SECONDS", 0.0)
    real, parts = answers.FORMATS[".csv"], 0

    def write(*arguments: object) -> None:
        nonlocal parts
        parts += 1
        if parts == 3:
            raise KeyboardInterrupt
        real.write(*arguments)

    with monkeypatch.context() as interrupting:
        interrupting.setitem(answers.FORMATS, ".csv", real._replace(write=write))
        result = predict(model, *files, "--out", tmp_path / "o.csv")
    assert result.exit_code == 130
    assert result.stderr.splitlines() == [
        f"What is done is kept in {tmp_path}/o.csv.parts. Continue with the same command and --resume.",
        "glyphnet: interrupted",
    ]
    result = predict(model, *files, "--out", tmp_path / "o.csv", "--resume")
    assert (result.exit_code, result.stderr) == (0, "4 images are done.\n")
    assert predict(model, *files, "--out", tmp_path / "unbroken.csv").exit_code == 0
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "unbroken.csv").read_bytes()


def test_reject_says_none_of_these_under_the_threshold(model: Path, tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{seed:02}.png", seed) for seed in range(30)]
    plain, careful = table(predict(model, *files)), table(predict("--reject", "--topk", 2, model, *files))
    kept = {row["file"]: row["label"] for row in reversed(careful)}
    rejected = [file for file, label in kept.items() if label == "none of these"]
    assert 0 < len(rejected) < 30
    for row in plain:
        sure = float(row["probability"]) >= 0.6
        assert kept[row["file"]] == (row["label"] if sure else "none of these")


def test_reject_without_a_threshold_is_a_clear_error(model: Path, tmp_path: Path) -> None:
    loaded = load_model(model)
    parts = {name: getattr(loaded, name) for name in ("network", "spec", "input_shape", "classes", "preprocessing")}
    Classifier(**parts).save(model)
    result = predict("--reject", model, picture(tmp_path / "a.png"))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("glyphnet: This model cannot reject: nothing was measured")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--csv", "--json", "MODEL", "a.png"], 2, "--csv and --json exclude each other"),
        (["--topk", "0", "MODEL", "a.png"], 2, "'--topk': Input should be greater than or equal to 1"),
        (["MODEL"], 2, "issing argument 'PATH...'"),
        (["--out", "o.csv", "--csv", "MODEL", "a.png"], 2, "--out says by its ending what is written: leave out --csv"),
        (["--resume", "MODEL", "a.png"], 2, "--resume continues a file: name it by --out"),
        (
            ["--out", "o.xlsx", "MODEL", "a.png"],
            1,
            "a .parquet or .csv or .json file is written",
        ),
        (["nowhere.safetensors", "a.png"], 1, "nowhere.safetensors: there is no such file"),
        (["--device", "tpu9", "MODEL", "a.png"], 1, "The device 'tpu9' cannot be used"),
    ],
)
def test_wrong_usage(model: Path, words: list[str], status: int, message: str) -> None:
    result = predict(*(str(model) if word == "MODEL" else word for word in words))
    assert result.exit_code == status
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_picture_in_place_of_the_model_is_named(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    result = predict(file, file)
    assert result.exit_code == 1
    assert "a.png: looks like a PNG image; a .safetensors file that GlyphNet wrote is needed" in result.stderr


def test_on_a_terminal_there_is_a_table_and_no_markup_is_obeyed(onnx_model: Path, tmp_path: Path) -> None:
    for seed in range(8):
        picture(tmp_path / "p" / f"[bold]{seed}[/bold]\x1b[31m.png", seed)
    main, terminal = pty.openpty()
    process = forking.Popen(
        [sys.executable, "-m", "glyphnet", "predict", "--topk", "4", onnx_model, "p"],
        cwd=tmp_path,
        stdout=terminal,
        env=os.environ | {"COLUMNS": "100", "TERM": "xterm"},
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # how Linux says that the terminal is closed
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait() == 0
    text = shown.decode()
    assert "probability" in text
    assert "p/[bold]3[/bold]\\x1b[31m.png" in text
    assert "[red]four[/red]" in text
    assert "%" in text


def test_files_stream_by_batch(model: Path, tmp_path: Path) -> None:
    file = str(picture(tmp_path / "a.png"))
    classifier = load_model(model)
    taken = 0

    def paths():
        nonlocal taken
        while True:  # more than any memory holds
            taken += 1
            yield file

    predictions = predict_files(classifier, paths(), lambda _: None)
    for _ in range(1500):
        assert next(predictions).file == file
    ahead = (2 * parallel.WORKERS + 2) * predicting.BLOCK_PICTURES
    assert 1536 <= taken <= 1536 + ahead  # three batches of 512, and what is decoded meanwhile


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "b" / "2.png")
    (tmp_path / "b").chmod(0)
    if os.access(tmp_path / "b", os.R_OK):  # root may read all: refuse by other means
        real = os.listdir

        def listdir(path: str) -> list[str]:
            if path.endswith("/b"):
                raise PermissionError(13, "Permission denied", path)
            return real(path)

        monkeypatch.setattr(os, "listdir", listdir)
    errors: list[BadFileError] = []
    assert list(image_files([str(tmp_path)], errors.append)) == [f"{tmp_path}/a/1.png"]
    assert str(errors[0]) == f"{tmp_path}/b: cannot be listed (Permission denied). Change its permissions."
    (tmp_path / "b").chmod(0o755)


def test_one_prediction_loads_nothing_that_it_does_not_need(model: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from glyphnet.cli import main\n"
        "try: main()\n"
        "finally: print([name for name in ('sklearn', 'scipy', 'matplotlib', 'pandas', 'pyarrow', 'rich', "
        "'yaml', 'jinja2', 'sympy', 'torch._dynamo', 'torch._inductor') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, "predict", model, picture(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-1] == "[]"
