"""Digits as people draw them: strokes of several styles each, no two alike."""

from __future__ import annotations

import math
import random

from ..browsing import Point, Stroke

STYLES: dict[str, list[list[Stroke]]] = {
    "0": [
        [[(0.5, 0.0), (0.15, 0.2), (0.1, 0.6), (0.35, 1.0), (0.75, 0.9), (0.9, 0.5), (0.8, 0.12), (0.5, 0.0)]],
        [[(0.6, 0.02), (0.2, 0.1), (0.05, 0.5), (0.2, 0.9), (0.55, 1.0), (0.9, 0.75), (0.95, 0.35), (0.55, 0.0)]],
    ],
    "1": [
        [[(0.5, 0.0), (0.5, 0.5), (0.5, 1.0)]],
        [[(0.25, 0.25), (0.55, 0.0), (0.55, 0.5), (0.55, 1.0)]],
        [[(0.3, 0.2), (0.55, 0.0), (0.55, 1.0)], [(0.3, 1.0), (0.8, 1.0)]],
    ],
    "2": [
        [[(0.1, 0.25), (0.35, 0.0), (0.75, 0.05), (0.85, 0.35), (0.5, 0.7), (0.1, 1.0)], [(0.1, 1.0), (0.9, 1.0)]],
        [[(0.15, 0.2), (0.5, 0.0), (0.85, 0.25), (0.6, 0.6), (0.25, 0.95), (0.2, 0.8), (0.45, 0.85), (0.95, 1.0)]],
    ],
    "3": [
        [[(0.15, 0.1), (0.55, 0.0), (0.85, 0.2), (0.45, 0.47), (0.9, 0.7), (0.6, 1.0), (0.1, 0.9)]],
        [[(0.15, 0.02), (0.85, 0.02)], [(0.85, 0.02), (0.45, 0.4)], [(0.45, 0.4), (0.9, 0.65), (0.6, 1.0), (0.1, 0.9)]],
    ],
    "4": [
        [[(0.3, 0.0), (0.15, 0.5)], [(0.15, 0.55), (0.95, 0.55)], [(0.7, 0.1), (0.68, 1.0)]],
        [[(0.65, 0.0), (0.1, 0.65)], [(0.1, 0.65), (0.95, 0.65)], [(0.65, 0.0), (0.65, 1.0)]],
    ],
    "5": [
        [
            [(0.85, 0.0), (0.25, 0.02)],
            [(0.25, 0.02), (0.2, 0.42)],
            [(0.2, 0.42), (0.7, 0.42), (0.85, 0.75), (0.5, 1.0), (0.1, 0.9)],
        ],
        [[(0.3, 0.05), (0.2, 0.45), (0.65, 0.4), (0.9, 0.7), (0.55, 1.0), (0.1, 0.95)], [(0.3, 0.03), (0.9, 0.0)]],
    ],
    "6": [
        [[(0.75, 0.0), (0.35, 0.25), (0.12, 0.7), (0.45, 1.0), (0.85, 0.8), (0.6, 0.52), (0.2, 0.65)]],
        [[(0.6, 0.0), (0.2, 0.4), (0.2, 0.85), (0.6, 1.0), (0.85, 0.72), (0.5, 0.55), (0.2, 0.8)]],
    ],
    "7": [
        [[(0.1, 0.02), (0.9, 0.02)], [(0.9, 0.02), (0.6, 0.5), (0.4, 1.0)]],
        [[(0.1, 0.05), (0.9, 0.0)], [(0.9, 0.0), (0.4, 1.0)], [(0.35, 0.5), (0.85, 0.48)]],
    ],
    "8": [
        [
            [
                (0.75, 0.15), (0.45, 0.0), (0.2, 0.2), (0.5, 0.45), (0.85, 0.75), (0.5, 1.0), (0.15, 0.78), (0.5, 0.47),
                (0.8, 0.2), (0.7, 0.08),
            ],
        ],
        [
            [(0.5, 0.0), (0.22, 0.22), (0.5, 0.46), (0.78, 0.22), (0.5, 0.0)],
            [(0.5, 0.46), (0.12, 0.74), (0.5, 1.0), (0.88, 0.74), (0.5, 0.46)],
        ],
    ],
    "9": [
        [[(0.82, 0.2), (0.5, 0.0), (0.18, 0.22), (0.42, 0.5), (0.8, 0.3), (0.82, 0.2), (0.75, 0.6), (0.6, 1.0)]],
        [[(0.8, 0.15), (0.4, 0.02), (0.2, 0.3), (0.5, 0.5), (0.8, 0.25), (0.82, 0.7), (0.55, 1.0), (0.2, 0.92)]],
    ],
}  # fmt: skip


def drawn(digit: str, generator: random.Random) -> list[Stroke]:
    """The strokes of one drawing, in shares of the pad: of a style, slanted, stretched, turned and shaky."""
    strokes = generator.choice(STYLES[digit])
    slant, turn = generator.gauss(0.06, 0.14), generator.gauss(0, 0.08)
    width, height = generator.uniform(0.28, 0.48), generator.uniform(0.48, 0.7)
    left = generator.uniform(0.12, 0.88 - width)
    top = generator.uniform(0.1, 0.9 - height)
    cosine, sine = math.cos(turn), math.sin(turn)

    def placed(x: float, y: float) -> Point:
        x, y = x + generator.gauss(0, 0.035), y + generator.gauss(0, 0.03)
        x, y = (x - 0.5 + slant * (0.5 - y)) * width, (y - 0.5) * height
        across, down = cosine * x - sine * y, sine * x + cosine * y
        return (min(0.96, max(0.04, across + left + width / 2)), min(0.96, max(0.04, down + top + height / 2)))

    return [smooth([placed(x, y) for x, y in stroke]) for stroke in strokes]


def smooth(points: Stroke, steps: int = 3) -> Stroke:
    """A curve through points (Catmull and Rom, 1974); two points stay a line."""
    if len(points) < 3:
        return points
    ends = [points[0], *points, points[-1]]
    made = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        for step in range(steps):
            t = step / steps
            made.append(
                tuple(
                    0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
                    for p, q, r, s in zip(a, b, c, d, strict=True)
                )
            )
    return [*made, points[-1]]
