"""Scores of an answer against a reference, as reading-comprehension sets are scored (SQuAD's normalisation)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.answering.answer import Citation

ARTICLES = re.compile(r"\b(a|an|the)\b")


@dataclass(frozen=True, slots=True)
class Scores:
    """Each from 0 to 1; null where the question gives nothing to compare with."""

    exact_match: float | None
    token_f1: float | None
    citation_precision: float | None


def score(answer: str, citations: Sequence[Citation], reference: str | None, source: str | None) -> Scores:
    """Compare with the reference answer and with the path that the answer should come from."""
    exact = f1 = None
    if reference is not None:
        exact = float(_words(answer) == _words(reference))
        f1 = _f1(_words(answer), _words(reference))
    precise = None
    if citations:
        right = [c for c in citations if c.path is not None and (source is None or c.path == source)]
        precise = len(right) / len(citations)
    return Scores(exact, f1, precise)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", ARTICLES.sub(" ", text.lower()))


def _f1(made: list[str], wanted: list[str]) -> float:
    if not made or not wanted:
        return float(made == wanted)
    shared = sum((Counter(made) & Counter(wanted)).values())
    return 2 * shared / (len(made) + len(wanted))
