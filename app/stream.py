"""AnswerStream: an answer in the making, read as text pieces or as events, stoppable from any thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from app.answer import Answer
from engine.errors import Cancelled
from engine.events import CancelToken, Progress

__all__ = ["AnswerStream", "CancelToken", "Cancelled", "Event", "Progress"]

Event = Progress | str | Answer
Work = Callable[[Callable[[Event], None], CancelToken], Answer]


class AnswerStream:
    """Iterate it for the answer's text pieces, or `events()` for progress too; `answer` is there afterwards.

    The work runs in a thread of its own and stops within a chunk when the reader stops reading.
    """

    def __init__(self, work: Work, cancel: CancelToken | None = None) -> None:
        self._work, self._cancel = work, cancel or CancelToken()
        self._queue: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        self._started = False
        self.answer: Answer | None = None

    def cancel(self) -> None:
        """Stop the work; the reader gets Cancelled."""
        self._cancel.cancel()

    def __iter__(self) -> Iterator[str]:
        return (event for event in self.events() if isinstance(event, str))

    def events(self) -> Iterator[Event]:
        """Progress, text pieces, and the Answer last. Raises what the work raised."""
        if self._started:
            raise RuntimeError("an AnswerStream can be read once")
        self._started = True
        worker = threading.Thread(target=self._run, name="omnibus-answer", daemon=True)
        worker.start()
        try:
            while True:
                event = self._queue.get()
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, Answer):
                    self.answer = event
                    yield event
                    return
                yield event
        finally:
            self._cancel.cancel()
            worker.join()

    def _run(self) -> None:
        try:
            self._queue.put(self._work(self._queue.put, self._cancel))
        except BaseException as error:
            self._queue.put(error)
