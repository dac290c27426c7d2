"""Slow and silent clients: they are told to go, and keep out nobody."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from glyphnet.serving.connections import Acceptor
from glyphnet.serving.service import Batcher

from ..processes import wait_for
from .conftest import images, png
from .test_limits import Slow

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n\r\n"


@pytest.fixture
def picture():
    return png(images(1)[0])


def closed_by_service(connection: socket.socket, within: float) -> bool:
    connection.settimeout(within)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def statuses(connection: socket.socket, count: int) -> list[int]:
    """Of several answers on one connection."""
    text = b""
    while text.count(b"HTTP/1.1 ") < count:
        more = connection.recv(65536)
        assert more, text
        text += more
    return [int(part[:3]) for part in text.split(b"HTTP/1.1 ")[1:]]


def test_a_head_that_does_not_come(serve, picture):
    with serve(head_seconds=0.5) as client:
        silent = client.connect()
        began = time.monotonic()
        dripping = client.connect(b"GET / HT")
        for letter in b"TP/1.1\r\nHost: local":  # a letter at a time must not put it off
            time.sleep(0.05)
            try:
                dripping.send(bytes([letter]))
            except OSError:
                break
        answer = client.heard(dripping)
        assert 0.4 < time.monotonic() - began < 3
        assert (answer.status, answer.code) == (408, "too_slow")
        assert answer.json["error"]["message"] == "The head of the request did not arrive within 0.5 seconds."
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert closed_by_service(silent, 2), "who says nothing at all is not answered"
        assert client.predict(picture).status == 200


def test_a_body_that_does_not_come(serve, picture):
    with serve(body_seconds=0.5) as client:
        waiting = client.connect(HEAD + b"begin")
        answer = client.heard(waiting)
        assert (answer.status, answer.code) == (408, "too_slow")
        assert answer.json["error"]["message"] == "The body of the request did not arrive within 0.5 seconds."
        assert closed_by_service(waiting, 2)
        assert client.predict(picture).status == 200


def test_a_body_after_its_answer(serve, picture):
    """GET answers at once; whoever then keeps sending a body is not listened to for ever."""
    with serve(body_seconds=0.5) as client:
        connection = client.connect(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nabc")
        assert client.heard(connection).status == 200
        assert closed_by_service(connection, 3)


def test_idle_connections_are_closed(serve, picture):
    with serve(idle_seconds=0.5) as client:
        connection = client.connect(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.heard(connection).status == 200
        assert closed_by_service(connection, 3)


def test_an_endless_head(serve):
    with serve(head_bytes=4000) as client:
        connection = client.connect(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(20):
            try:
                connection.sendall(b"X-Filler: " + b"x" * 500 + b"\r\n")
            except OSError:
                break
        answer = client.heard(connection)
        assert (answer.status, answer.code) == (431, "head_too_large")


def test_the_limit_of_a_head_is_exact(serve):
    beginning = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Filler: "
    with serve(head_bytes=4000) as client:
        for size, status in ((4000, 200), (4001, 431)):
            head = beginning + b"x" * (size - len(beginning) - 4) + b"\r\n\r\n"
            assert client.heard(client.connect(head)).status == status, size
        connection = client.connect(head[:2001] * 2)  # two lines of one head that does not end
        assert client.heard(connection).status == 431
        behind = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection = client.connect(behind + head)  # of the second of two as well, after the answer to the first
        assert statuses(connection, 2) == [200, 431]


@pytest.mark.parametrize(
    "part", [b"5;%s\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n%s\r\n\r\n"], ids=["chunk", "trailer"]
)
def test_what_is_beside_the_content_of_chunks_is_bounded(serve, picture, part):
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serve(head_bytes=4000) as client:
        connection = client.connect(head)
        with contextlib.suppress(OSError):
            connection.sendall(part % (b"X: " + b"x" * 1_000_000))
        answer = client.heard(connection)
        assert (answer.status, answer.code) == (431, "head_too_large")
        whole = b"%x;a=b\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(picture), picture)
        connection = client.connect()
        for byte in (head + whole)[:-1]:  # whatever way it is cut
            connection.send(bytes([byte]))
        connection.send(whole[-1:] + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert statuses(connection, 2) == [200, 200], "and the request behind it"


def test_what_is_no_http(serve):
    with serve() as client:
        for words in (
            b"\x16\x03\x01hello\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        ):
            answer = client.heard(client.connect(words))
            assert (answer.status, answer.code) == (400, "malformed")


@pytest.mark.parametrize(
    "words", [b"", b"GET / HTTP/1.1\r\nHost: loc", HEAD + b"begin"], ids=["silent", "head", "body"]
)
def test_slow_clients_in_every_place_keep_out_nobody(serve, picture, words):
    with serve(connections=20) as client:
        slow = [client.connect(words) for _ in range(30)]
        time.sleep(0.3)
        began = time.monotonic()
        for _ in range(5):
            assert client.predict(picture).status == 200
        assert time.monotonic() - began < 3
        gone = [connection for connection in slow if closed_by_service(connection, 0.01)]
        if not words:
            assert 10 <= len(gone) <= 16, "only as many leave as others need their places"


def test_slow_bodies_do_not_push_out_those_who_have_just_come(serve, picture):
    """Each that comes takes the place of a slow one, not that of the one before, which is about to ask."""
    with serve(connections=3) as client:
        for _ in range(3):
            client.connect(HEAD + b"begin")
        time.sleep(0.3)
        asking = [client.connect() for _ in range(2)]
        time.sleep(0.1)  # both are there before one asks
        for connection in asking:
            connection.sendall(HEAD.replace(b"5000", b"%d" % len(picture)) + picture)
        assert [client.heard(connection).status for connection in asking] == [200, 200]


def test_all_places_taken_by_those_who_wait_for_an_answer(serve, loaded, picture, monkeypatch):
    slow, admitted, admit = Slow(), [], Batcher.admit
    monkeypatch.setattr(Batcher, "admit", lambda self, images: (admitted.append(images), admit(self, images))[1])
    with serve(model=replace(loaded, predictor=slow), connections=3) as client:
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        asking = [client.connect(head + b"Content-Length: %d\r\n\r\n" % len(picture) + picture) for _ in range(3)]
        wait_for(lambda: len(admitted) == 3)
        answer = client.heard(client.connect())
        assert (answer.status, answer.code) == (503, "too_many_connections")
        assert answer.headers["retry-after"] == "1"
        slow.go.set()
        assert [client.heard(connection).status for connection in asking] == [200, 200, 200]


def test_who_does_not_take_the_answer(serve, picture, caplog):
    """Hundreds of pages asked for and none read: the connection is ended, its memory given back."""
    with serve(answer_seconds=0.5, idle_seconds=0.5) as client:
        connection = client.connect()
        connection.setblocking(False)
        try:
            for _ in range(400):
                connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
        except BlockingIOError:
            pass
        wait_for(lambda: client.figure("glyphnet_connections") <= 1)  # the one that asks
        assert client.predict(picture).status == 200
    assert caplog.text == "", "a client that goes is no fault of the service"


def test_requests_one_behind_the_other(serve, picture):
    with serve() as client:
        one = (
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
            % len(picture)
        )
        connection = client.connect((one + picture) * 3)
        assert statuses(connection, 3) == [200] * 3


class _ClosesLate(socket.socket):
    """A listener to which a client comes between the last accept and the close."""

    def close(self):
        if self.fileno() >= 0:
            with socket.socket() as client:
                client.settimeout(0.2)
                self.found = client.connect_ex(self.getsockname())
        super().close()


class _Greeting(asyncio.Protocol):
    def connection_made(self, transport) -> None:
        transport.write(b"hello")
        transport.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no filter of a listener's packets")
def test_closing_the_listener_resets_nobody():
    """Clients who came before are answered; one who comes in the last moment is not taken, so not reset."""

    async def serve(listener: socket.socket) -> None:
        acceptor = Acceptor(listener, _Greeting)
        early.connect(listener.getsockname())
        await acceptor.close()
        await asyncio.sleep(0.01)

    with socket.socket() as early, _ClosesLate() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with ThreadPoolExecutor(1) as pool:  # a test of a browser may have left a loop in this thread
            pool.submit(asyncio.run, serve(listener)).result()
        early.settimeout(5)
        assert early.recv(10) == b"hello"
        assert listener.found == errno.EAGAIN, "not connected within its time, so there is nothing to reset"
