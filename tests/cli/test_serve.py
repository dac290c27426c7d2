"""``glyphnet serve``: what it says when it starts, what it refuses, and what it says without its extra."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from glyphnet.classifier import Classifier
from glyphnet.cli import app
from glyphnet.errors import MissingExtraError
from glyphnet.nn import Preprocessing, build, parse_network
from glyphnet.settings import SettingsError

from .. import forking

pytest.importorskip("fastapi")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    spec = parse_network("linear")
    with torch.random.fork_rng(devices=[]):
        network = build(spec, (8, 8, 1), 3)
    Classifier(network, spec, (8, 8, 1), ("a", "b", "c"), Preprocessing(mean=(0.5,), std=(0.3,))).save(
        tmp_path / "m.safetensors"
    )
    return tmp_path / "m.safetensors"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["serve", *words])


def test_it_says_where_it_is_and_logs_when_asked(model):
    command = [sys.executable, "-m", "glyphnet", "serve", str(model), "--port", "0", "--json", "--access-log"]
    command += ["--limit", "notice_seconds=0", "--allow-host", "digits.example"]
    with forking.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:
        assert "no calibration for sets" in served.stderr.readline()  # the model was never calibrated
        line = served.stderr.readline()
        assert line.startswith("Serving m.safetensors on http://127.0.0.1:"), line
        address = line.split()[-1]
        request = urllib.request.Request(f"{address}/healthz", headers={"Host": "digits.example"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer) == {"status": "ok"}
        served.send_signal(signal.SIGTERM)
        out, said = served.communicate(timeout=15)
    assert served.returncode == 0
    assert json.loads(out) == {"model": "m.safetensors", "address": address}
    [logged] = said.splitlines()
    assert " 127.0.0.1 GET /healthz 200 " in logged


def test_a_port_that_is_taken(model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = run(str(model), "--port", str(taken.getsockname()[1]))
    assert found.exit_code == 1
    assert "in use" in str(found.output) + str(found.exception)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("queue", '"queue" is not a limit: write NAME=VALUE, as in queue=64.'),
        ("queues=3", 'limit: unknown setting "queues"; did you mean "queue"?'),
        ("queue=0", "limit: queue='0' must be greater than or equal to 1"),
        ("queue=many", "limit: queue='many' must be a whole number"),
    ],
)
def test_wrong_limits(limit, message):
    from glyphnet.serving import parse_limits

    with pytest.raises(SettingsError) as caught:
        parse_limits([limit])
    assert str(caught.value).startswith(message)


def test_the_help_names_every_limit():
    from glyphnet.serving import Limits

    text = " ".join(run("--help").output.split())
    for name in Limits.model_fields:
        assert name in text, name


def test_no_such_host_and_no_such_model(model, tmp_path):
    found = run(str(model), "--host", "no.such.host.invalid", "--port", "0")
    assert found.exit_code == 1
    assert "is not an address to listen on" in str(found.output) + str(found.exception)
    found = run(str(tmp_path / "none.safetensors"), "--port", "0")
    assert found.exit_code == 1
    assert "there is no such file" in str(found.output) + str(found.exception)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    import glyphnet.serving

    monkeypatch.setitem(sys.modules, "fastapi", None)
    for name in [name for name in sys.modules if name.startswith("glyphnet.serving.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(glyphnet.serving, "server", raising=False)
    with pytest.raises(MissingExtraError) as caught:
        glyphnet.serving.Server  # noqa: B018
    assert str(caught.value) == 'Serving a model needs an optional part. Install it with: pip install "glyphnet[serve]"'


def test_an_onnx_file_is_served_without_torch(model, tmp_path):
    pytest.importorskip("onnxruntime")
    from glyphnet.classifier import load_model
    from glyphnet.export import export

    export(load_model(model), tmp_path / "m.onnx")
    code = (
        "import sys; from glyphnet.serving import load; from glyphnet.serving.server import Server; "
        f"model = load({str(tmp_path / 'm.onnx')!r}); print('torch' in sys.modules, len(model.page) > 1000)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False True"
