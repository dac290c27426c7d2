"""Pictures of characters, as if many people had drawn them: from fonts, without anybody's data set.

A character is drawn with a font, thinned to lines one pixel wide, and these lines are bent, turned and stretched, then
drawn again with a pen of some width, each time another one. So one font gives as many pictures as are wanted.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

SIDE = 28
"""Pixels of a picture."""
DRAWN = 64
"""Pixels of the longer side of a character as the font draws it."""
FINE = 3
"""Pixels in each direction for one of the picture, while it is drawn."""

HELD_OUT = (
    "ARMENIAN", "AVESTAN", "BALINESE", "BENGALI", "BRAILLE", "CANADIAN", "COPTIC", "CYRILLIC", "DEVANAGARI", "ETHIOPIC",
    "GEORGIAN", "GLAGOLITIC", "GRANTHA", "GREEK", "GUJARATI", "GURMUKHI", "HANGUL", "HEBREW", "HIRAGANA", "IMPERIAL",
    "KANNADA", "KATAKANA", "MALAYALAM", "MEETEI", "MONGOLIAN", "MYANMAR", "NKO", "ORIYA", "SYLOTI", "SYRIAC", "TAGALOG",
    "TIBETAN", "TIFINAGH", "ARABIC", "DIGIT",
)  # fmt: skip
"""Scripts of Omniglot's alphabets other than Latin, by the first word of their characters' names, and the digits 0 to
9: left out, so that figures on Omniglot and on digits are those of unseen classes. "DINGBAT" and "NEGATIVE", signs with
a number in a circle, are used: they show digits, though not as anybody writes one."""

MOST_COMPARED, MOST_OF_A_SCRIPT = 700, 100
"""Characters of one script that are compared with all others, and classes of one script: those with the shortest lines,
for there are tens of thousands of Chinese characters."""
SHORTEST, LONGEST_COMPARED, LONGEST = 24, 420, 300
"""Pixels of the lines of a character: others are dots, or too dense for so few pixels."""
ALIKE = 0.94
"""Characters whose blurred pictures have at least this cosine are one class: o and O, or one letter of two scripts."""
LIKE_A_DIGIT = 0.85
"""Classes with a picture that has at least this cosine with a font's digit look like one."""
CONFUSED = "OoQIlLiSsZzBbGgq"
"""Letters that look like a digit as people write them; their classes go, with letters of other scripts in them."""
KINDS = ("Lu", "Ll", "Lo", "Nd", "No", "Nl", "Sm", "So")

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Glyph:
    """A character of a font.

    Attributes:
        character: one code point.
        script: the first word of its Unicode name: a script, or a kind of sign.
        lines: y and x of the pixels of its lines, float64 (2, n), in sizes of the character, its middle at 0.
    """

    character: str
    script: str
    lines: FloatArray


def fonts(folder: Path) -> list[Path]:
    """The regular fonts of a folder, sorted by name, so that the same packages give the same list."""
    found = [path for path in sorted(folder.rglob("*Regular*")) if path.suffix in (".ttf", ".otf", ".ttc")]
    return [path for path in found if not any(word in path.stem for word in ("Mono", "UI", "Display"))]


