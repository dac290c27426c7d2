"""What the service answers: as the model does, to each its own, in whatever form it is asked."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from glyphnet.answers import Rules
from glyphnet.data.values import STANDARD
from glyphnet.errors import BadFileError

from .conftest import CLASSES, images, multipart, png


def expected(classifier, pixels):
    return classifier.predict_proba(pixels)


def told(prediction) -> np.ndarray:
    """The probabilities of a prediction in the order of the classes."""
    by_name = {each["label"]: each["probability"] for each in prediction["probabilities"]}
    return np.array([by_name[name] for name in CLASSES])


def test_a_picture_is_answered_as_by_the_model(client, classifier, model_file):
    pixels = images(1)
    answer = client.predict(png(pixels[0]))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["model"] == hashlib.sha256(model_file.read_bytes()).hexdigest()
    [prediction] = answer.json["predictions"]
    [probabilities] = expected(classifier, pixels)
    assert np.abs(told(prediction) - probabilities).max() < 1e-6
    assert prediction["label"] == CLASSES[probabilities.argmax()]
    assert prediction["probability"] == pytest.approx(probabilities.max(), abs=1e-6)
    values = [each["probability"] for each in prediction["probabilities"]]
    assert values == sorted(values, reverse=True)


def test_every_form_of_asking_gives_the_same(client, classifier):
    pixels = images(3)
    pictures = [png(each) for each in pixels]
    forms = [
        client.predict(*multipart(pictures)),
        client.predict(json.dumps({"images": pixels.tolist()}).encode(), "application/json"),
        client.predict(json.dumps({"images": pixels[..., 0].tolist()}).encode(), "application/json; charset=utf-8"),
    ]
    singles = [client.predict(picture, "application/octet-stream").json["predictions"][0] for picture in pictures]
    for form in forms:
        assert form.status == 200, form.body
        assert form.json["predictions"] == singles
    assert np.abs(np.array([told(each) for each in singles]) - expected(classifier, pixels)).max() < 1e-6


def test_topk_and_rejection(client, classifier):
    pixels = images(40, seed=1)
    answer = client.predict(*multipart([png(each) for each in pixels]), query="?topk=2").json
    assert [len(each["probabilities"]) for each in answer["predictions"]] == [2] * 40
    rejected = [each["rejected"] for each in answer["predictions"]]
    answers = classifier.answer(pixels)
    assert [each["reason"] for each in answer["predictions"]] == answers.reasons
    assert rejected == [reason is not None for reason in answers.reasons]
    np.testing.assert_allclose([each["foreign"] for each in answer["predictions"]], answers.foreign, atol=1e-5)
    assert 0 < sum(rejected) < 40, "the images must include both kinds"
    assert client.predict(png(pixels[0]), query="?topk=99").json["predictions"][0]["probabilities"][4:], "all classes"


@pytest.mark.parametrize("topk", ["0", "-1", "x", "", "1.5", "65537", "9999999999", "٣"])
def test_wrong_topk(client, topk):
    from urllib.parse import quote

    answer = client.predict(png(images(1)[0]), query=f"?topk={quote(topk)}")
    assert (answer.status, answer.code) == (422, "bad_parameter")
    assert answer.json["error"]["message"] == "The parameter topk must be a whole number from 1 to 65,536."


def test_large_pictures_are_made_like_the_model_does(client, classifier):
    large = np.random.default_rng(5).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(large).save(file, "JPEG")
    [prediction] = client.predict(file.getvalue(), "image/jpeg").json["predictions"]
    assert np.abs(told(prediction) - expected(classifier, file.getvalue())[0]).max() < 1e-6


def test_200_at_once_each_get_their_own_answer(client, classifier):
    """Over 200 connections at the same time: answers mixed up in a batch would be found here."""
    pixels = images(200, seed=2)
    probabilities = expected(classifier, pixels)
    assert len(np.unique(probabilities.round(5), axis=0)) == 200, "the images must be distinguishable"
    batches = client.figure("glyphnet_batch_images_count")
    connections = [http.client.HTTPConnection("127.0.0.1", client.port, timeout=30) for _ in pixels]
    for connection, each in zip(connections, pixels, strict=True):
        connection.request("POST", "/predict", png(each), {"Content-Type": "image/png"})

    def heard(connection):
        answer = client.answer_of(connection.getresponse())
        connection.close()
        return answer

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(heard, connections))
    assert {answer.status for answer in answers} == {200}
    found = np.array([told(answer.json["predictions"][0]) for answer in answers])
    assert np.abs(found - probabilities).max() < 1e-6
    assert client.figure("glyphnet_batch_images_count") - batches < 200, "what waits together is computed together"


def test_a_burst_of_200_at_load_is_answered_200_times(client):
    picture = png(images(1)[0])
    over = threading.Event()

    def keep_asking():
        while not over.is_set():
            assert client.predict(picture).status == 200

    with ThreadPoolExecutor(8) as load:
        asking = [load.submit(keep_asking) for _ in range(8)]
        time.sleep(0.3)
        for _ in range(2):
            connections = [http.client.HTTPConnection("127.0.0.1", client.port, timeout=30) for _ in range(200)]
            for connection in connections:
                connection.request("POST", "/predict", picture, {"Content-Type": "image/png"})
            assert {client.answer_of(connection.getresponse()).status for connection in connections} == {200}
            for connection in connections:
                connection.close()
        over.set()
        assert all(each.result() is None for each in asking)


def test_tga_is_known_by_its_type_or_its_name(client, classifier):
    file = io.BytesIO()
    Image.fromarray(images(1)[0, :, :, 0]).save(file, "TGA")
    label = CLASSES[classifier.predict_labels(images(1))[0]]
    body = b'--xyz\r\nContent-Disposition: form-data; name="image"; filename="A.TGA"\r\n\r\n%s\r\n--xyz--\r\n'
    for answer in (
        client.predict(file.getvalue(), "image/x-tga"),
        client.predict(body % file.getvalue(), "multipart/form-data; boundary=xyz"),
    ):
        assert answer.json["predictions"][0]["label"] == label, answer.body
    assert client.predict(file.getvalue(), "image/png").status == 422


def test_the_card_tells_no_path(client, classifier, model_file):
    card = client.get("/model").json
    assert card["id"] == hashlib.sha256(model_file.read_bytes()).hexdigest()
    assert card["classes"] == list(CLASSES)
    assert (card["input"]["height"], card["input"]["width"], card["input"]["channels"]) == (8, 8, 1)
    assert card["threshold"] == 0.5
    assert card["network"] == "mlp"
    assert card["accuracy"] == {"value": 0.5, "interval": [0.4, 0.6], "n": 99, "judged_on": "scans, test part"}
    assert card["provenance"]["data"] == "scans"
    assert "secret" not in client.get("/model").body.decode()


def test_an_onnx_file_is_served_alike(serve, classifier, tmp_path):
    pytest.importorskip("onnxruntime")
    from glyphnet.export import export
    from glyphnet.serving import load

    sound = replace(classifier, classes=("a", "b", "c", "d", "e"))
    export(sound, tmp_path / "model.onnx")
    pixels = images(5)
    with serve(model=load(tmp_path / "model.onnx")) as client:
        answer = client.predict(*multipart([png(each) for each in pixels])).json
        card = client.get("/model").json
        page = client.get("/").body.decode()
    labels = [sound.classes[label] for label in sound.predict_labels(pixels)]
    assert [each["label"] for each in answer["predictions"]] == labels
    assert (card["network"], card["accuracy"]["n"], card["provenance"]["data"]) == ("mlp", 99, "scans")
    assert "model.onnx" in page


def test_a_model_that_fails_is_a_500_that_tells_nothing(serve, loaded, caplog):
    class Broken:
        input_shape, classes, threshold, ink, normalize = (8, 8, 1), CLASSES, None, None, False
        reading = STANDARD

        rules = Rules()

        def answer(self, images):
            raise RuntimeError("/home/ann/secret")

    with serve(model=replace(loaded, predictor=Broken())) as client:
        answer = client.predict(png(images(1)[0]))
        assert client.get("/healthz").status == 200
    assert (answer.status, answer.code) == (500, "internal")
    assert "ann" not in answer.body.decode()
    assert "/home/ann/secret" in caplog.text, "whoever runs the service is told"


def test_figures(client):
    before = client.figure("glyphnet_requests_total")
    client.predict(png(images(1)[0]))
    client.get("/nowhere/at/all")
    text = client.get("/metrics").body.decode()
    assert client.figure("glyphnet_requests_total") >= before + 3
    assert 'path="other",status="404"' in text
    assert "nowhere" not in text, "whoever asks for many paths must not fill the memory"
    assert client.figure("glyphnet_queued_images") == 0
    assert client.figure("process_resident_memory_bytes") > 1e6


def test_a_plain_picture_is_decoded_in_another_process_and_gives_the_same_pixels(loaded, monkeypatch):
    """In threads, pictures would wait for each other: finding a drawing holds the interpreter."""
    import asyncio

    from glyphnet.images import read_image
    from glyphnet.serving import Limits, decoding
    from glyphnet.serving.bodies import Picture

    picture = png(np.random.default_rng(1).integers(0, 256, (200, 180, 1), dtype=np.uint8))
    here = read_image(picture, loaded.predictor)
    monkeypatch.setattr(decoding, "normalized", None)  # in this process

    async def decoded():
        decoder = decoding.Decoder(loaded.predictor, Limits(decoders=1), cores=1)
        try:
            return await decoder.images([Picture(picture)])
        finally:
            decoder.close()

    # In a thread of its own: a browser driven by another test may have left an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        batch = thread.submit(asyncio.run, decoded()).result()
    np.testing.assert_array_equal(batch.pixels[0], here.pixels)


def test_a_worker_starts_no_further_process_for_a_picture_that_is_not_plain(loaded, monkeypatch):
    """It did for every GIF, TIFF and WebP: a new interpreter each, half of the time that a picture may take."""
    from glyphnet.data import decode
    from glyphnet.images import read_image
    from glyphnet.serving import decoding

    file = io.BytesIO()
    Image.fromarray(images(1)[0][..., 0]).save(file, "GIF")
    picture, reader = file.getvalue(), decoding._packed_reader(loaded.predictor)
    expected = read_image(picture, loaded.predictor)
    monkeypatch.setattr(decode, "in_worker", None)
    asked = {"reader": reader, "pictures": [[len(picture), "", None]], "most_pixels": 10**6, "name": "image"}
    told, body = decoding.answer_parent(asked, picture)
    assert told == {"pictures": [{"reason": expected.reason, "has_given": expected.given is not None}]}
    assert body.startswith(expected.pixels.tobytes())


@pytest.mark.parametrize("crashes", [False, True])
def test_pictures_that_a_process_decodes_together_do_not_touch_each_other(loaded, monkeypatch, crashes):
    import asyncio

    from glyphnet.images import read_image
    from glyphnet.serving import Limits, decoding
    from glyphnet.serving.bodies import Picture

    rng = np.random.default_rng(2)
    pictures = [png(rng.integers(0, 256, (200 + 9 * n, 180, 1), dtype=np.uint8)) for n in range(9)]
    damaged = pictures[4][:-3000] + bytes(3000)
    together, ask = [], decoding.ask

    def counted(workers, request, content, *rest):
        together.append(len(request["pictures"]))
        if crashes and together[-1] > 1:
            raise BadFileError("image", "cannot be decoded: the decoder crashed on it", "Save it smaller.")
        return ask(workers, request, content, *rest)

    monkeypatch.setattr(decoding, "ask", counted)

    async def decoded():
        decoder = decoding.Decoder(loaded.predictor, Limits(decoders=1), cores=1)
        sent = [Picture(damaged if n == 4 else picture) for n, picture in enumerate(pictures)]
        try:
            return await asyncio.gather(*(decoder.images([one]) for one in sent), return_exceptions=True)
        finally:
            decoder.close()

    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(asyncio.run, decoded()).result()
    assert max(together) > 1
    for n, (batch, picture) in enumerate(zip(made, pictures, strict=True)):
        if n == 4:
            assert str(batch).startswith("Image 1: damaged"), batch
        else:
            np.testing.assert_array_equal(batch.pixels[0], read_image(picture, loaded.predictor).pixels, str(n))
