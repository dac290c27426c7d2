"""Serve a model over HTTP: `glyphnet serve`. FastAPI and uvicorn are imported only when they are needed."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from .limits import Limits, parse_limits

if TYPE_CHECKING:
    from .server import Server, listen, load

__all__ = ["Limits", "Server", "listen", "load", "parse_limits"]


def from_server(package: str, names: Collection[str], name: str, what: str) -> Any:
    """A name that a package hands on from its module ``server``, imported on use.

    Raises:
        AttributeError: it is not one of ``names``.
        MissingExtraError: FastAPI or uvicorn is not installed; ``what`` needs them.
    """
    if name not in names:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    try:
        server = import_module(".server", package)
    except ImportError as error:
        if (error.name or "").startswith("glyphnet"):
            raise
        raise MissingExtraError(what, "serve") from error
    return getattr(server, name)


def __getattr__(name: str) -> Any:
    return from_server(__name__, __all__, name, "Serving a model")
