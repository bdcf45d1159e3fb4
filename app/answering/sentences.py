"""Sentences of a document as candidates for proof, ranked by the words they share with a question and its answer."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.answering.words import stems
from ingest import Document, PackedEntry

NEW_LINE = re.compile(r"\n(?=\s*(?:\n|[#>*+|-]|\d+[.)]|\d+\.\d))|\n[ \t]*\n")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
IMPORT = re.compile(r"(from|import|#include|use|require)\b")
IMPORT_SHARE = 0.5
"""A line that only brings a name in proves little about it."""
LONGEST = 400
CLOSE = 0.75
"""Share of the best sentence's weight that makes another one a candidate too."""
NEWS = 4.0
"""What a word of the answer that was not in the question weighs against one that was."""
SHORT_BLOCK = 240
"""A list item or short paragraph of so many characters is proof as a whole."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Characters start..end of a document."""

    document: Document
    start: int
    end: int

    @property
    def text(self) -> str:
        """As it stands in the document."""
        return self.document.text[self.start : self.end]


def sentences(entry: PackedEntry) -> Iterator[Sentence]:
    """Short blocks whole, sentences of longer ones (lines that were only wrapped are joined), lines of code."""
    document, text = entry.document, entry.document.text
    at = entry.char_start
    for block in _blocks(text, at, entry.char_end, code=document.kind == "code"):
        low = block[0]
        together = document.kind == "code" or block[1] - block[0] <= SHORT_BLOCK
        cuts = [] if together else [m.end() for m in SENTENCE_END.finditer(text, *block)]
        for high in [*cuts, block[1]]:
            part = text[low:high]
            start = low + len(part) - len(part.lstrip(" \t\n#>*+-|"))
            end = low + len(part.rstrip())
            if end - start >= 8:
                yield Sentence(document, start, min(end, start + LONGEST))
            low = high


def _blocks(text: str, start: int, end: int, *, code: bool) -> Iterator[tuple[int, int]]:
    pattern = re.compile(r"\n") if code else NEW_LINE
    low = start
    for found in pattern.finditer(text, start, end):
        yield low, found.start()
        low = found.end()
    yield low, end


class Pool:
    """Candidates for proof, the words of each taken once for any number of answers."""

    def __init__(self, candidates: Iterable[Sentence]) -> None:
        self._sentences = list(candidates)
        self._words = [set(stems(s.text)) for s in self._sentences]
        frequency = Counter(w for held in self._words for w in held)
        self._weight = {w: math.log(1 + len(self._sentences) / n) for w, n in frequency.items()}

    def rank(self, question: str, answer: str, *, most: int) -> list[Sentence]:
        """The sentences that share most with question and answer, weighted by how rare a word is, in stable order.

        Only sentences of nearly the best one's weight are candidates, and equal wordings count once.
        """
        asked, said = set(stems(question)), set(stems(answer))
        scored: list[tuple[float, int]] = []
        for i, held in enumerate(self._words):
            # fsum: a set's order is another in every process, and a rounding with it
            score = math.fsum(self._weight[w] for w in held & asked)
            score += NEWS * math.fsum(self._weight[w] for w in held & (said - asked))
            if score > 0:
                score *= IMPORT_SHARE if IMPORT.match(self._sentences[i].text) else 1.0
                scored.append((score / (1 + 0.02 * len(held)), i))
        scored.sort(key=lambda pair: (-pair[0], pair[1]))
        out: list[Sentence] = []
        seen: set[str] = set()
        for score, i in scored:
            wording = " ".join(self._sentences[i].text.split())
            if score < CLOSE * scored[0][0] or len(out) == most:
                break
            if wording not in seen:
                seen.add(wording)
                out.append(self._sentences[i])
        return out
