"""The service itself: a request's way from its body to its answer."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.requests import Request

from ..predictor import Predictor
from .batching import Batcher
from .bodies import Bodies
from .contents import JSON, contents_of
from .decoding import Decoder
from .limits import Limits
from .metrics import Metrics
from .refusals import Refusal

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
        self.batcher = Batcher(predictor, limits.queue, MODEL_THREADS, self.metrics.batch)
        self._decoder = Decoder(predictor, limits.picture_pixels, threads=min(4, os.cpu_count() or 1))
        self._bodies = Bodies(limits)
        self._answers = Answers(model)
        self.metrics.watch("glyphnet_queued_images", "Images that wait or are in work.", lambda: self.batcher.admitted)

    async def predict(self, request: Request, topk: int, *, as_is: bool = False) -> bytes:
        """The answer for the images in a request, as JSON; ``as_is`` only resizes them.

        Raises:
            Refusal: the request goes beyond a limit or cannot be read.
        """
        self.batcher.check_room(1)  # before any work: under an overload refusing has to be cheap
        limits = self.limits
        content_type = request.headers.get("content-type", "")
        is_json = content_type[: len(JSON)].lower() == JSON
        body = await self._bodies.read(
            request, min(limits.json_bytes, limits.body_bytes) if is_json else limits.body_bytes
        )
        contents = contents_of(body, content_type, self.model.predictor, limits.images)
        with self.batcher.admit(len(contents)):
            pixels = await self._decoder.pixels(contents, as_is or None)
            probabilities = await self.batcher.probabilities(pixels)
        answer, rejected = self._answers.write(probabilities, topk)
        if rejected:
            self.metrics.rejected(rejected)
        return answer

    def check_ready(self) -> None:
        """Raises:
        Refusal: the service is being stopped.
        """
        if self.stopping:
            raise Refusal("stopping", "The service is being stopped.", "Ask another one.")

    def close(self) -> None:
        """End the threads."""
        self._decoder.close()
        self.batcher.stop()


class Answers:
    """Writes answers as JSON: by hand, for there are a thousand a second, all of one form."""

    def __init__(self, model: Model) -> None:
        self._names = [json.dumps(name) for name in model.predictor.classes]
        self._head = f'{{"model": "{model.identity}", "predictions": ['
        self._threshold = model.predictor.threshold or 0.0

    def write(self, probabilities: npt.NDArray[np.float32], topk: int) -> tuple[bytes, int]:
        """The answer for (N, K) probabilities, and how many images were rejected."""
        order = (-probabilities).argsort(axis=1, kind="stable")[:, :topk]
        ranked = np.take_along_axis(probabilities, order, axis=1)
        lowest = self._threshold
        rejected = int((ranked[:, 0] < lowest).sum())
        images = ", ".join(map(self._image, order.tolist(), ranked.tolist(), (ranked[:, 0] < lowest).tolist()))
        return f"{self._head}{images}]}}".encode(), rejected

    def _image(self, labels: list[int], values: list[float], rejected: bool) -> str:
        pairs = [
            f'{{"label": {self._names[label]}, "probability": {value:.6f}}}'
            for label, value in zip(labels, values, strict=True)
        ]
        return (
            f'{pairs[0][:-1]}, "rejected": {"true" if rejected else "false"}, "probabilities": [{", ".join(pairs)}]}}'
        )
