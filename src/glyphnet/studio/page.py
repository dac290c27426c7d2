"""The page that the studio serves."""

from __future__ import annotations

from ..pages.studio import studio_page


def page_of() -> bytes:
    """The page as UTF-8."""
    return studio_page("server").encode()
