"""Cloze: questions with known answers and places, made from rare facts of one's own documents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from app.answering.sentences import sentences
from ingest import Document, PackedEntry

WORD = re.compile(r"\w+(?:[.,:'’-]\w+)*")
NUMBER = re.compile(r"(?<=\s)\d+(?:[.,:]\d+)*(?=[\s,.;:!?)]|$)")
NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*")
"""Capitals inside a sentence: at its beginning they say nothing."""
NUMBERING = re.compile(r"[\d.]+\s+")
BLANK = "_____"
FORM = "Which word or number is missing here: {sentence}"
WORDS = 5
"""Words that a sentence must have beside its fact, so that it can be found by them."""
LONGEST = 240
"""Characters of the longest sentence that is made a question."""


@dataclass(frozen=True, slots=True)
class Cloze:
    """A question; what is expected, in every wording that counts; and the document's characters that say it."""

    question: str
    expected: tuple[str, ...]
    path: str
    document: str
    start: int
    end: int


def clozes(documents: Sequence[Document], count: int, *, seed: int = 0) -> list[Cloze]:
    """Up to `count` questions, taken from the documents in turns; the same seed asks the same.

    A fact is a number, or a name inside a sentence, with a word that occurs once in all documents.
    """
    random = Random(seed)
    times = Counter(word.lower() for document in documents for word in WORD.findall(document.text))
    waiting = []
    for document in documents:
        found = list(_facts(document, times))
        random.shuffle(found)
        if found:
            waiting.append(found)
    random.shuffle(waiting)
    out: list[Cloze] = []
    while waiting and len(out) < count:
        out += [found.pop() for found in waiting[: count - len(out)]]
        waiting = [found for found in waiting if found]
    return out


def _facts(document: Document, times: Counter[str]) -> Iterator[Cloze]:
    """At most one question of each sentence."""
    whole = PackedEntry(document, token_start=0, token_end=0, char_start=0, char_end=len(document.text))
    for sentence in sentences(whole):
        numbering = NUMBERING.match(sentence.text)
        text = sentence.text[numbering.end() if numbering else 0 :]
        at = sentence.end - len(text)
        facts = [m for pattern in (NUMBER, NAME) for m in pattern.finditer(text)]
        fact = next((m for m in facts if any(times[w.lower()] == 1 for w in WORD.findall(m.group()))), None)
        if fact is None or len(text) > LONGEST or len(WORD.findall(text)) - len(fact.group().split()) < WORDS:
            continue
        blanked = " ".join(f"{text[: fact.start()]}{BLANK}{text[fact.end() :]}".split())
        said = fact.group()
        yield Cloze(
            FORM.format(sentence=blanked),
            tuple(dict.fromkeys([said, said.replace(",", "")])),
            document.path,
            document.id,
            at + fact.start(),
            at + fact.end(),
        )
