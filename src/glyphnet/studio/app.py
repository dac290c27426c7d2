"""The studio over HTTP: the routes below a secret prefix, and the one way from an error to an answer."""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import BadFileError, GlyphNetError
from ..serving.app import send_answer
from ..serving.pages import policy_of
from .archive import zipped
from .errors import StudioError, of_disk
from .names import check_group
from .pictures import content_of, shown
from .uploads import PICTURE_BYTES, files_of, read_body, read_json
from .workshop import Workshop

_FOREVER = "private, max-age=31536000, immutable"  # under an address with the hash of the content
_MOST_PICTURES = 5000  # of one page of the list
_MOST_SUGGESTED = 1000

Handler = Callable[[Request], Awaitable[Response]]


class Secret:
    """The application below a path that only those know who were told: the first part is the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        first, slash, rest = scope["path"].lstrip("/").partition("/")
        if not hmac.compare_digest(first.encode("utf-8", "replace"), self._token):
            await send_answer(send, 404, {"Content-Type": "application/json"}, b'{"error": "Unknown address."}')
        elif not slash:  # so that the page's relative addresses lie below the token
            await send_answer(send, 308, {"Location": f"/{first}/"}, b"")
        else:
            await self._app({**scope, "path": f"/{rest}", "raw_path": None, "root_path": ""}, receive, send)


def make_app(workshop: Workshop, page: bytes) -> Starlette:
    """The application for one open folder."""
    routes = [
        Route("/", _page(page, workshop)),
        *_folder_routes(workshop),
        *_picture_routes(workshop),
        *_job_routes(workshop),
        *_run_routes(workshop),
    ]
    handlers: dict[Any, Any] = {
        kind: _answer_error(workshop) for kind in (GlyphNetError, OSError, HTTPException, Exception)
    }
    handlers[ClientDisconnect] = _gone
    return Starlette(routes=routes, exception_handlers=handlers)


def answer(value: Any, status: int = 200) -> Response:
    """Plain values as JSON; ASCII, so that no name in it means anything to anyone."""
    body = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
    return Response(body, status, media_type="application/json")


def _page(page: bytes, workshop: Workshop) -> Handler:
    headers = {"content-security-policy": policy_of(page)}

    async def send_page(request: Request) -> Response:
        if request.method == "GET":
            await run_in_threadpool(workshop.runs.warm)
        return Response(page, media_type="text/html", headers=headers)

    return send_page


def _folder_routes(workshop: Workshop) -> list[Route]:
    folder = workshop.folder

    async def state(_: Request) -> Response:
        return answer(await run_in_threadpool(workshop.fresh_state))

    async def events(_: Request) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(workshop.hub.stream(), media_type="text/event-stream", headers=headers)

    def change(work: Callable[[dict[str, Any]], Any]) -> Handler:
        """A change whose answer is the new state."""

        async def handle(request: Request) -> Response:
            value = await read_json(request)
            await run_in_threadpool(work, value)
            return answer(await run_in_threadpool(workshop.changed))

        return handle

    async def decide(request: Request) -> Response:
        value = await read_json(request)
        id = await run_in_threadpool(workshop.decide, _text(value, "id"), _text_or_none(value, "label"))
        workshop.tell_soon()
        return answer({"id": id})

    def move(value: dict[str, Any]) -> None:
        folder.move(value.get("ids"), _text_or_none(value, "class"), _group(value))

    posts: dict[str, Handler] = {
        "classes": change(lambda value: folder.add_class(_text(value, "name"))),
        "classes/rename": change(lambda value: folder.rename_class(_text(value, "name"), _text(value, "to"))),
        "classes/delete": change(lambda value: folder.delete_class(_text(value, "name"))),
        "move": change(move),
        "delete": change(lambda value: folder.delete(value.get("ids"))),
        "group": change(lambda value: folder.set_group(value.get("ids"), _group(value))),
        "undo": change(lambda _: folder.undo()),
        "redo": change(lambda _: folder.redo()),
        "decide": decide,
    }
    return [
        Route("/api/state", state),
        Route("/api/events", events),
        *(Route(f"/api/{path}", handler, methods=["POST"]) for path, handler in posts.items()),
    ]


def _picture_routes(workshop: Workshop) -> list[Route]:
    folder = workshop.folder

    async def pictures(request: Request) -> Response:
        name = None if request.query_params.get("tray") == "1" else request.query_params.get("class", "")
        start, count = _number(request, "from", 0, 1 << 31), _number(request, "count", 500, _MOST_PICTURES)
        return answer(await run_in_threadpool(folder.pictures, name, start, count))

    async def file(request: Request) -> Response:
        id = request.path_params["id"]

        def work() -> tuple[bytes, str, str]:
            content, kind = shown(content_of(folder, id), id)
            with folder.lock:
                return content, kind, folder.listing.facts(id).hash

        content, kind, hash = await run_in_threadpool(_listed, work, id)
        return _picture(content, kind, hash == request.query_params.get("hash"))

    async def thumb(request: Request) -> Response:
        id = request.path_params["id"]
        content, hash = await run_in_threadpool(_listed, lambda: workshop.thumbs.of(folder, id), id)
        return _picture(content, "image/png", hash == request.query_params.get("hash"))

    async def add(request: Request) -> Response:
        query = request.query_params
        label, tray, group = query.get("class"), query.get("tray") == "1", check_group(query.get("group"))
        async with files_of(request) as files:
            found = await run_in_threadpool(workshop.add, files, label, tray, group)
        await run_in_threadpool(workshop.changed)
        return answer(found)

    return [
        Route("/api/pictures", pictures),
        Route("/api/file/{id:path}", file),
        Route("/api/thumb/{id:path}", thumb),
        Route("/api/add", add, methods=["POST"]),
    ]


def _job_routes(workshop: Workshop) -> list[Route]:
    async def suggest(request: Request) -> Response:
        count = _number(request, "count", 20, _MOST_SUGGESTED)
        return answer(await run_in_threadpool(workshop.suggester.suggest, max(1, count)))

    async def checks(_: Request) -> Response:
        return answer(await run_in_threadpool(workshop.check))

    async def known(request: Request) -> Response:
        value = await read_json(request)
        work = partial(workshop.add_known, value.get("name"), value.get("per_class"), value.get("tray"))
        return answer(await run_in_threadpool(work))

    async def train(request: Request) -> Response:
        return answer(await run_in_threadpool(workshop.train, await read_json(request)))

    async def cancel(request: Request) -> Response:
        await run_in_threadpool(workshop.cancel, request.path_params["id"])
        return answer(await run_in_threadpool(workshop.changed))

    async def archive(_: Request) -> Response:
        name = workshop.folder.root.name.encode("ascii", "replace").decode().replace("?", "_") or "studio"
        headers = {"content-disposition": f'attachment; filename="{_plain(name)}.zip"'}
        return StreamingResponse(zipped(workshop.folder), media_type="application/zip", headers=headers)

    return [
        Route("/api/suggest", suggest),
        Route("/api/checks", checks),
        Route("/api/known", known, methods=["POST"]),
        Route("/api/train", train, methods=["POST"]),
        Route("/api/jobs/{id}/cancel", cancel, methods=["POST"]),
        Route("/api/zip", archive),
    ]


def _run_routes(workshop: Workshop) -> list[Route]:
    runs = workshop.runs

    def of_run(work: Callable[[str], Any]) -> Handler:
        """Values that a run gives."""

        async def handle(request: Request) -> Response:
            return answer(await run_in_threadpool(lambda: work(runs.path(request.path_params["name"]).name)))

        return handle

    async def resume(request: Request) -> Response:
        return answer(await run_in_threadpool(workshop.resume, request.path_params["name"]))

    async def delete(request: Request) -> Response:
        await run_in_threadpool(workshop.delete_run, request.path_params["name"])
        return answer(await run_in_threadpool(workshop.changed))

    async def report(request: Request) -> Response:
        page = await run_in_threadpool(runs.report, request.path_params["name"])
        policy = policy_of(page).replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        # Its own scripts may run, but as of no origin: it can ask the studio for nothing.
        headers = {"content-security-policy": f"sandbox allow-scripts allow-downloads; {policy}"}
        return Response(page, media_type="text/html", headers=headers)

    async def predict(request: Request) -> Response:
        name, content = request.path_params["name"], await read_body(request, PICTURE_BYTES)
        return answer(await run_in_threadpool(lambda: workshop.models.predict(_model(workshop, name), content)))

    async def export(request: Request) -> Response:
        name, format = request.path_params["name"], request.query_params.get("format", "html")
        made = await run_in_threadpool(lambda: workshop.models.export(name, _model(workshop, name), format))
        content, kind, file = made
        headers = {"content-disposition": f"attachment; filename=\"{_plain(file)}\"; filename*=UTF-8''{quote(file)}"}
        return Response(content, media_type=kind, headers={**headers, "content-security-policy": "sandbox"})

    async def compare(request: Request) -> Response:
        a, b = request.query_params.get("a", ""), request.query_params.get("b", "")
        return answer(await run_in_threadpool(runs.compare, a, b))

    async def versions(_: Request) -> Response:
        return answer(await run_in_threadpool(workshop.history))

    return [
        Route("/api/runs/{name}/epochs", of_run(runs.epochs)),
        Route("/api/runs/{name}/mistakes", of_run(runs.mistakes)),
        Route("/api/runs/{name}/report", report),
        Route("/api/runs/{name}/export", export),
        Route("/api/runs/{name}/predict", predict, methods=["POST"]),
        Route("/api/runs/{name}/resume", resume, methods=["POST"]),
        Route("/api/runs/{name}/delete", delete, methods=["POST"]),
        Route("/api/compare", compare),
        Route("/api/versions", versions),
    ]


def _model(workshop: Workshop, name: str) -> Path:
    found = workshop.runs.model(name)
    if found is None:
        raise StudioError(409, f"{name[:60]!r} has no model yet: no epoch is finished.")
    return found[1]


def _plain(name: str) -> str:
    """A name for a header: letters, digits, dots, dashes."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def _picture(content: bytes, kind: str, forever: bool) -> Response:
    headers = {"cache-control": _FOREVER} if forever else {}
    return Response(content, media_type=kind, headers=headers)


