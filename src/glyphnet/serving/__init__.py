"""Serve a model over HTTP: `glyphnet serve`. FastAPI and uvicorn are imported only when they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from .limits import Limits, parse_limits

if TYPE_CHECKING:
    from .server import Server, listen, load

__all__ = ["Limits", "Server", "listen", "load", "parse_limits"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import server
    except ImportError as error:
        if (error.name or "").startswith("glyphnet"):
            raise
        raise MissingExtraError("Serving a model", "serve") from error
    return getattr(server, name)
