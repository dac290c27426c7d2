"""Finds or downloads the data sets of `known`, and checks their files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._version import __version__
from ..errors import BadFileError, DataError, DownloadError, SettingsError
from ..files import atomic_write_text, make_folder, move, new_file, open_input, read_input, remove
from ..locks import temporary_folder
from ..progress import Progress
from .cache import cache_folder
from .dataset import Int64Array, UInt8Array
from .filetree import PIECE, is_gzipped, unpacked
from .known import NAMED, NamedDataset, NamedFile

_TIMEOUT = 20.0  # seconds that a server may stay silent
_ROUNDS = (0.0, 1.0, 4.0)  # seconds of waiting before each round of asking all mirrors


def fetch(name: str, *, progress: Progress | None = None, warn: Callable[[str], None] | None = None) -> Path:
    """The folder with the files of a named data set, checked, and downloaded where they are missing.

    Looked up in ``$GLYPHNET_DATA/<name>``, then in the cache, then on the mirrors.

    Args:
        progress: called with (bytes done, bytes in all or 0, file name) while downloading.
        warn: called with a sentence for each file without a published checksum, when it is first met.

    Raises:
        SettingsError: there is no such name.
        BadFileError: a file in ``$GLYPHNET_DATA`` is not what it should be.
        DownloadError: no mirror could be reached, or none has the right files.
    """
    if name not in NAMED:
        raise SettingsError(f"There is no data set called {name!r}; known by name: {', '.join(NAMED)}.")
    dataset = NAMED[name]
    given = os.environ.get("GLYPHNET_DATA")
    by_hand = Path(given or "$GLYPHNET_DATA") / (dataset.folder or name)
    found = [_find(by_hand, file) for file in dataset.files] if given else []
    if found and all(found):
        for file, path in zip(dataset.files, found, strict=True):
            assert path is not None
            if wrong := _fault(path, file):
                remedy = f"Replace it by {file.name} from {dataset.source}, or remove it to have it downloaded."
                raise BadFileError(path, wrong, remedy)
            _pin(path, file, warn)
        return by_hand
    folder = cache_folder() / "datasets" / (dataset.folder or name)
    remedy = f"To provide the files by hand, put {', '.join(file.name for file in dataset.files)} into {by_hand}" + (
        "." if given else ", where GLYPHNET_DATA is a folder of your choice."
    )
    try:
        for file in dataset.files:
            if not (folder / file.name).is_file() or _fault(folder / file.name, file):
                _download(dataset, file, folder, remedy, progress)
            _pin(folder / file.name, file, warn)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}. Set GLYPHNET_CACHE to a folder to write to.") from error
    return folder


def _download(dataset: NamedDataset, file: NamedFile, folder: Path, remedy: str, progress: Progress | None) -> None:
    """Fetch a file from the first mirror that has it right, and put it in place in one step.

    A mirror that refuses (HTTP 4xx) or sends wrong bytes is asked once, a failing one in each round of `_ROUNDS`.
    """
    from requests import RequestException  # an HTTP client, which few runs need

    urls = [mirror + file.name + dataset.query for mirror in dataset.mirrors]
    reasons: dict[str, str] = {}
    make_folder(folder)
    with temporary_folder(folder) as room:
        for wait in _ROUNDS:
            time.sleep(wait)
            for url in list(urls):
                try:
                    received = _receive(url, room / file.name, file, progress)
                    move(received, folder / file.name)
                    return
                except (RequestException, ValueError) as error:  # ValueError: a header that is no number, too
                    reasons[url], again = _judge(error)
                    if not again:
                        urls.remove(url)
            if not urls:
                break
    failures = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
    raise DownloadError(f"{file.name} could not be downloaded. {failures}. {remedy}")


class _RefusedError(ValueError):
    """What a mirror sends is not the file."""


def _receive(url: str, path: Path, file: NamedFile, progress: Progress | None) -> Path:
    """Download ``url`` to ``path`` and check the content."""
    import requests

    # Deflate's worst case adds five bytes to 16 thousand.
    limit = file.size if file.is_whole else file.size + file.size // 1000 + 4096
    headers = {"User-Agent": f"glyphnet/{__version__}", "Accept-Encoding": "identity"}
    remove(path)  # of the mirror before
    with new_file(path) as target, requests.get(url, headers=headers, timeout=_TIMEOUT, stream=True) as response:
        response.raise_for_status()
        response.raw.headers.pop("Content-Encoding", None)  # a .gz file stays packed, whatever the server calls it
        done, total = 0, int(response.headers.get("Content-Length", 0))
        for piece in response.iter_content(1 << 16):
            done += len(piece)
            if max(done, total) > limit:
                raise _RefusedError(f"sends more than the {limit:,} bytes that the file can have")
            target.write(piece)
            if progress is not None:
                progress(done, total, file.name)
    if wrong := _measure(path, file):
        raise _RefusedError(wrong)
    return path


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
    """What is wrong with a file, "" if nothing; a sound file is remembered until it changes."""
    expected = file.sha256 or file.gzip_sha256 or file.md5 or _pinned(file)
    status = path.stat()
    state = [os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, expected]
    mark = cache_folder() / "verified" / f"{hashlib.sha256(json.dumps(state).encode()).hexdigest()}.json"
    if mark.exists():
        return ""
    wrong = _measure(path, file)
    if not wrong:
        with contextlib.suppress(OSError):  # a cache that cannot be written to: then it is measured each time
            make_folder(mark.parent)
            atomic_write_text(mark, json.dumps(state))
    return wrong


def _measure(path: Path, file: NamedFile) -> str:
    """What is wrong with the content of a file, "" if nothing is."""
    if file.is_whole:
        return _measure_whole(path, file)
    try:
        found, size = content_sha256(path, limit=file.size)
        if not file.sha256 and not is_gzipped(path):
            return "unpacked, but only the SHA-256 of the gzip file is known, so it cannot be checked"
    except BadFileError as error:
        return error.reason
    if size != file.size:
        more = "more than " if size > file.size else ""
        return f"has {more}{min(size, file.size):,} bytes of content, where {file.size:,} are expected"
    expected = file.sha256 or file.gzip_sha256
    found = found if file.sha256 else _digest(path)
    return "" if found == expected else f"its content has SHA-256 {found}, expected is {expected}"


def content_sha256(path: Path, limit: int) -> tuple[str, int]:
    """SHA-256 (hex) of the content, gunzipped, and its size in bytes; reads at most one byte more than ``limit``."""
    digest, size = hashlib.sha256(), 0
    with unpacked(path) as file:
        while piece := file.read(min(PIECE, limit + 1 - size)):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _measure_whole(path: Path, file: NamedFile) -> str:
    """What is wrong with a file whose own checksum is known, or pinned."""
    stored = path.stat().st_size
    if stored > file.size:
        return f"has {stored:,} bytes, where {file.size:,} are the most"
    expected = file.md5 or _pinned(file)
    if not expected:
        return "" if stored else "is empty"
    found = _digest(path, "md5" if file.md5 else "sha256")
    if found == expected:
        return ""
    what, whose = ("MD5", "") if file.md5 else ("SHA-256", ", as at the first download")
    return f"its {what} is {found}, expected is {expected}{whose}"


def _pin_path(file: NamedFile) -> Path:
    return cache_folder() / "pinned" / f"{file.name}.sha256"


def _pinned(file: NamedFile) -> str:
    """The SHA-256 of a file's first download; "" for none, or where a published checksum is known."""
    if not file.is_whole or file.md5:
        return ""
    try:
        return read_input(_pin_path(file)).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _pin(path: Path, file: NamedFile, warn: Callable[[str], None] | None) -> None:
    """Remember the SHA-256 of a file without a published checksum, and warn the first time."""
    if not file.is_whole or file.md5 or _pinned(file):
        return
    found = _digest(path)
    with contextlib.suppress(OSError):  # a cache that cannot be written to: then it warns each time
        make_folder(_pin_path(file).parent)
        atomic_write_text(_pin_path(file), found)
    if warn is not None:
        warn(f"{file.name}: not verified: first download. Its SHA-256 is {found}; from now on it must be this.")


def _digest(path: Path, kind: str = "sha256") -> str:
    with open_input(path) as file:
        return hashlib.file_digest(file, kind).hexdigest()


# scikit-learn's digits: 1,797 grey images of 8×8 pixels, in ten classes


def read_digits() -> tuple[UInt8Array, Int64Array, tuple[str, ...]]:
    """Images uint8 (1797, 8, 8, 1), labels int64 (1797,), and the ten class names.

    The values 0 to 16 become 0 to 255, rounded: the 17 values stay distinct, and ``round(v * 16 / 255)``
    gives them back.
    """
    table = _table()
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    return images, table[:, -1].astype(np.int64), tuple("0123456789")


def _table() -> npt.NDArray[np.float64]:
    """The table that scikit-learn's ``load_digits`` reads, float64 (1797, 65): pixels row by row, label."""
    # scikit-learn takes a second to import: its file is read directly, unless it has moved.
    package = find_spec("sklearn")
    places = (package and package.submodule_search_locations) or []
    for file in (Path(place, "datasets", "data", "digits.csv.gz") for place in places):
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])
