"""Heat maps as inline SVG: a square a head and layer, its colour a step of a scale that light and dark pages have."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from html import escape

from app.answering.inside import Rows

COMPUTED = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 0.9999)
"""Shares from which the next stronger colour stands."""
LOST = (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
SIDE = 0.9
"""Of a square, in squares; the rest parts it from the next."""


def heat_map(rows: Rows, edges: Sequence[float], kind: str, label: str) -> str:
    """Layers from left to right, heads from top to bottom; `kind` names the scale's colours, `label` says it aloud."""
    paths: dict[int, list[str]] = {}
    for x, row in enumerate(rows):
        for y, value in enumerate(row):
            paths.setdefault(bisect_right(edges, value), []).append(f"M{x} {y}h{SIDE}v{SIDE}h-{SIDE}z")
    drawn = "".join(f'<path class="step-{step}" d="{"".join(parts)}"/>' for step, parts in sorted(paths.items()))
    size = f"0 0 {len(rows)} {len(rows[0])}"
    return f'<svg class="heat {kind}" viewBox="{size}" role="img" aria-label="{escape(label)}">{drawn}</svg>'


def scale(kind: str, least: str, most: str, steps: int = len(COMPUTED) + 1) -> str:
    """What the colours mean, from the palest to the strongest."""
    squares = "".join(f'<i class="step-{step}"></i>' for step in range(steps))
    return f'<div class="scale {kind}"><span>{escape(least)}</span>{squares}<span>{escape(most)}</span></div>'


def extreme(rows: Rows, *, most: bool = False) -> tuple[float, int, int]:
    """The least (or most) of all values, and its layer and head, from 1."""
    found = [(value, x + 1, y + 1) for x, row in enumerate(rows) for y, value in enumerate(row)]
    return max(found, key=lambda f: f[0]) if most else min(found, key=lambda f: f[0])


def mean(rows: Rows) -> float:
    """The mean of all values."""
    return sum(map(sum, rows)) / sum(map(len, rows))
