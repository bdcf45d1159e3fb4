"""Running an AnswerStream for a request: in its turn, stopped when the client goes away, as JSON or as events."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import anyio
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.answering.answer import Answer
from app.answering.stream import AnswerStream
from app.cut_short import unless
from app.errors import explain
from app.http.metrics import Metrics
from app.http.queue import Queue
from app.http.schemas import error_body
from engine.errors import Cancelled

POLL_SECONDS = 0.2
Line = Callable[[str | Answer], list[dict[str, Any]]]
T = TypeVar("T")


async def answered(request: Request, stream: AnswerStream) -> Answer:
    """The complete answer; raises Busy, Cancelled where the client went away, or what the work raised."""

    async def work() -> Answer:
        async with aclosing(_in_turn(request, stream)) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise Cancelled

    return await _while_connected(request, work)


async def streamed(request: Request, stream: AnswerStream, line: Line) -> StreamingResponse:
    """Server-sent events, made by `line` of each piece and of the answer. Errors before the first keep their status."""
    events = _in_turn(request, stream)
    try:
        first = await _while_connected(request, lambda: anext(events))
    except BaseException:
        with anyio.CancelScope(shield=True):
            await events.aclose()
        raise
    return _Events(events, _lines(first, events, line))


async def _in_turn(request: Request, stream: AnswerStream) -> AsyncGenerator[str | Answer, None]:
    queue: Queue = request.app.state.queue
    metrics: Metrics = request.app.state.metrics
    came = time.perf_counter()
    async with queue.turn(), aclosing(stream.aevents()) as events:
        metrics.waited.observe(time.perf_counter() - came)
        async for event in events:
            if isinstance(event, Answer):
                metrics.count(event.stats)
            if isinstance(event, str | Answer):
                yield event


async def _while_connected(request: Request, work: Callable[[], Awaitable[T]]) -> T:
    """The work's result; a client that goes away cuts it short (raises Cancelled)."""
    return await unless(request.is_disconnected, work, every=POLL_SECONDS)


async def _lines(
    first: str | Answer, events: AsyncGenerator[str | Answer, None], line: Line
) -> AsyncGenerator[str, None]:
    try:
        for value in line(first):
            yield _event(value)
        async for event in events:
            for value in line(event):
                yield _event(value)
    except Exception as error:
        sentence = explain(error)
        yield _event(error_body(sentence or "Something went wrong in Omnibus; see its log.", "server_error"))
        if sentence is None:
            raise
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


class _Events(StreamingResponse):
    """A stream that frees the engine however it ends."""

    def __init__(self, events: AsyncGenerator[str | Answer, None], lines: AsyncGenerator[str, None]) -> None:
        super().__init__(lines, media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._events, self._lines = events, lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._lines.aclose()
                await self._events.aclose()
