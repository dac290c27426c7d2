"""The ASGI application: the routes, and what every request passes on its way in and every answer on its way out."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._version import __version__
from ..pages.playground import playground_page, sets_here
from . import api
from .api import ERRORS, APIError
from .metrics import CONTENT_TYPE
from .pages import docs_page, policy_of
from .service import Service

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every answer; pages say their own policy, which allows their own scripts by hash."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")

OnAnswer = Callable[[str, str, str, int, float], None]
"""Called with client, method, path, status and seconds."""


class HostPolicy:
    """Which Host headers and which origins are accepted.

    A page of any site can have its own name point to 127.0.0.1 and then read what is served there (DNS
    rebinding): but its Host header tells. An address in numbers cannot be pointed anywhere.

    Args:
        bound: the address that the service listens on.
        hosts: names, without port, by which it may be called beside that and loopback; ``*`` allows all.
        origins: such as ``https://example.org``; ``*`` allows all.
    """

    def __init__(self, bound: str, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        self._hosts = {name.lower().strip("[]") for name in (*LOOPBACK, bound, *hosts)}
        self._any_address = _is_address(bound) and ipaddress.ip_address(bound).is_unspecified
        self.origins = frozenset(origin.rstrip("/") for origin in origins)

    def check(self, hosts: list[str], origin: str | None) -> None:
        """Raises:
        APIError: host_not_allowed, origin_not_allowed.
        """
        name = _host_of(hosts[0]) if len(hosts) == 1 else None
        if name is None or not (name in self._hosts or "*" in self._hosts or (self._any_address and _is_address(name))):
            raise APIError(
                "host_not_allowed",
                "The Host header names a host that this service does not accept.",
                "Use its address, or start it with --allow-host NAME.",
            )
        if origin is None or self.allows(origin):
            return
        if origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}"):
            raise APIError(
                "origin_not_allowed",
                "Requests from pages of other sites are not allowed.",
                "Start it with --allow-origin ORIGIN.",
            )

    def allows(self, origin: str) -> bool:
        """Whether pages of another origin may ask, and read the answer."""
        return origin in self.origins or "*" in self.origins


class Gate:
    """The ASGI application around the service: who may ask, headers of every answer, and a word on each to `OnAnswer`.

    Args:
        app: answers all requests but those of ``direct``.
        direct: method and path → what answers them at once.
        stopping: whether each answer says that its connection closes.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: HostPolicy,
        on_answer: OnAnswer,
        direct: Mapping[tuple[str, str], ASGIApp] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._direct = direct or {}
        self._policy = policy
        self._on_answer = on_answer
        self._stopping = stopping
        self._security = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        began = time.perf_counter()
        status = 0
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), None)
        shared = self._shared(origin)

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name for name, _ in message["headers"]}
                extra = [pair for pair in self._security if pair[0] not in given]
                last = [(b"connection", b"close")] if self._stopping() else []
                message["headers"] = [*message["headers"], *extra, *shared, *last]
            await send(message)

        try:
            try:
                self._policy.check(hosts, origin)
            except APIError as refusal:
                await send_error(refusal, send_on)
                return
            if shared and scope["method"] == "OPTIONS":
                await send_answer(send_on, 204, {}, b"")
                return
            app = self._direct.get((scope["method"], scope["path"]), self._app)
            await app(scope, receive, send_on)
        except asyncio.CancelledError:  # by the server, once ``stop_seconds`` have passed
            if status or not self._stopping():
                raise
            await send_error(APIError("stopping", "The service ended before the answer.", "Ask another one."), send_on)
        finally:
            if (connection := scope.get("state", {}).get("connection")) is not None:
                connection.answered()
            client = scope["client"][0] if scope.get("client") else "-"
            self._on_answer(client, scope["method"], scope["path"], status, time.perf_counter() - began)

    def _shared(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        """What a browser wants to read before a page of another origin may see the answer."""
        if origin is None or not self._policy.allows(origin):
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", b"content-type"),
            (b"vary", b"origin"),
        ]


async def send_error(refusal: APIError, send: Send) -> None:
    """A refusal as an answer."""
    await send_answer(send, refusal.status, {"Content-Type": "application/json", **refusal.headers}, refusal.body)


