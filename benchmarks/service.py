"""Measures `glyphnet serve` with one PNG a request: requests a second, their times, what overload and bombs do.

    python benchmarks/service.py [MODEL ...] [--seconds 20] [--minutes M] [--profile] [--record]

MODEL: files to serve; unless given an MNIST model (preset fast) is trained, and exported to ONNX. The service is a
process of its own; the clients are another, one event loop over HTTP/1.1 connections that are kept. Rows of a model:

- 16 clients, each asking again as soon as it is answered, with digits of 28×28 pixels, then of 280×280;
- 48 such clients;
- three times the load of the goal, 3,000 requests a second whether answered or not, on at most 480 connections;
- 16 clients beside 4 that send bombs (`tests/bombs.py`), what became of these, and how long the service takes to end at
  SIGTERM with 4 of them in work.

--minutes M is a soak instead: 16 clients for M minutes, all models at the same time, and what each service's memory
(resident) grew from after the first tenth. --profile writes service.prof (cProfile) of the service, whose figures are
then no figures.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import cast

import numpy as np
import uvloop
from _results import arguments_parser, publish
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.bombs import BOMBS

import glyphnet
from glyphnet.export import export

GOAL = 1000
TOO_MANY = 3 * GOAL
MOST_CONNECTIONS = 480
HEAD = (
    "| model | load | requests a second | p50, ms | p99, ms (answered with 200) | statuses "
    "| processor time of the service, ms a request |",
    "|---|---|---|---|---|---|---|",
)
Done = Callable[["Connection", int, float], None]


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        models = arguments.models or trained(Path(scratch))
        lines = soaks(models, arguments.minutes) if arguments.minutes else []
        for model in () if arguments.minutes else models:
            with service(model, arguments.profile) as started:
                lines += loads(*started, arguments.seconds)
                lines.append(stopped_among_bombs(*started))
    publish("soak" if arguments.minutes else "service", [*HEAD, *lines], recorded=arguments.record)


def trained(folder: Path) -> list[str]:
    run = glyphnet.train("mnist", preset="fast")
    assert run.classifier is not None
    run.classifier.save(folder / "mnist.safetensors")
    export(run.classifier, folder / "mnist.onnx")
    return [str(folder / "mnist.safetensors"), str(folder / "mnist.onnx")]


@contextmanager
def service(model: str, profiled: bool = False) -> Iterator[tuple[str, int, int]]:
    """Serve a model: the kind of its file, the port, the number of the process."""
    profile = ["-m", "cProfile", "-o", "service.prof"] if profiled else []
    command = [sys.executable, *profile, "-m", "glyphnet", "serve", model, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = next((line for line in process.stderr if "Serving" in line), "")
        if not line:
            sys.exit("the service did not start")
        yield Path(model).suffix, int(line.strip().rpartition(":")[2]), process.pid
    finally:
        process.terminate()
        if (status := process.wait(60)) != 0:
            print(f"the service ended with status {status}", file=sys.stderr)


class Figures:
    """What became of the requests."""

    def __init__(self) -> None:
        self.began = self.ended = time.perf_counter()
        self.statuses: Counter[int] = Counter()
        self.accepted: list[float] = []

    def add(self, status: int, seconds: float) -> None:
        self.ended = time.perf_counter()
        self.statuses[status] += 1
        if status == 200:
            self.accepted.append(seconds)


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, and then whatever `done` does."""

    def __init__(self, done: Done) -> None:
        self._done = done
        self._sent = 0.0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> None:
        self._sent, self._answer = time.perf_counter(), b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.index(b"content-length: ") + 16
        if len(body) >= int(head[length:].partition(b"\r")[0]):
            self._done(self, int(head[9:12]), time.perf_counter() - self._sent)

    def connection_lost(self, error: Exception | None) -> None:
        self._done(self, 0, 0.0)


@cache
def pictures(side: int) -> list[bytes]:
    """PNGs of MNIST test digits, enlarged to so many pixels."""
    files = [io.BytesIO() for _ in range(500)]
    for pixels, file in zip(glyphnet.load("mnist").test.images[:500], files, strict=True):
        Image.fromarray(pixels[:, :, 0]).resize((side, side), Image.Resampling.BICUBIC).save(file, "PNG")
    return [file.getvalue() for file in files]


def requests(port: int, side: int = 28) -> Iterator[bytes]:
    """Requests with a picture each, over and over; all are made before the first is sent and the clock starts."""
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: image/png\r\nContent-Length: "
    return cycle([f"{head}{len(picture)}\r\n\r\n".encode() + picture for picture in pictures(side)])


def loads(name: str, port: int, process: int, seconds: float) -> Iterator[str]:
    """A row for each load."""
    closed(port, 16, min(2.0, seconds))  # the first requests are slower
    for clients, side in ((16, 28), (48, 28), (16, 280)):
        used = computed(process)
        figures = closed(port, clients, seconds, side)
        yield row(name, f"{clients} clients, {side}×{side}", figures, computed(process) - used)
    used = computed(process)
    figures = opened(port, TOO_MANY, seconds)
    yield row(name, f"{TOO_MANY:,} a second", figures, computed(process) - used)
    used = computed(process)
    with bombing(port) as sent:
        figures = closed(port, 16, seconds)
    became = Counter("refused with 4xx" if 400 <= status < 500 else f"{status}" for status, _ in sent)
    what = ", ".join(f"{count} × {name}" for name, count in became.most_common())
    what += f", the slowest after {max((took for _, took in sent), default=np.nan):.2f} s"
    yield row(name, f"16 clients beside bombs: {what}", figures, computed(process) - used)


