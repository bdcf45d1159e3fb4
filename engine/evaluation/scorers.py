"""Scorers: how well an answer says what was expected, from 0 to 1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

Scorer = Callable[[str, Sequence[str]], float]
ARTICLES = re.compile(r"\b(a|an|the)\b")


def every(answer: str, expected: Sequence[str]) -> float:
    """Share of the expected pieces that stand in the answer as words of their own (RULER's measure for all but QA)."""
    return sum(says(answer, piece) for piece in expected) / len(expected)


def any_of(answer: str, expected: Sequence[str]) -> float:
    """1 where one of the expected wordings stands in the answer (RULER's measure for QA)."""
    return float(any(says(answer, piece) for piece in expected))


def first_number(answer: str, expected: Sequence[str]) -> float:
    """1 where the first number of the answer is the expected one: what follows cannot save a wrong one."""
    found = re.search(r"\d[\d,]*", answer)
    return float(found is not None and found.group().replace(",", "") == expected[0])


def token_f1(answer: str, expected: Sequence[str]) -> float:
    """The best F1 of words shared with one of the expected answers (SQuAD's normalisation)."""
    return max(f1(words(answer), words(piece)) for piece in expected)


def choice(answer: str, expected: Sequence[str]) -> float:
    """1 where the first letter that stands alone in the answer is the expected one."""
    found = re.search(r"\b([A-Z])\b", answer)
    return float(found is not None and found.group(1) == expected[0])


def says(answer: str, piece: str) -> bool:
    """Whether the piece stands in the answer, not inside a longer word or number; case does not matter."""
    return re.search(rf"(?<!\w){re.escape(piece.lower())}(?!\w)", answer.lower()) is not None


def words(text: str) -> list[str]:
    """Lower-case words without articles and punctuation."""
    return re.findall(r"\w+", ARTICLES.sub(" ", text.lower()))


def f1(made: Sequence[str], wanted: Sequence[str]) -> float:
    """Harmonic mean of precision and recall over words, each as often as it comes."""
    if not made or not wanted:
        return float(list(made) == list(wanted))
    shared = sum((Counter(made) & Counter(wanted)).values())
    return 2 * shared / (len(made) + len(wanted))


SCORERS: dict[str, Scorer] = {
    "every": every, "any": any_of, "first_number": first_number, "token_f1": token_f1, "choice": choice,
}  # fmt: skip
