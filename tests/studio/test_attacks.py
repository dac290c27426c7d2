"""Attacked as a service is: other pages, other names for this machine, paths, archives, markup, sizes, bombs."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import zipfile
import zlib

import pytest

from glyphnet.studio import adding, names, uploads

from .conftest import Client, multipart, png, zipped

OUTSIDE = ("../../evil.png", "..\\..\\evil.png", "a/../../evil.png", "/../evil.png")


@pytest.mark.parametrize("path", ["/", "/api/state", "/x/api/state", "//api/state", "/api/../api/state"])
def test_nothing_is_told_without_the_secret(client: Client, path: str) -> None:
    answer = client.ask("GET", "", whole=path)
    assert (answer.status, answer.error) == (404, "Unknown address.")
    assert str(client.root) not in answer.body.decode()
    almost = client.token[:-1] + ("A" if client.token[-1] != "A" else "B")
    assert client.ask("GET", "", whole=f"/{almost}/api/state").status == 404
    assert client.ask("GET", "", whole=f"/{client.token}").status == 308


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"]
)
def test_pages_of_other_sites_change_nothing(client: Client, origin: str) -> None:
    before = client.counts()
    for path in ("api/classes", "api/undo", "api/train", "api/decide"):
        assert client.post(path, {"name": "stolen", "preset": "fast"}, Origin=origin).status == 403
    assert client.get("api/state", Origin=origin).status == 403
    body, kind = multipart([("a.png", png(1))])
    assert client.ask("POST", "api/add?tray=1", body, Content_Type=kind, Origin=origin).status == 403
    preflight = client.ask("OPTIONS", "api/classes", Origin=origin)
    assert "access-control-allow-origin" not in preflight.headers
    assert client.counts() == before
    own = f"http://127.0.0.1:{client.port}"
    assert client.get("api/state", Origin=own).status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "127.0.0.1@evil"])
def test_a_name_that_was_pointed_here_is_refused(client: Client, host: str) -> None:
    assert client.get("api/state", Host=host).status == 421


def test_ids_are_those_of_the_list_and_no_paths(client: Client) -> None:
    client.fill("ids", [5])
    (client.root / "ids" / "notes.txt").write_text("secret")
    (client.root.parent / "secret.png").write_bytes(png(6))
    paths = ["../secret.png", "ids/../../secret.png", "%2e%2e/secret.png", "ids/%2e%2e/%2e%2e/secret.png",
             "metadata.csv", "ids/notes.txt", ".trash/.lock", "ids", "", "ids//00001.png", "./ids/00001.png",
             "ids/00001.png%00", "/etc/passwd", "%2fetc%2fpasswd", "..%5csecret.png"]  # fmt: skip
    for path in paths:
        for kind in ("file", "thumb"):
            assert client.get(f"api/{kind}/{path}").status == 404, path
        if "%" not in path:
            assert client.post("api/delete", {"ids": [path]}).status == 404, path
            assert client.post("api/decide", {"id": path, "label": "ids"}).status == 404, path
    assert client.get("api/file/ids/00001.png").status == 200


def test_names_of_trainings_are_no_paths(client: Client) -> None:
    for name in ("../../etc", "..", "a/b", ".hidden", "x\0y"):
        refused = client.post("api/train", {"preset": "fast", "name": name})
        assert refused.status == 422, name
        assert os.listdir(client.root / "runs") == []
    for path in ("api/runs/%2e%2e/report", "api/runs/..%2f..%2fsecret/export?format=model", "api/runs/none/epochs"):
        assert client.get(path).status == 404


def test_a_zip_whose_names_lead_outside_writes_nothing_there_and_counts_them(client: Client) -> None:
    before = {path for path in client.root.parent.rglob("*") if client.root not in path.parents}
    members = {name: png(100 + number) for number, name in enumerate(OUTSIDE)}
    found = client.add("", ("evil.zip", zipped({**members, "good/1.png": png(110), "good/2.png": png(111)}))).json
    assert found["added"] == ["good/1.png", "good/2.png"]
    assert [each["name"] for each in found["refused"]] == [*OUTSIDE[:3], "/../evil.png"]
    assert found["refused_count"] == len(OUTSIDE)
    assert {path for path in client.root.parent.rglob("*") if client.root not in path.parents} == before
    assert not (client.root / "evil.png").exists()


def test_a_zip_makes_no_class_that_could_not_be_made_by_hand(client: Client) -> None:
    members = {
        ".trash/1.png": png(120),
        "runs/2.png": png(121),
        "five five/3.png": png(122),
        "versions/4.png": png(123),
    }
    found = client.add("", ("data.zip", zipped(members))).json
    assert found["added"] == ["five five/3.png"]
    assert sorted(each["name"] for each in found["refused"]) == ["runs/2.png", "versions/4.png"]
    assert os.listdir(client.root / "runs") == []


def test_links_in_a_zip_are_files_and_no_links(client: Client) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("link/out.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("link/1.png", png(130))
    found = client.add("", ("data.zip", file.getvalue())).json
    assert found["added"] == ["link/1.png"]
    assert [each["name"] for each in found["refused"]] == ["link/out.png"]


def test_file_names_of_a_client_stay_in_the_class(client: Client) -> None:
    client.post("api/classes", {"name": "named"})
    names = [
        "../../up.png",
        "/etc/cron.d/x.png",
        "a\\b.png",
        ".hidden.png",
        "x" * 300 + ".png",
        "nul\\0.png",
        "con\x1b[2J.png",
    ]
    found = client.add("?class=named", *((name, png(140 + number)) for number, name in enumerate(names))).json
    assert len(found["added"]) == len(names)
    assert all(id.count("/") == 1 and id.startswith("named/") for id in found["added"])
    assert sorted(os.listdir(client.root / "named")) == sorted(id.partition("/")[2] for id in found["added"])
    assert all(name.isprintable() and not name.startswith(".") for name in os.listdir(client.root / "named"))


@pytest.mark.parametrize("group", ["g" * 256, "a%0ab", "%00", "%1b%5b2J", "%20"])
def test_groups_that_could_not_be_written_by_hand_are_refused(client: Client, group: str) -> None:
    client.post("api/classes", {"name": "grouped"})
    assert client.add(f"?class=grouped&group={group}", ("1.png", png(190))).status == 422
    assert client.counts()["grouped"] == 0
    assert not (client.root / "metadata.csv").exists()


@pytest.mark.parametrize("name", ["C:", "C:evil", "aux", "NUL.txt", "a:stream", "trailing.", "what?"])
def test_on_windows_no_class_is_another_drive_or_a_device(
    client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(names, "WINDOWS", True)
    refused = client.post("api/classes", {"name": name})
    assert refused.status == 422
    assert "Windows" in refused.error
    found = client.add("", ("data.zip", zipped({f"{name}/1.png": png(195), "other/2.png": png(196)}))).json
    assert found["added"] in (["other/2.png"], [])
    assert [each["name"] for each in found["refused"]] == [f"{name}/1.png"]
    assert name not in os.listdir(client.root)


def test_file_names_are_such_as_every_system_can_have(client: Client) -> None:
    client.post("api/classes", {"name": "devices"})
    given = ("CON.png", "nul.tar.png", "lpt1.png")
    found = client.add("?class=devices", *((name, png(200 + number)) for number, name in enumerate(given))).json
    assert found["added"] == ["devices/_CON.png", "devices/_nul.tar.png", "devices/_lpt1.png"]


def test_markup_in_names_is_text_in_json_and_never_a_page(client: Client) -> None:
    name = "<img src=x onerror=alert(1)>"
    client.fill(name, [150])
    for path in ("api/state", "api/pictures?class=%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E"):
        answer = client.get(path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert b"<" not in answer.body
        assert name in json.dumps(answer.json)
    refused = client.post("api/classes", {"name": "<b>/</b>"})
    assert b"<" not in refused.body
    assert refused.headers["content-type"] == "application/json"
    client.post("api/undo")


def test_every_answer_says_what_it_is_and_runs_nothing(client: Client) -> None:
    client.fill("typed", [160])
    html = b"<html><script>alert(1)</script></html>"
    polyglot = png(161) + html
    client.add("?class=typed", ("poly.html", polyglot), ("page.png", html), ("gif.gif", b"GIF89a" + html))
    ids = client.ids("typed")
    assert "typed/poly.png" in ids
    for path in ("api/state", "api/none", "api/file/typed/poly.png", "api/thumb/typed/00001.png", "", "api/zip"):
        answer = client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
        assert (
            "unsafe-inline"
            not in answer.headers["content-security-policy"].partition("script-src")[2].partition(";")[0]
        )
    assert client.get("api/file/typed/poly.png").headers["content-type"] == "image/png"


def test_bodies_beyond_the_limit_are_refused_before_they_are_read(client: Client) -> None:
    for path, limit in (("api/add?tray=1", uploads.UPLOAD_BYTES), ("api/classes", uploads.JSON_BYTES)):
        with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
            head = f"POST /{client.token}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {limit + 1}\r\n"
            connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode())
            assert b" 413 " in connection.recv(4096).partition(b"\r\n")[0]
    chunked = b"".join(b"100000\r\n" + b" " * 0x100000 + b"\r\n" for _ in range((uploads.JSON_BYTES >> 20) + 1))
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
        head = f"POST /{client.token}/api/classes HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        connection.sendall(chunked)
        assert b" 413 " in connection.recv(4096).partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"{", b'{"name": 1}', b'{"name": null}', b"[" * 100_000, b'{"ids": {}}', b"\xff"]
)
def test_what_is_no_request_is_refused_with_a_sentence(client: Client, body: bytes) -> None:
    for path in ("api/classes", "api/move", "api/decide", "api/train", "api/known", "api/group"):
        answer = client.ask("POST", path, body, Content_Type="application/json")
        assert answer.status in (400, 404, 422), (path, answer.body)
        assert isinstance(answer.error, str)


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\n\r\n", b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\na\r\n--x--']
)
def test_forms_that_are_cut_off_or_foreign_add_nothing(client: Client, body: bytes) -> None:
    before = client.state()["tray"]
    answer = client.ask("POST", "api/add?tray=1", body, Content_Type="multipart/form-data; boundary=x")
    assert answer.status == 400, answer.body
    assert client.ask("POST", "api/add?tray=1", body).status == 400
    assert client.state()["tray"] == before


def test_a_picture_that_would_fill_the_memory_is_refused(client: Client) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 10_000)) + chunk(b"IEND", b"")
    client.post("api/classes", {"name": "bomb"})
    found = client.add("?class=bomb", ("bomb.png", bomb), ("good.png", png(170))).json
    assert [each["name"] for each in found["refused"]] == ["bomb.png"]
    assert found["added"] == ["bomb/good.png"]
    again = client.ask("POST", "api/runs/none/predict", bomb)
    assert again.status == 404


def test_a_zip_that_unpacks_to_too_much_is_read_no_further(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "MOST_UNPACKED", 3 * len(png(180)))
    members = {f"much/{number}.png": png(180 + number) for number in range(9)}
    found = client.add("", ("much.zip", zipped(members))).json
    assert 0 < len(found["added"]) < 9
    assert found["refused_count"] == 9 - len(found["added"])
    assert "unpacks to more than" in found["refused"][0]["reason"]