@contextmanager
def bombing(port: int, clients: int = 4) -> Iterator[list[tuple[int, float]]]:
    """Bombs are sent, each client another at a time; what became of each: its status, 0 without any, and seconds."""
    bombs, over = [make() for make in BOMBS.values()], threading.Event()
    sent: list[tuple[int, float]] = []

    def send(first: int) -> None:
        for turn in range(first, 10**9, clients):
            if over.is_set():
                return
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                connection.request("POST", "/predict", bombs[turn % len(bombs)], {"Content-Type": "image/png"})
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                status = 0
            connection.close()
            sent.append((status, time.perf_counter() - began))

    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        over.set()
        for thread in threads:
            thread.join(70)


def stopped_among_bombs(name: str, port: int, process: int) -> str:
    """A row: how long the service takes to end while it decodes bombs."""
    with bombing(port):
        time.sleep(1)
        began = time.perf_counter()
        os.kill(process, 15)
        while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        seconds = time.perf_counter() - began
    line = f"| {name} | SIGTERM with 4 bombs in work | ended after {seconds:.1f} s | | | | |"
    print(line, file=sys.stderr, flush=True)
    return line


def closed(port: int, clients: int, seconds: float, side: int = 28) -> Figures:
    """So many clients, each asking again when it is answered."""
    return uvloop.run(_closed(port, clients, seconds, requests(port, side)))


async def _closed(port: int, clients: int, seconds: float, asked: Iterator[bytes]) -> Figures:
    figures, over = Figures(), False
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    working = clients

    def done(connection: Connection, status: int, took: float) -> None:
        nonlocal working
        if over and status == 0:  # we closed it
            return
        figures.add(status, took)
        if status and time.perf_counter() - figures.began < seconds:
            connection.ask(next(asked))
            return
        working -= 1
        if working == 0 and not finished.done():
            finished.set_result(None)

    connections = [await _connect(port, done) for _ in range(clients)]
    figures.began = time.perf_counter()
    for connection in connections:
        connection.ask(next(asked))
    await finished
    over = True
    for connection in connections:
        connection.transport.abort()
    return figures


def opened(port: int, rate: float, seconds: float) -> Figures:
    """So many requests a second, whether the earlier ones are answered or not."""
    return uvloop.run(_opened(port, rate, seconds, requests(port)))


async def _opened(port: int, rate: float, seconds: float, asked: Iterator[bytes]) -> Figures:
    figures, free, over = Figures(), deque[Connection](), False

    def done(connection: Connection, status: int, took: float) -> None:
        if over and status == 0:
            return
        figures.add(status, took)
        if status:
            free.append(connection)

    connections = [await _connect(port, done) for _ in range(MOST_CONNECTIONS)]
    free.extend(connections)
    figures.began, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - figures.began) < seconds:
        while sent < rate * now and free:
            free.popleft().ask(next(asked))
            sent += 1
        await asyncio.sleep(0.001)
    while figures.statuses.total() < sent:
        await asyncio.sleep(0.01)
    over = True
    for connection in connections:
        connection.transport.abort()
    if sent < 0.98 * rate * seconds:
        print(f"  offered {sent / seconds:,.0f} a second: all connections were waiting", file=sys.stderr)
    return figures


async def _connect(port: int, done: Done) -> Connection:
    _, protocol = await asyncio.get_running_loop().create_connection(lambda: Connection(done), "127.0.0.1", port)
    return protocol


def row(name: str, load: str, figures: Figures, computing: float) -> str:
    seconds = figures.ended - figures.began
    rate = figures.statuses.total() / seconds
    median, slow = 1000 * np.quantile(figures.accepted or [np.nan], (0.5, 0.99))
    statuses = ", ".join(f"{count:,} × {status or 'lost'}" for status, count in sorted(figures.statuses.items()))
    line = f"| {name} | {load} | {rate:,.0f} | {median:.1f} | {slow:.1f} | {statuses} "
    line += f"| {1000 * computing / figures.statuses.total():.2f} |"
    print(line, file=sys.stderr, flush=True)
    return line


def soaks(models: Sequence[str], minutes: float) -> list[str]:
    """A row for each model, all served and asked at the same time."""
    with ExitStack() as services, ThreadPoolExecutor(len(models)) as pool:
        started = [services.enter_context(service(model)) for model in models]
        return list(pool.map(lambda each: soak(*each, 60 * minutes), started))


def soak(name: str, port: int, process: int, seconds: float) -> str:
    closed(port, 16, seconds / 10)
    before, used = resident(process), computed(process)
    figures = closed(port, 16, 0.9 * seconds)
    after = resident(process)
    grown = f"memory {before / 2**20:.0f} → {after / 2**20:.0f} MiB ({100 * (after / before - 1):+.1f} %)"
    return row(name, f"16 clients, {seconds / 60:g} minutes: {grown}", figures, computed(process) - used)


def computed(process: int) -> float:
    """Seconds that a process and those that it started have computed, on all cores together."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            stats[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    family, waiting = set(), [process]
    while waiting:
        family.add(parent := waiting.pop())
        waiting += [number for number, fields in stats.items() if int(fields[1]) == parent]
    # User and system time, of it and of those of its children that have ended.
    ticks = sum(int(field) for number in family for field in stats[number][11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> int:
    """Bytes of a process that are in memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    main()
