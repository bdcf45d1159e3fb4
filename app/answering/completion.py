"""The bare model, without a collection: a text continued, or a dialogue answered.

A reader, which knows nothing but documents, is replaced by its base, unless something is so long that it may hold some.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from app.answering.answer import Answer, AnswerStats
from app.answering.stream import AnswerStream, Event
from app.errors import NotAnswerable
from app.planning.reasons import Reason, reason
from engine.decode.sampling import Sampling
from engine.events import CancelToken
from engine.models.frame import Message

if TYPE_CHECKING:
    from app.library import Library
    from engine.engine import Engine

Prompt = Callable[["Engine"], list[int]]
MESSAGE = 384
"""Tokens of a text above which it may hold documents, as another program's retrieval puts them into a message."""


def complete(
    library: Library, text: str, *, sampling: Sampling | None = None, cancel: CancelToken | None = None
) -> AnswerStream:
    """The model goes on with a text. The stream raises PromptTooLong, Cancelled, …"""
    return _stream(library, [text], lambda engine: engine.model.encode_with_offsets(text)[0], sampling, cancel)


def converse(
    library: Library,
    messages: Sequence[Message],
    *,
    system: str = "",
    sampling: Sampling | None = None,
    cancel: CancelToken | None = None,
) -> AnswerStream:
    """The model answers a dialogue under its chat template; the last message is the user's."""
    if not messages or messages[0].role != "user":
        raise NotAnswerable("A dialogue begins with the user's message.")

    def prompt(engine: Engine) -> list[int]:
        head, tail = engine.model.frame(messages, system=system)
        return [*head, *tail]

    return _stream(library, [system, *(message.content for message in messages)], prompt, sampling, cancel)


def _stream(
    library: Library, texts: Sequence[str], prompt: Prompt, sampling: Sampling | None, cancel: CancelToken | None
) -> AnswerStream:
    drawn = library.settings.drawn(sampling)

    def work(emit: Callable[[Event], None], token: CancelToken) -> Answer:
        with library.turn(token):
            engine, tokens = _asked(library, texts, prompt, drawn, emit)
            said = reason("no_documents")
            if engine is not library.engine:
                said = reason("no_documents_plain", model=engine.model.name)
            return _answer(engine, tokens, said, drawn, emit, token)

    return AnswerStream(work, cancel)


def _asked(
    library: Library, texts: Sequence[str], prompt: Prompt, sampling: Sampling, emit: Callable[[Event], None]
) -> tuple[Engine, list[int]]:
    """Which model answers, and the prompt in its tokens."""
    engine = library.load_engine(emit)
    if all(len(engine.model.encode_with_offsets(text)[0]) <= MESSAGE for text in texts):
        plain = library.load_plain_engine(emit)
        tokens = prompt(plain)
        if len(tokens) + sampling.max_new_tokens <= plain.model.window:
            return plain, tokens
    return engine, prompt(engine)


def _answer(
    engine: Engine, tokens: list[int], said: Reason, sampling: Sampling, emit: Callable[[Event], None],
    cancel: CancelToken,
) -> Answer:  # fmt: skip
    """All tokens but the last make a context, which the session store keeps: a dialogue's next turn finds it there."""
    started = time.perf_counter()
    if not tokens:
        raise NotAnswerable("The prompt is empty.")
    engine.check_fits(len(tokens), sampling.max_new_tokens)
    context = engine.context(tokens[:-1], cancel=cancel, on_progress=emit)
    generation = engine.generate(context, tokens[-1:], sampling=sampling, cancel=cancel, on_progress=emit)
    first: float | None = None
    for piece in generation:
        first = first or time.perf_counter() - started
        emit(piece)
    assert generation.stats is not None
    stats = AnswerStats(
        prompt_tokens=len(tokens),
        cached_tokens=context.stats.cached_tokens,
        prefill_s=round(context.stats.prefill_seconds, 4),
        ttft_s=round(first if first is not None else time.perf_counter() - started, 4),
        decode_tok_s=generation.stats.decode_tokens_per_second,
        policy=engine.policy.name,
        mode="none",
        density=context.stats.density,
        recall=context.stats.recall,
        answer_tokens=len(generation.token_ids),
        finish_reason="length" if generation.stats.finish_reason == "length" else "stop",
    )
    return Answer(generation.text, (), stats, said, logprobs=tuple(generation.logprobs))
