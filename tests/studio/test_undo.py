"""What was done can be taken back, also after a restart; a journal that is damaged or hostile undoes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from glyphnet.locks import FileLock
from glyphnet.studio import Folder, journal

from .conftest import Client, png, studio, zipped


def content(root: Path) -> dict[str, bytes]:
    """All that a person sees in the folder."""
    paths = (path for path in root.rglob("*") if path.is_file() and ".trash" not in path.parts)
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    table = found.pop("labels.csv", b"").splitlines()  # lines that come back may come last
    return {**found, "labels.csv": b"\n".join(sorted(table)) if len(table) > 1 else b""}


def first(client: Client, name: str | None) -> str:
    return client.ids(name)[0]


def made_run(client: Client, name: str) -> None:
    folder = client.root / "runs" / name
    folder.mkdir()
    (folder / "recipe.yaml").write_text("preset: fast")


STEPS: list[Callable[[Client], object]] = [
    lambda client: client.post("api/classes", {"name": "owl"}),
    lambda client: client.add("?class=owl&group=anna", *((f"{seed}.png", png(seed)) for seed in range(3))),
    lambda client: client.add("", ("a.zip", zipped({f"cat/{seed}.png": png(seed) for seed in range(10, 13)}))),
    lambda client: client.add("?tray=1", *((f"{seed}.png", png(seed)) for seed in range(20, 24))),
    lambda client: client.post("api/decide", {"id": first(client, None), "label": "cat"}),
    lambda client: client.post("api/decide", {"id": first(client, None), "label": None}),
    lambda client: client.post("api/group", {"ids": client.ids("cat")[:2], "group": "ben"}),
    lambda client: client.post("api/move", {"ids": client.ids("owl")[:2], "class": "cat"}),
    lambda client: client.post("api/classes/rename", {"name": "cat", "to": "puma"}),
    lambda client: client.post("api/delete", {"ids": client.ids("puma")[1:4]}),
    lambda client: client.post("api/runs/old/delete"),
    lambda client: client.post("api/classes/delete", {"name": "puma"}),
]


def test_everything_is_taken_back_and_made_again_over_restarts(tmp_path: Path) -> None:
    """Each step after another restart, as if the program had been killed: nothing is written at its end."""
    with studio(tmp_path) as client:
        made_run(client, "old")
        seen = [content(tmp_path)]
        for step in STEPS:
            step(client)
            seen.append(content(tmp_path))
        assert len({json.dumps(sorted(each)) + str(hash(tuple(each.values()))) for each in seen[1:]}) == len(STEPS)
    for what, wanted in (("undo", seen[-2::-1]), ("redo", seen[1:]), ("undo", seen[-2::-1])):
        for number, before in enumerate(wanted):
            if number % 3 == 0:
                folder = Folder(tmp_path)
            getattr(folder, what)()
            assert content(tmp_path) == before, (what, number)
            if number % 3 == 2:
                folder.close()
        with pytest.raises(Exception, match=f"nothing to {what}"):
            getattr(folder, what)()
        folder.close()


def opened(root: Path) -> list[str]:
    """The titles of what could be undone after a restart, the first one first."""
    folder = Folder(root)
    folder.close()
    return [change.title for change in folder.journal.undoable]


def test_a_change_that_a_kill_has_cut_short_is_undone_as_far_as_it_went(tmp_path: Path) -> None:
    for number in range(6):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(number))
    folder = Folder(tmp_path)
    before = content(tmp_path)
    folder.move(["a/0.png", "a/2.png", "a/4.png"], "b")
    folder.close()
    whole = (tmp_path / ".trash/.undo").read_bytes()
    (tmp_path / "b/2.png").rename(tmp_path / "a/2.png")
    (tmp_path / "b/4.png").rename(tmp_path / "a/4.png")
    folder = Folder(tmp_path)
    folder.undo()
    assert content(tmp_path) == before
    folder.close()
    (tmp_path / ".trash/.undo").write_bytes(whole)  # nothing of it was done
    assert opened(tmp_path) == []
    (tmp_path / ".trash/.undo").write_bytes(whole[:-9])  # its line was not written to the end
    assert opened(tmp_path) == []


def test_an_undo_that_a_kill_has_cut_short_is_undone_to_its_end(tmp_path: Path) -> None:
    with studio(tmp_path) as client:
        ids = client.fill("a", range(4))
        client.post("api/undo")
    (tmp_path / ".trash" / ids[3]).rename(tmp_path / ids[3])
    with studio(tmp_path) as client:
        assert client.ids("a") == [ids[3]]
        assert client.post("api/undo").status == 200
        assert client.ids("a") == []


@pytest.mark.parametrize(
    "path", ["../out.png", "/etc/out.png", "a/../../out.png", ".git/out.png", "link/out.png", "a//x"]
)
def test_a_journal_that_leads_out_of_the_folder_is_not_believed(tmp_path: Path, path: str) -> None:
    """A folder may come from somebody else, with everything in it."""
    root, outside = tmp_path / "folder", tmp_path / "outside"
    for each in (root / "a", root / ".trash", outside):
        each.mkdir(parents=True)
    (root / "link").symlink_to(outside)
    (root / "a/0.png").write_bytes(png(0))
    change = {"title": "x", "moves": [[path, "a/0.png"]], "groups": {}, "made": [], "decision": None, "dropped": []}
    (root / ".trash/.undo").write_text(json.dumps({"do": {**change, "trashed": {}}}) + "\n")
    assert opened(root) == []
    change = {**change, "moves": [["", "a/0.png"]], "trashed": {"a/0.png": path}}
    (root / ".trash/.undo").write_text(json.dumps({"do": change}) + "\n")
    assert opened(root) == []
    assert (root / "a/0.png").read_bytes() == png(0)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "nonsense\n", "[]\n", '{"do": 3}\n', '{"undo": {"trashed": {}}}\n', '{"jump": {}}\n']
)
def test_a_damaged_journal_undoes_nothing_and_is_written_again(tmp_path: Path, text: str) -> None:
    with studio(tmp_path) as client:
        client.fill("a", [1])
    (tmp_path / ".trash/.undo").write_text(text)
    assert opened(tmp_path) == []
    with studio(tmp_path) as client:
        client.fill("b", [2])
    assert len(opened(tmp_path)) == 2


def test_the_journal_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)
    folder.add_class("a")
    (tmp_path / "a/0.png").write_bytes(png(0))
    for number in range(4 * journal.MOST_UNDONE):
        folder.set_group(["a/0.png"], f"group {number}")
    folder.close()
    assert len((tmp_path / ".trash/.undo").read_bytes().splitlines()) <= 3 * journal.MOST_UNDONE + 1
    assert len(opened(tmp_path)) == journal.MOST_UNDONE
    monkeypatch.setattr(journal, "MOST_MOVED", 2)
    assert len(opened(tmp_path)) == 2


def test_a_training_that_runs_is_not_deleted(tmp_path: Path) -> None:
    with studio(tmp_path) as client:
        made_run(client, "long")
        lock = FileLock(tmp_path / "runs/long/.lock")
        assert lock.acquire()
        refused = client.post("api/runs/long/delete")
        assert refused.status == 409
        assert "Stop it first" in refused.error
        lock.release()
        assert [run["name"] for run in client.state()["runs"]] == ["long"]
        assert client.post("api/runs/long/delete").json["runs"] == []
        assert client.post("api/runs/long/delete").status == 404
        assert client.post("api/undo").json["runs"][0]["name"] == "long"
