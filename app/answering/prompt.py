"""Every word that the model is told besides the documents and the person's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.answering.answer import Guidance, Turn
from engine.models.frame import Message

if TYPE_CHECKING:
    from engine.models.model import LanguageModel

SYSTEM = "You are a helpful assistant that answers questions about the user's documents."
FULL = (
    "Answer the question from the documents above. Put the words of the documents that prove the answer in double "
    "quotes. If the documents do not hold the answer, say so.\n\nQuestion: {question}"
)
BRIEF = "Using only the documents above, answer this question in one short sentence: {question}"
"""For models too small to follow more than one instruction (`prompt = "brief"` in data/models.toml)."""
REFUSAL = "The documents do not say."
"""How the reader that ships refuses (data/models/reader)."""
PROOF = '\n\nThe documents say: "'
"""Put behind a finished answer when the model is to choose the sentence that proves it."""


def messages(question: str, history: Sequence[Turn], *, brief: bool) -> list[Message]:
    """The dialogue behind the corpus: earlier turns, then guidance if there is any, and the question."""
    form = BRIEF if brief else FULL
    out: list[Message] = []
    guidance = [turn.question for turn in history if isinstance(turn, Guidance)]
    for turn in (turn for turn in history if not isinstance(turn, Guidance)):
        out.append(Message("user", form.format(question=turn.question)))
        out.append(Message("assistant", turn.answer))
    return [*out, Message("user", "\n\n".join([*guidance, form.format(question=question)]))]


def framed(model: LanguageModel, question: str, history: Sequence[Turn]) -> tuple[list[int], list[int]]:
    """Token ids before the corpus, the same for every question, and behind it."""
    return model.frame(messages(question, history, brief=model.brief), system=SYSTEM)
