"""A figure as a PNG file."""

from __future__ import annotations

import io
import os
import warnings
from typing import TYPE_CHECKING

from ..files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, all or nothing; the same figure gives the same bytes.

    Raises:
        OSError: the file cannot be written.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A class may be named in a script that no installed font has: it is drawn as boxes, and that is all.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font", category=UserWarning)
        figure.savefig(buffer, format="png", metadata={"Software": "GlyphNet"})
    with atomic_write(path, follow=True) as file:
        file.write(buffer.getvalue())
