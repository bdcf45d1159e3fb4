"""Reason: why something is as it is, as one English sentence that still knows its code and its facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Reason(str):
    """A sentence for people, and for programs the `code` and `facts` it was made of, so that a page can say it in
    another language. Facts are words and numbers."""

    __slots__ = ("code", "facts")
    code: str
    facts: Mapping[str, Any]

    def __new__(cls, sentence: str, code: str = "", facts: Mapping[str, Any] | None = None) -> Reason:
        """A sentence of which no code is known stands for itself."""
        made = super().__new__(cls, sentence)
        made.code, made.facts = code, dict(facts or {})
        return made

    @classmethod
    def of(cls, sentences: Mapping[str, str], code: str, **facts: Any) -> Reason:
        """From a table of sentences by code, the places of one filled with facts."""
        return cls(sentences[code].format(**facts), code, facts)

    @classmethod
    def read(cls, kept: str | Mapping[str, Any]) -> Reason:
        """From its record; a bare sentence is one of which nothing more is known."""
        return cls(kept) if isinstance(kept, str) else cls(kept["sentence"], kept["code"], kept["facts"])

    def record(self) -> dict[str, Any]:
        """For JSON, where a text alone would forget the rest."""
        return {"sentence": str(self), "code": self.code, "facts": dict(self.facts)}

    def opening(self) -> Reason:
        """With a capital letter."""
        return Reason(self[:1].upper() + self[1:], self.code, self.facts)
