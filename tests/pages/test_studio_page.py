"""The studio in a real browser, on the page's own engine: pictures in, a model out, and nothing leaves the page."""

from __future__ import annotations

import base64
import io
import random
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glyphnet.classifier import load_model
from glyphnet.data import load
from glyphnet.images import Batch, read_image
from glyphnet.pages.playground import sets_here
from glyphnet.pages.studio import studio_page
from glyphnet.templates import read

from ..browsing import draw, faults, wait_until
from ..conftest import BROWSERS, FLAGS
from ..javascript import PACKAGE
from .hand import drawn
from .studio_use import accuracy, add_class, count, draw_classes, drop, paste, png, train, zipped

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The offline page, with the digits alone, which every machine has."""
    path = tmp_path_factory.mktemp("studio") / "studio.html"
    path.write_text(studio_page("page", sets_here(["digits"])), "utf-8")
    return path


@pytest.fixture
def studio(written: Path, open_page: Any) -> Any:
    """Open the page: ``studio("#train", width=390)``; each has a browser's profile, and so a database, of its own."""

    def opened(address: str = "", **options: Any) -> Any:
        return open_page(written, address=address, ready="html[data-ready]", **options)

    return opened


def test_pictures_are_drawn_selected_moved_deleted_and_brought_back(studio: Any) -> None:
    opened = studio()
    page = opened.page
    assert faults(page) == []
    add_class(page, "<b>one")
    for place in (0.3, 0.5, 0.7):
        draw(page, [[(place, 0.2), (place + 0.05, 0.8)]])
        page.keyboard.press("Enter")
        wait_until(page, "() => document.querySelector('#add-drawing').disabled")
    count(page, 3)
    page.wait_for_selector(".cell >> nth=2")
    page.focus(".grid")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert page.locator(".cell.chosen").count() == 2
    add_class(page, "two")
    count(page, 0)
    page.click(".place:has-text('<b>one')")
    count(page, 3)
    page.wait_for_selector(".cell >> nth=2")  # the keys of a grid that is drawn later would go nowhere
    page.focus(".grid")
    page.keyboard.press("Control+a")
    wait_until(page, "() => document.querySelectorAll('.cell.chosen').length === 3")
    page.select_option("#move-to", "two")
    count(page, 0)
    page.click(".place:has-text('two')")
    count(page, 3)
    page.click(".cell >> nth=0")
    page.click("#delete-chosen")
    count(page, 2)
    page.click("#undo")
    count(page, 3)
    page.click("#redo")
    count(page, 2)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.click(".place:has-text('two')")
    count(page, 2)
    assert opened.console == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in opened.requests)


