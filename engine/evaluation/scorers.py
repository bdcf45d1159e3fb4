"""Scorers: how well an answer says what was expected, from 0 to 1."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Sequence

Scorer = Callable[[str, Sequence[str]], float]
LETTERS = "ABCDEFGH"
"""Of options to choose from."""
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


def last_number(answer: str, expected: Sequence[str]) -> float:
    """1 where the last number of the answer is the expected one, sign included."""
    found = re.findall(r"-?\d+", answer)
    return float(bool(found) and found[-1] == expected[0])


def token_f1(answer: str, expected: Sequence[str]) -> float:
    """The best F1 of words shared with one of the expected answers (SQuAD's normalisation)."""
    return max(f1(words(answer), words(piece)) for piece in expected)


def character_f1(answer: str, expected: Sequence[str]) -> float:
    """The best F1 of letters and digits shared with one of the expected answers, for writing without spaces."""
    return max(f1(re.findall(r"\w", answer.lower()), re.findall(r"\w", piece.lower())) for piece in expected)


def rouge_l(answer: str, expected: Sequence[str]) -> float:
    """The best F1 of the longest common subsequence of words (ROUGE-L, Lin 2004) with one of the expected texts."""
    return max(subsequence_f1(words(answer), words(piece)) for piece in expected)


def named_class(answer: str, expected: Sequence[str]) -> float:
    """One over the number of classes that the answer names, where the first, which is the right one, is among them."""
    named = [name for name in expected if says(answer, name)]
    longest = [name for name in named if not any(name != other and name.lower() in other.lower() for other in named)]
    return float(expected[0] in longest) / max(1, len(longest))


def code_line(answer: str, expected: Sequence[str]) -> float:
    """How like the first line of code in the answer is to the expected one: 2 M / T over characters."""
    lines = [line for line in answer.splitlines() if line.strip() and not re.match(r"\s*(`|#|//)", line)]
    first = lines[0].strip() if lines else ""
    return max(difflib.SequenceMatcher(None, first, piece.strip(), autojunk=False).ratio() for piece in expected)


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


def subsequence_f1(made: Sequence[str], wanted: Sequence[str]) -> float:
    """2 L / (words of both), L the length of their longest common subsequence."""
    row = [0] * (len(wanted) + 1)
    for word in made:
        before = row[:]
        for i, other in enumerate(wanted):
            row[i + 1] = before[i] + 1 if word == other else max(before[i + 1], row[i])
    return 2 * row[-1] / (len(made) + len(wanted)) if made and wanted else 0.0


SCORERS: dict[str, Scorer] = {
    "every": every, "any": any_of, "first_number": first_number, "last_number": last_number, "token_f1": token_f1,
    "character_f1": character_f1, "rouge_l": rouge_l, "named_class": named_class, "code_line": code_line,
    "choice": choice,
}  # fmt: skip
