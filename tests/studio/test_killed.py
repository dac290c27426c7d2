"""The server is killed, at random points between and during decisions, and nothing that was answered is lost."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
from glyphnet.data.corrections import read_decisions

from .conftest import Client, png

POINTS = 30


@contextmanager
def forks() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).with_name("forks.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


def opened(process: subprocess.Popen[str], root: Path) -> tuple[Client, int]:
    process.stdin.write(f"{root}\n")
    process.stdin.flush()
    told = json.loads(process.stdout.readline())
    return Client(told["port"], told["token"], root), told["pid"]


def decide_until_killed(client: Client, ids: list[str], answered: dict[str, str]) -> None:
    """Alternate between two classes, skips and undos, over one connection; note what was answered."""
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
    with contextlib.suppress(OSError, http.client.HTTPException):
        for number, id in enumerate(ids):
            value = {"id": id, "label": "ab"[number % 2]}
            connection.request("POST", f"/{client.token}/api/decide", json.dumps(value))
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            answered[id] = json.loads(body)["id"]
    connection.close()


def pictures(root: Path) -> dict[str, str]:
    """Every picture outside the trash, with the hash of its content."""
    found = (path for top in ("unlabelled", "a", "b") for path in (root / top).iterdir())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_nothing_answered_is_lost_by_a_kill(tmp_path: Path) -> None:
    for name in ("unlabelled", "a", "b"):
        (tmp_path / name).mkdir()
    for number in range(900):
        (tmp_path / "unlabelled" / f"{number:05d}.png").write_bytes(png(number, 4))
    whole = sorted(pictures(tmp_path).values())
    answered: dict[str, str] = {}
    chance, killed_within = random.Random(7), 0
    with forks() as process:
        for _ in range(POINTS):
            client, pid = opened(process, tmp_path)
            before = pictures(tmp_path)
            waiting = sorted(id for id in before if id.startswith("unlabelled/"))
            assert waiting, "the tray is empty: more pictures are needed"
            now: dict[str, str] = {}
            worker = threading.Thread(target=decide_until_killed, args=(client, waiting, now))
            worker.start()
            time.sleep(chance.uniform(0, 0.3))
            os.kill(pid, signal.SIGKILL)
            worker.join()
            after = pictures(tmp_path)
            killed_within += bool(now)
            answered |= now
            assert sorted(after.values()) == whole, "a picture is lost, or there twice"
            for id, new in now.items():
                assert after.get(new) == before[id], f"{id} was answered as {new}, and is not there"
    assert killed_within > POINTS // 3, "the kills came before any decision"
    recorded = [decision.file for decision in read_decisions(tmp_path / "labels.csv")]
    assert {*answered.values()} <= {*recorded}
    assert len(recorded) == len({*recorded})
    assert not list(tmp_path.rglob(".unfinished-*/*"))
