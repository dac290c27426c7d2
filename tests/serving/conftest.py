"""A small model in service on a free port, in a thread, and clients that say exactly what they are told to."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from glyphnet.classifier import Classifier, load_model
from glyphnet.modelfile import Provenance
from glyphnet.nn import Preprocessing, build, parse_network

pytest.importorskip("fastapi")
from glyphnet.serving import Limits, Server, listen, load

from ..knowing import knowing


def in_thread(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What asynchronous work gives: in a thread of its own, for in the tests' own the browser's event loop may run."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


CLASSES = ("zero", "größe 数字", "<script>alert(1)</script>", "</script><b>", "five \N{SNOWMAN}")


@pytest.fixture(scope="module", autouse=True)
def forked_decoders(forked_children: None) -> None:
    """Each service waits until those that decode its pictures are ready: three, that take a second each to start."""


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    """A network that has learned nothing, with answers that differ from image to image."""
    spec = parse_network("mlp")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = build(spec, (8, 8, 1), len(CLASSES))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    judged = {"accuracy": 0.5, "interval": [0.4, 0.6], "n": 99, "judged_on": "/home/ann/secret/scans, test part"}
    classifier = Classifier(
        network, spec, (8, 8, 1), CLASSES, Preprocessing(mean=(0.5,), std=(0.3,)), threshold=0.5, metrics=judged,
        **knowing(network), provenance=Provenance(data="/home/ann/secret/scans"),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("served") / "model.safetensors"
    classifier.save(path)
    return path


@pytest.fixture(scope="session")
def classifier(model_file):
    return load_model(model_file)


@pytest.fixture(scope="session")
def loaded(model_file):
    return load(model_file)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


@dataclass
class Client:
    """Asks a service, a new connection for each question."""

    port: int
    opened: list[socket.socket] = field(default_factory=list)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            return self.answer_of(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def predict(self, body: bytes, kind: str = "image/png", query: str = "", **headers: str) -> Answer:
        return self.ask("POST", f"/predict{query}", body, Content_Type=kind, **headers)

    def connect(self, first: bytes = b"") -> socket.socket:
        """A bare connection, on which something was said."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.opened.append(connection)
        connection.sendall(first)
        return connection

    @staticmethod
    def answer_of(response: http.client.HTTPResponse) -> Answer:
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    @classmethod
    def heard(cls, connection: socket.socket) -> Answer:
        """The answer on a bare connection."""
        response = http.client.HTTPResponse(connection)
        response.begin()
        return cls.answer_of(response)

    def figure(self, name: str) -> float:
        """A figure of ``/metrics``, summed over its labels."""
        lines = self.get("/metrics").body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].split(" ")[0] == name)


@contextmanager
def service(model, **options: Any):
    limits = {name: options.pop(name) for name in list(options) if name in Limits.model_fields}
    server = Server(model, listen("127.0.0.1", 0), Limits(**{"notice_seconds": 0, "decoders": 1, **limits}), **options)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,), daemon=True)
    thread.start()
    assert ready.wait(20), "the service did not start"
    client = Client(server.port)
    try:
        yield client
    finally:
        for connection in client.opened:
            connection.close()
        server.stop()
        thread.join(15)
    assert not thread.is_alive(), "the service did not stop"


@pytest.fixture(scope="session")
def client(loaded):
    """One service for all tests that need no limits of their own."""
    with service(loaded, decode_seconds=20) as client:
        yield client


@pytest.fixture
def serve(loaded):
    """``with serve(queue=4) as client:``."""
    return lambda **options: service(options.pop("model", loaded), **options)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.reshape(pixels.shape[:2]) if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def multipart(parts: list[bytes], name: str = "image") -> tuple[bytes, str]:
    lines = b"".join(
        b'--xyz\r\nContent-Disposition: form-data; name="%s"; filename="../../etc/passwd"\r\n\r\n%s\r\n'
        % (name.encode(), part)
        for part in parts
    )
    return lines + b"--xyz--\r\n", "multipart/form-data; boundary=xyz"
