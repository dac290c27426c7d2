"""The page that the studio serves."""

from __future__ import annotations

from ..pages.bundle import hash_of

_STYLE = "body { font: 16px/1.5 system-ui; max-width: 40em; margin: 3em auto; padding: 0 1em; }"


def page_of() -> bytes:
    """The page as UTF-8."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>GlyphNet Studio</title>'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src {hash_of(_STYLE)}">'
        f"<style>{_STYLE}</style></head><body><h1>GlyphNet Studio</h1>"
        '<p>The folder is open. Its state: <a href="api/state">api/state</a>.</p></body></html>'
    ).encode()
