"""Measures the search for near duplicates: copies planted in MNIST and Fashion-MNIST, and what it finds in CIFAR-10.

    python benchmarks/near_duplicates.py [mnist] [fashion-mnist] [cifar10] [--each 500] [--images 0] [--record]

All training and test images are searched, or ``--images`` of them (of CIFAR-10 in the parts' proportion). Planted
copies: one pixel to the right, mirrored, turned by 5° (bicubic), JPEG of quality 75, brightness 0.9; ``--each`` of each
kind, of different images. "Same picture" pairs that were not planted count as possibly wrong: up to 100 of them are
drawn on a sheet beside this script, for people to judge. Of CIFAR-10 (its Parquet files in $GLYPHNET_DATA/cifar10) up
to 100 pairs of a training and a test image are drawn. Seconds are those of the processor, on one thread.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _results import arguments_parser, publish
from PIL import Image

from glyphnet.data import idx
from glyphnet.data.duplicates import Duplicates, find_duplicates

SEED = 0


def shifted(image: np.ndarray) -> np.ndarray:
    return np.pad(image, ((0, 0), (1, 0)))[:, :-1]


def turned(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).rotate(5, Image.Resampling.BICUBIC))


def as_jpeg(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer))


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "one pixel": shifted,
    "mirrored": lambda image: image[:, ::-1],
    "5°": turned,
    "JPEG 75": as_jpeg,
    "brightness 0.9": lambda image: np.round(image * 0.9).astype(np.uint8),
}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("data", nargs="*", default=["mnist", "fashion-mnist", "cifar10"])
    parser.add_argument("--each", type=int, default=500)
    parser.add_argument("--images", type=int, default=0, help="of each data set, drawn; 0 for all")
    arguments = parser.parse_args()
    os.environ["GLYPHNET_CACHE"] = tempfile.mkdtemp()  # nothing is to be found there
    heads = " | ".join(f"{kind} found (same picture)" for kind in KINDS)
    lines = [
        f"| data | {heads} | same picture, not planted | very similar, not planted | seconds, images |",
        "|---|" + "---|" * (len(KINDS) + 3),
    ]
    for name in arguments.data:
        if name == "cifar10":
            found = cifar(arguments.images)
        else:
            lines.append(planted(name, arguments.each, arguments.images))
            print(lines[-1], flush=True)
    if "cifar10" in arguments.data:
        lines += ["", found]
    publish("near-duplicates", lines, recorded=arguments.record)


def searched(parts: list[np.ndarray]) -> tuple[Duplicates, float]:
    begun = time.process_time()
    return find_duplicates(parts), time.process_time() - begun


def planted(name: str, each: int, most: int) -> str:
    raw = idx.read_idx_folder(Path(os.environ["GLYPHNET_DATA"]) / name)
    images = np.concatenate([part.images[..., np.newaxis] for part in raw.parts.values()])
    rng = np.random.default_rng(SEED)
    images = images[rng.permutation(len(images))[: most or None]]
    originals = rng.permutation(len(images))[: each * len(KINDS)].reshape(len(KINDS), each)
    copies = [
        np.stack([change(images[row, ..., 0]) for row in rows])[..., None]
        for change, rows in zip(KINDS.values(), originals, strict=True)
    ]
    whole = np.concatenate([images, *copies])
    found, seconds = searched([whole])
    original = np.full(len(whole), -1)
    original[len(images) :] = originals.ravel()
    pairs, same = found.near.pairs, found.near.same
    right = original[pairs[:, 1]] == pairs[:, 0]
    cells = []
    for number in range(len(KINDS)):
        copied = np.arange(each) + len(images) + number * each
        exact = found.groups[copied] == found.groups[originals[number]]  # a mirrored copy may equal its original
        any_level = np.isin(copied, pairs[right, 1]) | exact
        cells.append(f"{any_level.mean():.1%} ({(np.isin(copied, pairs[right & same, 1]) | exact).mean():.1%})")
    # A copy of what is near to another image is near to it as well: that is no other pair.
    other = np.flatnonzero(~right & same & (pairs < len(images)).all(axis=1))
    sheet(whole, found, rng.permutation(other)[:100], Path(__file__).with_name(f"near-duplicates-{name}.png"))
    similar = int((~right & ~same & (pairs < len(images)).all(axis=1)).sum())
    called = int(same.sum())
    return (
        f"| {name} | {' | '.join(cells)} | {len(other):,} of {called:,} | {similar:,} | {seconds:.0f}, {len(whole):,} |"
    )


def cifar(most: int) -> str:
    from pyarrow import parquet

    folder = Path(os.environ["GLYPHNET_DATA"]) / "cifar10"
    parts = [
        np.stack([np.asarray(Image.open(io.BytesIO(row["bytes"]))) for row in table.column("image").to_pylist()])
        for table in (parquet.read_table(folder / f"{part}.parquet") for part in ("train", "test"))
    ]
    rng = np.random.default_rng(SEED)
    whole = sum(map(len, parts))
    parts = [part[rng.permutation(len(part))[: most * len(part) // whole or None]] for part in parts]
    found, seconds = searched(parts)
    pairs = found.near.pairs
    across = np.flatnonzero((pairs[:, 0] < len(parts[0])) & (pairs[:, 1] >= len(parts[0])))
    drawn = rng.permutation(across)[:100]
    sheet(np.concatenate(parts), found, drawn, Path(__file__).with_name("near-duplicates-cifar10.png"))
    same = across[found.near.same[across]]
    return (
        f"CIFAR-10: {len(np.unique(pairs[across, 1])):,} of {len(parts[1]):,} test images resemble a training image "
        f"({len(np.unique(pairs[same, 1])):,} are the same picture), in {len(across):,} pairs; {seconds:.0f} s for "
        f"{sum(map(len, parts)):,} images."
    )


def sheet(images: np.ndarray, found: Duplicates, numbers: np.ndarray, path: Path, columns: int = 10) -> None:
    """Draw pairs side by side, ten in a row, the first of a mirrored pair mirrored."""
    tiles = []
    for number in numbers.tolist():
        a, b = images[found.near.pairs[number]]
        a = a[:, ::-1] if found.near.mirrored[number] else a
        tiles.append(np.pad(np.concatenate([a, b], axis=1), ((3, 3), (4, 4), (0, 0)), constant_values=128))
    if not tiles:
        path.unlink(missing_ok=True)
        return
    tiles += [np.full_like(tiles[0], 128)] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[start : start + columns], axis=1) for start in range(0, len(tiles), columns)]
    picture = Image.fromarray(np.concatenate(rows).squeeze())
    picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST).save(path, optimize=True)


if __name__ == "__main__":
    main()
