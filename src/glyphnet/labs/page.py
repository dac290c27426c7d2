"""A lab's page: one HTML file without any script, complete in itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from .._version import __version__
from ..pages.assembly import environment, read
from .lab import Findings, Picture

STYLES = ("pages/house.css", "labs/page.css")


def render_page(
    title: str,
    found: Findings,
    pngs: Mapping[str, bytes],
    answers: Sequence[tuple[str, str]],
    made: Mapping[str, Any],
) -> str:
    """The page as text.

    Args:
        title: the lab's.
        found: what it found.
        pngs: the pictures by their names.
        answers: (question, answer) pairs.
        made: settings, seconds, hardware, versions, command: how to make it again.
    """
    templates = environment("labs")
    templates.filters["code"] = _with_code
    return templates.get_template("page.html").render(
        title=title,
        found=found,
        images={name: base64.b64encode(png).decode() for name, png in pngs.items()},
        answers=answers,
        made=made,
        is_picture=lambda shown: isinstance(shown, Picture),
        style="\n".join(map(read, STYLES)),
        version=__version__,
    )


def _with_code(text: str) -> Markup:
    """Plain text with `code` between backticks marked as such; everything is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
