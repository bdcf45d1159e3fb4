"""Work that ends early when somebody no longer wants it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from engine.errors import Cancelled

T = TypeVar("T")


async def unless(stopped: Callable[[], Awaitable[bool]], work: Callable[[], Awaitable[T]], *, every: float) -> T:
    """The work's result; looks every so many seconds whether it is `stopped`, and raises Cancelled then."""
    result: list[T] = []
    failure: Exception | None = None
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while not await stopped():
                await anyio.sleep(every)
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            result.append(await work())
        except Exception as error:  # kept for later: a task group would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not result:
        raise Cancelled
    return result[0]
