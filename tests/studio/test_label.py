"""Labelling: decisions are on the disk before the answer, in the folders and in a table that a person can read."""

from __future__ import annotations

from glyphnet.data.corrections import read_decisions

from .conftest import Client, png, studio


def rows(client: Client) -> list[tuple[str, str, str]]:
    return [(row.file, row.given, row.decision) for row in read_decisions(client.root / "labels.csv")]


def test_without_a_model_pictures_of_the_whole_tray_are_suggested(client: Client) -> None:
    ids = client.fill(None, list(range(20)))
    found = client.get("api/suggest?count=3").json
    assert found["model"] is None
    assert [each["id"] for each in found["suggestions"]] == [ids[0], ids[10], ids[19]] or len(found["suggestions"]) == 3
    assert all(each["label"] is None for each in found["suggestions"])
    assert found["random"] is None


def test_a_decision_moves_the_picture_and_adds_a_line(client: Client) -> None:
    client.post("api/classes", {"name": "cat"})
    id = client.ids(None)[0]
    content = (client.root / id).read_bytes()
    new = client.post("api/decide", {"id": id, "label": "cat"}).json["id"]
    assert (client.root / new).read_bytes() == content
    assert not (client.root / id).exists()
    assert rows(client)[-1] == (new, "cat", "cat")
    assert client.post("api/undo").json["redo"].startswith("Label")
    assert (client.root / id).read_bytes() == content
    assert new not in [file for file, _, _ in rows(client)]
    client.post("api/redo")
    assert rows(client)[-1] == (new, "cat", "cat")


def test_a_skipped_picture_comes_last_also_after_a_restart(client: Client) -> None:
    first = client.get("api/suggest?count=1").json["suggestions"][0]["id"]
    assert client.post("api/decide", {"id": first, "label": None}).json == {"id": first}
    assert client.get("api/suggest?count=1").json["suggestions"][0]["id"] != first
    assert rows(client)[-1] == (first, "unlabelled", "")
    client.post("api/undo")
    assert client.get("api/suggest?count=1").json["suggestions"][0]["id"] == first


def test_a_decision_for_a_class_that_is_not_there_changes_nothing(client: Client) -> None:
    before, id = rows(client), client.ids(None)[0]
    assert client.post("api/decide", {"id": id, "label": "dog"}).status == 404
    assert client.post("api/decide", {"id": "unlabelled/none.png", "label": "cat"}).status == 404
    assert (rows(client), client.ids(None)[0]) == (before, id)


def test_the_lines_follow_pictures_that_are_moved_renamed_and_deleted(client: Client) -> None:
    client.post("api/classes", {"name": "owl"})
    id = client.post("api/decide", {"id": client.ids(None)[0], "label": "cat"}).json["id"]
    base = id.partition("/")[2]
    client.post("api/move", {"ids": [id], "class": "owl"})
    assert rows(client)[-1] == (f"owl/{base}", "owl", "owl")
    client.post("api/classes/rename", {"name": "owl", "to": "bird"})
    assert rows(client)[-1] == (f"bird/{base}", "bird", "bird")
    count = len(rows(client))
    client.post("api/delete", {"ids": [f"bird/{base}"]})
    assert len(rows(client)) == count - 1
    client.post("api/undo")
    assert rows(client)[-1] == (f"bird/{base}", "bird", "bird")


def test_a_table_that_was_written_by_hand_is_kept_and_one_that_is_damaged_is_not_written_to(client: Client) -> None:
    path = client.root / "labels.csv"
    before = path.read_bytes()
    path.write_text("file;given;suggested;decision\ncat/x.png;cat;owl;keep")
    new = client.post("api/decide", {"id": client.ids(None)[0], "label": "cat"}).json["id"]
    assert rows(client) == [("cat/x.png", "cat", "keep"), (new, "cat", "cat")]
    path.write_text("what is this\n1\n")
    refused = client.post("api/decide", {"id": client.ids(None)[0], "label": "cat"})
    assert refused.status == 409
    assert "labels.csv" in refused.error
    assert path.read_text() == "what is this\n1\n"
    path.write_bytes(before)


def test_what_was_decided_is_there_after_a_restart(tmp_path) -> None:
    with studio(tmp_path) as client:
        client.post("api/classes", {"name": "cat"})
        client.fill(None, [1, 2])
        skipped, decided = client.ids(None)
        client.post("api/decide", {"id": skipped, "label": None})
        new = client.post("api/decide", {"id": decided, "label": "cat"}).json["id"]
    with studio(tmp_path) as client:
        assert client.counts() == {"cat": 1}
        assert (tmp_path / new).read_bytes() == png(2)
        assert [each["id"] for each in client.get("api/suggest").json["suggestions"]] == [skipped]
        assert len(rows(client)) == 2
