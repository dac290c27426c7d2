"""Downloads against a real HTTP server on this machine that misbehaves in every way seen in the wild."""

import gzip
import hashlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from glyphnet.data.download import Patience, download
from glyphnet.errors import DownloadError

CONTENT = hashlib.shake_256(b"glyphnet").digest(300_000)
LIMIT = 400_000


@dataclass
class Mirror:
    """A server whose answers to successive requests are given by a list of behaviours; the last one stays."""

    behaviours: list = field(default_factory=list)
    content: bytes = CONTENT
    requests: list = field(default_factory=list)
    etag: str = '"v1"'
    url: str = ""


@pytest.fixture
def mirror():
    servers = []

    def start(*behaviours, **attributes):
        served = Mirror(list(behaviours), **attributes)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                served.requests.append(dict(self.headers))
                behaviour = served.behaviours.pop(0) if len(served.behaviours) > 1 else served.behaviours[0]
                behaviour(self, served)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        served.url = f"http://127.0.0.1:{server.server_port}/file"
        return served

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ranged(handler, served, *, end=None):
    """As a good server answers: Range and If-Range are honoured. It breaks off at ``end``."""
    start = 0
    if "Range" in handler.headers and handler.headers.get("If-Range", served.etag) == served.etag:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    if start >= len(served.content):
        handler.send_error(416)
        return
    handler.send_response(206 if start else 200)
    if start:
        total = len(served.content)
        handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
    whole(handler, served, start, end)


def whole(handler, served, start=0, end=None):
    handler.send_header("Content-Length", str(len(served.content) - start))
    if served.etag:
        handler.send_header("ETag", served.etag)
    handler.end_headers()
    handler.wfile.write(served.content[start:end])


def good(handler, served):
    ranged(handler, served)


def drops_at(end):
    return lambda handler, served: ranged(handler, served, end=end)


def ignores_range(end=None):
    def answer(handler, served):
        handler.send_response(200)
        whole(handler, served, 0, end)

    return answer


def status(code, **headers):
    def answer(handler, served):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def endless(handler, served):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(50_000))
    except OSError:
        served.behaviours.append("cut")


def silent(handler, served):
    time.sleep(1)


def check(path):
    return "" if path.read_bytes() == CONTENT else "the content is wrong"


@pytest.fixture
def fetch(tmp_path):
    waits = []

    def run(*urls, **options):
        options = {"check": check, "max_bytes": LIMIT, **options}
        patience = options.pop("patience", Patience(timeout=5, attempts=3, wait=1, sleep=waits.append))
        download(urls, tmp_path / "data" / "file", patience=patience, **options)
        assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["file", "file.lock"]
        return (tmp_path / "data" / "file").read_bytes()

    run.waits = waits
    run.part = tmp_path / "data" / "file.part"
    return run


def test_a_good_mirror_needs_one_request_and_tells_progress(mirror, fetch):
    served, told = mirror(good), []
    assert fetch(served.url, progress=lambda *args: told.append(args)) == CONTENT
    assert len(served.requests) == 1
    assert told[-1] == (300_000, 300_000, "file")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert fetch(served.url) == CONTENT
    assert len(served.requests) == 1, "what is there and right is not fetched again"


def test_a_dropped_connection_goes_on_where_it_broke(mirror, fetch):
    served = mirror(drops_at(100_000), drops_at(200_000), good)
    assert fetch(served.url) == CONTENT
    assert [r.get("Range") for r in served.requests] == [None, "bytes=100000-", "bytes=200000-"]
    assert served.requests[1]["If-Range"] == '"v1"'


def test_headway_forgives_any_number_of_drops(mirror, fetch):
    served = mirror(*(drops_at(end) for end in range(30_000, 300_000, 30_000)), good)
    assert fetch(served.url) == CONTENT
    assert len(served.requests) == 10
    assert fetch.waits == [1] * 9


def test_a_file_that_changed_meanwhile_comes_whole(mirror, fetch):
    def changes(handler, served):
        ranged(handler, served, end=100_000)
        served.content, served.etag = CONTENT, '"v2"'

    served = mirror(changes, good, content=bytes(300_000))
    assert fetch(served.url) == CONTENT
    assert len(served.requests) == 2


def test_a_server_that_ignores_range_begins_anew(mirror, fetch):
    served = mirror(ignores_range(100_000), ignores_range())
    assert fetch(served.url) == CONTENT


def test_a_server_that_always_begins_anew_and_drops_is_given_up(mirror, fetch):
    served = mirror(ignores_range(100_000))
    with pytest.raises(DownloadError, match=r"broke after 100,000 of 300,000 bytes, 3 times in a row"):
        fetch(served.url)
    assert len(served.requests) == 3
    assert fetch.waits == [1, 2]


def test_a_later_call_goes_on_from_what_is_left(mirror, fetch):
    served = mirror(drops_at(100_000))
    with pytest.raises(DownloadError):
        fetch(served.url)
    served.behaviours[:] = [good]
    served.requests.clear()
    assert fetch(served.url) == CONTENT
    assert served.requests[0]["Range"] == "bytes=100000-"


