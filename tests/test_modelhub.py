"""Pushing to and pulling from a model hub, against one on this machine, by the hub's own library."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: pip install 'glyphnet[hub]'")

from glyphnet.classifier import load_model
from glyphnet.errors import CorruptFileError, HubError, MissingExtraError, OutputError, SettingsError
from glyphnet.hub import Place
from glyphnet.modelhub import pull, push

from . import forking
from .hubserver import TOKEN, Hub, commit_id, hub_server

# The hub's library gives raw bytes to its HTTP client in a way that the client warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "tests" / "models" / "digits-version-1.safetensors"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # another protocol, for large files
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub_server() as hub:
        yield hub


def test_a_model_is_pushed_with_its_card_and_pulled_bit_for_bit(hub: Hub, tmp_path: Path) -> None:
    pushed = push(MODEL, "hf:ann/digits", endpoint=hub.address)
    assert pushed.address == f"{hub.address}/ann/digits"
    assert pushed.commit == commit_id("ann/digits", 1)
    assert hub.private == {"ann/digits": True}, "nobody else sees it unless asked for"
    files = hub.files("ann/digits")
    assert set(files) == {"README.md", "model.safetensors"}
    assert files["model.safetensors"] == MODEL.read_bytes()
    assert files["README.md"].decode().startswith("---\nlibrary_name: glyphnet\n")
    classifier = pull("hf:ann/digits", tmp_path / "d.safetensors", endpoint=hub.address)
    assert (tmp_path / "d.safetensors").read_bytes() == MODEL.read_bytes()
    assert classifier.classes == load_model(MODEL).classes
    assert [path.name for path in tmp_path.iterdir()] == ["d.safetensors"], "nothing else is left"


def test_a_model_that_is_there_is_replaced_only_when_asked_and_older_ones_stay(hub: Hub, tmp_path: Path) -> None:
    push(MODEL, "hf:ann/digits", endpoint=hub.address, public=True, card="first")
    with pytest.raises(OutputError, match=r"README.md and model.safetensors is there already. Pass --overwrite"):
        push(MODEL, "hf:ann/digits", endpoint=hub.address)
    assert len(hub.repositories["ann/digits"]) == 2
    push(MODEL, "hf:ann/digits", endpoint=hub.address, overwrite=True, card="second")
    assert [files.get("README.md") for files in hub.repositories["ann/digits"]] == [None, b"first", b"second"]
    assert hub.private == {"ann/digits": False}
    first = f"hf:ann/digits@{commit_id('ann/digits', 1)}"
    assert pull(first, tmp_path / "d.safetensors", endpoint=hub.address).classes


def test_what_is_no_sound_model_is_neither_pushed_nor_kept(hub: Hub, tmp_path: Path) -> None:
    damaged = bytearray(MODEL.read_bytes())
    damaged[-5] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(damaged)
    with pytest.raises(CorruptFileError):
        push(tmp_path / "bad.safetensors", "hf:ann/digits", endpoint=hub.address)
    assert hub.asked == []
    push(MODEL, "hf:ann/digits", endpoint=hub.address)
    hub.files("ann/digits")["model.safetensors"] = bytes(damaged)
    there = tmp_path / "there.safetensors"
    there.write_bytes(b"what was there before")
    with pytest.raises(CorruptFileError, match=r"^hf:ann/digits, model.safetensors: ") as caught:
        pull("hf:ann/digits", there, endpoint=hub.address)
    assert str(tmp_path) not in str(caught.value)
    assert there.read_bytes() == b"what was there before"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_is_too_large_is_not_downloaded(hub: Hub, tmp_path: Path) -> None:
    push(MODEL, "hf:ann/digits", endpoint=hub.address)
    hub.told_size, hub.asked = 2_000_000_000, []
    with pytest.raises(HubError, match=r"2.00 GB, more than a model file can have \(1.07 GB\)"):
        pull("hf:ann/digits", tmp_path / "d.safetensors", endpoint=hub.address)
    assert [command for command, _ in hub.asked] == ["HEAD"]


@pytest.mark.parametrize(
    ("place", "file", "words"),
    [
        ("hf:ann/other", "model.safetensors", "there is no such repository, or you may not see it. Check the name"),
        ("hf:ann/digits@old", "model.safetensors", "there is no such revision"),
        ("hf:ann/digits", "other.safetensors", "there is no such file in the repository. Name another by --file"),
    ],
)
def test_what_is_not_there_is_told(hub: Hub, tmp_path: Path, place: str, file: str, words: str) -> None:
    push(MODEL, "hf:ann/digits", endpoint=hub.address)
    with pytest.raises(HubError) as caught:
        pull(place, tmp_path / "d.safetensors", file=file, endpoint=hub.address)
    assert str(caught.value).startswith(f"{place}, {file}: {words}")
    assert list(tmp_path.iterdir()) == []


def test_without_a_token_pushing_is_refused_with_the_remedy(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(HubError, match="hf auth login"):
        push(MODEL, "hf:ann/digits", endpoint=hub.address)
    assert hub.repositories == {}


def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"^hf:ann/digits, model.safetensors: .*Check the connection"):
        pull("hf:ann/digits", tmp_path / "d.safetensors", endpoint="http://127.0.0.1:1")


@pytest.mark.parametrize(
    "text",
    [
        "ann/digits",
        "hf:digits",
        "hf:../x",
        "hf:ann/..",
        "hf:a/b/c",
        "hf:ann/di gits",
        "hf:-a/b",
        "hf:ann/b@",
        "hf:a/b--c/d",
    ],
)
def test_what_names_no_repository(text: str) -> None:
    with pytest.raises(SettingsError, match="write hf:USER/NAME, or hf:USER/NAME@REVISION"):
        Place.parse(text)


@pytest.mark.parametrize("file", ["model.bin", "../model.safetensors", "/etc/model.safetensors", "a/../m.safetensors"])
def test_only_model_files_inside_the_repository_are_pulled(file: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no name of a model file"):
        pull("hf:ann/digits", tmp_path / "m.safetensors", file=file, endpoint="http://127.0.0.1:1")


def test_a_model_is_pushed_to_no_revision() -> None:
    with pytest.raises(SettingsError, match="Leave out @v1"):
        push(MODEL, "hf:ann/digits@v1", endpoint="http://127.0.0.1:1")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r'pip install "glyphnet\[hub\]"'):
        push(MODEL, "hf:ann/digits")


def test_the_commands_use_the_hub_of_the_environment(hub: Hub, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_HOME": str(tmp_path / "home")}

    def glyphnet(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "glyphnet", *words]
        return forking.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    pushed = glyphnet("push", str(MODEL), "hf:ann/digits", "--public")
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout == f"{hub.address}/ann/digits\n"
    pulled = glyphnet("pull", "hf:ann/digits")
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stdout == "digits.safetensors: 10 classes.\n"
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    refused = glyphnet("pull", "hf:ann/digits", "--out", "mine.safetensors")
    assert (refused.returncode, (tmp_path / "mine.safetensors").read_bytes()) == (1, b"mine")
    assert "is there already" in refused.stderr
