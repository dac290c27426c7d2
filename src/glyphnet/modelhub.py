"""Models on a model hub: push one with its card, pull one past the same guard as any stranger's file.

``hf:USER/NAME`` is a repository of Hugging Face, or of the hub that HF_ENDPOINT names. Who pushes is known by the token
of ``hf auth login`` or HF_TOKEN, which only the hub's own library reads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .classifier import Classifier, load_model
from .errors import GlyphNetError, HubError, MissingExtraError, ModelFileError, OutputError, SettingsError
from .export.card import model_card
from .files import move
from .locks import temporary_folder
from .units import reason, size

MODEL, CARD = "model.safetensors", "README.md"
"""Names in a repository: the second is the page that the hub shows."""

LARGEST = 1 << 30
"""Bytes of a model file that is pulled: networks for small images take a hundredth of it."""

_NAME = re.compile(r"hf:([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?", re.ASCII)


@dataclass(frozen=True)
class Place:
    """A repository of a hub, and a revision of it: a branch, a tag or a commit; None for the newest."""

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """``hf:USER/NAME`` or ``hf:USER/NAME@REVISION``; SettingsError for anything else."""
        match = _NAME.fullmatch(text)
        if match is None or ".." in text or "--" in match[1]:
            raise SettingsError(f'"{text:.120}" names no repository: write hf:USER/NAME, or hf:USER/NAME@REVISION.')
        return cls(match[1], match[2])


@dataclass(frozen=True)
class Pushed:
    """Where a model is now: the address of its page, and the commit."""

    address: str
    commit: str


def push(
    model: str | os.PathLike[str],
    place: str,
    *,
    public: bool = False,
    overwrite: bool = False,
    card: str | None = None,
    endpoint: str | None = None,
) -> Pushed:
    """Push a model file and its card in one commit; the repository is made if it is absent.

    Args:
        model: the ``.safetensors`` file; it is loaded first, so that only a sound model is pushed.
        place: ``hf:USER/NAME``.
        public: whether a repository that is made may be seen by everyone; one that exists stays as it is.
        overwrite: replace a model or a card that is there; the repository's history keeps them.
        card: the text of the card; None makes it from the model, see `model_card`.
        endpoint: address of the hub; None for HF_ENDPOINT, or Hugging Face.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        HubError: the hub refuses, or cannot be reached.
        OutputError: the repository has such files already.
        ModelFileError: the file is no sound model.
    """
    where = Place.parse(place)
    if where.revision is not None:
        raise SettingsError(f"{place}: a model is pushed to the main branch. Leave out @{where.revision}.")
    classifier = load_model(model)
    hub = _library()
    api = hub.HfApi(endpoint=endpoint, library_name="glyphnet")
    text = card if card is not None else model_card(classifier, where.repository.partition("/")[2], MODEL)
    with _explained(hub, place):
        address = api.create_repo(where.repository, private=not public, exist_ok=True)
        there = {MODEL, CARD} & set(api.list_repo_files(where.repository))
        if there and not overwrite:
            names = " and ".join(sorted(there))
            raise OutputError(f"{place}: {names} is there already. Pass --overwrite; the history keeps the old one.")
        files = {MODEL: os.fspath(model), CARD: text.encode()}
        made = api.create_commit(
            where.repository,
            [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()],
            commit_message="Model and card by GlyphNet",
        )
    return Pushed(str(address), str(made.oid))


def pull(place: str, out: str | os.PathLike[str], *, file: str = MODEL, endpoint: str | None = None) -> Classifier:
    """Pull a model file; it gets its name only after it was checked as any stranger's file is.

    Args:
        place: ``hf:USER/NAME`` or ``hf:USER/NAME@REVISION``.
        out: the file to write; whether it may be replaced is the caller's business.
        file: its name in the repository.
        endpoint: as for `push`.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        HubError: the hub has no such repository, revision or file, refuses, or cannot be reached; or the file is too
            large.
        ModelFileError: what came is no sound model. Nothing is written then.
    """
    where = Place.parse(place)
    if not file.endswith(".safetensors") or not re.fullmatch(r"[\w][\w./-]*", file) or ".." in file:
        raise SettingsError(f'"{file:.120}" is no name of a model file: it must end in .safetensors.')
    hub = _library()
    target = Path(os.path.realpath(out))
    with temporary_folder(target.parent) as room:
        with _explained(hub, f"{place}, {file}"):
            url = hub.hf_hub_url(where.repository, file, revision=where.revision, endpoint=endpoint)
            told = hub.get_hf_file_metadata(url, endpoint=endpoint).size
            if told is not None and told > LARGEST:
                raise HubError(f"{place}, {file}: {size(told)}, more than a model file can have ({size(LARGEST)}).")
            came = hub.hf_hub_download(
                where.repository, file, revision=where.revision, local_dir=room, endpoint=endpoint,
                library_name="glyphnet",
            )  # fmt: skip
        try:
            classifier = load_model(came)
        except ModelFileError as error:  # without the name of the folder in which it was checked
            raise type(error)(str(error).replace(str(came), f"{place}, {file}")) from None
        move(came, target)
    return classifier


def _library() -> Any:
    try:
        hub: Any = import_module("huggingface_hub")  # it loads its parts when they are asked for, unseen by mypy
        for part in ("errors", "utils"):
            import_module(f"huggingface_hub.{part}")
    except ImportError as error:
        raise MissingExtraError("Pushing and pulling models", "hub") from error
    hub.utils.disable_progress_bars()  # the command says in one line what it does
    return hub


@contextmanager
def _explained(hub: Any, place: str) -> Iterator[None]:
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
