"""Figures of the running service, in the form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATHS = ("/", "/predict", "/model", "/healthz", "/readyz", "/metrics", "/docs", "/playground", "/openapi.json")
_METHODS = ("GET", "POST")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """All figures of one service: a registry of its own, for several may run in a process.

    Attributes:
        batches: observes the number of images that the model answered at once.
        rejected: counts images called none of the classes.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._answers = Counter(
            "glyphnet_requests", "Requests answered.", ["method", "path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "glyphnet_predict_seconds", "From the request's head to its answer.", buckets=_SECONDS, registry=registry
        )
        self.batches = Histogram(
            "glyphnet_batch_images", "Images that the model answered at once.", buckets=_BATCHES, registry=registry
        )
        self._refusals = Counter("glyphnet_refusals", "Refusals, by their code.", ["code"], registry=registry)
        self.rejected = Counter("glyphnet_rejected_images", "Images called none of the classes.", registry=registry)
        ProcessCollector(registry=registry)

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """A figure that is asked for when it is read."""
        Gauge(name, about, registry=self.registry).set_function(value)

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered; status 0 means that the client left before. Unknown paths count as one."""
        self._answers.labels(
            method if method in _METHODS else "other", path if path in PATHS else "other", str(status)
        ).inc()
        if path == "/predict" and status == 200:
            self._seconds.observe(seconds)

    def refused(self, code: str) -> None:
        """A request was refused."""
        self._refusals.labels(code).inc()

    def text(self) -> bytes:
        """What ``/metrics`` answers."""
        return generate_latest(self.registry)