async def send_answer(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """A whole answer."""
    pairs: list[Any] = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    if status != 204:
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _host_of(header: str) -> str | None:
    """The name in a Host header, lower case, without port and brackets; None where it is none."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.netloc == header and parts.username is None else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


LIKELIEST = 10
"""Classes in the answer for an image, by default."""

MOST_CLASSES = 65_536
"""Classes that a client may ask for: as many as a model can have."""

ANY_REQUEST = (
    "malformed",
    "origin_not_allowed",
    "too_slow",
    "host_not_allowed",
    "head_too_large",
    "too_many_connections",
)
PREDICT = (
    "body_too_large", "too_many_images", "too_many_pixels", "unsupported_media_type", "bad_image", "bad_parameter",
    "internal", "queue_full", "too_many_bytes", "stopping",
)  # fmt: skip
_AS_IS = "Only resize pictures, even where the model makes them like its training images."
_SETS = "Percent, 95 for instance: add the set of classes that contains the true one in so many cases."
_NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,9})?", re.ASCII)
_BOOLEANS = {  # as FastAPI reads them
    **dict.fromkeys(("true", "1", "yes", "y", "on", "t"), True),
    **dict.fromkeys(("false", "0", "no", "n", "off", "f"), False),
}
_STATUS_CODES = {404: "not_found", 405: "method_not_allowed"}


def make_app(service: Service) -> FastAPI:
    """The application for one service."""
    app = FastAPI(
        title="GlyphNet",
        version=__version__,
        description="Classifies small images with one trained model.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        responses=api.error_responses(ANY_REQUEST),
    )
    _add_predict(app, service)
    _add_model(app, service)
    _add_state(app, service)
    _add_documents(app, service)
    for kind in (APIError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _refused(service))
    app.add_exception_handler(ClientDisconnect, _gone)
    return app


def _add_predict(app: FastAPI, service: Service) -> None:
    classes = len(service.model.predictor.classes)
    body = api.predict_body(service.model.predictor, service.limits)

    @app.post(
        "/predict",
        summary="Classify images",
        response_class=Response,
        responses={200: _json_of(api.Answer), **api.error_responses(ANY_REQUEST + PREDICT)},
        openapi_extra={"requestBody": body},
    )
    async def predict(
        request: Request,
        topk: Annotated[
            int, Query(ge=1, le=MOST_CLASSES, description="How many of the likeliest classes to tell.")
        ] = min(LIKELIEST, classes),
        as_is: Annotated[bool, Query(description=_AS_IS)] = False,
        sets: Annotated[float | None, Query(gt=0, lt=100, description=_SETS)] = None,
    ) -> Response:
        """One prediction for each image, in their order. What waits at the same time is computed as one batch."""
        return Response(await service.predict(request, topk, as_is=as_is, sets=sets), media_type="application/json")


def predict_directly(service: Service) -> ASGIApp:
    """``POST /predict`` without FastAPI's way to it, a quarter of the time: same questions, same answers."""
    most = min(LIKELIEST, len(service.model.predictor.classes))

    async def predict(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            topk, as_is, sets = _parameters(scope["query_string"], most)
            answer = await service.predict(Request(scope, receive), topk, as_is=as_is, sets=sets)
        except ClientDisconnect:
            return
        except APIError as refusal:
            service.metrics.refused(refusal.code)
            await send_error(refusal, send)
        except Exception:
            service.metrics.refused("internal")
            await send_error(_failed(), send)
            raise  # uvicorn tells it on standard error
        else:
            await send_answer(send, 200, {"content-type": "application/json"}, answer)

    return predict


def _parameters(query: bytes, topk: int) -> tuple[int, bool, float | None]:
    """``topk``, by default the one given, ``as_is`` and ``sets``."""
    if not query:
        return topk, False, None
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    asked, as_is = values.get("topk", [str(topk)])[-1], values.get("as_is", ["false"])[-1].lower()
    if not (re.fullmatch(r"[0-9]{1,9}", asked, re.ASCII) and 1 <= int(asked) <= MOST_CLASSES):
        raise APIError("bad_parameter", f"The parameter topk must be a whole number from 1 to {MOST_CLASSES:,}.")
    if as_is not in _BOOLEANS:
        raise APIError("bad_parameter", "The parameter as_is must be true or false.")
    sets = values.get("sets", [""])[-1]
    if "sets" in values and not (_NUMBER.fullmatch(sets) and 0 < float(sets) < 100):
        raise APIError("bad_parameter", "The parameter sets must be a number above 0 and below 100: 95 for 95 %.")
    return int(asked), _BOOLEANS[as_is], float(sets) if sets else None


def _add_model(app: FastAPI, service: Service) -> None:
    about = json.dumps(service.model.about).encode()

    @app.get("/model", summary="The model", response_class=Response, responses={200: _json_of(api.ModelCard)})
    async def model() -> Response:
        """Classes, input, threshold, accuracy and origin of the model that answers."""
        return Response(about, media_type="application/json")


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get(
        "/healthz",
        summary="Alive?",
        response_class=Response,
        responses={200: _json_of(api.State), **api.error_responses((*ANY_REQUEST, "internal"))},
    )
    async def healthz() -> Response:
        """Whether the process works; if not, restart it."""
        if not service.batcher.works():
            raise APIError("internal", "The thread that runs the model has ended.", "Restart the service.")
        return Response(b'{"status": "ok"}', media_type="application/json")

    @app.get(
        "/readyz",
        summary="Ready?",
        response_class=Response,
        responses={200: _json_of(api.State), **api.error_responses((*ANY_REQUEST, "stopping"))},
    )
    async def readyz() -> Response:
        """Whether requests may be sent here; not once the service is stopping."""
        if service.stopping:
            raise APIError("stopping", "The service is stopping.", "Use another instance.")
        return Response(b'{"status": "ready"}', media_type="application/json")

    @app.get(
        "/metrics", summary="Figures for Prometheus", response_class=Response, responses={200: _text(CONTENT_TYPE)}
    )
    async def metrics() -> Response:
        """Requests, refusals, times, batches, queue and memory."""
        return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE})


