"""A batch's questions and answers: the rows of its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.answering.answer import Answer, AnswerStats, Citation
from app.errors import explain
from app.examination.scores import Scores
from engine.errors import Cancelled

EMPTY = "The question is empty."


@dataclass(frozen=True, slots=True)
class Question:
    """A question at its place in the batch. `reference` is the right answer and `source` the path it should come from,
    where known; `fault` says why a row that was read is no question."""

    index: int
    question: str
    collection: str
    id: str | None = None
    reference: str | None = None
    source: str | None = None
    fault: str | None = None

    @property
    def problem(self) -> str | None:
        """Why it cannot be asked; null where it can."""
        return self.fault or (None if self.question.strip() else EMPTY)


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The answer to one question, or the error that it met. It holds no times: the same run gives the same rows."""

    question: Question
    text: str | None
    citations: tuple[Citation, ...]
    prompt_tokens: int | None
    answer_tokens: int | None
    finish_reason: str | None
    mode: str | None
    scores: Scores | None
    error: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, one row of the answers file."""
        q, s = self.question, self.scores
        empty = AnswerStats(0, 0, 0, 0, None, "", "none", None, None, 0)
        return {
            "index": q.index,
            "id": q.id,
            "collection": q.collection,
            "question": q.question,
            "answer": self.text,
            "citations": Answer("", self.citations, empty, "").to_dict()["citations"],
            "mode": self.mode,
            "prompt_tokens": self.prompt_tokens,
            "answer_tokens": self.answer_tokens,
            "finish_reason": self.finish_reason,
            "exact_match": s.exact_match if s else None,
            "token_f1": s.token_f1 if s else None,
            "citation_precision": s.citation_precision if s else None,
            "error": self.error,
        }

    @classmethod
    def failed(cls, question: Question, sentence: str) -> BatchAnswer:
        """The row of a question that met an error."""
        return cls(question, None, (), None, None, None, None, None, sentence)


def sentence_of(error: Exception) -> str:
    """The row's error; a stop is the whole run's, and a bug too."""
    sentence = explain(error)
    if sentence is None or isinstance(error, Cancelled):
        raise error
    return sentence
