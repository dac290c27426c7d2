"""Measures how well GlyphBase tells apart characters of alphabets that it has not seen, from one drawing of each.

    python benchmarks/few_shot.py images_background_small1.zip [--episodes 1000] [--record]

The archive is Omniglot's (Lake et al., 2015): alphabet/character/drawing, 20 drawings of each. An episode draws 5 or 20
characters, one drawing of each as the example, and 5 others to recognise; the answer is the example whose features have
the larger cosine. Characters come from one alphabet, or from all ("all alphabets", as in most papers). Latin is left
out: GlyphBase has seen Latin letters of fonts, though nobody's drawings. Nothing is trained on Omniglot. Beside it: the
pixels' cosine.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _results import arguments_parser, publish
from PIL import Image

from glyphnet.nn import build, logits_in_batches, without_head
from glyphnet.runs.backbone import GLYPHBASE, GLYPHBASE_SHAPE, read_backbone

DRAWINGS, ASKED = 20, 5
SEEN = ("Latin",)
Features = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--episodes", type=int, default=1000)
    given = parser.parse_args()
    alphabets = read(given.archive)
    lines = ["| features | characters from | ways | accuracy, % (standard error) | episodes |", "|---|---|---|---|---|"]
    for name, features in (("pixels", pixels), (GLYPHBASE, glyphbase())):
        found = [unit(features(each.reshape(-1, 28, 28, 1))).reshape(*each.shape[:2], -1) for each in alphabets]
        for place, sets in (("one alphabet", found), ("all alphabets", [np.concatenate(found)])):
            for ways in (5, 20):
                right = np.array(episodes(sets, ways, given.episodes))
                error = right.std(ddof=1) / len(right) ** 0.5
                lines.append(
                    f"| {name} | {place} | {ways} | {100 * right.mean():.1f} ({100 * error:.1f}) | {len(right)} |"
                )
    publish("few-shot", lines, recorded=given.record)


def read(archive: Path) -> list[np.ndarray]:
    """The alphabets: uint8 (characters, DRAWINGS, 28, 28), light on dark, reduced whole."""
    alphabets: dict[str, dict[str, list[np.ndarray]]] = {}
    with zipfile.ZipFile(archive) as files:
        for name in sorted(each for each in files.namelist() if each.endswith(".png")):
            *_, alphabet, character, _ = name.split("/")
            grey = Image.open(io.BytesIO(files.read(name))).convert("L")
            small = 255 - np.asarray(grey).astype(np.uint8)
            image = Image.fromarray(small).resize((28, 28), Image.Resampling.BOX)
            alphabets.setdefault(alphabet, {}).setdefault(character, []).append(stretched(np.asarray(image)))
    return [
        np.stack([np.stack(drawings[:DRAWINGS]) for drawings in characters.values()])
        for alphabet, characters in alphabets.items()
        if alphabet not in SEEN
    ]


def stretched(image: np.ndarray) -> np.ndarray:
    """With full ink at 255: reduced, thin lines are faint."""
    return np.rint(image.astype(np.float64) * 255 / max(1, image.max())).astype(np.uint8)


def pixels(images: np.ndarray) -> np.ndarray:
    """The images themselves."""
    return images.reshape(len(images), -1).astype(np.float32)


def glyphbase() -> Features:
    """What GlyphBase gives to the layer that its user trains."""
    backbone = read_backbone(GLYPHBASE, GLYPHBASE_SHAPE)
    network = build(backbone.network, GLYPHBASE_SHAPE, 1)
    network.load_state_dict({**network.state_dict(), **backbone.pretrained.weights})
    body = without_head(network.eval())

    def features(images: np.ndarray) -> np.ndarray:
        made = logits_in_batches(body, backbone.pretrained.preprocessing, torch.from_numpy(images))
        return torch.cat(list(made)).numpy()

    return features


def unit(features: np.ndarray) -> np.ndarray:
    """Each of length 1."""
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def episodes(sets: list[np.ndarray], ways: int, count: int) -> list[float]:
    """The share that is right in each episode."""
    generator = np.random.default_rng(0)
    right = []
    for _ in range(count):
        characters = sets[int(generator.integers(len(sets)))]
        chosen = characters[generator.choice(len(characters), ways, replace=False)]
        order = generator.permutation(DRAWINGS)
        examples, asked = chosen[:, order[0]], chosen[:, order[1 : 1 + ASKED]]
        answers = (asked @ examples.T).argmax(axis=-1)
        right.append(float((answers == np.arange(ways)[:, np.newaxis]).mean()))
    return right


if __name__ == "__main__":
    main()
