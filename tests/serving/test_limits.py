"""Every limit has its refusal, and the service goes on."""

from __future__ import annotations

import io
import json
import re
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from glyphnet.answers import Answers, Rules
from glyphnet.data.values import STANDARD
from glyphnet.errors import BadFileError

from ..processes import wait_for
from .conftest import CLASSES, images, multipart, png


@pytest.fixture
def picture():
    return png(images(1)[0])


def bomb(width: int, height: int) -> bytes:
    """A PNG of very many pixels in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + rows.flush()
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_body_too_large_with_its_length_known(serve, picture):
    with serve(body_bytes=2000) as client:
        answer = client.predict(picture + bytes(2001))
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert answer.json["error"]["message"] == "The body has more than 2,000 bytes, the limit."
        assert client.predict(picture).status == 200


def test_body_too_large_is_told_before_it_is_sent(serve):
    with serve(body_bytes=2000) as client:
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 99999999\r\n"
        connection = client.connect(head + b"Expect: 100-continue\r\n\r\n")
        assert client.heard(connection).status == 413
        connection.close()


def test_body_too_large_in_chunks_without_a_length(serve, picture):
    with serve(body_bytes=100_000) as client:
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        connection = client.connect(head)
        for _ in range(11):
            connection.sendall(b"2710\r\n" + bytes(10_000) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        answer = client.heard(connection)
        assert (answer.status, answer.code) == (413, "body_too_large")
        small = b"%x\r\n%s\r\n0\r\n\r\n" % (len(picture), picture)
        connection.sendall(head + small)
        assert client.heard(connection).status == 200, "the connection goes on"
        connection.close()


def test_json_has_a_limit_of_its_own(serve):
    with serve(json_bytes=500) as client:
        answer = client.predict(json.dumps({"images": images(2).tolist()}).encode(), "application/json")
        assert (answer.status, answer.code) == (413, "body_too_large")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (3_000, 3_000), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_refused_by_their_header(serve, width, height, picture):
    body = (
        bomb(width, height) if width < 10_000 else bomb(8, 8)[:16] + struct.pack(">II", width, height) + bomb(8, 8)[24:]
    )
    if width > 10_000:  # a sound checksum, so that it is the size that is refused
        fixed = body[12:29]
        body = body[:29] + struct.pack(">I", zlib.crc32(fixed)) + body[33:]
    with serve(picture_pixels=1_000_000) as client:
        began = time.monotonic()
        for kind in (body, multipart([picture, body])):
            answer = client.predict(body) if kind is body else client.predict(*kind)
            assert (answer.status, answer.code) == (413, "too_many_pixels"), answer.body
        assert answer.json["error"]["message"] == "Image 2 has more pixels than the limit of 1,000,000."
        assert time.monotonic() - began < 5
        assert client.predict(picture).status == 200


def test_a_second_header_does_not_hide_a_bomb(serve):
    """Pillow believes the last header: a small first one must not let the picture through as a small one."""
    small, large = bomb(8, 8), bomb(3_000, 3_000)
    with serve(picture_pixels=1_000_000) as client:
        answer = client.predict(small[:33] + large[8:])
        assert answer.status in (413, 422)
        assert answer.code in ("too_many_pixels", "bad_image")


def test_too_many_images(serve, picture):
    with serve(images=3) as client:
        assert client.predict(*multipart([picture] * 3)).status == 200
        for answer in (
            client.predict(*multipart([picture] * 4)),
            client.predict(json.dumps({"images": images(4).tolist()}).encode(), "application/json"),
        ):
            assert (answer.status, answer.code) == (413, "too_many_images")
            assert answer.json["error"]["message"] == "The request has more than 3 images, the limit."


class Slow:
    """A model that answers when it is allowed to."""

    input_shape, classes, threshold, ink, normalize = (8, 8, 1), CLASSES, None, None, False
    reading = STANDARD

    rules = Rules()

    def __init__(self):
        self.go = threading.Event()

    def answer(self, images):
        assert self.go.wait(60)
        probabilities = np.full((len(images.pixels), len(CLASSES)), 0.2, dtype=np.float32)
        return Answers(probabilities, None, images.reasons, CLASSES)


def test_a_full_queue_is_a_503_that_says_when_to_come_again(serve, loaded, picture):
    slow = Slow()
    with serve(model=replace(loaded, predictor=slow), queue=4) as client, ThreadPoolExecutor(4) as pool:
        admitted = [pool.submit(client.predict, picture) for _ in range(4)]
        wait_for(lambda: client.figure("glyphnet_queued_images") == 4)
        for _ in range(8):  # it must not wait to be refused: nobody is answered before `go`
            answer = client.predict(picture)
            assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "queue_full", "1")
        slow.go.set()
        assert [each.result().status for each in admitted] == [200] * 4
        assert client.predict(*multipart([picture] * 5)).status == 503, "more images than ever wait"
        assert client.predict(picture).status == 200
        assert client.figure("glyphnet_refusals_total") >= 9


def test_what_is_not_answered_when_the_time_to_stop_is_over_is_a_503(serve, loaded, picture, caplog):
    slow = Slow()
    with ThreadPoolExecutor(1) as pool:
        with serve(model=replace(loaded, predictor=slow), stop_seconds=0.5) as client:
            asked = pool.submit(client.predict, picture)
            asked.add_done_callback(lambda _: slow.go.set())
            wait_for(lambda: client.figure("glyphnet_queued_images") == 1)
        answer = asked.result()
    assert (answer.status, answer.code, answer.headers["connection"]) == (503, "stopping", "close")
    assert "Traceback" not in caplog.text, "it is no fault of the application"


def test_all_large_bodies_together(serve, picture):
    """Two bodies that are half sent take the room; a small one and, when they have gone, a large one come through."""
    with serve(buffered_bytes=400_000) as client:
        head = (
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000000\r\n\r\n"
        )
        holding = [client.connect(head + bytes(240_000)) for _ in range(2)]
        wait_for(lambda: client.predict(bytes(300_000)).status == 503)  # they have arrived
        answer = client.predict(bytes(300_000))
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "too_many_bytes", "1")
        assert client.predict(picture).status == 200
        for connection in holding:
            connection.close()
        wait_for(lambda: client.predict(bytes(300_000)).code == "bad_image")


WRONG_BODIES = {
    "empty": (b"", "image/png", 422, "bad_image"),
    "no picture": (b"hello", "image/png", 422, "bad_image"),
    "cut off": (png(images(1)[0])[:60], "image/png", 422, "bad_image"),
    "no type": (b"hello", "", 415, "unsupported_media_type"),
    "a form": (b"url=http://a/b.png", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    "text": (b"/etc/passwd", "text/plain", 415, "unsupported_media_type"),
    "a pickle": (b"\x80\x04cos\nsystem\n.", "application/octet-stream", 422, "bad_image"),
    "no boundary": (b"x", "multipart/form-data", 400, "malformed"),
    "no parts": (b"--xyz--\r\n", "multipart/form-data; boundary=xyz", 400, "malformed"),
    "multipart cut off": (multipart([b"abc"])[0][:-6], "multipart/form-data; boundary=xyz", 400, "malformed"),
    "another field": (*multipart([png(images(1)[0])], name="path"), 400, "malformed"),
    "no JSON": (b"{", "application/json", 400, "malformed"),
    "deep JSON": (b'{"images":' + b"[" * 100_000, "application/json", 400, "malformed"),
    "not UTF-8": (b'{"images": "\xff"}', "application/json", 400, "malformed"),
    "a path": (b'{"images": "/etc/passwd"}', "application/json", 400, "malformed"),
    "paths": (b'{"images": ["/etc/passwd"]}', "application/json", 422, "bad_image"),
    "more keys": (b'{"images": [], "model": "/a"}', "application/json", 400, "malformed"),
    "no images": (b'{"images": []}', "application/json", 400, "malformed"),
    "another size": (json.dumps({"images": [[[1, 2]]]}).encode(), "application/json", 422, "bad_image"),
    "ragged": (b'{"images": [[[1],[1,2]]]}', "application/json", 422, "bad_image"),
    "too bright": (json.dumps({"images": [[[256] * 8] * 8]}).encode(), "application/json", 422, "bad_image"),
    "negative": (json.dumps({"images": [[[-1] * 8] * 8]}).encode(), "application/json", 422, "bad_image"),
    "huge": (json.dumps({"images": [[[10**30] * 8] * 8]}).encode(), "application/json", 422, "bad_image"),
    "fractions": (json.dumps({"images": [[[0.5] * 8] * 8]}).encode(), "application/json", 422, "bad_image"),
    "truths": (json.dumps({"images": [[[True] * 8] * 8]}).encode(), "application/json", 422, "bad_image"),
    "NaN": (b'{"images": [[[NaN]]]}', "application/json", 400, "malformed"),
}


@pytest.mark.parametrize("case", WRONG_BODIES)
def test_wrong_bodies(client, case):
    body, kind, status, code = WRONG_BODIES[case]
    answer = client.predict(body, kind)
    assert (answer.status, answer.code) == (status, code), answer.body
    error = answer.json["error"]
    assert error["message"].endswith(".")
    assert not re.search("0x[0-9a-f]{6}", error["message"]), "no address of memory"
    assert "/work" not in answer.body.decode()


def test_of_several_pictures_the_bad_one_is_named(client, picture):
    answer = client.predict(*multipart([picture, b"nothing", picture]))
    assert answer.status == 422
    assert answer.json["error"] == {
        "code": "bad_image",
        "message": "Image 2: not an image, or of a format that is not read.",
        "remedy": "Save it as PNG or JPEG, or remove it.",
    }


def test_no_address_of_memory_is_told(client, picture, monkeypatch):
    """Pillow calls bytes in memory by their address, in some of its messages."""

    def fail(*_):
        raise BadFileError("image", "damaged (cannot read <_io.BytesIO object at 0x7f4d245241c0>)", "Save it again.")

    monkeypatch.setattr("glyphnet.serving.decoding.open_image", fail)
    assert client.predict(picture).json["error"]["message"] == "Image 1: damaged (cannot read the file)."


def test_other_formats_of_pictures(client, classifier):
    for kind in ("BMP", "GIF", "WEBP", "TIFF"):
        file = io.BytesIO()
        Image.fromarray(images(1)[0, :, :, 0]).save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
        [prediction] = client.predict(file.getvalue(), "application/octet-stream").json["predictions"]
        assert prediction["label"] == CLASSES[classifier.predict_labels(file.getvalue())[0]], kind


def test_unknown_paths_and_methods(client):
    answer = client.get("/static/../../etc/passwd")
    assert (answer.status, answer.code) == (404, "not_found")
    answer = client.get("/predict")
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", "POST")


def test_a_photograph_of_12_megapixels_is_answered(client):
    file = io.BytesIO()
    Image.new("RGB", (4000, 3000), (200, 180, 30)).save(file, "JPEG")
    answer = client.predict(file.getvalue(), "image/jpeg")
    assert answer.status == 200, answer.body
