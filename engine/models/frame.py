"""The chat template around a corpus: what stands before it, the same for every question, and what stands behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

SENTINEL = "\u2063corpus\u2063"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a dialogue."""

    role: Literal["user", "assistant"]
    content: str


def frame(tokenizer: Any, messages: Sequence[Message], *, system: str) -> tuple[list[int], list[int]]:
    """Token ids before the corpus and behind it.

    messages[0] is the first question, which stands right behind the corpus in the same turn; the last message is the
    question to answer. Tokenizers without a chat template get plain text.
    """
    first, *rest = [{"role": m.role, "content": harmless(tokenizer, m.content)} for m in messages]
    turns = [{"role": "user", "content": f"{SENTINEL}\n{first['content']}"}, *rest]
    if tokenizer.chat_template is None:
        text = f"{system}\n\n" + "\n\n".join(f"{t['content']}" for t in turns) + "\n\nAnswer:"
    else:
        text = tokenizer.apply_chat_template(
            [{"role": "system", "content": system}, *turns], tokenize=False, add_generation_prompt=True
        )
    head, _, tail = text.partition(SENTINEL)
    before, behind = (tokenizer(part, add_special_tokens=False, verbose=False).input_ids for part in (head, tail))
    return before, behind


def harmless(tokenizer: Any, text: str) -> str:
    """Text in which no special token can be read, by a zero-width space in each."""
    for token in tokenizer.all_special_tokens:
        text = text.replace(token, f"{token[:1]}\u200b{token[1:]}")
    return text
