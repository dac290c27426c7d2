"""Data sets known by name: what they are, where they lie, and how to know that they are right.

A row of `NAMED` is all that another set in MNIST's files needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .._version import __version__
from ..errors import BadFileError, DataError, DownloadError, SettingsError
from ..files import atomic_write_text
from .cache import cache_folder
from .gzipped import content_sha256, is_gzipped

if TYPE_CHECKING:
    import requests

_TIMEOUT = 20.0  # seconds that a server may stay silent
_ROUNDS = (0.0, 1.0, 4.0)  # seconds of waiting before each round of asking all mirrors


@dataclass(frozen=True)
class NamedFile:
    """One file of a data set.

    Attributes:
        name: its name on the mirrors, with ``.gz``.
        size: bytes, unpacked.
        sha256: of the unpacked content, whatever way it was gzipped; "" where nobody has published it.
        gzip_sha256: of the gzip file itself; the check where ``sha256`` is "".
    """

    name: str
    size: int
    sha256: str = ""
    gzip_sha256: str = ""


@dataclass(frozen=True)
class NamedDataset:
    """A data set with a name.

    Attributes:
        mirrors: addresses that the file names are appended to, in the order they are tried.
        source: page of its authors.
    """

    title: str
    licence: str
    source: str
    classes: tuple[str, ...]
    files: tuple[NamedFile, ...]
    mirrors: tuple[str, ...]


def _files(*hashes: str, kind: str = "sha256") -> tuple[NamedFile, ...]:
    """MNIST's four files; all sets here have its sizes."""
    names = (
        ("train-images-idx3-ubyte.gz", 47_040_016),
        ("train-labels-idx1-ubyte.gz", 60_008),
        ("t10k-images-idx3-ubyte.gz", 7_840_016),
        ("t10k-labels-idx1-ubyte.gz", 10_008),
    )
    return tuple(NamedFile(name, size, **{kind: sha}) for (name, size), sha in zip(names, hashes, strict=True))


