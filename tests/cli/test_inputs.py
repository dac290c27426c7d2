"""Whatever an option reads is a regular file: a pipe or an endless device is refused, and never waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .. import forking

MODEL = Path(__file__).parents[1] / "models" / "digits-version-1.safetensors"
RUN = """
import sys
from typer.testing import CliRunner
from glyphnet.cli import app
for line in sys.stdin.read().splitlines():
    found = CliRunner().invoke(app, line.split("\\t"))
    print(found.exit_code, " ".join(found.output.split()), sep="\\t", flush=True)
"""
KINDS = ("x", "x.csv", "x.npy", "x.npz", "x.parquet", "x.mat", "x.h5", "x.zip", "x.idx", "x.png", "x.tga")
OTHERS = ("x.yaml", "x.safetensors", "x.onnx", "classes/a/x.png", "arrays/images.npy", "arrays/labels.npy",
)  # fmt: skip


def commands(at: Path) -> list[list[str | Path]]:
    """A command for each option that reads: its file is a pipe or a device in the folder."""
    table, models = at / "x.csv", (at / "x.safetensors", at / "x.onnx")
    return [
        *(["data", at / name] for name in (*KINDS, "arrays")),
        *(["predict", MODEL, at / name] for name in (*KINDS, "classes/a")),
        *([verb, "digits", "--recipe", at / "x.yaml"] for verb in ("train", "tune")),
        *([verb, "digits", option, table] for verb in ("train", "tune", "compare", "data")
          for option in ("--labels", "--group-by")),
        *([verb, at / "x.npy"] for verb in ("train", "tune", "compare")),
        ["train", at / "classes"],
        *([verb, model, *more] for model in models for verb, more in
          (("evaluate", ["digits"]), ("predict", [table]), ("explain", ["--weights"]), ("export", []))),
        ["serve", at / "x.safetensors"],
        ["evaluate", MODEL, at / "x.npz"],
        ["explain", MODEL, at / "x.png"],
        ["explain", MODEL, "--data", at / "x.npz"],
        ["compare", "digits", "--models", at / "x.safetensors", MODEL],
    ]  # fmt: skip


def test_pipes_and_devices_are_refused_wherever_a_file_is_read(tmp_path: Path) -> None:
    words = []
    for kind in ("pipe", "device"):
        for path in (tmp_path / kind / name for name in (*KINDS, *OTHERS)):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.mkfifo(path) if kind == "pipe" else os.symlink("/dev/zero", path)
        (tmp_path / kind / "classes" / "b").mkdir()
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / kind / "classes" / "b" / "1.png")
        words += commands(tmp_path / kind)
    lines = "\n".join("\t".join(map(str, each)) for each in words)
    try:
        ran = forking.run(
            [sys.executable, "-c", RUN], input=lines, capture_output=True, text=True, cwd=tmp_path, timeout=120
        )
    except subprocess.TimeoutExpired as hang:
        pytest.fail(f"waits for ever: {words[len((hang.stdout or b'').splitlines())]}")
    answers = [line.split("\t", 1) for line in ran.stdout.splitlines()]
    assert len(answers) == len(words), ran.stderr
    for command, (code, said) in zip(words, answers, strict=True):
        assert code == "1", (command, said)
        assert "not a regular file" in said, command
