"""A model hub on this machine: the endpoints of Hugging Face that pushing and pulling one model use."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_" + "x" * 34


@dataclass
class Hub:
    """Its repositories, by name: files by path, for each commit; and what it was asked."""

    address: str = ""
    repositories: dict[str, list[dict[str, bytes]]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)  # by SHA-256, as LFS keeps them
    asked: list[tuple[str, str]] = field(default_factory=list)
    told_size: int | None = None  # what it says of the size of a file, where that is not the truth

    told_sha256: str | None = None  # likewise of its content

    def files(self, name: str) -> dict[str, bytes]:
        return self.repositories[name][-1]


def commit_id(name: str, number: int) -> str:
    return hashlib.sha1(f"{name} {number}".encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path = self.path.partition("?")[0]
        self.hub.asked.append((self.command, path))
        for pattern, answer in ROUTES:
            if match := re.fullmatch(pattern, f"{self.command} {path}"):
                answer(self, body, *match.groups())
                return
        self._send(404, {"error": f"no such endpoint: {self.command} {path}"})

    def _send(self, status: int, content: Any = None, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _known(self, name: str) -> bool:
        """Whether the one who asks may see the repository; else it is answered as the hub does."""
        if name in self.hub.repositories and (not self.hub.private[name] or self._has_token()):
            return True
        self._send(401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        return False

    def _has_token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        if not self._has_token():
            self._send(401, {"error": "Invalid username or password."})
            return
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        if name in self.hub.repositories:
            self._send(409, {"error": "You already created this model repo", "url": f"{self.hub.address}/{name}"})
            return
        self.hub.repositories[name] = [{}]
        self.hub.private[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
        self._send(200, {"url": f"{self.hub.address}/{name}", "name": name, "id": name})

    def info(self, body: bytes, name: str) -> None:
        if self._known(name):
            files = [{"rfilename": path} for path in self.hub.files(name)]
            number = len(self.hub.repositories[name]) - 1
            self._send(200, {"id": name, "modelId": name, "sha": commit_id(name, number), "siblings": files})

    def tree(self, body: bytes, name: str) -> None:
        if self._known(name):
            files = self.hub.files(name)
            self._send(200, [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for path, content in files.items()
            ])  # fmt: skip

    def preupload(self, body: bytes, name: str) -> None:
        if self._known(name):
            files = json.loads(body)["files"]
            modes = {each["path"]: "lfs" if each["path"].endswith(".safetensors") else "regular" for each in files}
            told = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()]
            self._send(200, {"files": told})

    def lfs(self, body: bytes, name: str) -> None:
        objects = json.loads(body)["objects"]
        self._send(200, {"transfer": "basic", "objects": [
            {**each, "actions": {"upload": {"href": f"{self.hub.address}/lfs/{each['oid']}", "header": {}}}}
            for each in objects
        ]})  # fmt: skip

    def upload(self, body: bytes, oid: str) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.large[oid] = body
        self._send(200, {})

    def validate(self, body: bytes) -> None:
        self._send(200, {"errors": [], "warnings": []})

    def commit(self, body: bytes, name: str) -> None:
        if not self._known(name):
            return
        files = dict(self.hub.files(name))
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                files[line["value"]["path"]] = self.hub.large[line["value"]["oid"]]
        self.hub.repositories[name].append(files)
        oid = commit_id(name, len(self.hub.repositories[name]) - 1)
        self._send(200, {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.address}/{name}/commit/{oid}"})

    def resolve(self, body: bytes, name: str, revision: str, path: str) -> None:
        if not self._known(name):
            return
        commits = self.hub.repositories[name]
        numbers = {commit_id(name, number): number for number in range(len(commits))} | {"main": len(commits) - 1}
        if revision not in numbers:
            self._send(404, {"error": f"Invalid rev id: {revision}"}, X_Error_Code="RevisionNotFound")
            return
        files = commits[numbers[revision]]
        if path not in files:
            self._send(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
            return
        content, told = files[path], self.hub.told_size
        size = str(len(content) if told is None else told)
        self._send(
            200, content, ETag=f'"{self.hub.told_sha256 or hashlib.sha256(content).hexdigest()}"', X_Linked_Size=size,
            X_Repo_Commit=commit_id(name, numbers[revision]), Content_Length=str(len(content)),
        )  # fmt: skip


NAME = r"([\w.-]+/[\w.-]+)"
ROUTES = (
    (r"POST /api/repos/create", Handler.create),
    (rf"GET /api/models/{NAME}(?:/revision/main)?", Handler.info),
    (rf"GET /api/models/{NAME}/tree/main", Handler.tree),
    (rf"POST /api/models/{NAME}/preupload/main", Handler.preupload),
    (rf"POST /{NAME}\.git/info/lfs/objects/batch", Handler.lfs),
    (r"PUT /lfs/(\w+)", Handler.upload),
    (r"POST /api/validate-yaml", Handler.validate),
    (rf"POST /api/models/{NAME}/commit/main", Handler.commit),
    (rf"(?:GET|HEAD) /{NAME}/resolve/([\w.%-]+)/(.+)", Handler.resolve),
)


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A hub that listens on a free port of this machine until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Serving", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
