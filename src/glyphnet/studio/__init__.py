"""The workshop in the browser: `glyphnet studio`. One local page over one folder of plain pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..serving import from_server
from .folder import Folder

if TYPE_CHECKING:
    from .server import StudioServer

__all__ = ["Folder", "StudioServer"]


def __getattr__(name: str) -> Any:
    return from_server(__name__, __all__, name, "The studio")
