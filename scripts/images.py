"""Build both images, serve a model with each as it is told in their Dockerfiles, and print their sizes.

Needs Docker. Nothing is pushed anywhere. The small image must stay below its goal of 300 MB.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image

from glyphnet.classifier import load_model
from glyphnet.export import export

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "tests" / "models" / "digits-version-1.safetensors"
GOAL = 300_000_000  # bytes of the small image, unpacked
PORT = 8765


def docker(*words: str) -> str:
    """Run Docker in the project's folder; its output."""
    print("$ docker", *words, flush=True)
    return subprocess.run(["docker", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def build(tag: str, file: str) -> int:
    """Build an image; its size in bytes."""
    index = os.environ.get("PIP_EXTRA_INDEX_URL", "")
    docker("build", "--build-arg", f"PIP_EXTRA_INDEX_URL={index}", "-f", file, "-t", tag, ".")
    return int(docker("image", "inspect", "--format", "{{.Size}}", tag))


def serve(tag: str, model: Path) -> str:
    """The label that a container gives for a picture."""
    mounts = ("-v", f"{model}:/model{model.suffix}:ro")
    name = docker("run", "-d", "--rm", "--read-only", "--tmpfs", "/tmp", "-p", f"127.0.0.1:{PORT}:8000", *mounts, tag)
    try:
        file = io.BytesIO()
        Image.new("L", (28, 28)).save(file, "PNG")
        request = urllib.request.Request(
            f"http://127.0.0.1:{PORT}/predict", file.getvalue(), {"Content-Type": "image/png"}
        )
        for _ in range(60):
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    label: str = json.load(answer)["predictions"][0]["label"]
                    return label
            except OSError:  # not ready yet
                time.sleep(1)
        raise SystemExit(f"images: {tag} does not answer within a minute:\n{docker('logs', name)}")
    finally:
        docker("stop", name)


def main() -> None:
    """Build, try, measure."""
    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder) / "model.onnx"
        export(load_model(MODEL), onnx)
        onnx.chmod(0o644)
        Path(folder).chmod(0o755)
        for tag, file, model in (("glyphnet", "Dockerfile", MODEL), ("glyphnet-onnx", "docker/onnx.Dockerfile", onnx)):
            size = build(tag, file)
            print(f"{tag}: {size / 1e6:,.0f} MB; it answers {serve(tag, model)!r}.")
            if tag == "glyphnet-onnx" and size > GOAL:
                raise SystemExit(f"images: {tag} takes {size / 1e6:,.0f} MB, and {GOAL / 1e6:.0f} MB is its goal.")


if __name__ == "__main__":
    main()
