"""Downloads of named data sets from real HTTP servers on this machine that misbehave as servers in the wild do."""

import gzip
import hashlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from glyphnet.data import named
from glyphnet.errors import DataError, DownloadError

CONTENT = hashlib.shake_256(b"glyphnet").digest(300_000)
PACKED = gzip.compress(CONTENT, mtime=0)


@dataclass
class Mirror:
    """A server whose answers to successive requests are given by a list of behaviours; the last one stays."""

    behaviours: list
    requests: list = field(default_factory=list)
    url: str = ""


@pytest.fixture
def mirror(monkeypatch):
    servers = []
    monkeypatch.setattr(named, "_ROUNDS", (0.0, 0.01, 0.01))
    monkeypatch.setattr(named, "_TIMEOUT", 5.0)

    def start(*behaviours):
        served = Mirror(list(behaviours))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                served.requests.append(dict(self.headers))
                behaviour = served.behaviours.pop(0) if len(served.behaviours) > 1 else served.behaviours[0]
                behaviour(self)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        served.url = f"http://127.0.0.1:{server.server_port}/"
        return served

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def fetch(monkeypatch, cache):
    monkeypatch.delenv("GLYPHNET_DATA", raising=False)

    def run(*mirrors, file=None, **options):
        file = file or named.NamedFile("a.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        urls = tuple(served if isinstance(served, str) else served.url for served in mirrors)
        row = named.NamedDataset("Toy", "CC0", "https://example.org", ("0", "1"), (file,), urls)
        monkeypatch.setitem(named.NAMED, "toy", row)
        try:
            return (named.fetch("toy", **options) / "a.gz").read_bytes()
        finally:
            left = [path.name for path in (cache / "datasets").rglob("*") if path.is_file()]
            assert left in ([], ["a.gz"]), "nothing unfinished stays"

    return run


def sends(body, *, status=200, announced=None, **headers):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if announced is None else announced))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


good = sends(PACKED)
drops = sends(PACKED[:100_000], announced=len(PACKED))


def refuses(code, **headers):
    return sends(b"", status=code, **headers)


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(50_000))
    except OSError:
        pass


def silent(handler):
    time.sleep(1)


def test_a_good_mirror_needs_one_request_and_tells_progress(mirror, fetch):
    served, told = mirror(good), []
    assert fetch(served, progress=lambda *args: told.append(args)) == PACKED
    assert len(served.requests) == 1
    assert told[-1] == (len(PACKED), len(PACKED), "a.gz")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert fetch(served) == PACKED
    assert len(served.requests) == 1, "what is there and right is not fetched again"


@pytest.mark.parametrize("trouble", [drops, refuses(500), refuses(503), refuses(429)])
def test_a_mirror_in_trouble_is_asked_again_after_the_others(mirror, fetch, trouble):
    served = mirror(trouble, trouble, good)
    assert fetch(served) == PACKED
    assert len(served.requests) == 3
    first, second = mirror(trouble), mirror(good)
    (named.cache_folder() / "datasets" / "toy" / "a.gz").unlink()
    assert fetch(first, second) == PACKED
    assert len(first.requests) == 1


def test_a_mirror_that_stays_in_trouble_is_given_up(mirror, fetch):
    served = mirror(drops)
    with pytest.raises(
        DownloadError, match=rf"not be downloaded. {served.url}a.gz: the connection broke off. .*put a.gz"
    ):
        fetch(served)
    assert len(served.requests) == 3


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_refusal_is_asked_once(mirror, fetch, code):
    refusing, right = mirror(refuses(code)), mirror(refuses(500), good)
    assert fetch(refusing, right) == PACKED
    assert (len(refusing.requests), len(right.requests)) == (1, 2)


def test_wrong_bytes_send_to_the_next_mirror(mirror, fetch):
    wrong = gzip.compress(CONTENT[::-1])
    served, right = mirror(sends(wrong)), mirror(good)
    assert fetch(served, right) == PACKED
    (named.cache_folder() / "datasets" / "toy" / "a.gz").unlink()
    with pytest.raises(DownloadError, match=r"its content has SHA-256 [0-9a-f]{64}, expected is [0-9a-f]{64}"):
        fetch(served)
    assert len(served.requests) == 2


@pytest.mark.parametrize("answer", [sends(b"", announced="many"), lambda handler: handler.wfile.write(b"hello\n")])
def test_an_answer_that_is_not_http_is_one_typed_error(mirror, fetch, answer):
    with pytest.raises(DownloadError, match=r"a.gz could not be downloaded"):
        fetch(mirror(answer))


@pytest.mark.parametrize("flood", [endless, sends(bytes(100_000), announced=10**12)])
def test_a_server_that_sends_too_much_is_cut_off(mirror, fetch, flood):
    limit = len(CONTENT) + len(CONTENT) // 1000 + 4096
    with pytest.raises(DownloadError, match=f"sends more than the {limit:,} bytes that the file can have"):
        fetch(mirror(flood))


def test_a_silent_server_is_left(mirror, fetch, monkeypatch):
    served = mirror(silent)
    monkeypatch.setattr(named, "_TIMEOUT", 0.1)
    with pytest.raises(DownloadError, match=r"silent for 0.1 s"):
        fetch(served)
    assert len(served.requests) == 3


def test_only_http_and_no_way_out_of_it(mirror, fetch, tmp_path):
    (tmp_path / "a.gz").write_bytes(PACKED)
    secret = tmp_path.as_uri() + "/"
    redirecting = [mirror(refuses(302, Location=url)) for url in (secret + "a.gz", "ftp://127.0.0.1/a.gz")]
    with pytest.raises(DownloadError) as caught:
        fetch(secret, *redirecting)
    assert str(caught.value).count("not an http or https address") == 3
    assert fetch(mirror(refuses(302, Location=mirror(good).url))) == PACKED


def test_the_one_error_names_every_mirror_and_the_remedy(mirror, fetch):
    mirrors = [mirror(refuses(403)).url, mirror(refuses(503)).url, "http://127.0.0.1:9/"]
    with pytest.raises(DownloadError) as caught:
        fetch(*mirrors)
    message = str(caught.value)
    for url, reason in zip(mirrors, ["HTTP 403 Forbidden", "HTTP 503 Service", "no connection ("], strict=True):
        assert f"{url}a.gz: {reason}" in message
    assert "put a.gz into $GLYPHNET_DATA/toy, where GLYPHNET_DATA is a folder of your choice." in message


def test_several_at_once_get_the_whole_file(mirror, fetch):
    served, contents = mirror(good), []
    fetch(served)
    path = named.cache_folder() / "datasets" / "toy" / "a.gz"
    path.unlink()

    def fetch_too():
        contents.append((named.fetch("toy") / "a.gz").read_bytes())

    threads = [threading.Thread(target=fetch_too) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents == [PACKED] * 4
    assert list(path.parent.iterdir()) == [path]


def test_gzip_stays_as_it_is(mirror, fetch):
    file = named.NamedFile("a.gz", len(CONTENT), gzip_sha256=hashlib.sha256(PACKED).hexdigest())
    served = mirror(sends(PACKED, Content_Encoding="gzip"))
    assert fetch(served, file=file) == PACKED
    assert served.requests[0]["Accept-Encoding"] == "identity"


def test_a_cache_that_cannot_be_written_is_named(mirror, fetch, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"file/datasets/toy: Not a directory. Set GLYPHNET_CACHE to a folder"):
        fetch(mirror(good))
