"""The models of the studio's runs: trying one, exporting one, and what to label next by one."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.dataset import evenly_spaced
from ..errors import BadFileError, GlyphNetError, SettingsError
from ..files import read_input
from ..locks import temporary_folder
from .errors import StudioError
from .folder import Folder
from .pictures import data_url
from .runs import Runs

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..evaluation.suggest import Pool

_LOADED = 3  # models in memory
MOST_ANSWERS = 10

EXPORTS = {"html": "text/html", "onnx": "application/octet-stream", "pt2": "application/octet-stream"}


class Models:
    """Models that were used lately; one computes at a time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, int], Classifier] = OrderedDict()
        self.lock = threading.RLock()

    def load(self, path: Path) -> Classifier:
        """The classifier of a model file."""
        from ..classifier import load_model

        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)
        with self.lock:
            if key not in self._kept:
                self._kept[key] = load_model(path)
            self._kept.move_to_end(key)
            while len(self._kept) > _LOADED:
                self._kept.popitem(last=False)
            return self._kept[key]

    def predict(self, path: Path, content: bytes) -> dict[str, Any]:
        """The answer for one picture, what the network sees of it, and what supports the answer."""
        from ..explain import saliency
        from ..images import Batch, read_image

        classifier = self.load(path)
        image = read_image(content, classifier, name="picture")
        with self.lock:
            answers = classifier.answer(Batch.of([image]))
            [probabilities] = answers.probabilities
            order = np.argsort(-probabilities, kind="stable")[:MOST_ANSWERS]
            try:
                [maps] = saliency(classifier, Batch.as_seen(image.pixels[None]), int(order[0]))
            except SettingsError:
                maps = None
        try:
            [inside] = answers.sets(0.95)
        except SettingsError:  # the model was not calibrated for sets
            inside = ()
        return {
            "answers": [
                {"label": classifier.classes[row], "probability": round(float(probabilities[row]), 6)}
                for row in order.tolist()
            ],
            "reason": answers.reasons[0],
            "set": list(inside),
            "saliency": None if maps is None else data_url(coloured(maps)),
            "seen": data_url(np.ascontiguousarray(image.pixels)),
        }

    def export(self, name: str, path: Path, format: str) -> tuple[bytes, str, str]:
        """Content, type and file name of an export; ``model`` and ``card`` need no conversion."""
        if format == "model":
            return read_input(path), "application/octet-stream", f"{name}.safetensors"
        if format == "card":
            from ..serving.service import about_model, model_id

            card = about_model(self.load(path), model_id(path))
            return json.dumps(card, indent=2).encode(), "application/json", f"{name}.json"
        if format not in EXPORTS:
            raise StudioError(422, f"format (={format[:20]!r}) is not known: {', '.join((*EXPORTS, 'model', 'card'))}.")
        from ..export import FORMATS, export

        suffix = FORMATS[format].suffix
        with self.lock, temporary_folder() as folder:
            export(self.load(path), folder / f"model{suffix}", format)
            return read_input(folder / f"model{suffix}"), EXPORTS[format], f"{name}{suffix}"


def coloured(maps: Any) -> Any:
    """Saliency as colours over the picture: orange supports, blue opposes, clear is nothing; uint8 (H, W, 4)."""
    limit = max(float(np.quantile(np.abs(maps), 0.995)), 1e-12)
    strength = np.clip(np.abs(maps) / limit, 0, 1)
    colours = np.where(maps[..., None] >= 0, np.array([230, 97, 1]), np.array([37, 99, 235]))
    return np.dstack([colours, 255 * strength]).round().astype(np.uint8)


# What to label next


