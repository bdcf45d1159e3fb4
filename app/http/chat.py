"""POST /v1/chat/completions: a collection asked through OpenAI's protocol, streamed or not."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from app.answer import Answer, Turn
from app.errors import NotAnswerable, explain
from app.http.schemas import ChatMessage, ChatRequest, error_body
from app.stream import AnswerStream

router = APIRouter()
POLL_SECONDS = 0.2
T = TypeVar("T")


@router.post("/v1/chat/completions", response_model=None)
async def chat(body: ChatRequest, request: Request) -> StreamingResponse | dict[str, Any]:
    """Answer the last user message from the collection named in `model`; earlier messages are the dialogue so far."""
    library = request.app.state.library
    _, _, name = body.model.partition("@")
    collection = library.collection(name or "default")
    await anyio.to_thread.run_sync(library.require, collection.name)
    question, history = dialogue(body.messages)
    limit = body.limit or library.settings.max_new_tokens
    stream = collection.stream(question, mode=body.mode, history=history, max_new_tokens=limit)
    identity = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.model}
    if not body.stream:
        answer = await _watched(request, stream, lambda: _finished(stream))
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": 0, "message": message, "finish_reason": finish_reason(answer, limit)}
        return {**identity, "object": "chat.completion", "choices": [choice], "usage": usage(answer), **extras(answer)}
    events = stream.events()
    # errors before the first token keep their status
    first = await _watched(request, stream, lambda: _until_text(events))
    include = body.stream_options is not None and body.stream_options.include_usage
    pieces = _server_events(stream, first, events, identity, include, limit)
    return StreamingResponse(pieces, media_type="text/event-stream")


def dialogue(messages: list[ChatMessage]) -> tuple[str, list[Turn]]:
    """The last user message, and the question-answer pairs before it."""
    if messages[-1].role != "user":
        raise NotAnswerable("The last message must be the user's.")
    turns: list[Turn] = []
    asked: str | None = None
    for message in messages[:-1]:
        if message.role == "user":
            asked = message.text
        elif message.role == "assistant" and asked is not None:
            turns.append(Turn(asked, message.text))
            asked = None
    return messages[-1].text, turns


def usage(answer: Answer) -> dict[str, Any]:
    """Token counts in OpenAI's shape."""
    made, read = answer.stats.answer_tokens, answer.stats.prompt_tokens
    return {
        "prompt_tokens": read,
        "completion_tokens": made,
        "total_tokens": read + made,
        "prompt_tokens_details": {"cached_tokens": answer.stats.cached_tokens},
    }


def finish_reason(answer: Answer, limit: int) -> str:
    """Why the answer ended, in OpenAI's words."""
    return "length" if answer.stats.answer_tokens >= limit else "stop"


def extras(answer: Answer) -> dict[str, Any]:
    """What we add to the protocol: citations, statistics, and what the answer was based on."""
    whole = answer.to_dict()
    return {key: whole[key] for key in ("citations", "stats", "notice")}


async def _watched(request: Request, stream: AnswerStream, work: Callable[[], T]) -> T:
    """Run blocking work on a stream in a thread; a client that goes away stops it within a chunk."""

    async def watch() -> None:
        while not await request.is_disconnected():
            await anyio.sleep(POLL_SECONDS)
        stream.cancel()

    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            result = await anyio.to_thread.run_sync(work)
        except Exception as error:  # kept for later: a task group would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result


def _finished(stream: AnswerStream) -> Answer:
    for _ in stream.events():
        pass
    assert stream.answer is not None
    return stream.answer


def _until_text(events: Iterator[Any]) -> str | Answer:
    return next(event for event in events if isinstance(event, str | Answer))


async def _server_events(
    stream: AnswerStream,
    first: str | Answer,
    events: Iterator[Any],
    identity: dict[str, Any],
    include_usage: bool,
    limit: int,
) -> AsyncIterator[str]:
    """Server-sent events; when the client goes away the work stops within a chunk."""

    def chunk(choices: list[dict[str, Any]], **more: Any) -> str:
        return _event({**identity, "object": "chat.completion.chunk", "choices": choices, **more})

    def delta(content: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": content, "finish_reason": finish}]

    try:
        yield chunk(delta({"role": "assistant", "content": ""}))
        event: Any = first
        while event is not None:
            if isinstance(event, str):
                yield chunk(delta({"content": event}))
            elif isinstance(event, Answer):
                yield chunk(delta({}, finish_reason(event, limit)), **extras(event))
                if include_usage:
                    yield chunk([], usage=usage(event))
            event = await anyio.to_thread.run_sync(next, events, None)
    except Exception as error:
        sentence = explain(error)
        yield _event(error_body(sentence or "Something went wrong in Omnibus; see its log.", "server_error"))
        if sentence is None:
            raise
    finally:
        stream.cancel()
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