def test_another_mirror_never_continues_the_first_ones_file(mirror, fetch):
    first, second = mirror(drops_at(100_000), status(404)), mirror(good)
    assert fetch(first.url, second.url) == CONTENT
    assert "Range" not in second.requests[0]


def test_wrong_pieces_joined_get_one_more_chance_in_one_piece(mirror, fetch):
    def changes_silently(handler, served):
        ranged(handler, served, end=100_000)
        served.content = CONTENT

    served = mirror(changes_silently, good, content=bytes(300_000), etag="")
    assert fetch(served.url) == CONTENT
    assert [r.get("Range") for r in served.requests] == [None, "bytes=100000-", None]


def test_wrong_bytes_are_deleted_and_the_next_mirror_asked(mirror, fetch):
    wrong, right = mirror(good, content=CONTENT[::-1]), mirror(good)
    assert fetch(wrong.url, right.url) == CONTENT
    assert len(wrong.requests) == 1
    fetch.part.with_name("file").unlink()
    with pytest.raises(DownloadError, match=r"the content is wrong. Do it by hand.$"):
        fetch(wrong.url, remedy="Do it by hand.")
    assert not fetch.part.exists()


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_refusal_sends_to_the_next_mirror_at_once(mirror, fetch, code):
    refusing, right = mirror(status(code)), mirror(good)
    assert fetch(refusing.url, right.url) == CONTENT
    assert len(refusing.requests) == 1
    assert fetch.waits == []


@pytest.mark.parametrize(("after", "waited"), [("7", 7), ("9999", 30), ("soon", 1)])
def test_a_busy_server_is_waited_for_as_it_asks_within_bounds(mirror, fetch, after, waited):
    served = mirror(status(503, Retry_After=after), good)
    assert fetch(served.url) == CONTENT
    assert fetch.waits == [waited]


def test_waits_double(mirror, fetch):
    served = mirror(status(500), status(502), good)
    assert fetch(served.url) == CONTENT
    assert fetch.waits == [1, 2]


def test_an_endless_server_is_cut_off(mirror, fetch):
    served, right = mirror(endless), mirror(good)
    assert fetch(served.url, right.url) == CONTENT
    fetch.part.with_name("file").unlink()
    with pytest.raises(DownloadError, match="sends more than the 400,000 bytes that the file can have"):
        fetch(served.url)


def test_a_length_beyond_the_limit_is_refused_before_reading(mirror, fetch):
    served = mirror(good)
    with pytest.raises(DownloadError, match="announces 300,000 bytes, more than the 299,999 that the file can have"):
        fetch(served.url, max_bytes=299_999)


def test_a_silent_server_is_left(mirror, fetch):
    served = mirror(silent)
    patience = Patience(timeout=0.1, attempts=2, wait=0)
    with pytest.raises(DownloadError, match=r"silent for 0.1 s, 2 times in a row"):
        fetch(served.url, patience=patience)


def test_a_part_that_is_too_long_is_thrown_away(mirror, fetch):
    served = mirror(drops_at(100_000))
    with pytest.raises(DownloadError):
        fetch(served.url)
    fetch.part.write_bytes(bytes(300_000))
    served.behaviours[:] = [good]
    assert fetch(served.url) == CONTENT


def test_only_http_and_no_way_out_of_it(mirror, fetch, tmp_path):
    (tmp_path / "secret").write_bytes(CONTENT)
    secret = (tmp_path / "secret").as_uri()
    redirecting = [mirror(status(302, Location=url)) for url in (secret, "ftp://127.0.0.1/file")]
    with pytest.raises(DownloadError) as caught:
        fetch(secret, *(served.url for served in redirecting))
    message = str(caught.value)
    assert f"{secret}: not an http or https address" in message
    assert f"{redirecting[0].url}: HTTP 302" in message
    assert "unknown url type: ftp" in message
    served = mirror(good)
    assert fetch(mirror(status(302, Location=served.url)).url) == CONTENT


def test_the_one_error_lists_every_mirror_and_the_remedy(mirror, fetch):
    urls = [mirror(status(403)).url, mirror(status(503)).url, "http://127.0.0.1:9/file"]
    with pytest.raises(DownloadError) as caught:
        fetch(*urls, remedy="Put file into FOLDER.")
    message = str(caught.value)
    assert message.startswith(f"file could not be downloaded. {urls[0]}: HTTP 403 Forbidden; {urls[1]}: HTTP 503")
    assert f"{urls[2]}: no connection" in message
    assert message.endswith("Put file into FOLDER.")


def test_two_at_once_take_turns(mirror, fetch, tmp_path):
    def slowly(handler, served):
        time.sleep(0.2)
        good(handler, served)

    served = mirror(slowly)
    target = tmp_path / "data" / "file"
    threads = [
        threading.Thread(target=download, args=([served.url], target), kwargs={"check": check, "max_bytes": LIMIT})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(served.requests) == 1


def test_gzip_stays_as_it_is(mirror, fetch):
    packed = gzip.compress(CONTENT)

    def labelled(handler, served):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        whole(handler, served)

    served = mirror(labelled, content=packed)
    assert fetch(served.url, check=lambda path: "") == packed
    assert served.requests[0]["Accept-Encoding"] == "identity"
