"""The workshop in the browser: `glyphnet studio`. One local page over one folder of plain pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from .folder import Folder

if TYPE_CHECKING:
    from .server import StudioServer

__all__ = ["Folder", "StudioServer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import server
    except ImportError as error:
        if (error.name or "").startswith("glyphnet"):
            raise
        raise MissingExtraError("The studio", "serve") from error
    return getattr(server, name)
