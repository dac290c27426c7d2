"""The description is exact: schemathesis asks by it whatever it can think of, and nothing breaks."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..browsing import faults
from .conftest import images, png


def test_every_path_and_refusal_is_described(client):
    from glyphnet.serving.api import ERRORS
    from glyphnet.serving.metrics import PATHS

    described = client.get("/openapi.json").json
    assert set(described["paths"]) == set(PATHS)
    predict = described["paths"]["/predict"]["post"]
    assert {"200", "400", "403", "408", "413", "415", "421", "422", "431", "500", "503"} == set(predict["responses"])
    assert set(predict["requestBody"]["content"]) == {
        "image/*",
        "application/octet-stream",
        "multipart/form-data",
        "application/json",
    }
    assert described["components"]["schemas"]["ErrorDetail"]["properties"]["code"]["enum"] == list(ERRORS)
    text = json.dumps(described)
    assert "HTTPValidationError" not in text, "errors have one form only"
    for code, kind in ERRORS.items():
        if kind.status not in (404, 405):
            assert f"`{code}`" in text, code


def test_the_page_for_people_tells_all(client):
    page = client.get("/docs").body.decode()
    for word in ("/predict", "queue_full", "Retry-After", "topk", "multipart/form-data", "ModelCard", "body_too_large"):
        assert word in page, word
    body = page.partition("<h3>Body</h3>")[2].partition("<h3>Answers</h3>")[0]
    assert body.count("the file as it is") == 2, "alone a picture is the body; in a form and in JSON it has a name"
    assert body.count("<code>images</code>") >= 2
    assert "<details>" in body, "examples are closed"
    assert page.count("<code>host_not_allowed</code>") == 1, "what any request may meet is told once"


def test_both_ways_to_predict_answer_alike(client, loaded):
    """The route that the description is made of, and the short way that requests take."""
    from glyphnet.serving import Limits
    from glyphnet.serving.app import make_app, predict_directly
    from glyphnet.serving.service import Service

    async def both(query: bytes) -> list[tuple[int, bytes]]:
        service = Service(loaded, Limits())
        answers = []
        for app in (make_app(service), predict_directly(service)):
            sent: list[dict] = []

            async def receive():
                return {"type": "http.request", "body": png(images(1)[0]), "more_body": False}

            async def send(message, sent=sent):
                sent.append(message)

            scope = {
                "type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "root_path": "",
                "query_string": query, "headers": [(b"content-type", b"image/png")], "http_version": "1.1",
                "scheme": "http", "server": ("localhost", 80), "client": ("localhost", 1), "state": {},
            }  # fmt: skip
            await app(scope, receive, send)
            answers.append((sent[0]["status"], b"".join(each.get("body", b"") for each in sent)))
        service.close()
        return answers

    with ThreadPoolExecutor(1) as thread:  # in the tests' own thread the browser's loop may run
        for query, status in ((b"", 200), (b"topk=2", 200), (b"topk=0", 422)):
            routed, direct = thread.submit(lambda query=query: asyncio.run(both(query))).result()
            assert routed[0] == direct[0] == status
            assert routed[1] == direct[1] or status == 422


def test_schemathesis_finds_nothing(client, tmp_path):
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("schemathesis is not installed")
    command = [
        program, "run", f"http://127.0.0.1:{client.port}/openapi.json", "--max-examples", "12", "--seed", "1",
        "--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--generation-database", "none",
        "--request-timeout", "10", "--no-color",
    ]  # fmt: skip
    before = client.figure("glyphnet_requests_total")
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=200, check=False)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    assert client.figure("glyphnet_requests_total") - before > 150, "it must have asked"


CHECKS = ",".join(
    (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
    )
)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_no_serious_fault_in_the_page_that_describes_it(client, open_page, tmp_path, scheme, width):
    (tmp_path / "docs.html").write_bytes(client.get("/docs").body)
    page = open_page(tmp_path / "docs.html", scheme=scheme, width=width, bypass_csp=True).page
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