NAMED: dict[str, NamedDataset] = {
    "mnist": NamedDataset(
        title="MNIST: 70,000 handwritten digits, 28×28 grey",
        licence="CC BY-SA 3.0",
        source="http://yann.lecun.com/exdb/mnist/",
        classes=tuple("0123456789"),
        files=_files(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
    ),
    "fashion-mnist": NamedDataset(
        title="Fashion-MNIST: 70,000 pictures of clothes, 28×28 grey (Zalando Research)",
        licence="MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        files=_files(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
    ),
    "kmnist": NamedDataset(
        title="Kuzushiji-MNIST: 70,000 cursive Japanese characters, 28×28 grey (CODH)",
        licence="CC BY-SA 4.0",
        source="https://github.com/rois-codh/kmnist",
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        # The hashes that TensorFlow Datasets lists for CODH's gzip files; of the content none is published.
        files=_files(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            kind="gzip_sha256",
        ),
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
    ),
}


def fetch(
    name: str,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> Path:
    """The folder with the files of a named data set, checked; downloaded where they are not here yet.

    Looked up in ``$GLYPHNET_DATA/<name>``, then in the cache, then on the mirrors.

    Args:
        name: a key of `NAMED`.
        progress: called with (bytes done, bytes in all or 0, file name) while downloading.

    Raises:
        SettingsError: there is no such name.
        BadFileError: a file in ``$GLYPHNET_DATA`` is not what it should be.
        DownloadError: no mirror could be reached, or none has the right files.
    """
    if name not in NAMED:
        raise SettingsError(f"There is no data set called {name!r}; known by name: {', '.join(NAMED)}.")
    dataset = NAMED[name]
    given = os.environ.get("GLYPHNET_DATA")
    if given and (found := [_find(Path(given) / name, file) for file in dataset.files]) and all(found):
        for file, path in zip(dataset.files, found, strict=True):
            assert path is not None
            if wrong := _fault(path, file):
                remedy = f"Replace it by {file.name} from {dataset.source}, or remove it to have it downloaded."
                raise BadFileError(path, wrong, remedy)
        return Path(given) / name
    folder = cache_folder() / "datasets" / name
    remedy = (
        f"To provide the files by hand, put {', '.join(file.name for file in dataset.files)} "
        f"into {Path(given or '$GLYPHNET_DATA') / name}"
        + ("." if given else ", where GLYPHNET_DATA is a folder of your choice.")
    )
    try:
        for file in dataset.files:
            if not (folder / file.name).is_file() or _fault(folder / file.name, file):
                _download(dataset, file, folder, remedy, progress)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}. Set GLYPHNET_CACHE to a folder to write to.") from error
    return folder


def _download(
    dataset: NamedDataset, file: NamedFile, folder: Path, remedy: str, progress: Callable[[int, int, str], None] | None
) -> None:
    """Fetch a file from the first mirror that has it right, and put it in place in one step.

    A mirror that refuses (HTTP 4xx) or sends wrong bytes is asked once, one in trouble once in each round of
    `_ROUNDS`.

    Raises:
        DownloadError: no mirror had it; the message gives the last reason of each.
    """
    from requests import RequestException  # an HTTP client, which few runs need

    urls = [mirror + file.name for mirror in dataset.mirrors]
    reasons: dict[str, str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{file.name}-") as room:
        for wait in _ROUNDS:
            time.sleep(wait)
            for url in list(urls):
                try:
                    received = _receive(url, Path(room) / file.name, file, progress)
                    os.replace(received, folder / file.name)
                    return
                except (RequestException, ValueError) as error:  # ValueError: a header that is no number, too
                    reasons[url], again = _judge(error)
                    if not again:
                        urls.remove(url)
            if not urls:
                break
    told = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
    raise DownloadError(f"{file.name} could not be downloaded. {told}. {remedy}")


class _RefusedError(ValueError):
    """What a mirror sends is not the file."""


def _receive(url: str, path: Path, file: NamedFile, progress: Callable[[int, int, str], None] | None) -> Path:
    """Download ``url`` to ``path`` and check the content."""
    from pooch import HTTPDownloader

    with path.open("wb") as target:
        receiver = _Receiver(target, file, progress)
        fetch_url = HTTPDownloader(
            progressbar=receiver,
            chunk_size=1 << 16,
            timeout=_TIMEOUT,
            headers={"User-Agent": f"glyphnet/{__version__}", "Accept-Encoding": "identity"},
            hooks={"response": _keep_packed},
        )
        fetch_url(url, receiver, None)
    if wrong := _measure(path, file):
        raise _RefusedError(wrong)
    return path


class _Receiver:
    """What pooch writes to, and its progress bar: passes progress on and bounds what a server sends.

    Attributes:
        total: bytes that the server announced, 0 if it did not; set by pooch.
    """

    total = 0

    def __init__(self, target: IO[bytes], file: NamedFile, progress: Callable[[int, int, str], None] | None) -> None:
        self._target = target
        self._what = file.name
        self._limit = file.size + file.size // 1000 + 4096  # deflate's worst case adds five bytes to 16 thousand
        self._progress = progress
        self._done = 0

    def write(self, piece: bytes) -> None:
        self._done += len(piece)
        if max(self._done, self.total) > self._limit:
            raise _RefusedError(f"sends more than the {self._limit:,} bytes that the file can have")
        self._target.write(piece)
        if self._progress is not None:
            self._progress(self._done, self.total, self._what)

    def update(self, _: int = 0) -> None:
        """Nothing: `write` passes the progress on, and the file is flushed when it is closed."""

    flush = reset = close = update


def _keep_packed(response: requests.Response, **_: object) -> None:
    """Leave a .gz file packed even if the server labels it as compressed for the transfer."""
    response.raw.headers.pop("Content-Encoding", None)


def _judge(error: Exception) -> tuple[str, bool]:
    """Why a mirror failed, and whether it may be asked again."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        code = error.response.status_code
        return f"HTTP {code} {error.response.reason}".rstrip(), code >= 500 or code in (408, 425, 429)
    if isinstance(error, requests.Timeout):
        return f"silent for {_TIMEOUT:g} s", True
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "not an http or https address", False
    if isinstance(error, requests.RequestException):
        cause = getattr(error.args[0] if error.args else None, "reason", None)  # urllib3's, of a failed connection
        return f"no connection ({str(cause).rpartition(': ')[2]})" if cause else "the connection broke off", True
    return str(error), False


def _find(folder: Path, file: NamedFile) -> Path | None:
    """The file as it is called on the mirrors, or unpacked."""
    for name in (file.name, file.name.removesuffix(".gz")):
        if (folder / name).is_file():
            return folder / name
    return None


def _fault(path: Path, file: NamedFile) -> str:
    """What is wrong with a file, "" if nothing is; a file found right is remembered until it changes."""
    expected = file.sha256 or file.gzip_sha256
    status = path.stat()
    state = [os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, expected]
    mark = cache_folder() / "verified" / f"{hashlib.sha256(json.dumps(state).encode()).hexdigest()}.json"
    if mark.exists():
        return ""
    wrong = _measure(path, file)
    if not wrong:
        with contextlib.suppress(OSError):  # no place to remember: then it is measured each time
            mark.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(mark, json.dumps(state))
    return wrong


def _measure(path: Path, file: NamedFile) -> str:
    """What is wrong with the content of a file, "" if nothing is."""
    try:
        content, size = content_sha256(path, limit=file.size)
        if not file.sha256 and not is_gzipped(path):
            return "unpacked, but only the SHA-256 of the gzip file is known, so it cannot be checked"
    except BadFileError as error:
        return error.reason
    if size != file.size:
        more = "more than " if size > file.size else ""
        return f"has {more}{min(size, file.size):,} bytes of content, where {file.size:,} are expected"
    found = content if file.sha256 else _gzip_sha256(path)
    expected = file.sha256 or file.gzip_sha256
    return "" if found == expected else f"its content has SHA-256 {found}, expected is {expected}"


def _gzip_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
