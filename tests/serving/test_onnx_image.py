"""The image for ONNX models: what it installs is what serving one imports, and no more."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from glyphnet.classifier import load_model
from glyphnet.export.export import export

ROOT = Path(__file__).parents[2]
INSTALLED = [
    line for line in (ROOT / "docker" / "onnx.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
]

# Python imports this at its start, in the service and in the processes that it starts.
SITECUSTOMIZE = """
import sys
from importlib.machinery import PathFinder

class OnlyWhatIsInstalled(PathFinder):
    BLOCKED, KNOWN = {blocked!r}, {known!r}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if path is None and name in cls.BLOCKED:
            return None
        if name in cls.KNOWN:
            with open({log!r}, "a") as log:
                log.write(name + "\\n")
        return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = OnlyWhatIsInstalled
"""
# A package that brings modules into the folder of another is known by one of its own.
MODULES = {"protobuf": {"google", "google.protobuf"}}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def modules() -> dict[str, set[str]]:
    """Package → the modules that it brings, for all that are installed here."""
    found: dict[str, set[str]] = {}
    for module, packages in metadata.packages_distributions().items():
        for package in packages:
            found.setdefault(canonical(package), set()).add(module)
    return found | MODULES


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Path]]:
    """The address of a service that can import only what the image has; its model; the modules that it imports."""
    folder = tmp_path_factory.mktemp("image")
    here, log = modules(), folder / "imported.txt"
    known = {module for package in INSTALLED for module in here[package]}
    blocked = {module for package, names in here.items() for module in names if package != "glyphnet"} - known
    assert {"torch", "onnx", "yaml", "requests", "matplotlib", "sklearn", "rich"} <= blocked
    text = SITECUSTOMIZE.format(blocked=blocked, known=known, log=str(log))
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
    model = folder / "digits.onnx"
    export(load_model(ROOT / "tests" / "models" / "digits-version-1.safetensors"), model)
    paths = os.pathsep.join([str(folder), str(ROOT / "src")])
    limits = ("--limit", "notice_seconds=0", "--limit", "decode_seconds=30")  # the machine may be busy
    command = [sys.executable, "-m", "glyphnet", "serve", str(model), "--port", "0", *limits]
    (folder / "home").mkdir()
    inherited = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = inherited | {"PYTHONPATH": paths, "HOME": str(folder / "home")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as run:
        said = []
        while run.poll() is None and not (said and said[-1].startswith("Serving ")):
            said.append(run.stderr.readline())
        assert run.poll() is None, "".join(said) + run.stderr.read()
        try:
            yield said[-1].split()[-1], model, log
        finally:
            run.send_signal(signal.SIGTERM)
            run.communicate(timeout=30)
    assert run.returncode == 0
    left = [path for path in (folder / "home").rglob("*") if path.is_file()]
    assert left == [], "ONNX Runtime keeps what it reports of its use there"


def ask(address: str, path: str, body: bytes | None = None, type: str = "image/png") -> bytes:
    request = urllib.request.Request(address + path, data=body, headers={"Content-Type": type} if body else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}, {type}: {error.read().decode()}") from error
    return content


def encoded(image: Image.Image, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def label(answer: bytes) -> Any:
    [prediction] = json.loads(answer)["predictions"]
    return prediction["label"]


def drawing(side: int) -> Image.Image:
    """A one, as a person draws it."""
    image = Image.new("L", (side, side), 255)
    width = max(1, side // 12)
    ImageDraw.Draw(image).line([(side * 0.55, side * 0.15), (side * 0.5, side * 0.85)], fill=0, width=width)
    return image


def test_it_serves_without_torch_and_with_nothing_that_is_not_installed(served: tuple[str, Path, Path]) -> None:
    address, model, _ = served
    classifier = load_model(ROOT / "tests" / "models" / "digits-version-1.safetensors")
    for image in (drawing(28), drawing(500), drawing(900).convert("RGB")):
        expected = classifier.predict([np.asarray(image)])[0]
        assert label(ask(address, "/predict", encoded(image))) == expected
        assert label(ask(address, "/predict", encoded(image, "TIFF"), "image/tiff")) == expected
        assert label(ask(address, "/predict", encoded(image, "JPEG"), "image/jpeg")) is not None
    text = json.dumps({"images": [base64.b64encode(encoded(drawing(28))).decode()]}).encode()
    assert label(ask(address, "/predict", text, "application/json")) == classifier.predict([np.asarray(drawing(28))])[0]
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    form += encoded(drawing(28)) + b"\r\n--x--\r\n"
    assert label(ask(address, "/predict", form, "multipart/form-data; boundary=x")) is not None
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/playground", "/healthz", "/readyz"):
        assert ask(address, path)
    assert model.exists()


def test_everything_that_it_installs_is_imported(served: tuple[str, Path, Path]) -> None:
    test_it_serves_without_torch_and_with_nothing_that_is_not_installed(served)
    here, imported = modules(), set(served[2].read_text(encoding="utf-8").split())
    unused = [package for package in INSTALLED if not here[package] & (imported - {"google"})]
    assert unused == []


def test_its_versions_are_those_of_the_constraints() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert [name for name in INSTALLED if not re.search(rf"^{re.escape(name)}==", pinned, re.MULTILINE)] == []
    assert sorted(INSTALLED) == INSTALLED
