"""A full disk: the sentence, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Client, png, studio, zipped

MEGABYTES = 3


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Iterator[Client]:
    """A studio on a small disk of its own."""
    place = tmp_path_factory.mktemp("disk")
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with studio(place / "folder") as client:
            client.fill("small", [1, 2, 3])
            client.fill(None, [4, 5])
            yield client
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def large(seed: int) -> bytes:
    return png(seed, 1000)  # noise: a megabyte


def test_an_upload_for_which_there_is_no_room_leaves_nothing_behind(full: Client) -> None:
    before = everything(full.root)
    refused = full.add("?class=small", *((f"{seed}.png", large(seed)) for seed in range(10, 15)))
    assert refused.status == 507
    assert "disk is full" in refused.error
    assert everything(full.root) == before
    assert full.counts() == {"small": 3}


def test_a_zip_for_which_there_is_no_room_makes_no_class(full: Client) -> None:
    before = everything(full.root)
    refused = full.add("", ("data.zip", zipped({f"new{seed}/{seed}.png": large(seed) for seed in range(20, 25)})))
    assert refused.status == 507
    assert everything(full.root) == before
    assert full.counts() == {"small": 3}


def test_on_a_disk_without_any_room_decisions_are_refused_and_the_tables_stay(full: Client) -> None:
    id = full.ids(None)[0]
    full.post("api/decide", {"id": id, "label": "small"})
    full.post("api/undo")
    filler = full.root.parent / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                os.write(file.fileno(), b"x" * 4096)
        except OSError:
            pass
    before = {name: content for name, content in everything(full.root).items() if name != str(filler)}
    group = full.post("api/group", {"ids": full.ids("small"), "group": "g" * 200})
    assert group.status == 507
    refused = full.post("api/train", {"preset": "fast"})
    assert refused.status == 507
    assert everything(full.root) == before
    assert os.listdir(full.root / "runs") == []
    decided = full.post("api/decide", {"id": id, "label": "small"})
    if decided.status == 507:  # the line of the table needed another block
        assert everything(full.root) == before
    else:
        assert decided.json["id"] in everything(full.root)
    filler.unlink()
    assert full.post("api/group", {"ids": full.ids("small"), "group": "g"}).status == 200