def digest(paths: Sequence[Path]) -> str:
    """A SHA-256 of the contents of all files, in this order."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def characters(path: Path) -> list[str]:
    """The characters of a font that may be classes."""
    with TTFont(path, fontNumber=0, lazy=True) as font:
        codes = sorted(font.getBestCmap() or {})
    return [chr(code) for code in codes if _may_be_a_class(chr(code))]


def _may_be_a_class(character: str) -> bool:
    name = unicodedata.name(character, "")
    if not name or unicodedata.category(character) not in KINDS or name.split()[0] in HELD_OUT:
        return False
    is_itself = unicodedata.normalize("NFKD", character) == character  # no accents, no bold or wide variants
    return is_itself and not any(word in name for word in ("LIGATURE", "TONE LETTER", "MUSICAL", "EMOJI", "BOX "))


def glyphs(paths: Sequence[Path]) -> Iterator[Glyph]:
    """All characters of all fonts that have lines of a fitting length."""
    for path in paths:
        found = characters(path)
        if not found:
            continue
        font = ImageFont.truetype(str(path), DRAWN)
        masks, kept = [], []
        for character in found:
            mask = _drawn(font, character)
            if mask is not None:
                masks.append(mask)
                kept.append(character)
        for start in range(0, len(masks), 256):
            thin = thinned(np.stack(masks[start : start + 256]))
            for character, each in zip(kept[start : start + 256], thin, strict=True):
                if SHORTEST <= np.count_nonzero(each) <= LONGEST_COMPARED:
                    yield Glyph(character, unicodedata.name(character).split()[0], _centred(each))


def _drawn(font: ImageFont.FreeTypeFont, character: str) -> BoolArray | None:
    """A character within (DRAWN + 4)² pixels, its longer side DRAWN; None where the font draws nothing."""
    left, top, right, bottom = font.getbbox(character)
    width, height = int(right - left), int(bottom - top)
    if min(width, height) < 1 or max(width, height) > 4 * DRAWN:
        return None
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text((-left, -top), character, font=font, fill=255)
    inner = image.getbbox()
    if inner is None:
        return None
    image = image.crop(inner)
    scale = DRAWN / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    whole = np.zeros((DRAWN + 4, DRAWN + 4), dtype=np.bool_)
    small = np.asarray(image.resize(size, Image.Resampling.BOX)) >= 128
    y, x = (whole.shape[0] - small.shape[0]) // 2, (whole.shape[1] - small.shape[1]) // 2
    whole[y : y + small.shape[0], x : x + small.shape[1]] = small
    return whole


def thinned(masks: BoolArray) -> BoolArray:
    """Lines one pixel wide in the middle of each of (N, H, W); the rim must be empty.

    Zhang and Suen, "A fast parallel algorithm for thinning digital patterns", 1984.
    """
    masks = masks.copy()
    while True:
        before = np.count_nonzero(masks)
        for first in (True, False):
            around = [np.roll(masks, shift, axis=(1, 2)) for shift in _AROUND]  # clockwise from above
            neighbours = sum(each.astype(np.int8) for each in around)
            following = [*around[1:], around[0]]
            turns = sum((~one & other).astype(np.int8) for one, other in zip(around, following, strict=True))
            up, right, down, left = around[::2]
            held = (up & right & down, right & down & left) if first else (up & right & left, up & down & left)
            free = ~held[0] & ~held[1]
            masks &= ~((neighbours >= 2) & (neighbours <= 6) & (turns == 1) & free)
        if np.count_nonzero(masks) == before:
            return masks


_AROUND = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))


def _centred(mask: BoolArray) -> FloatArray:
    lines = np.stack(np.nonzero(mask)).astype(np.float64)
    low, high = lines.min(axis=1, keepdims=True), lines.max(axis=1, keepdims=True)
    return (lines - (low + high) / 2) / max(1.0, float((high - low).max()))


def classes(found: Sequence[Glyph]) -> list[list[Glyph]]:
    """The glyphs of each class: those of one character, or of characters that look alike."""
    by_script: dict[str, dict[str, list[Glyph]]] = defaultdict(lambda: defaultdict(list))
    for glyph in found:
        by_script[glyph.script][glyph.character].append(glyph)
    groups: list[list[Glyph]] = []
    for script in sorted(by_script):
        ordered = sorted(by_script[script].items(), key=lambda item: (item[1][0].lines.shape[1], item[0]))
        groups += [group for _, group in ordered[:MOST_COMPARED]]
    joined: dict[str, list[list[Glyph]]] = defaultdict(list)
    for group in _joined(groups):
        short = [glyph for glyph in group if glyph.lines.shape[1] <= LONGEST]
        if short:
            joined[short[0].script].append(short)
    return [
        group
        for script in sorted(joined)
        for group in sorted(joined[script], key=lambda group: group[0].lines.shape[1])[:MOST_OF_A_SCRIPT]
    ]


def without_digits(groups: Sequence[list[Glyph]], paths: Sequence[Path]) -> list[list[Glyph]]:
    """The classes that show no digit: none with a number's value (❶, digits of other scripts), none of `CONFUSED`, and
    none that looks like one of the digits 0 to 9 as a font of ``paths`` draws it."""
    digits = np.stack([_blurred(glyph) for path in paths for glyph in _digits(path)])
    kept = []
    for group in groups:
        likest = float((np.stack([_blurred(glyph) for glyph in group]) @ digits.T).max())
        shows = any(g.character in CONFUSED or unicodedata.numeric(g.character, None) is not None for g in group)
        if not shows and likest < LIKE_A_DIGIT:
            kept.append(group)
    return kept


def _digits(path: Path) -> list[Glyph]:
    """The digits 0 to 9 of a font that has them."""
    with TTFont(path, fontNumber=0, lazy=True) as opened:
        there = [each for each in "0123456789" if ord(each) in (opened.getBestCmap() or {})]
    font = ImageFont.truetype(str(path), DRAWN)
    drawn = [(each, mask) for each in there if (mask := _drawn(font, each)) is not None]
    if not drawn:
        return []
    thin = thinned(np.stack([mask for _, mask in drawn]))
    return [Glyph(each, "DIGIT", _centred(lines)) for (each, _), lines in zip(drawn, thin, strict=True)]


def _joined(groups: list[list[Glyph]]) -> list[list[Glyph]]:
    """Groups that look alike are one; each font's drawing counts."""
    owners = np.array([number for number, group in enumerate(groups) for _ in group])
    pictures = np.stack([_blurred(glyph) for group in groups for glyph in group])
    parent = list(range(len(groups)))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for start in range(0, len(pictures), 1000):
        near = np.argwhere(pictures[start : start + 1000] @ pictures.T >= ALIKE)
        for one, other in zip(owners[near[:, 0] + start], owners[near[:, 1]], strict=True):
            parent[max(root(one), root(other))] = min(root(one), root(other))
    joined: dict[int, list[Glyph]] = defaultdict(list)
    for number, group in enumerate(groups):
        joined[root(number)] += group
    return list(joined.values())


