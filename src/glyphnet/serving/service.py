"""The service: from a request's body to its answer, the thread that runs the model, and the answer of ``/model``."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
from starlette.requests import Request

from ..answers import Answers, Predictor
from ..errors import ModelFileError, SettingsError
from ..files import open_input
from ..images import Batch, Opened, normalized_together, normalizing_spec
from ..processes import usable_cores
from ..settings import default_batch_size
from ..units import without_folders
from .api import JSON, APIError
from .bodies import Bodies, contents_of
from .decoding import Decoder
from .limits import Limits
from .metrics import Metrics

_JUDGED = ("accuracy", "interval", "n", "judged_on")


def model_id(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a model file's content, in hexadecimal.

    Raises:
        ModelFileError: it cannot be read.
    """
    try:
        with open_input(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}.") from None


def about_model(predictor: Predictor, identity: str) -> dict[str, Any]:
    """The answer of ``/model``: plain JSON values, as `api.ModelCard` describes them."""
    height, width, channels = predictor.input_shape
    origin, metrics, network = _told(predictor)
    rules = predictor.rules
    return {
        "id": identity,
        "classes": list(predictor.classes),
        "input": {
            "height": height,
            "width": width,
            "channels": channels,
            "dtype": "uint8",
            "colours": "grey, 0 black to 255 white" if channels == 1 else "red, green, blue",
            "pictures": "made like the training images" if normalizing_spec(predictor) else "resized, proportions kept",
        },
        "threshold": rules.confidence,
        "foreign_threshold": rules.foreign,
        "highest_level": None if rules.conformal is None else rules.conformal.highest_level,
        "network": network,
        "accuracy": _accuracy(metrics),
        "provenance": {
            "data": without_folders(str(origin.get("data", ""))),
            "fingerprint": str(origin.get("fingerprint", "")),
            "created": str(origin.get("created", "")),
            "versions": {str(name): str(version) for name, version in dict(origin.get("versions", {})).items()},
        },
    }


def _told(predictor: Any) -> tuple[Mapping[str, Any], Mapping[str, Any], str]:
    """Provenance, metrics and kind of network, from a `Classifier` or from what an ONNX file tells."""
    told = getattr(predictor, "about", None)
    if told is None:
        return predictor.provenance.model_dump(mode="json"), predictor.metrics, predictor.spec.kind
    parts = (told.get(key) for key in ("provenance", "metrics", "network"))
    origin, metrics, network = (part if isinstance(part, Mapping) else {} for part in parts)
    return origin, metrics, str(network.get("kind", ""))


