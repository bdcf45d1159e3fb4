"""Window: up to which length a model answers well, from its scores at growing lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GOOD = 0.9
SUITES = ("needle",)
"""A number and an invented event, alone in real prose: nothing in it can be mistaken for them, so that only length and
depth are measured. The suite `facts`, ten alike at once, measures confusion instead and is not asked."""


@dataclass(frozen=True, slots=True)
class Window:
    """`effective` is the longest length up to which at least GOOD of all answers are right; null where already the
    shortest falls short. `relative` is the longest up to which the score keeps GOOD of that at the shortest: it says
    what length costs a weak model, not that its answers are right, and nothing heeds it."""

    effective: int | None
    relative: int | None


def window_of(scores: Sequence[tuple[int, float]]) -> Window:
    """The window from (length in tokens, share right), shortest first; a length beyond a failed one does not count."""
    shortest = scores[0][1] if scores else 0.0
    return Window(_longest(scores, GOOD), _longest(scores, GOOD * shortest) if shortest else None)


def _longest(scores: Sequence[tuple[int, float]], least: float) -> int | None:
    best = None
    for length, score in scores:
        if score < least:
            break
        best = length
    return best