@dataclass
class Suggester:
    """Which pictures of the tray to label next, by the newest model.

    Attributes:
        labels: decisions on pictures that a model had suggested.
        equal: of how many pictures, chosen at random, the model would have named as many wrongly.
    """

    folder: Folder
    runs: Runs
    models: Models
    labels: int = 0
    equal: float = 0.0
    _model: object = None
    _rows: dict[str, tuple[object, int]] = field(default_factory=dict)
    _pool: Pool | None = None
    _said: dict[str, tuple[str, float, float]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def suggest(self, count: int) -> dict[str, Any]:
        """The most informative pictures first; without a model, pictures evenly spread over the tray."""
        with self.folder.lock:
            self.folder.refresh()
            shelf = self.folder.listing.shelf(None)
            states = {id: shelf.entries[id].state for id in shelf.ids()}
            skipped = {row.file for row in self.folder.decisions.rows if not row.decision}
            ids = [id for id in states if id not in skipped] or list(states)
        model = self.runs.model()
        usable = self._usable(model) if model is not None else None
        if usable is None or model is None:
            found = [
                {"id": ids[row], "label": None, "probability": None, "margin": None, "reason": None}
                for row in evenly_spaced(len(ids), count).tolist()
            ] if ids else []  # fmt: skip
            return {"suggestions": found, "model": None, "random": self._random(), "retrain": False}
        with self._lock:
            found = self._by_model(usable, model[1], ids, states, count)
        worth = self.labels_since(model[0]) >= max(20, self._labelled() // 10)
        return {"suggestions": found, "model": model[0], "random": self._random(), "retrain": worth}

    def decided(self, id: str, label: str | None) -> tuple[str, str]:
        """What was suggested for a picture, and how sure the model was, as text; counts the decision."""
        suggested, probability, mistaken = self._said.pop(id, ("", 0.0, 0.0))
        if not suggested:
            return "", ""
        if label is not None:
            self.labels += 1
            if label != suggested:
                self.equal += 1 / mistaken
        return suggested, f"{probability:.4f}"

    def labels_since(self, run: str) -> int:
        """Decisions that the model of a run has not learned from."""
        version = self.runs.versions.of(self.runs.run(run)["version"])
        known = version.files if version else {}
        return sum(row.decision != "" and row.file not in known for row in self.folder.decisions.rows)

    def _labelled(self) -> int:
        listing = self.folder.listing
        return sum(len(listing.shelves[name].entries) for name in listing.classes)

    def _random(self) -> dict[str, int] | None:
        return {"labels": self.labels, "equal": round(self.equal)} if self.labels else None

    def _usable(self, model: tuple[str, Path]) -> Classifier | None:
        """The model, if it knows classes that there are."""
        try:
            classifier = self.models.load(model[1])
        except (OSError, GlyphNetError):
            return None
        return classifier if set(classifier.classes) & set(self.folder.listing.classes) else None

    def _by_model(
        self, classifier: Classifier, path: Path, ids: Sequence[str], states: dict[str, Any], count: int
    ) -> list[dict[str, Any]]:
        self._look(classifier, path, ids, states)
        known = [id for id in ids if self._rows.get(id, (None,))[0] == states[id]]
        if not known or self._pool is None:
            return []
        from ..evaluation.suggest import Pool

        rows = np.array([self._rows[id][1] for id in known])
        pool = Pool(
            self._pool.probabilities[rows], self._pool.features[rows], [self._pool.reasons[row] for row in rows]
        )
        # Temperature scaling makes the probabilities tell how often the model is right.
        mistaken = max(float((1 - pool.probabilities.max(axis=1)).mean()), 1 / len(known))
        found = []
        for each in pool.suggestions(classifier.classes, count):
            id = known[each.row]
            self._said[id] = each.label, each.probability, mistaken
            found.append({"id": id, **{k: v for k, v in each._asdict().items() if k != "row"}})
        return found

    def _look(self, classifier: Classifier, path: Path, ids: Sequence[str], states: dict[str, Any]) -> None:
        """Let the model see the pictures that it has not seen yet."""
        from ..evaluation.suggest import Pool, read_pool

        identity = (str(path), path.stat().st_mtime_ns)
        if identity != self._model:
            self._model, self._rows, self._pool = identity, {}, None
        new = [id for id in ids if self._rows.get(id, (None,))[0] != states[id]]
        if not new:
            return
        bad: list[BadFileError] = []
        places = {str(self.folder.root / id): id for id in new}
        with self.models.lock:
            files, found = read_pool(classifier, list(places), bad.append)
        start = 0 if self._pool is None else len(self._pool.reasons)
        if self._pool is not None:
            found = Pool(
                np.concatenate([self._pool.probabilities, found.probabilities]),
                np.concatenate([self._pool.features, found.features]),
                [*self._pool.reasons, *found.reasons],
            )
        self._pool = found
        for row, file in enumerate(files, start):
            id = places[file]
            self._rows[id] = states[id], row
