"""Turns: who may use the engine now; whoever waits gets it first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.events import CancelToken

LOOK_UP_S = 0.2
"""How often who waits looks whether it was called away."""


class Turns:
    """One caller at a time; any thread may give the turn back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        """Who has the turn, then who waits, in the order in which they came."""

    def locked(self) -> bool:
        """Whether somebody has the turn."""
        return bool(self._queue)

    def acquire(self, cancel: CancelToken | None = None, on_place: Callable[[int], None] | None = None) -> None:
        """Wait for the turn. `on_place` is told how many come before, at first and when it changes.

        Raises Cancelled where the token says so meanwhile, and what `on_place` raises.
        """
        me, told = object(), -1
        with self._changed:
            self._queue.append(me)
        try:
            while before := self._before(me, told):
                if on_place is not None and before != told:
                    on_place(before)
                told = before
                if cancel is not None:
                    cancel.raise_if_cancelled()
        except BaseException:
            self._leave(me)
            raise

    def release(self) -> None:
        """Give the turn to whoever waits longest."""
        self._leave(self._queue[0])

    def _before(self, me: object, told: int) -> int:
        """How many come before, once that has changed or LOOK_UP_S have passed."""
        with self._changed:
            if (before := self._queue.index(me)) and before == told:
                self._changed.wait(LOOK_UP_S)
                before = self._queue.index(me)
            return before

    def _leave(self, me: object) -> None:
        with self._changed:
            self._queue.remove(me)
            self._changed.notify_all()
