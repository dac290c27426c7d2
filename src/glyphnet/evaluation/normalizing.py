"""Whether normalising pictures helps a model, decided on validation images.

Normalising is right for drawings whose size, place and paper mean nothing. It destroys the answer where size, place or
number carry the class. So it is measured: validation pictures, as they are and changed as people's pictures differ, are
answered both ways, and normalising becomes the model's default only if it loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from ..classifier import Classifier
from ..data import ImageDataset
from ..data.dataset import UInt8Array, evenly_spaced
from ..data.decode import picture_from_image
from ..data.ink import normalize_picture
from ..errors import BadFileError
from ..images import Batch, seen
from ..modelfile import Normalizing, Paired

CLEAN = 400  # pictures that are answered as they are
CHANGED = 25  # pictures for each kind of change
FEW = 100  # with fewer validation pictures, training images are asked too: a loss among a handful would not show
MOST_LOST = 0.0005
"""The share of right answers on pictures as they are that normalising may cost, or one picture, if that is more."""

MOST_LOST_CHANGED = 0.15
"""The same of each kind of change: a greater loss among enlarged or shifted pictures shows that size or place carry the
class of some, whatever is gained elsewhere."""

_LARGEST = 320  # pixels of the longer side that a changed picture starts from


def decide_normalizing(classifier: Classifier, train: ImageDataset, validation: ImageDataset) -> Classifier:
    """The classifier with ``normalize`` decided on validation pictures, and the evidence for it.

    It is off without validation pictures, or where an original picture cannot be read any more. Where there are few,
    some images of ``train`` are asked too. The same data and network give the same decision.
    """
    spec = classifier.ink
    undecided = replace(classifier, normalize=False, normalizing=None)
    if spec is None or spec.background is None or not len(validation):
        return undecided
    asked, trained = _asked(train, validation)
    try:
        clean = _paired(classifier, asked, *(seen(asked, classifier, as_is=as_is).pixels for as_is in (True, False)))
        few = asked.subset(evenly_spaced(len(asked), CHANGED))
        changed = {name: _changed(classifier, few, change) for name, change in CHANGES[spec.kind].items()}
    except BadFileError:
        return undecided
    evidence = Normalizing(kind=spec.kind, clean=clean, changed=changed, trained=trained)
    return replace(classifier, normalize=is_earned(evidence), normalizing=evidence)


def is_earned(evidence: Normalizing) -> bool:
    """Whether normalising loses nothing on pictures as they are, nor much on a kind of change, nor on all together."""
    return (
        evidence.clean.lost <= max(1, MOST_LOST * evidence.clean.n)
        and all(each.lost <= max(1, MOST_LOST_CHANGED * each.n) for each in evidence.changed.values())
        and evidence.all_changed.lost <= 0
    )


def _asked(train: ImageDataset, validation: ImageDataset) -> tuple[ImageDataset, int]:
    """A sample of the validation pictures, filled up with training images if they are few, and how many these are."""
    asked = validation.subset(evenly_spaced(len(validation), CLEAN))
    if len(asked) >= FEW:
        return asked, 0
    more = train.subset(evenly_spaced(len(train), 2 * FEW - len(asked)))
    both = replace(
        asked,
        images=np.concatenate([asked.images, more.images]),
        labels=np.concatenate([asked.labels, more.labels]),
        names=[*asked.names, *more.names],
        groups=None,
    )
    return both, len(more)


def _changed(classifier: Classifier, asked: ImageDataset, change: Change) -> Paired:
    pixels: tuple[list[UInt8Array], list[UInt8Array]] = [], []
    for row, name in enumerate(asked.names):
        original = asked.images[row] if asked.originals is None else asked.originals.read(name)
        picture = change(_picture(original), row)
        for made, spec in zip(pixels, (None, classifier.ink), strict=True):
            made.append(normalize_picture(picture, spec, classifier.input_shape).pixels)
    return _paired(classifier, asked, *map(np.stack, pixels))


def _paired(classifier: Classifier, asked: ImageDataset, as_is: UInt8Array, normalized: UInt8Array) -> Paired:
    right = [
        int((classifier.predict_labels(Batch.as_seen(pixels)) == asked.labels).sum()) for pixels in (as_is, normalized)
    ]
    return Paired(n=len(asked), as_is=right[0], normalized=right[1])


# --- how people's pictures differ ---------------------------------------------------------------------------

Change = Callable[[Image.Image, int], Image.Image]
"""A picture, grey or RGB, and the number that decides what is drawn at random → another."""


def _picture(original: Image.Image | UInt8Array) -> Image.Image:
    """An original as a grey or RGB picture of moderate size."""
    if isinstance(original, np.ndarray):
        original = Image.fromarray(original[..., 0] if original.shape[2] == 1 else original)
    picture = picture_from_image(original)
    factor = -(-max(picture.size) // _LARGEST)
    return picture.reduce(factor) if factor > 1 else picture


def _paper_of(picture: Image.Image) -> tuple[int, ...]:
    """The level of the paper, by channel: the median of the border."""
    pixels = np.atleast_3d(np.asarray(picture))
    ring = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return tuple(int(level) for level in np.median(ring, axis=0))


def _enlarged(picture: Image.Image, number: int) -> Image.Image:
    return picture.resize((3 * picture.width, 3 * picture.height), Image.Resampling.BICUBIC)


def _blurred(picture: Image.Image, number: int) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 28))


def _inverted(picture: Image.Image, number: int) -> Image.Image:
    return ImageChops.invert(picture)


def _shifted(picture: Image.Image, number: int) -> Image.Image:
    """Moved by a tenth of the sides, in one of the four slanted directions."""
    right, down = (max(1, side // 10) for side in picture.size)
    place = (right if number & 1 else -right, down if number & 2 else -down)
    sheet = Image.new(picture.mode, picture.size, _paper_of(picture))
    sheet.paste(picture, place)
    return sheet


def _on_paper(picture: Image.Image, number: int) -> Image.Image:
    """Drawn with a dark pen somewhere on a larger, unevenly lit and noisy sheet."""
    generator = np.random.default_rng(number)
    grey = picture.convert("L")
    values = np.asarray(grey, dtype=np.float32) - _paper_of(grey)[0]
    depth = np.abs(values) / max(1.0, float(np.abs(values).max()))
    longer = 96 / max(grey.size)
    width, height = (max(1, round(side * longer)) for side in grey.size)
    ink = np.asarray(Image.fromarray(depth).resize((width, height), Image.Resampling.BICUBIC)).clip(0, 1)
    rows, columns = np.mgrid[: height + 64, : width + 64]
    sheet = 225 - generator.uniform(10, 50) * columns / (width + 64) - generator.uniform(0, 30) * rows / (height + 64)
    top, left = generator.integers(8, 57, 2)
    sheet[top : top + height, left : left + width] -= 130 * ink
    sheet += generator.normal(0, 3, sheet.shape)
    return Image.fromarray(sheet.clip(0, 255).astype(np.uint8))


CHANGES: Mapping[str, Mapping[str, Change]] = {
    "ink": {
        "enlarged": _enlarged,
        "blurred": _blurred,
        "inverted": _inverted,
        "shifted": _shifted,
        "on paper": _on_paper,
    },
    "photo": {"enlarged": _enlarged, "shifted": _shifted},
}
"""Kind of pictures → the changes that are tried, by name."""