def _listed(work: Callable[[], Any], id: str) -> Any:
    try:
        return work()
    except (KeyError, FileNotFoundError):
        raise StudioError(404, f"There is no picture {id[:100]!r} any more. Reload the page.") from None


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise StudioError(422, f"{name} (={str(found)[:40]!r}) must be text.")
    return found


def _text_or_none(value: dict[str, Any], name: str) -> str | None:
    return None if value.get(name) is None else _text(value, name)


def _group(value: dict[str, Any]) -> str | None:
    return check_group(_text_or_none(value, "group"))


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise StudioError(422, f"{name} (={text[:40]!r}) must be a whole number from 0 up.")
    return min(int(text), most)


def _answer_error(workshop: Workshop) -> Any:
    async def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            words = {404: f"Unknown address {unquote(request.url.path)[:100]!r}.", 405: "This method is not allowed."}
            return answer({"error": words.get(error.status_code, error.detail)}, error.status_code)
        if isinstance(error, OSError):
            error = of_disk(error, workshop.folder.root)
        if isinstance(error, StudioError):
            return answer({"error": str(error)}, error.status)
        if isinstance(error, GlyphNetError):
            return answer({"error": str(error)}, 422 if isinstance(error, BadFileError) else 409)
        logging.getLogger("uvicorn.error").error("The studio failed on a request.", exc_info=error)
        return answer({"error": "Internal error; details are where the studio was started. Please report it."}, 500)

    return handle


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=408)  # read by nobody