def drawn_pictures(path: Path) -> list[bytes]:
    """Those of a saved zip, and others that are none of these: noise, a blank sheet, large scribbles."""
    with zipfile.ZipFile(path) as archive:
        found = [archive.read(name) for name in archive.namelist() if name.endswith(".png")]
    generator = np.random.default_rng(2)
    for size in (28, 60, 200):
        found.append(png(generator.integers(0, 256, (size, size), dtype=np.uint8)))
        sheet = np.full((size, size), 255, dtype=np.uint8)
        found.append(png(sheet))
        for _ in range(4):
            place = generator.integers(0, size - size // 4)
            sheet[place : place + max(2, size // 14), size // 8 : -size // 8] = 0
            sheet[size // 8 : -size // 8, place : place + max(2, size // 14)] = 0
        found.append(png(sheet))
    return found


def agree(page: Any, run: str, classifier: Any, pictures: list[bytes]) -> None:
    """What the page answers, and why it does not, is what Python does with the page's model file."""
    assert classifier.prototypes is not None
    assert classifier.foreign_threshold is not None
    asked = [base64.b64encode(each).decode() for each in pictures]
    told = page.evaluate(ANSWERS, {"run": run, "pictures": asked})
    answers = classifier.answer(Batch.of([read_image(each, classifier, name="picture") for each in pictures]))
    assert [each["reason"] for each in told] == list(answers.reasons)
    assert {None, "unlike_training"} <= {*answers.reasons}, "both kinds of answers should be compared"
    found = [[each["probability"] for each in one["answers"]] for one in told]
    np.testing.assert_allclose(found, answers.probabilities, atol=2e-3)


ANSWERS = """async ({ run, pictures }) => {
  const told = [];
  for (const each of pictures) {
    const bytes = Uint8Array.from(atob(each), (character) => character.charCodeAt(0));
    told.push(await studio.engine.predict(run, new Blob([bytes], { type: "image/png" }), false));
  }
  return told;
}"""


def test_drawings_become_a_model_a_page_and_a_data_set(studio: Any, open_page: Any, tmp_path: Path) -> None:
    opened = studio("?lang=en")
    page, generator = opened.page, random.Random(1)
    page.set_default_timeout(120_000)
    draw_classes(page, "0147", 6, generator)
    run = train(page)
    page.wait_for_selector(".run-card polyline >> nth=3", state="attached")
    assert accuracy(page, run, "0147", 5, generator) >= 0.9

    page.click("a[href='#collect']")  # a wrong label, found and put right
    page.click(".place:has(.name:text-is('4'))")
    page.click(".cell >> nth=0")
    page.select_option("#move-to", "0")
    page.click("a[href='#check']")
    page.click("#run-checks")
    page.click(".finding[data-code='suspicious_labels'] button:has-text('→ 4')")
    page.wait_for_selector("#said:has-text('moved to 4')")

    page.click("a[href='#judge']")  # the report, which needs no server
    report = page.frame_locator("#report")
    report.locator("h1:has-text('run-1')").wait_for()
    assert report.locator("table").count() == 3
    assert page.inner_text("#judged") == report.locator(".accurate").inner_text()
    assert page.evaluate("document.querySelector('#report').src").startswith("blob:")

    page.click("a[href='#try']")
    draw(page, drawn("7", generator))  # six of a class are few: it may be most like a 7, and yet unlike those
    page.wait_for_selector(".bars .true .name:text-is('7')")
    page.wait_for_selector("#saliency")
    seven = np.full((60, 60), 255, dtype=np.uint8)
    seven[10:16, 15:45], seven[10:52, 39:45] = 0, 0
    paste(page, "seven.png", png(seven))
    page.wait_for_selector("#answer:text-is('7'), .answer.rejected")
    saved = {}
    for name in ("export-html", "export-model", "save-zip"):
        with page.expect_download() as download:
            page.click(f"#{name}")
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    exported = open_page(saved["export-html"], ready="html[data-ready]").page
    draw(exported, drawn("1", generator))
    exported.wait_for_selector("#name:text-is('1'), #sure:has-text('Most like “1”')")

    classifier = load_model(saved["export-model"])
    assert classifier.classes == ("0", "1", "4", "7")
    agree(page, run, classifier, drawn_pictures(saved["save-zip"]))
    data = load(saved["save-zip"])
    assert data.train.classes == ("0", "1", "4", "7")
    with zipfile.ZipFile(saved["save-zip"]) as archive:
        sevens = [io.BytesIO(archive.read(name)) for name in archive.namelist() if name.startswith("7/")]
        assert len(sevens) == 6
        assert [classifier.predict(each)[0] for each in sevens].count("7") >= 5
    assert opened.console == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in opened.requests)


def test_trainings_stop_resume_and_are_compared_and_the_page_remembers(studio: Any) -> None:
    opened = studio("?lang=en", scheme="dark")
    page = opened.page
    page.set_default_timeout(120_000)
    page.click("#source-known")
    page.fill("#per-class", "8")
    page.click("#take-known")
    page.wait_for_selector("#said:has-text('80 pictures added.')")
    page.click("a[href='#train']")
    page.click(".choice button:text-is('Best')")
    page.click("#train")
    page.wait_for_selector(".run-card .confusion td >> nth=100")
    page.click(".run-card .stop")
    page.wait_for_selector(".run-card[data-status='stopped']")
    seen = page.evaluate("studio.engine.epochs.value['run-1'].at(-1).epoch")
    page.reload()  # what is needed to go on is in the browser's database
    page.wait_for_selector("html[data-ready]")
    page.click(".run-card button:has-text('Resume')")
    page.wait_for_selector(".run-card[data-status='running']")
    wait_until(page, f"() => studio.engine.epochs.value['run-1'].at(-1).epoch > {seen}")
    page.click(".run-card .stop")
    page.wait_for_selector(".run-card[data-status='stopped']")
    epochs = page.evaluate("studio.engine.epochs.value['run-1'].map(({ epoch }) => epoch)")
    assert epochs == sorted({*epochs}), "it began again"
    page.fill("#seconds", "2")
    page.select_option("#kind", "photo")
    page.click("#train")
    page.wait_for_selector("#paired:has-text('paired test')")
    assert faults(page) == []
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator(".runs tbody tr").count() == 2
    assert page.evaluate("studio.engine.trainings.model('run-2').then(({ kind }) => kind)") == "photo"
    page.click("a[href='#judge']")
    page.wait_for_selector("#history tbody tr")
    assert "n = 2" in page.inner_text("#judged")
    assert faults(page) == []
    page.click("a[href='#label']")
    page.click("a[href='#try']")
    page.wait_for_selector("#export-html")
    assert faults(page) == []
    page.click("a[href='#train']")
    page.click(".run-card[data-run='run-2'] .delete-run")
    page.click(".run-card[data-run='run-2'] button:text-is('Keep')")
    page.click(".run-card[data-run='run-2'] .delete-run")
    page.click(".run-card[data-run='run-2'] .delete-run")
    wait_until(page, "() => document.querySelectorAll('.runs tbody tr').length === 1")
    left = "studio.engine.store.get('values', 'model:run-2').then((found) => found ?? null)"
    assert page.evaluate(left) is None
    assert opened.console == []


def test_zips_folders_and_pasted_pictures_go_to_their_classes_and_nothing_comes_twice(studio: Any) -> None:
    page = studio("?lang=de").page
    assert page.inner_text("a[href='#collect']").endswith("Sammeln")
    noise = np.random.default_rng(0).integers(0, 256, (6, 12, 12), dtype=np.uint8)
    files = {f"{'eins' if row % 2 else 'unlabelled'}/{row}.png": png(each) for row, each in enumerate(noise)}
    files |= {"metadata.csv": b"file_name,group\neins/1.png,anna\n", "../../evil/a.png": png(noise[0] // 2)}
    drop(page, "some.zip", zipped(files))
    page.wait_for_selector(".place:has(.name:text-is('eins')) .count:text-is('3')")
    page.wait_for_selector(".place.tray .count:text-is('3')")
    page.wait_for_selector("#said:has-text('../../evil/a.png')")
    assert page.locator(".place").count() == 2
    page.click(".place:has(.name:text-is('eins'))")
    page.wait_for_selector(".cell .group:text-is('anna')")
    drop(page, "some.zip", zipped(files))
    page.wait_for_selector("#said:has-text('6 waren schon da')")
    paste(page, "pasted.png", png(noise[0] // 3))
    count(page, 4)
    page.wait_for_selector("#said:has-text('1 Bild hinzugefügt.')")
    drop(page, "broken.zip", zipped(files)[:-40])
    page.wait_for_selector("#said:has-text('broken.zip')")
    page.select_option("#language", "en")
    assert page.inner_text("a[href='#collect']").endswith("Collect")


def test_everything_is_selected_also_what_was_never_seen(studio: Any) -> None:
    """The grid asks for 200 pictures at once, and a server gives as many as it likes."""
    page = studio("?lang=en").page
    page.click("#source-known")
    page.fill("#per-class", "45")
    page.check(".known input[type=checkbox]")
    page.click("#take-known")
    page.wait_for_selector("#said:has-text('450 pictures added.')")
    page.click(".place.tray")
    page.evaluate("""() => {
      const { engine } = studio;
      const asked = engine.pictures.bind(engine);
      engine.pictures = (place, from, count) => asked(place, from, Math.min(count, 70));
    }""")
    page.focus(".grid")
    page.keyboard.press("Control+a")
    page.wait_for_selector(".selection b:text-is('450 selected')")
    page.keyboard.press("Delete")
    page.wait_for_selector(".place.tray .count:text-is('0')")
    page.click("#undo")
    page.wait_for_selector(".place.tray .count:text-is('450')")


def test_a_camera_records_while_a_button_is_held(browser: Any, written: Path, tmp_path: Path) -> None:
    frames = [b"FRAME\n" + bytes([40 * number]) * 4096 + bytes([128]) * 2048 for number in range(6)]
    film = tmp_path / "film.y4m"
    film.write_bytes(b"YUV4MPEG2 W64 H64 F25:1 Ip A1:1 C420jpeg\n" + b"".join(frames))
    flags = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    launched = browser.browser_type.launch(
        executable_path=next(filter(None, map(shutil.which, BROWSERS))),
        args=[*FLAGS, *flags, f"--use-file-for-fake-video-capture={film}"],
    )
    try:
        page = launched.new_page()
        page.goto(written.as_uri())
        page.wait_for_selector("html[data-ready]")
        add_class(page, "seen")
        page.click("#source-camera")
        page.wait_for_selector("#record:not([disabled])")
        page.hover("#record")
        page.mouse.down()
        wait_until(page, "() => studio.engine.state.value.classes[0].count >= 3 || recorded() >= 8".replace(
            "recorded()", "parseInt(document.querySelector('.sources .tools [role=status]').textContent || '0')"
        ))  # fmt: skip
        page.mouse.up()
        page.wait_for_selector(".cell img >> nth=2")
        assert page.evaluate("studio.engine.pictures('seen', 0, 1).then(({ pictures }) => pictures[0].width)") == 96
    finally:
        launched.close()


def test_vendored_modules_have_their_licences_and_are_what_they_say() -> None:
    licences = read("pages/js/vendor/LICENSES.txt")
    files = sorted((PACKAGE / "pages/js/vendor").glob("*.js"))
    assert len(files) == 5
    for file in files:
        version = re.search(r"/\*! \S+ (\S+),", file.read_text("utf-8"))
        assert version is not None
        assert f"{file.name}: " in licences
        assert version[1] in licences
    assert "MIT License" in licences
    assert "Apache License" in licences


@pytest.mark.parametrize("given", [{"engine": "cloud"}, {"engine": "page", "language": "xx"}])
def test_an_unknown_engine_or_language_is_refused_with_those_that_there_are(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"(cloud|xx).*choose one of"):
        studio_page(**given)