def _add_documents(app: FastAPI, service: Service) -> None:
    description: list[bytes] = []
    docs: list[bytes] = []
    headers = {"content-security-policy": policy_of(service.model.page)}

    @app.get("/openapi.json", summary="This description", response_class=Response, responses={200: _json_of(None)})
    async def openapi() -> Response:
        """OpenAPI of the service."""
        if not description:
            description.append(json.dumps(app.openapi()).encode())
        return Response(description[0], media_type="application/json")

    @app.get(
        "/docs", summary="This description for people", response_class=Response, responses={200: _text("text/html")}
    )
    async def documentation() -> Response:
        """A page without scripts that asks no other host for anything."""
        if not docs:
            docs.append(docs_page(app.openapi(), service.model.about))
        return Response(docs[0], media_type="text/html", headers={"content-security-policy": policy_of(docs[0])})

    played: list[bytes] = []

    @app.get(
        "/playground", summary="Train a network in the browser", response_class=Response,
        responses={200: _text("text/html")},
    )  # fmt: skip
    def playground() -> Response:  # in a thread: the first time it packs the digits
        """The playground, with the digits; ``glyphnet playground`` adds the data sets of this machine."""
        if not played:
            played.append(playground_page(list(sets_here(["digits"]))).encode())
        page = played[0]
        return Response(page, media_type="text/html", headers={"content-security-policy": policy_of(page)})

    @app.get("/", summary="Draw, and see the answer", response_class=Response, responses={200: _text("text/html")})
    async def page() -> Response:
        """The drawing page."""
        return Response(service.model.page, media_type="text/html", headers=headers)


def _json_of(model: Any) -> dict[str, Any]:
    return {"model": model, "description": "Done."} if model else {"content": {"application/json": {}}}


def _text(media_type: str) -> dict[str, Any]:
    return {"content": {media_type.partition(";")[0]: {"schema": {"type": "string"}}}, "description": "Done."}


def _refused(service: Service) -> Any:
    """The one way from an exception to an answer."""

    async def answer(request: Request, error: Exception) -> Response:
        refusal = error if isinstance(error, APIError) else _as_api_error(request, error)
        service.metrics.refused(refusal.code)
        return Response(refusal.body, refusal.status, refusal.headers, "application/json")

    return answer


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=408)  # read by nobody


def _as_api_error(request: Request, error: Exception) -> APIError:
    if isinstance(error, RequestValidationError):
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"][1:]))
        text = problem["msg"].replace("Input should", "must").replace("a valid integer", "a whole number")
        return APIError("bad_parameter", f"The parameter {name} {text[:200]}.")
    if isinstance(error, HTTPException) and error.status_code in _STATUS_CODES:
        code = _STATUS_CODES[error.status_code]
        return APIError(code, ERRORS[code].about.partition(";")[0].rstrip(".") + ".", "See /docs.", error.headers)
    return _failed()


def _failed() -> APIError:
    return APIError(
        "internal", "Internal error; the request may be valid.", "Report it to the operator of the service."
    )
