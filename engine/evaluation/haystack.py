"""Haystack: filler cut to a number of tokens, with sentences hidden in it at set depths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle

from engine.evaluation.task import Recipe

DEPTHS = tuple((2 * i + 1) / 20 for i in range(10))
"""Where needles lie: 5 %, 15 %, … 95 % of the corpus."""


SKIPPED = 40
"""Pieces of filler too long for the rest of the corpus that are passed over for a shorter one."""


def hide(
    recipe: Recipe, filler: Sequence[str], needles: Sequence[str], depths: Sequence[float], *, join: str = "\n\n"
) -> str:
    """Filler up to the recipe's tokens, each needle between two of its pieces where its depth lies."""
    counted = recipe.tokens - sum(recipe.count(join + needle) for needle in needles)
    pieces = list(take(recipe, filler, counted, join, skip=SKIPPED))
    text = _mixed(pieces, needles, depths, join)
    while pieces and recipe.count(text) > recipe.tokens:
        pieces.pop()
        text = _mixed(pieces, needles, depths, join)
    return text


def take(recipe: Recipe, filler: Iterable[str], tokens: int, join: str, *, skip: int = 0) -> Iterator[str]:
    """Pieces of the filler, and again from its beginning, that together have no more than so many tokens.

    Up to `skip` pieces that are too long for what is left are passed over.
    """
    sizes: dict[str, int] = {}
    for piece in cycle(filler):
        if piece not in sizes:
            sizes[piece] = recipe.count(piece + join)
        if sizes[piece] <= tokens:
            tokens -= sizes[piece]
            yield piece
        elif skip:
            skip -= 1
        else:
            return


def _mixed(pieces: Sequence[str], needles: Sequence[str], depths: Sequence[float], join: str) -> str:
    places = sorted(zip(depths, needles, strict=True))
    out: list[str] = []
    for i in range(len(pieces) + 1):
        while places and places[0][0] * len(pieces) <= i:
            out.append(places.pop(0)[1])
        out += pieces[i : i + 1]
    return join.join(out)
