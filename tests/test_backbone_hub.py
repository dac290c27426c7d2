"""Backbones by the name of a hub's repository: checked, kept, and written down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: pip install 'glyphnet[hub]'")

import glyphnet
from glyphnet.errors import HubError, ModelFileError, SettingsError
from glyphnet.runs.backbone import pinned, read_backbone

from .hubserver import TOKEN, Hub, commit_id, hub_server

pytestmark = pytest.mark.usefixtures("little_ink")

MODEL = Path(__file__).parent / "models" / "digits-version-1.safetensors"
SHA256 = hashlib.sha256(MODEL.read_bytes()).hexdigest()
NAME = "hf:ann/digits"


@pytest.fixture
def shape() -> tuple[int, int, int]:
    return glyphnet.load_model(MODEL).input_shape


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with the model in it, and an empty cache folder."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("GLYPHNET_CACHE", str(tmp_path / "cache"))
    with hub_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.repositories["ann/digits"] = [{}, {"model.safetensors": MODEL.read_bytes()}]
        hub.private["ann/digits"] = False
        yield hub


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache" / "backbones").iterdir() if path.is_file()]


def test_a_file_of_the_hub_is_kept_under_its_sha256_and_needs_no_network_again(
    hub: Hub, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    found = read_backbone(NAME, shape)
    assert found.sha256 == SHA256
    assert found.network == glyphnet.load_model(MODEL).spec
    assert [path.name for path in kept(tmp_path)] == [f"{SHA256}.safetensors"]
    hub.asked = []
    assert read_backbone(NAME, shape, SHA256).sha256 == SHA256
    assert hub.asked == []
    read_backbone(NAME, shape)
    assert [method for method, _ in hub.asked] == ["HEAD"], "what it is now is asked, and nothing downloaded"
    # A damaged file in the cache is downloaded again.
    kept(tmp_path)[0].write_bytes(MODEL.read_bytes()[:-1] + b"?")
    assert read_backbone(NAME, shape, SHA256).sha256 == SHA256
    assert kept(tmp_path)[0].read_bytes() == MODEL.read_bytes()


def test_what_is_not_what_the_hub_says_is_refused_and_not_kept(
    hub: Hub, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    hub.told_sha256 = "0" * 64
    with pytest.raises(HubError, match=rf"SHA-256 {SHA256[:12]}…, and the hub says 000000000000…"):
        read_backbone(NAME, shape)
    assert kept(tmp_path) == []


def test_a_recipe_names_commit_and_sha256_and_later_commits_change_nothing(hub: Hub, tmp_path: Path) -> None:
    few = glyphnet.load("digits")
    run = glyphnet.train(few, changes={"backbone": NAME, "epochs": 1})
    name = f"{NAME}@{commit_id('ann/digits', 1)}"
    assert run.recipe.backbone is not None
    assert (run.recipe.backbone.weights, run.recipe.backbone.sha256) == (name, SHA256)
    hub.repositories["ann/digits"].append({"model.safetensors": b"another"})
    for path in kept(tmp_path):
        path.unlink()
    assert read_backbone(name, few.image_shape, SHA256).sha256 == SHA256
    for path in kept(tmp_path):
        path.unlink()
    with pytest.raises(ModelFileError, match="has changed since the training began.* Name the commit of then"):
        read_backbone(NAME, few.image_shape, SHA256)


def test_what_names_no_repository_and_what_is_not_there(hub: Hub, shape: tuple[int, int, int]) -> None:
    with pytest.raises(SettingsError, match="write hf:USER/NAME"):
        read_backbone("hf:digits", shape)
    with pytest.raises(HubError, match=r"^hf:ann/other, model\.safetensors: there is no such repository"):
        pinned("hf:ann/other")
    assert pinned("glyphbase") == "glyphbase"
    assert pinned(f"{NAME}@v1") == f"{NAME}@v1"
