"""What a student does on Windows, in one process with the stand-in of `windows`: run by tests/test_windows.py."""

from __future__ import annotations

import io
import json
import os
import pkgutil
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TOLD: dict[str, object] = {}


def command(*words: str, encoding: str = "cp1252") -> tuple[int, str]:
    """Status and standard output of a command, written as a console or a pipe of that encoding takes it."""
    from typer.main import get_command

    from glyphnet.cli import app

    before, raw = sys.stdout, io.BytesIO()
    sys.stdout = io.TextIOWrapper(raw, encoding=encoding, newline="\r\n")
    try:
        get_command(app).main(list(words))
    except SystemExit as ended:
        sys.stdout.flush()
        return int(ended.code or 0), raw.getvalue().decode(encoding)
    finally:
        sys.stdout = before
    raise AssertionError("a command ends by SystemExit")


def import_everything() -> None:
    import glyphnet

    for module in pkgutil.walk_packages(glyphnet.__path__, "glyphnet."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    TOLD["modules"] = sum(name.startswith("glyphnet") for name in sys.modules)


def make_pictures(folder: Path) -> None:
    """Bars, in classes whose names no code page has; one picture is a TIFF, which a child process decodes."""
    random = np.random.default_rng(1)
    for name, turned in (("größe", False), ("数字", True)):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(0, 60, (12, 12), dtype=np.uint8)
            pixels[:, 4:7] = 250
            image = Image.fromarray(pixels.T.copy() if turned else pixels)
            image.save(folder / name / f"{number}.{'tif' if number == 0 else 'png'}")


def train_twice_and_resume() -> None:
    import glyphnet
    from glyphnet.training import Callback

    class StopAfterFirst(Callback):
        def after_epoch(self, row: object, state: object) -> bool:
            return True

    changes = {"network": "linear", "augment": {}, "epochs": 2}
    for _ in range(2):
        stopped = glyphnet.train(
            "pictures", preset="fast", changes=changes, out="run", overwrite=True, callbacks=[StopAfterFirst()]
        )
        assert stopped.ending == "stopped", stopped.ending
    run = glyphnet.resume("run")
    assert run.evaluation is not None
    TOLD["accuracy"] = run.evaluation.accuracy
    TOLD["left in the run folder"] = sorted(path.name for path in Path("run").iterdir())
    run.classifier.save("run/model.safetensors")  # over itself


def use_the_command_line() -> None:
    status, shown = command("data", "pictures")
    TOLD["data"] = [status, "gr\xf6\xdfe" in shown, "\\u6570\\u5b57" in shown]
    status, shown = command("evaluate", "run/model.safetensors", "pictures", "--json")
    TOLD["evaluate"] = [status, sorted(json.loads(shown)["per_class"])]
    status, _ = command("predict", "run/model.safetensors", "pictures", "--out", "found.csv")
    TOLD["predict"] = [status, len(Path("found.csv").read_text(encoding="utf-8").splitlines())]
    status, _ = command("predict", "run/model.safetensors", "pictures", "--out", "found.csv", "--overwrite")
    TOLD["predict again"] = status
    for suffix in ("html", "onnx", "md"):
        name = {"md": "card"}.get(suffix, suffix)
        status, _ = command("export", "run/model.safetensors", "--format", name)
        TOLD[f"export {name}"] = [status, Path(f"run/model.{suffix}").exists()]
    status, _ = command("predict", "run/model.onnx", "pictures/größe/1.png")
    TOLD["predict onnx"] = status
    status, _ = command("train", "pictures", "--preset", "fast", "--set", "epochs=1", "--out", "run2", "--log", "csv")
    TOLD["train"] = [status, Path("run2/log.csv").exists()]


def serve() -> None:
    from glyphnet.serving import Server, listen, load, parse_limits

    listener = listen("127.0.0.1", 0)
    ready = threading.Event()
    limits = parse_limits(["decode_seconds=30", "notice_seconds=0"])  # the machine may be busy
    server = Server(load("run/model.safetensors"), listener, limits, hosts=(), origins=())
    thread = threading.Thread(target=server.run, args=(ready.set,), daemon=True)
    thread.start()
    assert ready.wait(60)
    answers = []
    for name in ("pictures/größe/1.png", "pictures/größe/0.tif"):
        body = Path(name).read_bytes()
        kind = "image/png" if name.endswith("png") else "image/tiff"
        asked = urllib.request.Request(f"{server.address}/predict", data=body, headers={"Content-Type": kind})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            answers.append(json.load(answer)["predictions"][0]["label"])
    server.stop()
    thread.join(60)
    listener.close()
    TOLD["served"] = answers


def use_the_studio() -> None:
    """Trainings begin, outlive their server, stop and resume; two never write into one folder."""
    from glyphnet.locks import FileLock
    from glyphnet.serving import listen
    from glyphnet.studio import Folder, StudioServer

    shutil.copytree("pictures", "studio")

    @contextmanager
    def opened(*, page: bool) -> Iterator[Callable[..., Any]]:
        server, ready = StudioServer(Folder("studio"), listen("127.0.0.1", 0)), threading.Event()
        thread = threading.Thread(target=server.run, args=(ready.set,), daemon=True)
        thread.start()
        assert ready.wait(60)

        def ask(path: str, value: object = None) -> Any:
            body = None if value is None else json.dumps(value).encode()
            try:
                with urllib.request.urlopen(server.address + path, body, timeout=120) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                return error.code

        if page:
            urllib.request.urlopen(server.address, timeout=60).close()  # the next training's process starts ahead
        yield ask
        server.stop()
        thread.join(60)

    def wait(condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + 120
        while not (found := condition()):
            assert time.monotonic() < end, Path("studio/runs/long/train.log").read_text(encoding="utf-8")
            time.sleep(0.05)
        return found

    def newest(ask: Callable[..., Any]) -> int:
        return max((each["epoch"] for each in ask("api/runs/long/epochs")), default=0)

    def status(ask: Callable[..., Any]) -> str:
        return str(ask("api/state")["runs"][0]["status"])

    told: list[object] = []
    with opened(page=True) as ask:
        job = ask("api/train", {"preset": "balanced", "epochs": 100_000, "name": "long"})
        told.append(job["status"])
        seen = wait(lambda: newest(ask))
    assert FileLock("studio/runs/long/.lock").is_held()  # the training is a process of its own
    with opened(page=False) as ask:
        seen = wait(lambda: (found := newest(ask)) > seen and found)
        told += [status(ask), ask("api/runs/long/resume", {})]
        ask("api/jobs/train-long/cancel", {})
        wait(lambda: status(ask) != "running")
        told += [status(ask), ask("api/jobs/train-long/cancel", {})]
        ask("api/runs/long/resume", {})
        told.append(status(ask))
        ask("api/jobs/train-long/cancel", {})
        wait(lambda: status(ask) != "running")
        epochs = [each["epoch"] for each in ask("api/runs/long/epochs")]
        told.append(epochs == list(range(1, len(epochs) + 1)) and len(epochs) >= seen)
    TOLD["studio"] = told
    TOLD["left by the studio"] = sorted(path.name for path in Path("studio/runs/long").iterdir())
    TOLD["log"] = Path("studio/runs/long/train.log").read_text(encoding="utf-8")
    shutil.rmtree("studio")


def locks_and_temporary_folders() -> None:
    from glyphnet.errors import RunFolderError
    from glyphnet.locks import FolderLock, refuse_if_in_use, temporary_folder

    with temporary_folder(Path.cwd()) as folder, FolderLock("locked"):
        assert folder.is_dir()
        try:
            refuse_if_in_use("locked")
        except RunFolderError as error:
            TOLD["in use"] = f"process {os.getpid()}" in str(error)
    refuse_if_in_use("locked")
    TOLD["left by locks"] = sorted(path.name for path in Path("locked").iterdir())


def main() -> None:
    import_everything()
    make_pictures(Path("pictures"))
    train_twice_and_resume()
    use_the_command_line()
    serve()
    use_the_studio()
    locks_and_temporary_folders()
    TOLD["left here"] = sorted(path.name for path in Path().iterdir())
    print(json.dumps(TOLD))


if __name__ == "__main__":
    main()
