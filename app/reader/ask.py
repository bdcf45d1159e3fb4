"""Ask: a question, its short answer, and the verbatim words that prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.reader.corpus import Corpus


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, its answer, and the words of the documents that prove it (none where they do not say)."""

    question: str
    answer: str
    quotes: tuple[str, ...] = ()
    kind: str = ""
    lead: str = ""
    """How the answer begins, given and not learned."""

    @property
    def reply(self) -> str:
        """What the model should say: the answer, then each proof in quotation marks."""
        said = self.answer if self.answer.endswith((".", "?", "!")) else f"{self.answer}."
        return " ".join(
            [*([self.lead] if self.lead else []), said, *(f"“{q}”" if '"' in q else f'"{q}"' for q in self.quotes)]
        )


Maker = Callable[[Corpus, int], Iterator[Ask]]
"""Makes so many questions over a corpus, and may hide in it what they ask for."""
