"""Checks name the pictures that a finding is about; versions are lists that sha256sum reads."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.studio.checking import findings

from .conftest import studio

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked_children")]


def drawn(kind: str, seed: int) -> bytes:
    """A cross or a bar, at a place and of a brightness that the seed says."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((14, 14), np.uint8)
    row, column = rng.integers(4, 10, 2)
    pixels[row, 2:12] = rng.integers(150, 256)
    if kind == "cross":
        pixels[2:12, column] = rng.integers(150, 256)
    pixels += rng.integers(0, 20, pixels.shape, dtype=np.uint8)
    return encoded(pixels)


def encoded(pixels, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


def test_every_planted_fault_is_found_with_its_pictures(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glyphnet.runs.review.REPEATS", 1)  # two networks instead of twelve
    monkeypatch.setattr("glyphnet.runs.review.FOLDS", 2)
    plant(tmp_path)
    (tmp_path / "labels.csv").write_text("file,given,suggested,decision\nbar/00003.png,bar,cross,relabel\n")
    said: list[str] = []
    found = {finding["code"]: finding for finding in findings(tmp_path, lambda *told: said.append(told[2]))}
    assert {*found["duplicates"]["pairs"][0]} == {"cross/00000.png", "cross/copy.png"}
    assert {*found["conflicts"]["pairs"][0]} == {"bar/00000.png", "cross/wrong.png"}
    assert found["blank"]["ids"] == ["bar/blank.png"]
    assert found["groups"]["numbers"] == {"groups": 1, "by": "column:group"}
    assert sorted(found["groups"]["ids"]) == ["bar/00001.png", "bar/00002.png"]
    assert found["imbalance"]["sentence"].startswith("The classes are unbalanced")
    assert found["bad_files"]["ids"] == ["bar/bad.png"]
    assert found["decisions"]["ids"] == ["bar/00003.png"]
    assert found["decisions"]["suggested"] == ["cross"]
    if "suspicious" in found:
        assert len(found["suspicious"]["ids"]) == len(found["suspicious"]["suggested"])
    assert "looking for wrong labels" in said


def test_a_check_is_a_job_whose_findings_come_while_it_runs(tmp_path) -> None:
    with studio(tmp_path) as client:
        plant(client.root)
        client.post("api/classes/delete", {"name": "bar"})  # with one class no network looks for wrong labels
        with client.events() as next_of:
            job = client.get("api/checks").json
            assert (job["kind"], job["status"]) == ("checks", "running")
            while (heard := next_of("job"))["status"] == "running":
                assert heard["id"] == job["id"]
        assert heard["status"] == "done", heard
        codes = [finding["code"] for finding in heard["result"]["findings"]]
        assert {"duplicates", "not_checked"} <= {*codes}
        assert client.job(job["id"])["result"] == heard["result"]


def plant(root: Path) -> None:
    for kind, count in (("cross", 90), ("bar", 11)):
        (root / kind).mkdir()
        for seed in range(count):
            (root / kind / f"{seed:05d}.png").write_bytes(drawn(kind, seed + 1000 * (kind == "bar")))
    (root / "cross" / "copy.png").write_bytes(drawn("cross", 0) + b" ")  # the same pixels, other bytes
    (root / "cross" / "wrong.png").write_bytes(drawn("bar", 1000))
    (root / "bar" / "blank.png").write_bytes(encoded(np.zeros((14, 14), np.uint8)))
    (root / "bar" / "bad.png").write_bytes(drawn("bar", 3)[:70])
    (root / "metadata.csv").write_text("file_name,group\nbar/00001.png,g\nbar/00002.png,g\n")


def test_a_check_is_stopped_at_once(tmp_path) -> None:
    with studio(tmp_path) as client:
        plant(client.root)
        job = client.get("api/checks").json
        assert client.get("api/checks").json["id"] == job["id"], "one check at a time"
        client.post(f"api/jobs/{job['id']}/cancel")
        assert client.job(job["id"])["status"] == "stopped"
        assert client.post("api/jobs/none/cancel").status == 404


def test_a_known_set_becomes_plain_pictures_and_is_taken_back_as_one(tmp_path) -> None:
    with studio(tmp_path) as client:
        assert {"digits"} <= {each["name"] for each in client.state()["known"]}
        job = client.post("api/known", {"name": "digits", "per_class": 3, "tray": False}).json
        assert client.job(job["id"])["result"]["added"] == 30
        assert client.counts() == {str(digit): 3 for digit in range(10)}
        client.post("api/undo")
        assert client.counts() == {}
        job = client.post("api/known", {"name": "digits", "per_class": 2, "tray": True}).json
        client.job(job["id"])
        assert (client.counts(), client.state()["tray"]) == ({}, 20)
        assert client.post("api/known", {"name": "cifar-100", "per_class": 3}).status == 404
        assert client.post("api/known", {"name": "digits", "per_class": 0}).status == 422


def test_a_version_is_a_list_that_sha256sum_reads_and_changes_are_seen(tmp_path) -> None:
    with studio(tmp_path) as client:
        ids = client.fill("five", [1, 2, 3])
        client.fill(None, [4])
        folder = client.server._folder
        from glyphnet.studio.versions import Versions

        versions = Versions(folder)
        first = versions.take()
        assert versions.take().hash == first.hash, "nothing has changed: no new version"
        assert not versions.is_changed()
        subprocess.run(["sha256sum", "--check", "--strict", str(first.path)], cwd=tmp_path, check=True)
        client.post("api/group", {"ids": ids[:2], "group": "g"})
        assert versions.is_changed()
        client.post("api/group", {"ids": ids[:2], "group": None})
        assert not versions.is_changed()
        (tmp_path / ids[0]).write_bytes(b"not the same")
        folder.refresh(whole=True)
        assert client.state()["changed"]
        client.post("api/delete", {"ids": ids[1:2]})
        second = versions.take()
        assert (second.name, second.diff(first)) == ("0002", {"added": 1, "removed": 2, "moved": 0})
