"""Collecting over real HTTP: classes, adding, moving, deleting, groups, taking back, by hand, two pages at once."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import threading
from urllib.parse import quote

import pytest
from PIL import Image

import glyphnet
from glyphnet.errors import GlyphNetError, OutputError
from glyphnet.studio import Folder
from glyphnet.studio.errors import StudioError

from .conftest import Client, png, zipped


def test_what_is_added_is_a_plain_file_that_the_page_gets_back(client: Client) -> None:
    client.post("api/classes", {"name": "plain"})
    content = png(1)
    added = client.add("?class=plain", ("blob", content), ("my cat.png", png(2)), ("my cat.png", png(3))).json
    assert added["added"] == ["plain/00001.png", "plain/my cat.png", "plain/my cat-2.png"]
    assert (client.root / "plain/00001.png").read_bytes() == content
    shown = {each["id"]: each for each in client.pictures("plain")}
    first = shown["plain/00001.png"]
    assert (first["hash"], first["width"], first["height"]) == (hashlib.sha256(content).hexdigest(), 12, 12)
    file = client.get(f"api/file/plain/00001.png?hash={first['hash']}")
    assert (file.body, file.headers["content-type"]) == (content, "image/png")
    assert "immutable" in file.headers["cache-control"]
    assert client.get("api/file/plain/00001.png?hash=other").headers["cache-control"] == "no-store"
    assert client.get("api/file/plain/my%20cat.png").body == png(2)
    with Image.open(io.BytesIO(client.get("api/thumb/plain/00001.png").body)) as thumb:
        assert thumb.size == (12, 12)


def test_exact_copies_are_kept_out_wherever_the_first_one_lies(client: Client) -> None:
    [first] = client.fill("once", [10])
    client.post("api/classes", {"name": "twice"})
    found = client.add("?class=twice", ("b.png", png(10)), ("c.png", png(11)), ("d.png", png(11))).json
    assert found["added"] == ["twice/c.png"]
    assert found["same"] == [{"name": "b.png", "as": first}, {"name": "d.png", "as": "twice/c.png"}]


def test_what_is_no_picture_is_refused_with_its_name_and_the_rest_is_added(client: Client) -> None:
    client.post("api/classes", {"name": "mixed"})
    found = client.add("?class=mixed", ("a.png", b"nothing"), ("b.png", png(20)), ("c.png", png(21)[:60])).json
    assert found["added"] == ["mixed/b.png"]
    assert [each["name"] for each in found["refused"]] == ["a.png", "c.png"]
    assert found["refused_count"] == 2


def test_the_folders_in_a_zip_are_classes_and_its_groups_come_along(client: Client) -> None:
    table = b"file_name,group\nzipa/1.png,ann\nzipb/2.png,ann\n"
    members = {"zipa/1.png": png(30), "zipb/2.png": png(31), "unlabelled/3.png": png(32), "metadata.csv": table}
    found = client.add("", ("data.zip", zipped({**members, "zipa/read.me.txt": b"hello"}))).json
    assert sorted(found["added"]) == ["unlabelled/3.png", "zipa/1.png", "zipb/2.png"]
    assert any("1 member of other kinds" in note for note in found["notes"])
    assert [each["group"] for each in (*client.pictures("zipa"), *client.pictures("zipb"))] == ["ann", "ann"]
    assert "zipa/1.png,ann" in (client.root / "metadata.csv").read_text()
    assert client.post("api/undo").json["tray"] == 0
    assert not {"zipa", "zipb"} & client.counts().keys()


BAD = ("", "  ", ".hidden", "a/b", "a\\b", "bell\a", "x" * 256, "train", "Test", "validation", "unlabelled", "runs",
       "versions", "metadata.csv", "thumbs.db", "ends ")  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_names_that_no_class_may_have_are_refused_with_what_is_wrong(client: Client, name: str) -> None:
    before = sorted(os.listdir(client.root))
    refused = client.post("api/classes", {"name": name})
    assert refused.status == 422
    assert "Choose another name" in refused.error or "write a word" in refused.error
    assert sorted(os.listdir(client.root)) == before


def test_names_of_all_scripts_and_with_markup_are_names(client: Client) -> None:
    for name in ("größe", "数字", "<script>alert(1)</script>".replace("/", "|"), 'a"b&c', "%2e%2e", "#1?"):
        client.fill(name, [2000 + len(name)])
        [id] = client.ids(name)
        assert id == f"{name}/00001.png"
        assert client.get(f"api/file/{quote(id)}").status == 200
        assert client.post("api/classes/delete", {"name": name}).status == 200


def test_moving_follows_groups_and_undo_and_redo_travel_there_and_back(client: Client) -> None:
    ids = client.fill("from", [40, 41, 42])
    client.post("api/classes", {"name": "to"})
    client.post("api/group", {"ids": ids[:2], "group": "sheet 1"})
    assert client.post("api/move", {"ids": ids, "class": "to"}).json["undo"] == "Move 3 pictures to 'to'"
    assert [each["group"] for each in client.pictures("to")] == ["sheet 1", "sheet 1", None]
    assert client.post("api/undo").json["redo"] == "Move 3 pictures to 'to'"
    assert client.ids("from") == ids
    assert [each["group"] for each in client.pictures("from")] == ["sheet 1", "sheet 1", None]
    client.post("api/redo")
    assert (client.counts()["from"], client.counts()["to"]) == (0, 3)
    client.post("api/move", {"ids": client.ids("to"), "class": None})
    assert client.state()["tray"] == 3
    assert client.post("api/redo").status == 409
    client.post("api/undo")
    client.post("api/classes/delete", {"name": "to"})


def test_deleted_pictures_lie_in_the_trash_and_come_back(client: Client) -> None:
    ids = client.fill("gone", [50, 51])
    client.post("api/group", {"ids": ids, "group": "both"})
    client.post("api/delete", {"ids": ids[:1]})
    assert (client.root / ".trash" / ids[0]).read_bytes() == png(50)
    assert client.ids("gone") == ids[1:]
    client.post("api/classes/delete", {"name": "gone"})
    assert "gone" not in client.counts()
    client.post("api/undo")
    client.post("api/undo")
    assert client.ids("gone") == ids
    assert [each["group"] for each in client.pictures("gone")] == ["both", "both"]
    assert (client.root / ids[0]).read_bytes() == png(50)
    client.post("api/group", {"ids": ids, "group": None})


def test_renaming_a_class_keeps_its_groups_and_a_taken_name_is_refused(client: Client) -> None:
    [id] = client.fill("old", [60])
    client.post("api/classes", {"name": "taken"})
    client.post("api/group", {"ids": [id], "group": "g"})
    assert client.post("api/classes/rename", {"name": "old", "to": "TAKEN"}).status == 409
    client.post("api/classes/rename", {"name": "old", "to": "new"})
    assert [each["group"] for each in client.pictures("new")] == ["g"]
    client.post("api/undo")
    assert [each["group"] for each in client.pictures("old")] == ["g"]
    client.post("api/group", {"ids": [id], "group": None})
    assert client.pictures("old")[0]["group"] is None


def test_a_move_that_fails_halfway_moves_nothing(client: Client) -> None:
    ids = client.fill("half", [70, 71])
    client.post("api/classes", {"name": "other"})
    refused = client.post("api/move", {"ids": [*ids, "half/none.png"], "class": "other"})
    assert (refused.status, client.ids("half")) == (404, ids)
    assert "'half/none.png'" in refused.error


def test_what_is_changed_by_hand_is_seen_and_every_page_hears_of_it(client: Client) -> None:
    client.fill("hand", [80])
    with client.events() as one, client.events() as two:
        assert one("state")["folder"] == two("state")["folder"] == str(client.root)
        (client.root / "hand" / "by hand.png").write_bytes(png(81))
        for next_of in (one, two):
            while {each["name"]: each["count"] for each in next_of("state")["classes"]}["hand"] != 2:
                pass
        client.post("api/classes", {"name": "told"})
        for next_of in (one, two):
            while "told" not in [each["name"] for each in next_of("state")["classes"]]:
                pass
    (client.root / "hand" / "by hand.png").write_bytes(png(82))  # in place
    hashes = {each["id"]: each["hash"] for each in client.pictures("hand")}
    assert hashes["hand/by hand.png"] == hashlib.sha256(png(82)).hexdigest()


def test_two_pages_at_once_lose_and_double_nothing(client: Client) -> None:
    ids = client.fill("pile", list(range(100, 140)))
    client.post("api/classes", {"name": "left"})
    client.post("api/classes", {"name": "right"})
    answers: list[tuple[str, int]] = []

    def work(name: str, mine: list[str]) -> None:
        for id in mine:
            status = client.post("api/move", {"ids": [id], "class": name}).status
            answers.append((id, status))

    threads = [threading.Thread(target=work, args=(name, ids)) for name in ("left", "right")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(status for _, status in answers) == [200] * 40 + [404] * 40
    counts = client.counts()
    assert (counts["pile"], counts["left"] + counts["right"]) == (0, 40)
    contents = {(client.root / id).read_bytes() for name in ("left", "right") for id in client.ids(name)}
    assert contents == {png(seed) for seed in range(100, 140)}


def test_links_are_neither_followed_nor_shown(client: Client, tmp_path) -> None:
    client.fill("links", [90])
    (tmp_path / "secret.png").write_bytes(png(91))
    (client.root / "links" / "out.png").symlink_to(tmp_path / "secret.png")
    (client.root / "linked").symlink_to(tmp_path)
    assert client.ids("links") == ["links/00001.png"]
    assert client.get("api/file/links/out.png").status == 404
    assert "linked" not in client.counts()
    assert any("1 file in class folders" in note for note in client.state()["notes"])
    os.unlink(client.root / "linked")
    os.unlink(client.root / "links" / "out.png")


def test_a_table_of_groups_that_cannot_be_read_is_never_overwritten(client: Client) -> None:
    ids = client.fill("table", [95])
    path = client.root / "metadata.csv"
    before = path.read_text() if path.exists() else None
    path.write_text("file_name,group,camera\ntable/00001.png,a,b\n")
    refused = client.post("api/group", {"ids": ids, "group": "x"})
    assert refused.status == 409
    assert "'camera'" in refused.error
    assert path.read_text().endswith("table/00001.png,a,b\n")
    path.unlink() if before is None else path.write_text(before)


@pytest.mark.parametrize(("names", "told"), [
    (("train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.png"), "every verb reads 'a', 'b' as the classes"),
    (("pack/a/1.png", "pack/b/2.png"), "every verb reads 'a', 'b' as the classes"),
    (("a/1.png", "runs/2.png"), "runs: holds pictures (2.png)"),
    (("a/1.png", "versions/x/2.png"), "versions: holds pictures (x/2.png)"),
    (("ann/glad/1.png", "ann/sad/2.png", "bob/glad/3.png", "bob/sad/4.png"), "can be read in two ways"),
])  # fmt: skip
def test_a_folder_whose_folders_are_not_its_classes_is_not_opened(tmp_path, names, told: str) -> None:
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png(number))
    for _ in range(2):
        with pytest.raises(GlyphNetError) as error:
            Folder(tmp_path)
        assert told in str(error.value)
    assert all((tmp_path / name).read_bytes() == png(number) for number, name in enumerate(names))


def test_pictures_inside_a_run_are_no_reason_to_refuse_the_folder(tmp_path) -> None:
    Folder(tmp_path).close()
    run = tmp_path / "runs" / "fast-1"
    (run / "explanations").mkdir(parents=True)
    (run / "explanations" / "0-explained.png").write_bytes(png(1))
    for name in ("recipe.yaml", "history.csv"):
        (run / name).write_text("x")
    Folder(tmp_path).close()


def test_a_table_of_classes_is_refused_before_anything_is_trained_by_it(tmp_path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,label\na/1.png,b\n")
    with pytest.raises(GlyphNetError, match="metadata.csv"):
        Folder(tmp_path)


def test_what_fails_on_the_disk_halfway_is_taken_back_whole(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)
    folder.add_class("a")
    with folder.changing():
        ids = [folder.store(None, None, ".png", png(seed)) for seed in range(3)]
        folder.added("Add", ids, {ids[0]: "g"}, [])

    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder.decide(ids[1], "a")
    before = everything()
    with monkeypatch.context() as patch:
        patch.setattr("glyphnet.studio.tables.append_line", full)
        with pytest.raises(StudioError, match="disk is full") as error:
            folder.decide(ids[0], "a")
        assert error.value.status == 507
    with monkeypatch.context() as patch:
        patch.setattr("glyphnet.studio.tables.write_decisions", full)
        with pytest.raises(StudioError, match="changed meanwhile|disk is full"):
            folder.undo()
    assert {name: content for name, content in everything().items() if "metadata" not in name} == {
        name: content for name, content in before.items() if "metadata" not in name
    }
    assert folder.state()["classes"] == [{"name": "a", "count": 1}]
    assert folder.groups.of[ids[0]] == "g"
    folder.decide(ids[0], "a")
    assert folder.groups.of == {"a/00001.png": "g"}
    folder.undo()
    folder.undo()
    assert (folder.state()["classes"][0]["count"], folder.groups.of) == (0, {ids[0]: "g"})
    folder.close()


def test_a_second_studio_of_the_folder_is_refused_and_a_closed_one_is_not(tmp_path) -> None:
    first = Folder(tmp_path)
    with pytest.raises(OutputError, match="another studio has it open"):
        Folder(tmp_path)
    first.close()
    Folder(tmp_path).close()


def test_the_zip_is_a_data_set_with_the_same_classes_and_groups(client: Client, tmp_path) -> None:
    for name in ("zip1", "zip2"):
        client.fill(name, [len(name) * 1000 + int(name[3]) * 100 + each for each in range(6)])
    client.post("api/group", {"ids": client.ids("zip1")[:2], "group": "pair"})
    answer = client.get("api/zip")
    assert answer.headers["content-type"] == "application/zip"
    (tmp_path / "data.zip").write_bytes(answer.body)
    splits = glyphnet.load(tmp_path / "data.zip", to_train=False)
    assert {"zip1", "zip2"} <= {*splits.classes}
    assert splits.group_by == "column:group"
    names = [name for _, part in splits for name in part.names]
    assert len(names) == sum(client.counts().values())
