"""The queue before the model: room for as many as its limit says, and nothing mixed up."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from PIL import Image

from glyphnet import images
from glyphnet.answers import Answers
from glyphnet.data.values import STANDARD
from glyphnet.images import Batch
from glyphnet.serving.api import APIError
from glyphnet.serving.service import Batcher

from .conftest import in_thread


class Echo:
    """Answers with the pixels themselves, slowly, and remembers what it was asked together."""

    input_shape, classes, threshold, ink, normalize = (1, 2, 1), ("a", "b"), None, None, False
    reading = STANDARD

    def __init__(self):
        self.batches: list[int] = []

    def answer(self, images):
        pixels = images.pixels
        self.batches.append(len(pixels))
        time.sleep(0.05)
        given = np.array([-1.0 if each is None else each.mean() for each in images.given], np.float32)
        return Answers(pixels.reshape(len(pixels), 2).astype(np.float32), given, images.reasons, self.classes)


def test_what_waits_together_is_one_batch_and_each_gets_its_own():
    model = Echo()

    async def ask() -> list[Answers]:
        batcher = Batcher(model, 100, 1, lambda images: None)
        counts = [n % 3 + 1 for n in range(40)]
        reasons = [["no_drawing" if n == 7 else None] * count for n, count in enumerate(counts)]
        given = [np.full((count, 1, 2, 1), n, np.uint8) for n, count in enumerate(counts)]
        asked = [
            Batch(pixels, why, [*pixels] if n % 2 else [None] * len(pixels))
            for n, (pixels, why) in enumerate(zip(given, reasons, strict=True))
        ]
        answers = await asyncio.gather(*map(batcher.answers, asked))
        batcher.stop()
        assert not batcher.works()
        return answers

    answers = in_thread(ask)
    for n, answer in enumerate(answers):
        assert answer.probabilities.shape == (n % 3 + 1, 2)
        assert (answer.probabilities == n).all(), n
        assert (answer.foreign == (n if n % 2 else -1)).all(), n
        assert answer.reasons == ["no_drawing" if n == 7 else None] * (n % 3 + 1)
    assert len(model.batches) <= 4, model.batches
    assert sum(model.batches) == sum(n % 3 + 1 for n in range(40))


def test_a_picture_that_cannot_be_normalised_fails_alone(monkeypatch):
    normalize = images.normalize_picture

    def fail(picture, *rest, **options):
        if np.asarray(picture).max() == 3:
            raise ValueError("three")
        return normalize(picture, *rest, **options)

    monkeypatch.setattr(images, "normalize_picture", fail)

    async def ask() -> list[Answers | BaseException]:
        batcher = Batcher(Echo(), 100, 1, lambda images: None)
        pictures = [Image.fromarray(np.full((1, 2), n, np.uint8)) for n in range(6)]
        asked = [Batch.as_seen(np.full((2, 1, 2, 1), 9, np.uint8)), *pictures]
        answers = await asyncio.gather(*map(batcher.answers, asked), return_exceptions=True)
        batcher.stop()
        return answers

    [batch, *answers] = in_thread(ask)
    assert (batch.probabilities == 9).all()
    for n, answer in enumerate(answers):
        if n == 3:
            assert str(answer) == "three"
        else:
            assert answer.probabilities.tolist() == [[n, n]]


def test_images_that_cannot_be_joined_are_answered_with_the_error_and_the_next_ones_as_usual():
    async def ask() -> list[Answers | BaseException]:
        batcher = Batcher(Echo(), 100, 1, lambda images: None)
        asked = [Batch.as_seen(np.zeros((1, 1, width, 1), np.uint8)) for width in (2, 3)]
        failed = await asyncio.gather(*map(batcher.answers, asked), return_exceptions=True)
        answer = await batcher.answers(asked[0])
        batcher.stop()
        return [*failed, answer]

    [*failed, answer] = in_thread(ask)
    assert all("dimensions" in str(each) for each in failed)
    assert answer.probabilities.tolist() == [[0, 0]]


def test_room_is_given_back():
    async def ask() -> None:
        batcher = Batcher(Echo(), 2, 1, lambda images: None)
        with batcher.admit(2):
            with pytest.raises(APIError, match="The queue is full: 2 of 2 images are waiting"), batcher.admit(1):
                pass
            assert batcher.admitted == 2
        assert batcher.admitted == 0
        batcher.stop()

    in_thread(ask)
