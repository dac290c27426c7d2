"""A studio on a free port, in a thread, and clients that say exactly what they are told to."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
from glyphnet.serving import listen
from glyphnet.studio import Folder, StudioServer


def png(seed: int, size: int = 12) -> bytes:
    """A picture like no other seed's."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


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
    def error(self) -> str:
        return self.json["error"]


@dataclass
class Client:
    """Asks a studio, a new connection for each question."""

    port: int
    token: str
    root: Path
    server: StudioServer | None = None

    def ask(self, method: str, path: str, body: bytes | None = None, *, whole: str | None = None, **headers) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, whole or f"/{self.token}/{path}", body, names)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, value: Any = None, **headers) -> Answer:
        return self.ask("POST", path, json.dumps(value or {}).encode(), Content_Type="application/json", **headers)

    def add(self, query: str, *files: tuple[str, bytes], **headers) -> Answer:
        body, kind = multipart(files)
        return self.ask("POST", f"api/add{query}", body, Content_Type=kind, **headers)

    def state(self) -> dict[str, Any]:
        return self.get("api/state").json

    def counts(self) -> dict[str, int]:
        return {each["name"]: each["count"] for each in self.state()["classes"]}

    def pictures(self, name: str | None, query: str = "") -> list[dict[str, Any]]:
        which = "tray=1" if name is None else f"class={quote(name)}"
        return self.get(f"api/pictures?{which}{query}").json["pictures"]

    def ids(self, name: str | None) -> list[str]:
        return [each["id"] for each in self.pictures(name)]

    def fill(self, name: str | None, seeds: Sequence[int]) -> list[str]:
        """Pictures of a new class, or of the tray; their ids."""
        if name is not None:
            self.post("api/classes", {"name": name})
        query = "?tray=1" if name is None else f"?class={quote(name)}"
        return self.add(query, *(("blob", png(seed)) for seed in seeds)).json["added"]

    def wait(self, of: Callable[[dict[str, Any]], Any], seconds: float = 120) -> Any:
        """The first true answer of ``of`` to the state."""
        end = time.monotonic() + seconds
        while not (found := of(self.state())):
            assert time.monotonic() < end, self.state()
            time.sleep(0.1)
        return found

    def job(self, id: str) -> dict[str, Any]:
        """A job, once it has ended."""
        return self.wait(
            lambda state: next((j for j in state["jobs"] if j["id"] == id and j["status"] != "running"), None)
        )

    def run(self, name: str) -> dict[str, Any]:
        """A training, once it has ended."""
        return self.wait(
            lambda state: next((r for r in state["runs"] if r["name"] == name and r["status"] != "running"), None)
        )

    @contextmanager
    def events(self) -> Iterator[Callable[[str], Any]]:
        """Open the stream; the function waits for the next event of a name, and returns its value."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"/{self.token}/api/events")
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")

        def next_of(name: str) -> Any:
            while line := response.readline():
                if line == f"event: {name}\n".encode():
                    return json.loads(response.readline().removeprefix(b"data: "))
            raise AssertionError("the stream has ended")

        try:
            yield next_of
        finally:
            connection.close()


def multipart(files: Sequence[tuple[str, bytes]]) -> tuple[bytes, str]:
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


@contextmanager
def studio(root: Path) -> Iterator[Client]:
    server = StudioServer(Folder(root), listen("127.0.0.1", 0))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,), daemon=True)
    thread.start()
    assert ready.wait(30), "the studio did not start"
    try:
        yield Client(server.port, server.token, root, server)
    finally:
        server.stop()
        thread.join(30)
    assert not thread.is_alive(), "the studio did not stop"


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[Client]:
    """One studio for all tests of a file; each test makes classes of its own."""
    with studio(tmp_path_factory.mktemp("studio") / "folder") as client:
        yield client
