"""Writer: saves chunks behind the answer's back."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from threading import Condition, Thread
from typing import Literal

from engine.errors import StoreError
from engine.store.draft import Draft

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saving:
    """What background saving did so far: chunks and bytes saved in how many seconds, given up, still waiting.

    `error` says why the last chunk given up was; it is empty again once one was saved.
    """

    saved: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failed: int = 0
    waiting: int = 0
    error: str = ""


class Writer:
    """One thread, alive while there is something to save, and a queue of copies that `limit` bytes bound.

    What cannot be saved is given up: logged when it begins to fail, counted, never raised. The interpreter's end waits
    for the queue; a kill loses what stands in it.
    """

    def __init__(self, save: Callable[[Draft], None], limit: int) -> None:
        self._save, self._limit = save, limit
        self._changed = Condition()
        self._queue: deque[Draft] = deque()
        self._held = 0
        self._alive = False
        self._saving = Saving()
        self._given_up: dict[str, str] = {}

    def put(self, draft: Draft) -> None:
        """Have a chunk saved; waits only while the queue is full."""
        with self._changed:
            self._changed.wait_for(lambda: self._held < self._limit)
            self._queue.append(draft)
            self._held += draft.size
            if not self._alive:
                self._alive = True
                Thread(target=self._work, name="omnibus-store").start()

    def wait(self, keys: Collection[str] | None = None) -> None:
        """Return once these chunks (all, by default) are saved or given up."""

        def none_left() -> bool:
            return not any(keys is None or draft.key in keys for draft in self._queue)

        with self._changed:
            self._changed.wait_for(none_left)

    def fate(self, key: str) -> Literal["saving", "failed"] | None:
        """What became of a chunk's save; null where none was asked for or it succeeded."""
        with self._changed:
            if any(draft.key == key for draft in self._queue):
                return "saving"
            return "failed" if key in self._given_up else None

    def failure(self, key: str) -> str:
        """Why a chunk's save failed; empty where it did not."""
        with self._changed:
            return self._given_up.get(key, "")

    @property
    def saving(self) -> Saving:
        """Statistics up to now."""
        with self._changed:
            return replace(self._saving, waiting=len(self._queue))

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._queue:
                    self._alive = False
                    return
                draft = self._queue[0]
            done = self._attempt(draft)
            with self._changed:
                self._queue.popleft()
                self._held -= draft.size
                self._saving = done
                self._changed.notify_all()

    def _attempt(self, draft: Draft) -> Saving:
        was, started = self._saving, time.perf_counter()
        try:
            self._save(draft)
        except Exception as error:  # whatever it is, the answer must not suffer from it
            if not was.error:
                log.warning(
                    "The session store did not take a KV chunk: %s", error, exc_info=not isinstance(error, StoreError)
                )
            why = self._given_up[draft.key] = str(error) or type(error).__name__
            return replace(was, failed=was.failed + 1, error=why)
        self._given_up.pop(draft.key, None)
        seconds = was.seconds + time.perf_counter() - started
        return replace(was, saved=was.saved + 1, bytes=was.bytes + draft.size, seconds=seconds, error="")
