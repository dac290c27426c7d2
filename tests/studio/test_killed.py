"""Server and trainings are killed at random points: nothing answered is lost, and a run ends as if never killed."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
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

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
from glyphnet.data.corrections import read_decisions
from glyphnet.studio import Folder

from ..processes import wait_for
from .conftest import Client, png

pytestmark = pytest.mark.slow

POINTS = 30


@contextmanager
def forks(script: str = "forks.py") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).with_name(script))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
            process.stdin.close()
        except BaseException:  # a fork is alive, and would be waited for
            os.killpg(process.pid, signal.SIGKILL)
            raise


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
            some = chance.randrange(20)  # a number, not a time: quick machines would empty the tray
            wait_for(lambda now=now, some=some: len(now) >= some)
            time.sleep(chance.uniform(0, 0.01))
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
    folder = Folder(tmp_path)
    assert len(folder.journal.undoable) > POINTS // 3, "what was done before a kill can be taken back after it"
    decided = len(pictures(tmp_path)) - len(list((tmp_path / "unlabelled").iterdir()))
    for count, _ in enumerate([*folder.journal.undoable], 1):
        folder.undo()
        assert len(pictures(tmp_path)) - len(list((tmp_path / "unlabelled").iterdir())) == decided - count
    folder.close()
    assert sorted(pictures(tmp_path).values()) == whole
    left = {decision.file for decision in read_decisions(tmp_path / "labels.csv")}
    assert left <= {id for id in pictures(tmp_path) if not id.startswith("unlabelled/")}


EPOCHS = 40


def bar(upright: bool, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 90, (12, 12), dtype=np.uint8)
    line = pixels[:, 3 + seed % 6] if upright else pixels[3 + seed % 6]
    line += 150
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def sound(run: Path) -> None:
    """Every file of a run that was killed is whole."""
    for path in (run / "studio.json", run / "progress.json", *(run / "epochs").glob("*.json")):
        if path.exists():
            json.loads(path.read_bytes())
    if (run / "history.csv").exists():
        rows = [line.split(",") for line in (run / "history.csv").read_text().splitlines()]
        assert {len(row) for row in rows} == {len(rows[0])}


def epochs_of(run: Path) -> int:
    """How many epochs the checkpoint of a run has behind it; its curves are written once a second at most."""
    if not (run / "checkpoint.safetensors").exists():
        return 0
    content = (run / "checkpoint.safetensors").read_bytes()
    head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return int(dict(json.loads(head["__metadata__"]["glyphnet"])["state"]["dict"])["epoch"])


def losses(run: Path) -> list[str]:
    if not (run / "history.csv").exists():
        return []
    return [",".join(line.split(",")[:5]) for line in (run / "history.csv").read_text().splitlines()]


def test_a_training_that_is_killed_again_and_again_ends_as_one_that_never_was(tmp_path: Path) -> None:
    for number in range(60):
        path = tmp_path / "ab"[number % 2] / f"{number:05d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bar(bool(number % 2), number))
    Folder(tmp_path).close()
    chance = random.Random(3)
    with forks("trainings.py") as process:

        def train(name: str, **more: object) -> int:
            """Train until the end or the kill; the status."""
            (tmp_path / "runs" / name).mkdir(exist_ok=True)
            (tmp_path / "runs" / name / "train.log").touch()  # as what starts the process makes it
            request = json.dumps({"preset": "balanced", "epochs": EPOCHS, **more})
            process.stdin.write(f"{tmp_path}\t{name}\t{request}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        assert train("whole") == 0
        run, grown = tmp_path / "runs" / "broken", 0
        for number in range(POINTS):  # a number of steps or files, not a time: so far on every machine
            point = ("step", chance.randint(1, 3)) if number % 2 else ("write", chance.randint(1, 14))
            assert train("broken", resume=number > 0, killed=point) == -signal.SIGKILL
            sound(run)
            grown += (epoch := epochs_of(run)) > 2
        assert 2 < epoch < EPOCHS, "the kills should lie in the whole of the training"
        assert grown > POINTS // 2
        assert train("broken", resume=True) == 0
    assert losses(run) == losses(tmp_path / "runs" / "whole")
    assert json.loads((run / "studio.json").read_bytes())["status"] == "finished"
    for name in ("predictions.csv", "model.safetensors"):
        assert (run / name).exists()
