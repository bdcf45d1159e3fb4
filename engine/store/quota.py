"""Quota: room for a new chunk, made by evicting others, or refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from engine.store.catalog import Catalog
from engine.store.chunks import Chunks
from engine.store.errors import StoreFull


class Quota:
    """How many bytes the chunks may take; None is any number."""

    def __init__(
        self, limit: int | None, chunks: Chunks, catalog: Catalog, locked: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._limit, self._chunks, self._catalog, self._locked = limit, chunks, catalog, locked

    def make_room(self, size: int, parent: str | None) -> None:
        """Evict what a new chunk needs gone, never what stands before it; StoreFull, and nothing gone, if in vain."""
        if self._limit is None or self._catalog.usage() + size <= self._limit:
            return
        with self._locked():
            over = self._catalog.usage() + size - self._limit
            victims = list(self._catalog.victims(spare=parent))
            if sum(freed for _, freed in victims) < over:
                raise StoreFull(
                    f"The session store's quota of {self._limit / 1e9:.2f} GB has no room for another KV chunk."
                )
            self._chunks.delete(victims, over)
