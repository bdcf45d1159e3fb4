"""POST /v1/chat/completions: a collection, or the bare model, asked through OpenAI's protocol, streamed or not."""

from __future__ import annotations

import time
import uuid
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from app.answering.answer import Answer, Guidance, Turn
from app.answering.completion import converse
from app.answering.stream import AnswerStream
from app.errors import NotAnswerable
from app.http.answering import answered, streamed
from app.http.logprobs import of_chat
from app.http.schemas import ChatMessage, ChatRequest
from app.http.viewed import library_of
from engine.models.frame import Message

router = APIRouter(tags=["OpenAI"])


@router.post("/v1/chat/completions", response_model=None)
async def chat(body: ChatRequest, request: Request) -> StreamingResponse | dict[str, Any]:
    """Answer the last user message from the collection named in `model`; earlier messages are the dialogue so far."""
    stream = await anyio.to_thread.run_sync(_asked, body, request)
    identity = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.model}
    if not body.stream:
        answer = await answered(request, stream)
        message = {"role": "assistant", "content": answer.text}
        finish = answer.stats.finish_reason
        choice = {"index": 0, "message": message, "logprobs": of_chat(answer.logprobs), "finish_reason": finish}
        return {**identity, "object": "chat.completion", "choices": [choice], "usage": usage(answer), **extras(answer)}
    return await streamed(request, stream, _Chunks(identity, body.include_usage))


def collection_of(model: str) -> str:
    """The collection that a `model` names: `llm@name`; "" asks the bare model (`llm@`), no @ the default one."""
    _, at, name = model.partition("@")
    return name if at else "default"


def dialogue(messages: list[ChatMessage]) -> tuple[str, list[Turn]]:
    """The last user message, and before it the question-answer pairs and, first, what system messages ask for."""
    if messages[-1].role != "user":
        raise NotAnswerable("The last message must be the user's.")
    system = system_text(messages)
    turns: list[Turn] = [Guidance(system)] if system else []
    asked: str | None = None
    for message in messages[:-1]:
        if message.role == "user":
            asked = message.text
        elif message.role == "assistant" and asked is not None:
            turns.append(Turn(asked, message.text))
            asked = None
    return messages[-1].text, turns


def system_text(messages: list[ChatMessage]) -> str:
    """All that system messages say."""
    return "\n\n".join(m.text.strip() for m in messages if m.role in ("system", "developer") and m.text.strip())


def usage(answer: Answer) -> dict[str, Any]:
    """Token counts in OpenAI's shape."""
    made, read = answer.stats.answer_tokens, answer.stats.prompt_tokens
    return {
        "prompt_tokens": read,
        "completion_tokens": made,
        "total_tokens": read + made,
        "prompt_tokens_details": {"cached_tokens": answer.stats.cached_tokens},
    }


def extras(answer: Answer) -> dict[str, Any]:
    """What we add to the protocol: citations, statistics, and what the answer was based on."""
    whole = answer.to_dict()
    return {key: whole[key] for key in ("citations", "stats", "notice", "looked_at")}


def _asked(body: ChatRequest, request: Request) -> AnswerStream:
    library = library_of(request)
    name = collection_of(body.model)
    sampling = body.sampling(library.settings.max_new_tokens)
    question, history = dialogue(body.messages)
    if not name:
        turns = [Message(m.role, m.text) for m in body.messages if m.role == "user" or m.role == "assistant"]
        return converse(library, turns, system=system_text(body.messages), sampling=sampling)
    library.require(name)
    stream: AnswerStream = library.collection(name).stream(question, mode=body.mode, history=history, sampling=sampling)
    return stream


class _Chunks:
    """Makes the chunks of one stream: the role first, then text, then why it ended, then the usage if asked for."""

    def __init__(self, identity: dict[str, Any], include_usage: bool) -> None:
        self._identity, self._include, self._begun = identity, include_usage, False

    def __call__(self, event: str | Answer) -> list[dict[str, Any]]:
        chunks = [] if self._begun else [self._delta({"role": "assistant", "content": ""})]
        self._begun = True
        if isinstance(event, str):
            return [*chunks, self._delta({"content": event})]
        last = self._delta({}, event.stats.finish_reason, **extras(event))
        if event.logprobs:
            last["choices"][0]["logprobs"] = of_chat(event.logprobs)
        chunks.append(last)
        if self._include:
            chunks.append({**self._chunk([]), "usage": usage(event)})
        return chunks

    def _delta(self, content: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
        return self._chunk([{"index": 0, "delta": content, "finish_reason": finish}], **more)

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        null = {"usage": None} if self._include else {}
        return {**self._identity, "object": "chat.completion.chunk", "choices": choices, **null, **more}
