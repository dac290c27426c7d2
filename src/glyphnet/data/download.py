"""Fetches one file over HTTP from the first mirror that has it right, and survives bad connections."""

from __future__ import annotations

import fcntl
import http.client
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._version import __version__
from ..errors import DownloadError

Check = Callable[[Path], str]

_PIECE = 1 << 16


@dataclass(frozen=True)
class Patience:
    """How long to go on with one mirror.

    Attributes:
        timeout: seconds that a server may stay silent.
        attempts: tries in a row without a byte of headway.
        wait: seconds before the second try; each further wait is twice as long.
        longest_wait: seconds; also bounds what a server asks for with Retry-After.
        sleep: what waits.
    """

    timeout: float = 20.0
    attempts: int = 4
    wait: float = 0.5
    longest_wait: float = 30.0
    sleep: Callable[[float], None] = time.sleep


class _TryAgainError(Exception):
    """This attempt failed, a later one may not; ``after`` seconds if the server said so."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class _GiveUpError(Exception):
    """This mirror will not do."""


def download(
    urls: Sequence[str],
    target: Path,
    *,
    check: Check,
    max_bytes: int,
    remedy: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    patience: Patience | None = None,
) -> None:
    """Fetch a file from the first of ``urls`` that serves it right, and put it in place in one step.

    What has come is kept beside ``target`` as ``.part``, and a broken download goes on from there, also in a
    later call. Two processes that want the same file take turns: the second finds it done.

    Args:
        urls: the same file on several mirrors, http or https.
        target: where it goes; the folder is made.
        check: says what is wrong with a file, "" if nothing is; what it refuses is deleted.
        max_bytes: a server that sends more is cut off.
        remedy: the last sentence of the error.
        progress: called with (bytes done, bytes in all or 0, file name).

    Raises:
        DownloadError: no mirror had it; the message gives the reason of each.
    """
    patience = patience or Patience()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _turn(target):
        if target.exists() and not check(target):
            return
        part = target.with_name(target.name + ".part")
        reasons = []
        for url in urls:
            try:
                _fetch_checked(url, part, check, _Transfer(max_bytes, progress, patience, target.name))
            except _GiveUpError as error:
                reasons.append(f"{url}: {error}")
                continue
            _put_in_place(part, target)
            return
    raise DownloadError(f"{target.name} could not be downloaded. {'; '.join(reasons)}. {remedy}".rstrip())


@contextmanager
def _turn(target: Path) -> Iterator[None]:
    """The sole right to fetch ``target``; waits for whoever has it. The kernel ends it with the process."""
    with target.with_name(target.name + ".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _put_in_place(part: Path, target: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, target)
    _state_path(part).unlink(missing_ok=True)


def _fetch_checked(url: str, part: Path, check: Check, transfer: _Transfer) -> None:
    """Fetch ``url`` into ``part`` and check it; one joined from pieces gets another chance, in one piece."""
    for _ in range(2):
        joined = transfer.fetch(url, part)
        wrong = check(part)
        if not wrong:
            return
        _discard(part)
        if not joined:
            break
    raise _GiveUpError(wrong)


def _state_path(part: Path) -> Path:
    return part.with_name(part.name + ".from")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_path(part).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Transfer:
    """The way of one file from one mirror to the disk."""

    max_bytes: int
    progress: Callable[[int, int, str], None] | None
    patience: Patience
    what: str

    def fetch(self, url: str, part: Path) -> bool:
        """Bring ``url`` into ``part``, in as many attempts as it takes.

        Returns:
            Whether the file was joined from several pieces.
        """
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise _GiveUpError("not an http or https address")
        failures, farthest, joined = 0, 0, False
        while True:
            try:
                return self._attempt(url, part) or joined
            except _TryAgainError as error:
                reached = part.stat().st_size if part.exists() else 0
                # Headway forgives: a line that breaks every few megabytes gets there. Only new ground counts,
                # or a server that always begins anew would be tried for ever.
                failures = 1 if reached > farthest else failures + 1
                farthest = max(farthest, reached)
                if failures >= self.patience.attempts:
                    raise _GiveUpError(f"{error}, {failures} times in a row") from None
                wait = max(self.patience.wait * 2 ** (failures - 1), error.after)
                self.patience.sleep(min(wait, self.patience.longest_wait))

    def _attempt(self, url: str, part: Path) -> bool:
        start, request = _request(url, part)
        try:
            with _OPENER.open(request, timeout=self.patience.timeout) as response:
                resumed = start > 0 and response.status == 206 and _begins_at(response, start)
                if start and response.status == 206 and not resumed:
                    _discard(part)
                    raise _TryAgainError("sent another range than was asked for")
                self._receive(response, url, part, start if resumed else 0)
                return resumed
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # what is here is not a beginning of what is there
                _discard(part)
                raise _TryAgainError("refused to go on where the download broke off") from None
            raise _judge(error) from None
        except TimeoutError:
            raise _TryAgainError(f"silent for {self.patience.timeout:g} s") from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise _TryAgainError(f"silent for {self.patience.timeout:g} s") from None
            raise _TryAgainError(f"no connection ({error.reason})") from None
        except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
            raise _TryAgainError(f"the connection broke ({type(error).__name__})") from None

    def _receive(self, response: http.client.HTTPResponse, url: str, part: Path, done: int) -> None:
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else 0
        if total > self.max_bytes:
            raise _GiveUpError(f"announces {total:,} bytes, more than the {self.max_bytes:,} that the file can have")
        _state_path(part).write_text(f"{url}\n{_validator(response)}")
        with part.open("ab" if done else "wb") as file:
            while piece := response.read1(_PIECE):
                file.write(piece)
                done += len(piece)
                if done > self.max_bytes:
                    file.truncate(0)
                    raise _GiveUpError(f"sends more than the {self.max_bytes:,} bytes that the file can have")
                if self.progress is not None:
                    self.progress(done, total, self.what)
        if done < total:
            raise _TryAgainError(f"the connection broke after {done:,} of {total:,} bytes")


def _request(url: str, part: Path) -> tuple[int, urllib.request.Request]:
    """The request for what is still missing, and where that starts.

    Only the same address is asked to go on, and with If-Range: a file that changed meanwhile comes whole.
    """
    headers = {"User-Agent": f"glyphnet/{__version__}", "Accept-Encoding": "identity"}
    start = 0
    if part.exists() and _state_path(part).exists():
        origin, _, validator = _state_path(part).read_text().partition("\n")
        if origin == url:
            start = part.stat().st_size
            if start:
                headers["Range"] = f"bytes={start}-"
                headers |= {"If-Range": validator} if validator else {}
    return start, urllib.request.Request(url, headers=headers)


def _validator(response: http.client.HTTPResponse) -> str:
    """What names this version of the file for If-Range: a strong ETag or a date (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _begins_at(response: http.client.HTTPResponse, start: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _judge(error: urllib.error.HTTPError) -> Exception:
    """Whether a status is worth another try: the server's troubles are, its refusals are not."""
    reason = f"HTTP {error.code} {error.reason}".rstrip()
    if error.code not in (408, 425, 429) and error.code < 500:
        return _GiveUpError(reason)
    after = error.headers.get("Retry-After", "")
    return _TryAgainError(reason, float(after) if after.isdigit() else 0.0)


def _opener() -> urllib.request.OpenerDirector:
    """urllib without its handlers for ftp:, file: and data:, where a redirect could lead."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


_OPENER = _opener()
