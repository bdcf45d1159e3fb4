"""AnswerStream: an answer in the making, read as text pieces or as events, stoppable from any thread."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterator

import anyio

from app.answering.answer import Answer
from engine.decode.sampling import Sampling
from engine.errors import Cancelled
from engine.events import CancelToken, Progress

__all__ = ["AnswerStream", "CancelToken", "Cancelled", "Event", "Progress", "Sampling"]

ENDED_S = 0.01
"""How often a coroutine looks whether the thread that it stopped has ended."""
Event = Progress | str | Answer
Work = Callable[[Callable[[Event], None], CancelToken], Answer]


class AnswerStream:
    """Iterate it, with `for` or `async for`, for the answer's text pieces, or `events()` and `aevents()` for progress
    too; `answer` is there afterwards.

    The work runs in a thread of its own and stops within a chunk when the reader stops reading.
    """

    def __init__(self, work: Work, cancel: CancelToken | None = None) -> None:
        self._work, self._cancel = work, cancel or CancelToken()
        self._started = False
        self.answer: Answer | None = None

    def cancel(self) -> None:
        """Stop the work; the reader gets Cancelled."""
        self._cancel.cancel()

    def __iter__(self) -> Iterator[str]:
        return (event for event in self.events() if isinstance(event, str))

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        async for event in self.aevents():
            if isinstance(event, str):
                yield event

    def events(self) -> Iterator[Event]:
        """Progress, text pieces, and the Answer last. Raises what the work raised."""
        waiting: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        worker = self._start(waiting.put)
        try:
            while self.answer is None:
                yield self._taken(waiting.get())
        finally:
            self._cancel.cancel()
            worker.join()

    async def aevents(self) -> AsyncGenerator[Event, None]:
        """The same for a coroutine: the event loop is never held up, and cancelling the task stops the work."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[Event | BaseException] = asyncio.Queue()

        def put(event: Event | BaseException) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(waiting.put_nowait, event)

        worker = self._start(put)
        try:
            while self.answer is None:
                yield self._taken(await waiting.get())
        finally:
            self._cancel.cancel()
            while worker.is_alive():  # no await may be cut short here: the engine is free only when the thread ends
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(ENDED_S)

    def _start(self, put: Callable[[Event | BaseException], None]) -> threading.Thread:
        if self._started:
            raise RuntimeError("an AnswerStream can be read once")
        self._started = True
        worker = threading.Thread(target=self._run, args=(put,), name="omnibus-answer", daemon=True)
        worker.start()
        return worker

    def _taken(self, event: Event | BaseException) -> Event:
        if isinstance(event, BaseException):
            raise event
        if isinstance(event, Answer):
            self.answer = event
        return event

    def _run(self, put: Callable[[Event | BaseException], None]) -> None:
        try:
            put(self._work(put, self._cancel))
        except BaseException as error:
            put(error)