def _blurred(glyph: Glyph) -> npt.NDArray[np.float32]:
    image = np.zeros((24, 24))
    y, x = np.rint(glyph.lines * 18 + 11.5).astype(int)
    image[y, x] = 1
    flat = ndimage.gaussian_filter(image, 1.2).ravel()
    flat -= flat.mean()
    return (flat / np.linalg.norm(flat)).astype(np.float32)


def picture(glyph: Glyph, generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A glyph as one person may draw it: uint8 (SIDE, SIDE), light on dark."""
    uniform = generator.uniform
    lines = glyph.lines + _bends(glyph.lines, generator)
    turn, shear = np.deg2rad(uniform(-14, 14)), uniform(-0.25, 0.25)
    narrow = np.exp(uniform(-0.25, 0.25))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.array(
        [[1 / narrow, 0], [shear, narrow]]
    )
    lines = matrix @ lines
    low, high = lines.min(axis=1, keepdims=True), lines.max(axis=1, keepdims=True)
    size = uniform(15, 24)  # of the longer side, in pixels of the picture
    lines = (lines - (low + high) / 2) * (size / max(1e-6, float((high - low).max())))
    lines += SIDE / 2 + generator.normal(0, 0.7, (2, 1))
    widest = 1.9 * min(1.0, size / 20, 160 / lines.shape[1])  # of many strokes each is narrow
    return _inked(lines * FINE, uniform(0.45, max(0.6, widest)) * FINE, uniform(0, 0.5) * FINE, generator)


def _bends(lines: FloatArray, generator: np.random.Generator) -> FloatArray:
    """How far each point moves: smooth over half of the character, and a little over a sixth."""
    moved = np.zeros_like(lines)
    for cells, strength in ((3, 0.07), (7, 0.025)):
        grid = generator.normal(0, strength, (2, cells, cells))
        places = (lines + 0.5) * (cells - 1)
        moved += np.stack([ndimage.map_coordinates(each, places, order=3, mode="nearest") for each in grid])
    return moved


def _inked(lines: FloatArray, reach: float, blur: float, generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Lines drawn with a round pen of radius ``reach``, in pixels of the fine grid."""
    side = SIDE * FINE
    y, x = np.clip(np.rint(lines).astype(int), 0, side - 1)
    empty = np.ones((side, side), dtype=np.bool_)
    empty[y, x] = False
    ink = np.clip(reach + 0.5 - ndimage.distance_transform_edt(empty), 0, 1)
    if blur > 0.3:
        ink = ndimage.gaussian_filter(ink, blur)
    small = ink.reshape(SIDE, FINE, SIDE, FINE).mean(axis=(1, 3))
    return np.rint(255 * np.clip(small * generator.uniform(0.9, 1.3), 0, 1)).astype(np.uint8)


def digest_of(images: npt.NDArray[np.uint8]) -> str:
    """A SHA-256 of pictures."""
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()


def pictures(
    groups: Sequence[Sequence[Glyph]], each: int, seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """So many pictures of each class, uint8 (N, SIDE, SIDE, 1), and their classes, int64 (N,)."""
    generator = np.random.default_rng(seed)
    images = np.empty((len(groups) * each, SIDE, SIDE, 1), dtype=np.uint8)
    for number, group in enumerate(groups):
        for turn in range(each):
            glyph = group[int(generator.integers(len(group)))]
            images[number * each + turn, ..., 0] = picture(glyph, generator)
    return images, np.repeat(np.arange(len(groups)), each)
