"""The playground: one page in which a network is built, trained and watched, in the browser alone."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._version import __version__
from ..data import load
from ..data.dataset import ImageDataset, evenly_spaced
from ..data.ink import measure_ink, page_spec
from ..data.named import is_here
from ..templates import environment, read
from .bundle import bundle, hash_of, script_json

STYLES = ("pages/house.css", "pages/charts.css", "pages/playground.css")


@dataclass(frozen=True)
class ImageSet:
    """Images that the page carries.

    Attributes:
        name: what the choice is called.
        source: where the images come from, and their licence.
        train, test: the two parts, of one shape and with the same classes.
    """

    name: str
    source: str
    train: ImageDataset
    test: ImageDataset

    def to_page(self) -> dict[str, Any]:
        """Plain JSON values, as ``pages/js/playground/samples.js`` reads them."""
        parts = (self.train, self.test)
        pixels, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels"))
        shape = self.train.image_shape
        return {
            "name": self.name,
            "source": self.source,
            "classes": list(self.train.classes),
            "shape": list(shape),
            "train": len(self.train),
            "test": len(self.test),
            "pixels": _packed(pixels.tobytes()),
            "labels": _packed(labels.astype(np.uint8).tobytes()),
            "ink": page_spec(measure_ink(self.train.images), shape),
        }


SETS = {
    "digits": "8×8 digits of Alpaydin and Kaynak, as scikit-learn includes them (CC BY 4.0).",
    "mnist": "MNIST of LeCun, Cortes and Burges (CC BY-SA 3.0): a sample.",
    "fashion-mnist": "Fashion-MNIST of Xiao, Rasul and Vollgraf (MIT licence): a sample.",
}
"""The sets that the page carries where they are on this machine, and their sources."""

MOST_BYTES = 800_000  # of the pixels of a set, before they are packed: the page stays below 1.5 MB


def sets_here(names: Iterable[str] = SETS) -> Iterator[ImageSet]:
    """Those of `SETS` that are named and need no download."""
    for name, source in SETS.items():
        if name not in names or not is_here(name):
            continue
        splits = load(name)
        share = min(1.0, MOST_BYTES / (splits.train.images.nbytes + splits.test.images.nbytes))
        parts = (
            part.subset(evenly_spaced(len(part), round(most * len(part))))
            for part, most in ((splits.train, share), (splits.test, max(share, 0.03)))
        )
        yield ImageSet(name, source, *parts)


def playground_page(sets: Iterable[ImageSet]) -> str:
    """The page as text: complete in itself, and it asks the network for nothing.

    Args:
        sets: the images that it carries, beside points that are computed and what its user draws.
    """
    style, script = "\n".join(map(read, STYLES)), bundle("pages/js/playground/main.js")
    return environment("pages").get_template("playground.html").render(
        sets=script_json([each.to_page() for each in sets]),
        worker=bundle("pages/js/playground/worker.js"),
        style=style,
        script=script,
        hash_of=hash_of,
        version=__version__,
    )  # fmt: skip


def _packed(content: bytes) -> str:
    """Deflated without a header, as the browser's DecompressionStream takes it, and base64."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return base64.b64encode(packer.compress(content) + packer.flush()).decode()
