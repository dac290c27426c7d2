"""Models on a model hub: push one with its card, pull one past the same guard as any stranger's file.

``hf:USER/NAME`` is a repository of Hugging Face, or of the hub that HF_ENDPOINT names. Who pushes is known by the token
of ``hf auth login`` or HF_TOKEN, which only the hub's own library reads.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .classifier import Classifier, load_model
from .errors import ModelFileError, OutputError, SettingsError
from .export.card import model_card
from .filekinds import check_suffix
from .files import move
from .hub import Place, download, explained, library
from .locks import temporary_folder

MODEL, CARD = "model.safetensors", "README.md"
"""Names in a repository: the second is the page that the hub shows."""


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
    hub = library("Pushing and pulling models")
    api = hub.HfApi(endpoint=endpoint, library_name="glyphnet")
    text = card if card is not None else model_card(classifier, where.repository.partition("/")[2], MODEL)
    with explained(hub, place):
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
        OutputError: the name ``out`` says that it is another kind of file.
    """
    where = Place.parse(place)
    if not file.endswith(".safetensors") or not re.fullmatch(r"[\w][\w./-]*", file) or ".." in file:
        raise SettingsError(f'"{file:.120}" is no name of a model file: it must end in .safetensors.')
    check_suffix(out, (".safetensors",))
    target = Path(os.path.realpath(out))
    with temporary_folder(target.parent) as room:
        came = download(where, file, room, endpoint=endpoint).path
        try:
            classifier = load_model(came)
        except ModelFileError as error:  # without the name of the folder in which it was checked
            raise type(error)(str(error).replace(str(came), f"{place}, {file}")) from None
        move(came, target)
    return classifier