def _accuracy(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The accuracy with what it was measured on; None where the model was never judged."""
    if not set(_JUDGED) <= metrics.keys():
        return None
    low, high = metrics["interval"]
    return {
        "value": float(metrics["accuracy"]),
        "interval": [float(low), float(high)],
        "n": int(metrics["n"]),
        "judged_on": without_folders(str(metrics["judged_on"])),
    }


class _Asked(NamedTuple):
    images: Batch | Opened
    answer: asyncio.Future[Answers]

    @property
    def size(self) -> int:
        return len(self.images.pixels) if isinstance(self.images, Batch) else 1


MOST_OPENED = 32
"""Pictures still to be normalised that a batch takes: meanwhile the event loop does nothing else."""


class Batcher:
    """Answers images in the order of arrival; all that wait are one batch.

    While the model computes one batch the next gathers: nobody waits for others to come, and the more there is to
    do the larger, and the cheaper for each image, the batches become.

    Args:
        predictor: what answers; only the one thread computes with it.
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
        self._waiting: deque[_Asked] = deque()
        self._is_busy = False
        self._inbox: SimpleQueue[tuple[list[_Asked], list[Batch | Exception]] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="glyphnet-model", daemon=True)
        self._thread.start()

    def check_capacity(self, images: int) -> None:
        """Check that so many more images fit into the queue.

        Raises:
            APIError: queue_full.
        """
        if self.admitted + images > self._most:
            raise APIError(
                "queue_full",
                f"The queue is full: {self.admitted} of {self._most} images are waiting.",
                "Retry in a second, with longer pauses each time.",
            )

    @contextmanager
    def admit(self, images: int) -> Iterator[None]:
        """Room for images, from before they are decoded until they are answered; on the event loop only.

        Raises:
            APIError: queue_full.
        """
        self.check_capacity(images)
        self.admitted += images
        try:
            yield
        finally:
            self.admitted -= images

    async def answers(self, images: Batch | Opened) -> Answers:
        """What the model says of images, or of one picture that is still to be normalised."""
        answer: asyncio.Future[Answers] = self._loop.create_future()
        self._waiting.append(_Asked(images, answer))
        self._begin_soon()
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
        while (work := self._inbox.get()) is not None:
            self._answer(*work)

    def _begin_soon(self) -> None:
        """Begin a batch, once all that can be read from clients at this moment is read."""
        if self._waiting and not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Normalise a batch here: in the thread each of its many short steps would wait for the interpreter."""
        asked = self._gather()
        self._inbox.put((asked, _seen(asked, self._predictor)))

    def _gather(self) -> list[_Asked]:
        """What waits now and fits into one batch."""
        batch = [self._waiting.popleft()]
        count, opened = batch[0].size, 0
        while self._waiting and count + self._waiting[0].size <= self._largest and opened < MOST_OPENED:
            batch.append(self._waiting.popleft())
            count += batch[-1].size
            opened += not isinstance(batch[-1].images, Batch)
        return batch

    def _answer(self, asked: list[_Asked], seen: list[Batch | Exception]) -> None:
        sound = [each for each in seen if isinstance(each, Batch)]
        answers: Answers | Exception | None = None
        if sound:
            try:
                answers = self._predictor.answer(sound[0] if len(sound) == 1 else Batch.joined(sound))
            except Exception as error:  # every client gets it: none may wait for ever
                answers = error
            self._on_batch(sum(len(each.pixels) for each in sound))
        self._loop.call_soon_threadsafe(self._deliver, asked, seen, answers)

    def _deliver(self, asked: list[_Asked], seen: list[Batch | Exception], answers: Answers | Exception | None) -> None:
        start = 0
        for each, images in zip(asked, seen, strict=True):
            end = start + (each.size if isinstance(images, Batch) else 0)
            failed = images if isinstance(images, Exception) else answers
            if not each.answer.done():  # the client may have gone
                if isinstance(failed, Exception):
                    each.answer.set_exception(failed)
                elif failed is not None:
                    each.answer.set_result(failed[start:end])
            start = end
        self._is_busy = False
        self._begin_soon()


def _seen(asked: list[_Asked], model: Predictor) -> list[Batch | Exception]:
    """What the model sees of the images of each; what goes wrong with one picture concerns no other."""
    waiting = [each.images for each in asked if not isinstance(each.images, Batch)]
    try:
        made: Iterator[Batch | Exception] = iter(
            [Batch.of([image]) for image in normalized_together(waiting, model).singly()]
        )
    except Exception:
        made = (_normalized(image, model) for image in waiting)
    return [each.images if isinstance(each.images, Batch) else next(made) for each in asked]


def _normalized(image: Opened, model: Predictor) -> Batch | Exception:
    try:
        return normalized_together([image], model)
    except Exception as error:
        return error


MODEL_THREADS = 1
"""Of the model for a batch: small networks gain nothing from more, and the other cores serve and decode."""


@dataclass(frozen=True, eq=False)
class Model:
    """What is served.

    Attributes:
        name: of the file, without folders.
        identity: SHA-256 of its content.
        predictor: what answers.
        about: what ``/model`` answers.
        page: the page at ``/``, as UTF-8.
    """

    name: str
    identity: str
    predictor: Predictor
    about: dict[str, Any]
    page: bytes


START_SECONDS = 20.0
"""For which the start of the processes that decode is waited for, at most."""


class Service:
    """One model in service; made on the event loop that serves it.

    Attributes:
        stopping: whether no more requests should be sent: ``/readyz`` says so.
    """

    def __init__(self, model: Model, limits: Limits) -> None:
        self.model = model
        self.limits = limits
        self.metrics = Metrics()
        self.stopping = False
        predictor = model.predictor
        self.batcher = Batcher(predictor, limits.queue, MODEL_THREADS, self.metrics.batches.observe)
        self._decoder = Decoder(predictor, limits, cores=min(4, usable_cores()))
        self._bodies = Bodies(limits)
        self._answers = AnswerWriter(model)
        self.metrics.watch("glyphnet_queued_images", "Images that wait or are in work.", lambda: self.batcher.admitted)

    async def predict(self, request: Request, topk: int, *, as_is: bool = False, sets: float | None = None) -> bytes:
        """The answer for the images in a request, as JSON.

        Args:
            request: what was asked.
            topk: how many of the likeliest classes to tell.
            as_is: only resize the images.
            sets: the level, in percent, of sets to tell; None: none.

        Raises:
            APIError: the request goes beyond a limit or cannot be read.
        """
        level = None if sets is None else self._answers.check_level(sets)
        self.batcher.check_capacity(1)  # before any work: under an overload refusing has to be cheap
        limits = self.limits
        content_type = request.headers.get("content-type", "")
        is_json = content_type[: len(JSON)].lower() == JSON
        body = await self._bodies.read(
            request, min(limits.json_bytes, limits.body_bytes) if is_json else limits.body_bytes
        )
        contents = contents_of(body, content_type, self.model.predictor, limits.images)
        with self.batcher.admit(len(contents)):
            images = await self._decoder.images(contents, as_is or None)
            answers = await self.batcher.answers(images)
        answer, rejected = self._answers.write(answers, topk, level)
        if rejected:
            self.metrics.rejected.inc(rejected)
        return answer

    def wait(self) -> None:
        """Wait until pictures can be decoded: the time that one may take must not count the start of a process."""
        self._decoder.wait(START_SECONDS)

    def close(self) -> None:
        """End the threads."""
        self._decoder.close()
        self.batcher.stop()


class AnswerWriter:
    """Writes answers as JSON: by hand, for there are a thousand a second, all of one form."""

    def __init__(self, model: Model) -> None:
        self._names = [json.dumps(name) for name in model.predictor.classes]
        self._head = f'{{"model": "{model.identity}", "predictions": ['
        self._rules = model.predictor.rules

    def check_level(self, percent: float) -> float:
        """The level of sets at so many percent.

        Raises:
            APIError: the model gives no sets, or none at this level.
        """
        try:
            self._rules.need_conformal().limit(percent / 100)
        except SettingsError as error:
            raise APIError("bad_parameter", str(error)) from None
        return percent / 100

    def write(self, answers: Answers, topk: int, level: float | None = None) -> tuple[bytes, int]:
        """The answer in JSON, with sets at a level if asked, and how many images were rejected."""
        probabilities = answers.probabilities
        order = (-probabilities).argsort(axis=1, kind="stable")[:, :topk]
        count = len(answers)
        ranked = probabilities[np.arange(count)[:, np.newaxis], order]
        scores = [None] * count if answers.foreign is None else answers.foreign.tolist()
        sets: list[list[int] | None] = [None] * count
        if level is not None:
            sets = [*self._rules.need_conformal().labels(probabilities, level)]
        images = ", ".join(map(self._image, order.tolist(), ranked.tolist(), answers.reasons, scores, sets))
        return f"{self._head}{images}]}}".encode(), count - answers.reasons.count(None)

    def _image(
        self,
        labels: list[int],
        values: list[float],
        reason: str | None,
        foreign: float | None,
        inside: list[int] | None,
    ) -> str:
        pairs = [
            f'{{"label": {self._names[label]}, "probability": {value:.6f}}}'
            for label, value in zip(labels, values, strict=True)
        ]
        rejected, why = ("false", "null") if reason is None else ("true", f'"{reason}"')
        score = "null" if foreign is None else f"{foreign:.6f}"
        names = "" if inside is None else f', "set": [{", ".join(self._names[label] for label in inside)}]'
        return (
            f'{pairs[0][:-1]}, "rejected": {rejected}, "reason": {why}, "foreign": {score}{names}, '
            f'"probabilities": [{", ".join(pairs)}]}}'
        )
