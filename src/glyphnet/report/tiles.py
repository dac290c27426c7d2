"""Images of one size as one PNG: tiles row by row, cut out again by the page."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

MOST_SIDE = 16_000  # pixels: browsers decode no picture with a side of more than 16,384


@dataclass(frozen=True, eq=False)
class Tiles:
    """Tiles of one size, row by row from the top left.

    Attributes:
        png: the picture.
        count: how many tiles there are.
        columns: tiles a row.
        height: of a tile in pixels.
        width: of a tile in pixels.
    """

    png: bytes
    count: int
    columns: int
    height: int
    width: int

    @property
    def layout(self) -> dict[str, int]:
        """What the page needs to cut them out again."""
        return {"count": self.count, "columns": self.columns, "height": self.height, "width": self.width}


def lay_out(images: npt.NDArray[np.uint8]) -> Tiles:
    """The picture of uint8 images (N, H, W, C), C 1 or 3, N at least 1; about square."""
    count, height, width, channels = images.shape
    columns = max(1, min(count, round(math.sqrt(count * height / width)), MOST_SIDE // width))
    lines = math.ceil(count / columns)
    tiles = np.zeros((lines * columns, height, width, channels), dtype=np.uint8)
    tiles[:count] = images
    tiles = tiles.reshape(lines, columns, height, width, channels).swapaxes(1, 2)
    pixels = tiles.reshape(lines * height, columns * width, channels)
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(file, "PNG", compress_level=6)
    return Tiles(file.getvalue(), count, columns, height, width)
