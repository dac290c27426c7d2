"""Repositories of a model hub: how they are named, and how a file is downloaded and checked.

``hf:USER/NAME`` is a repository of Hugging Face, or of the hub that HF_ENDPOINT names.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .errors import GlyphNetError, HubError, MissingExtraError, SettingsError
from .files import open_input
from .units import reason, size

LARGEST = 1 << 30
"""Bytes of a file that is downloaded: networks for small images take a hundredth of it."""

_NAME = re.compile(r"hf:([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Place:
    """A repository of a hub, and a revision of it: a branch, a tag or a commit; None for the newest."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        """As it is written."""
        return f"hf:{self.repository}" + (f"@{self.revision}" if self.revision else "")

    @classmethod
    def parse(cls, text: str) -> Place:
        """``hf:USER/NAME`` or ``hf:USER/NAME@REVISION``; SettingsError for anything else."""
        match = _NAME.fullmatch(text)
        if match is None or ".." in text or "--" in match[1]:
            raise SettingsError(f'"{text:.120}" names no repository: write hf:USER/NAME, or hf:USER/NAME@REVISION.')
        return cls(match[1], match[2])


@dataclass(frozen=True)
class Told:
    """What a hub says of a file.

    Attributes:
        commit: in which it is so.
        sha256: of its content; "" where the hub does not say, as of small files.
        size: in bytes; None where the hub does not say.
    """

    commit: str
    sha256: str
    size: int | None


@dataclass(frozen=True)
class Downloaded:
    """A file that was downloaded, and the SHA-256 of its content."""

    path: Path
    sha256: str


def look_up(place: Place, file: str, *, endpoint: str | None = None) -> Told:
    """What the hub says of a file, without its content.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        HubError: the hub has no such repository, revision or file, refuses, or cannot be reached.
    """
    hub, endpoint = library("Files of a hub"), endpoint or os.environ.get("HF_ENDPOINT")
    with explained(hub, f"{place}, {file}"):
        url = hub.hf_hub_url(place.repository, file, revision=place.revision, endpoint=endpoint)
        told = hub.get_hf_file_metadata(url, endpoint=endpoint)
    etag = str(told.etag or "")
    return Told(str(told.commit_hash or ""), etag if _SHA256.fullmatch(etag) else "", told.size)


def download(place: Place, file: str, folder: Path, *, endpoint: str | None = None) -> Downloaded:
    """Download a file into a folder, and check it against the SHA-256 that the hub says.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        HubError: see `look_up`; or the file is too large, or is not what the hub says.
    """
    hub, endpoint = library("Files of a hub"), endpoint or os.environ.get("HF_ENDPOINT")
    told = look_up(place, file, endpoint=endpoint)
    if told.size is not None and told.size > LARGEST:
        raise HubError(f"{place}, {file}: {size(told.size)}, more than a model file can have ({size(LARGEST)}).")
    with explained(hub, f"{place}, {file}"):
        came = hub.hf_hub_download(
            place.repository, file, revision=told.commit or place.revision, local_dir=folder, endpoint=endpoint,
            library_name="glyphnet",
        )  # fmt: skip
    with open_input(came) as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if told.sha256 and found != told.sha256:
        raise HubError(
            f"{place}, {file}: what came has the SHA-256 {found[:12]}…, and the hub says {told.sha256[:12]}…. "
            "Try again."
        )
    return Downloaded(Path(came), found)


def library(what: str) -> Any:
    """The hub's own library; MissingExtraError, which names ``what`` it is for, if it is not installed."""
    try:
        hub: Any = import_module("huggingface_hub")  # it loads its parts when they are asked for, unseen by mypy
        for part in ("errors", "utils"):
            import_module(f"huggingface_hub.{part}")
    except ImportError as error:
        raise MissingExtraError(what, "hub") from error
    hub.utils.disable_progress_bars()  # the command says in one line what it does
    return hub


@contextmanager
def explained(hub: Any, place: str) -> Iterator[None]:
    """What the hub's library raises, as one sentence with a remedy."""
    errors = hub.errors
    try:
        yield
    except GlyphNetError:
        raise
    except errors.LocalEntryNotFoundError as error:
        raise HubError(f"{place}: the hub cannot be reached. Check the connection and HF_ENDPOINT.") from error
    except errors.GatedRepoError as error:
        raise HubError(f"{place}: its owner grants access one by one. Ask for it on its page, then log in.") from error
    except errors.RepositoryNotFoundError as error:
        remedy = "Check the name; log in with: hf auth login"
        raise HubError(f"{place}: there is no such repository, or you may not see it. {remedy}") from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{place}: there is no such revision. Leave it out for the newest.") from error
    except errors.EntryNotFoundError as error:
        raise HubError(f"{place}: there is no such file in the repository. Name another by --file.") from error
    except errors.LocalTokenNotFoundError as error:
        raise HubError(f"{place}: nobody is logged in. Log in with: hf auth login") from error
    except errors.HfHubHTTPError as error:
        code = getattr(error.response, "status_code", None)
        if code in (401, 403):
            raise HubError(f"{place}: the hub refuses ({code}). Log in with: hf auth login") from error
        raise HubError(f"{place}: the hub answers {code} ({reason(error)}). Try again later.") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            raise  # of this machine: the disk is full
        raise HubError(f"{place}: the hub cannot be used ({reason(error)}). Check the connection.") from error
