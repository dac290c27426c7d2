"""The routes of the service."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from .._version import __version__
from . import schema
from .gate import send_answer, send_refusal
from .metrics import CONTENT_TYPE
from .pages import docs_page, policy_of
from .refusals import KINDS, Refusal
from .service import Service

LIKELIEST = 10
"""Classes told of each image unless asked otherwise."""

MOST_TOLD = 65_536
"""That may be asked for: as many as a model can have."""

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
    "internal", "queue_full", "too_many_bytes",
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
        responses=schema.refusals(ANY_REQUEST),
    )
    _add_predict(app, service)
    _add_model(app, service)
    _add_state(app, service)
    _add_documents(app, service)
    for kind in (Refusal, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _refused(service))
    app.add_exception_handler(ClientDisconnect, _gone)
    return app


def _add_predict(app: FastAPI, service: Service) -> None:
    classes = len(service.model.predictor.classes)
    body = schema.predict_body(service.model.predictor, service.limits)

    @app.post(
        "/predict",
        summary="Classify images",
        response_class=Response,
        responses={200: _json_of(schema.Answer), **schema.refusals(ANY_REQUEST + PREDICT)},
        openapi_extra={"requestBody": body},
    )
    async def predict(
        request: Request,
        topk: Annotated[int, Query(ge=1, le=MOST_TOLD, description="How many of the likeliest classes to tell.")] = min(
            LIKELIEST, classes
        ),
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
        except Refusal as refusal:
            service.metrics.refused(refusal.code)
            await send_refusal(refusal, send)
        except Exception:
            service.metrics.refused("internal")
            await send_refusal(_failed(), send)
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
    if not (re.fullmatch(r"[0-9]{1,9}", asked, re.ASCII) and 1 <= int(asked) <= MOST_TOLD):
        raise Refusal("bad_parameter", f"The parameter topk must be a whole number from 1 to {MOST_TOLD:,}.")
    if as_is not in _BOOLEANS:
        raise Refusal("bad_parameter", "The parameter as_is must be true or false.")
    sets = values.get("sets", [""])[-1]
    if "sets" in values and not (_NUMBER.fullmatch(sets) and 0 < float(sets) < 100):
        raise Refusal("bad_parameter", "The parameter sets must be a number above 0 and below 100: 95 for 95 %.")
    return int(asked), _BOOLEANS[as_is], float(sets) if sets else None


def _add_model(app: FastAPI, service: Service) -> None:
    about = json.dumps(service.model.about).encode()

    @app.get("/model", summary="The model", response_class=Response, responses={200: _json_of(schema.ModelCard)})
    async def model() -> Response:
        """Classes, input, threshold, accuracy and origin of the model that answers."""
        return Response(about, media_type="application/json")


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get(
        "/healthz",
        summary="Alive?",
        response_class=Response,
        responses={200: _json_of(schema.State), **schema.refusals((*ANY_REQUEST, "internal"))},
    )
    async def healthz() -> Response:
        """Whether the process works; if not, start it anew."""
        if not service.batcher.works():
            raise Refusal("internal", "The thread that runs the model has ended.", "Start the service anew.")
        return Response(b'{"status": "ok"}', media_type="application/json")

    @app.get(
        "/readyz",
        summary="Ready?",
        response_class=Response,
        responses={200: _json_of(schema.State), **schema.refusals((*ANY_REQUEST, "stopping"))},
    )
    async def readyz() -> Response:
        """Whether requests may be sent here; not any more when the service is being stopped."""
        service.check_ready()
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
        refusal = error if isinstance(error, Refusal) else _as_refusal(request, error)
        service.metrics.refused(refusal.code)
        return Response(refusal.body, refusal.status, refusal.headers, "application/json")

    return answer


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=408)  # read by nobody


def _as_refusal(request: Request, error: Exception) -> Refusal:
    if isinstance(error, RequestValidationError):
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"][1:]))
        text = problem["msg"].replace("Input should", "must").replace("a valid integer", "a whole number")
        return Refusal("bad_parameter", f"The parameter {name} {text[:200]}.")
    if isinstance(error, HTTPException) and error.status_code in _STATUS_CODES:
        code = _STATUS_CODES[error.status_code]
        return Refusal(code, KINDS[code].about.partition(";")[0].rstrip(".") + ".", "See /docs.", error.headers)
    return _failed()


def _failed() -> Refusal:
    return Refusal("internal", "The service failed; the request may be sound.", "Tell whoever runs the service.")
