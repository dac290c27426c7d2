"""What to label next: unlabelled pictures of which a model is unsure, and which are unlike each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ..data.ink import Normalized
from ..errors import BadFileError, SettingsError
from ..filekinds import check_suffix
from ..files import AnyPath, atomic_write_csv
from ..images import Batch, image_batches
from ..predictfiles.pictures import OnBadFile, pictures_in
from ..predictfiles.predicting import Decoding, decode_ahead
from ..progress import Progress
from ..settings import default_batch_size

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..images import Images

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]

CANDIDATES = 20
"""Times as many of the least certain pictures are looked at as are chosen, and `FEWEST` at least."""
FEWEST = 1000


class Suggestion(NamedTuple):
    """A picture that is worth a label.

    Attributes:
        row: its place in the pool.
        label: the name of the likeliest class.
        probability: of that class.
        margin: by how much it is more probable than the next class; small where the model is unsure.
        reason: why the model should not be trusted here, "unlike_training" for instance, or None: see `Answers`.
    """

    row: int
    label: str
    probability: float
    margin: float
    reason: str | None


@dataclass(frozen=True, eq=False)
class Pool:
    """Unlabelled pictures as a model sees them.

    Attributes:
        probabilities: float32 (N, K).
        features: float32 (N, F).
        reasons: see `Suggestion`.
    """

    probabilities: Float32Array
    features: Float32Array
    reasons: list[str | None]

    @classmethod
    def of(cls, classifier: Classifier, batches: Iterable[Batch]) -> Pool:
        """The pictures of some batches, each seen once."""
        probabilities = [np.empty((0, len(classifier.classes)), np.float32)]
        features: list[Float32Array] = []
        reasons: list[str | None] = []
        for batch in batches:
            answers = classifier.answer(batch)
            reasons += answers.reasons
            probabilities.append(answers.probabilities)
            features.append(classifier.features(batch))
        return cls(np.concatenate(probabilities), np.concatenate(features or [np.empty((0, 1), np.float32)]), reasons)

    def suggestions(self, classes: tuple[str, ...], count: int) -> list[Suggestion]:
        """The ``count`` pictures that `choose` takes, in its order."""
        ranked = np.sort(self.probabilities, axis=1)
        margins = ranked[:, -1] - ranked[:, -2] if len(classes) > 1 else ranked[:, -1]
        return [
            Suggestion(
                int(row), classes[int(self.probabilities[row].argmax())], float(ranked[row, -1]), float(margins[row]),
                self.reasons[row],
            )
            for row in choose(margins, self.features, count)
        ]  # fmt: skip


def suggest(classifier: Classifier, pool: Images, count: int) -> list[Suggestion]:
    """Which pictures of a pool to label next, the most informative first.

    Args:
        classifier: trained on the labels that there are.
        pool: as for `Classifier.predict`.
        count: how many; all of a smaller pool.

    Raises:
        SettingsError: ``count`` is below 1.
    """
    batches = image_batches(pool, classifier, default_batch_size(classifier.input_shape))
    return Pool.of(classifier, batches).suggestions(classifier.classes, count)


def read_pool(
    classifier: Classifier, paths: Iterable[str], on_bad_file: OnBadFile, progress: Progress | None = None
) -> tuple[list[str], Pool]:
    """What each picture is called in files, folders, tables and archives, as for `predict_files`, and the pictures."""
    pictures = pictures_in(paths, image_shape=classifier.input_shape)
    decoded = decode_ahead(pictures, Decoding(classifier, None, find_remade=False))
    files: list[str] = []

    def batches() -> Iterator[Batch]:
        while several := list(islice(decoded, default_batch_size(classifier.input_shape))):
            good: list[Normalized] = []
            for each in several:
                if isinstance(each.pixels, BadFileError):
                    on_bad_file(each.pixels)
                else:
                    good.append(Normalized(each.pixels, each.reason, each.given))
                    files.append(each.place)
            if good:
                yield Batch.of(good)
            if progress is not None:
                progress(len(files), 0, "reading the pool")

    pool = Pool.of(classifier, batches())
    return files, pool


def write_suggestions(path: AnyPath, files: Sequence[str], suggestions: Iterable[Suggestion]) -> None:
    """A CSV file of the suggestions, the column ``label`` empty."""
    check_suffix(path, (".csv",))
    rows = [
        (files[each.row], "", each.label, f"{each.probability:.4f}", f"{each.margin:.4f}", each.reason or "")
        for each in suggestions
    ]
    header = ("file", "label", "suggested", "probability", "margin", "reason")
    atomic_write_csv(path, [header, *rows], follow=True)


def choose(margins: Float32Array, features: Float32Array, count: int) -> Int64Array:
    """The rows to label: each the one with the largest product of two figures, given those before it.

    They are how unsure the model is, 1 − margin (Scheffer et al., 2001), and how far the picture is from those chosen
    before it, by the cosine of their features: many pictures that raise the same doubt need one label.

    Args:
        margins: float (N,), from 0 (unsure) to 1.
        features: float (N, F).
        count: how many rows, N at most.

    Returns:
        int64 (min(count, N),), the most informative first.

    Raises:
        SettingsError: ``count`` is below 1.
    """
    if count < 1:
        raise SettingsError(f"count is {count}: it must be 1 at least.")
    candidates = np.argsort(margins, kind="stable")[: max(FEWEST, CANDIDATES * count)]
    unsure = 1 - margins[candidates].astype(np.float64) + 1e-6  # where the model is sure of all, distance decides
    unit = features[candidates] / np.maximum(np.linalg.norm(features[candidates], axis=1, keepdims=True), 1e-12)
    apart = np.ones(len(candidates))
    chosen: list[int] = []
    for _ in range(min(count, len(candidates))):
        worth = unsure * (np.maximum(apart, 0) + 1e-6)  # of copies of what was chosen, the unsure ones
        worth[chosen] = -1
        chosen.append(int(worth.argmax()))
        apart = np.minimum(apart, 1 - unit @ unit[chosen[-1]])
    return candidates[chosen]
