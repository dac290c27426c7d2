"""The section of suspected labels: cards, decisions by click and key, and the table that is saved."""

import numpy as np
import pytest

from glyphnet.data import ImageDataset, Splits
from glyphnet.data.corrections import apply_decisions, read_decisions
from glyphnet.evaluation import LabelIssues
from glyphnet.report import SuspectPart
from glyphnet.report import data as section

CLASSES = ("cat", "<img src=x onerror=alert(1)>", "drop", ' "quoted", ')


def part_of(name="train", suspects=5, count=40, classes=CLASSES):
    generator = np.random.default_rng(7)
    labels = (np.arange(count) % len(classes)).astype(np.int64)
    names = [f"{name}/{row:03}" for row in range(count)]
    names[0] = f'{name}/a "b", \udce9<i>.png'
    dataset = ImageDataset(generator.integers(256, size=(count, 9, 7, 1), dtype=np.uint8), labels, classes, names)
    rows = np.arange(suspects, dtype=np.int64)
    suggested = (labels[rows] + 1) % len(classes)
    return SuspectPart(name, dataset, LabelIssues(rows, labels[rows], suggested, 1 - rows / 1000, count))


def splits_of(part):
    empty = part.dataset.subset(np.zeros(len(part.dataset), dtype=bool))
    return Splits("made", part.dataset, empty, empty)


@pytest.fixture
def judged(make_evaluation):
    return make_evaluation(classes=CLASSES, count=60)


def saved(page, tmp_path):
    with page.expect_download() as download:
        page.click("#label-save")
    path = tmp_path / "labels.csv"
    download.value.save_as(path)
    return path


def choose(page, place, decision):
    page.check(f'.card[data-id="train/{place}"] input[value={decision}]', force=True)


def test_every_decision_is_saved_and_changes_the_data_as_it_says(open_report, judged, tmp_path):
    part = part_of()
    opened = open_report(judged, suspects=[part])
    page = opened.page
    choose(page, 0, "relabel")
    choose(page, 1, "drop")
    choose(page, 2, "keep")
    page.select_option('.card[data-id="train/3"] select', "=1")
    page.select_option('.card[data-id="train/4"] select', "=2")  # a class that is called like a decision
    assert page.inner_text("#label-count") == "5 of 5 decided."
    path = saved(page, tmp_path)
    rows = read_decisions(path)
    assert [row.decision for row in rows] == ["relabel", "drop", "keep", CLASSES[1], "relabel"]
    assert [row.file for row in rows] == list(part.dataset.names[:5])
    assert [row.given for row in rows] == [CLASSES[label] for label in part.dataset.labels[:5]]
    assert rows[0].part == "train"
    assert rows[0].score == "1.0000"
    corrected = apply_decisions(splits_of(part), path).train
    assert len(corrected) == 39
    assert corrected.labels[:4].tolist() == [1, 2, 1, 2]
    assert opened.console == []
    assert len([url for url in opened.requests if not url.startswith(("data:", "blob:"))]) == 1


def test_letters_decide_and_go_on_to_the_next_card(open_report, judged, tmp_path):
    page = open_report(judged, suspects=[part_of()]).page
    page.focus('.card[data-id="train/0"] input >> nth=0')
    for key in "krd":
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.closest('.card').dataset.id") == "train/3"
    assert [row.decision for row in read_decisions(saved(page, tmp_path))] == ["keep", "relabel", "drop"]


def test_decisions_are_there_again_when_the_page_is_opened_again_and_can_be_forgotten(open_report, judged):
    page = open_report(judged, suspects=[part_of()]).page
    choose(page, 2, "drop")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.is_checked('.card[data-id="train/2"] input[value=drop]')
    assert page.inner_text("#label-count") == "1 of 5 decided."
    page.click("#label-forget")
    assert not page.is_checked('.card[data-id="train/2"] input[value=drop]')
    assert page.is_disabled("#label-save")


def test_other_suspects_are_kept_apart():
    assert section.key_of(section.show_parts([part_of()])) == section.key_of(section.show_parts([part_of()]))
    assert section.key_of(section.show_parts([part_of()])) != section.key_of(section.show_parts([part_of(suspects=4)]))


def test_parts_are_apart_counts_are_full_and_test_rows_come_with_a_warning(open_report, judged):
    page = open_report(judged, suspects=[part_of(suspects=200, count=400), part_of("test", suspects=1)]).page
    titles = page.eval_on_selector_all(".suspects h3", "all => all.map(one => one.textContent)")
    assert titles == ["Training part", "Test part"]
    assert page.inner_text(".suspects .sure >> nth=0").startswith("200 of 400 labels, the surest 150 of them here")
    assert page.locator("#labels-train .notes").count() == 0
    assert "is not honest" in page.inner_text("#labels-test .notes")
    assert "--check-labels" not in page.inner_text("#labels")
    while page.is_visible("#labels-train .more"):
        page.click("#labels-train .more")
    assert page.locator("#labels-train .card").count() == 150


def test_a_card_shows_its_image(open_report, judged):
    part = part_of()
    page = open_report(judged, suspects=[part]).page
    pixels = page.evaluate(
        """() => {
            const canvas = document.querySelector('.card[data-id="train/3"] canvas');
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return [...data].filter((_, i) => i % 4 === 0);
        }"""
    )
    np.testing.assert_array_equal(pixels, part.dataset.images[3].ravel())


def test_where_training_labels_were_not_checked_the_page_says_how(open_report, judged):
    text = open_report(judged).page.inner_text("#labels")
    assert "glyphnet data DATA --review labels.csv" in text
    assert "glyphnet train DATA --check-labels" in text


def test_a_part_without_suspects_says_so(open_report, judged):
    page = open_report(judged, suspects=[part_of("validation", suspects=0)]).page
    assert page.inner_text("#labels-validation .sure") == "None of 40 labels looks wrong."
