"""Who may ask, what browsers are told, and that no name of a class is ever markup."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from .conftest import images, png

SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "",
        "a b",
        "user@localhost",
        "[::1",
    ],
)
def test_other_names_are_refused(client, host):
    """A page that points its own name here (DNS rebinding) is known by the Host header."""
    answer = client.heard(client.connect(f"GET /model HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()))
    assert (answer.status, answer.code) == (421, "host_not_allowed")
    assert "classes" not in answer.body.decode()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_names_of_this_machine(client, host):
    assert client.get("/model", Host=host).status == 200


def test_no_host_and_two_hosts(client):
    for head in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"):
        assert client.heard(client.connect(head)).status in (400, 421)


def test_names_that_are_allowed(serve):
    with serve(hosts=["Digits.example"]) as client:
        assert client.get("/healthz", Host="digits.example:80").status == 200
        assert client.get("/healthz", Host="other.example").status == 421


def test_bound_to_everything_addresses_are_allowed_but_no_names():
    from glyphnet.serving.api import APIError
    from glyphnet.serving.app import HostPolicy

    policy = HostPolicy("0.0.0.0")
    policy.check(["192.168.1.7:8000"], None)
    with pytest.raises(APIError, match="does not accept"):
        policy.check(["evil.example"], None)


def test_origins(serve):
    with serve(origins=["https://friend.example"]) as client:
        picture = png(images(1)[0])
        own = f"http://127.0.0.1:{client.port}"
        assert client.predict(picture, Origin=own).status == 200
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "https://friend.example.evil.example"):
            answer = client.predict(picture, Origin=origin)
            assert (answer.status, answer.code) == (403, "origin_not_allowed")
            assert "access-control-allow-origin" not in answer.headers
        answer = client.predict(picture, Origin="https://friend.example")
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "https://friend.example"
        asked = client.ask("OPTIONS", "/predict", Origin="https://friend.example", Access_Control_Request_Method="POST")
        assert (asked.status, asked.headers["access-control-allow-headers"]) == (204, "content-type")


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/playground", "/model", "/openapi.json", "/metrics", "/healthz", "/readyz", "/nope"]
)
def test_headers_of_every_answer(client, path):
    answer = client.get(path)
    assert {name: answer.headers.get(name) for name in SAFE} == SAFE
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    if path == "/playground":  # it may compile its own arithmetic
        policy = policy.replace("'wasm-unsafe-eval'", "")
    assert "unsafe" not in policy
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/playground"])
def test_pages_run_only_what_their_policy_names(client, path):
    answer = client.get(path)
    page, policy = answer.body.decode(), answer.headers["content-security-policy"]
    assert answer.headers["content-type"].startswith("text/html")
    for tag, text in re.findall(r"<(style|script)>(.*?)</\1>", page, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy, tag
    assert not re.search(r'(src|href)="(https?:)?//', page), "nothing from elsewhere"
    assert "<script>alert(1)" not in page, "a name of a class is never markup"
    assert "</script><b>" not in page


def test_names_of_classes_are_plain_json(client):
    answer = client.predict(png(images(1)[0]))
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.isascii()


def test_the_page_of_an_onnx_file_asks_the_service(serve, loaded, classifier, open_page):
    pytest.importorskip("onnxruntime")
    from glyphnet.export.export import FORMATS
    from glyphnet.export.proof import images_of
    from glyphnet.onnxmodel import parse_onnx
    from glyphnet.serving.pages import front_page

    sound = replace(classifier, classes=("a", "b", "<i>c</i>", "d", "e"), threshold=0.0)
    predictor = parse_onnx(FORMATS["onnx"].make(sound, images_of(sound)), "m.onnx")
    model = replace(loaded, predictor=predictor, page=front_page(predictor, "m.onnx"))
    with serve(model=model) as client:
        opened = open_page(f"http://127.0.0.1:{client.port}/", ready="html[data-ready=yes]")
        box = opened.page.locator("#pad").bounding_box()
        opened.page.mouse.move(box["x"] + 50, box["y"] + 50)
        opened.page.mouse.down()
        opened.page.mouse.move(box["x"] + 120, box["y"] + 150, steps=5)
        opened.page.mouse.up()
        opened.page.wait_for_selector("#bars .best")
        assert opened.page.locator("#name").inner_text() in sound.classes
        assert opened.page.locator("#bars li").count() == 5
        assert "<i>c</i>" in opened.page.locator("#bars").inner_text(), "shown as it is written"
        assert opened.console == []
        assert {request.partition("/")[2].split("/")[1] for request in opened.requests} == {f"127.0.0.1:{client.port}"}


def test_pages_in_a_browser_are_quiet(client, open_page):
    for path in ("/", "/docs", "/playground"):
        opened = open_page(f"http://127.0.0.1:{client.port}{path}", width=390)
        opened.page.wait_for_timeout(300)
        assert opened.console == [], path
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path}: too wide"
        assert all(f"127.0.0.1:{client.port}" in request for request in opened.requests), path
