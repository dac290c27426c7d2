"""Data sets by name: found where the design says, checked always, downloaded where they are not there."""

import gzip
import hashlib
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from glyphnet.data import named
from glyphnet.errors import BadFileError, DownloadError, SettingsError

CONTENTS = {"a.gz": b"first" * 1000, "b.gz": b"second" * 10}


def sha(content):
    return hashlib.sha256(content).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder served over HTTP, and the data set "toy" that lies there; the cache is empty."""
    folder = tmp_path / "web"
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(gzip.compress(content))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    files = tuple(named.NamedFile(name, len(content), sha(content)) for name, content in CONTENTS.items())
    mirrors = (f"http://127.0.0.1:{server.server_port}/missing/", f"http://127.0.0.1:{server.server_port}/")
    row = named.NamedDataset("Toy", "CC0", "https://example.org", ("0", "1"), files, mirrors)
    monkeypatch.setitem(named.NAMED, "toy", row)
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GLYPHNET_DATA", raising=False)
    yield folder
    server.shutdown()
    server.server_close()


fetch = partial(named.fetch, "toy")


def test_downloads_once_into_the_cache(web, tmp_path):
    told = []
    folder = fetch(progress=lambda *args: told.append(args))
    assert folder == tmp_path / "cache" / "datasets" / "toy"
    for name, content in CONTENTS.items():
        assert gzip.decompress((folder / name).read_bytes()) == content
    assert {what for _, _, what in told} == set(CONTENTS)
    for path in web.iterdir():
        path.unlink()
    assert fetch() == folder


@pytest.mark.parametrize("unpack", [False, True])
def test_glyphnet_data_comes_first(web, tmp_path, monkeypatch, unpack):
    monkeypatch.setenv("GLYPHNET_DATA", str(tmp_path / "mine"))
    mine = tmp_path / "mine" / "toy"
    mine.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (mine / name.removesuffix(".gz" if unpack else "-")).write_bytes(
            content if unpack else gzip.compress(content, 1)
        )
    assert fetch() == mine
    assert not (tmp_path / "cache" / "datasets").exists()


def test_glyphnet_data_that_lacks_a_file_is_passed_over(web, tmp_path, monkeypatch):
    monkeypatch.setenv("GLYPHNET_DATA", str(tmp_path / "mine"))
    (tmp_path / "mine" / "toy").mkdir(parents=True)
    (tmp_path / "mine" / "toy" / "a.gz").write_bytes(gzip.compress(CONTENTS["a.gz"]))
    assert fetch() == tmp_path / "cache" / "datasets" / "toy"


def give_by_hand(tmp_path, monkeypatch, content):
    monkeypatch.setenv("GLYPHNET_DATA", str(tmp_path / "mine"))
    mine = tmp_path / "mine" / "toy"
    mine.mkdir(parents=True, exist_ok=True)
    (mine / "a.gz").write_bytes(content)
    (mine / "b.gz").write_bytes(gzip.compress(CONTENTS["b.gz"]))


def test_a_wrong_file_given_by_hand_is_named_with_both_hashes(web, tmp_path, monkeypatch):
    wrong = CONTENTS["a.gz"][::-1]
    give_by_hand(tmp_path, monkeypatch, gzip.compress(wrong))
    with pytest.raises(BadFileError) as caught:
        fetch()
    message = str(caught.value)
    assert caught.value.path == str(tmp_path / "mine" / "toy" / "a.gz")
    assert f"its content has SHA-256 {sha(wrong)}, expected is {sha(CONTENTS['a.gz'])}." in message
    assert message.endswith("Replace it by a.gz from https://example.org, or remove it to have it downloaded.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(CONTENTS["a.gz"][:-1]), "has 4,999 bytes of content, where 5,000 are expected"),
        (gzip.compress(bytes(50_000_000)), "has more than 5,000 bytes of content, where 5,000 are expected"),
        (gzip.compress(CONTENTS["a.gz"])[:-1], "the gzip data end too early: the file is truncated"),
    ],
    ids=["short", "long", "truncated"],  # the bytes hold the second of their making: no two workers would agree
)
def test_other_faults_of_a_file_given_by_hand(web, tmp_path, monkeypatch, content, message):
    give_by_hand(tmp_path, monkeypatch, content)
    with pytest.raises(BadFileError, match=message):
        fetch()


def test_a_file_found_right_is_remembered_until_it_changes(web, tmp_path, monkeypatch):
    give_by_hand(tmp_path, monkeypatch, gzip.compress(CONTENTS["a.gz"]))
    fetch()
    read = []
    measure = named.content_sha256
    monkeypatch.setattr(named, "content_sha256", lambda path, limit: read.append(path) or measure(path, limit))
    fetch()
    assert read == []
    path = tmp_path / "mine" / "toy" / "a.gz"
    status = path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size and date: the change is seen all the same
    with pytest.raises(BadFileError, match=r"a.gz: "):
        fetch()


def test_a_file_damaged_in_the_cache_is_fetched_again(web):
    folder = fetch()
    (folder / "a.gz").write_bytes(gzip.compress(b"other"))
    assert fetch() == folder
    assert gzip.decompress((folder / "a.gz").read_bytes()) == CONTENTS["a.gz"]


def test_wrong_bytes_on_every_mirror(web, tmp_path):
    (web / "b.gz").write_bytes(gzip.compress(CONTENTS["b.gz"][::-1]))
    with pytest.raises(DownloadError) as caught:
        fetch()
    message = str(caught.value)
    assert "missing/b.gz: HTTP 404 File not found; " in message
    assert f"/b.gz: its content has SHA-256 {sha(CONTENTS['b.gz'][::-1])}, expected is" in message
    assert "put a.gz, b.gz into $GLYPHNET_DATA/toy, where GLYPHNET_DATA is a folder of your choice." in message
    assert not (tmp_path / "cache" / "datasets" / "toy" / "b.gz").exists()


def test_where_only_the_hash_of_the_gzip_file_is_known(web, tmp_path, monkeypatch):
    packed = (web / "a.gz").read_bytes()
    file = named.NamedFile("a.gz", len(CONTENTS["a.gz"]), gzip_sha256=sha(packed))
    row = named.NAMED["toy"]
    monkeypatch.setitem(
        named.NAMED, "toy", named.NamedDataset("Toy", "CC0", row.source, ("0", "1"), (file,), row.mirrors)
    )
    assert (fetch() / "a.gz").read_bytes() == packed
    give_by_hand(tmp_path, monkeypatch, gzip.compress(CONTENTS["a.gz"], 1))
    with pytest.raises(BadFileError, match=r"its content has SHA-256 [0-9a-f]{64}, expected is"):
        fetch()
    give_by_hand(tmp_path, monkeypatch, CONTENTS["a.gz"])
    with pytest.raises(BadFileError, match="only the SHA-256 of the gzip file is known"):
        fetch()


def test_an_unknown_name():
    with pytest.raises(SettingsError, match="no data set called 'mnits'; known by name: mnist, fashion-mnist, kmnist"):
        named.fetch("mnits")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist"])
def test_the_table_is_complete(name):
    row = named.NAMED[name]
    assert len(row.classes) == len(set(row.classes)) == 10
    assert len(row.files) == 4
    assert len(row.mirrors) >= 2
    for mirror in row.mirrors:
        assert mirror.startswith("http")
        assert mirror.endswith("/")
    for file in row.files:
        assert len(file.sha256 or file.gzip_sha256) == 64


@pytest.mark.skipif("GLYPHNET_DATA" not in os.environ, reason="needs $GLYPHNET_DATA")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_data_pass(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path))
    assert named.fetch(name) == Path(os.environ["GLYPHNET_DATA"]) / name
