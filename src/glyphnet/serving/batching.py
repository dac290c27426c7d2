"""One thread that runs the model, and the queue before it: what waits together is answered as one batch."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import NamedTuple

from ..answers import Answers
from ..images import Batch, default_batch_size
from ..predictor import Predictor
from .refusals import Refusal


class _Asked(NamedTuple):
    batch: Batch
    answer: asyncio.Future[Answers]


class Batcher:
    """Answers images in the order in which they come, as many at once as there are.

    While the model computes one batch the next gathers: nobody waits for others to come, and the more there is to
    do the larger, and the cheaper for each image, the batches become.

    Args:
        predictor: what answers; only the one thread touches it.
        most: images that may wait or be in work.
        threads: that the model may use for a batch.
        on_batch: called in the thread with the number of images of each batch.
    """

    def __init__(self, predictor: Predictor, most: int, threads: int, on_batch: Callable[[int], None]) -> None:
        self.admitted = 0
        self._predictor = predictor
        self._most = most
        self._threads = threads
        self._on_batch = on_batch
        self._largest = default_batch_size(predictor.input_shape)
        self._inbox: SimpleQueue[_Asked | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="glyphnet-model", daemon=True)
        self._thread.start()

    def check_room(self, images: int) -> None:
        """Raises:
        Refusal: queue_full.
        """
        if self.admitted + images > self._most:
            raise Refusal(
                "queue_full",
                f"{self.admitted} images wait already, and {self._most} is the limit.",
                "Ask again in a second, with longer pauses each time.",
            )

    @contextmanager
    def admit(self, images: int) -> Iterator[None]:
        """Room for images, from before they are decoded until they are answered; on the event loop only.

        Raises:
            Refusal: queue_full.
        """
        self.check_room(images)
        self.admitted += images
        try:
            yield
        finally:
            self.admitted -= images

    async def answers(self, batch: Batch) -> Answers:
        """What the model says of images."""
        answer: asyncio.Future[Answers] = self._loop.create_future()
        self._inbox.put(_Asked(batch, answer))
        return await answer

    def works(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread, after what is in the queue."""
        self._inbox.put(None)
        self._thread.join(timeout=5)

    def _work(self) -> None:
        if (torch := sys.modules.get("torch")) is not None:  # an .onnx is run without it
            torch.set_num_threads(self._threads)
        left: _Asked | None = None
        while (first := left or self._inbox.get()) is not None:
            batch, left, last = self._gather(first)
            self._answer(batch)
            if last:
                return

    def _gather(self, first: _Asked) -> tuple[list[_Asked], _Asked | None, bool]:
        """What waits now and fits into one batch, the request that did not fit, and whether the end has come."""
        batch, count = [first], len(first.batch.pixels)
        while count < self._largest:
            try:
                asked = self._inbox.get_nowait()
            except Empty:
                break
            if asked is None:
                return batch, None, True
            if count + len(asked.batch.pixels) > self._largest:
                return batch, asked, False
            batch.append(asked)
            count += len(asked.batch.pixels)
        return batch, None, False

    def _answer(self, batch: list[_Asked]) -> None:
        together = batch[0].batch if len(batch) == 1 else Batch.joined([asked.batch for asked in batch])
        try:
            answers: Answers | Exception = self._predictor.answer(together)
        except Exception as error:  # told to whoever waits: they must not wait for ever
            answers = error
        self._on_batch(len(together.pixels))
        self._loop.call_soon_threadsafe(_deliver, batch, answers)


def _deliver(batch: list[_Asked], answers: Answers | Exception) -> None:
    start = 0
    for asked in batch:
        end = start + len(asked.batch.pixels)
        if not asked.answer.done():  # whoever asked may have gone
            if isinstance(answers, Exception):
                asked.answer.set_exception(answers)
            else:
                asked.answer.set_result(answers[start:end])
        start = end
