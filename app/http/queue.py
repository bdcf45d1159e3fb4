"""Queue: the requests that wait for the engine, first come first served, and no more than a bounded number."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import OmnibusError

FIRST_GUESS_S = 5.0
WEIGHT = 0.2
"""How much the newest answer counts in the running mean of what one takes."""


class Busy(OmnibusError):
    """More requests wait already than the queue takes; `retry_after` are seconds."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        self.waiting, self.retry_after = waiting, retry_after
        super().__init__(f"{waiting} requests wait already. Try again in about {retry_after} s.")


class Queue:
    """One runs, up to `limit` wait; for one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_s = FIRST_GUESS_S

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the engine and hold it; raises Busy at once where the queue is full."""
        if self.running:
            if self.waiting >= self.limit:
                raise Busy(self.waiting, max(1, round(self._mean_s * (self.waiting + 1))))
            await self._wait()
        self.running = True
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            yield
        finally:
            self._mean_s += WEIGHT * (loop.time() - started - self._mean_s)
            self._next()

    async def _wait(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._next()  # its turn had come in the same moment
            else:
                self._waiting.remove(place)
            raise

    def _next(self) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self.running = False
