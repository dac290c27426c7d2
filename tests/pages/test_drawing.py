"""The drawing page in a real browser: strokes, undo, pictures, bars, rejection, saliency, and no network."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from PIL import Image

from glyphnet.images import read_image

from .. import browsing
from ..browsing import faults, wait_until

pytestmark = pytest.mark.slow

STROKES = {
    "0": [
        [
            (0.5, 0.2),
            (0.36, 0.3),
            (0.32, 0.5),
            (0.37, 0.7),
            (0.5, 0.8),
            (0.63, 0.7),
            (0.68, 0.5),
            (0.63, 0.3),
            (0.5, 0.2),
        ]
    ],
    "1": [[(0.5, 0.18), (0.5, 0.82)]],
    "7": [[(0.32, 0.22), (0.68, 0.22), (0.45, 0.8)]],
}


# A change is answered in the next frame, or in the one after it where an answer was under way.
FRAMES = """() => new Promise((done) => {
  let left = 3;
  const next = () => left-- ? requestAnimationFrame(next) : done();
  next();
})"""


def settle(page):
    """Wait until what was drawn or opened is answered."""
    page.evaluate(FRAMES)


def draw(page, strokes):
    browsing.draw(page, strokes)
    settle(page)


def name(page):
    return page.inner_text("#name")


def seen(page):
    return page.evaluate("Array.from(glyphnet.pixels())")


@pytest.mark.parametrize("digit", STROKES)
def test_a_drawn_digit_is_read(open_drawing, digit):
    opened = open_drawing(threshold=None, foreign_threshold=None)
    draw(opened.page, STROKES[digit])
    assert name(opened.page) == digit
    best = opened.page.locator("#bars .best")
    assert best.locator(".name").inner_text() == digit
    filled = best.locator(".fill").bounding_box()["width"] / best.locator(".rail").bounding_box()["width"]
    assert filled == pytest.approx(float(best.locator(".much").inner_text().strip("<>\u202f %")) / 100, abs=0.01)
    assert opened.console == []


def test_the_bars_move_while_one_draws_and_the_screen_reader_hears_the_end(open_drawing):
    page = open_drawing(threshold=None, foreign_threshold=None).page
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.7 * box["height"], steps=10)
    wait_until(page, "() => document.querySelectorAll('#bars .best').length === 1")
    assert page.inner_text("#heard") == ""
    page.mouse.up()
    wait_until(page, "() => document.getElementById('heard').textContent !== ''")
    assert page.inner_text("#heard") == f"{name(page)}. {page.inner_text('#sure')}."
    assert page.get_attribute("#heard", "aria-live") == "polite"


def test_what_is_shown_is_what_the_network_sees(open_drawing):
    page = open_drawing().page
    draw(page, STROKES["7"])
    shown = page.evaluate(
        """() => {
            const canvas = document.getElementById("seen");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return [canvas.width, canvas.height, Array.from(data).filter((_, i) => i % 4 === 0)];
        }"""
    )
    assert shown == [8, 8, seen(page)]
    assert max(seen(page)) > 100


def test_the_title_says_what_it_recognises_and_an_empty_eye_says_why(open_drawing):
    page = open_drawing(classes=tuple("0123456789")).page
    assert page.title() == "Digits 0 to 9 – GlyphNet"
    assert page.inner_text("h1") == "Recognises digits 0 to 9"
    assert "Nothing yet." in page.inner_text(".eye")
    draw(page, STROKES["7"])
    assert "Nothing yet." not in page.inner_text(".eye")
    assert "These pixels and no more" in page.inner_text(".eye")
    page.click("#clear")
    settle(page)
    assert "Nothing yet." in page.inner_text(".eye")


def test_two_drawings_side_by_side_are_two_and_one_alone_is_one(open_drawing):
    opened = open_drawing(threshold=None)
    left, right = (
        [(x / 2 + shift, y / 2 + 0.25) for x, y in STROKES[digit][0]] for digit, shift in (("0", 0.0), ("7", 0.45))
    )
    draw(opened.page, [left])
    assert name(opened.page) == "0"
    draw(opened.page, [right])
    wait_until(opened.page, "() => document.getElementById('name').textContent === 'I see two'")
    assert opened.page.inner_text("#sure") == "“0” and “7”. Draw one at a time."
    assert opened.page.inner_text("#heard") == "I see two. “0” and “7”. Draw one at a time."
    assert opened.page.locator("#bars .best").count() == 0
    opened.page.click("#undo")
    settle(opened.page)
    assert name(opened.page) == "0"
    assert opened.console == []


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_a_picture_that_a_camera_turned_is_seen_as_python_sees_it(open_drawing, reader, tmp_path, kind):
    page = open_drawing().page
    upright = np.full((160, 200), 240, dtype=np.uint8)
    upright[30:50, 40:150] = 20
    upright[50:130, 130:150] = 20  # a 7
    picture = Image.fromarray(upright)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.{kind.lower()}"
        picture.save(path, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
        page.click("#clear", force=True)
        page.set_input_files("#file", path)
        page.wait_for_selector(".paper.pictured")
        settle(page)
        wanted = read_image(path.read_bytes(), reader, None, path.name).pixels
        off = np.abs(np.array(seen(page)) - wanted.ravel()).max()
        assert off <= (12 if kind == "JPEG" else 0), f"orientation {orientation}"


def test_undo_takes_one_step_back_and_clear_can_be_undone(open_drawing):
    page = open_drawing().page
    assert page.is_disabled("#undo")
    assert page.is_disabled("#clear")
    empty = seen(page)
    draw(page, STROKES["1"])
    one = seen(page)
    draw(page, [[(0.3, 0.5), (0.7, 0.5)]])
    both = seen(page)
    assert len({tuple(pixels) for pixels in (empty, one, both)}) == 3
    page.click("#clear")
    settle(page)
    assert seen(page) == empty
    assert name(page) == "The answer will stand here."
    for expected in (both, one, empty):
        page.keyboard.press("Control+z")
        settle(page)
        assert seen(page) == expected
    draw(page, STROKES["1"])
    page.keyboard.press("Delete")
    settle(page)
    assert seen(page) == empty


def test_touch_draws_and_does_not_scroll(open_drawing):
    page = open_drawing(width=390).page
    assert page.evaluate("getComputedStyle(document.getElementById('pad')).touchAction") == "none"
    fire = """() => {
        const pad = document.getElementById("pad");
        const box = pad.getBoundingClientRect();
        pad.setPointerCapture = () => {};
        const at = (type, x, y, id) => pad.dispatchEvent(new PointerEvent(type, {
            pointerId: id, pointerType: "touch", bubbles: true, button: 0,
            clientX: box.left + x * box.width, clientY: box.top + y * box.height,
        }));
        at("pointerdown", 0.5, 0.2, 1);
        at("pointerdown", 0.1, 0.9, 2);  // a second finger draws nothing
        at("pointermove", 0.1, 0.1, 2);
        at("pointermove", 0.5, 0.8, 1);
        at("pointerup", 0.5, 0.8, 1);
    }"""
    page.evaluate(fire)
    settle(page)
    touched = seen(page)
    page.click("#clear")
    draw(page, [[(0.5, 0.2), (0.5, 0.8)]])
    assert seen(page) == touched


def test_below_the_threshold_it_is_none_of_these(open_drawing):
    opened = open_drawing(threshold=1.0, foreign_threshold=None)
    draw(opened.page, [[(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)], [(0.1, 0.5), (0.9, 0.5)]])
    assert name(opened.page) == "none of these"
    assert opened.page.inner_text("#sure").startswith("The model is not sure. Most like “")
    assert opened.page.locator("#bars .best").count() == 0


@pytest.mark.parametrize("is_wide", [False, True])
def test_several_classes_are_named_where_the_set_has_several(open_drawing, reader, is_wide):
    conformal = reader.conformal
    if is_wide:
        conformal = conformal.model_copy(update={"values": tuple(1.0 for _ in conformal.values)})
    page = open_drawing(threshold=None, foreign_threshold=None, conformal=conformal).page
    draw(page, STROKES["7"])
    names = page.evaluate("glyphnet.set(glyphnet.pixels(), 0.95)")
    assert (len(names) > 1) == is_wide
    said = f"With 95\u202f% certainty one of: {', '.join(names)}"
    assert page.inner_text("#set") == (said if is_wide else "")


def test_what_is_unlike_the_training_images_is_none_of_these_with_the_reason(open_drawing):
    opened = open_drawing(threshold=None, foreign_threshold=0.0)
    draw(opened.page, STROKES["0"])
    assert name(opened.page) == "none of these"
    assert opened.page.inner_text("#sure").startswith("Unlike the training images. Most like “")
    assert opened.page.inner_text("#set") == ""
    assert opened.console == []


def test_the_page_gives_the_classifiers_own_scores_reasons_and_sets(open_drawing, reader):
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (4, *reader.input_shape), dtype=np.uint8)
    blank = np.full((1, *reader.input_shape), 90, dtype=np.uint8)
    images = np.concatenate([reader.samples[:12], noise, blank])
    own = reader.answer(images, as_is=True)
    assert own.reasons[12:] == ["unlike_training"] * 5
    page = open_drawing().page
    given = [page.evaluate("pixels => glyphnet.answer(pixels)", image.ravel().tolist()) for image in images]
    np.testing.assert_allclose([each["foreign"] for each in given], own.foreign, atol=1e-3)
    assert [each["reason"] for each in given] == own.reasons
    for level in (0.8, 0.9, 0.95):
        sets = [page.evaluate("([p, level]) => glyphnet.set(p, level)", [i.ravel().tolist(), level]) for i in images]
        assert sets == [list(each) for each in own.sets(level)]
    assert page.evaluate("p => glyphnet.set(p, 0.99999)", images[0].ravel().tolist()) is None


def test_a_picture_can_be_opened_dropped_and_pasted(open_drawing, one_picture):
    page = open_drawing().page
    page.set_input_files("#file", one_picture)
    page.wait_for_selector(".paper.pictured")
    settle(page)
    opened = seen(page)
    assert max(opened) > 100
    content = base64.b64encode(one_picture.read_bytes()).decode()
    transfer = """content => {
        const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], "one.png", { type: "image/png" }));
        return transfer;
    }"""
    for event, key in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.click("#clear")
        settle(page)
        assert seen(page) != opened
        handle = page.evaluate_handle(transfer, content)
        fire = f"""([transfer, type]) => {{
            const Kind = type === "drop" ? DragEvent : ClipboardEvent;
            const init = {{ bubbles: true, cancelable: true, {key}: transfer }};
            document.getElementById("pad").dispatchEvent(new Kind(type, init));
        }}"""
        page.evaluate(fire, [handle, event])
        page.wait_for_selector(".paper.pictured")
        settle(page)
        assert seen(page) == opened, event


def test_a_file_that_is_no_picture_is_told(open_drawing, tmp_path):
    (tmp_path / "no.png").write_bytes(b"this is no picture")
    page = open_drawing().page
    page.set_input_files("#file", tmp_path / "no.png")
    wait_until(page, "() => document.getElementById('trouble').textContent.startsWith('This file is no picture')")
    assert page.get_attribute("#trouble", "role") == "alert"


def test_saliency_colours_what_the_answer_rests_on(open_drawing):
    page = open_drawing(threshold=None, foreign_threshold=None).page
    draw(page, STROKES["7"])
    colours = """() => {
        const { data } = document.getElementById("seen").getContext("2d").getImageData(0, 0, 8, 8);
        return Array.from(data).some((v, i) => i % 4 === 0 && v !== data[i + 1]);
    }"""
    assert not page.evaluate(colours)
    page.check("#looked")
    wait_until(page, colours)
    page.uncheck("#looked")
    wait_until(page, f"() => !({colours})()")


def test_class_names_stay_text_and_the_page_asks_for_nothing(open_drawing):
    evil = "<img src=x onerror=document.title='owned'>"
    classes = (evil, "</script><script>document.title='owned'</script>", *map(str, range(2, 10)))
    opened = open_drawing(classes=classes, threshold=None, foreign_threshold=None)
    draw(opened.page, STROKES["0"])
    page = opened.page
    assert page.locator("img").count() == 0
    assert "owned" not in page.title()
    assert page.locator(".class").first.inner_text() == evil
    assert page.locator("#bars .name").first.inner_text() == evil
    assert len(opened.requests) == 1
    assert opened.requests[0].startswith("file://")
    assert opened.console == []


def test_of_many_classes_the_likeliest_ten_are_shown_in_order(make_many, open_page, tmp_path):
    opened = open_page(make_many(tmp_path / "page.html", 60), ready="html[data-ready]")
    draw(opened.page, STROKES["0"])
    assert opened.page.locator("#bars li").count() == 10
    shares = [float(text.strip("<>\u202f %")) for text in opened.page.locator("#bars .much").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    assert opened.page.locator("#bars li").first.get_attribute("class") == "best"


def test_everything_is_reached_with_the_keyboard(open_drawing, one_picture):
    page = open_drawing().page
    page.set_input_files("#file", one_picture)
    page.wait_for_selector(".paper.drawn")
    settle(page)
    reached = []
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached[:6] == ["skip", "theme", "undo", "clear", "open", "looked"]
    with page.expect_file_chooser():
        page.focus("#open")
        page.keyboard.press("Enter")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_no_serious_fault_and_nothing_is_cut_off(open_drawing, scheme, width):
    page = open_drawing(scheme=scheme, width=width, bypass_csp=True).page
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert faults(page) == []
    draw(page, STROKES["7"])
    assert name(page)
    page.check("#looked")
    for each in ("light", "dark"):
        page.emulate_media(color_scheme=each)
        assert faults(page) == [], each
        assert page.evaluate("document.documentElement.scrollWidth") == width
