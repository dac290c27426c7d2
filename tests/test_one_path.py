"""The same file gets the same label everywhere, and it is the label that the evaluation judged.

One small model is trained on a folder of drawings. Its test part, in every form of data, is answered by every surface.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from typer.testing import CliRunner

import glyphnet
from glyphnet.classifier import Classifier
from glyphnet.cli import app
from glyphnet.data import ImageDataset
from glyphnet.data.dataset import Originals, share_splits, shared_splits
from glyphnet.errors import DataError
from glyphnet.explain import explain_image
from glyphnet.export import export
from glyphnet.images import Batch, read_image, seen
from glyphnet.nn.scoring import NearestPrototype
from glyphnet.onnxmodel import load_onnx

from .browsing import wait_until

SHAPES = {  # strokes, in shares of the glyph's box
    "seven": [(0, 0), (1, 0), (0.3, 1)],
    "corner": [(0, 0), (0, 1), (1, 1)],
    "hook": [(0, 1), (1, 1), (1, 0), (0.4, 0)],
}
TRAIN, TEST = 30, 6  # of each class


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLYPHNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def drawing(shape: str, number: int) -> Image.Image:
    """A glyph on white paper, at a place and of a size that differ: 44 × 36 pixels."""
    generator = np.random.default_rng([list(SHAPES).index(shape), number])
    side = generator.uniform(16, 24)
    left, top = generator.uniform(4, 40 - side), generator.uniform(4, 32 - side)
    points = [(4 * (left + side * x), 4 * (top + side * y)) for x, y in SHAPES[shape]]
    sheet = Image.new("L", (4 * 44, 4 * 36), 245)
    ImageDraw.Draw(sheet).line(points, fill=int(generator.integers(10, 60)), width=12, joint="curve")
    return sheet.resize((44, 36), Image.Resampling.BOX)


@pytest.fixture(scope="module")
def pictures() -> dict[str, list[tuple[str, Image.Image]]]:
    """Part → class and picture."""
    numbers = {"train": range(TRAIN), "test": range(TRAIN, TRAIN + TEST)}
    return {part: [(shape, drawing(shape, n)) for shape in SHAPES for n in span] for part, span in numbers.items()}


def write_folder(root: Path, pictures: Any, suffix: str = ".png", **how: Any) -> Path:
    for part, rows in pictures.items():
        for number, (shape, picture) in enumerate(rows):
            (root / part / shape).mkdir(parents=True, exist_ok=True)
            picture.save(root / part / shape / f"{number:02d}{suffix}", **how)
    return root


def write_table(root: Path, pictures: Any) -> Path:
    """Paths in a CSV file."""
    write_folder(root, pictures)
    files = sorted(root.rglob("*.png"))
    lines = [f"{file.relative_to(root)},{file.parent.name},{file.parent.parent.name}" for file in files]
    (root / "metadata.csv").write_text("\n".join(["file_name,label,split", *lines]) + "\n")
    return root


def arrays(pictures: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    classes = sorted(SHAPES)
    return {
        part: (np.stack([np.asarray(picture) for _, picture in rows]), np.array([classes.index(s) for s, _ in rows]))
        for part, rows in pictures.items()
    }


def write_idx(root: Path, pictures: Any) -> Path:
    root.mkdir()
    for part, (images, labels) in arrays(pictures).items():
        stem = {"train": "train", "test": "t10k"}[part]
        head = struct.pack(">4I", 0x0803, *images.shape)
        (root / f"{stem}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (root / f"{stem}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 0x0801, len(labels)) + labels.astype(np.uint8).tobytes()
        )
    return root


def write_npz(root: Path, pictures: Any) -> Path:
    root.mkdir()
    parts = arrays(pictures)
    values = {f"{name}_{part}": each for part, pair in parts.items() for name, each in zip("xy", pair, strict=True)}
    np.savez(root / "glyphs.npz", **values)
    return root / "glyphs.npz"


SOURCES: dict[str, Callable[[Path, Any], Path]] = {
    "png": write_folder,
    "jpeg": lambda root, pictures: write_folder(root, pictures, ".jpg", quality=90),
    "table": write_table,
    "idx": write_idx,
    "npz": write_npz,
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, pictures: Any) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sources")
    return {name: write(root / name, pictures) for name, write in SOURCES.items()}


@pytest.fixture(scope="module")
def trained(sources: dict[str, Path]) -> Classifier:
    """The preset "fast" with a small network, trained on the pictures resized to 16 × 20 pixels."""
    splits = glyphnet.load(sources["png"], size=(16, 20))
    changes = {"network": {"kind": "mlp", "hidden": [48]}, "epochs": 25}
    found = glyphnet.train(splits, preset="fast", changes=changes, device="cpu").classifier
    assert found is not None
    return replace(found, recipe={})  # its data are not divided again


@pytest.fixture(scope="module", params=[True, False], ids=["normalised", "as they are"])
def model(request: pytest.FixtureRequest, trained: Classifier) -> Classifier:
    """The model with each of the two decisions, whatever the training decided."""
    return replace(trained, normalize=request.param)


def judged(model: Classifier, source: Path) -> tuple[ImageDataset, list[str]]:
    """The test part of some data, as arrays of numbered classes where there are no names, and the labels judged."""
    splits = glyphnet.load(source, size=model.input_shape[:2], color="grey")
    test = replace(splits.test, classes=model.classes)
    assert len(test) == TEST * len(SHAPES)
    return test, [model.classes[label] for label in glyphnet.evaluate(model, test).predictions]


def by_command(model: Path, paths: list[str], *options: str, of: str = "label") -> list[str]:
    """The labels, or something else, that ``glyphnet predict`` gives."""
    result = CliRunner().invoke(app, ["predict", "--json", *options, str(model), *paths])
    return [row[of] for row in json.loads(result.stdout)["predictions"]]


def originals(test: ImageDataset) -> list[Any]:
    assert test.originals is not None
    return [test.originals.read(name) for name in test.names]


@pytest.mark.parametrize("source", SOURCES)
def test_evaluation_and_prediction_agree_on_every_source(
    model: Classifier, sources: dict[str, Path], source: str, tmp_path: Path
) -> None:
    test, labels = judged(model, sources[source])
    given = originals(test)
    assert np.mean([label == model.classes[truth] for label, truth in zip(labels, test.labels, strict=True)]) > 0.5
    assert model.predict(given) == labels
    assert model.predict(test) == labels
    assert model.predict([np.asarray(picture) for picture in given]) == labels, "arrays and pictures of equal pixels"
    export(model, tmp_path / "m.onnx")
    assert load_onnx(tmp_path / "m.onnx").predict(given) == labels
    judge = glyphnet.evaluate(model, test)
    for answers in (model.answer(given), load_onnx(tmp_path / "m.onnx").answer(given)):
        np.testing.assert_allclose(answers.foreign, judge.foreign, atol=1e-4)
        assert answers.reasons == judge.reasons
    assert [explain_image(model, picture).probabilities.argmax() for picture in given[:3]] == [
        model.classes.index(label) for label in labels[:3]
    ]
    if source in ("png", "jpeg", "table"):
        files = [str(sources[source] / name) for name in test.names]
        files = [file if Path(file).is_file() else str(sources[source].parent / file) for file in files]
        assert model.predict(files) == labels
        assert model.predict([Path(file).read_bytes() for file in files]) == labels
        model.save(tmp_path / "m.safetensors")
        assert by_command(tmp_path / "m.safetensors", files) == labels


def test_the_two_decisions_differ_here(trained: Classifier, sources: dict[str, Path]) -> None:
    """Else the tests above would show nothing."""
    test, _ = judged(trained, sources["png"])
    answers = [trained.predict_proba(test, as_is=as_is) for as_is in (True, False)]
    assert np.abs(answers[0] - answers[1]).max() > 0.05
    np.testing.assert_array_equal(replace(trained, normalize=False).predict_proba(test), answers[0])
    np.testing.assert_array_equal(replace(trained, normalize=True).predict_proba(originals(test)), answers[1])


def test_a_picture_that_normalising_changes_is_scored_as_it_was_given_as_well(
    trained: Classifier, sources: dict[str, Path], tmp_path: Path
) -> None:
    model = replace(trained, normalize=True)
    test, _ = judged(model, sources["png"])
    once = replace(model, prototypes=replace(model.prototypes, twice=False))
    scores, plain = model.answer(test).foreign, once.answer(test).foreign
    assert "no second score for pictures that normalising changes" in once.lacking
    assert "second score" not in model.lacking + replace(once, normalize=False).lacking
    given = np.stack([read_image(picture, model).given for picture in originals(test)])
    features = torch.from_numpy(model.compared(Batch.as_seen(given)))
    distances = NearestPrototype(model.prototypes)(features)[:, 0].numpy()
    np.testing.assert_allclose(scores, (plain + distances) / 2, atol=1e-5)
    assert np.abs(scores - plain).max() > 0.01
    export(once, tmp_path / "once.onnx")
    exported = load_onnx(tmp_path / "once.onnx")
    assert "no second score" in exported.lacking
    np.testing.assert_allclose(exported.answer(test).foreign, plain, atol=1e-4)
    np.testing.assert_array_equal(model.answer(test, as_is=True).foreign, once.answer(test, as_is=True).foreign)


def test_resized_whole_gives_the_pixels_that_were_loaded(trained: Classifier, sources: dict[str, Path]) -> None:
    test, _ = judged(trained, sources["jpeg"])
    np.testing.assert_array_equal(
        trained.predict_proba(originals(test), as_is=True), trained.predict_proba(test.images, as_is=True)
    )


def test_the_command_line(model: Classifier, sources: dict[str, Path], tmp_path: Path) -> None:
    test, labels = judged(model, sources["png"])
    model = replace(model, foreign_threshold=float(np.median(model.answer(test).foreign)) + 1e-4)
    model.save(tmp_path / "m.safetensors")
    export(model, tmp_path / "m.onnx")
    files = [str(sources["png"] / name) for name in test.names]
    for file in ("m.safetensors", "m.onnx"):
        assert by_command(tmp_path / file, files) == labels
        assert by_command(tmp_path / file, files, of="reason") == model.answer(test).reasons
    assert by_command(tmp_path / "m.safetensors", files, "--as-is") == model.predict(test, as_is=True)


def test_a_parquet_table_of_bytes(model: Classifier, sources: dict[str, Path], tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    test, labels = judged(model, sources["png"])
    content = [{"bytes": (sources["png"] / name).read_bytes(), "path": name} for name in test.names]
    parquet.write_table(pyarrow.table({"image": content}), tmp_path / "glyphs.parquet")
    model.save(tmp_path / "m.safetensors")
    assert by_command(tmp_path / "m.safetensors", [str(tmp_path / "glyphs.parquet")]) == labels


def test_the_service(model: Classifier, sources: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from glyphnet.serving import load

    from .serving.conftest import multipart, service

    test, labels = judged(model, sources["png"])
    model.save(tmp_path / "m.safetensors")
    given = [(sources["png"] / name).read_bytes() for name in test.names]
    pixels = json.dumps({"images": test.images.tolist()}).encode()
    with service(load(tmp_path / "m.safetensors")) as client:

        def answered(body: bytes, kind: str, query: str = "") -> list[str]:
            answer = client.predict(body, kind, query)
            assert answer.status == 200, answer.json
            return [row["label"] for row in answer.json["predictions"]]

        assert answered(*multipart(given)) == labels
        together = [row["foreign"] for row in client.predict(*multipart(given)).json["predictions"]]
        alone = [client.predict(each).json["predictions"][0]["foreign"] for each in given[:3]]
        np.testing.assert_allclose(together, model.answer(given).foreign, atol=1e-5)
        np.testing.assert_allclose(alone, together[:3], atol=1e-5)
        assert answered(*multipart(given), query="?as_is=true") == model.predict(test, as_is=True)
        assert answered(pixels, "application/json") == model.predict(test.images)
        assert client.predict(given[0], query="?as_is=maybe").json["error"]["code"] == "bad_parameter"


def test_the_page(model: Classifier, sources: dict[str, Path], open_page: Any, tmp_path: Path) -> None:
    """In a real browser, whose own decoder reads the files."""
    test, labels = judged(model, sources["png"])
    export(replace(model, threshold=None), tmp_path / "page.html")
    page = open_page(tmp_path / "page.html", ready="html[data-ready]").page
    found, scores = [], []
    for name in test.names:
        before = page.evaluate("glyphnet.pixels().join()")
        page.set_input_files("#file", sources["png"] / name)
        wait_until(page, f"() => glyphnet.pixels().join() !== {json.dumps(before)}")
        pixels = page.evaluate("Array.from(glyphnet.pixels())")
        seen = explain_image(model, sources["png"] / name).image.ravel().astype(int)
        assert np.abs(seen - np.array(pixels)).max() <= 2
        answer = page.evaluate("Array.from(glyphnet.classify(glyphnet.pixels()))")
        found.append(model.classes[int(np.argmax(answer))])
        scores.append(page.evaluate("glyphnet.shown().foreign"))
    assert found == labels
    np.testing.assert_allclose(scores, glyphnet.evaluate(model, test).foreign, atol=1e-3)


def test_what_is_kept_in_the_cache_is_what_was_made(
    trained: Classifier, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = replace(trained, normalize=True)
    test, _ = judged(model, sources["png"])
    made = seen(test, model)
    monkeypatch.setattr("glyphnet.images._CACHED", 1)
    for _ in range(2):  # written, and read again
        kept = seen(test, model)
        np.testing.assert_array_equal(kept.pixels, made.pixels)
        assert kept.reasons == made.reasons
        for ours, theirs in zip(kept.given, made.given, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert all(given is not None for given in made.given)


def test_splits_that_are_handed_to_another_process_keep_their_pictures(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    splits = glyphnet.load(sources["jpeg"], size=(16, 20))
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    share_splits(splits, first)
    taken = shared_splits(first).test
    for ours, theirs in zip(originals(splits.test), originals(taken), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    local = replace(splits, test=replace(splits.test, originals=Originals(lambda name: ours)))
    with pytest.raises(DataError, match="several processes at once.*at_once=1"):
        share_splits(local, second)


# --- models of before ---------------------------------------------------------------------------------------

OLD = Path(__file__).parent / "models"


def test_a_model_of_version_1_answers_as_it_did() -> None:
    """The file and its answers were written by GlyphNet 0.1, whose files do not say whether pictures are normalised."""
    model = glyphnet.load_model(OLD / "digits-version-1.safetensors")
    assert model.normalize is None
    images = glyphnet.load("digits").test.images[::12]
    expected = np.load(OLD / "digits-version-1-expected.npy")
    np.testing.assert_allclose(model.predict_proba(images), expected, atol=1e-6)
    buffer = io.BytesIO()
    Image.fromarray(np.pad(255 - np.asarray(images[0, ..., 0]), 4, constant_values=255)).save(buffer, "PNG")
    drawn = model.predict_proba(buffer.getvalue())
    np.testing.assert_array_equal(drawn, model.predict_proba(buffer.getvalue(), as_is=False))
    assert np.abs(drawn - model.predict_proba(buffer.getvalue(), as_is=True)).max() > 0.01
