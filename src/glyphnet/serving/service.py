"""The service itself: a request's way from its body to its answer."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.requests import Request

from ..answers import Answers
from ..errors import SettingsError
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
        self._decoder = Decoder(predictor, limits, cores=min(4, os.cpu_count() or 1))
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
            Refusal: the request goes beyond a limit or cannot be read.
        """
        level = None if sets is None else self._answers.check_level(sets)
        self.batcher.check_room(1)  # before any work: under an overload refusing has to be cheap
        limits = self.limits
        content_type = request.headers.get("content-type", "")
        is_json = content_type[: len(JSON)].lower() == JSON
        body = await self._bodies.read(
            request, min(limits.json_bytes, limits.body_bytes) if is_json else limits.body_bytes
        )
        contents = contents_of(body, content_type, self.model.predictor, limits.images)
        with self.batcher.admit(len(contents)):
            batch = await self._decoder.batch(contents, as_is or None)
            answers = await self.batcher.answers(batch)
        answer, rejected = self._answers.write(answers, topk, level)
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


class AnswerWriter:
    """Writes answers as JSON: by hand, for there are a thousand a second, all of one form."""

    def __init__(self, model: Model) -> None:
        self._names = [json.dumps(name) for name in model.predictor.classes]
        self._head = f'{{"model": "{model.identity}", "predictions": ['
        self._rules = model.predictor.rules

    def check_level(self, percent: float) -> float:
        """The level of sets at so many percent.

        Raises:
            Refusal: the model gives no sets, or none at this level.
        """
        try:
            self._rules.need_conformal().limit(percent / 100)
        except SettingsError as error:
            raise Refusal("bad_parameter", str(error)) from None
        return percent / 100

    def write(self, answers: Answers, topk: int, level: float | None = None) -> tuple[bytes, int]:
        """The answer in JSON, with sets at a level if asked, and how many images were rejected."""
        probabilities = answers.probabilities
        order = (-probabilities).argsort(axis=1, kind="stable")[:, :topk]
        ranked = np.take_along_axis(probabilities, order, axis=1)
        count = len(answers)
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
