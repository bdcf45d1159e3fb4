"""Evidence: what an answer quotes, and the sentences among which the model picks the one that proves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.answering import prompt
from app.answering.answer import Citation
from app.answering.citations import cite_sentence, quotes, resolve
from app.answering.sentences import Pool, Sentence, sentences
from ingest import PackedEntry

if TYPE_CHECKING:
    from engine.models.model import LanguageModel

CANDIDATES = 8
"""Sentences among which the model chooses the one that proves its answer."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Quotes already resolved; candidates as sentences and as token ids, in the order of their rank."""

    quoted: tuple[Citation, ...]
    candidates: tuple[Sentence, ...]
    tokens: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest candidate."""
        return max(map(len, self.tokens), default=0)

    def cited(self, pick: int) -> tuple[Citation, ...]:
        """The quotes, then the candidate picked, verbatim."""
        if not self.candidates:
            return self.quoted
        proof = cite_sentence(self.candidates[pick])
        known = {(c.path, c.char_start) for c in self.quoted}
        return self.quoted if (proof.path, proof.char_start) in known else (*self.quoted, proof)


def pool(entries: Iterable[PackedEntry]) -> Pool:
    """What a prompt holds, as candidates for the proof of any answer to it."""
    return Pool(s for entry in entries for s in sentences(entry))


def gather(
    entries: Sequence[PackedEntry], model: LanguageModel, question: str, answer: str, among: Pool | None = None
) -> Evidence:
    """Evidence for an answer from what the prompt held: an exact quote needs no other proof, a refusal has none.

    `among` is the entries' pool, made here where it is not given.
    """
    quoted = tuple(resolve(quote, entries) for quote in quotes(answer))
    if any(c.state == "exact" for c in quoted) or answer.strip() == prompt.REFUSAL:
        return Evidence(quoted, (), ())
    found = (among or pool(entries)).rank(question, answer, most=CANDIDATES)
    tokens = tuple(tuple(model.encode_with_offsets(s.text)[0]) for s in found)
    return Evidence(quoted, tuple(found), tokens)


def lead_in(model: LanguageModel) -> list[int]:
    """Token ids that stand between an answer and the sentence that proves it."""
    return list(model.encode_with_offsets(prompt.PROOF)[0])
