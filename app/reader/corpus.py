"""Corpus: the documents of one training sample, cut from real ones to a size, with sentences hidden in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from app.reader.sources import Source

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`'(])")
PLAIN = re.compile(r"[A-Z`'][^|{}<>\[\]*=\\]{38,218}[.]")
LETTERS = 0.75
CHARACTERS = 3.7
"""Of a token, about; samples that come out too long lose questions, then paragraphs."""

TRIES, MOST = 400, 60
"""Documents looked at, and taken at most, for one sample."""


@dataclass(slots=True)
class Part:
    """A document in the making: its path and its paragraphs."""

    path: str
    code: bool
    paragraphs: list[str]

    @property
    def text(self) -> str:
        """As it is packed."""
        return "\n\n".join(self.paragraphs) + "\n"


@dataclass(slots=True)
class Corpus:
    """The documents of one sample."""

    random: Random
    parts: list[Part]
    _words: Counter[str] = field(default_factory=Counter)

    @property
    def text(self) -> str:
        """All of it, as one text."""
        return "\n".join(part.text for part in self.parts)

    def hide(self, statement: str) -> None:
        """Put a statement somewhere: as a paragraph of its own, or behind one that ends with a full stop."""
        part = self.random.choice(self.parts)
        at = self.random.randrange(len(part.paragraphs) + 1)
        if not part.code and self.random.random() < 0.4 and at and part.paragraphs[at - 1].endswith("."):
            part.paragraphs[at - 1] += f" {statement}"
        else:
            part.paragraphs.insert(at, f"# {statement}" if part.code else statement)

    def sentences(self) -> list[tuple[Part, str]]:
        """Plain sentences of real prose, each once, as they read without their line ends."""
        found: list[tuple[Part, str]] = []
        for part in self.parts:
            if not part.code:
                for paragraph in part.paragraphs:
                    for sentence in SENTENCE.split(" ".join(paragraph.split())):
                        if PLAIN.fullmatch(sentence) and _plain(sentence):
                            found.append((part, sentence))  # noqa: PERF401 (five loops deep, a generator hides more)
        times = Counter(sentence for _, sentence in found)
        return [pair for pair in found if times[pair[1]] == 1]

    def times(self, word: str) -> int:
        """How often a word stands in the documents."""
        if not self._words:
            self._words.update(re.findall(r"\w+", self.text))
        return self._words[word]


def _plain(sentence: str) -> bool:
    return sum(c.isalpha() or c == " " for c in sentence) >= LETTERS * len(sentence)


def cut(sources: Sequence[Source], random: Random, tokens: int, *, code: float) -> Corpus:
    """Slices of documents of chance that together have about so many tokens; `code` is the share of code among them."""
    left = int(tokens * CHARACTERS)
    parts: list[Part] = []
    most = random.choice((1, 2, 4, 8))
    names: set[str] = set()
    for _ in range(TRIES):
        if left <= 200 or len(parts) == MOST:
            break
        source = random.choice(sources)
        if source.code != (random.random() < code) or source.path in names:
            continue
        names.add(source.path)
        paragraphs = [p.strip("\n") for p in re.split(r"\n\s*\n", source.text) if p.strip()]
        start = random.randrange(len(paragraphs)) if random.random() < 0.7 else 0
        size = min(left, max(300, int(tokens * CHARACTERS / most * random.uniform(0.5, 1.5))))
        taken: list[str] = []
        for paragraph in paragraphs[start:]:
            if len(paragraph) > size:
                break
            taken.append(paragraph)
            size -= len(paragraph) + 2
            left -= len(paragraph) + 2
        if taken:
            parts.append(Part(source.path, source.code, taken))
    if not parts:
        parts.append(Part("notes.txt", False, ["These are notes."]))
    parts.sort(key=lambda part: part.path)
    return Corpus(random, parts)
